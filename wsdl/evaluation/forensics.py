"""Two classical methods of image forensics. They need no training and analyse one image at a time.

Each is a function uint8 [H, W, 3] -> float32 [H, W] in [0, 1], 1 = suspicious, on a fixed scale: no map is normalised
by its own image. Both detect a region with another processing history, not a generator. Where the whole image was
processed alike they are hardly better than the trivial baselines.
"""

import io

import numpy as np
from PIL import Image
from scipy.ndimage import convolve1d, uniform_filter

_QUALITY = 90  # of the JPEG in error-level analysis
ELA_FULL = 8.0  # grey levels of error at which its map is 1
_SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 16  # the cubic B-spline of the à-trous wavelet
_WINDOW = 9  # px: side of the square in which the noise is measured
_FLOOR = 0.5  # grey levels: weaker noise cannot be distinguished from rounding
_OCTAVES = 2.0  # the residual's map is 1 where the noise is 2^_OCTAVES times the median or a 2^_OCTAVES-th of it


def ela(image: np.ndarray, quality: int = _QUALITY) -> np.ndarray:
    """Error-level analysis (Krawetz 2007): the change of each pixel when the image is saved as JPEG again.

    An image that was a JPEG before hardly changes, except where something was pasted later. The map is the largest
    change of the three colours, divided by ELA_FULL and clipped at 1.
    ValueError for an image that is not uint8 [H, W, 3].
    """
    buffer = io.BytesIO()
    Image.fromarray(_checked_image(image)).save(buffer, "JPEG", quality=quality)
    again = np.asarray(Image.open(buffer).convert("RGB"))
    change = np.abs(again.astype(np.float32) - image).max(axis=2)
    return (change / ELA_FULL).clip(max=1)


def noise_residual(image: np.ndarray) -> np.ndarray:
    """Noise inconsistency (after Mahdian and Saic 2009): where the noise is stronger or weaker than its median.

    The noise is the part of the grey image that wavelet denoising removes. Its strength in a square around each pixel
    is compared to the median over the image: the map is the distance in octaves, divided by _OCTAVES and clipped at 1,
    so 0.5 is twice the median noise or half of it.
    ValueError for an image that is not uint8 [H, W, 3].
    """
    noise = noise_of(_checked_image(image).astype(np.float32).mean(axis=2))
    strength = np.sqrt(uniform_filter(noise**2, _WINDOW, mode="reflect").clip(min=0)) + _FLOOR
    return (np.abs(np.log2(strength / np.median(strength))) / _OCTAVES).clip(max=1).astype(np.float32)


def noise_of(grey: np.ndarray) -> np.ndarray:
    """The part of `grey` (float32 [H, W]) that denoising removes: soft thresholding of the finest level of the à-trous
    wavelet (Starck and Murtagh 1994), where noise is strong and faces are weak.

    Each coefficient is clipped at three times the noise level, which is estimated by the median (Donoho and Johnstone
    1994). Edges exceed it and mostly remain in the image.
    """
    smooth = convolve1d(convolve1d(grey, _SPLINE, axis=0, mode="reflect"), _SPLINE, axis=1, mode="reflect")
    detail = grey - smooth
    most = 3 * max(_FLOOR, float(np.median(np.abs(detail))) / 0.6745)
    return detail.clip(-most, most)


def _checked_image(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image must be uint8 [H, W, 3], but is {image.dtype} {list(image.shape)}")
    return image


FORENSIC_BASELINES = {"ela": ela, "noise residual": noise_residual}
