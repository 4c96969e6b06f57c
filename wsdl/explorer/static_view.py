"""The current view of an explorer as one image: for notebooks without a front end, and for print."""

import numpy as np
from PIL import Image

from wsdl.evaluation.metrics import binary, iou
from wsdl.explorer.encode import STEPS
from wsdl.inference.words import percent
from wsdl.plots.heatmap import FAINT, SMALL_TEXT, blend, contour_lines, draw_lines, map_sheet

SIDE = 448  # pixels, the longer side of a panel
MASK_COLOUR = "#56B4E9"  # the outline of the true mask


def static_view(explorer) -> Image.Image:
    """The image, and its map with outlines: white at the threshold, blue for the true mask."""
    given, i = explorer.inputs, explorer.selected
    image, map_ = Image.fromarray(given.images[i]), explorer.current_map()
    mask = None if given.masks is None else given.masks[i]
    scale = SIDE / max(image.size)
    size = [max(1, round(scale * side)) for side in image.size]
    left = image.resize(size, Image.Resampling.BICUBIC)
    enlarged = np.asarray(Image.fromarray(map_).resize(size, Image.Resampling.NEAREST))  # pixels of a map stay square
    right = blend(left, enlarged, explorer.opacity, explorer.colours, explorer.grey)
    if mask is not None and explorer.truth:
        draw_lines(right, contour_lines(mask.astype(float), 0.5, scale), width=1.4, colour=MASK_COLOUR)
    above = binary(map_, explorer.threshold).astype(float)
    draw_lines(right, contour_lines(above, 0.5, scale), width=1.6)
    about = [texts[i] for texts in (given.names, given.labels, given.components) if texts]
    title = " · ".join([f"image {i + 1} of {len(given.images)}", *filter(None, about)])
    lines = [(_numbers(explorer, map_, mask), SMALL_TEXT, FAINT)]
    panels = [(title, left), (explorer.map, right)]
    return map_sheet(panels, lines, explorer.threshold, explorer.opacity, explorer.colours)


def _numbers(explorer, map_: np.ndarray, mask: np.ndarray | None) -> str:
    """Area above the threshold, IoU and score of the current image."""
    above = binary(map_, explorer.threshold)
    areas = explorer.inputs.areas.get(explorer.map)
    area = areas[explorer.selected][round(explorer.threshold * STEPS)] if areas else above.mean()
    parts = [f"{percent(area)} above {explorer.threshold:g} (white line)"]
    if mask is not None:
        parts.append(f"IoU {iou(above, mask):.3f} with the true mask" + (" (blue line)" if explorer.truth else ""))
    if explorer.map in explorer.inputs.scores:
        parts.append(f"score {explorer.inputs.scores[explorer.map][explorer.selected]:.3f}")
    return "  ·  ".join(parts)
