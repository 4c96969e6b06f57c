"""Baselines: maps without learning, scored by the same code as a detector, once per dataset.

A method that is not above these is not shown to be better than a map without learning. The trivial ones ignore the
image: each is a function (number of the image, (H, W)) -> float32 [H, W] in [0, 1]. The others are classical forensic
methods.
"""

import hashlib
import json
import re
from contextlib import suppress

import numpy as np

from wsdl.core.io import WsdlError, read_json, seed_for, write_json
from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction, scored_by_mean
from wsdl.evaluation.forensics import FORENSIC_BASELINES
from wsdl.evaluation.scoring import score_protocols

PRIOR_AREA = 0.19  # of the centre prior above 0.5: the mean mask area of the paper's test set
METHOD_TITLES = {"patches-mil": "Patches-MIL", "patches": "Patches", "grad-cam": "Grad-CAM", "attention": "Attention",
                 "psccnet": "PSCC-Net", "frozen": "Frozen features"}  # fmt: skip
_RUN = re.compile(
    rf"({'|'.join(METHOD_TITLES)})(?:,? (?:setup )?([abc])(?![\w-])|(?=$|,|:))"
)  # "patches, a", "patches a"
_SETUP = re.compile(r"setup ([abc])(?![\w-])")
_VERSION = 1  # of all numbers of baselines; a higher one makes every cache obsolete


def all_fake(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Every pixel is fake. IoU and PBCA are the area of the mask."""
    return np.ones(shape, np.float32)


def all_real(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Every pixel is real. IoU is 0 (of a partial fake), PBCA is one minus the area of the mask."""
    return np.zeros(shape, np.float32)


def random_map(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Uniform noise that depends on the number of the image alone. PBCA is about .5."""
    return np.random.default_rng(seed_for("random control", number)).random(shape, np.float32)


def centre_prior(number: int, shape: tuple[int, int]) -> np.ndarray:
    """A smooth blob in the centre, where faces are; 0.5 on an ellipse that covers PRIOR_AREA of the image."""
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in shape)
    squared = (y[:, None] ** 2 + x[None, :] ** 2) * np.pi / PRIOR_AREA  # 1 on the ellipse
    return (0.5**squared).astype(np.float32)


TRIVIAL_BASELINES = {"all-fake": all_fake, "all-real": all_real, "random": random_map, "centre-prior": centre_prior}
BASELINES = tuple(  # row names in files, in the order of every table
    [f"control: {name}" for name in TRIVIAL_BASELINES] + [f"forensic: {name}" for name in FORENSIC_BASELINES]
)


def row_kind(method: str) -> str:
    """The kind of a table's row: "detector", "trivial" (a baseline that ignores the image) or "forensic"."""
    kinds = {"control": "trivial", "forensic": "forensic"}
    return kinds.get(method.partition(":")[0], "detector")


def row_label(method: str) -> str:
    """The text shown for a row name in a file: "control: centre-prior" -> "baseline: centre prior"; detectors as is."""
    if row_kind(method) == "detector":
        return method
    name = method.partition(": ")[2]
    shown = {"centre-prior": "centre prior", "ela": "ELA"}
    return f"baseline: {shown.get(name, name)}"


def run_label(name: str) -> str:
    """The text shown for a run: "patches, a, seed 0" -> "Patches, setup A, seed 0"; "setup b" -> "Setup B".

    Only the beginning of `name` changes; a name that begins otherwise is shown as it is.
    """
    if match := _RUN.match(name):
        setup = f", setup {match[2].upper()}" if match[2] else ""
        return METHOD_TITLES[match[1]] + setup + name[match.end() :]
    if match := _SETUP.match(name):
        return f"Setup {match[1].upper()}{name[match.end() :]}"
    return name


def predict_baseline(method: str, dataset: Dataset, index: np.ndarray) -> Prediction:
    """The maps of the baseline with row name `method` for the images at `index`; a score is the mean of its map."""
    name = method.partition(": ")[2]
    if row_kind(method) == "trivial":
        shape = (dataset.size, dataset.size)
        return scored_by_mean(np.stack([TRIVIAL_BASELINES[name](int(i), shape) for i in index]))
    return scored_by_mean(np.stack([FORENSIC_BASELINES[name](dataset.images[i]) for i in index]))


def baseline_rows(dataset: Dataset, seed: int, extra: tuple[str, ...] = (), split: str = "test") -> list[dict]:
    """The rows of `score_protocols` of all baselines on `split`, computed once per dataset.

    extra: protocols besides `dolos`. `seed` fills the column of that name; the numbers do not depend on it. The rows
    are cached in the dataset's folder. A cache of other data, generators or protocols, of another version, or with a
    wrong checksum is computed again.
    """
    made_from = {
        "version": _VERSION,
        "data": dataset.info["manifest_sha256"],
        "generators": list(dataset.generators),
        "protocols": ["dolos", *extra],
        "baselines": list(BASELINES),
    } | ({"split": split} if split != "test" else {})
    path = dataset.cache_folder / f"baselines-{_checksum(made_from)[:16]}.json"
    rows = _read_cache(path, made_from)
    if rows is None:
        rows = [
            {"method": method, **row} for method in BASELINES for row in _score_baseline(method, dataset, extra, split)
        ]
        with suppress(WsdlError):  # a folder without write permission has no cache
            write_json(path, {**made_from, "checksum": _checksum(rows), "rows": rows})
    return [{"method": row["method"], "setup": "", "seed": seed, **row} for row in rows]


def _score_baseline(method: str, dataset: Dataset, extra: tuple[str, ...], split: str) -> list[dict]:
    return score_protocols(dataset, lambda index: predict_baseline(method, dataset, index), extra, split)[1]


def _read_cache(path, made_from: dict) -> list[dict] | None:
    """The rows in `path` if it is intact and was made from the same things."""
    try:
        stored = read_json(path)
        same = {key: stored.get(key) for key in made_from} == made_from
        return stored["rows"] if same and stored["checksum"] == _checksum(stored["rows"]) else None
    except (WsdlError, AttributeError, KeyError):
        return None


def _checksum(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
