"""The paint of the head: colour and roughness of every texel, placed on the template."""

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.faces.geometry import noise, ramp
from wsdl.faces.identity import Identity
from wsdl.faces.rig import Rig
from wsdl.faces.template import own_hair_line

# How much of the scalp the paint of the hair covers: strands do the rest.
COVER = {"bald": 0.12, "buzz": 0.82}


def paint(rig: Rig, person: Identity, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour [H, W, 3] (linear, 0-1), roughness [H, W, 1] and hair paint [H, W] (opacity) of the head's texture."""
    skin, hair = person.skin, person.hair
    shape = rig.positions.shape[:2]
    coarse, middle, fine = noise(rng, shape, 30), noise(rng, shape, 7), noise(rng, shape, 1.2)
    colour = np.ones((*shape, 3), np.float32) * skin.tone
    colour *= 1 + skin.blotch * (0.03 * coarse + 0.025 * middle + 0.015 * fine)[..., None]
    colour *= blood(rig, skin, middle)
    colour *= age(rig, skin, coarse)
    colour *= freckles(rig, skin, rng)
    colour = lay(colour, 0.92 * gaussian_filter(rig.lips, 0.8), lips(skin, middle, fine))
    lids = np.array([0.10, 0.16, 0.15]) + skin.makeup * np.array([0.3, 0.4, 0.35])
    colour *= 1 - rig.lids[..., None] * lids
    dark = np.minimum(hair.colour, [0.25, 0.2, 0.16]) * 0.55
    grain = np.clip(0.8 + 0.1 * middle + 0.12 * fine, 0, 1.3)
    stubble = np.clip(skin.stubble * beard(rig) * 0.75 * grain, 0, 0.9)
    colour = lay(colour, stubble, skin.tone * 0.12 + dark * 0.4)
    brows = np.clip(rig.brows * hair.brow * 0.55 * (0.85 + 0.2 * fine), 0, 0.8)
    colour = lay(colour, brows, dark + 0.06 * skin.tone)
    edge = own_hair_line(rig.above_hair_line, rig.positions, hair) + 0.0025 * fine
    cover = COVER.get(hair.kind, 0.93) * ramp(edge, -0.004, 0.03 if hair.kind == "bald" else 0.008) * (1 - rig.ears)
    colour = lay(colour, cover, hair.colour * (0.7 + 0.15 * fine[..., None]))
    rough = skin.gloss + 0.17 + 0.05 * middle + 0.04 * fine - 0.12 * rig.lips * (1 + skin.makeup) + 0.2 * cover
    rough = np.clip(rough - 0.05 * spot(rig, 0, 0.69, 0.02, 0.06), 0.18, 0.9)
    return np.clip(colour, 0.006, 0.9), rough[..., None], cover


def lay(under: np.ndarray, opacity: np.ndarray, over: np.ndarray) -> np.ndarray:
    """`over` on `under` [H, W, 3] with `opacity` [H, W]."""
    return under * (1 - opacity[..., None]) + opacity[..., None] * over


def spot(rig: Rig, aside: float, height: float, wide: float, tall: float) -> np.ndarray:
    """Two smooth spots on the front of the face, `aside` metres left and right: 1 in the middle."""
    x, y, z = np.moveaxis(rig.positions, -1, 0)
    return np.exp(-(((np.abs(x) - aside) / wide) ** 2) - ((z - height) / tall) ** 2) * (y < -0.02)


def blood(rig: Rig, skin, middle: np.ndarray) -> np.ndarray:
    """The factor of blood on cheeks, nose, ears and chin; it shows less on dark skin."""
    where = spot(rig, 0.045, 0.662, 0.022, 0.022) + 0.8 * spot(rig, 0, 0.66, 0.016, 0.012)
    where = where + 0.8 * rig.ears + 0.25 * spot(rig, 0, 0.60, 0.02, 0.012)
    red = skin.red * (1 - 0.12 * skin.dark) * where * (1 + 0.25 * middle)
    return 1 + np.clip(red, 0, 1.5)[..., None] * np.array([0.06, -0.17, -0.16])


def age(rig: Rig, skin, coarse: np.ndarray) -> np.ndarray:
    """The factor of shadows below the eyes, folds beside the mouth and lines on the forehead."""
    x, y, z = np.moveaxis(rig.positions, -1, 0)
    shade = (0.20 + 0.25 * skin.old) * spot(rig, 0.031, 0.685, 0.016, 0.006) + 0.15 * spot(
        rig, 0.022, 0.703, 0.008, 0.01
    )
    fold = np.exp(-(((np.abs(x) - np.interp(z, [0.625, 0.665], [0.034, 0.02])) / 0.0025) ** 2))
    fold = fold * ramp(z, 0.625, 0.635) * (1 - ramp(z, 0.655, 0.668)) * (y < -0.1)
    lines = np.clip(np.sin((z + 0.0012 * coarse) * 760), 0, 1) ** 6 * spot(rig, 0, 0.745, 0.04, 0.016)
    total = shade + 0.5 * skin.old * fold + 0.22 * skin.old * lines
    return 1 - np.clip(total, 0, 0.8)[..., None] * np.array([0.55, 0.75, 0.75])


def freckles(rig: Rig, skin, rng: np.random.Generator) -> np.ndarray:
    """The factor of freckles around the nose and of spots everywhere."""
    shape = rig.positions.shape[:2]
    around = ramp(rig.face, 0.2, 0.8) * np.exp(-(((rig.positions[..., 2] - 0.675) / 0.03) ** 2))
    spots = np.clip(noise(rng, shape, 1.1) - 1.75, 0, 0.6) * skin.freckles * around
    spots = spots + np.clip(noise(rng, shape, 2.2) - 2.9, 0, 0.5) * (0.4 + skin.old)
    return 1 - np.clip(spots, 0, 0.8)[..., None] * np.array([0.5, 0.7, 0.8])


def lips(skin, middle: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """The colour of the lips [H, W, 3]: lipstick, or skin with more blood."""
    bare = skin.tone * (np.array([0.84, 0.50, 0.52]) + skin.dark * np.array([-0.02, 0.03, 0.035]))
    colour = bare if skin.lip is None else skin.lip
    return colour * (1 + 0.06 * fine + 0.05 * middle)[..., None]


def beard(rig: Rig) -> np.ndarray:
    """Where a beard grows: 0-1 [H, W]."""
    x, y, z = np.moveaxis(rig.positions, -1, 0)
    aside = np.abs(x)
    low = np.interp(aside, [0, 0.03, 0.07], [0.648, 0.645, 0.68])
    high = np.interp(aside, [0, 0.03, 0.07], [0.654, 0.665, 0.70])
    grows = ramp(z, 0.57, 0.60) * (1 - ramp(z, low, high)) * (y < -0.03) * (1 - rig.lips)
    return grows * (1 - 0.8 * np.exp(-((aside / 0.02) ** 2) - ((z - 0.617) / 0.005) ** 2))
