"""Small data that several test files share. Tests must not modify what these fixtures return: copy it first."""

import os

# One thread each: at 32 px the start of threads costs more than they save, and tests run beside other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WSDL_PRECISION", "fp32")

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wsdl.core.io import seed_for, sha256, write_json
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import write_manifest
from wsdl.data.masks import COMPONENTS, random_region, visible_components, write_mask
from wsdl.data.prepare import prepare_dataset
from wsdl.faces.made_up import draw_faces

FACES, FAKES, SIZE = 24, 24, 32
PARSER = {"images": 1600, "batch": 8, "widths": (8, 16, 24, 32), "rate": 5e-3, "ema_decay": 0.95,
          "check_every": 800, "seed": 0}  # fmt: skip


@pytest.fixture(scope="session")
def made_up(tmp_path_factory) -> tuple[Path, Path]:
    """24 drawn faces at 64 px: the folders of images and component masks."""
    return draw_faces(tmp_path_factory.mktemp("made-up"), FACES, seed=0, size=64)


@pytest.fixture(scope="session")
def faces(made_up, tmp_path_factory) -> Path:
    """A prepared dataset folder at 32 px: real faces only."""
    out = tmp_path_factory.mktemp("faces") / "data"
    prepare_dataset(*made_up, out, size=SIZE, seed=0, source="made-up")
    return out


@pytest.fixture(scope="session")
def dataset(faces, tmp_path_factory) -> Path:
    """`faces` with 24 stand-in fakes: 8 full ones and 16 partial ones, spread over the splits."""
    folder = tmp_path_factory.mktemp("dataset") / "data"
    shutil.copytree(faces, folder)
    add_stand_ins(folder)
    return folder


@pytest.fixture(scope="session")
def free(dataset, tmp_path_factory) -> Path:
    """`dataset`, declared CC0, so that it can be packed."""
    return declare_cc0(Path(shutil.copytree(dataset, tmp_path_factory.mktemp("free") / "data")))


@pytest.fixture(scope="session")
def p2(tmp_path_factory) -> Path:
    """A tiny P2 run with random weights."""
    return finished_run(tmp_path_factory.mktemp("p2") / "p2")


@pytest.fixture(scope="session")
def archive(free, p2, tmp_path_factory) -> Path:
    """`free` and `p2` packed as the style studio."""
    from wsdl.bundle.pack import pack

    out = tmp_path_factory.mktemp("archive") / "studio.zip"
    pack("studio", free, p2, out)
    return out


@pytest.fixture(scope="session")
def lama(tmp_path_factory) -> Path:
    """A tiny LaMa run with random weights, in fp16."""
    from test_halve import halved, untrained

    return halved(untrained("lama", tmp_path_factory.mktemp("lama") / "fp32"))


@pytest.fixture(scope="session")
def painted(archive, lama, tmp_path_factory) -> Path:
    """The dataset in `archive` with 12 fakes by `lama`."""
    from wsdl.bundle.copies import copy_to
    from wsdl.generators.inpainting.inpainter import generate_inpainted

    out = tmp_path_factory.mktemp("painted") / "data"
    copy_to(out, "studio", archive=archive, cache=out.parent / "cache")
    generate_inpainted("lama", out, out, lama, 12, 0, batch=4)
    return out


@pytest.fixture(scope="session")
def extra_archive(painted, lama, archive, tmp_path_factory) -> Path:
    """The fakes in `painted` and `lama`, packed to come with the style studio."""
    from wsdl.bundle.pack_extra import pack_extra

    out = tmp_path_factory.mktemp("generators") / "studio-lama.zip"
    pack_extra("studio", painted, "lama", lama, out, archive, painted.parent / "cache")
    return out


@pytest.fixture(scope="session")
def trained(faces, tmp_path_factory) -> Path:
    """A face parser after a short training on drawn faces at 32 px."""
    from wsdl.parsing.train import train_parser

    out = tmp_path_factory.mktemp("parser") / "run"
    train_parser([faces], out, **PARSER)
    return out


@pytest.fixture(scope="session")
def reported(dataset, tmp_path_factory):
    """A folder of runs, good and bad, with lessons and data, and the site made of it."""
    from reported import report

    return report(dataset, tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="session")
def run_folder(dataset, tmp_path_factory) -> Path:
    """A detector after a very short training."""
    from wsdl.config import PatchesTraining
    from wsdl.training.detector import train

    out = tmp_path_factory.mktemp("detector") / "patches-c-made-up"
    train("patches", "c", dataset, out, 0, PatchesTraining(input_size=64, images_c=32, batch_c=8, check_every=32))
    return out


