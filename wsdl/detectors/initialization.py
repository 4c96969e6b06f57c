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
_WRAPPERS = "net", "model", "state_dict"  # keys of files that also store their optimizer
_FFD_FILE = "ffd_xception.pth"  # a name of ours: the download has none of its own
_HOW_TO_GET = {
    "imagenet": f"download them with `{_DOWNLOAD}`",
    "ffd": "save there the weights of FFD (Dang et al. 2020, Xception with a regressed map; they are asked for at "
    "http://cvlab.cse.msu.edu/project-ffd.html)",
}


def find_initial_weights(start: str, has_masks: bool = True, required: bool = False) -> tuple[Path | None, str]:
    """The file of the weights named by `start` (None: random initialisation), and their name in config.json.

    start: scratch, xavier (see `init_xavier`), imagenet or ffd (from the cache of torch.hub), a file, or a detector: a
    pretrained one by name, a run of `train` by path. has_masks: whether the training may see masks. WsdlError where
    `start` is none of these, or a detector that was trained with masks while this training may not. Missing weights of
    ImageNet are replaced by scratch unless they are `required`; those of FFD are an error.
    """
    if start in ("scratch", "xavier"):
        return None, start
    check_start(start, required)
    if start in _HOW_TO_GET:
        path = cached_weights(start)
        if path.exists():
            print_stderr(f"starting from {'ImageNet' if start == 'imagenet' else 'FFD'} weights: {path}")
            return path, start
        print_stderr(f"starting from scratch: no ImageNet weights found; to download them: {_DOWNLOAD}")
        return None, "scratch"
    is_detector = start in pretrained_names() or (Path(start) / "config.json").is_file()
    path = find_detector(start) / MODEL_FILE if is_detector else Path(start)
    if not path.is_file():
        raise WsdlError(
            f"{start}: no such file; start must be scratch, xavier, imagenet, ffd, a file of weights, a run, or a "
            f"pretrained detector ({OURS} alone stands for its run in a study)."
        )
    if not has_masks:
        _refuse_masks(start, path)
    return path, f"{Path(start).name} {sha256(path)[:12]}"


def check_start(start: str, required: bool) -> None:
    """WsdlError where `start` names weights that a training cannot do without, and they are missing."""
    if start not in _HOW_TO_GET or not (required or start == "ffd"):
        return
    path = cached_weights(start)
    if not path.exists():
        raise WsdlError(
            f"start is {start}, but there are no such weights at {path}; {_HOW_TO_GET[start]}, or train from others: "
            f"`train --start FILE`, imagenet or scratch, or `start` in a profile."
        )


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
    """Initialise as the paper's Patches in setups A and B: Xavier weights times 0.02, scales of normalisation near 1.

    Every convolution is followed by normalisation, so the scale changes no output. But a step of Adam is large
    relative to such small weights, and the first thousands of steps mostly make them grow. Suitable for the paper's
    3,200,000 images, not for a training of minutes.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_normal_(layer.weight, gain=0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def cached_weights(start: str) -> Path:
    """Where the weights called imagenet or ffd are, if they were downloaded: in torch.hub's cache, as timm's are."""
    imagenet = Path(timm.get_pretrained_cfg("legacy_xception").url).name
    return Path(torch.hub.get_dir()) / "checkpoints" / (imagenet if start == "imagenet" else _FFD_FILE)


def load_initial_weights(model: nn.Module, path: Path) -> None:
    """Load the layers of Xception, and the attention map, that both `model` and the file at `path` have.

    All other layers keep their random weights. The last one, or the head, is loaded where it fits: that of ImageNet
    does not, it separates other classes. A file of the whole Xception fills all its layers, a run of Patches-MIL the
    first ones up to block1. WsdlError where a layer fits only in part, or the file has none of the layers.
    A detector with a backbone of its own (`load_backbone`) loads that instead.
    """
    if load_backbone := getattr(model, "load_backbone", None):
        return load_backbone(path)
    given = _timm_weights(path)
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
    head = {name: _timm_name(name) for name in own if _layer(_timm_name(name)) in ("fc", "head")}
    if all(of in given and given[of].shape == own[name].shape for name, of in head.items()):
        names |= head
    model.load_state_dict({name: given[of] for name, of in names.items()}, strict=False)


def _layer(name: str) -> str:
    """The layer of a tensor under its name in timm: conv1, block1, ..., fc, or map."""
    return name.split(".")[0]


def read_tensors(path: Path, wanted: str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors or torch file by name. WsdlError for any other file; `wanted` completes "give ...".

    A torch file may hold them below a key of its own, next to the state of an optimizer.
    """
    try:
        given = read_weights(path) if path.suffix == ".safetensors" else read_state(path)
    except WsdlError as error:
        reason = str(error).split("; train it")[0].rstrip(".")
        raise WsdlError(f"{reason}; delete it, or give {wanted}.") from None
    if isinstance(given, dict):
        given = next((given[key] for key in _WRAPPERS if isinstance(given.get(key), dict)), given)
        tensors = {str(name).removeprefix("module."): t for name, t in given.items() if torch.is_tensor(t)}
        if tensors:
            return tensors
    raise WsdlError(f"{path}: holds no tensors by name; give {wanted}.")


def _timm_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file under timm's names."""
    given = read_tensors(path, "weights of timm's legacy_xception")
    return {_timm_name(name): _as_convolution(name, tensor) for name, tensor in given.items()}


def _timm_name(name: str) -> str:
    """The name in timm of a tensor of FFD, of the published Patches or of a detector of wsdl; timm's own names stay."""
    part, _, rest = name.partition(".")
    if part not in (*LAYERS, "map") and _layer(rest) in LAYERS:  # such as trunk.block1.skip.weight
        name = rest
    name = name.replace(".c.weight", ".conv1.weight").replace("skip_bn.", "skipbn.").replace("convout.", "head.")
    return name.replace("map.c.", "map.")


def _as_convolution(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A pointwise weight as [out, in, 1, 1]: old files store it as a matrix."""
    return tensor[:, :, None, None] if "pointwise" in name and tensor.ndim == 2 else tensor
