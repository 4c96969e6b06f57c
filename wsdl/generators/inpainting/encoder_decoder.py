"""Encoder and decoder of LaMa and Pluralistic: from full size to an eighth, and back with skip connections.

The published LaMa has no skip connections and trains for days; with them an hour of training is enough to continue
lines and colours across the border of a mask.
"""

from itertools import pairwise

import torch
import torch.nn as nn

STEP = 8  # the side of images must be a multiple of this


class Down(nn.Module):
    """[n, channels_in, S, S] -> features at S, S/2, S/4 and S/8, of width/8, width/4, width/2 and width channels."""

    def __init__(self, channels_in: int, width: int):
        super().__init__()
        widths = [width // 8, width // 4, width // 2, width]
        self.stem = nn.Conv2d(channels_in, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(nn.Conv2d(few, many, 4, stride=2, padding=1) for few, many in pairwise(widths))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features = [nn.functional.silu(self.stem(x))]
        for level in self.levels:
            features.append(nn.functional.silu(level(features[-1])))
        return features


class Up(nn.Module):
    """Features [n, width, S/8, S/8] and those of the encoder -> images [n, 3, S, S], roughly in [-1, 1].

    Kernels of 4 at stride 2 cover all pixels equally often; kernels of 3 leave a checkerboard. The last two
    convolutions at full size remove what is left of it.
    """

    def __init__(self, width: int):
        super().__init__()
        widths = [width, width // 2, width // 4, width // 8]
        self.levels = nn.ModuleList(
            nn.ConvTranspose2d(many, few, 4, stride=2, padding=1) for many, few in pairwise(widths)
        )
        few = widths[-1]
        self.head = nn.Sequential(nn.Conv2d(few, few, 3, padding=1), nn.SiLU(), nn.Conv2d(few, 3, 3, padding=1))

    def forward(self, x: torch.Tensor, features: list[torch.Tensor]) -> torch.Tensor:
        for level, skip in zip(self.levels, reversed(features[:-1]), strict=True):
            x = nn.functional.silu(level(x) + skip)
        return self.head(x)
