"""Training and prediction of detectors: images per second, as ratios to a plain loop measured in the same run.

The plain loop is fp32, NCHW, and freed memory goes back to the system. All loops take turns, so a change in the load of
the machine affects all of them, and rates come from medians.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from wsdl.config import find_setup
from wsdl.core.device import autocast, pick_device, retain_freed_memory
from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch, Detector

INPUT = 299  # the paper's size
MAX_SECONDS = 3600  # on each loop
_ROUNDS = 3  # at least


def bench_detectors(methods: tuple[str, ...], setup: str = "b", batch: int = 16, seconds: float = 10.0) -> pd.DataFrame:
    """Time training and prediction of `methods` on batches at 299 px, as the plain loop and as wsdl does them.

    Columns: method, work, plain and wsdl (images/s), ratio of the two, and, where Patches is among the methods,
    against_patches: the images/s of wsdl divided by those of Patches. On a CPU a second is one of CPU time.
    seconds: on each of the loops, on average; each runs three times at least.
    """
    if not 0 < seconds <= MAX_SECONDS:
        raise WsdlError(f"--seconds: is {seconds}, but must be above 0 and at most {MAX_SECONDS}.")
    loops = {key: loop for method in methods for key, loop in _loops(method, setup, batch).items()}
    spent = {key: [] for key in loops}
    progress = progress_bar(0, "measuring", unit="loop")
    while len(spent[next(iter(spent))]) < _ROUNDS or sum(map(sum, spent.values())) < seconds * len(loops):
        for key, loop in loops.items():
            retain_freed_memory(key[-1] == "wsdl")
            spent[key].append(_seconds(loop))
            progress.update()
    progress.close()
    rates = pd.Series({key: batch / float(np.median(times)) for key, times in spent.items()})
    table = rates.unstack(sort=False).rename_axis(["method", "work"]).reset_index()
    table["ratio"] = table.wsdl / table.plain
    if "patches" in methods:
        of_patches = table[table.method == "patches"].set_index("work").wsdl
        table["against_patches"] = table.wsdl / table.work.map(of_patches)
    return table.round(2)


def _loops(method: str, setup: str, batch: int) -> dict[tuple[str, str, str], Callable[[], None]]:
    """(method, "training" or "prediction", "plain" or "wsdl") -> one step of it; each has run once, to warm up."""
    torch.manual_seed(0)
    device, has_masks = pick_device(), find_setup(setup).has_masks
    images = torch.randint(0, 256, (batch, INPUT, INPUT, 3), dtype=torch.uint8)
    labels = torch.randint(0, 2, (batch,), device=device)
    masks = torch.randint(0, 2, (batch, INPUT, INPUT), device=device) if has_masks else None
    examples = Batch(images, labels, masks)
    plain, fast = (build_detector(method, setup, INPUT).to(device) for _ in range(2))
    plain.prepare = lambda images: images.to(device).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
    fast.to(memory_format=torch.channels_last)

    def predict_plain() -> None:
        plain.eval()
        with torch.no_grad():
            [part.cpu() for part in plain.predict_batch(plain.prepare(images))]

    loops = {
        "training": {"plain": _training_step(plain, examples, fast=False),
                     "wsdl": _training_step(fast, examples, fast=True)},
        "prediction": {"plain": predict_plain, "wsdl": lambda: fast.predict(images.numpy())},
    }  # fmt: skip
    for loop in (loop for pair in loops.values() for loop in pair.values()):
        loop()
    return {(method, work, name): loop for work, pair in loops.items() for name, loop in pair.items()}


def _training_step(model: Detector, examples: Batch, fast: bool) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step() -> None:
        model.train()
        with autocast() if fast else torch.enable_grad():
            value = model(examples)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _seconds(loop: Callable[[], None]) -> float:
    """CPU seconds of one call, which other processes on the machine change little; on a GPU the time of the clock."""
    on_gpu = pick_device().type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    loop()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start
