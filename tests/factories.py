"""Small datasets, runs with random weights and grids for tests. Fixtures are in conftest.py."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import UNet2DModel
from PIL import Image

from wsdl.bundle.pack import halve_run
from wsdl.core.io import seed_for, sha256, write_json
from wsdl.core.weights import save_model
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.manifest import write_manifest
from wsdl.data.masks import CLASSES, COMPONENTS, random_region, read_mask, visible_components, write_mask
from wsdl.experiments.jobs import Job
from wsdl.generators.diffusion.autoencoder import Autoencoder
from wsdl.generators.diffusion.ldm import latent_unet, load_autoencoder
from wsdl.generators.diffusion.unet import SmallUNet
from wsdl.generators.inpainting.inpainter import NETWORKS
from wsdl.parsing.train import ParserTraining

FACES, FAKES = 24, 24
SIZE = 16  # px: the images of networks with random weights
PARSER = ParserTraining(images=1600, batch=8, widths=(8, 16, 24, 32), rate=5e-3, ema_decay=0.95, check_every=800)
REPAINT_STEPS = {"T": 10, "jump_length": 3, "resamplings": 2}
FEW_STEPS = {"T": 4, "jump_length": 1, "resamplings": 1}

# A grid of three jobs at a tiny profile.
TINY_PROFILE = {
    "name": "tiny", "size": 32, "faces": 24,
    "generator": {"images": 32, "channels": [16, 32], "batch": 8, "check_every": 32},
    "fakes": {"full": 16, "partial": 48, "ddim_steps": 2, "T": 4, "jump_length": 1, "resamplings": 1, "batch": 8,
              "sampler": "ddim"},
    "methods": ["patches"],
    "patches": {"input_size": 48, "images": 64, "batch": 16, "images_c": 320, "batch_c": 8, "check_every": 32},
}  # fmt: skip

THREE_JOBS = {"jobs": [
    {"method": "patches", "setup": "b", "seed": 0},
    {"method": "patches", "setup": "b", "seed": 1},
    {"method": "patches", "setup": "c", "seed": 0},
]}  # fmt: skip
B0, B1, C0 = Job("patches", "b", "made-up", 0), Job("patches", "b", "made-up", 1), Job("patches", "c", "made-up", 0)


# --- datasets ---------------------------------------------------------------------------------------------------------


def add_stand_ins(folder: Path, seed: int = 0) -> None:
    """Write 8 full and 16 partial fakes into the dataset `folder`, without a network: checkerboards."""
    data = Dataset(folder)
    rows = [write_full_fake(folder, data.size, i, seed) for i in range(FAKES // 3)]
    real = {split: data.select("real", split) for split in ("train", "valid", "test")}
    for i in range(FAKES - len(rows)):
        split = "test" if i % 4 == 3 else "valid" if i % 4 == 2 else "train"
        faces = real[split]
        rows.append(write_partial_fake(data, faces.loc[faces.index[i // 4 % len(faces)]], i, seed))
    write_manifest(folder, pd.concat([data.table, pd.DataFrame(rows)]), data.info)


def write_full_fake(folder: Path, size: int, i: int, seed: int) -> dict:
    split = ("train", "train", "valid", "test")[i % 4]
    path = Path("fake", "p2", split, f"{i:04d}.png")
    write_image(folder / path, checkerboard(np.random.default_rng(seed_for(seed, "full", i)), (size, size, 3)))
    return {"path": str(path), "mask": "", "kind": "full", "generator": "p2", "component": "", "area": 1.0,
            "source_id": f"p2/{i:04d}", "split": split, "sha256": sha256(folder / path)}  # fmt: skip


def write_partial_fake(data: Dataset, face: pd.Series, i: int, seed: int) -> dict:
    rng, labels = np.random.default_rng(seed_for(seed, "partial", i)), data.labels(face)
    here = visible_components(labels)
    component = here[i % len(here)] if i % 2 else next(c for c in COMPONENTS if c in here)
    mask = random_region(labels, component, rng)
    original = np.asarray(data.images[face.name])
    name = f"{face.source_id}-{i:02d}-{component}.png"
    path, mask_path = (Path("fake", "repaint-p2", what, face.split, name) for what in ("images", "masks"))
    write_mask(data.folder / mask_path, mask)
    write_image(data.folder / path, np.where(mask[..., None] == 1, checkerboard(rng, original.shape), original))
    return {"path": str(path), "mask": str(mask_path), "kind": "partial", "generator": "repaint-p2",
            "component": component, "area": float(mask.mean()), "source_id": face.source_id, "split": face.split,
            "sha256": sha256(data.folder / path)}  # fmt: skip


def checkerboard(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """A flat colour with a checkerboard, uint8 `shape`: easy to tell from a photograph."""
    grid = 24 * ((np.arange(shape[0])[:, None] + np.arange(shape[1])) % 2)
    return (rng.integers(60, 190, 3) + grid[..., None]).astype(np.uint8)


def add_lama(folder) -> None:
    """Add fakes of a second generator with the same masks: those of repaint-p2, inpainted regions inverted."""
    data = Dataset(folder)
    rows = data.select(kind="partial").copy()
    for i, row in rows.iterrows():
        painted, mask = read_image(folder / row.path), read_mask(folder / row["mask"])
        path, mask_path = (name.replace("repaint-p2", "lama") for name in (row.path, row["mask"]))
        (folder / mask_path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / row["mask"], folder / mask_path)
        write_image(folder / path, np.where(mask[..., None] == 1, 255 - painted, painted))
        rows.loc[i, ["path", "mask", "generator", "sha256"]] = [path, mask_path, "lama", sha256(folder / path)]
    write_manifest(folder, pd.concat([data.table, rows]), data.info)


def add_ddpm(folder) -> None:
    """Add full fakes of the other sampler: those of p2, inverted."""
    data = Dataset(folder)
    rows = data.select(kind="full").copy()
    for i, row in rows.iterrows():
        path, source_id = (name.replace("p2/", "p2-ddpm/") for name in (row.path, row.source_id))
        write_image(folder / path, 255 - read_image(folder / row.path))
        names = ["path", "source_id", "generator", "sha256"]
        rows.loc[i, names] = [path, source_id, "p2-ddpm", sha256(folder / path)]
    write_manifest(folder, pd.concat([data.table, rows]), data.info)


def miniature_dolos(dataset: Path, folder: Path) -> Path:
    """Folders and files like data/celebahq of the Dolos download, made of `dataset`, with all that is odd about it.

    The subset repaint-p2-9k is split in another way, fakes by lama have running numbers, one fake of a train face is a
    test image, the folder of the validation fakes by lama is called val, and masks there have 254 for real pixels. 16
    training fakes by repaint-p2 and 8 of the subset; 9 real training images.
    """
    for part in ("real", "fake"):
        shutil.copytree(dataset / part, folder / part)
    fakes = folder / "fake"
    for path in sorted((folder / "real/train").iterdir())[9:]:
        path.unlink()
    shutil.rmtree(fakes / "p2/test")
    shutil.copytree(fakes / "repaint-p2", fakes / "lama")
    for part in ("images", "masks"):
        subset = fakes / "repaint-p2-9k" / part
        for old, new in (("train", "train"), ("test", "valid"), ("valid", "test")):
            shutil.copytree(fakes / "repaint-p2" / part / old, subset / new)
        for path in sorted((fakes / "repaint-p2" / part / "train").iterdir()):
            shutil.copy(path, path.with_stem(f"{path.stem}-2"))
        moved = sorted((fakes / "repaint-p2" / part / "train").iterdir())[0]
        moved.rename(fakes / "repaint-p2" / part / "test" / moved.name)
        for there in (fakes / "lama" / part).iterdir():
            for i, path in enumerate(sorted(there.iterdir())):
                path.rename(there / f"{i:05d}.png")
        (fakes / "lama" / part / "valid").rename(fakes / "lama" / part / "val")
    for path in (fakes / "lama/masks/val").iterdir():
        Image.open(path).point(lambda value: value * 254 // 255).save(path)
    return folder


def declare_cc0(data: Path) -> Path:
    write_json(data / "dataset.json", {**Dataset(data).info, "licence": "CC0-1.0"})
    return data


def scored_images(seed: int = 0, n: int = 40) -> pd.DataFrame:
    """A made-up pictures.csv: one real image and `n` partial fakes, two of each face."""
    rng = np.random.default_rng(seed)
    names = np.array(["skin", "hair", "eyes"])
    fakes = pd.DataFrame({"path": [f"{i:03d}.png" for i in range(n)], "kind": "partial", "generator": "g",
                          "component": names[np.arange(n) % 3], "area": np.random.default_rng(9).uniform(0.01, 0.5, n),
                          "source_id": [f"f{i // 2}" for i in range(n)], "score": rng.random(n),
                          "iou": rng.random(n), "pbca": rng.random(n)})  # fmt: skip
    real = fakes.head(1).assign(path="real.png", kind="real", component="", area=0.0, iou=np.nan, pbca=np.nan)
    return pd.concat([real, fakes], ignore_index=True)


# --- networks and runs with random weights ----------------------------------------------------------------------------


def tiny_unet(out_channels: int = 3, size: int = SIZE) -> UNet2DModel:
    """The smallest U-Net that diffusers builds, with random weights."""
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=size,
        out_channels=out_channels,
        layers_per_block=1,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
    ).eval()


def p2_run(folder, size: int = SIZE, seed: int = 0):
    """A run of `train-generator p2` with random weights and only the files that loading needs."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {"size": size, "channels": [16], "patch": 4})
    save_model(SmallUNet(size, (16,), 4), folder)
    return folder


