"""`bench localize`: detectors and baselines on triples of real image, partial fake and mask.

Every image goes through the code of `python -m wsdl localize`: decoding, face crop, detector, map placed in the image.
Images are read one at a time; only the numbers of each remain in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.progress import progress_bar
from wsdl.data.triples import Triple, check_triples, find_triples
from wsdl.detectors.pretrained import pretrained_names
from wsdl.detectors.published import PUBLISHED, find_published
from wsdl.evaluation.baselines import BASELINES, TRIVIAL_BASELINES, row_kind, row_label
from wsdl.evaluation.forensics import FORENSIC_BASELINES
from wsdl.evaluation.metrics import THRESHOLD, average_precision, binary, bootstrap, bootstrap_ap, iou, pbca
from wsdl.evaluation.protocols import free
from wsdl.inference.image_input import InputImage, open_image
from wsdl.inference.localize import load_localizer

MEASURES = {"pixel_ap": "pixel AP", "iou": "IoU", "image_ap": "image AP", "marked_real": "marked, real",
            "marked_fake": "marked, fake"}  # fmt: skip
NUMBERS = (*MEASURES, "over_chance")
COLUMNS = ("set", "n", "method", *(measure + end for measure in NUMBERS for end in ("", "_low", "_high")))
CHANCE = "* above chance (the inpainted fraction) by the interval of the difference, paired by image"
ALL_SETS = "all sets"


@dataclass(frozen=True)
class ImageResult:
    """The result of a detector or a baseline for one image."""

    map: np.ndarray  # float32 [H, W] in [0, 1], 1 = fake
    score: float
    marked: float  # fraction of the analysed pixels above the threshold
    analysed: float  # fraction of the image that the detector was given
    threshold: float


def bench_localize(
    folder: Path, detectors: tuple[str, ...] = (), weights: str | Path = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score `detectors` (default: the pretrained ones) and all baselines on the triples in `folder`.

    weights: a folder of published weights; those published methods are then scored too.

    Returns two tables: one row per set and method, COLUMNS, of each number the mean over images with its 95 %
    bootstrap interval, the best pixel AP first, and at the end the rows of all sets together; and one row per triple
    and method. pixel_ap and iou are computed per fake, image_ap from the scores of the fakes and their real twins.
    over_chance is pixel_ap minus that of a constant map, which is the area of the mask; its interval is a paired one.
    WsdlError for an unknown detector and for files that are no triples (see `wsdl.data.triples`).
    """
    images = score_triples(folder, detectors or tuple(pretrained_names()), weights)
    return summarize(images), images


def score_triples(folder: Path, detectors: tuple[str, ...], weights: str | Path = "") -> pd.DataFrame:
    """The second table of `bench_localize`: one row per triple and method."""
    methods = _methods(detectors, weights)
    triples = find_triples(folder)
    with progress_bar(len(triples), "checking masks", "triple") as progress:
        check_triples(triples, progress.update)
    rows = []
    with progress_bar(len(triples), "localizing", "triple") as progress:
        for number, triple in enumerate(triples):
            rows += _rows_of(triple, number, methods)
            progress.update()
    return pd.DataFrame(rows)


def _methods(detectors: tuple[str, ...], weights: str | Path) -> dict[str, Callable[[InputImage, int], ImageResult]]:
    """analyse(image, number of the image) of each detector and each baseline, by the name of its rows."""
    names = dict.fromkeys([*map(str, detectors), *(_usable(weights) if str(weights) else ())])
    methods = {name: _detector(name, weights) for name in names}
    return methods | {method: _baseline(method) for method in BASELINES}


def _usable(weights: str | Path) -> list[str]:
    """The published methods whose weights are in a folder."""
    return [name for name, method in find_published(weights).items() if method]


def _detector(name: str, weights: str | Path) -> Callable[[InputImage, int], ImageResult]:
    localizer = load_localizer(name, weights=weights) if name in PUBLISHED else load_localizer(name)

    def analyse(image: InputImage, number: int) -> ImageResult:
        found = localizer(image)
        return ImageResult(found.map, found.score, found.marked, float(found.analysed.mean()), found.threshold)

    return analyse


