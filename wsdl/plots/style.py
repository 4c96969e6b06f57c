"""The style of all figures: colours, font sizes that stay readable at half size, and saving within a size limit."""

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image

from wsdl.core.io import atomic

# The palette of Okabe and Ito, distinguishable with any kind of colour blindness.
REAL, FAKE = "#0072B2", "#D55E00"
PALETTE = (REAL, FAKE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555")
MAP_COLOURS = "magma"  # perceptually uniform; black is 0 = real, light yellow is 1 = fake
DIFFERENCE_COLOURS = "cividis"  # differs from that of maps

SCORE_LABELS = {"iou": "IoU", "pbca": "PBCA", "ap": "AP"}

DPI = 100
MAX_FILE_BYTES = 200_000  # of a saved figure
STYLE = {
    "font.size": 13,
    "axes.titlesize": 13,
    "axes.labelsize": 13,
    "xtick.labelsize": 13,
    "ytick.labelsize": 13,
    "legend.fontsize": 13,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": False,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "lines.linewidth": 2,
    "figure.facecolor": "white",
}
styled = rc_context(STYLE)  # a decorator: the function draws in this style


class Chart(Figure):
    """A figure that a notebook displays once, whether or not pyplot was imported.

    html: what a notebook displays instead, such as the table that the figure draws: text can be read on any screen.
    """

    html: str = ""

    def _repr_html_(self) -> str | None:
        return self.html or None

    def _repr_png_(self) -> bytes | None:
        return None if self.html else _png(figure_to_image(self))


@styled
def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (9, 4), layout: str = "constrained", **more
):
    """A Chart and its axes, as from `plt.subplots`. size: width and height in inches at 100 dpi.

    `more` goes to matplotlib's `Figure.subplots` (sharex, width_ratios, ...).
    """
    chart = Chart(figsize=size, layout=layout, dpi=DPI)
    return chart, chart.subplots(rows, columns, **more)


def hide_axes(ax: Axes, title: str = "") -> None:
    """Remove ticks and frame: for images."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title)


def in_percent(axis: Axis) -> None:
    """Write the tick labels of an axis of fractions in percent, without the sign, which the axis label has."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))


def figure_to_image(chart: Figure | Image.Image) -> Image.Image:
    """The figure as an RGB image at 100 dpi, without white margins."""
    if isinstance(chart, Image.Image):
        return chart.convert("RGB")
    buffer = BytesIO()
    chart.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.08, facecolor="white")
    return Image.open(buffer).convert("RGB")


def save_figure(chart: Figure | Image.Image, path: Path) -> Path:
    """Write a figure or PIL image as a PNG or JPEG (by the suffix) of at most 200 kB, and return its path.

    A larger PNG is dithered to 256 colours, then also reduced in size until it fits. A JPEG, used for sheets of faces
    only, is saved at a lower quality. The same figure gives the same bytes.
    """
    image = figure_to_image(chart)
    data = _jpeg(image) if Path(path).suffix == ".jpg" else _png(image)
    scale = 1.0
    while len(data) > MAX_FILE_BYTES:
        size = tuple(max(1, round(side * scale)) for side in image.size)
        data = _png(in_256_colours(image.resize(size, Image.Resampling.LANCZOS)))
        scale *= 0.95
    with atomic(Path(path)) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def in_256_colours(image: Image.Image) -> Image.Image:
    """`image` with a palette that includes the colours of maps, so that colour bars stay correct."""
    sample = np.asarray(image.resize((128, 128), Image.Resampling.NEAREST)).reshape(
        -1, 3
    )  # all pixels would take minutes
    ramps = [colormaps[name](np.linspace(0, 1, 64))[:, :3] * 255 for name in (MAP_COLOURS, DIFFERENCE_COLOURS)]
    weighted = np.concatenate([sample, np.tile(np.concatenate(ramps).round(), (32, 1))]).astype(np.uint8)
    palette = Image.fromarray(weighted.reshape(-1, 128, 3)).quantize(256, kmeans=1)
    colours = np.reshape(palette.getpalette(), (-1, 3))
    colours[colours.min(axis=1) >= 245] = 255  # the background stays white
    palette.putpalette(colours.ravel().tolist())
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def _jpeg(image: Image.Image) -> bytes:
    for quality in range(90, 0, -5):
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_FILE_BYTES:
            break
    return buffer.getvalue()


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
