"""The overlay of one localised image: the image, its map, the colour bar, and the result in words, largest first."""

import numpy as np
from PIL import Image

from wsdl.plots.heatmap import DARK, FAINT, OPACITY, SMALL_TEXT, TEXT, blend, contour_lines, draw_lines, map_sheet

LARGE_TEXT = 22  # pixels
PANEL = 560  # pixels, the longer side of a panel
MIN_SIDE = 200  # pixels, the shorter side of a panel; a narrower image gets a pale background
WARNING, BACKGROUND, FRAME = "#A34700", "#F0F0F0", "#FFD166"
MARGIN = 0.12  # around the analysed region when zoomed in, as a fraction of its side
ZOOM = 0.5  # zoom in where less than this fraction of the image was analysed

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the image


def render_overlay(result) -> Image.Image:
    """A Localization as one image: left in colour, right in grey under its map.

    Pixels that were not analysed have no colour at the right. The white line is the threshold. Where little of the
    image was analysed, the right panel shows that part, and both panels show its frame.
    """
    everything, box = (0, 0, *result.image.size), visible_box(result)
    left = _pad_narrow(_crop(result.image, everything))
    right = _pad_narrow(_blended(result, box))
    _draw_outline(right, result, box)
    if not result.analysed.all():
        _draw_frame(left, result.corners, everything)
        _draw_frame(right, result.corners, box)
    title = "map" if box == everything else "map of the analysed region"
    first, second, *others = result.lines()
    lines = [(first, LARGE_TEXT, DARK), (second, TEXT, DARK)]
    lines += [(line, SMALL_TEXT, WARNING if line in result.warnings else FAINT) for line in others]
    return map_sheet([("image", left), (title, right)], lines, result.threshold)


def visible_box(result) -> Box:
    """The part of the image to show: all of it, or the analysed region with a margin where that is small."""
    if result.analysed.mean() >= ZOOM:
        return (0, 0, *result.image.size)
    low, high = result.corners.min(axis=0), result.corners.max(axis=0)
    margin = MARGIN * (high - low)
    low = np.maximum(np.floor(low - margin), 0).astype(int)
    high = np.minimum(np.ceil(high + margin), result.image.size).astype(int)
    return (*low.tolist(), *high.tolist())


def _scale(box: Box) -> float:
    """Pixels of a panel per pixel of the image."""
    return PANEL / max(box[2] - box[0], box[3] - box[1])


def _panel_size(box: Box) -> tuple[int, int]:
    return tuple(max(1, round(_scale(box) * length)) for length in (box[2] - box[0], box[3] - box[1]))


def _crop(image: Image.Image, box: Box) -> Image.Image:
    """`box` of `image` at the size of a panel; pixels stay square where it is enlarged much."""
    method = Image.Resampling.LANCZOS if _scale(box) < 1 else Image.Resampling.BICUBIC
    if _scale(box) > 8:
        method = Image.Resampling.NEAREST
    return image.resize(_panel_size(box), method, box=box, reducing_gap=3)


def _pad_narrow(panel: Image.Image) -> Image.Image:
    """`panel`, centred on a pale background where it is narrower than MIN_SIDE."""
    if min(panel.size) >= MIN_SIDE:
        return panel
    padded = Image.new("RGB", tuple(max(MIN_SIDE, length) for length in panel.size), BACKGROUND)
    padded.paste(panel, _padding(panel.size))
    return padded


def _padding(size: tuple[int, int]) -> tuple[int, int]:
    """Pixels left of and above a panel of `size` on its background."""
    return tuple(max(0, MIN_SIDE - length) // 2 for length in size)


def _blended(result, box: Box) -> Image.Image:
    analysed = _resized(result.analysed.astype(np.float32), box)
    return blend(_crop(result.image, box), _resized(result.map, box), OPACITY * analysed)


def _resized(values: np.ndarray, box: Box) -> np.ndarray:
    """`box` of `values` [H, W] at the size of a panel, in [0, 1]."""
    left, top, right, bottom = box
    part = Image.fromarray(values[top:bottom, left:right])
    return np.clip(np.asarray(part.resize(_panel_size(box), Image.Resampling.BILINEAR)), 0, 1)


def _draw_outline(panel: Image.Image, result, box: Box) -> None:
    """A line around where the map exceeds the threshold; none where all of it does."""
    map_ = _resized(result.map, box)
    if map_.min() > result.threshold:
        return
    draw_lines(panel, [line + _padding(_panel_size(box)) for line in contour_lines(map_, result.threshold)])


def _draw_frame(panel: Image.Image, corners: np.ndarray, box: Box) -> None:
    """A line around the analysed region."""
    points = (corners - box[:2]) * _scale(box) + _padding(_panel_size(box))
    draw_lines(panel, [np.concatenate([points, points[:1]])], width=2, colour=FRAME)
