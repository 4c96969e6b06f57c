"""Denoising networks: diffusers' U-Net on pixel-unshuffled images (small, for a CPU) and at full size."""

import torch
import torch.nn as nn
from diffusers import UNet2DModel
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from wsdl.core.io import WsdlError

_HEAD_CHANNELS = 8  # U-Net features per pixel, input of the full-resolution head
_HEAD_WIDTH = 32


class SmallUNet(nn.Module):
    """A U-Net on pixel-unshuffled images or latents that predicts x0.

    An image [n, 3, S, S] enters as [n, 4 p^2, S/p, S/p] (p: `patch`), so that almost all computation is at S/p.
    Shuffling alone leaves a grid of period p in the output, a trace that no published generator has. Two measures
    remove it: a head of two 3x3 convolutions at full resolution, across the borders of patches, and shifts of the
    image by less than a patch, wrapping around, in training and in sampling (`Denoiser.noise`). A further input
    channel marks the border of the shifted image; without it the network generates a dark seam there.
    """

    predicts = "x0"

    def __init__(self, size: int, channels: tuple[int, ...], patch: int = 4, planes: int = 3):
        super().__init__()
        if size % (patch * 2 ** (len(channels) - 1)):
            raise WsdlError(
                f"size: is {size} px, but a U-Net with patch {patch} and {len(channels)} levels needs a multiple of "
                f"{patch * 2 ** (len(channels) - 1)}."
            )
        self.patch = patch
        frame = pad(torch.zeros(1, 1, size - 2, size - 2), (1, 1, 1, 1), value=1)
        self.register_buffer("frame", frame, persistent=False)
        down = ["DownBlock2D"] * (len(channels) - 1) + ["AttnDownBlock2D"]
        up = ["AttnUpBlock2D"] + ["UpBlock2D"] * (len(channels) - 1)
        self.unet = UNet2DModel(
            sample_size=size // patch,
            in_channels=(planes + 1) * patch**2,
            out_channels=_HEAD_CHANNELS * patch**2,
            layers_per_block=1,
            block_out_channels=channels,
            down_block_types=down,
            up_block_types=up,
            norm_num_groups=16,
        )
        self.head = nn.Sequential(
            nn.Conv2d(_HEAD_CHANNELS + planes + 1, _HEAD_WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(_HEAD_WIDTH, planes, 3, padding=1),
        )

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, moved: tuple[int, int] = (0, 0)) -> torch.Tensor:
        """x_t [n, planes, S, S] at steps t [n] -> x0 like x_t; moved: the shift (down, right) of both."""
        frame = self.frame.roll(moved, dims=(2, 3)).expand(len(x_t), -1, -1, -1)
        inputs = torch.cat([x_t, frame.to(x_t.dtype)], dim=1)
        features = pixel_shuffle(self.unet(pixel_unshuffle(inputs, self.patch), t).sample, self.patch)
        return self.head(torch.cat([features, inputs], dim=1))


class FullUNet(nn.Module):
    """A full-size U-Net of diffusers that predicts the noise: the first 3 of the 6 output channels of P2's models."""

    predicts = "noise"
    patch = 1  # no pixel-unshuffling

    def __init__(self, unet: UNet2DModel):
        super().__init__()
        self.unet = unet

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, moved: tuple[int, int] = (0, 0)) -> torch.Tensor:
        return self.unet(x_t, t).sample[:, : x_t.shape[1]]
