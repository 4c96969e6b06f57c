"""Two classical methods of image forensics. They need no training and look at one picture at a time.

Each is a function uint8 [H, W, 3] -> float32 [H, W] in [0, 1], 1 = suspicious, on a fixed scale: no map is normalised
by its own picture. Both look for a region with another past, not for a generator, so on pictures that were treated
alike everywhere they are hardly better than the controls.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import convolve1d, uniform_filter

from wsdl.detectors.prediction import Prediction
from wsdl.evaluation.baselines import mean_score

QUALITY = 90  # of the JPEG that error-level analysis saves
ELA_FULL = 8.0  # grey levels of error at which its map is 1
_SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 16  # the cubic B-spline of the à-trous wavelet
_WINDOW = 9  # pixels: side of the square in which the noise is measured
_FLOOR = 0.5  # grey levels: a weaker noise cannot be told from rounding
_OCTAVES = 2.0  # the residual's map is 1 where the noise is 2^OCTAVES times the usual, or a 2^OCTAVES-th of it


def ela(image: np.ndarray, quality: int = QUALITY) -> np.ndarray:
    """Error-level analysis (Krawetz 2007): how much each pixel changes when the picture is saved as JPEG again.

    A picture that was a JPEG hardly changes where it was left alone; what was pasted later has not settled yet and
    changes more. The map is the largest change of the three colours, divided by ELA_FULL and clipped at 1.
    ValueError for a picture that is not uint8 [H, W, 3].
    """
    buffer = io.BytesIO()
    Image.fromarray(_checked_image(image)).save(buffer, "JPEG", quality=quality)
    again = np.asarray(Image.open(buffer).convert("RGB"))
    change = np.abs(again.astype(np.float32) - image).max(axis=2)
    return (change / ELA_FULL).clip(max=1)


def noise_residual(image: np.ndarray) -> np.ndarray:
    """Noise inconsistency (after Mahdian and Saic 2009): where there is more noise, or less, than usual in the picture.

    The noise is what wavelet denoising takes away from the mean of the colours. Its strength in a square around each
    pixel is compared to its median over the picture: the map is the distance in octaves, divided by OCTAVES and
    clipped at 1, so 0.5 is twice the usual noise, or half of it.
    ValueError for a picture that is not uint8 [H, W, 3].
    """
    noise = noise_of(_checked_image(image).astype(np.float32).mean(axis=2))
    strength = np.sqrt(uniform_filter(noise**2, _WINDOW, mode="reflect").clip(min=0)) + _FLOOR
    return (np.abs(np.log2(strength / np.median(strength))) / _OCTAVES).clip(max=1).astype(np.float32)


def noise_of(grey: np.ndarray) -> np.ndarray:
    """What denoising takes from float32 [H, W]: soft thresholding of the finest level of the à-trous wavelet
    (Starck and Murtagh 1994), where noise is strong and faces are weak.

    Of each detail up to three times the usual noise is taken, which is estimated by the median (Donoho and Johnstone
    1994): edges are larger and mostly stay.
    """
    smooth = convolve1d(convolve1d(grey, _SPLINE, axis=0, mode="reflect"), _SPLINE, axis=1, mode="reflect")
    detail = grey - smooth
    most = 3 * max(_FLOOR, float(np.median(np.abs(detail))) / 0.6745)
    return detail.clip(-most, most)


def _checked_image(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"a picture must be uint8 [H, W, 3], but is {image.dtype} {list(image.shape)}")
    return image


def forensic_prediction(method: Callable, images: np.ndarray) -> Prediction:
    """What a method says of uint8 images [n, H, W, 3], in the shape of a detector's answer; a score is a map's mean."""
    maps = np.stack([method(image) for image in images])
    return Prediction(maps, np.array([mean_score(map_) for map_ in maps]))


FORENSIC_BASELINES = {"ela": ela, "noise residual": noise_residual}
