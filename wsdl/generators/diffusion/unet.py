"""The denoising network: diffusers' U-Net, small on unshuffled pictures for a CPU, plain at full size."""

import torch
import torch.nn as nn
from diffusers import UNet2DModel
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from wsdl.core.io import WsdlError

HEAD_CHANNELS = 8  # what the U-Net hands to the full-resolution head, per pixel
HEAD_WIDTH = 32


class SmallUNet(nn.Module):
    """A U-Net on pixel-unshuffled pictures that predicts x0.

    A picture [n, 3, S, S] enters as [n, 4 p^2, S/p, S/p], so that almost all work happens at S/p. Shuffling alone
    prints a grid of period p into the result, a giveaway no real generator has: hence two 3x3 convolutions
    at full resolution, which see across the borders of patches and see x_t itself, and pictures that move by less than
    a patch, wrapping around, in training and in sampling (Denoiser.noise). A fourth channel marks the frame of the
    picture where the move has taken it: without it the network cannot tell the frame from an edge, and paints a dark
    seam. Latents are pictures of `planes` channels.
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
            out_channels=HEAD_CHANNELS * patch**2,
            layers_per_block=1,
            block_out_channels=channels,
            down_block_types=down,
            up_block_types=up,
            norm_num_groups=16,
        )
        self.head = nn.Sequential(
            nn.Conv2d(HEAD_CHANNELS + planes + 1, HEAD_WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(HEAD_WIDTH, planes, 3, padding=1),
        )

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, moved: tuple[int, int] = (0, 0)) -> torch.Tensor:
        """x_t [n, planes, S, S] at steps t [n] -> x0 like it; moved: how far down and right, both of them."""
        frame = self.frame.roll(moved, dims=(2, 3)).expand(len(x_t), -1, -1, -1)
        seen = torch.cat([x_t, frame.to(x_t.dtype)], dim=1)
        features = pixel_shuffle(self.unet(pixel_unshuffle(seen, self.patch), t).sample, self.patch)
        return self.head(torch.cat([features, seen], dim=1))


class FullUNet(nn.Module):
    """A full-size U-Net of diffusers that predicts the noise. P2's own have 6 output channels: the first 3 are it."""

    predicts = "noise"
    patch = 1  # works on single pixels

    def __init__(self, unet: UNet2DModel):
        super().__init__()
        self.unet = unet

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, moved: tuple[int, int] = (0, 0)) -> torch.Tensor:
        return self.unet(x_t, t).sample[:, : x_t.shape[1]]
