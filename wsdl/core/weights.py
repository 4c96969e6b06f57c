"""Weights and trainer states: written atomically, read without running code, and checked when they are read."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from wsdl.core.io import WsdlError, atomic
from wsdl.core.ranges import check_ranges
from wsdl.core.records import read_object
from wsdl.core.run import MODEL_FILE

T = TypeVar("T")
_SHAPE = ("size", "width", "widths", "channels", "patch", "latents")  # settings that decide the size of a network
_MISFIT = (RuntimeError, ValueError, LookupError, TypeError, AttributeError)  # raised for what is of another network
_DAMAGED = (*_MISFIT, SafetensorError, pickle.UnpicklingError, EOFError, OSError)  # ... or damaged, or no weights


def build_network(folder: Path, build: Callable[[dict], T], what: str) -> T:
    """build(config) for the config.json in FOLDER, a run of `what`. WsdlError where it describes no such network."""
    path = Path(folder) / "config.json"
    config = read_object(path)
    try:
        check_ranges(**{name: config[name] for name in _SHAPE if name in config})
        return build(config)
    except WsdlError as error:
        raise WsdlError(f"{path}: {error}") from None
    except _MISFIT as error:
        reason = f"no {error}" if isinstance(error, KeyError) else last_line(error)
        raise WsdlError(f"{path}: does not describe a run of {what} ({reason}); give one.") from None


def save_model(model: torch.nn.Module, folder: Path) -> None:
    """Write the state of `model` to FOLDER/model.safetensors."""
    content = save({name: value.contiguous() for name, value in model.state_dict().items()})
    with atomic(Path(folder) / MODEL_FILE, sync=True) as temporary:
        temporary.write_bytes(content)  # with the permissions of every other file; save_file would write 0600


def load_model(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """Load FOLDER/model.safetensors into `model` and return it; floating-point weights take the dtype of `model`.

    WsdlError where the file is missing, damaged, or does not fit the network that FOLDER/config.json describes.
    """
    path = Path(folder) / MODEL_FILE
    if not path.is_file():
        raise WsdlError(f"{folder}: holds no {MODEL_FILE}; train it first.")
    weights = read_weights(path)
    try:
        model.load_state_dict(weights)
    except _MISFIT as error:
        raise WsdlError(
            f"{path}: does not fit the network that config.json describes ({last_line(error)}); train it again."
        ) from None
    return model


def read_weights(path: Path, advice: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file. WsdlError where it is missing, damaged, or holds NaN or infinite values.

    advice: what to do then, for weights that wsdl did not train.
    """
    try:
        weights = load_file(path)
    except _DAMAGED as error:
        advice = advice or "train it again"
        raise WsdlError(f"{path}: is no valid file of weights ({last_line(error)}); {advice}.") from None
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            advice = advice or "train it again with a lower learning rate"
            raise WsdlError(f"{path}: {name} holds NaN or infinite values; {advice}.")
    return weights


def save_state(path: Path, state: dict) -> None:
    """Write a dictionary of tensors and plain values to `path`."""
    with atomic(path, sync=True) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # PyTorch's own, where the file could not be written
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def read_state(path: Path):
    """What `save_state`, or another program with torch.save, wrote to `path`: tensors and plain values only.

    WsdlError where the file is damaged or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        unsafe = isinstance(error, pickle.UnpicklingError)  # PyTorch's message is about how to run the code in it
        reason = "it does not hold tensors and plain values alone" if unsafe else first_line(error)
        raise WsdlError(f"{path}: is no valid file of PyTorch ({reason}).") from None


def restore_state(path: Path, restore) -> object | None:
    """The result of `restore(state)`, with the state of a training in `path`; None where there is none.

    WsdlError where the file is damaged or is the state of another network.
    """
    if not Path(path).exists():
        return None
    advice = "delete the file to train from the beginning"
    try:
        state = read_state(path)
    except WsdlError as error:
        raise WsdlError(f"{str(error).rstrip('.')}; {advice}.") from None
    try:
        return restore(state)
    except _MISFIT as error:
        raise WsdlError(f"{path}: does not fit this training ({last_line(error)}); {advice}.") from None


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or its type."""
    return next(iter(_lines(error)), type(error).__name__)


def last_line(error: Exception) -> str:
    """The last line of an exception's message, which in PyTorch names the tensor, or its type."""
    return next(reversed(_lines(error)), type(error).__name__)


def _lines(error: Exception) -> list[str]:
    return [line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()]
