"""The small autoencoder of latent diffusion: pictures to latents a quarter of their side, and back.

What it loses is a fingerprint: a picture that went through it differs from the original everywhere, not only where
something was painted.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from diffusers import AutoencoderKL
from safetensors import SafetensorError
from safetensors.torch import load_file

from wsdl.core.device import pick_device, to_uint8, to_unit
from wsdl.core.io import WsdlError, read_json
from wsdl.core.run import MODEL_FILE

AUTOENCODER_WIDTHS = (24, 48, 96)  # channels at full, half and quarter resolution: 1.4 M parameters, 2.9 MB as fp16
LATENT_CHANNELS = 4  # channels of a latent
_GROUPS = 8  # channels are normalised in so many groups
LATENT_STATISTICS_FILE = "latents.json"  # in a run: mean and scale of its latents
AUTOENCODER_FILES = (
    "config.json",
    LATENT_STATISTICS_FILE,
    MODEL_FILE,
)  # to load it; MODEL last, so that a half-made copy is not taken for one
_CHUNK = 16  # pictures encoded or decoded together


class Autoencoder(nn.Module):
    """diffusers' AutoencoderKL without attention, so that it is quick and works at any size.

    A latent is a normal distribution, not a point; the KL term keeps it near the standard one, so that latents do not
    drift off to any scale (Kingma and Welling 2014; latent diffusion: Rombach et al. 2022).
    """

    def __init__(self, widths: tuple[int, ...] = AUTOENCODER_WIDTHS, latents: int = LATENT_CHANNELS):
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
        """x [n, 3, S, S] and noise like its latents -> x after the round trip, and the mean KL of a latent's number."""
        found = self.vae.encode(x).latent_dist
        back = self.vae.decode(found.mean + found.std * noise).sample
        return back, 0.5 * (found.mean.square() + found.var - 1 - found.logvar).mean()


class Codec:
    """A trained autoencoder between pictures and latents of about zero mean and unit variance.

    In fp32 on every machine: bf16 would round pictures to steps of a grey level or more.
    """

    def __init__(self, vae: nn.Module, factor: int, mean, scale: float):
        self.vae = vae.to(pick_device(), memory_format=torch.channels_last).eval()
        self.factor = factor  # pixels a latent cell is wide and high
        self.mean = torch.tensor(mean, device=pick_device()).view(1, -1, 1, 1)  # of each channel
        self.scale = scale  # latents are divided by it

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> torch.Tensor:
        """uint8 [n, S, S, 3] -> float32 [n, C, S/f, S/f], the most likely latents."""
        parts = [self.vae.encode(to_unit(images[i : i + _CHUNK])) for i in range(0, len(images), _CHUNK)]
        latents = [part.latents if hasattr(part, "latents") else part.latent_dist.mean for part in parts]
        return (torch.cat(latents) - self.mean) / self.scale

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """float32 [n, C, s, s] -> uint8 [n, f s, f s, 3]."""
        parts = (latents * self.scale + self.mean).split(_CHUNK)
        return np.concatenate([to_uint8(self.vae.decode(part).sample) for part in parts])


def downscale_factor(widths: tuple[int, ...]) -> int:
    """How many pixels a latent cell is wide: each level but the first halves the picture."""
    return 2 ** (len(widths) - 1)


def psnr(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB [n] of uint8 pictures [n, S, S, 3], at most 68: more is the same for the eye."""
    error = np.square(one.astype(np.float64) - two).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / error.clip(min=0.01))


def load_autoencoder(run: str | Path) -> Codec:
    """The codec in a finished run of `train-generator autoencoder`, or WsdlError."""
    run = Path(run)
    if not (run / LATENT_STATISTICS_FILE).exists() or not (run / MODEL_FILE).exists():
        raise WsdlError(f"{run}: holds no trained autoencoder; finish `train-generator autoencoder` first.")
    config, measured = read_json(run / "config.json"), read_json(run / LATENT_STATISTICS_FILE)
    try:
        model = Autoencoder(tuple(config["widths"]), config["latents"])
        model.load_state_dict(load_file(run / MODEL_FILE))
        return Codec(model.vae, downscale_factor(config["widths"]), measured["mean"], measured["scale"])
    except (RuntimeError, OSError, KeyError, SafetensorError):
        raise WsdlError(
            f"{run / MODEL_FILE}: does not fit the autoencoder that config.json describes; train it again."
        ) from None
