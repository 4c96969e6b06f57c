"""How good are fillings? Their error, whether they are as sharp as what was there, and how much they vary."""

import numpy as np
from scipy.ndimage import binary_erosion, laplace

from wsdl.core.io import seed_for


def inpainting_scores(painter, pictures: np.ndarray, holes: np.ndarray, batch: int = 16) -> dict:
    """`painter` on uint8 pictures [n, S, S, 3] and holes [n, S, S], in two fillings each.

    error      mean absolute difference from the truth in the holes, in grey levels; of several answers at most one
               is the truth, so this is no measure of Pluralistic
    sharpness  fine detail in the holes, filled over true: 1 as sharp as the photograph, 0 flat
    variety    mean absolute difference between the two fillings in the holes, in grey levels: 0 for LaMa
    """
    fillings = [_inpaint_batches(painter, pictures, holes, batch, which) for which in range(2)]
    inside = holes == 1
    return {
        "error": round(_mean_difference(fillings[0], pictures, inside), 3),
        "sharpness": round(_fine_detail(fillings[0], holes) / max(_fine_detail(pictures, holes), 1e-9), 4),
        "variety": round(_mean_difference(*fillings, inside), 3),
    }


def _inpaint_batches(painter, pictures: np.ndarray, holes: np.ndarray, batch: int, which: int) -> np.ndarray:
    parts = []
    for first in range(0, len(pictures), batch):
        part = slice(first, min(first + batch, len(pictures)))
        seeds = [seed_for("filling", which, i) for i in range(part.start, part.stop)]
        parts.append(painter.inpaint(pictures[part], holes[part], seeds))
    return np.concatenate(parts)


def _mean_difference(one: np.ndarray, other: np.ndarray, inside: np.ndarray) -> float:
    """Mean absolute difference over the pixels of `inside` [n, S, S], in grey levels."""
    return float(np.abs(one[inside].astype(float) - other[inside]).mean())


def _fine_detail(pictures: np.ndarray, holes: np.ndarray) -> float:
    """Mean size of the Laplacian of brightness inside the holes, their edges left out."""
    values = []
    for picture, hole in zip(pictures, holes, strict=True):
        values.append(np.abs(laplace(picture.mean(axis=-1)))[binary_erosion(hole == 1)])
    return float(np.concatenate(values).mean()) if sum(map(len, values)) else 0.0
