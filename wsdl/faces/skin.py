"""The texture of the head: colour and roughness of every texel, defined on the template head."""

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.faces import template
from wsdl.faces.facial_hair import beard_opacity
from wsdl.faces.geometry import noise_texture, smoothstep
from wsdl.faces.identity import Identity
from wsdl.faces.rig import Rig
from wsdl.faces.template import own_hair_line

# Opacity of hair in the scalp texture (0.93 for other kinds); strands cover the rest.
SCALP_OPACITY = {"bald": 0.12, "buzz": 0.82}


def skin_texture(rig: Rig, person: Identity, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour [H, W, 3] (linear, 0-1), roughness [H, W, 1] and hair opacity [H, W] of the head's texture."""
    skin, hair = person.skin, person.hair
    shape = rig.positions.shape[:2]
    coarse, middle, fine = noise_texture(rng, shape, 30), noise_texture(rng, shape, 7), noise_texture(rng, shape, 1.2)
    colour = np.ones((*shape, 3), np.float32) * skin.tone
    colour *= 1 + skin.blotch * (0.016 * coarse + 0.012 * middle + 0.012 * fine)[..., None]
    colour *= _blood_factor(rig, skin, middle)
    colour *= _age_factor(rig, skin, person.actions.get("mouthSmileLeft", 0.0), coarse)
    colour *= _freckle_factor(rig, skin, rng)
    colour = _blend(colour, 0.9 * gaussian_filter(rig.lips, 1.2), _lip_colour(skin, middle, fine))
    lids = np.array([0.17, 0.21, 0.20]) + skin.makeup * np.array([0.25, 0.3, 0.26])
    colour *= 1 - rig.lids[..., None] * lids
    colour *= 1 - (0.45 + 0.4 * skin.makeup) * np.clip(rig.lash_line, 0, 1)[..., None]
    root = hair_root(hair.colour)
    colour = _blend(colour, beard_opacity(rig, person.beard, fine), 0.8 * root + 0.18 * skin.tone)
    brows = template.brow_opacity(rig.positions, hair.brow_wide) * hair.brow * 0.62 * (0.9 + 0.12 * fine)
    colour = _blend(colour, np.clip(brows, 0, 0.75), root + 0.08 * skin.tone)
    edge = own_hair_line(rig.above_hair_line, rig.positions, hair) + 0.0025 * fine
    cover = (
        SCALP_OPACITY.get(hair.kind, 0.93)
        * smoothstep(edge, -0.004, 0.03 if hair.kind == "bald" else 0.008)
        * (1 - rig.ears)
    )
    colour = _blend(colour, cover, hair.colour * (0.7 + 0.15 * fine[..., None]))
    rough = skin.gloss + 0.12 + 0.03 * middle + 0.03 * fine - 0.1 * rig.lips * (1 + skin.makeup) + 0.2 * cover
    rough = np.clip(rough - 0.05 * _spots(rig, 0, 0.70, 0.025, 0.07), 0.18, 0.9)
    return np.clip(colour, 0.006, 0.9), rough[..., None], cover


def _blend(under: np.ndarray, opacity: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Blend `over` on `under` [H, W, 3] with `opacity` [H, W]."""
    return under * (1 - opacity[..., None]) + opacity[..., None] * over


def _spots(rig: Rig, aside: float, height: float, wide: float, tall: float) -> np.ndarray:
    """Two smooth spots on the front of the face, `aside` metres left and right, 1 at their centres: [H, W]."""
    x, y, z = np.moveaxis(rig.positions, -1, 0)
    return np.exp(-(((np.abs(x) - aside) / wide) ** 2) - ((z - height) / tall) ** 2) * (y < -0.02)


def _blood_factor(rig: Rig, skin, middle: np.ndarray) -> np.ndarray:
    """Colour factor of blood in cheeks, nose, ears and chin, weaker on dark skin."""
    where = _spots(rig, 0.042, 0.664, 0.03, 0.026) + 0.7 * _spots(rig, 0, 0.66, 0.018, 0.014)
    where = where + 0.9 * rig.ears + 0.25 * _spots(rig, 0, 0.60, 0.02, 0.012)
    red = skin.red * (1 - 0.12 * skin.dark) * where * (0.8 + 0.06 * middle)
    return 1 + np.clip(red, 0, 1.5)[..., None] * np.array([0.06, -0.17, -0.16])


def _age_factor(rig: Rig, skin, smile: float, coarse: np.ndarray) -> np.ndarray:
    """Colour factor of shadows below the eyes, folds beside the mouth (deeper in a `smile`), and wrinkles."""
    x, y, z = np.moveaxis(rig.positions, -1, 0)
    aside = np.abs(x)
    shade = (0.16 + 0.3 * skin.old) * _spots(rig, 0.029, 0.686, 0.015, 0.005)
    shade = shade + 0.22 * _spots(rig, 0.018, 0.703, 0.007, 0.009)
    fold = np.exp(-(((aside - np.interp(z, [0.625, 0.665], [0.034, 0.02])) / 0.003) ** 2))
    fold = fold * smoothstep(z, 0.625, 0.64) * (1 - smoothstep(z, 0.652, 0.668)) * (y < -0.1)
    lines = np.clip(np.sin((z + 0.0012 * coarse) * 760), 0, 1) ** 4 * _spots(rig, 0, 0.745, 0.04, 0.016)
    bag = np.exp(-(((z - 0.681 + 73 * (aside - 0.03) ** 2) / 0.0016) ** 2)) * _spots(rig, 0.03, 0.683, 0.013, 0.01)
    spread = np.arctan2(z - 0.696, aside - 0.03)
    feet = np.clip(np.sin(spread * 15), 0, 1) ** 2 * _spots(rig, 0.056, 0.695, 0.009, 0.013)
    total = shade + (0.1 * smile + 0.45 * skin.old) * fold + skin.old * (0.3 * lines + 0.4 * bag + 0.25 * feet)
    return 1 - np.clip(total, 0, 0.8)[..., None] * np.array([0.55, 0.72, 0.72])


def _freckle_factor(rig: Rig, skin, rng: np.random.Generator) -> np.ndarray:
    """Colour factor of freckles around the nose and of spots everywhere."""
    shape = rig.positions.shape[:2]
    around = smoothstep(rig.face, 0.2, 0.8) * np.exp(-(((rig.positions[..., 2] - 0.675) / 0.03) ** 2))
    spots = np.clip(noise_texture(rng, shape, 1.1) - 1.75, 0, 0.6) * skin.freckles * around
    spots = spots + np.clip(noise_texture(rng, shape, 2.2) - 2.9, 0, 0.5) * (0.4 + skin.old)
    return 1 - np.clip(spots, 0, 0.8)[..., None] * np.array([0.5, 0.7, 0.8])


def _lip_colour(skin, middle: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """Colour of the lips [H, W, 3]: skin with more blood, covered by lipstick if there is any."""
    blood = np.array([0.15, 0.48, 0.46]) - skin.dark * np.array([-0.01, 0.03, 0.035])
    colour = skin.tone * (1 - skin.redlips * blood)
    if skin.lip is not None:
        cover = 0.35 + 0.45 * skin.makeup
        colour = colour * (1 - cover) + cover * skin.lip
    return colour * (1 + 0.05 * fine + 0.04 * middle)[..., None]


def hair_root(colour: np.ndarray) -> np.ndarray:
    """Colour of brows and beard roots: that of the hair, limited in lightness and darkness."""
    return 0.8 * np.clip(colour, [0.03, 0.021, 0.016], [0.16, 0.115, 0.085])
