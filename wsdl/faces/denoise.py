"""Take the grain out of a path-traced picture that has few samples, without softening the paint."""

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, median_filter

from wsdl.faces import template

# Smooth surfaces; hair, eyes and glasses are too fine to average.
SMOOTH = (template.SKIN, template.NOSE, template.NECK, template.LEFT_BROW, template.RIGHT_BROW, template.MOUTH,
          template.UPPER_LIP, template.LOWER_LIP, template.CLOTH)  # fmt: skip
SKINS = template.SKIN, template.NOSE, template.NECK, template.LEFT_BROW, template.RIGHT_BROW
SCATTER = np.array([0.010, 0.005, 0.003])  # how far red, green and blue light goes, parts of the frame
MOUTH = template.MOUTH, template.UPPER_LIP, template.LOWER_LIP


def denoise(light: np.ndarray, guide: np.ndarray, labels: np.ndarray, reach: int = 2) -> np.ndarray:
    """Joint bilateral filter of light / colour [H, W, 3] along similar normals; guide [H, W, 6]: normals, colours."""
    normals, colours = guide[..., :3], guide[..., 3:6] + 0.02
    fall = light / colours
    if (labels > 0).any():
        fall = np.minimum(fall, 3 * np.median(fall[labels > 0]) + 1e-6)
    smooth, mouth = np.isin(labels, SMOOTH).astype(float), np.isin(labels, MOUTH)
    total, weights = np.zeros_like(light), np.zeros((*labels.shape, 1))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            shift = (dy, dx)
            bend = ((normals - np.roll(normals, shift, (0, 1))) ** 2).sum(-1)
            weight = np.exp(-bend / 0.03 - (dx * dx + dy * dy) / 3.5) * smooth * np.roll(smooth, shift, (0, 1))
            weight = weight * (mouth == np.roll(mouth, shift, (0, 1))) + 1e-9 * (shift == (0, 0))
            total += weight[..., None] * np.roll(fall, shift, (0, 1))
            weights += weight[..., None]
    return np.where(smooth[..., None] > 0, total / weights * colours, light)


def calm(light: np.ndarray, where: np.ndarray) -> np.ndarray:
    """`light` [H, W, 3] without sparks `where` [H, W] hair mirrors a lamp: none far brighter than the hair around."""
    if not where.any():
        return light
    bright = light.mean(-1)
    nearest = distance_transform_edt(~where, return_distances=False, return_indices=True)
    limit = 1.7 * median_filter(bright[tuple(nearest)], 5) + 0.1 * np.median(bright[where])
    factor = np.where(where, np.minimum(1, limit / (bright + 1e-9)), 1)
    return light * factor[..., None]


def scatter(light: np.ndarray, guide: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`light` [H, W, 3] after it went through skin, red the farthest: shadows get soft, warm borders."""
    colours = guide[..., 3:6] + 0.02
    # Not at its border, where colours are mixed with those of hair or background.
    inside = binary_erosion(np.isin(labels, SKINS), np.ones((3, 3)), border_value=1).astype(float)
    fall, spread = light / colours * inside[..., None], SCATTER * len(light)
    soft = [gaussian_filter(fall[..., c], spread[c]) / (gaussian_filter(inside, spread[c]) + 1e-6) for c in range(3)]
    return np.where(inside[..., None] > 0, np.stack(soft, -1) * colours, light)


def soften(light: np.ndarray, where: np.ndarray, amount: float, spread: float) -> np.ndarray:
    """`light` [H, W, 3] mixed by `amount` (0-1) with its blur over `spread` pixels `where` [H, W] it is grainy."""
    inside = where.astype(float)
    weight = gaussian_filter(inside, spread) + 1e-9
    blurred = gaussian_filter(light * inside[..., None], (spread, spread, 0)) / weight[..., None]
    return light + amount * inside[..., None] * (blurred - light)
