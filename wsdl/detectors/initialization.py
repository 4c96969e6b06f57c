"""Where a detector starts from: scratch, ImageNet's weights where they are at hand, or a file. Fetches nothing."""

import pickle
from pathlib import Path

import timm
import torch
import torch.nn as nn
from safetensors import SafetensorError
from safetensors.torch import load_file

from wsdl.core.io import WsdlError, sha256
from wsdl.core.progress import print_stderr

_DOWNLOAD = """python -c "import timm; timm.create_model('legacy_xception', pretrained=True)\""""


def find_initial_weights(start: str) -> tuple[Path | None, str]:
    """Where the weights named by `start` lie (None: start from scratch), and what config.json calls them.

    `start` is scratch, xavier (see `xavier`), imagenet (timm's cache; from scratch where they are not there), or a file
    of weights.
    """
    if start in ("scratch", "xavier"):
        return None, start
    if start == "imagenet":
        path = imagenet_cache()
        print_stderr(
            f"starts from ImageNet: {path}"
            if path
            else f"starts from scratch: no ImageNet weights here; get: {_DOWNLOAD}"
        )
        return path, "imagenet" if path else "scratch"
    if not Path(start).is_file():
        raise WsdlError(f"{start}: no such file; start must be scratch, xavier, imagenet, or a file of weights.")
    return Path(start), f"{Path(start).name} {sha256(start)[:12]}"


def init_xavier(model: nn.Module) -> None:
    """How the paper's Patches starts in setups A and B: Xavier's weights times 0.02.

    What follows is normalised, so their size changes no output; but beside such small weights a step of Adam is huge,
    and the first thousands of steps are spent on growing. Right for the paper's 3,200,000 pictures, not for minutes.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_normal_(layer.weight, gain=0.02)


def imagenet_cache() -> Path | None:
    """Where timm keeps its weights of legacy_xception, if it has them already."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(timm.get_pretrained_cfg("legacy_xception").url).name
    return path if path.exists() else None


def load_initial_weights(model: nn.Module, path: Path) -> None:
    """Fill the stretches of Xception in `model`, and its attention map where there is one, from the file at `path`.

    The last layer stays as it is: it told other classes apart. WsdlError where a tensor is missing or does not fit.
    """
    given = _read_weights(path)
    for part in model.children():
        if isinstance(part, nn.Sequential):
            _fill(part, given, path)
    if "map.conv1.weight" in given and hasattr(model, "map"):
        _fill(model.map, {name.removeprefix("map."): t for name, t in given.items() if name.startswith("map.")}, path)


def _fill(part: nn.Module, given: dict, path: Path) -> None:
    own = {name: t for name, t in part.state_dict().items() if name.split(".")[0] != "fc" and t.ndim}  # no counters
    wrong = [name for name, t in own.items() if name not in given or given[name].shape[: t.ndim] != t.shape]
    if wrong:
        raise WsdlError(
            f"{path}: does not fit, {len(wrong)} of {len(own)} tensors are missing or of another shape (first: "
            f"{wrong[0]}); give weights of timm's legacy_xception, or of FFD with a regressed map."
        )
    part.load_state_dict({name: given[name] for name in own}, strict=False)


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a safetensors or torch file, under timm's names. WsdlError where it holds anything else."""
    try:
        given = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WsdlError(f"{path}: is not a file of weights ({str(error).splitlines()[0]}).") from None
    given = given.get("net", given)  # FFD stores its optimizer beside the network
    return {_rename_keys(name): _pointwise(name, t) for name, t in given.items() if torch.is_tensor(t)}


def _rename_keys(name: str) -> str:
    """FFD's names for the same layers, in timm's words; timm's own stay."""
    name = name.removeprefix("module.").replace(".c.weight", ".conv1.weight").replace("skip_bn.", "skipbn.")
    return name.replace("map.c.", "map.")


def _pointwise(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Old files keep 1 x 1 convolutions as matrices."""
    return tensor[:, :, None, None] if "pointwise" in name and tensor.ndim == 2 else tensor
