"""Drawing of maps over images: the blend, the outline at the threshold, the colour bar.

Functions that take `ax` draw into a matplotlib figure. The others draw with Pillow, about ten times faster: for
`localize`, which may process thousands of images, and for static views of the explorer.
"""

import contourpy  # matplotlib's own
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from PIL import Image, ImageDraw

from wsdl.data.contact_sheet import fit_text, label_font, wrap_text
from wsdl.evaluation.metrics import THRESHOLD, upsample
from wsdl.plots.style import FAKE, MAP_COLOURS, hide_axes, new_figure, styled

OPACITY = 0.65  # of a map over its image
TEXT, SMALL_TEXT = 17, 14  # pixels
GAP, BAR_WIDTH, LABEL_WIDTH, HEAD = 24, 22, 92, 31  # pixels, of a sheet
SUPERSAMPLING = 2  # lines are drawn so many times larger and reduced: smooth edges
DARK, FAINT = "#222222", "#777777"
LABELS = {1: "1 fake", 0.75: "0.75", 0.5: "0.5", 0.25: "0.25", 0: "0 real"}


@styled
def map_overlay(image: np.ndarray, map_: np.ndarray, ax: Axes | None = None, alpha: float = OPACITY) -> Figure:
    """An image (uint8 [H, W, 3]) in grey under its map ([h, w] in [0, 1]), outlined where the map exceeds 0.5.

    The image is grey so that all colour comes from the map. The colour bar is mixed with mid-grey as the map is with
    the image, and always runs from 0 to 1.
    """
    if ax is None:
        ax = new_figure(size=(5.2, 4.2))[1]
    full = upsample(map_, image.shape[:2])
    ax.imshow(np.asarray(Image.fromarray(image).convert("L")), cmap="gray", vmin=0, vmax=255)
    drawn = ax.imshow(full, cmap=MAP_COLOURS, vmin=0, vmax=1, alpha=alpha)
    outline(ax, full)
    hide_axes(ax)
    map_bar(drawn, ax).ax.set_facecolor("0.5")
    return ax.figure


def show_map(ax: Axes, map_: np.ndarray, mask: np.ndarray, line: float = 1.0):
    """Draw a map at the size of the mask, on the scale of all maps, with the mask as a white outline."""
    drawn = ax.imshow(upsample(map_, mask.shape), cmap=MAP_COLOURS, vmin=0, vmax=1)
    outline(ax, mask, line=line)
    return drawn


def map_bar(drawn, axes, label: str = "map (0 real, 1 fake)", **options) -> Colorbar:
    """The colour bar of maps, from 0 to 1 with a line at the threshold; `drawn` is what imshow returned."""
    first = axes if isinstance(axes, Axes) else np.ravel(axes)[0]
    bar = first.figure.colorbar(drawn, ax=axes, label=label, ticks=[0, 0.25, 0.5, 0.75, 1], **options)
    bar.outline.set_visible(False)
    line = bar.ax.axvline if bar.orientation == "horizontal" else bar.ax.axhline
    line(0.5, color="white", linewidth=2, path_effects=_dark_edge(3.5))
    return bar


def outline(ax: Axes, values: np.ndarray, threshold: float = 0.5, line: float = 1.0) -> None:
    """Draw a white line with dark edges around where `values` [H, W] exceed `threshold`; visible on any background."""
    if not values.min() <= threshold < values.max():  # nothing or everything exceeds it
        return
    limits = ax.get_xlim(), ax.get_ylim()
    height, width = values.shape
    padded = np.pad(values.astype(float), 1)  # closes the line at the edge of the image
    lines = ax.contour(
        np.arange(-1, width + 1), np.arange(-1, height + 1), padded, [threshold], colors="white", linewidths=line
    )
    lines.set_path_effects(_dark_edge(2 * line))
    ax.set(xlim=limits[0], ylim=limits[1])


def _dark_edge(width: float) -> list:
    return [Stroke(linewidth=width, foreground=DARK), Normal()]