@pytest.fixture(scope="module")
def chrome():
    """Headless Chromium, for one test file: Playwright allows one at a time."""
    from explored import browser

    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def opened_once(chrome, tmp_path_factory):
    from explored import small, watched

    with watched(chrome, small(), tmp_path_factory.mktemp("page") / "page.html") as opened:
        yield opened


@pytest.fixture
def page(opened_once):
    """The page of a small explorer, as it opens."""
    opened_once.reload()
    opened_once.wait_for_selector("[data-ready]")
    return opened_once


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> dict:
    """What tells `make` of the grid of these tests: three cells and a tiny profile."""
    from gridded import JOBS, TINY

    folder = tmp_path_factory.mktemp("grid")
    write_json(folder / "tiny.json", TINY)
    write_json(folder / "three.json", JOBS)
    return {"name": str(folder / "three.json"), "profile": str(folder / "tiny.json"), "source": "made-up"}


@pytest.fixture
def no_parser(tmp_path, monkeypatch):
    """As if no face parser came with wsdl: drawings are judged whole."""
    from wsdl.inference import localize as localizer

    monkeypatch.setattr(localizer, "SHIPPED", tmp_path / "no parser")
    localizer._load.cache_clear()  # Localizers that have one
    yield
    localizer._load.cache_clear()


def declare_cc0(data: Path) -> Path:
    write_json(data / "dataset.json", {**Dataset(data).info, "licence": "CC0-1.0"})
    return data


def finished_run(folder: Path, seed: int = 0) -> Path:
    """A P2 run that looks finished: tiny, with random weights."""
    from test_p2 import small_run

    small_run(folder, size=32, seed=seed)
    write_json(folder / "run.json", {"status": "done"})
    return folder


def add_stand_ins(folder: Path, seed: int = 0) -> None:
    """Write 8 full and 16 partial fakes into the dataset `folder`: no network, only paint of another texture."""
    data = Dataset(folder)
    rows = [fake_full(folder, data.size, i, seed) for i in range(FAKES // 3)]
    real = {split: data.select("real", split) for split in ("train", "valid", "test")}
    for i in range(FAKES - len(rows)):
        split = "test" if i % 4 == 3 else "valid" if i % 4 == 2 else "train"
        faces = real[split]
        rows.append(fake_partial(data, faces.loc[faces.index[i // 4 % len(faces)]], i, seed))
    write_manifest(folder, pd.concat([data.table, pd.DataFrame(rows)]), data.info)


def paint(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """What a stand-in generator paints: a flat colour with a checkerboard, easy to tell from a photograph."""
    grid = 24 * ((np.arange(shape[0])[:, None] + np.arange(shape[1])) % 2)
    return (rng.integers(60, 190, 3) + grid[..., None]).astype(np.uint8)


def fake_full(folder: Path, size: int, i: int, seed: int) -> dict:
    split = ("train", "train", "valid", "test")[i % 4]
    path = Path("fake", "p2", split, f"{i:04d}.png")
    write_image(folder / path, paint(np.random.default_rng(seed_for(seed, "full", i)), (size, size, 3)))
    return {"path": str(path), "mask": "", "kind": "full", "generator": "p2", "component": "", "area": 1.0,
            "source_id": f"p2/{i:04d}", "split": split, "sha256": sha256(folder / path)}  # fmt: skip


def fake_partial(data: Dataset, face: pd.Series, i: int, seed: int) -> dict:
    rng, labels = np.random.default_rng(seed_for(seed, "partial", i)), data.labels(face)
    here = visible_components(labels)
    component = here[i % len(here)] if i % 2 else next(c for c in COMPONENTS if c in here)
    mask = random_region(labels, component, rng)
    original = np.asarray(data.images[face.name])
    name = f"{face.source_id}-{i:02d}-{component}.png"
    path, mask_path = (Path("fake", "repaint-p2", what, face.split, name) for what in ("images", "masks"))
    write_mask(data.folder / mask_path, mask)
    write_image(data.folder / path, np.where(mask[..., None] == 1, paint(rng, original.shape), original))
    return {"path": str(path), "mask": str(mask_path), "kind": "partial", "generator": "repaint-p2",
            "component": component, "area": float(mask.mean()), "source_id": face.source_id, "split": face.split,
            "sha256": sha256(data.folder / path)}  # fmt: skip