def finished_p2_run(folder: Path, seed: int = 0) -> Path:
    """A run of `train-generator p2` at 32 px, marked as finished, with random weights."""
    p2_run(folder, size=32, seed=seed)
    write_json(folder / "run.json", {"status": "done"})
    return folder


def inpainter_run(folder: Path, name: str, size: int = SIZE, seed: int = 0) -> Path:
    """A run of `train-generator NAME` with random weights and only the files that loading needs."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {"generator": name, "size": size, "width": 64, "blocks": 1})
    save_model(NETWORKS[name](64, 1), folder)
    return folder


def untrained_run(name: str, folder: Path, seed: int = 0) -> Path:
    """A run of `train-generator NAME` at 32 px, marked as finished, with random weights."""
    inpainter_run(folder, name, size=32, seed=seed) if name in NETWORKS else ldm_run(folder)
    write_json(folder / "run.json", {"status": "done"})
    (folder / "trainer.pt").write_bytes(b"what stays behind")
    return folder


def ldm_run(folder: Path) -> None:
    torch.manual_seed(0)
    part = folder / "autoencoder"
    part.mkdir(parents=True)
    save_model(Autoencoder((8, 8), 4), part)
    write_json(part / "config.json", {"generator": "autoencoder", "size": 32, "widths": [8, 8], "latents": 4})
    write_json(part / "latents.json", {"mean": [0.1, 0.0, 0.0, 0.0], "scale": 0.8})
    save_model(latent_unet(32, load_autoencoder(part), (16, 32), 1), folder)
    write_json(folder / "config.json", {"generator": "ldm", "size": 32, "widths": [16, 32], "patch": 1})


def fp16_run(run: Path) -> Path:
    out = run.with_name(f"{run.name}-fp16")
    halve_run(run, out)
    return out


class Fills(torch.nn.Module):
    """A stand-in for big-lama.pt: checks its inputs and fills holes with grey."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert image.shape[2] % 8 == 0 and image.shape[3] % 8 == 0  # noqa: PT018 (TorchScript)
        assert bool(((mask == 0) | (mask == 1)).all())
        assert float(image.min()) >= 0 and float(image.max()) <= 1  # noqa: PT018
        assert float((image * mask).max()) == 0  # holes are empty
        return image * (1 - mask) + 0.2 * mask


