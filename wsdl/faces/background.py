"""What is behind a face: a studio's wall, or a place out of focus."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from wsdl.faces.geometry import noise, ramp
from wsdl.faces.identity import Background

SIDE = 128  # pixels it is painted at
PALETTES = {
    "foliage": [(0.06, 0.09, 0.045), (0.15, 0.20, 0.09), (0.42, 0.47, 0.33), (0.025, 0.035, 0.025)],
    "indoor": [(0.35, 0.27, 0.2), (0.12, 0.08, 0.05), (0.55, 0.5, 0.42), (0.2, 0.2, 0.24)],
    "street": [(0.25, 0.25, 0.27), (0.45, 0.45, 0.47), (0.12, 0.11, 0.12), (0.4, 0.25, 0.18)],
    "sky": [(0.35, 0.5, 0.75), (0.6, 0.7, 0.85), (0.8, 0.82, 0.85), (0.3, 0.4, 0.3)],
    "night": [(0.02, 0.02, 0.04), (0.06, 0.04, 0.06), (0.01, 0.01, 0.02), (0.15, 0.08, 0.04)],
}


def behind(background: Background, size: int, rng: np.random.Generator) -> np.ndarray:
    """Linear light [size, size, 3]."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    painted = place(background.kind, x, y, rng) if background.kind in PALETTES else wall(background, x, y, rng)
    painted = np.clip(painted, 0.003, 3).astype(np.float32)
    bands = (Image.fromarray(painted[..., c]).resize((size, size), Image.Resampling.BICUBIC) for c in range(3))
    return np.stack([np.asarray(band) for band in bands], -1).clip(0)


def wall(background: Background, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A plain wall, one lit from somewhere, or mottled cloth."""
    painted = np.ones((SIDE, SIDE, 3)) * background.colour
    if background.kind != "plain":
        away = np.hypot(x - rng.uniform(0.3, 0.7), y - rng.uniform(0.3, 0.6))
        painted = painted * (1.25 - 1.1 * away)[..., None]
    if background.kind == "mottled":
        cloth = 0.12 * noise(rng, (SIDE, SIDE), 12) + 0.05 * noise(rng, (SIDE, SIDE), 4)
        painted = painted * (1 + cloth)[..., None]
    return painted


def place(kind: str, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blobs of the place's colours, then walls, doors and people as soft rectangles, then lights."""
    palette = PALETTES[kind]
    painted = np.zeros((SIDE, SIDE, 3)) + palette[0]
    for colour in palette[1:]:
        blobs = ramp(noise(rng, (SIDE, SIDE), rng.uniform(6, 18)), 0.2, 1.0)
        painted += blobs[..., None] * (np.array(colour) - painted)
    for _ in range(rng.integers(2, 9)):
        left, top, wide, tall = (rng.uniform(*reach) for reach in ((-0.2, 1), (-0.2, 1), (0.05, 0.4), (0.1, 0.9)))
        inside = (x > left) & (x < left + wide) & (y > top) & (y < top + tall)
        opacity = inside * rng.uniform(0.3, 0.9)
        colour = np.array(palette[rng.integers(4)]) * rng.uniform(0.5, 1.6) * rng.uniform(0.85, 1.15, 3)
        painted += opacity[..., None] * (colour - painted)
    painted = gaussian_filter(painted, (*[rng.uniform(2, 7)] * 2, 0))
    if kind == "night" or (kind in ("foliage", "indoor") and rng.random() < 0.3):
        for _ in range(rng.integers(3, 22)):
            radius = rng.uniform(0.02, 0.06)
            disc = 1 - ramp(np.hypot(x - rng.random(), y - rng.random()), radius * 0.85, radius)
            lamp = np.array([1, 0.85, 0.6]) * rng.uniform(0.7, 1.3, 3) * rng.uniform(0.05, 0.6)
            painted += disc[..., None] * lamp
    return gaussian_filter(painted, (1.2, 1.2, 0))
