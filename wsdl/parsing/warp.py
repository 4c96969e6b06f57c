"""Random geometric transforms of a training image and its labels: mirror, rotate, scale, shift, elastic deformation.

Alignment by the eyes comes after parsing, so the parser must work on faces that are not aligned.
"""

import math

import torch
import torch.nn.functional as F

from wsdl.parsing.network import MIRRORED

_ROTATION = 20  # degrees, in both directions
_SCALE = (0.55, 1.4)  # relative to the aligned face: in an unaligned portrait the head has about half the size
_SHIFT = 0.15  # fraction of the frame, in both directions
_STRETCH = 0.1  # log of width over height, in both directions: head shapes that the renderer does not cover
_ELASTIC = 0.015  # fraction of the frame, standard deviation of a smooth random displacement


def draw_uniform(rng: torch.Generator, low: float, high: float, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=rng) * (high - low) + low


def smooth_noise(rng: torch.Generator, n: int, channels: int, cells: int, size: int, device="cpu") -> torch.Tensor:
    """Normal noise on `cells` x `cells` points, upsampled (bicubic) to [n, channels, size, size]."""
    coarse = torch.randn((n, channels, cells, cells), generator=rng).to(device)
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)


def random_grid(rng: torch.Generator, n: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A sampling grid [n, size, size, 2] in [-1, 1] for `grid_sample`, and which images are mirrored: bool [n]."""
    mirror = torch.rand(n, generator=rng) < 0.5
    angle = draw_uniform(rng, -math.radians(_ROTATION), math.radians(_ROTATION), n)
    scale = torch.exp(draw_uniform(rng, math.log(_SCALE[0]), math.log(_SCALE[1]), n))
    stretch = torch.exp(draw_uniform(rng, -_STRETCH / 2, _STRETCH / 2, n))
    across, along = torch.where(mirror, -1.0, 1.0) * stretch / scale, 1 / (stretch * scale)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = across * angle.cos(), -across * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = along * angle.sin(), along * angle.cos()
    theta[:, :, 2] = draw_uniform(rng, -2 * _SHIFT, 2 * _SHIFT, n, 2)
    grid = F.affine_grid(theta, (n, 1, size, size), align_corners=False)
    return grid + 2 * _ELASTIC * smooth_noise(rng, n, 2, 5, size).permute(0, 2, 3, 1), mirror


def warp_batch(images: torch.Tensor, labels: torch.Tensor, grid: torch.Tensor, mirror: torch.Tensor):
    """Images [n, 3, S, S] (bilinear) and labels [n, S, S] (nearest) resampled by the same `grid`.

    Both are padded by reflection, so that the labels remain correct.
    """
    grid = grid.to(images.device)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    named = F.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False)
    named = named[:, 0].round().long()
    swapped = MIRRORED.to(labels.device)[named]
    return moved, torch.where(mirror.to(labels.device)[:, None, None], swapped, named)