# --- a face parser that needs no network ------------------------------------------------------------------------------


class Oracle:
    """A face parser that reads the labels from the image: class = red / 10 (0 where that is no class)."""

    size, fingerprint = 64, "oracle"

    def parse_squares(self, squares):
        found = [np.round(square[..., 0] / 10).astype(np.uint8) for square in squares]
        return [np.where(labels < len(CLASSES), labels, 0).astype(np.uint8) for labels in found]


def oracle_image(labels: np.ndarray) -> np.ndarray:
    """The image from which `Oracle` reads these labels."""
    return np.repeat(labels[..., None] * 10, 3, axis=-1).astype(np.uint8)


def face_labels(side: int, eyes: np.ndarray, radius: float) -> np.ndarray:
    """The label map of a schematic face with its eyes at `eyes` [2, 2], in pixels."""
    y, x = np.mgrid[:side, :side] + 0.5
    middle, apart = eyes.mean(axis=0), np.hypot(*(eyes[1] - eyes[0]))
    labels = np.zeros((side, side), np.uint8)
    labels[np.hypot(x - middle[0], y - middle[1]) < 1.3 * apart] = 1
    down = np.array([-(eyes[1] - eyes[0])[1], (eyes[1] - eyes[0])[0]])
    for (px, py), number, r in ((middle + 0.5 * down, 2, 1.3), (middle + 0.9 * down, 11, 1.3), (eyes[0], 5, 1),
                                (eyes[1], 4, 1)):  # fmt: skip
        labels[np.hypot(x - px, y - py) < radius * r] = number
    return labels


def published_patches(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a Patches detector under the names that the paper's code gives them."""
    state = model.state_dict()
    return {name.removeprefix("features.").replace("head.", "convout."): tensor for name, tensor in state.items()}
