"""Moving a training picture and its labels together: mirror, turn, scale, shift, and a little rubber.

Alignment by eyes comes after parsing, so the parser must find faces that are not aligned yet.
"""

import math

import torch
import torch.nn.functional as F

from wsdl.parsing.network import MIRRORED

TURN = 20  # degrees, to each side
SCALE = (0.55, 1.4)  # of the aligned face: an unaligned portrait shows the head at little more than half the size
SHIFT = 0.15  # parts of the frame, to each side
STRETCH = 0.1  # log of width over height, to each side: heads that the renderer's proportions do not cover
RUBBER = 0.015  # parts of the frame, deviation of a smooth random displacement: outlines that it does not draw


def uniform(rng: torch.Generator, low: float, high: float, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=rng) * (high - low) + low


def smooth_noise(rng: torch.Generator, n: int, channels: int, cells: int, size: int, device="cpu") -> torch.Tensor:
    """Normal noise on `cells` x `cells` points, drawn smoothly at full size: [n, channels, size, size]."""
    coarse = torch.randn((n, channels, cells, cells), generator=rng).to(device)
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)


def random_grid(rng: torch.Generator, n: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each output pixel comes from, [n, size, size, 2] in [-1, 1], and which pictures are mirrored: bool [n]."""
    mirror = torch.rand(n, generator=rng) < 0.5
    angle = uniform(rng, -math.radians(TURN), math.radians(TURN), n)
    scale = torch.exp(uniform(rng, math.log(SCALE[0]), math.log(SCALE[1]), n))
    stretch = torch.exp(uniform(rng, -STRETCH / 2, STRETCH / 2, n))
    across, along = torch.where(mirror, -1.0, 1.0) * stretch / scale, 1 / (stretch * scale)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = across * angle.cos(), -across * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = along * angle.sin(), along * angle.cos()
    theta[:, :, 2] = uniform(rng, -2 * SHIFT, 2 * SHIFT, n, 2)
    grid = F.affine_grid(theta, (n, 1, size, size), align_corners=False)
    return grid + 2 * RUBBER * smooth_noise(rng, n, 2, 5, size).permute(0, 2, 3, 1), mirror


def move(pictures: torch.Tensor, labels: torch.Tensor, grid: torch.Tensor, mirror: torch.Tensor):
    """Pictures [n, 3, S, S] (bilinear) and labels [n, S, S] (nearest) moved by the same `grid`.

    What lies outside is reflected in both, so that the labels stay true.
    """
    grid = grid.to(pictures.device)
    moved = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    named = F.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False)
    named = named[:, 0].round().long()
    swapped = MIRRORED.to(labels.device)[named]
    return moved, torch.where(mirror.to(labels.device)[:, None, None], swapped, named)
