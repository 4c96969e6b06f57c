"""Holes to learn inpainting with: components of the face, as the fakes have them, and free-form strokes."""

import numpy as np
from PIL import Image, ImageDraw

from wsdl.core.io import seed_for
from wsdl.data.masks import random_region, visible_components

COMPONENT_SHARE = 0.75  # of the holes; the others are strokes, so that no shape of hole is a surprise
SMALLEST, LARGEST = 0.03, 0.4  # of the picture, for strokes


def random_hole_mask(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random hole for a face of label map `labels` [S, S]: uint8 [S, S], 1 = paint, neither empty nor everything.

    A face that shows no component gets strokes.
    """
    shown = visible_components(labels)
    if shown and rng.random() < COMPONENT_SHARE:
        return random_region(labels, shown[rng.integers(len(shown))], rng)
    return stroke_mask(labels.shape[0], rng)


def stroke_mask(size: int, rng: np.random.Generator) -> np.ndarray:
    """Brush strokes, until a random part of the picture is covered: uint8 [size, size], 1 = paint."""
    wanted = rng.uniform(SMALLEST, LARGEST)
    picture = np.zeros((size, size), np.uint8)
    while picture.mean() < wanted:
        grown = _add_stroke(picture, rng)
        if grown.mean() > LARGEST and picture.any():  # one too many
            break
        picture = grown
    return picture


def _add_stroke(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`picture` with one more stroke: a path of a few straight pieces, each turning a little, with round joints."""
    size = len(picture)
    width = max(2, round(size * rng.uniform(0.04, 0.12)))
    points = [rng.uniform(0, size, 2)]
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(1, 5)):
        angle += rng.uniform(-1.2, 1.2)
        step = size * rng.uniform(0.05, 0.2) * np.array([np.cos(angle), np.sin(angle)])
        points.append((points[-1] + step).clip(0, size - 1))
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    pen.line([tuple(point) for point in points], fill=1, width=width)
    for x, y in points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
    return np.asarray(image)


def hole_masks(labels: np.ndarray, *words) -> np.ndarray:
    """A hole for each of `labels` [n, S, S]: uint8 [n, S, S]; hole i depends on the words, i and its labels alone."""
    return np.stack([random_hole_mask(one, np.random.default_rng(seed_for(*words, i))) for i, one in enumerate(labels)])
