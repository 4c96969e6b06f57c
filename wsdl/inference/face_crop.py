"""Between an image of any size and the square input of a detector: find the face, crop it, map the result back.

Detectors are trained on square images of one face with the eyes at fixed places (wsdl.parsing.align). In any other
image a face is searched for first. Without one, the whole image is resized to the square.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsdl.evaluation.metrics import upsample
from wsdl.parsing.align import EYE_POSITIONS, NoFaceError, Similarity, align_face, eye_centres, similarity_to_aligned
from wsdl.parsing.parse import check_face

MAX_EYE_SHIFT = 0.06  # eyes closer to their places, as a fraction of the side, need no alignment; renders reach 0.05


@dataclass(frozen=True)
class FaceCrop:
    """The square of an image that is given to a detector."""

    square: np.ndarray  # uint8 [S, S, 3]
    to_image: Similarity | None  # from pixels of the square to pixels of the image; None: the whole image, resized
    size: tuple[int, int]  # width and height of the image

    @property
    def corners(self) -> np.ndarray:
        """The corners of the square in the image, [4, 2] (x, y) in pixels, in order; they may lie outside it."""
        unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
        return unit * self.size if self.to_image is None else self.to_image(unit * len(self.square))

    @property
    def side(self) -> float:
        """The shorter side of the cropped region, in pixels of the image."""
        return self.to_image.scale * len(self.square) if self.to_image else min(self.size)


def crop_whole(image: Image.Image, size: int) -> FaceCrop:
    """All of `image`, resized to a square of `size` px, or less where the image is smaller."""
    return FaceCrop(np.asarray(resize_to_square(image, size)), None, image.size)


def resize_to_square(image: Image.Image, size: int) -> Image.Image:
    """`image` as a square of at most `size` px, nothing cut off: halved with BOX, then BICUBIC, as in `data prepare`.

    Small images are not enlarged here: a detector does that itself, as in training.
    """
    size = min(size, max(image.size))
    while max(image.size) >= 2 * size:
        halved = tuple(side // 2 if side >= 2 * size else side for side in image.size)
        image = image.resize(halved, Image.Resampling.BOX)
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)


def crop_face(image: Image.Image, parser, size: int) -> FaceCrop:
    """The face in `image`, aligned as in training, `size` x `size`. Raises NoFaceError where none is found.

    Searches the largest squares that fit: the central one, then those at both ends. A face that is aligned already is
    not rotated, since resampling would alter the traces that a detector looks for.
    """
    reason = None
    for left, top, side in square_windows(image.size):
        is_whole = image.size == (side, side)  # not copied: it may be large
        window = image if is_whole else image.crop((left, top, left + side, top + side))
        try:
            eyes = _find_eyes(window, parser)
        except NoFaceError as error:
            reason = reason or error
            continue
        corner = np.array([left, top], float)
        if np.abs(eyes - EYE_POSITIONS).max() <= MAX_EYE_SHIFT:
            square = np.asarray(resize_to_square(window, size))
            return FaceCrop(square, Similarity(np.eye(2) * side / len(square), corner), image.size)
        eyes = corner + eyes * side
        return FaceCrop(np.asarray(align_face(image, eyes, size)), similarity_to_aligned(eyes, size), image.size)
    raise reason


def square_windows(size: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Left, top and side of the squares in which a face is searched for, the central one first."""
    side, (right, bottom) = min(size), (length - min(size) for length in size)
    places = [(right // 2, bottom // 2), (0, 0), (right, bottom)]
    return [(*place, side) for place in dict.fromkeys(places)]


def _find_eyes(window: Image.Image, parser) -> np.ndarray:
    """The centres of the eyes in a square image, [2, 2] (x, y) as fractions of its side. Raises NoFaceError."""
    labels = parser.parse_squares([np.asarray(resize_to_square(window, parser.size))])[0]
    check_face(labels)
    return eye_centres(labels) / len(labels)


def map_to_image(map_: np.ndarray, crop: FaceCrop) -> tuple[np.ndarray, np.ndarray]:
    """A map [h, w] of the square -> float32 [H, W] of the image, and which pixels it covers, bool [H, W].

    Resized to the square as in `evaluate` (BICUBIC), then placed with BILINEAR. Pixels outside the square are 0.
    """
    width, height = crop.size
    if crop.to_image is None:
        return upsample(map_, (height, width)), np.ones((height, width), bool)
    side = len(crop.square)
    left, top, right, bottom = _bounding_box(crop)  # only this part: photographs are large and faces small
    inverse = np.linalg.inv(crop.to_image.matrix)
    x, y = inverse @ (np.array([left, top]) - crop.to_image.shift)
    (a, b), (c, d) = inverse
    placed = Image.fromarray(upsample(map_, (side, side))).transform(
        (right - left, bottom - top), Image.Transform.AFFINE, (a, b, x, c, d, y), Image.Resampling.BILINEAR,
        fillcolor=-1,
    )  # fmt: skip
    values = np.asarray(placed)
    full, covered = np.zeros((height, width), np.float32), np.zeros((height, width), bool)
    np.greater_equal(values, 0, out=covered[top:bottom, left:right])
    np.maximum(values, 0, out=full[top:bottom, left:right])
    return full, covered


def _bounding_box(crop: FaceCrop) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the image that contains the square, in whole pixels."""
    corners = crop.corners
    low = np.clip(np.floor(corners.min(axis=0)), 0, crop.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, crop.size).astype(int)
    return (*low.tolist(), *high.tolist())
