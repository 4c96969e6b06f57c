"""What is behind a face: a studio's wall, or a place out of focus."""

import numpy as np
from PIL import Image

from wsdl.faces.geometry import noise
from wsdl.faces.identity import Background
from wsdl.faces.scenery import PLACES, SIDE, scenery


def behind(background: Background, size: int, rng: np.random.Generator) -> np.ndarray:
    """Linear light [size, size, 3]."""
    painted = scenery(background.kind, rng) if background.kind in PLACES else wall(background, rng)
    painted = np.clip(painted, 0.003, 3).astype(np.float32)
    bands = (Image.fromarray(painted[..., c]).resize((size, size), Image.Resampling.BICUBIC) for c in range(3))
    return np.stack([np.asarray(band) for band in bands], -1).clip(0)


def wall(background: Background, rng: np.random.Generator) -> np.ndarray:
    """A plain wall, one lit from somewhere, or mottled cloth."""
    painted = np.ones((SIDE, SIDE, 3)) * background.colour
    if background.kind != "plain":
        y, x = np.mgrid[:SIDE, :SIDE] / SIDE
        away = np.hypot(x - rng.uniform(0.3, 0.7), y - rng.uniform(0.3, 0.6))
        painted = painted * (1.25 - 1.1 * away)[..., None]
    if background.kind == "mottled":
        cloth = 0.12 * noise(rng, (SIDE, SIDE), 12) + 0.05 * noise(rng, (SIDE, SIDE), 4)
        painted = painted * (1 + cloth)[..., None]
    return painted
