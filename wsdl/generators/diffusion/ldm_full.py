"""Full-size latent diffusion in diffusers' layout, such as CompVis/ldm-celebahq-256: a folder or hub id with
unet/ (UNet2DModel), vqvae/ (VQModel) and, if there, scheduler/.
"""

from pathlib import Path

from diffusers import DDIMScheduler, UNet2DModel, VQModel
from safetensors import SafetensorError

from wsdl.core.io import WsdlError, hub_id, sha256_of_files
from wsdl.generators.diffusion.autoencoder import Codec, factor_of
from wsdl.generators.diffusion.unet import FullUNet
from wsdl.generators.diffusion.weights import first_line, weight_files

PARTS = ("unet", "vqvae")
# What CompVis trained with, for a folder that does not say.
NOISING = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "clip_sample": False}
BROKEN = (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError)


def load(weights: str | Path) -> tuple[FullUNet, Codec, int, dict]:
    """The network, the autoencoder, the size of pictures and the noise schedule. WsdlError where one cannot be had."""
    where, size = check(weights), picture_size(weights)
    try:
        unet, vae = (
            kind.from_pretrained(where, subfolder=part) for kind, part in ((UNet2DModel, "unet"), (VQModel, "vqvae"))
        )
        stated = VQModel.load_config(where, subfolder="vqvae")
    except BROKEN as error:
        raise unusable(weights, error) from None
    if unet.config.in_channels != vae.config.latent_channels:
        raise WsdlError(
            f"{weights}: its unet works on {unet.config.in_channels} channels, but its vqvae gives "
            f"{vae.config.latent_channels}; give both parts of one model."
        )
    # Only a scale that is written down counts: the default of today's diffusers is not that of the published model,
    # whose latents are not scaled (huggingface/diffusers, issue 6725).
    scale = 1 / stated.get("scaling_factor", 1.0)
    codec = Codec(vae, factor_of(vae.config.block_out_channels), [0.0] * vae.config.latent_channels, scale)
    return FullUNet(unet), codec, size, noising(where)


def noising(where: str) -> dict:
    """The noise schedule that the model was trained with."""
    if Path(where).is_dir() and not (Path(where) / "scheduler").is_dir():
        return NOISING
    try:
        stated = DDIMScheduler.load_config(where, subfolder="scheduler")
    except BROKEN as error:
        raise unusable(where, error) from None
    return {key: stated.get(key, default) for key, default in NOISING.items()}


def picture_size(weights: str | Path) -> int:
    """Side in pixels of what this model paints, read from its configs alone."""
    where = check(weights)
    try:
        latent = UNet2DModel.load_config(where, subfolder="unet")["sample_size"]
        return latent * factor_of(VQModel.load_config(where, subfolder="vqvae")["block_out_channels"])
    except BROKEN as error:
        raise unusable(weights, error) from None


def fingerprint(weights: str | Path) -> str:
    """The sha256 of the weights, or the hub id itself."""
    where = Path(check(weights))
    if not where.is_dir():
        return str(weights)
    return sha256_of_files(path for part in PARTS for path in weight_files(where / part))


def check(weights: str | Path) -> str:
    """`weights` as diffusers wants it. WsdlError where it can be neither a folder of a model nor a hub id."""
    folder = Path(weights)
    if not folder.is_dir():
        return hub_id(weights)
    for part in PARTS:
        if not (folder / part / "config.json").exists() or not weight_files(folder / part):
            raise WsdlError(
                f"{weights}: holds no trained {part}; give a finished run of `train-generator ldm`, or a diffusers "
                f"folder with unet and vqvae."
            )
    return str(folder)


def unusable(weights: str | Path, error: Exception) -> WsdlError:
    return WsdlError(f"{weights}: no latent diffusion model could be loaded from it ({first_line(error)}).")
