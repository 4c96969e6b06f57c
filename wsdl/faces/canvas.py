"""A canvas for drawn faces: soft-edged shapes drawn over each other with a label map, and a simulated camera."""

from copy import copy

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from wsdl.data.masks import CLASSES

ORIGIN = 0.506, 0.482  # the point between the eyes, as fractions of the frame (CelebA-HQ)


class Canvas:
    """Pixels, labels, and coordinates as fractions of the frame with the origin between the eyes (y points down)."""

    def __init__(self, side: int, rng: np.random.Generator):
        v, u = (np.mgrid[:side, :side].astype(np.float32) + 0.5) / side
        roll = rng.uniform(-0.06, 0.06)
        u, v = u - ORIGIN[0], v - ORIGIN[1]
        self.x = np.cos(roll) * u + np.sin(roll) * v
        self.y = np.cos(roll) * v - np.sin(roll) * u
        self.side = side
        self.rgb = np.zeros((side, side, 3), np.float32)
        self.labels = np.zeros((side, side), np.uint8)

    def window(self, x: float, y: float, wide: float, tall: float) -> "Canvas":
        """A view of the part around (x, y), `wide` and `tall` to each side: drawing on it is faster."""
        part = copy(self)
        rows, columns = (
            slice(max(0, int((middle - reach) * self.side)), int((middle + reach) * self.side))
            for middle, reach in ((y + ORIGIN[1], tall), (x + ORIGIN[0], wide))
        )
        for name in ("x", "y", "rgb", "labels"):
            setattr(part, name, getattr(self, name)[rows, columns])
        return part

    def soft(self, distance: np.ndarray, width: float = 0.0) -> np.ndarray:
        """Opacity [S, S] of the region distance < 0, with an edge of `width` (at least two pixels)."""
        return np.clip(0.5 - distance / max(width, 2 / self.side), 0, 1)

    def draw(self, opacity: np.ndarray, colour, label: str = "") -> None:
        """Blend `colour` ([3] or [S, S, 3]) over the image; pixels more than half covered get the label."""
        self.rgb += opacity.astype(np.float32)[..., None] * (np.asarray(colour, np.float32) - self.rgb)
        if label:
            self.labels[opacity > 0.5] = CLASSES.index(label)

    def shade(self, opacity: np.ndarray, factor) -> None:
        """Multiply by `factor` (one number or RGB) where `opacity` is 1."""
        self.rgb *= 1 + opacity.astype(np.float32)[..., None] * (np.asarray(factor, np.float32) - 1)

    def spot(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        """A smooth spot: 1 at (x, y), 0.37 at the radii."""
        return np.exp(-(((self.x - x) / rx) ** 2) - ((self.y - y) / ry) ** 2)

    def ellipse(self, x: float, y: float, rx: float, ry: float, power: float = 2) -> np.ndarray:
        """Approximate distance to an ellipse (power 2) or a rounded box (power 4): negative inside."""
        inside = (np.abs((self.x - x) / rx) ** power + np.abs((self.y - y) / ry) ** power) ** (1 / power)
        return (inside - 1) * min(rx, ry)

    def blotches(self, rng: np.random.Generator, cells: int) -> np.ndarray:
        """Smooth noise [S, S] with about `cells` blobs per side, mean 0, deviation about 1."""
        return zoom(
            rng.normal(size=(cells, cells)).astype(np.float32),
            self.side / cells,
            order=1,
            grid_mode=True,
            mode="nearest",
        )

    def to_image(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Simulate a camera (lens blur, reduction by two, noise, 8 bits): pixels [S/2, S/2, 3] and label map."""
        sharp = gaussian_filter(self.rgb, (*[rng.uniform(0.5, 1.0)] * 2, 0))
        half = sharp.reshape(self.side // 2, 2, self.side // 2, 2, 3).mean(axis=(1, 3))
        noise = gaussian_filter(rng.normal(size=half.shape), (0.4, 0.4, 0))
        half = half + rng.uniform(1.5, 3.5) * np.sqrt(0.4 + np.clip(half, 0, 255) / 200) * noise
        return half.round().clip(0, 255).astype(np.uint8), self.labels[::2, ::2].copy()
