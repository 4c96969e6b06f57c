"""What happens to pictures on their way: saved as JPEG, made smaller, blurred, noisy. The whole picture, real or fake.

Each treatment is a function (uint8 [H, W, 3], level, rng) -> uint8 [H, W, 3] of the same size, so that masks stay true.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter


def compress_jpeg(picture: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """Saved as JPEG of `quality` (1 to 95, PIL's scale) and opened again."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=round(quality))
    return np.asarray(Image.open(buffer).convert("RGB"))


def rescale(picture: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Made smaller by `factor` (0 to 1) and brought back to its size, both BICUBIC: what is fine is gone."""
    image = Image.fromarray(picture)
    small = image.resize([max(1, round(side * factor)) for side in image.size], Image.Resampling.BICUBIC)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


def gaussian_blur(picture: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Blurred by a Gaussian of `sigma` pixels (PIL's: boxes in a row, near to it)."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def gaussian_noise(picture: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """With Gaussian noise of `sigma` grey levels, another for each pixel and colour."""
    return (picture + rng.normal(0, sigma, picture.shape)).round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Corruption:
    apply: Callable
    levels: tuple[float, ...]  # from harmless to harsh: those that are measured
    unit: str  # of a level


CORRUPTIONS = {
    "JPEG": Corruption(compress_jpeg, (95, 90, 80, 70, 60, 50), "quality"),
    "resize": Corruption(rescale, (0.9, 0.75, 0.5, 0.35), "factor"),
    "blur": Corruption(gaussian_blur, (0.4, 0.7, 1, 1.5, 2), "sigma, pixels"),
    "noise": Corruption(gaussian_noise, (1, 2, 4, 8, 16), "sigma, grey levels"),
}


def corrupt_fraction(pictures: np.ndarray, part: float, rng: np.random.Generator) -> np.ndarray:
    """uint8 [n, H, W, 3] in which about `part` of the pictures were treated: one treatment each, of any level between.

    For training: which pictures, how and how much does not depend on what is real or fake.
    """
    treated = pictures.copy()
    for i in np.flatnonzero(rng.random(len(pictures)) < part):
        treatment = CORRUPTIONS[rng.choice(list(CORRUPTIONS))]
        level = rng.uniform(min(treatment.levels), max(treatment.levels))
        treated[i] = treatment.apply(pictures[i], level, rng)
    return treated
