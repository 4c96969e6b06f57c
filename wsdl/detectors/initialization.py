"""Initial weights of a detector: random, ImageNet from timm's cache, or a file. Nothing is downloaded."""

from pathlib import Path

import timm
import torch
import torch.nn as nn

from wsdl.core.io import WsdlError, sha256
from wsdl.core.progress import print_stderr
from wsdl.core.weights import read_state, read_weights

_DOWNLOAD = """python -c "import timm; timm.create_model('legacy_xception', pretrained=True)\""""


def find_initial_weights(start: str) -> tuple[Path | None, str]:
    """The file of the weights named by `start` (None: random initialisation), and their name in config.json.

    start: scratch, xavier (see `init_xavier`), imagenet (from timm's cache; scratch if it is not there), or a file.
    WsdlError where it is none of these.
    """
    if start in ("scratch", "xavier"):
        return None, start
    if start == "imagenet":
        path = imagenet_cache()
        if path is None:
            print_stderr(f"starting from scratch: no ImageNet weights found; to download them: {_DOWNLOAD}")
            return None, "scratch"
        print_stderr(f"starting from ImageNet weights: {path}")
        return path, "imagenet"
    if not Path(start).is_file():
        raise WsdlError(f"{start}: no such file; start must be scratch, xavier, imagenet, or a file of weights.")
    return Path(start), f"{Path(start).name} {sha256(start)[:12]}"


def init_xavier(model: nn.Module) -> None:
    """Initialise as the paper's Patches in setups A and B: Xavier weights times 0.02.

    Every convolution is followed by normalisation, so the scale changes no output. But a step of Adam is large
    relative to such small weights, and the first thousands of steps mostly make them grow. Suitable for the paper's
    3,200,000 images, not for a training of minutes.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_normal_(layer.weight, gain=0.02)


def imagenet_cache() -> Path | None:
    """The file of legacy_xception in timm's cache, if it was downloaded before."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(timm.get_pretrained_cfg("legacy_xception").url).name
    return path if path.exists() else None


def load_initial_weights(model: nn.Module, path: Path) -> None:
    """Load the Xception layers of `model`, and its attention map if both have one, from the file at `path`.

    The last layer keeps its random weights: it separates other classes. WsdlError where a tensor is missing or has
    another shape.
    """
    given = _read_weights(path)
    for part in model.children():
        if isinstance(part, nn.Sequential):
            _load_part(part, given, path)
    if "map.conv1.weight" in given and hasattr(model, "map"):
        of_map = {name.removeprefix("map."): tensor for name, tensor in given.items() if name.startswith("map.")}
        _load_part(model.map, of_map, path)


def _load_part(part: nn.Module, given: dict, path: Path) -> None:
    own = {name: t for name, t in part.state_dict().items() if name.split(".")[0] != "fc" and t.ndim}  # no counters
    wrong = [name for name, t in own.items() if name not in given or given[name].shape[: t.ndim] != t.shape]
    if wrong:
        raise WsdlError(
            f"{path}: does not fit, {len(wrong)} of {len(own)} tensors are missing or of another shape (first: "
            f"{wrong[0]}); give weights of timm's legacy_xception, or of FFD with a regressed map."
        )
    part.load_state_dict({name: given[name] for name in own}, strict=False)


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors or torch file, under timm's names. WsdlError for any other file."""
    try:
        given = read_weights(path) if path.suffix == ".safetensors" else read_state(path)
    except WsdlError as error:
        reason = str(error).split("; train it")[0].rstrip(".")
        raise WsdlError(f"{reason}; delete it, or give weights of timm's legacy_xception.") from None
    given = given.get("net", given) if isinstance(given, dict) else None  # FFD also stores its optimizer
    if not isinstance(given, dict):
        raise WsdlError(f"{path}: holds no tensors by name; give weights of timm's legacy_xception.")
    return {_timm_name(str(name)): _as_convolution(str(name), t) for name, t in given.items() if torch.is_tensor(t)}


def _timm_name(name: str) -> str:
    """The name in timm of a tensor of FFD; timm's own names stay."""
    name = name.removeprefix("module.").replace(".c.weight", ".conv1.weight").replace("skip_bn.", "skipbn.")
    return name.replace("map.c.", "map.")


def _as_convolution(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A pointwise weight as [out, in, 1, 1]: old files store it as a matrix."""
    return tensor[:, :, None, None] if "pointwise" in name and tensor.ndim == 2 else tensor
