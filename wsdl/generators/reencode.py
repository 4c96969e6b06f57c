"""`generate reencode`: partial fakes with the traces of an autoencoder alone.

The whole image is encoded and decoded, and the region inside the mask is taken from the result. Nothing is invented:
content and light of the region are those of the real image.

The autoencoder is a published tiny one (github.com/madebyollin/taesd, MIT): diffusers' AutoencoderTiny, in the version
for FLUX.2 (TAEF2) with group normalisation in the blocks of the lowest resolution, which diffusers does not have. Its
weights come as two files, encoder and decoder, whose tensors are numbered like the layers.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from diffusers import AutoencoderTiny

from wsdl.core.io import WsdlError, sha256_of_files
from wsdl.core.weights import last_line, read_weights
from wsdl.generators.diffusion.autoencoder import Codec

FACTOR = 8  # side of a latent position in pixels
_GROUPS = 4  # of the group normalisation
_PARTS = ("encoder", "decoder")
_LAST = 14  # the number of the encoder's last layer
_FIRST_LAYER = {"encoder": 0, "decoder": 1}  # the published decoder counts the clamp before its first layer


class PooledBlock(nn.Module):
    """A residual block of TAEF2's lowest resolution: its group normalisation lets each position see the whole image."""

    def __init__(self, conv: nn.Module, width: int):
        super().__init__()
        self.conv = conv
        self.pool = nn.Sequential(
            nn.Conv2d(width, _GROUPS * width, 1, bias=False),
            nn.GroupNorm(_GROUPS, _GROUPS * width),
            nn.ReLU(),
            nn.Conv2d(_GROUPS * width, width, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class Reencoder:
    """An autoencoder as a generator of partial fakes, for images of any size."""

    clean = True  # the pixels outside the mask are the original ones

    def __init__(self, codec: Codec):
        self.codec = codec

    def round_trip(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, H, W, 3] -> the same images encoded and decoded."""
        height, width = images.shape[1:3]  # latents of other sizes than multiples of FACTOR are rounded up
        return self.codec.decode(self.codec.encode(images))[:, :height, :width]

    def inpaint(
        self, images: np.ndarray, masks: np.ndarray, seeds: list[int], on_step: Callable | None = None
    ) -> np.ndarray:
        """Replace uint8 images [n, H, W, 3] by their round trip where masks [n, H, W] are 1. Seeds do not matter."""
        decoded = self.round_trip(images)
        if on_step:
            on_step(0, decoded)
        return np.where(masks[..., None] == 1, decoded, images)

    def rehearse(self, batch: int, size: int) -> None:
        """One round trip of `batch` images of `size` px, to time it."""
        self.round_trip(np.full((batch, size, size, 3), 127, np.uint8))


def load_reencoder(folder: str | Path) -> Reencoder:
    """The tiny autoencoder in `folder`, with one file *encoder.safetensors and one *decoder.safetensors.

    WsdlError where a file or a tensor is missing, damaged, or of another network.
    """
    paths = _weight_files(folder)
    weights = {part: read_weights(path, "give that of a tiny autoencoder") for part, path in paths.items()}
    shapes = [weights["encoder"].get(f"{layer}.weight", torch.empty(0)).shape for layer in (0, _LAST)]
    if any(len(shape) != 4 for shape in shapes):
        raise _misfit(paths["encoder"], "encoder", f"it has no convolutions 0.weight and {_LAST}.weight")
    width, latents = shapes[0][0], shapes[1][0]
    widths = {f"{part}_block_out_channels": (width,) * 4 for part in _PARTS}
    vae = AutoencoderTiny(latent_channels=latents, **widths)
    for part, path in paths.items():
        module = getattr(vae, part)
        module.layers = _load_layers(module.layers, weights[part], path, part, width)
    return Reencoder(Codec(vae, FACTOR, [0.0] * latents, 1.0))


def _load_layers(layers: nn.Sequential, weights: dict, path: Path, part: str, width: int) -> nn.Sequential:
    """`layers`, those of `part` in diffusers, with the published `weights`. WsdlError where they do not fit."""
    numbered = nn.Sequential(*[nn.Identity()] * _FIRST_LAYER[part], *layers)
    try:
        for name in weights:
            number, _, rest = name.partition(".")
            if rest == "pool.0.weight":
                numbered[int(number)] = PooledBlock(numbered[int(number)].conv, width)
        numbered.load_state_dict(weights)
    except (RuntimeError, ValueError, LookupError, AttributeError) as error:
        raise _misfit(path, part, last_line(error)) from None
    return numbered[_FIRST_LAYER[part] :]


def _misfit(path: Path, part: str, reason: str) -> WsdlError:
    return WsdlError(f"{path}: is not the {part} of a tiny autoencoder such as TAEF2 ({reason}).")


def reencoder_fingerprint(folder: str | Path) -> str:
    """The sha256 of both files."""
    return sha256_of_files(_weight_files(folder).values())


def _weight_files(folder: str | Path) -> dict[str, Path]:
    """The files of encoder and decoder in `folder`. WsdlError where one is missing or there are several."""
    found = {part: sorted(Path(folder).glob(f"*{part}.safetensors")) for part in _PARTS}
    for part, paths in found.items():
        if len(paths) != 1:
            raise WsdlError(f"{folder}: holds {len(paths) or 'no'} files *{part}.safetensors, but must hold one.")
    return {part: paths[0] for part, paths in found.items()}
