"""Alignment by the eyes: turn, scale and shift a picture so that its face is framed as CelebA-HQ frames it."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import center_of_mass, label

from wsdl.data.masks import component_mask

EYES = np.array([[0.385, 0.481], [0.627, 0.483]])  # centres in parts of the frame, left in the picture first
MIN_EYE = 0.0002  # an eye covers at least this part of the picture: 3 px at 128 x 128
MIN_RATIO = 0.2  # the smaller eye has at least this part of the larger one's area (a turned head)
MIN_APART, MAX_APART = 0.06, 0.5  # distance of the eyes in parts of the picture
MAX_TILT = 45  # degrees


class NoFaceError(ValueError):
    """What was parsed does not look like a face; the message says why, as the end of "PICTURE: shows no face (...)"."""


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation(angle) x + shift, in pixels: from the aligned picture back to the original."""

    matrix: np.ndarray  # [2, 2]
    shift: np.ndarray  # [2]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points [n, 2] (x, y) of the aligned picture -> where they come from."""
        return points @ self.matrix.T + self.shift

    @property
    def scale(self) -> float:
        """Pixels of the original for one pixel of the aligned picture."""
        return float(math.hypot(*self.matrix[:, 0]))


def eye_centres(labels: np.ndarray) -> np.ndarray:
    """The centres of both eyes in a label map [H, W]: [2, 2] (x, y) in pixels, left in the picture first.

    Eyes are the two largest spots of either eye class: which is left is seen by where they are. NoFaceError where
    there are not two, or where two such eyes cannot be.
    """
    spots, found = label(component_mask(labels, "eyes"), np.ones((3, 3)))
    areas = np.bincount(spots.ravel(), minlength=found + 1)[1:]
    largest = np.argsort(-areas, kind="stable")[:2]
    if len(largest) < 2 or areas[largest[1]] < max(1, MIN_EYE * labels.size):
        raise NoFaceError(f"{'one eye' if found else 'no eyes'} found where two are needed")
    if areas[largest[1]] < MIN_RATIO * areas[largest[0]]:
        raise NoFaceError(f"one eye has {areas[largest[0]]} pixels and the other {areas[largest[1]]}")
    centres = np.array(center_of_mass(np.ones_like(spots), spots, largest + 1))[:, ::-1] + 0.5
    centres = centres[np.argsort(centres[:, 0])]
    across, down = (centres[1] - centres[0]) / min(labels.shape)
    if not MIN_APART <= math.hypot(across, down) <= MAX_APART:
        raise NoFaceError(f"the eyes are {math.hypot(across, down):.0%} of the picture apart")
    if abs(math.degrees(math.atan2(down, across))) > MAX_TILT:
        raise NoFaceError(f"the eyes are tilted by {math.degrees(math.atan2(down, across)):.0f} degrees")
    return centres


def similarity(eyes: np.ndarray, size: int) -> Similarity:
    """The similarity that brings `eyes` [2, 2] (x, y) to EYES in an aligned picture of `size` px."""
    (left, right), (to_left, to_right) = (points @ [1, 1j] for points in (eyes, EYES * size))
    turn = (right - left) / (to_right - to_left)  # a complex number turns and scales
    shift = left - turn * to_left
    return Similarity(np.array([[turn.real, -turn.imag], [turn.imag, turn.real]]), np.array([shift.real, shift.imag]))


def align(image: Image.Image, eyes: np.ndarray, size: int) -> Image.Image:
    """`image` turned, scaled and shifted so that `eyes` [2, 2] come to EYES: `size` x `size`.

    Halved with BOX while it is at least twice as large, then BICUBIC, as all pictures are (wsdl.data.pictures).
    What lies outside the picture is its reflection.
    """
    back = similarity(eyes, size)
    while back.scale > 2 - 1e-6:  # rounding must not decide about a scale of exactly two
        image, eyes = image.reduce(2), eyes / 2
        back = similarity(eyes, size)
    corners = back(np.array([[0, 0], [0, size], [size, 0], [size, size]], float))
    low = np.minimum(np.floor(corners.min(axis=0)) - 2, 0)
    high = np.maximum(np.ceil(corners.max(axis=0)) + 2 - image.size, 0)
    (left, top), (right, bottom) = (-low).astype(int), high.astype(int)
    padded = np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="symmetric")
    (a, b), (c, d) = back.matrix
    x, y = back.shift + np.array([left, top])
    return Image.fromarray(padded).transform(
        (size, size), Image.Transform.AFFINE, (a, b, x, c, d, y), Image.Resampling.BICUBIC
    )
