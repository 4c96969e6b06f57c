"""`bench published`: the methods of others on a dataset, as in the last table of the paper, and what they cost."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.device import peak_megabytes
from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr
from wsdl.data.dataset import Dataset
from wsdl.data.paper_sets import choose_generators
from wsdl.detectors.published import PUBLISHED, find_published, load_published, random_method
from wsdl.evaluation.baselines import baseline_rows, row_label
from wsdl.evaluation.evaluate import metrics_rows
from wsdl.evaluation.scoring import score_protocols

METHODS = (*PUBLISHED, "hifi-net")  # in the order of the paper's table
MEASURED, QUOTED, NOT_GIVEN, NOT_HERE = "measured", "quoted", "weights not given", "not part of wsdl"
RANDOM, NOT_INSTALLED = "measured, random weights", "not installed"
SIZE = 256  # pixels, of the images that `bench_cost` times
# IoU and PBCA in percent, from the paper (Tantaru et al. 2024): on Repaint-P2/CelebA-HQ, and on COCO Glide.
_QUOTED = {
    "mantranet": ((4.8, 81.9), (25.1, 79.8)),
    "noiseprint": ((18.2, 23.8), (23.9, 29.0)),
    "psccnet": ((14.3, 66.5), (33.3, 80.6)),
    "trufor": ((23.1, 81.3), (29.2, 81.4)),
    "hifi-net": ((0.0, 81.0), (2.6, 3.2)),
    "psccnet, trained in c": ((89.0, 98.8), (13.3, 18.4)),
    "patches, trained in c": ((84.5, 98.7), (30.8, 64.8)),
}
_QUOTED_ON = "repaint-p2, celebahq", "coco-glide"
COLUMNS = ("method", "numbers", "on", *(name + end for name in ("iou", "pbca", "ap") for end in ("", "_low", "_high")),
           "n")  # fmt: skip
COST_COLUMNS = "method", "seconds", "images_per_second", "cpu_seconds", "peak_mb", "numbers"


def bench_published(data: Path, weights: Path | None, generators: tuple[str, ...] = ()) -> pd.DataFrame:
    """The published methods and all baselines on the test split of `data`; then what the paper states, as such.

    Columns are COLUMNS, numbers in percent under preset dolos with 95 % intervals over source faces; `numbers` is
    MEASURED, QUOTED, NOT_GIVEN where the weights of a method are not in `weights`, or NOT_HERE where wsdl cannot run
    it. WsdlError as `evaluate`.
    """
    dataset = Dataset(data, choose_generators(data, generators))
    on = dataset.info.get("name") or Path(data).name
    rows = []
    found = find_published(weights) if weights else {}
    for name in METHODS:
        method = found.get(name)
        if method is None:
            rows.append({"method": name, "numbers": _why_not(name), "on": on})
            continue

        def predict(index, method=method):
            return method.predict(dataset.images[index])

        scored = score_protocols(dataset, predict)[1]
        rows.append({"numbers": MEASURED, "on": on, **_row(name, scored)})
    scored = baseline_rows(dataset, seed=0)
    for name in dict.fromkeys(row["method"] for row in scored):
        of = [row for row in scored if row["method"] == name]
        rows.append({"numbers": MEASURED, "on": on, **_row(row_label(name), of)})
    return pd.DataFrame([*rows, *_quoted_rows()], columns=COLUMNS)


def _why_not(name: str) -> str:
    """Why the method `name` of METHODS was not run."""
    return NOT_GIVEN if name in PUBLISHED else NOT_HERE


def bench_cost(weights: Path | None = None, images: int = 2, size: int = SIZE) -> pd.DataFrame:
    """Seconds and memory of each method for an image of `size` px, one image at a time; NaN where it was not run.

    cpu_seconds is the time of all cores, which other programs on the machine change less.

    `numbers` is MEASURED, RANDOM where the weights are not in `weights` (they do not change the cost), NOT_INSTALLED
    where the packages of the extra `peers` are missing, or NOT_HERE. peak_mb is the peak memory of a process that only
    loads and runs this method, NaN where the system does not report it. WsdlError where `weights` is no folder.
    """
    names = find_published(weights) if weights else {}
    rows = []
    for name in METHODS:
        row = {"numbers": NOT_HERE}
        if name in PUBLISHED:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                row = pool.submit(measure_cost, name, weights if names.get(name) else None, images, size).result()
        rows.append({"method": name, **row})
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def measure_cost(name: str, weights: Path | None, images: int, size: int) -> dict:
    """A row of `bench_cost`, measured in this process."""
    try:
        method = load_published(name, weights) if weights else random_method(name)
    except WsdlError as error:
        print_stderr(f"wsdl: {error}")
        return {"numbers": NOT_INSTALLED}
    pixels = np.random.default_rng(0).integers(0, 256, (images + 1, size, size, 3), np.uint8)
    method.predict(pixels[:1])  # the first pass allocates
    start, cpu = time.perf_counter(), time.process_time()
    for image in pixels[1:]:
        method.predict(image[None])
    seconds, cpu = (time.perf_counter() - start) / images, (time.process_time() - cpu) / images
    row = {
        "numbers": MEASURED if weights else RANDOM,
        "seconds": seconds,
        "images_per_second": 1 / seconds,
        "cpu_seconds": cpu,
    }
    return row | {"peak_mb": np.nan if (peak := peak_megabytes()) is None else round(peak)}


def _row(name: str, scored: list[dict]) -> dict:
    """One method's numbers in percent."""
    (row,) = metrics_rows([{"method": name, "setup": "", "seed": 0, **each} for each in scored], "dolos")
    percent = {key: 100 * row[key] if row[key] is not None else np.nan for key in COLUMNS[3:-1]}
    return {"method": name, "n": row["n"], **{key: round(value, 1) for key, value in percent.items()}}


def _quoted_rows() -> list[dict]:
    return [
        {"method": name, "numbers": QUOTED, "on": on, "iou": iou, "pbca": pbca}
        for column, on in enumerate(_QUOTED_ON)
        for name, (iou, pbca) in ((name, of[column]) for name, of in _QUOTED.items())
    ]
