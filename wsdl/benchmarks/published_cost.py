"""`bench published` without data: seconds and memory of each published method for an image of 256 px."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.benchmarks.published import MEASURED, NOT_INSTALLED
from wsdl.core.device import peak_megabytes
from wsdl.core.progress import print_stderr
from wsdl.detectors.published import PUBLISHED, find_published, load_published, random_method
from wsdl.detectors.published.peers import NotInstalledError

RANDOM = "measured, random weights"
SIZE = 256  # pixels, of the images that `bench_cost` times
COST_COLUMNS = "method", "seconds", "images_per_second", "cpu_seconds", "peak_mb", "numbers"


def bench_cost(weights: Path | None = None, images: int = 2, size: int = SIZE) -> pd.DataFrame:
    """Seconds and memory of each method for an image of `size` px, one image at a time; NaN where it was not run.

    cpu_seconds is the time of all cores, which other programs on the machine change less. `numbers` is MEASURED,
    RANDOM where the weights are not in `weights` (they do not change the cost), or NOT_INSTALLED where the packages
    of the extra `peers` are missing. peak_mb is the peak memory of a process that only loads and runs this
    method, NaN where the system does not report it. WsdlError where `weights` is no folder, or has files that cannot
    be used.
    """
    names = find_published(weights) if weights else {}
    rows = []
    for name in PUBLISHED:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            row = pool.submit(measure_cost, name, weights if names.get(name) else None, images, size).result()
        rows.append({"method": name, **row})
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def measure_cost(name: str, weights: Path | None, images: int, size: int) -> dict:
    """A row of `bench_cost`, measured in this process."""
    try:
        method = load_published(name, weights) if weights else random_method(name)
    except NotInstalledError as error:
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
