"""Weights of a network in a run folder: written atomically, read without running code."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from wsdl.core.io import WsdlError, atomic
from wsdl.core.run import MODEL_FILE


def save_model(model: torch.nn.Module, folder: Path) -> None:
    """Write the state of `model` to FOLDER/model.safetensors."""
    content = save({name: value.contiguous() for name, value in model.state_dict().items()})
    with atomic(Path(folder) / MODEL_FILE) as temporary:
        temporary.write_bytes(content)  # with the permissions of every other file; save_file would write 0600


def load_model(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """Load FOLDER/model.safetensors into `model` and return it; floating-point weights take the dtype of `model`.

    WsdlError where the file is missing, damaged, or does not fit the network that FOLDER/config.json describes.
    """
    path = Path(folder) / MODEL_FILE
    if not path.is_file():
        raise WsdlError(f"{folder}: holds no {MODEL_FILE}; train it first.")
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise WsdlError(
            f"{path}: does not fit the network that config.json describes ({reason}); train it again."
        ) from None
    return model
