"""`bench profile`: where the time of training and prediction goes, in percent for each kind of work."""

from collections import Counter
from collections.abc import Callable

import pandas as pd
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from wsdl.benchmarks.detectors import detector_loops
from wsdl.core.device import retain_freed_memory

_STEPS = 3
# Kind of work -> beginnings of the names of operations, without "aten::".
_KINDS = {
    "normalisation": ("native_batch_norm", "native_group_norm"),
    "elementwise": ("relu", "threshold", "clamp", "add", "mul", "sum", "sigmoid", "max_pool", "mean"),
    "copies": ("copy_", "fill_", "empty", "resize_"),
}
PROFILE_COLUMNS = "method", "work", "convolution", "depthwise", *_KINDS, "optimizer", "other"


def bench_profile(methods: tuple[str, ...], setup: str = "b", batch: int = 16) -> pd.DataFrame:
    """One row per method and work (training, prediction) as wsdl does it, with the columns PROFILE_COLUMNS, in percent.

    convolution: those that mix channels; depthwise: those that do not; both with their gradients. elementwise:
    activations, sums, pooling. Seconds are those of the clock on a CPU, three steps of each, without those on a GPU.
    """
    retain_freed_memory()
    rows = []
    for method in methods:
        loops = detector_loops(method, setup, batch)
        rows += [{"method": method, "work": work, **profile_loop(loop)}
                 for (_, work, way), loop in loops.items() if way == "wsdl"]  # fmt: skip
    return pd.DataFrame(rows, columns=PROFILE_COLUMNS).fillna(0.0)


def profile_loop(loop: Callable[[], object]) -> dict[str, float]:
    """Percent of the time of `loop` for each kind of work in it."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as measured:
        for _ in range(_STEPS):
            loop()
    spent = Counter()
    for event in measured.events():
        spent[kind_of(event)] += event.self_cpu_time_total
    return {kind: 100 * part / spent.total() for kind, part in spent.items()}


def kind_of(event: FunctionEvent) -> str:
    """The column of PROFILE_COLUMNS that an operation belongs to."""
    if "convolution" in event.name:
        return _kind_of_convolution(event)
    caller = event
    while caller is not None:
        if caller.name.startswith("Optimizer."):
            return "optimizer"
        caller = caller.cpu_parent
    name = event.name.removeprefix("aten::")
    return next((kind for kind, starts in _KINDS.items() if name.startswith(starts)), "other")


def _kind_of_convolution(event: FunctionEvent) -> str:
    shapes = event.input_shapes  # x, weight, ...; of a gradient: gradient, x, weight, ...
    weight = shapes[2 if "backward" in event.name else 1] if len(shapes) > 2 else []
    return "depthwise" if weight[1:2] == [1] and weight[0] > 1 else "convolution"
