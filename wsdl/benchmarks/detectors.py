"""Speed as a ratio to a plain baseline in the same run: absolute times drift, ratios less."""

import time

import pandas as pd
import torch

from wsdl.core.device import autocast, pick_device, pick_precision, retain_freed_memory
from wsdl.core.progress import progress_bar
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch

INPUT = 299  # the paper's size


def detector(method: str, setup: str = "b", batch: int = 16, seconds: float = 10.0) -> pd.DataFrame:
    """Training steps of a detector at 299 px: plain fp32 NCHW, then what `train` does on this machine, interleaved."""
    torch.manual_seed(0)
    device = pick_device()
    pictures = torch.randn(batch, 3, INPUT, INPUT, device=device)
    labels = torch.randint(0, 2, (batch,), device=device)
    masks = torch.randint(0, 2, (batch, INPUT, INPUT), device=device) if setup == "c" else None
    examples = Batch(pictures, labels, masks)
    fast = f"{pick_precision()}, channels last"
    step = step_of(True, method, setup, examples)
    loops = {"fp32, NCHW (baseline)": (step_of(False, method, setup, examples), False), fast: (step, False)}
    if retain_freed_memory():
        loops[f"{fast}, memory kept"] = (step, True)
    spent, done = dict.fromkeys(loops, 0.0), dict.fromkeys(loops, 0)
    progress = progress_bar(0, "measuring", unit="step")
    while min(spent.values()) < seconds:
        for name, (step, keep) in loops.items():  # turn by turn, so that a busy minute hits all
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
        [{"loop": name, "pictures/s": round(rate, 2), "ratio": round(rate / base, 2)} for name, rate in rates.items()]
    )


def step_of(fast: bool, method: str, setup: str, examples: Batch):
    """One warmed-up training step as a function."""
    layout = torch.channels_last if fast else torch.contiguous_format
    model = build_detector(method, setup, INPUT).to(examples.images.device, memory_format=layout)
    model.prepare = lambda images: images.contiguous(memory_format=layout)  # they are tensors of the right size already
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        with autocast() if fast else torch.enable_grad():
            value = model.loss(examples)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if examples.images.is_cuda:
            torch.cuda.synchronize()

    step()
    return step
