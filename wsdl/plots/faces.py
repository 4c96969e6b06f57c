"""Figures of faces: component maps, maps of detectors, before and after inpainting."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from wsdl.data.masks import CLASSES, COMPONENTS
from wsdl.evaluation.baselines import run_label
from wsdl.plots.heatmap import map_bar, outline, show_map, tint_mask
from wsdl.plots.style import DIFFERENCE_COLOURS, FAKE, hide_axes, new_figure, styled

PANEL = 1.8  # inches, the side of one image in a figure
TITLE = 16  # characters that fit above a panel
REAL_MASK = "#E8EDF1"  # real pixels in a drawn mask

COMPONENT_COLOURS = {
    "skin": "#E69F00",
    "hair": "#0072B2",
    "eyes": "#56B4E9",
    "mouth": "#D55E00",
    "nose": "#009E73",
    "glasses": "#CC79A7",
}
OTHER, BACKGROUND = "#B5B5B5", "#F4F4F4"


def label_map(labels: np.ndarray) -> np.ndarray:
    """A component label map [H, W] (CelebAMask-HQ classes) in colours: uint8 [H, W, 3]; see `component_legend`.

    Classes that the paper never inpaints (neck, brows, clothes ...) are grey, the background is almost white.
    """
    colours = np.tile(_rgb(OTHER), (len(CLASSES), 1))
    colours[0] = _rgb(BACKGROUND)
    for name, classes in COMPONENTS.items():
        colours[list(classes)] = _rgb(COMPONENT_COLOURS[name])
    return colours[labels]


@styled
def component_legend(ax: Axes) -> None:
    """A legend of the colours of `label_map`, to the right of `ax`."""
    names = {**COMPONENT_COLOURS, "other": OTHER, "background": BACKGROUND}
    patches = [Patch(facecolor=colour, edgecolor="#999999", label=name) for name, colour in names.items()]
    ax.legend(handles=patches, loc="center left", bbox_to_anchor=(1.02, 0.5))


@styled
def before_and_after(
    real: np.ndarray,  # uint8 [n, H, W, 3]
    fake: np.ndarray,  # uint8 [n, H, W, 3]
    mask: np.ndarray,  # [n, H, W], 1 = fake
    map_: np.ndarray | None = None,  # n maps [h, w] in [0, 1]
    gain: int = 4,  # amplification of the difference
    rows: list[str] | None = None,  # a name for each face, such as the component
) -> Figure:
    """Real image, inpainted image, amplified difference (mean over channels), mask and map: one row per face."""
    titles = ["real", "inpainted", f"difference, {gain} x", "mask", *(["map"] if map_ is not None else [])]
    chart, axes = _panels(len(real), titles, rows)
    difference = np.abs(real.astype(float) - fake).mean(axis=-1)
    for i, row in enumerate(axes):
        row[0].imshow(real[i])
        row[1].imshow(fake[i])
        changed = row[2].imshow(difference[i], cmap=DIFFERENCE_COLOURS, vmin=0, vmax=255 / gain)
        row[3].imshow(mask[i], cmap=ListedColormap([REAL_MASK, FAKE]), vmin=0, vmax=1, interpolation="nearest")
        if map_ is not None:
            shown = show_map(row[4], map_[i], mask[i])
    ticks = [0, 128 // gain, 255 // gain]
    chart.colorbar(changed, ax=axes[:, 2], location="bottom", ticks=ticks, label="grey levels").outline.set_visible(
        False
    )
    if map_ is not None:
        map_bar(shown, axes[:, 4], "0 real, 1 fake", location="bottom").set_ticks([0, 0.5, 1])
    return chart


@styled
def map_grid(
    images: np.ndarray,  # uint8 [n, H, W, 3]
    masks: np.ndarray,  # [n, H, W], 1 = fake
    detectors: dict[str, np.ndarray],  # name -> n maps [h, w] in [0, 1]
    rows: list[str] | None = None,  # a name for each face
) -> Figure:
    """The image, its inpainted region, and the map of each detector: one row per face.

    The white outline is the mask. All maps share the scale from 0 to 1, so that columns can be compared.
    """
    chart, axes = _panels(len(images), ["image", "inpainted", *map(run_label, detectors)], rows)
    for i, row in enumerate(axes):
        row[0].imshow(images[i])
        row[1].imshow(tint_mask(images[i], masks[i]))
        outline(row[1], masks[i])
        for ax, maps in zip(row[2:], detectors.values(), strict=True):
            shown = show_map(ax, maps[i], masks[i])
    map_bar(shown, axes, location="bottom", shrink=0.5)  # below: beside them it would make every image smaller
    return chart


def _panels(n: int, titles: list[str], rows: list[str] | None) -> tuple[Figure, np.ndarray]:
    """A figure of n x len(titles) image panels: titles above the first row, names left of the first column."""
    chart, axes = new_figure(n, len(titles), (PANEL * len(titles) + 1, PANEL * n + 1), layout="compressed")
    axes = np.reshape(axes, (n, len(titles)))
    for ax in axes.ravel():
        hide_axes(ax)
    for ax, title in zip(axes[0], _on_lines(titles), strict=True):
        ax.set_title(title)
    for ax, name in zip(axes[:, 0], rows or [], strict=bool(rows)):
        ax.set_ylabel(name)
    return chart, axes


def _on_lines(titles: list[str]) -> list[str]:
    """Titles in lines of at most TITLE characters. If one title is longer, all are broken before "setup"."""
    if max(map(len, titles)) > TITLE:
        titles = [title.replace(", setup ", ",\nsetup ") for title in titles]
    return ["\n".join(textwrap.fill(line, TITLE) for line in title.split("\n")) for title in titles]


def _rgb(colour: str) -> np.ndarray:
    return np.round(np.array(to_rgb(colour)) * 255).astype(np.uint8)
