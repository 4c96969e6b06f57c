"""Load a denoising U-Net of pixels: from a run folder, or a full-size one in diffusers' layout by path or hub id."""

from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors import SafetensorError

from wsdl.core.io import WsdlError, hub_id, sha256, sha256_of_files
from wsdl.core.records import read_object
from wsdl.core.run import MODEL_FILE
from wsdl.core.weights import build_network, first_line, load_model
from wsdl.generators.diffusion.unet import FullUNet, SmallUNet

# What diffusers and transformers raise for folders and hub ids that they cannot load.
LOADING_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError)


def load_unet(weights: str | Path) -> tuple[torch.nn.Module, int]:
    """The U-Net and its image size. `weights`: a run of `train-generator p2`, a diffusers folder, or a hub id.

    Hub ids (such as google/ddpm-ema-celebahq-256) are downloaded by diffusers, which needs a connection. diffusers
    prefers .safetensors; older hub models only have a .bin, which it reads as plain tensors.
    """
    if is_p2_run(weights):
        return load_p2_run(Path(weights)), unet_image_size(weights)
    try:
        return FullUNet(UNet2DModel.from_pretrained(_locate_unet(weights))), unet_image_size(weights)
    except LOADING_ERRORS as error:
        raise _no_unet(weights, error) from None


def load_p2_run(folder: Path) -> SmallUNet:
    """The U-Net in a run folder of `train-generator p2`."""

    def build(config: dict) -> SmallUNet:
        return SmallUNet(config["size"], tuple(config["channels"]), config["patch"])

    return load_model(build_network(folder, build, "`train-generator p2`"), folder)


def unet_image_size(weights: str | Path) -> int:
    """Side of its images in pixels, read from the config alone."""
    if is_p2_run(weights):
        return read_image_size(Path(weights))
    try:
        return UNet2DModel.load_config(_locate_unet(weights))["sample_size"]
    except LOADING_ERRORS as error:
        raise _no_unet(weights, error) from None


def read_image_size(run: Path) -> int:
    """Side in pixels of the images that a generator was trained on, read from the config.json of its run."""
    return read_object(run / "config.json", {"size": int}, needed=("size",))["size"]


def unet_fingerprint(weights: str | Path) -> str:
    """The sha256 of the weights, or the hub id itself."""
    if is_p2_run(weights):
        return sha256(Path(weights) / MODEL_FILE)
    where = _locate_unet(weights)
    if not Path(where).is_dir():
        return where
    return sha256_of_files(weight_files(Path(where)))


def is_p2_run(weights: str | Path) -> bool:
    """Whether `weights` is a run folder of `train-generator p2` with at least one checkpoint."""
    folder = Path(weights)
    return (folder / MODEL_FILE).exists() and "channels" in read_object(folder / "config.json")


def _locate_unet(weights: str | Path) -> str:
    """The folder or hub id that diffusers loads the U-Net from. WsdlError where it is neither."""
    folder = Path(weights)
    if folder.is_dir():
        folder = folder / "unet" if (folder / "unet").is_dir() else folder
        if other := trained_generator(folder):
            raise WsdlError(f"{weights}: is a run of `train-generator {other}`; give one of `train-generator p2`.")
        if not (folder / "config.json").exists() or not weight_files(folder):
            raise WsdlError(
                f"{weights}: holds no trained weights; give a finished run of `train-generator p2` or a diffusers "
                f"folder."
            )
        return str(folder)
    return hub_id(weights)


def trained_generator(folder: Path) -> str | None:
    """The generator that a run folder of `train-generator` trained; None where it is no such run, or unfinished."""
    config = read_object(folder / "config.json") if (folder / MODEL_FILE).exists() else {}
    return None if "method" in config else config.get("generator")  # a detector's run also names a generator


def weight_files(folder: Path) -> list[Path]:
    """The .safetensors and .bin files in `folder`, sorted."""
    return sorted(path for kind in ("*.safetensors", "*.bin") for path in folder.glob(kind))


def _no_unet(weights: str | Path, error: Exception) -> WsdlError:
    return WsdlError(f"{weights}: no U-Net could be loaded from it ({first_line(error)}).")
