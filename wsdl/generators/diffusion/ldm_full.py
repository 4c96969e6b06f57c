"""Full-size latent diffusion in diffusers' layout, such as CompVis/ldm-celebahq-256: a folder or hub id with
unet/ (UNet2DModel), vqvae/ (VQModel) and optionally scheduler/.
"""

from pathlib import Path

from diffusers import DDIMScheduler, UNet2DModel, VQModel

from wsdl.core.io import WsdlError, hub_id, sha256_of_files
from wsdl.core.weights import first_line
from wsdl.generators.diffusion.autoencoder import Codec, downscale_factor
from wsdl.generators.diffusion.unet import FullUNet
from wsdl.generators.diffusion.weights import LOADING_ERRORS, weight_files

_PARTS = ("unet", "vqvae")
# The schedule of the published CompVis models, for a folder without scheduler/.
COMPVIS_SCHEDULE = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "clip_sample": False}


def load_full_ldm(weights: str | Path) -> tuple[FullUNet, Codec, int, dict]:
    """The U-Net, the autoencoder, the image size and the noise schedule. WsdlError where one cannot be loaded."""
    where, size = _locate_ldm(weights), full_ldm_image_size(weights)
    try:
        unet = UNet2DModel.from_pretrained(where, subfolder="unet")
        vae = VQModel.from_pretrained(where, subfolder="vqvae")
        vae_config = VQModel.load_config(where, subfolder="vqvae")
    except LOADING_ERRORS as error:
        raise _unusable(weights, error) from None
    if unet.config.in_channels != vae.config.latent_channels:
        raise WsdlError(
            f"{weights}: its unet works on {unet.config.in_channels} channels, but its vqvae gives "
            f"{vae.config.latent_channels}; give both parts of one model."
        )
    # Only a scaling_factor stated in the file counts: the default of current diffusers is not that of the published
    # model, whose latents are not scaled (huggingface/diffusers, issue 6725).
    scale = 1 / vae_config.get("scaling_factor", 1.0)
    factor = downscale_factor(vae.config.block_out_channels)
    codec = Codec(vae, factor, [0.0] * vae.config.latent_channels, scale)
    return FullUNet(unet), codec, size, _noise_schedule(where)


def _noise_schedule(where: str) -> dict:
    """The noise schedule of the training, as keyword arguments of diffusers' schedulers."""
    if Path(where).is_dir() and not (Path(where) / "scheduler").is_dir():
        return COMPVIS_SCHEDULE
    try:
        stated = DDIMScheduler.load_config(where, subfolder="scheduler")
    except LOADING_ERRORS as error:
        raise _unusable(where, error) from None
    return {key: stated.get(key, default) for key, default in COMPVIS_SCHEDULE.items()}


def full_ldm_image_size(weights: str | Path) -> int:
    """Side of its images in pixels, read from the configs alone."""
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
    """`weights` as diffusers expects it. WsdlError where it is neither the folder of a model nor a hub id."""
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
