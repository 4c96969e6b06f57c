"""Files of published weights: tensors by name, read without running code and compared with those of the network."""

from pathlib import Path

import numpy as np
import torch
from numpy._core.multiarray import scalar

from wsdl.core.io import WsdlError
from wsdl.core.weights import read_state

# Checkpoints also hold numbers of NumPy, such as the best score in that of TruFor, by a name of NumPy 1 or 2.
_NUMBERS = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype,
            *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8"))]  # fmt: skip
_WRAPPERS = "state_dict", "model"  # keys of training checkpoints under which the tensors are


def read_tensors(path: Path, what: str) -> dict[str, torch.Tensor]:
    """The tensors in a file of torch.save, by name: those of a training checkpoint, without the prefix `module.`.

    what: the file that is wanted, for the message. WsdlError where the file would run code or holds no tensors by name.
    """
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            given = read_state(path)
    except WsdlError as error:
        raise WsdlError(f"{str(error).rstrip('.')}; give {what}.") from None
    for key in _WRAPPERS:
        if isinstance(given, dict) and isinstance(given.get(key), dict):
            given = given[key]
    if not isinstance(given, dict) or not all(isinstance(value, torch.Tensor) for value in given.values()):
        raise WsdlError(f"{path}: holds no tensors by name; give {what}.")
    return {name.removeprefix("module."): value for name, value in given.items()}


def check_tensors(given: dict[str, torch.Tensor], shapes: dict[str, tuple[int, ...]], where: Path, what: str) -> None:
    """WsdlError where the tensors are not those that `shapes` lists, or not finite; it names the first such tensor."""
    if problem := _first_problem(given, shapes):
        raise WsdlError(f"{where}: {problem}; give {what}.")


def _first_problem(given: dict[str, torch.Tensor], shapes: dict[str, tuple[int, ...]]) -> str:
    for name in [*shapes, *given]:
        if name not in given:
            return f"{name} is missing"
        if name not in shapes:
            return f"{name} is unknown"
        if tuple(given[name].shape) != tuple(shapes[name]):
            return f"{name} has the shape {tuple(given[name].shape)}, not {tuple(shapes[name])}"
        if not given[name].isfinite().all():
            return f"{name} holds NaN or infinite values"
    return ""
