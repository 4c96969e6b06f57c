"""The current view of an explorer as one image: for notebooks without a front end, and for print."""

import numpy as np
from PIL import Image

from wsdl.evaluation.metrics import binary, iou
from wsdl.explorer.encode import STEPS
from wsdl.inference.words import percent
from wsdl.plots.heatmap import FAINT, SMALL_TEXT, blend, contour_lines, draw_lines, map_sheet

SIDE = 448  # pixels, the longer side of a panel
SMALL_SIDE = 256  # where all maps are shown
ROW = 4  # panels side by side, at most
MASK_COLOUR = "#56B4E9"  # the outline of the true mask


def static_view(explorer) -> Image.Image:
    """The image, and its map with outlines: white at the threshold, blue for the true mask; in mode "maps" all maps."""
    given, i = explorer.inputs, explorer.selected
    every = explorer.mode == "maps"
    names = list(given.maps) if every else [explorer.map]
    image, side = Image.fromarray(given.images[i]), SMALL_SIDE if every else SIDE
    scale = side / max(image.size)
    left = image.resize([max(1, round(scale * length)) for length in image.size], Image.Resampling.BICUBIC)
    about = [texts[i] for texts in (given.names, given.labels, given.components) if texts]
    title = " · ".join([f"image {i + 1} of {len(given.images)}", *filter(None, about)])
    panels = [(title, left), *((name, _overlay(explorer, name, left, scale)) for name in names)]
    lines = [((f"{name}: " if every else "") + _numbers(explorer, name), SMALL_TEXT, FAINT) for name in names]
    rows = [panels[start : start + ROW] for start in range(0, len(panels), ROW)]
    below = [[] for _ in rows[1:]] + [lines]
    look = explorer.threshold, explorer.opacity, explorer.colours
    return _stacked([map_sheet(row, text, *look) for row, text in zip(rows, below, strict=True)])


def _overlay(explorer, name: str, image: Image.Image, scale: float) -> Image.Image:
    """One map over its enlarged image, with outlines."""
    given, i = explorer.inputs, explorer.selected
    map_ = explorer.map_named(name)
    enlarged = np.asarray(Image.fromarray(map_).resize(image.size, Image.Resampling.NEAREST))  # its pixels stay square
    over = blend(image, enlarged, explorer.opacity, explorer.colours, explorer.grey)
    if given.masks is not None and explorer.truth:
        draw_lines(over, contour_lines(given.masks[i].astype(float), 0.5, scale), width=1.4, colour=MASK_COLOUR)
    draw_lines(over, contour_lines(binary(map_, explorer.threshold).astype(float), 0.5, scale), width=1.6)
    return over


def _stacked(sheets: list[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)), "white")
    y = 0
    for sheet in sheets:
        whole.paste(sheet, (0, y))
        y += sheet.height
    return whole


def _numbers(explorer, name: str) -> str:
    """Area above the threshold, IoU and score of the current image under one map."""
    given, i, map_ = explorer.inputs, explorer.selected, explorer.map_named(name)
    above = binary(map_, explorer.threshold)
    areas = given.areas.get(name)
    area = areas[i][round(explorer.threshold * STEPS)] if areas else above.mean()
    parts = [f"{percent(area)} above {explorer.threshold:g} (white line)"]
    if given.masks is not None:
        parts.append(_agreement(above, given.masks[i], explorer.truth))
    if name in given.scores:
        parts.append(f"score {given.scores[name][i]:.3f}")
    return "  ·  ".join(parts)


def _agreement(above: np.ndarray, mask: np.ndarray, outlined: bool) -> str:
    if not mask.any():
        return "a real image: every marked pixel is a false alarm"
    return f"IoU {percent(iou(above, mask))} with the true mask" + (" (blue line)" if outlined else "")
