"""Image corruptions: JPEG compression, resizing, blur and noise, applied to the whole image, real or fake.

Each is a function (uint8 [H, W, 3], level, rng) -> uint8 [H, W, 3] of the same size, so that masks remain valid.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter


def compress_jpeg(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """Compress as JPEG of `quality` (1 to 95, PIL's scale)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=round(quality))
    return np.asarray(Image.open(buffer).convert("RGB"))


def rescale(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Reduce by `factor` (0 to 1) and enlarge to the original size, both BICUBIC."""
    original = Image.fromarray(image)
    small = original.resize([max(1, round(side * factor)) for side in original.size], Image.Resampling.BICUBIC)
    return np.asarray(small.resize(original.size, Image.Resampling.BICUBIC))


def gaussian_blur(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian of `sigma` pixels (PIL approximates it by box filters)."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def gaussian_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of `sigma` grey levels, independent for each pixel and channel."""
    return (image + rng.normal(0, sigma, image.shape)).round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Corruption:
    apply: Callable
    levels: tuple[float, ...]  # the tested levels, from weak to strong
    unit: str  # of a level


CORRUPTIONS = {
    "JPEG": Corruption(compress_jpeg, (95, 90, 80, 75, 70, 60, 50), "quality"),
    "resize": Corruption(rescale, (0.9, 0.75, 0.5, 0.35), "factor"),
    "blur": Corruption(gaussian_blur, (0.4, 0.7, 1, 1.5, 2), "sigma, pixels"),
    "noise": Corruption(gaussian_noise, (1, 2, 4, 8, 16), "sigma, grey levels"),
}


def corrupt_fraction(images: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Apply one random corruption of random level to about `fraction` of the images uint8 [n, H, W, 3].

    For training: the choice does not depend on whether an image is real or fake.
    """
    corrupted = images.copy()
    for i in np.flatnonzero(rng.random(len(images)) < fraction):
        corruption = CORRUPTIONS[rng.choice(list(CORRUPTIONS))]
        level = rng.uniform(min(corruption.levels), max(corruption.levels))
        corrupted[i] = corruption.apply(images[i], level, rng)
    return corrupted
