"""The small autoencoder of latent diffusion: images to latents of a quarter of their side, and back.

A reconstruction differs from its original in every pixel, not only in an inpainted region.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from diffusers import AutoencoderKL

from wsdl.core.device import pick_device, to_uint8, to_unit
from wsdl.core.io import WsdlError
from wsdl.core.records import read_object
from wsdl.core.run import MODEL_FILE
from wsdl.core.weights import build_network, load_model

_GROUPS = 8  # of the group normalisation
_CHUNK = 16  # images encoded or decoded together
LATENT_STATISTICS_FILE = "latents.json"  # in a run: mean and scale of its latents
# What loading needs; the weights last, so that an unfinished copy is not mistaken for a run.
AUTOENCODER_FILES = ("config.json", LATENT_STATISTICS_FILE, MODEL_FILE)


class Autoencoder(nn.Module):
    """diffusers' AutoencoderKL without attention, so that it is fast and accepts any size.

    A latent is a normal distribution; the KL term of the loss keeps it close to the standard normal, which bounds the
    scale of latents (Kingma and Welling 2014; latent diffusion: Rombach et al. 2022).
    """

    def __init__(self, widths: tuple[int, ...], latents: int):
        """widths: channels per level, from full resolution down; latents: channels of a latent."""
        super().__init__()
        self.vae = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * len(widths),
            up_block_types=["UpDecoderBlock2D"] * len(widths),
            block_out_channels=widths,
            latent_channels=latents,
            norm_num_groups=_GROUPS,
            mid_block_add_attention=False,
        )

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x [n, 3, S, S] and noise shaped like its latents -> reconstruction like x, mean KL divergence per value."""
        latent = self.vae.encode(x).latent_dist
        reconstruction = self.vae.decode(latent.mean + latent.std * noise).sample
        return reconstruction, 0.5 * (latent.mean.square() + latent.var - 1 - latent.logvar).mean()


class Codec:
    """A trained autoencoder between images and latents of about zero mean and unit variance.

    In fp32 on every machine: bf16 would round pixels to steps of one grey level or more.
    """

    def __init__(self, vae: nn.Module, factor: int, mean, scale: float):
        self.vae = vae.to(pick_device(), memory_format=torch.channels_last).eval()
        self.factor = factor  # side of a latent position in pixels
        self.mean = torch.tensor(mean, device=pick_device()).view(1, -1, 1, 1)  # of each channel
        self.scale = scale  # latents are divided by it

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> torch.Tensor:
        """uint8 [n, S, S, 3] -> float32 [n, C, S/f, S/f], the means of the latent distributions."""
        parts = [self.vae.encode(to_unit(images[i : i + _CHUNK])) for i in range(0, len(images), _CHUNK)]
        latents = [part.latents if hasattr(part, "latents") else part.latent_dist.mean for part in parts]
        return (torch.cat(latents) - self.mean) / self.scale

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """float32 [n, C, s, s] -> uint8 [n, f s, f s, 3]."""
        parts = (latents * self.scale + self.mean).split(_CHUNK)
        return np.concatenate([to_uint8(self.vae.decode(part).sample) for part in parts])


def downscale_factor(widths: tuple[int, ...]) -> int:
    """Side of a latent position in pixels: each level but the first halves the image."""
    return 2 ** (len(widths) - 1)


def psnr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB [n] of uint8 images [n, S, S, 3], capped at 68 dB."""
    error = np.square(first.astype(np.float64) - second).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / error.clip(min=0.01))


def load_autoencoder(run: str | Path) -> Codec:
    """The codec in a finished run of `train-generator autoencoder`. WsdlError where it is unfinished or damaged."""
    run = Path(run)
    if not (run / LATENT_STATISTICS_FILE).exists() or not (run / MODEL_FILE).exists():
        raise WsdlError(f"{run}: holds no trained autoencoder; finish `train-generator autoencoder` first.")

    def build(config: dict) -> tuple[Autoencoder, int]:
        return Autoencoder(tuple(config["widths"]), config["latents"]), downscale_factor(config["widths"])

    model, factor = build_network(run, build, "`train-generator autoencoder`")
    load_model(model, run)
    kinds = {"mean": list, "scale": float}
    statistics = read_object(run / LATENT_STATISTICS_FILE, kinds, needed=tuple(kinds))
    return Codec(model.vae, factor, statistics["mean"], statistics["scale"])
