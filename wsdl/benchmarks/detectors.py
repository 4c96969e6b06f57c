"""Training throughput of detectors, as a ratio to a reference measured in the same run.

Absolute times vary with the load of the machine; ratios vary less.
"""

import time
from collections.abc import Callable

import pandas as pd
import torch

from wsdl.config import find_setup
from wsdl.core.device import autocast, pick_device, pick_precision, retain_freed_memory
from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch

INPUT = 299  # the paper's size
MAX_SECONDS = 3600  # on each variant


def bench_training(method: str, setup: str = "b", batch: int = 16, seconds: float = 10.0) -> pd.DataFrame:
    """Time training steps at 299 px: plain fp32 NCHW (the reference), then as `train` does them on this machine.

    Columns: loop, images/s, ratio. The variants take turns, so a change of load affects all of them.
    """
    if not 0 < seconds <= MAX_SECONDS:
        raise WsdlError(f"--seconds: is {seconds}, but must be above 0 and at most {MAX_SECONDS}.")
    torch.manual_seed(0)
    device = pick_device()
    images = torch.randn(batch, 3, INPUT, INPUT, device=device)
    labels = torch.randint(0, 2, (batch,), device=device)
    has_masks = find_setup(setup).has_masks
    masks = torch.randint(0, 2, (batch, INPUT, INPUT), device=device) if has_masks else None
    examples = Batch(images, labels, masks)
    fast = f"{pick_precision()}, channels last"
    step = _training_step(True, method, setup, examples)
    loops = {"fp32, NCHW (baseline)": (_training_step(False, method, setup, examples), False), fast: (step, False)}
    if retain_freed_memory():
        loops[f"{fast}, memory kept"] = (step, True)
    spent, done = dict.fromkeys(loops, 0.0), dict.fromkeys(loops, 0)
    progress = progress_bar(0, "measuring", unit="step")
    while min(spent.values()) < seconds:
        for name, (step, keep) in loops.items():
            retain_freed_memory(keep)
            start = time.perf_counter()
            step()
            spent[name] += time.perf_counter() - start
            done[name] += batch
            progress.update()
    progress.close()
    rates = {name: done[name] / spent[name] for name in loops}
    base = next(iter(rates.values()))
    return pd.DataFrame(
        [{"loop": name, "images/s": round(rate, 2), "ratio": round(rate / base, 2)} for name, rate in rates.items()]
    )


def _training_step(fast: bool, method: str, setup: str, examples: Batch) -> Callable[[], None]:
    """One training step as a function, run once for warm-up."""
    layout = torch.channels_last if fast else torch.contiguous_format
    model = build_detector(method, setup, INPUT).to(examples.images.device, memory_format=layout)
    model.prepare = lambda images: images.contiguous(memory_format=layout)  # already tensors of the input size
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step() -> None:
        with autocast() if fast else torch.enable_grad():
            value = model.loss(examples)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if examples.images.is_cuda:
            torch.cuda.synchronize()

    step()
    return step
