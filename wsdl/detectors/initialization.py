"""Initial weights of a detector: random, ImageNet from timm's cache, a file or a run. Nothing is downloaded."""

from pathlib import Path

import timm
import torch
import torch.nn as nn

from wsdl.config import OURS, find_setup
from wsdl.core.io import WsdlError, sha256
from wsdl.core.progress import print_stderr
from wsdl.core.records import read_config
from wsdl.core.run import MODEL_FILE
from wsdl.core.weights import read_state, read_weights
from wsdl.detectors.pretrained import find_detector, pretrained_names
from wsdl.detectors.xception import LAYERS

_DOWNLOAD = """python -c "import timm; timm.create_model('legacy_xception', pretrained=True)\""""


def find_initial_weights(start: str, has_masks: bool = True) -> tuple[Path | None, str]:
    """The file of the weights named by `start` (None: random initialisation), and their name in config.json.

    start: scratch, xavier (see `init_xavier`), imagenet (from timm's cache; scratch if it is not there), a file, or a
    detector: a pretrained one by name, a run of `train` by path. has_masks: whether the training may see masks.
    WsdlError where `start` is none of these, or a detector that was trained with masks while this training may not.
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
    is_detector = start in pretrained_names() or (Path(start) / "config.json").is_file()
    path = find_detector(start) / MODEL_FILE if is_detector else Path(start)
    if not path.is_file():
        raise WsdlError(
            f"{start}: no such file; start must be scratch, xavier, imagenet, a file of weights, a run, or a "
            f"pretrained detector ({OURS} alone stands for its run in a study)."
        )
    if not has_masks:
        _refuse_masks(start, path)
    return path, f"{Path(start).name} {sha256(path)[:12]}"


def _refuse_masks(start: str, path: Path) -> None:
    """WsdlError where `path` holds the weights of a run that was trained with masks."""
    if path.name != MODEL_FILE or not (path.parent / "config.json").is_file():
        return
    setup = read_config(path.parent).get("setup")
    if setup and find_setup(setup).has_masks:
        raise WsdlError(
            f"{start}: was trained with masks, which setups a and b must not see; start from one of theirs."
        )


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
    """Load the layers of Xception, and the attention map, that both `model` and the file at `path` have.

    All other layers keep their random weights, and so does the last one: it separates other classes. A file of the
    whole Xception fills all its layers, a run of Patches-MIL the first ones up to block1. WsdlError where a layer fits
    only in part, or the file has none of the layers.
    """
    given = _read_weights(path)
    layers = {_layer(name) for name in given} & {*LAYERS[:-1], "map"}
    own = {name: tensor for name, tensor in model.state_dict().items() if tensor.ndim}  # no counters
    names = {name: _timm_name(name) for name in own if _layer(_timm_name(name)) in layers}
    wrong = [
        of for name, of in names.items() if of not in given or given[of].shape[: own[name].ndim] != own[name].shape
    ]
    if wrong or not names:
        first = f" (first: {wrong[0]})" if wrong else ""
        raise WsdlError(
            f"{path}: does not fit, {len(wrong)} of {len(names)} tensors are missing or of another shape{first}; give "
            "weights of timm's legacy_xception, of FFD with a regressed map, or of a detector of wsdl."
        )
    model.load_state_dict({name: given[of] for name, of in names.items()}, strict=False)


def _layer(name: str) -> str:
    """The layer of a tensor under its name in timm: conv1, block1, ..., fc, or map."""
    return name.split(".")[0]


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
    """The name in timm of a tensor of FFD or of a detector of wsdl; timm's own names stay."""
    part, _, rest = name.partition(".")
    if part not in (*LAYERS, "map") and _layer(rest) in LAYERS:  # such as trunk.block1.skip.weight
        name = rest
    name = name.removeprefix("module.").replace(".c.weight", ".conv1.weight").replace("skip_bn.", "skipbn.")
    return name.replace("map.c.", "map.")


def _as_convolution(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A pointwise weight as [out, in, 1, 1]: old files store it as a matrix."""
    return tensor[:, :, None, None] if "pointwise" in name and tensor.ndim == 2 else tensor