def tint_mask(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image (uint8 [H, W, 3]) with the pixels of its mask ([H, W], 1 = fake) tinted in the colour of fakes."""
    colour = np.round(np.array(to_rgb(FAKE)) * 255)
    return np.where(mask[..., None] == 1, image * 0.55 + colour * 0.45, image).astype(np.uint8)


def blend(
    image: Image.Image,
    map_: np.ndarray,  # [H, W] in [0, 1], as large as the image
    opacity: float | np.ndarray = OPACITY,  # of the map: one number, or [H, W]
    colours: str = MAP_COLOURS,
    grey: bool = True,  # draw the image in grey
) -> Image.Image:
    """The map over its image."""
    below = np.asarray(image.convert("L").convert("RGB") if grey else image.convert("RGB"))
    above = colormaps[colours](map_, bytes=True)[..., :3]
    weight = np.asarray(opacity)[..., None]
    return Image.fromarray(np.round(below * (1 - weight) + above * weight).astype(np.uint8))


def contour_lines(values: np.ndarray, threshold: float, scale: float = 1) -> list[np.ndarray]:
    """Closed lines around where `values` [H, W] exceed `threshold`: [n, 2] (x, y), in pixels enlarged by `scale`."""
    padded = np.pad(values, 1)  # closes the line at the edge of the image
    limit = scale * np.array(values.shape[::-1])
    return [np.clip((line - 0.5) * scale, 0, limit) for line in contourpy.contour_generator(z=padded).lines(threshold)]


def draw_lines(image: Image.Image, lines: list[np.ndarray], width: float = 1.8, colour: str = "white") -> None:
    """Draw `lines`, each [n, 2] (x, y) in pixels, into `image` with dark edges."""
    for stroke, ink in ((2 * width, DARK), (width, colour)):
        mask = Image.new("L", (image.width * SUPERSAMPLING, image.height * SUPERSAMPLING))
        pen = ImageDraw.Draw(mask)
        for line in lines:
            points = [tuple(point) for point in (line * SUPERSAMPLING - 0.5).tolist()]
            pen.line(points, fill=255, width=round(stroke * SUPERSAMPLING), joint="curve")
        image.paste(Image.new("RGB", image.size, ink), mask=mask.resize(image.size, Image.Resampling.BOX))


def map_sheet(
    panels: list[tuple[str, Image.Image]],  # title and image: the image, then its map
    lines: list[tuple[str, int, str]],  # below: text, size in pixels, colour
    threshold: float = THRESHOLD,
    opacity: float = OPACITY,
    colours: str = MAP_COLOURS,
) -> Image.Image:
    """Panels side by side under their titles, the colour bar of maps to their right, lines of text below."""
    height = max(panel.height for _, panel in panels)
    bar = GAP + sum(panel.width + GAP // 2 for _, panel in panels) + 4
    width = bar + BAR_WIDTH + LABEL_WIDTH + GAP
    lines = [(part, size, ink) for text, size, ink in lines for part in wrap_text(text, width - 2 * GAP, size)]
    foot = sum(size + 8 for _, size, _ in lines)
    sheet = Image.new("RGB", (width, HEAD + height + foot + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    x = GAP
    for title, panel in panels:
        sheet.paste(panel, (x, HEAD))
        _write(pen, (x, HEAD - 8), title, TEXT, DARK, panel.width, anchor="ls")
        x += panel.width + GAP // 2
    _draw_bar(sheet, (bar, HEAD, BAR_WIDTH, height), threshold, opacity, colours)
    y = HEAD + height + 2 * GAP // 3
    for text, size, colour in lines:
        _write(pen, (GAP, y), text, size, colour, sheet.width - 2 * GAP, anchor="lt")
        y += size + 8
    return sheet


def _write(pen: ImageDraw.ImageDraw, place, text: str, size: int, colour: str, width: int, anchor: str) -> None:
    pen.text(place, fit_text(text, width, size), fill=colour, font=label_font(size), anchor=anchor)


def _draw_bar(
    sheet: Image.Image, box: tuple[int, int, int, int], threshold: float, opacity: float, colours: str
) -> None:
    """The colour bar, 1 at the top, mixed with mid-grey as maps are with images; a line at the threshold."""
    x, y, width, height = box
    ramp = np.repeat(np.linspace(1, 0, height)[:, None], width, axis=1)
    sheet.paste(blend(Image.new("L", (width, height), 127), ramp, opacity, colours), (x, y))
    pen = ImageDraw.Draw(sheet)
    mark = y + (1 - threshold) * (height - 1)
    pen.line([(x - 3, mark), (x + width + 2, mark)], fill=DARK, width=4)
    pen.line([(x - 2, mark), (x + width + 1, mark)], fill="white", width=2)
    for value, text in LABELS.items():
        anchor = {1: "lt", 0: "lb"}.get(value, "lm")
        _write(pen, (x + width + 8, y + (1 - value) * (height - 1)), text, TEXT - 2, DARK, LABEL_WIDTH, anchor)
