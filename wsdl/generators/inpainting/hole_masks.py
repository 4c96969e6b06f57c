"""Random masks to train inpainting with: components of the face, as in the fakes, and free-form strokes."""

import numpy as np
from PIL import Image, ImageDraw

from wsdl.core.io import seed_for
from wsdl.data.masks import random_region, visible_components

COMPONENT_SHARE = 0.75  # of the masks; the others are strokes, so that the network accepts masks of any shape
MIN_STROKE_AREA, MAX_STROKE_AREA = 0.03, 0.4  # area of strokes, as a fraction of the image


def random_hole_mask(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random mask for a face of label map `labels` [S, S]: uint8 [S, S], 1 = inpaint, neither empty nor full.

    A face without a visible component gets strokes.
    """
    components = visible_components(labels)
    if components and rng.random() < COMPONENT_SHARE:
        return random_region(labels, components[rng.integers(len(components))], rng)
    return stroke_mask(labels.shape[0], rng)


def stroke_mask(size: int, rng: np.random.Generator) -> np.ndarray:
    """Brush strokes until they cover a random fraction of the image: uint8 [size, size], 1 = inpaint."""
    wanted = rng.uniform(MIN_STROKE_AREA, MAX_STROKE_AREA)
    mask = np.zeros((size, size), np.uint8)
    while mask.mean() < wanted:
        grown = _add_stroke(mask, rng)
        if grown.mean() > MAX_STROKE_AREA and mask.any():
            break
        mask = grown
    return mask


def _add_stroke(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`mask` with one more stroke: a path of a few straight segments at small angles, with round joints."""
    size = len(mask)
    width = max(2, round(size * rng.uniform(0.04, 0.12)))
    points = [rng.uniform(0, size, 2)]
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(1, 5)):
        angle += rng.uniform(-1.2, 1.2)
        step = size * rng.uniform(0.05, 0.2) * np.array([np.cos(angle), np.sin(angle)])
        points.append((points[-1] + step).clip(0, size - 1))
    image = Image.fromarray(mask)
    pen = ImageDraw.Draw(image)
    pen.line([tuple(point) for point in points], fill=1, width=width)
    for x, y in points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
    return np.asarray(image)


def hole_masks(labels: np.ndarray, *words) -> np.ndarray:
    """A mask for each of `labels` [n, S, S]: uint8 [n, S, S]; mask i depends on `words`, i and its label map alone."""
    rngs = [np.random.default_rng(seed_for(*words, i)) for i in range(len(labels))]
    return np.stack([random_hole_mask(one, rng) for one, rng in zip(labels, rngs, strict=True)])
