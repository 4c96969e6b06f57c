"""Seconds of loops that take turns, so that a change in the load of the machine affects all; the rate of a product."""

import time
from collections.abc import Callable

import numpy as np
import torch

from wsdl.core.device import pick_device, pick_precision, retain_freed_memory
from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar

MAX_SECONDS = 3600  # on each loop
_ROUNDS = 3  # at least


def check_seconds(seconds: float) -> None:
    """WsdlError unless 0 < seconds <= MAX_SECONDS."""
    if not 0 < seconds <= MAX_SECONDS:
        raise WsdlError(f"--seconds: is {seconds}, but must be above 0 and at most {MAX_SECONDS}.")


def median_seconds(loops: dict[tuple[str, ...], Callable[[], None]], seconds: float) -> dict[tuple[str, ...], float]:
    """The median seconds of each loop, under its key. On a CPU a second is one of CPU time.

    Freed memory is retained where the key ends with "wsdl", and goes back to the system elsewhere. seconds: on each of
    the loops, on average; each runs three times at least.
    """
    spent = {key: [] for key in loops}
    progress = progress_bar(0, "measuring", unit="loop")
    while len(spent[next(iter(spent))]) < _ROUNDS or sum(map(sum, spent.values())) < seconds * len(loops):
        for key, loop in loops.items():
            retain_freed_memory(key[-1] == "wsdl")
            spent[key].append(_seconds(loop))
            progress.update()
    progress.close()
    return {key: float(np.median(times)) for key, times in spent.items()}


def matrix_rate(size: int = 1024) -> float:
    """Floating-point operations per second of one product of two size x size matrices, in the precision of wsdl."""
    dtype = torch.bfloat16 if pick_precision() == "bf16" else torch.float32
    a, b = torch.rand(2, size, size, device=pick_device(), dtype=dtype)
    a @ b  # the first is slower
    return 2 * size**3 / float(np.median([_seconds(lambda: a @ b) for _ in range(5)]))


def _seconds(loop: Callable[[], object]) -> float:
    """CPU seconds of one call, which other processes on the machine change little; on a GPU the time of the clock."""
    on_gpu = pick_device().type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    loop()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start
