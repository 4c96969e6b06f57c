"""Small data that several test files share. Tests must not modify what these fixtures return: copy it first."""

import os

# One thread each: at 32 px the start of threads costs more than they save, and tests run beside other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WSDL_PRECISION", "fp32")

import shutil
from pathlib import Path

import pytest
from factories import (
    FACES,
    PARSER,
    THREE_JOBS,
    TINY_PROFILE,
    add_stand_ins,
    declare_cc0,
    finished_p2_run,
    fp16_run,
    untrained_run,
)

from wsdl.core.io import write_json
from wsdl.data.prepare import prepare_dataset
from wsdl.faces.drawn_faces import draw_faces


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo, then the other files that hold slow tests: two workers then end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.path.name == "test_bad_inputs.py"}
    items.sort(key=lambda item: (item.path.name != "test_demo.py", item.path not in slow))


@pytest.fixture(scope="session")
def made_up(tmp_path_factory) -> tuple[Path, Path]:
    """24 drawn faces at 64 px: the folders of images and component masks."""
    return draw_faces(tmp_path_factory.mktemp("made-up"), FACES, seed=0, size=64)


@pytest.fixture(scope="session")
def faces(made_up, tmp_path_factory) -> Path:
    """A prepared dataset folder at 32 px: real faces only."""
    out = tmp_path_factory.mktemp("faces") / "data"
    prepare_dataset(*made_up, out, size=32, seed=0, source="made-up")
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
    return finished_p2_run(tmp_path_factory.mktemp("p2") / "p2")


@pytest.fixture(scope="session")
def archive(free, p2, tmp_path_factory) -> Path:
    """`free` and `p2` packed as the style studio."""
    from wsdl.bundle.pack import pack_style

    out = tmp_path_factory.mktemp("archive") / "studio.zip"
    pack_style("studio", free, p2, out)
    return out


@pytest.fixture(scope="session")
def lama(tmp_path_factory) -> Path:
    """A tiny LaMa run with random weights, in fp16."""
    return fp16_run(untrained_run("lama", tmp_path_factory.mktemp("lama") / "fp32"))


@pytest.fixture(scope="session")
def inpainted(archive, lama, tmp_path_factory) -> Path:
    """The dataset in `archive` with 12 fakes by `lama`."""
    from wsdl.bundle.unpack import copy_dataset
    from wsdl.generators.write_fakes import generate_partial

    out = tmp_path_factory.mktemp("inpainted") / "data"
    copy_dataset(out, "studio", archive=archive, cache=out.parent / "cache")
    generate_partial("lama", out, out, lama, 12, 0, batch=4)
    return out


@pytest.fixture(scope="session")
def lama_archive(inpainted, lama, archive, tmp_path_factory) -> Path:
    """The fakes in `inpainted` and `lama`, packed to come with the style studio."""
    from wsdl.bundle.pack_generator import pack_generator

    out = tmp_path_factory.mktemp("generators") / "studio-lama.zip"
    pack_generator("studio", inpainted, "lama", lama, out, archive, inpainted.parent / "cache")
    return out


@pytest.fixture(scope="session")
def full_data(archive, tmp_path_factory) -> Path:
    """The dataset in `archive` with 12 full fakes by DDPM."""
    from wsdl.bundle.unpack import copy_dataset, unpack_p2
    from wsdl.generators.write_fakes import generate_full

    out = tmp_path_factory.mktemp("full") / "data"
    copy_dataset(out, "studio", archive=archive, cache=out.parent / "cache")
    p2 = unpack_p2("studio", archive, out.parent / "cache")
    generate_full(out, p2, 12, 0, steps=2, batch=4, sampler="ddpm")
    return out


@pytest.fixture(scope="session")
def full_archive(full_data, archive, tmp_path_factory) -> Path:
    """The full fakes by DDPM in `full_data`, packed to come with the style studio."""
    from wsdl.bundle.pack_generator import pack_generator

    out = tmp_path_factory.mktemp("full_fakes") / "studio-p2-ddpm.zip"
    pack_generator("studio", full_data, "p2-ddpm", None, out, archive, full_data.parent / "cache")
    return out


@pytest.fixture(scope="session")
def trained(faces, tmp_path_factory) -> Path:
    """A face parser after a short training on drawn faces at 32 px."""
    from wsdl.parsing.train import train_parser

    out = tmp_path_factory.mktemp("parser") / "run"
    train_parser([faces], out, PARSER)
    return out


@pytest.fixture(scope="session")
def reported(dataset, tmp_path_factory):
    """A folder of runs, good and bad, with lessons and data, and the site made of it."""
    from factories_report import make_report

    return make_report(dataset, tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="session")
def run_folder(dataset, tmp_path_factory) -> Path:
    """A detector after a very short training."""
    from wsdl.config import PatchesTraining
    from wsdl.training.detector import train_detector

    out = tmp_path_factory.mktemp("detector") / "patches-c-made-up"
    train_detector(
        "patches", "c", dataset, out, 0, PatchesTraining(input_size=64, images_c=32, batch_c=8, check_every=32)
    )
    return out


@pytest.fixture(scope="module")
def chrome():
    """Headless Chromium, for one test file: Playwright allows one at a time."""
    from browser import open_chromium

    with open_chromium() as started:
        yield started


@pytest.fixture(scope="module")
def opened_once(chrome, tmp_path_factory):
    from browser import open_page
    from factories_explorer import small_explorer

    with open_page(chrome, small_explorer(), tmp_path_factory.mktemp("page") / "page.html") as opened:
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
    folder = tmp_path_factory.mktemp("grid")
    write_json(folder / "tiny.json", TINY_PROFILE)
    write_json(folder / "three.json", THREE_JOBS)
    return {"name": str(folder / "three.json"), "profile": str(folder / "tiny.json"), "source": "made-up"}


@pytest.fixture
def no_parser(tmp_path, monkeypatch):
    """As if no face parser came with wsdl: drawings are judged whole."""
    from wsdl.inference import localize as localizer

    monkeypatch.setattr(localizer, "BUNDLED_PARSER", tmp_path / "no parser")
    localizer._load.cache_clear()  # Localizers that have one
    yield
    localizer._load.cache_clear()
