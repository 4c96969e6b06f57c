"""The sheet of one localized picture: the picture, the map over it, the colour bar, what was found.

Drawn with Pillow rather than matplotlib: ten times faster, and thousands of pictures may be waiting.
"""

from pathlib import Path

import contourpy  # matplotlib's own
import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from wsdl.data.contact_sheet import label_font
from wsdl.plots.style import MAP_COLOURS

PANEL = 560  # pixels, the longer side of each of the two views
LEAST = 200  # pixels, the shorter side of a panel at least: a thin picture gets a pale ground
ALPHA = 0.65  # as in `overlay`
LETTERS, SMALL = 17, 14  # pixels
GAP, BAR = 24, 22  # pixels
FINE = 2  # lines are drawn so many times larger, then made smaller: smooth edges
INK, FAINT, DOUBT, GROUND = "#222222", "#777777", "#A34700", "#F0F0F0"
MARGIN = 0.12  # around a zoomed face, in parts of its side
ZOOM = 0.5  # zoom in where less than this part of the picture was judged


def sheet(result) -> Image.Image:
    """A `localize.Localization` as a picture: left in colour, right in grey under its map, zoomed to the face.

    The colour bar is mixed with mid-grey as the map is with the picture, and always runs from 0 to 1. What was not
    judged stays grey without colour. The white line is the threshold.
    """
    everything, box = (0, 0, *result.image.size), part(result)
    left = on_ground(view(result.image, everything))
    right = on_ground(blended(result, box))
    outlined(right, result, box)
    if not result.judged.all():
        framed(left, result.corners, everything)
        framed(right, result.corners, box)
    height, lines = max(left.height, right.height), [learned(result), *result.warnings]
    head, foot = LETTERS + 14, 2 * LETTERS + len(lines) * (SMALL + 7)
    bar_left = left.width + right.width + 2 * GAP
    canvas = Image.new("RGB", (bar_left + BAR + 92 + GAP, head + height + foot + GAP // 2), "white")
    pen = ImageDraw.Draw(canvas)
    title = "map" if box == everything else "map, on the part that was judged"
    for panel, x, words in ((left, GAP, "picture"), (right, left.width + GAP + GAP // 2, title)):
        canvas.paste(panel, (x, head))
        pen.text((x, head - 8), fitting(words, panel.width, LETTERS), fill=INK, font=label_font(LETTERS), anchor="ls")
    colour_bar(canvas, (bar_left + 4, head, BAR, height))
    y = head + height + GAP // 2 + 4
    found = f"score {result.score:.2f}     {result.painted:.1%} painted (map above {result.threshold:g})"
    pen.text((GAP, y), found, fill=INK, font=label_font(LETTERS), anchor="lt")
    for i, line in enumerate(lines):
        place, ink = (GAP, y + LETTERS + 9 + i * (SMALL + 7)), DOUBT if i else FAINT
        pen.text(place, fitting(line, canvas.width - 2 * GAP, SMALL), fill=ink, font=label_font(SMALL), anchor="lt")
    return canvas


def learned(result) -> str:
    """Which detector, and what it was trained on."""
    return "  ·  ".join([Path(result.detector).name, *training(result.trained_on)])


def training(facts: dict) -> list[str]:
    """What a detector was trained on, in words."""
    parts = [f"setup {facts['setup']}"] if facts.get("setup") else []
    parts += [f"trained on {facts['source']}"] if facts.get("source") else []
    parts += [f"fakes by {facts['generator']}"] if facts.get("generator") else []
    return parts


def fitting(text: str, width: int, letters: int) -> str:
    """`text` in letters of that many pixels, shortened to `width` pixels."""
    if label_font(letters).getlength(text) <= width:
        return text
    while text and label_font(letters).getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def part(result) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is worth showing: the whole picture, or what was judged where that is little."""
    return zoom(result) if result.judged.mean() < ZOOM else (0, 0, *result.image.size)


def zoom(result) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what was judged with a margin, inside the picture."""
    low, high = result.corners.min(axis=0), result.corners.max(axis=0)
    margin = MARGIN * (high - low)
    low = np.maximum(np.floor(low - margin), 0).astype(int)
    high = np.minimum(np.ceil(high + margin), result.image.size).astype(int)
    return (*low.tolist(), *high.tolist())


def scale_of(box: tuple[int, int, int, int]) -> float:
    """Pixels of a panel for one pixel of the picture."""
    return PANEL / max(box[2] - box[0], box[3] - box[1])


def shape_of(box: tuple[int, int, int, int]) -> tuple[int, int]:
    scale = scale_of(box)
    return tuple(max(1, round(scale * length)) for length in (box[2] - box[0], box[3] - box[1]))


def view(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """`box` of `image` as a panel: smooth where it is made smaller, whole pixels where it is made much larger."""
    method = Image.Resampling.LANCZOS if scale_of(box) < 1 else Image.Resampling.BICUBIC
    if scale_of(box) > 8:
        method = Image.Resampling.NEAREST
    return image.resize(shape_of(box), method, box=box, reducing_gap=3)


def on_ground(panel: Image.Image) -> Image.Image:
    """`panel`, in the middle of a pale ground where it is thin."""
    if min(panel.size) >= LEAST:
        return panel
    ground = Image.new("RGB", tuple(max(LEAST, length) for length in panel.size), GROUND)
    ground.paste(panel, offset(panel.size))
    return ground


def offset(size: tuple[int, int]) -> tuple[int, int]:
    """Where a thin panel of `size` lies on its ground."""
    return tuple(max(0, LEAST - length) // 2 for length in size)


def blended(result, box: tuple[int, int, int, int]) -> Image.Image:
    """`box` of the picture in grey under its map."""
    grey = np.asarray(view(result.image, box).convert("L"))[..., None]
    map_, judged = small_map(result, box, shape_of(box))
    colours = colormaps[MAP_COLOURS](map_)[..., :3] * 255
    alpha = ALPHA * judged[..., None]
    return Image.fromarray(np.round(grey * (1 - alpha) + colours * alpha).astype(np.uint8))


def small_map(result, box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The map inside `box` at `size`, and how far each pixel was judged, both float in [0, 1]."""
    left, top, right, bottom = box
    parts = (result.map[top:bottom, left:right], result.judged[top:bottom, left:right].astype(np.float32))
    map_, judged = (np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BILINEAR)) for p in parts)
    return np.clip(map_, 0, 1), np.clip(judged, 0, 1)


def outlined(panel: Image.Image, result, box: tuple[int, int, int, int]) -> None:
    """A white line with a dark halo around what is above the threshold."""
    size = shape_of(box)
    map_, _ = small_map(result, box, size)
    if not map_.max() > result.threshold or map_.min() > result.threshold:
        return
    padded = np.pad(map_, 1)  # closes the line at the edge of the picture
    lines = contourpy.contour_generator(z=padded).lines(result.threshold)
    moved = np.array(offset(size)) - 0.5
    stroked(panel, [np.clip(line - 0.5, 0, np.array(size)) + moved for line in lines])


def framed(panel: Image.Image, corners: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """A line around what was judged."""
    points = (corners - box[:2]) * scale_of(box) + offset(shape_of(box))
    stroked(panel, [np.concatenate([points, points[:1]])], width=2, colour="#FFD166")


def stroked(panel: Image.Image, lines: list[np.ndarray], width: float = 1.8, colour: str = "white") -> None:
    """Draw `lines`, each [n, 2] in pixels of the panel, with a halo and smooth edges."""
    for stroke, ink in ((2 * width, INK), (width, colour)):
        veil = Image.new("L", (panel.width * FINE, panel.height * FINE))
        pen = ImageDraw.Draw(veil)
        for line in lines:
            points = [tuple(point) for point in (line * FINE).tolist()]
            pen.line(points, fill=255, width=round(stroke * FINE), joint="curve")
        panel.paste(Image.new("RGB", panel.size, ink), mask=veil.resize(panel.size, Image.Resampling.BOX))


def colour_bar(canvas: Image.Image, place: tuple[int, int, int, int]) -> None:
    """0 to 1 from bottom to top, mixed with mid-grey as maps are with pictures; a line at the middle."""
    x, y, width, height = place
    ramp = colormaps[MAP_COLOURS](np.linspace(1, 0, height))[:, :3] * 255 * ALPHA + 127.5 * (1 - ALPHA)
    strip = np.repeat(np.round(ramp).astype(np.uint8)[:, None], width, axis=1)
    canvas.paste(Image.fromarray(strip), (x, y))
    pen = ImageDraw.Draw(canvas)
    middle = y + height / 2
    pen.line([(x, middle), (x + width - 1, middle)], fill="white", width=2)
    for value, words in ((1, "1 fake"), (0.75, "0.75"), (0.5, "0.5"), (0.25, "0.25"), (0, "0 real")):
        anchor = {1: "lt", 0: "lb"}.get(value, "lm")
        pen.text(
            (x + width + 8, y + (1 - value) * (height - 1)),
            words,
            fill=INK,
            font=label_font(LETTERS - 2),
            anchor=anchor,
        )
