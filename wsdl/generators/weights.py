"""Finding a denoising network: our own run folder, or a full-size one in diffusers' layout by path or hub id."""

from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file

from wsdl.files import WsdlError, read_json, sha256
from wsdl.fit import MODEL
from wsdl.generators.unet import FullUNet, SmallUNet


def load_unet(weights: str | Path) -> tuple[torch.nn.Module, int]:
    """The network and its picture size. `weights`: a run of `train-generator p2`, a diffusers folder, or a hub id.

    Hub ids (such as google/ddpm-ema-celebahq-256) are downloaded by diffusers and need a network.
    """
    folder = Path(weights)
    if (folder / MODEL).exists() and "channels" in read_json(folder / "config.json"):
        config = read_json(folder / "config.json")
        model = SmallUNet(config["size"], tuple(config["channels"]), config["patch"])
        model.load_state_dict(load_file(folder / MODEL))
        return model, config["size"]
    if folder.is_dir() and not list(folder.rglob("*.safetensors")):
        raise WsdlError(f"{weights}: holds no .safetensors weights; give a run of `train-generator p2` or a diffusers "
                        f"folder.")
    if not folder.exists() and (folder.is_absolute() or str(weights).count("/") != 1):
        raise WsdlError(f"{weights}: no such folder, and not a hub id of the form owner/name.")
    try:
        unet = UNet2DModel.from_pretrained(str(weights), use_safetensors=True)
    except (OSError, ValueError) as error:
        raise WsdlError(f"{weights}: no U-Net could be loaded from it ({str(error).splitlines()[0]}).") from None
    return FullUNet(unet), unet.config.sample_size


def fingerprint(weights: str | Path) -> str:
    """What tells these weights from others: the sha256 of a run's model file, else the path or hub id itself."""
    path = Path(weights) / MODEL
    return sha256(path) if path.exists() else str(weights)
