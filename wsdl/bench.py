"""Speed as a ratio to a plain baseline in the same run: absolute times drift, ratios less."""

import time

import pandas as pd
import torch

from wsdl.detectors.patches import Patches
from wsdl.device import autocast, keep_memory, pick_device, pick_precision
from wsdl.progress import bar

INPUT = 299  # the paper's size


def patches(batch: int = 16, seconds: float = 10.0) -> pd.DataFrame:
    """Training steps of Patches at 299 px: plain fp32 NCHW, then what `train` does on this machine, interleaved."""
    torch.manual_seed(0)
    device = pick_device()
    pictures = torch.randn(batch, 3, INPUT, INPUT, device=device)
    labels = torch.randint(0, 2, (batch,), device=device)
    fast = f"{pick_precision()}, channels last"
    step = step_of(True, pictures, labels)
    loops = {"fp32, NCHW (baseline)": (step_of(False, pictures, labels), False), fast: (step, False)}
    if keep_memory():
        loops[f"{fast}, memory kept"] = (step, True)
    spent, done = dict.fromkeys(loops, 0.0), dict.fromkeys(loops, 0)
    progress = bar(0, "measuring", unit="step")
    while min(spent.values()) < seconds:
        for name, (step, keep) in loops.items():  # turn by turn, so that a busy minute hits all
            keep_memory(keep)
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


def step_of(fast: bool, pictures: torch.Tensor, labels: torch.Tensor):
    """One warmed-up training step as a function."""
    layout = torch.channels_last if fast else torch.contiguous_format
    model = Patches(INPUT).to(pictures.device, memory_format=layout)
    pictures = pictures.contiguous(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        with autocast() if fast else torch.enable_grad():
            value = model.loss_labels(model.logits(pictures).float(), labels)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if pictures.is_cuda:
            torch.cuda.synchronize()

    step()
    return step
