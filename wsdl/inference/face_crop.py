"""Between a picture of any size and the square that a detector judges: find the face, cut it out, put the map back.

Detectors are trained on square pictures of one face, eyes in the same place (wsdl.parsing.align). Anything else is
strange to them, so a face is looked for first. Without one, the whole picture is squeezed into the square.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsdl.evaluation.metrics import upsample
from wsdl.parsing.align import EYES, NoFaceError, Similarity, align, eye_centres, similarity
from wsdl.parsing.parse import check_face

FRAMED = 0.06  # eyes nearer than this to their places, in parts of the side, need no alignment; renders reach 0.05


@dataclass(frozen=True)
class Frame:
    """What of a picture a detector sees."""

    square: np.ndarray  # uint8 [S, S, 3]
    back: Similarity | None  # from pixels of the square to pixels of the picture; None: the whole picture, squeezed
    size: tuple[int, int]  # width and height of the picture

    @property
    def corners(self) -> np.ndarray:
        """The corners of the square in the picture, [4, 2] (x, y) in pixels, around it; they may lie outside."""
        unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
        return unit * self.size if self.back is None else self.back(unit * len(self.square))

    @property
    def side(self) -> float:
        """The shorter side of what was judged, in pixels of the picture."""
        return self.back.scale * len(self.square) if self.back else min(self.size)


def whole(image: Image.Image, size: int) -> Frame:
    """All of `image`, squeezed into `size` x `size`, or into less where it is smaller."""
    return Frame(np.asarray(to_square(image, size)), None, image.size)


def to_square(image: Image.Image, size: int) -> Image.Image:
    """`image` as a square of at most `size` px, nothing cut off: halved with BOX, then BICUBIC, as data prepare does.

    Small pictures are not enlarged here: a detector does that itself, in training and now.
    """
    size = min(size, max(image.size))
    while max(image.size) >= 2 * size:
        halved = tuple(side // 2 if side >= 2 * size else side for side in image.size)
        image = image.resize(halved, Image.Resampling.BOX)
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)


def face(image: Image.Image, parser, size: int) -> Frame:
    """The face in `image` as detectors know faces, `size` x `size`. NoFaceError where there is none.

    Squares as large as the picture allows are looked at: the central one, then those at both ends. A face that is
    framed well already is not turned: resampling would touch the very traces that a detector looks for.
    """
    reason = None
    for left, top, side in windows(image.size):
        window = image.crop((left, top, left + side, top + side))
        try:
            eyes = find_eyes(window, parser)
        except NoFaceError as error:
            reason = reason or error
            continue
        corner = np.array([left, top], float)
        if np.abs(eyes - EYES).max() <= FRAMED:
            square = np.asarray(to_square(window, size))
            return Frame(square, Similarity(np.eye(2) * side / len(square), corner), image.size)
        eyes = corner + eyes * side
        return Frame(np.asarray(align(image, eyes, size)), similarity(eyes, size), image.size)
    raise reason


def windows(size: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Left, top and side of the squares in which a face is looked for: the central one first."""
    side, (across, down) = min(size), (length - min(size) for length in size)
    places = [(across // 2, down // 2), (0, 0), (across, down)]
    return [(*place, side) for place in dict.fromkeys(places)]


def find_eyes(window: Image.Image, parser) -> np.ndarray:
    """The centres of the eyes in a square picture, [2, 2] (x, y) in parts of its side. NoFaceError without a face."""
    labels = parser.parse_squares([np.asarray(to_square(window, parser.size))])[0]
    check_face(labels)
    return eye_centres(labels) / len(labels)


def to_picture(map_: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """A map [h, w] of the square -> float32 [H, W] of the picture, and where it was judged, bool [H, W].

    First to the size of the square as `evaluate` does (BICUBIC), then BILINEAR into place. What was not judged is 0.
    """
    width, height = frame.size
    if frame.back is None:
        return upsample(map_, (height, width)), np.ones((height, width), bool)
    side = len(frame.square)
    left, top, right, bottom = around(frame)  # a camera's picture is large, and most of it is not the face
    inverse = np.linalg.inv(frame.back.matrix)
    x, y = inverse @ (np.array([left, top]) - frame.back.shift)
    (a, b), (c, d) = inverse
    placed = Image.fromarray(upsample(map_, (side, side))).transform(
        (right - left, bottom - top), Image.Transform.AFFINE, (a, b, x, c, d, y), Image.Resampling.BILINEAR,
        fillcolor=-1,
    )  # fmt: skip
    found = np.asarray(placed)
    values, judged = np.zeros((height, width), np.float32), np.zeros((height, width), bool)
    np.greater_equal(found, 0, out=judged[top:bottom, left:right])
    np.maximum(found, 0, out=values[top:bottom, left:right])
    return values, judged


def around(frame: Frame) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the picture that holds the square, in whole pixels."""
    corners = frame.corners
    low = np.clip(np.floor(corners.min(axis=0)), 0, frame.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, frame.size).astype(int)
    return (*low.tolist(), *high.tolist())
