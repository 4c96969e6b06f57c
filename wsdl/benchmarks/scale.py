"""`bench scale`: seconds and memory of each step of the work on datasets of growing size.

Every step is a process of its own, `python -m wsdl ...`, as a user starts it. Images are drawn for the purpose.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from wsdl.core.device import maxrss_megabytes
from wsdl.core.io import WsdlError, atomic, seed_for, write_json
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr

SIDE = 64  # pixels
MIN_IMAGES = 200
SCALE_COLUMNS = "step", "images", "seconds", "cpu_seconds", "peak_mb", "growth"
# Linux counts the memory of the process that starts a program as the program's own: a small process starts each step.
_STARTER = """
import resource, subprocess, sys
with open(sys.argv[1], "w") as log:
    code = subprocess.run(sys.argv[2:], stdout=log, stderr=subprocess.STDOUT).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
_PROFILE = {"patches_mil": {"input_size": SIDE, "images": 64, "images_c": 64, "check_every": 64}}


def bench_scale(out: Path, counts: tuple[int, ...]) -> pd.DataFrame:
    """One row for each step and number of images, half of them real, with the columns SCALE_COLUMNS; -> OUT/scale.csv.

    peak_mb: the largest memory of the process. growth: the exponent b of cpu_seconds ~ images^b against the row
    before; 1 is linear, 2 quadratic, and fixed costs make it smaller. Steps that are done already would be skipped, so
    `out` must be new or empty. WsdlError for fewer than MIN_IMAGES images, and for the message of a step that fails.
    """
    out = Path(out)
    if min(counts) < MIN_IMAGES:
        raise WsdlError(f"--images: has {min(counts)}, but must be {MIN_IMAGES} or more.")
    if os.name != "posix":
        raise WsdlError("bench scale: needs a system that reports the memory of a process that has ended, as Linux.")
    if out.is_dir() and any(out.iterdir()):
        raise WsdlError(f"{out}: is not empty; give a new folder, or empty this one.")
    rows = [row for count in sorted(set(counts)) for row in _measure(out / str(count), count)]
    table = pd.DataFrame(rows, columns=SCALE_COLUMNS[:-1])
    steps = table.groupby("step", sort=False)
    growth = np.log(table.cpu_seconds / steps.cpu_seconds.shift()) / np.log(table.images / steps.images.shift())
    table = table.assign(growth=growth).sort_values(["step", "images"], key=_in_order(table))
    with atomic(out / "scale.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4g")
    return table


def _in_order(table: pd.DataFrame):
    """A key for sort_values: steps as they were run, then images."""
    order = {step: i for i, step in enumerate(dict.fromkeys(table.step))}
    return lambda column: column.map(order) if column.name == "step" else column


def _measure(folder: Path, count: int) -> list[dict]:
    """The rows of one number of images."""
    draw_folders(folder, count)
    write_json(folder / "profile.json", _PROFILE)
    given = [f"--{part}={folder / part}" for part in ("real", "partial", "masks")]
    data, run = str(folder / "data"), str(folder / "run")
    steps = {
        "prepare": ["data", "prepare", *given, "--size", str(SIDE), "--out", data],
        "check": ["data", "check", data],
        "train": ["train", "--method", "patches-mil", "--setup", "c", "--data", data,
                  "--profile", str(folder / "profile.json"), "--out", run],
        "evaluate": ["evaluate", run, "--data", data],
        "report": ["report", "site", "--runs", str(folder), "--out", str(folder / "site")],
    }  # fmt: skip
    return [{"step": step, "images": count, **_timed(words, folder / f"{step}.log")} for step, words in steps.items()]


def draw_folders(folder: Path, count: int) -> None:
    """Write count / 2 real images, as many edited ones and their masks (255 = real, 0 = edited) to sub-folders."""
    for part in ("real", "partial", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)

    def write(i: int) -> None:
        rng = np.random.default_rng(seed_for("bench scale", i))
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        real = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
        real = (real + rng.integers(-8, 9, real.shape)).clip(0, 255).astype(np.uint8)
        top, left = rng.integers(8, SIDE // 2, 2)
        region = slice(top, top + SIDE // 3), slice(left, left + SIDE // 3)
        edited, mask = real.copy(), np.full((SIDE, SIDE), 255, np.uint8)
        edited[region], mask[region] = real[region].mean(axis=(0, 1)), 0
        for part, pixels in (("real", real), ("partial", edited), ("masks", mask)):
            Image.fromarray(pixels).save(folder / part / f"{i:06d}.png", compress_level=1)

    parallel_map(write, range(count // 2), f"drawing {count:,} images")


def _timed(words: list[str], log: Path) -> dict:
    """Run `python -m wsdl WORDS` and return what it took. WsdlError with its last line where it fails."""
    print_stderr(f"python -m wsdl {' '.join(words[:2])} ...")
    started = time.monotonic()
    command = [sys.executable, "-c", _STARTER, str(log), sys.executable, "-m", "wsdl", *words]
    code, cpu_seconds, peak = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    if int(code):
        last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise WsdlError(f"{log}: `{' '.join(words[:2])}` failed: {last[-200:]}")
    return {"seconds": time.monotonic() - started, "cpu_seconds": float(cpu_seconds),
            "peak_mb": round(maxrss_megabytes(int(peak)))}  # fmt: skip
