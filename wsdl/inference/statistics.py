"""A few numbers about an image that say whether it is like the images on which a detector was calibrated.

They depend on camera, resizing and compression, little on what the image shows.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.data.images import LUMA

NAMES = ("noise", "colour noise", "sharpness", "agreement of colours in fine detail", "borders of 8-pixel blocks")
MAX_SIDE = 1024  # pixels: of larger images the central part is measured


@dataclass(frozen=True)
class ImageProperties:
    """An image as a detector was given it."""

    has_face: bool  # one was found, and the analysed region is its square
    side: float  # of the analysed region, in pixels of the image
    quality: float  # of the file: JPEG quality, 100 where it is lossless; NaN where it is not known
    statistics: np.ndarray  # [5], as in NAMES


def image_statistics(pixels: np.ndarray) -> np.ndarray:
    """The numbers called NAMES of uint8 [H, W, 3], float [5], finite for any image.

    Noise: the median of the diagonal Haar coefficients, of brightness and of colour (logarithms). Sharpness: the
    logarithm of the ratio of the finest detail to the next coarser one. Agreement: correlation of the finest detail
    between channels, which JPEG raises. Borders: differences at the borders of JPEG blocks relative to others.
    """
    x = _central(pixels).astype(np.float32)
    grey = x @ np.array(LUMA, np.float32)
    blue, red = x[..., 2] - grey, x[..., 0] - grey
    fine = [channel - gaussian_filter(channel, 1) for channel in (*np.moveaxis(x, 2, 0), grey)]
    coarse = gaussian_filter(grey, 1) - gaussian_filter(grey, 2)
    return np.array([
        math.log(_haar_noise(grey) + 0.05),
        math.log(_haar_noise(blue) + _haar_noise(red) + 0.05),
        math.log((fine[3].std() + 0.01) / (coarse.std() + 0.01)),
        _correlation(fine[0], fine[1]) + _correlation(fine[2], fine[1]),
        _block_borders(grey),
    ])  # fmt: skip


def _central(pixels: np.ndarray) -> np.ndarray:
    """At most MAX_SIDE px of each side, from the middle, without moving the grid of JPEG blocks."""
    top, left = (max(0, length - MAX_SIDE) // 16 * 8 for length in pixels.shape[:2])
    return pixels[top : top + MAX_SIDE, left : left + MAX_SIDE]


def _haar_noise(plane: np.ndarray) -> float:
    """The standard deviation of noise in a plane [H, W], estimated as by Donoho; 0 for less than 2 px."""
    plane = plane[: len(plane) // 2 * 2, : plane.shape[1] // 2 * 2]
    if not plane.size:
        return 0.0
    diagonal = plane[::2, ::2] - plane[1::2, ::2] - plane[::2, 1::2] + plane[1::2, 1::2]
    return float(np.median(np.abs(diagonal)) / 2 / 0.6745)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).mean() / math.sqrt((a * a).mean() * (b * b).mean() + 1e-6))


def _block_borders(grey: np.ndarray) -> float:
    """Log ratio of the differences across borders of 8 x 8 blocks to all others; 0 where there is no border."""
    at_borders, others = [], []
    for plane in (grey, grey.T):
        differences = np.abs(np.diff(plane, axis=1)).mean(axis=0)
        is_border = np.arange(len(differences)) % 8 == 7
        at_borders.append(differences[is_border])
        others.append(differences[~is_border])
    if not all(map(len, at_borders)):
        return 0.0
    return math.log((sum(map(np.mean, at_borders)) + 0.01) / (sum(map(np.mean, others)) + 0.01))
