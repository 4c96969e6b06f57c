"""Positions on the template head: hair line, brows, nose, lips, and the class of each texel.

The template is the average head of `rig`, in metres: x to the person's left, y backwards, z up, eyes at
(+-0.0307, -0.113, 0.701). Regions defined here follow every change of shape, since texels and hair roots keep their
position on the template.
"""

import numpy as np

from wsdl.data.masks import CLASSES
from wsdl.faces.geometry import smoothstep

(BACKGROUND, SKIN, NOSE, GLASSES, LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW, MOUTH, UPPER_LIP, LOWER_LIP, HAIR, NECK,
 CLOTH) = (CLASSES.index(name) for name in (
     "background", "skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow", "mouth inside",
     "upper lip", "lower lip", "hair", "neck", "cloth"))  # fmt: skip

# The hair line: degrees around the head (0 front, 180 nape), height in metres.
HAIR_LINE = np.array(
    [[0, 0.7735], [12, 0.773], [25, 0.769], [36, 0.760], [46, 0.744], [54, 0.724], [61, 0.704], [68, 0.684],
     [76, 0.676], [82, 0.692], [86, 0.716], [100, 0.714], [108, 0.692], [120, 0.645], [150, 0.615], [180, 0.607]]
)  # fmt: skip
BROW_START, BROW_LENGTH = 0.0125, 0.042  # metres from the middle of the face


def head_azimuth(points: np.ndarray) -> np.ndarray:
    """Degrees around the head's axis of template `points` [..., 3]: 0 front, 180 back, symmetric."""
    return np.degrees(np.arctan2(np.abs(points[..., 0]), -(points[..., 1] + 0.03)))


def above_hair_line(points: np.ndarray) -> np.ndarray:
    """Height of template `points` [..., 3] above the hair line, in metres."""
    return points[..., 2] - np.interp(head_azimuth(points), *HAIR_LINE.T)


def own_hair_line(above: np.ndarray, points: np.ndarray, hair) -> np.ndarray:
    """`above_hair_line` of one person: irregular, higher or lower, with receding temples."""
    around, x = head_azimuth(points), points[..., 0]
    uneven = 0.0022 * np.sin(x * 170 + hair.jag) + 0.0016 * np.sin(x * 390 + 3 * hair.jag)
    above = above + uneven * (around < 60) - hair.line * (around < 70)
    receded = 0.045 * np.exp(-(((around - 35) / 22) ** 2)) + 0.012 * (around < 35)
    return above - hair.recede * receded


def brow_middle(along: np.ndarray) -> np.ndarray:
    """Height of the brow's centre line at positions `along` it (0-1)."""
    return np.interp(along, [-0.1, 0, 0.35, 0.68, 1, 1.1], [0.7148, 0.7150, 0.7170, 0.7188, 0.7145, 0.713])


def along_brow(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position along the brow (0 inner, 1 outer end), and height above its centre line in usual half widths."""
    along = (np.abs(points[..., 0]) - BROW_START) / BROW_LENGTH
    half = np.interp(along, [-0.1, 0, 0.2, 0.6, 1, 1.1], [0.001, 0.0023, 0.0028, 0.0023, 0.0008, 0.0004])
    return along, (points[..., 2] - brow_middle(along)) / half


def brow_opacity(points: np.ndarray, wide: float) -> np.ndarray:
    """Opacity (0-1) of a brow, `wide` times as thick as usual, at template `points` [..., 3]."""
    along, over = along_brow(points)
    ends = smoothstep(along, -0.07, 0.16) * (1 - smoothstep(along, 0.82, 1.05))
    return np.exp(-(np.abs(over / wide) ** 3)) * ends * (points[..., 1] < -0.03)


def on_ear(points: np.ndarray) -> np.ndarray:
    """Which template `points` [..., 3] lie on an ear: bool [...]."""
    x, y, z = np.moveaxis(points, -1, 0)
    return (np.abs(x) > 0.066) & (np.abs(y + 0.025) < 0.035) & (np.abs(z - 0.685) < 0.037)


def texel_classes(points: np.ndarray, lips: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Class of each texel without brows, uint8 [H, W], from positions [H, W, 3], lip opacity, lower-lip mask."""
    x, y, z = np.moveaxis(points, -1, 0)
    half = np.interp(z, [0.645, 0.66, 0.70, 0.715], [0.0195, 0.0195, 0.0085, 0.006])
    nose = (np.abs(x) < half) & (z > 0.647) & (z < 0.712) & (y < -0.11)
    found = np.where(nose, NOSE, SKIN)
    found[z < 0.585 + 0.42 * (y + 0.13)] = NECK
    found[lips > 0.5] = UPPER_LIP
    found[(lips > 0.5) & lower] = LOWER_LIP
    return found.astype(np.uint8)


def add_brows(classes: np.ndarray, points: np.ndarray, wide: float) -> np.ndarray:
    """`classes` [H, W] with the brows of one person, `wide` times as thick as usual."""
    brow = brow_opacity(points, wide) > 0.35
    return np.where(brow, np.where(points[..., 0] > 0, LEFT_BROW, RIGHT_BROW), classes)
