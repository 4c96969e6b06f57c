"""Alignment by the eyes: rotate, scale and shift an image so that its face is framed as in CelebA-HQ."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import center_of_mass, label

from wsdl.data.masks import component_mask

EYE_POSITIONS = np.array([[0.385, 0.481], [0.627, 0.483]])  # centres as fractions of the frame, left in the image first
_MIN_EYE = 0.0002  # least area of an eye, fraction of the image: 3 px at 128 x 128
_MIN_RATIO = 0.2  # least ratio of the areas of the eyes (they differ in a turned head)
_MIN_DISTANCE, _MAX_DISTANCE = 0.06, 0.5  # distance of the eyes, fraction of the image
_MAX_TILT = 45  # degrees


class NoFaceError(ValueError):
    """The label map does not show a face; the message is the reason, as in "IMAGE: no face was found (REASON)"."""


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation(angle) x + shift, in pixels: from the aligned image back to the original."""

    matrix: np.ndarray  # [2, 2]
    shift: np.ndarray  # [2]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points [n, 2] (x, y) of the aligned image to the original."""
        return points @ self.matrix.T + self.shift

    @property
    def scale(self) -> float:
        """Pixels of the original for one pixel of the aligned image."""
        return float(math.hypot(*self.matrix[:, 0]))


def eye_centres(labels: np.ndarray) -> np.ndarray:
    """The centres of both eyes in a label map [H, W]: [2, 2] (x, y) in pixels, left in the image first.

    Eyes are the two largest connected regions of either eye class, ordered by position. NoFaceError where there are
    fewer than two, or their areas, distance or tilt are implausible.
    """
    spots, found = label(component_mask(labels, "eyes"), np.ones((3, 3)))
    areas = np.bincount(spots.ravel(), minlength=found + 1)[1:]
    largest = np.argsort(-areas, kind="stable")[:2]
    if len(largest) < 2 or areas[largest[1]] < max(1, _MIN_EYE * labels.size):
        raise NoFaceError(f"{'one eye' if found else 'no eyes'} found where two are needed")
    if areas[largest[1]] < _MIN_RATIO * areas[largest[0]]:
        raise NoFaceError(f"one eye has {areas[largest[0]]} pixels and the other {areas[largest[1]]}")
    centres = np.array(center_of_mass(np.ones_like(spots), spots, largest + 1))[:, ::-1] + 0.5
    centres = centres[np.argsort(centres[:, 0])]
    across, down = (centres[1] - centres[0]) / min(labels.shape)
    if not _MIN_DISTANCE <= math.hypot(across, down) <= _MAX_DISTANCE:
        raise NoFaceError(f"the eyes are {math.hypot(across, down):.0%} of the image apart")
    if abs(math.degrees(math.atan2(down, across))) > _MAX_TILT:
        raise NoFaceError(f"the eyes are tilted by {math.degrees(math.atan2(down, across)):.0f} degrees")
    return centres


def similarity_to_aligned(eyes: np.ndarray, size: int) -> Similarity:
    """The similarity transform that moves `eyes` [2, 2] (x, y) to EYES in an aligned image of `size` px."""
    (left, right), (to_left, to_right) = (points @ [1, 1j] for points in (eyes, EYE_POSITIONS * size))
    turn = (right - left) / (to_right - to_left)  # a complex number turns and scales
    shift = left - turn * to_left
    return Similarity(np.array([[turn.real, -turn.imag], [turn.imag, turn.real]]), np.array([shift.real, shift.imag]))


def align_face(image: Image.Image, eyes: np.ndarray, size: int) -> Image.Image:
    """`image` rotated, scaled and shifted so that `eyes` [2, 2] come to EYES: `size` x `size`.

    Halved with BOX while it is at least twice as large, then BICUBIC, as in `wsdl.data.images.resize_image`. Pixels
    outside the image are filled by reflection.
    """
    back = similarity_to_aligned(eyes, size)
    while back.scale > 2 - 1e-6:  # the tolerance keeps rounding from deciding about a scale of exactly two
        image, eyes = image.reduce(2), eyes / 2
        back = similarity_to_aligned(eyes, size)
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
