"""`bench splices`: published and forensic methods on spliced renders, what such methods were made for.

A square of one bundled render is pasted into another: taken by another camera (`studio` into `snapshot`), with another
JPEG history, or both. Nothing is generated, and the pasted pixels are not changed after the JPEG.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from wsdl import plots
from wsdl.bundle.unpack import unpack_dataset
from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.data.dataset import Dataset
from wsdl.detectors.published import find_published
from wsdl.evaluation.baselines import TRIVIAL_BASELINES, row_label
from wsdl.evaluation.forensics import FORENSIC_BASELINES
from wsdl.evaluation.metrics import bootstrap, upsample
from wsdl.evaluation.protocols import free

HOST, DONOR = "snapshot", "studio"  # sources of the image and of what is pasted
QUALITY = 70  # of the JPEG of what is pasted
SIDE = 7 / 16  # of the square, as a fraction of the image
KINDS = {  # of splices: the source of what is pasted, and whether it was a JPEG
    "camera and JPEG": (DONOR, True),
    "JPEG alone": (HOST, True),
    "camera alone": (DONOR, False),
}
COLUMNS = "splice", "method", "pixel_ap", "low", "high", "chance", "over_chance", "over_low", "over_high", "n"


@dataclass(frozen=True)
class Splices:
    images: np.ndarray  # uint8 [n, S, S, 3]
    masks: np.ndarray  # uint8 [n, S, S], 1 = pasted


def make_splices(kind: str, n: int = 24, seed: int = 0) -> Splices:
    """`n` splices of one of KINDS, from real faces of the test split; the masks are the same for all kinds.

    WsdlError where there are fewer faces.
    """
    source, compressed = KINDS[kind]
    hosts, donors = _faces(HOST), _faces(source)[::-1]  # reversed: another person where the sources are the same
    if n > min(len(hosts), len(donors)):
        raise WsdlError(f"--images: is {n}, but there are {min(len(hosts), len(donors))} test faces.")
    size = hosts.shape[1]
    side, rng = round(SIDE * size), np.random.default_rng(seed)
    masks = np.zeros((n, size, size), np.uint8)
    for mask in masks:
        top, left = rng.integers(0, size - side + 1, 2)
        mask[top : top + side, left : left + side] = 1
    pasted = np.stack([_jpeg(donor) for donor in donors[:n]]) if compressed else donors[:n]
    return Splices(np.where(masks[..., None] == 1, pasted, hosts[:n]), masks)


def bench_splices(weights: Path | None, n: int = 24, seed: int = 0) -> tuple[pd.DataFrame, plots.style.Figure]:
    """Pixel AP of each method on `n` splices of each of KINDS, and a figure of the first splice.

    Columns are COLUMNS: means over images with their 95 % bootstrap intervals; over_chance is pixel_ap minus the area
    of the mask, which is that of a constant map, paired by image. Methods whose weights are not in `weights` are left
    out. WsdlError as `make_splices` and `find_published`.
    """
    found = find_published(weights) if weights else {}
    methods = {name: _predict(method) for name, method in found.items() if method}
    methods |= {f"forensic: {name}": lambda image, _, m=method: m(image) for name, method in FORENSIC_BASELINES.items()}
    methods |= {
        f"control: {name}": lambda image, i, m=method: m(i, image.shape[:2])
        for name, method in TRIVIAL_BASELINES.items()
    }
    rows, first = [], {name: [] for name in methods}
    splices = {kind: make_splices(kind, n, seed) for kind in KINDS}
    with progress_bar(len(KINDS) * len(methods), "methods on splices") as progress:
        for kind, of in splices.items():
            for name, method in methods.items():
                maps = [upsample(method(image, i), of.masks.shape[1:]) for i, image in enumerate(of.images)]
                first[name].append(maps[0])
                rows.append({"splice": kind, "method": name, **_score(maps, of.masks)})
                progress.update()
    shown = {name: maps for name, maps in first.items() if not name.startswith("control")}
    firsts = [np.stack([getattr(of, what)[0] for of in splices.values()]) for what in ("images", "masks")]
    chart = plots.map_grid(*firsts, {row_label(name): maps for name, maps in shown.items()}, rows=list(KINDS))
    chart.axes[1].set_title("pasted")
    return pd.DataFrame(rows, columns=COLUMNS), chart


def _predict(method):
    return lambda image, _: method.predict(image[None]).maps[0]


def _score(maps: list[np.ndarray], masks: np.ndarray) -> dict:
    """The numbers of one row; every splice is of another face, so images are resampled."""
    found = np.array([free(map_, mask)["pixel_ap"] for map_, mask in zip(maps, masks, strict=True)])
    chance, each = masks.mean(axis=(1, 2)), np.arange(len(masks))
    (low, high), (over_low, over_high) = bootstrap(found, each), bootstrap(found - chance, each)
    row = {"pixel_ap": found.mean(), "low": low, "high": high, "chance": chance.mean()}
    row |= {"over_chance": (found - chance).mean(), "over_low": over_low, "over_high": over_high}
    return {name: round(float(value), 4) for name, value in row.items()} | {"n": len(masks)}


def _faces(source: str) -> np.ndarray:
    """The real faces of the test split of a bundled source: uint8 [n, S, S, 3]."""
    dataset = Dataset(unpack_dataset(source))
    return dataset.images[dataset.select(kind="real", split="test").index]


def _jpeg(image: np.ndarray) -> np.ndarray:
    """`image` saved as JPEG and read again."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))
