"""Resizing of images and masks as the paper does it, where that differs from ours."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def resize_lanczos(x: torch.Tensor, size: int) -> torch.Tensor:
    """Images [n, 3, H, W] in [-1, 1] -> [n, 3, size, size], as Pillow's LANCZOS resizes their 8-bit values.

    As in Pillow, first the columns, then the rows, each rounded and clipped to 8 bits; the result is Pillow's within
    one of 255 levels, a batch at a time and on the device of `x`.
    """
    with torch.autocast(x.device.type, enabled=False):  # bf16 has 8 bits of its own
        levels = (x.float() + 1) * 127.5
        levels = (levels @ _lanczos(x.shape[3], size).to(x.device)).round().clamp(0, 255)
        levels = (_lanczos(x.shape[2], size).to(x.device).T @ levels).round().clamp(0, 255)
    return (levels / 127.5 - 1).contiguous(memory_format=torch.channels_last)


@cache
def _lanczos(old: int, new: int) -> torch.Tensor:
    """The weight of each of `old` pixels in each of `new` ones, [old, new]: Pillow's response to single pixels."""
    single = Image.fromarray(np.eye(old, dtype=np.float32))
    return torch.from_numpy(np.array(single.resize((new, old), Image.Resampling.LANCZOS)))


def inpainted_fractions(masks: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Masks [n, H, W] -> the inpainted fraction of each cell, float32 [n, 1, h, w] in [0, 1]."""
    return F.interpolate(masks[:, None].float(), shape, mode="area")


def central_pixels(masks: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Masks [n, H, W] -> whether the pixel at the centre of each cell is inpainted (NEAREST): float32 [n, 1, h, w]."""
    return (F.interpolate(masks[:, None].float(), shape, mode="nearest-exact") > 0.5).float()


def bilinear_fractions(masks: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Masks [n, H, W] resized bilinearly, each cell together with half of its neighbours: float32 [n, 1, h, w]."""
    return F.interpolate(masks[:, None].float(), shape, mode="bilinear", antialias=True)
