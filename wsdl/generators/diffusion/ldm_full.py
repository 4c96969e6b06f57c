"""Full-size latent diffusion in diffusers' layout, such as CompVis/ldm-celebahq-256: a folder or hub id with
unet/ (UNet2DModel), vqvae/ (VQModel) and, if there, scheduler/.
"""

from pathlib import Path

from diffusers import DDIMScheduler, UNet2DModel, VQModel
from safetensors import SafetensorError

from wsdl.core.io import WsdlError, hub_id, sha256_of_files
from wsdl.generators.diffusion.autoencoder import Codec, downscale_factor
from wsdl.generators.diffusion.unet import FullUNet
from wsdl.generators.diffusion.weights import first_line, weight_files

_PARTS = ("unet", "vqvae")
# What CompVis trained with, for a folder that does not say.
COMPVIS_SCHEDULE = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "clip_sample": False}
LOADING_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError)


def load_full_ldm(weights: str | Path) -> tuple[FullUNet, Codec, int, dict]:
    """The network, the autoencoder, the size of pictures and the noise schedule. WsdlError where one cannot be had."""
    where, size = _locate_ldm(weights), full_ldm_image_size(weights)
    try:
        unet, vae = (
            kind.from_pretrained(where, subfolder=part) for kind, part in ((UNet2DModel, "unet"), (VQModel, "vqvae"))
        )
        stated = VQModel.load_config(where, subfolder="vqvae")
    except LOADING_ERRORS as error:
        raise _unusable(weights, error) from None
    if unet.config.in_channels != vae.config.latent_channels:
        raise WsdlError(
            f"{weights}: its unet works on {unet.config.in_channels} channels, but its vqvae gives "
            f"{vae.config.latent_channels}; give both parts of one model."
        )
    # Only a scale that is written down counts: the default of today's diffusers is not that of the published model,
    # whose latents are not scaled (huggingface/diffusers, issue 6725).
    scale = 1 / stated.get("scaling_factor", 1.0)
    codec = Codec(vae, downscale_factor(vae.config.block_out_channels), [0.0] * vae.config.latent_channels, scale)
    return FullUNet(unet), codec, size, _noise_schedule(where)


def _noise_schedule(where: str) -> dict:
    """The noise schedule that the model was trained with."""
    if Path(where).is_dir() and not (Path(where) / "scheduler").is_dir():
        return COMPVIS_SCHEDULE
    try:
        stated = DDIMScheduler.load_config(where, subfolder="scheduler")
    except LOADING_ERRORS as error:
        raise _unusable(where, error) from None
    return {key: stated.get(key, default) for key, default in COMPVIS_SCHEDULE.items()}


def full_ldm_image_size(weights: str | Path) -> int:
    """Side in pixels of what this model paints, read from its configs alone."""
    where = _locate_ldm(weights)
    try:
        latent = UNet2DModel.load_config(where, subfolder="unet")["sample_size"]
        return latent * downscale_factor(VQModel.load_config(where, subfolder="vqvae")["block_out_channels"])
    except LOADING_ERRORS as error:
        raise _unusable(weights, error) from None


def full_ldm_fingerprint(weights: str | Path) -> str:
    """The sha256 of the weights, or the hub id itself."""
    where = Path(_locate_ldm(weights))
    if not where.is_dir():
        return str(weights)
    return sha256_of_files(path for part in _PARTS for path in weight_files(where / part))


def _locate_ldm(weights: str | Path) -> str:
    """`weights` as diffusers wants it. WsdlError where it can be neither a folder of a model nor a hub id."""
    folder = Path(weights)
    if not folder.is_dir():
        return hub_id(weights)
    for part in _PARTS:
        if not (folder / part / "config.json").exists() or not weight_files(folder / part):
            raise WsdlError(
                f"{weights}: holds no trained {part}; give a finished run of `train-generator ldm`, or a diffusers "
                f"folder with unet and vqvae."
            )
    return str(folder)


def _unusable(weights: str | Path, error: Exception) -> WsdlError:
    return WsdlError(f"{weights}: no latent diffusion model could be loaded from it ({first_line(error)}).")