def _baseline(method: str) -> Callable[[InputImage, int], ImageResult]:
    name = method.partition(": ")[2]

    def analyse(image: InputImage, number: int) -> ImageResult:
        if row_kind(method) == "trivial":
            map_ = TRIVIAL_BASELINES[name](number, (image.image.height, image.image.width))
        else:
            map_ = FORENSIC_BASELINES[name](np.asarray(image.image))
        return ImageResult(map_, float(map_.mean(dtype=np.float64)), float(binary(map_).mean()), 1.0, THRESHOLD)

    return analyse


def _rows_of(triple: Triple, number: int, methods: dict[str, Callable]) -> list[dict]:
    """A row per method. The images are read once, so that all detectors share the search for a face."""
    real, fake, mask = open_image(triple.real), open_image(triple.fake), triple.read_mask()
    rows = []
    for method, analyse in methods.items():
        before, after = analyse(real, 2 * number), analyse(fake, 2 * number + 1)
        pixel_ap, marked = free(after.map, mask)["pixel_ap"], binary(after.map, after.threshold)
        rows.append({
            "set": triple.set, "name": triple.name, "method": method,
            "pixel_ap": pixel_ap, "over_chance": pixel_ap - mask.mean(),
            "iou": iou(marked, mask), "pbca": pbca(marked, mask),
            "score_real": before.score, "score_fake": after.score,
            "marked_real": before.marked, "marked_fake": after.marked,
            "analysed_real": before.analysed, "analysed_fake": after.analysed, "threshold": after.threshold,
        })  # fmt: skip
    return rows


def summarize(images: pd.DataFrame) -> pd.DataFrame:
    """The first table of `bench_localize` from the second one."""
    sets = list(images.groupby("set", sort=False))
    if len(sets) > 1:
        sets.append((ALL_SETS, images))
    rows = []
    for name, of_set in sets:
        of_methods = [_summary_row(name, method, some) for method, some in of_set.groupby("method", sort=False)]
        rows += sorted(of_methods, key=lambda row: -row["pixel_ap"])
    return pd.DataFrame(rows, columns=COLUMNS)


def _summary_row(set_: str, method: str, images: pd.DataFrame) -> dict:
    """The numbers of one method on the triples of one set."""
    row, triples = {"set": set_, "n": len(images), "method": method}, (images.set + "/" + images.name).to_numpy()
    for measure in NUMBERS:
        if measure == "image_ap":
            real, fake = images.score_real.to_numpy(), images.score_fake.to_numpy()
            value = average_precision(np.repeat([0, 1], len(images)), np.concatenate([real, fake]))
            low, high = bootstrap_ap(real, triples, fake, triples)
        else:
            value = images[measure].mean()
            low, high = bootstrap(images[measure].to_numpy(), triples)
        numbers = {measure: value, f"{measure}_low": low, f"{measure}_high": high}
        row |= {key: round(float(number), 6) for key, number in numbers.items()}
    return row


def format_table(table: pd.DataFrame) -> str:
    """The first table of `bench_localize` for reading, in percent: a block of at most 100 columns per set.

    A star follows a pixel AP that is above chance: the interval of over_chance is above 0.
    """
    blocks = []
    for name, rows in table.groupby("set", sort=False):
        lines = [["", *MEASURES.values()]]
        for row in rows.to_dict("records"):
            lines.append([row_label(row["method"]), *(_cell(row, each) for each in MEASURES)])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
        blocks.append("\n".join([f"{name}, n = {rows.n.iloc[0]}", *padded]))
    return "\n\n".join([*blocks, CHANCE])


def _cell(row: dict, measure: str) -> str:
    """ "52.4 (44-59)", for a pixel AP above chance "52.4 (44-59)*"."""
    value, low, high = (100 * row[measure + end] for end in ("", "_low", "_high"))
    text = f"{value:.1f}" if np.isnan(low) or low == high else f"{value:.1f} ({low:.0f}-{high:.0f})"
    return text + "*" * (measure == "pixel_ap" and row["over_chance_low"] > 0)
