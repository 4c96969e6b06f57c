"""Training and prediction of detectors: images per second, as ratios to a plain loop measured in the same run.

The plain loop is fp32, NCHW, and freed memory goes back to the system. All loops take turns, so a change in the load of
the machine affects all of them, and rates come from medians.
"""

from collections.abc import Callable

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from wsdl.benchmarks.timing import check_seconds, matrix_rate, median_seconds
from wsdl.config import find_setup
from wsdl.core.device import autocast, pick_device
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch, Detector

INPUT = 299  # the paper's size


def bench_detectors(methods: tuple[str, ...], setup: str = "b", batch: int = 16, seconds: float = 10.0) -> pd.DataFrame:
    """Time training and prediction of `methods` on batches at 299 px, as the plain loop and as wsdl does them.

    Columns: method, work, plain and wsdl (images/s), ratio of the two, limit, and, where Patches is among the methods,
    against_patches: the images/s of wsdl divided by those of Patches. On a CPU a second is one of CPU time. limit: what
    the ratio would be if all products of the network ran at the rate of one large matrix product in the precision of
    wsdl, and all else took no time; a gradient counts as two predictions.
    seconds: as in `median_seconds`; WsdlError outside its range.
    """
    check_seconds(seconds)
    loops = {key: loop for method in methods for key, loop in detector_loops(method, setup, batch).items()}
    rates = pd.Series({key: batch / median for key, median in median_seconds(loops, seconds).items()})
    table = rates.unstack(sort=False).rename_axis(["method", "work"]).reset_index()
    table["ratio"] = table.wsdl / table.plain
    operations = {method: _operations(method, setup) for method in methods}
    passes = table.work.map({"training": 3, "prediction": 1})
    table["limit"] = matrix_rate() / (table.method.map(operations) * passes) / table.plain
    if "patches" in methods:
        of_patches = table[table.method == "patches"].set_index("work").wsdl
        table["against_patches"] = table.wsdl / table.work.map(of_patches)
    return table.round(2)


def detector_loops(method: str, setup: str, batch: int) -> dict[tuple[str, str, str], Callable[[], None]]:
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


def _operations(method: str, setup: str) -> int:
    """Floating-point operations of one image forward through the network; products alone, two for each."""
    model = build_detector(method, setup, INPUT).to(pick_device())
    images, masks = torch.zeros(1, INPUT, INPUT, 3, dtype=torch.uint8), torch.zeros(1, INPUT, INPUT, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(Batch(images, masks[:, 0, 0], masks if find_setup(setup).has_masks else None))
    return counter.get_total_flops()


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
