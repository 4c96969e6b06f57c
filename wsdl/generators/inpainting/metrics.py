"""Measures of inpainted regions during training: error, relative sharpness, and variety between seeds."""

import numpy as np
from scipy.ndimage import binary_erosion, laplace

from wsdl.core.io import seed_for


def inpainting_scores(inpainter, images: np.ndarray, masks: np.ndarray, batch: int = 16) -> dict:
    """Scores of `inpainter` on uint8 images [n, S, S, 3] with masks [n, S, S], each inpainted with two seeds.

    error      mean absolute difference from the original in the masks, in grey levels; Pluralistic samples one of
               several plausible results, so its error says little
    sharpness  fine detail in the masks, inpainted over original: 1 as sharp as the original, 0 flat
    variety    mean absolute difference between the two results in the masks, in grey levels: 0 for LaMa
    """
    results = [_inpaint_batches(inpainter, images, masks, batch, which) for which in range(2)]
    inside = masks == 1
    return {
        "error": round(_mean_difference(results[0], images, inside), 3),
        "sharpness": round(_fine_detail(results[0], masks) / max(_fine_detail(images, masks), 1e-9), 4),
        "variety": round(_mean_difference(*results, inside), 3),
    }


def _inpaint_batches(inpainter, images: np.ndarray, masks: np.ndarray, batch: int, which: int) -> np.ndarray:
    seeds = [seed_for("filling", which, i) for i in range(len(images))]
    parts = [slice(start, start + batch) for start in range(0, len(images), batch)]
    return np.concatenate([inpainter.inpaint(images[part], masks[part], seeds[part]) for part in parts])


def _mean_difference(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> float:
    """Mean absolute difference over the pixels of `inside` [n, S, S], in grey levels."""
    return float(np.abs(first[inside].astype(float) - second[inside]).mean())


def _fine_detail(images: np.ndarray, masks: np.ndarray) -> float:
    """Mean absolute Laplacian of the brightness inside the masks without their border; 0 where nothing is left."""
    values = []
    for image, mask in zip(images, masks, strict=True):
        values.append(np.abs(laplace(image.mean(axis=-1)))[binary_erosion(mask == 1)])
    return float(np.concatenate(values).mean()) if sum(map(len, values)) else 0.0
