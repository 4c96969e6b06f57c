"""Finding a denoising network: our own run folder, or a full-size one in diffusers' layout by path or hub id."""

from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors import SafetensorError
from safetensors.torch import load_file

from wsdl.core.io import WsdlError, hub_id, read_json, sha256, sha256_of_files
from wsdl.core.run import MODEL_FILE
from wsdl.generators.diffusion.unet import FullUNet, SmallUNet


def load_unet(weights: str | Path) -> tuple[torch.nn.Module, int]:
    """The network and its picture size. `weights`: a run of `train-generator p2`, a diffusers folder, or a hub id.

    Hub ids (such as google/ddpm-ema-celebahq-256) are downloaded by diffusers and need a connection. Weights in
    .safetensors are preferred; older hub models only have a .bin, which diffusers reads as plain tensors.
    """
    if is_p2_run(weights):
        return load_p2_run(Path(weights)), unet_image_size(weights)
    try:
        return FullUNet(UNet2DModel.from_pretrained(_locate_unet(weights))), unet_image_size(weights)
    except (OSError, ValueError, RuntimeError) as error:
        raise _no_unet(weights, error) from None


def load_p2_run(folder: Path) -> SmallUNet:
    config = read_json(folder / "config.json")
    model = SmallUNet(config["size"], tuple(config["channels"]), config["patch"])
    try:
        model.load_state_dict(load_file(folder / MODEL_FILE))
    except (RuntimeError, OSError, SafetensorError) as error:
        raise WsdlError(
            f"{folder / MODEL_FILE}: does not fit the network that config.json describes ({first_line(error)}); train "
            f"the generator again."
        ) from None
    return model


def unet_image_size(weights: str | Path) -> int:
    """Side in pixels of what these weights paint, read from their config alone."""
    if is_p2_run(weights):
        return read_json(Path(weights) / "config.json")["size"]
    try:
        return UNet2DModel.load_config(_locate_unet(weights))["sample_size"]
    except (OSError, ValueError, KeyError) as error:
        raise _no_unet(weights, error) from None


def is_p2_run(weights: str | Path) -> bool:
    """Whether `weights` is a run folder of `train-generator p2` that has come to its first checkpoint."""
    folder = Path(weights)
    return (folder / MODEL_FILE).exists() and "channels" in read_json(folder / "config.json")


def _locate_unet(weights: str | Path) -> str:
    """The folder or hub id that diffusers loads the U-Net from. WsdlError where it can be neither."""
    folder = Path(weights)
    if folder.is_dir():
        folder = folder / "unet" if (folder / "unet").is_dir() else folder
        if other := trained_as(folder):  # p2's own runs were found before
            raise WsdlError(f"{weights}: is a run of `train-generator {other}`; give one of `train-generator p2`.")
        if not (folder / "config.json").exists() or not weight_files(folder):
            raise WsdlError(
                f"{weights}: holds no trained weights; give a finished run of `train-generator p2` or a diffusers "
                f"folder."
            )
        return str(folder)
    return hub_id(weights)


def trained_as(folder: Path) -> str | None:
    """The generator that a run folder of `train-generator` trained; None where it is no such run, or unfinished."""
    config = read_json(folder / "config.json") if (folder / MODEL_FILE).exists() else {}
    return None if "method" in config else config.get("generator")  # a detector's run also names a generator


def weight_files(folder: Path) -> list[Path]:
    return sorted(path for kind in ("*.safetensors", "*.bin") for path in folder.glob(kind))


def _no_unet(weights: str | Path, error: Exception) -> WsdlError:
    return WsdlError(f"{weights}: no U-Net could be loaded from it ({first_line(error)}).")


def first_line(error: Exception) -> str:
    return next((line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()), type(error).__name__)


def unet_fingerprint(weights: str | Path) -> str:
    """What tells these weights from others: the sha256 of their files, or the hub id itself."""
    if is_p2_run(weights):
        return sha256(Path(weights) / MODEL_FILE)
    where = _locate_unet(weights)
    if not Path(where).is_dir():
        return where
    return sha256_of_files(weight_files(Path(where)))
