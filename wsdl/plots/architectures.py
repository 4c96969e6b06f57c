"""The networks of the three methods, side by side: which blocks of Xception each has, and what one patch sees."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wsdl.plots.style import FAKE, PALETTE, hide_axes, new_figure, styled

# Parts of Xception: name, and its layers as (kernel, stride). Pooling has a kernel of 3 and a stride of 2.
PARTS = {
    "conv 1, 2": [(3, 2), (3, 1)],
    "block 1": [(3, 1), (3, 1), (3, 2)],
    "block 2": [(3, 1), (3, 1), (3, 2)],
    "block 3": [(3, 1), (3, 1), (3, 2)],
    "blocks 4-7": [(3, 1)] * 12,
    "blocks 8-11": [(3, 1)] * 12,
    "block 12, fc": [],  # no map is taken from here
}
# Method -> how many parts lie before its map, what makes the map, and the layers of that.
METHODS = {
    "Patches": (3, "1 x 1 convolution:\na label per patch", []),
    "Grad-CAM": (6, "gradient of the label:\nits features, weighted", []),
    "Attention": (5, "3 x 3 convolution:\nmultiplies the features", [(3, 1)]),
}


def receptive_field(layers: list[tuple[int, int]]) -> tuple[int, int]:
    """Receptive field and stride, in pixels of the input, of a stack of convolutions (kernel, stride)."""
    field, stride = 1, 1
    for kernel, step in layers:
        field, stride = field + (kernel - 1) * stride, stride * step
    return field, stride


def method_layers(method: str) -> list[tuple[int, int]]:
    """The layers between the image and the map of a method, as (kernel, stride)."""
    count, _, last = METHODS[method]
    return [layer for part in list(PARTS.values())[:count] for layer in part] + last


@styled
def architectures(image: np.ndarray) -> Figure:
    """Which blocks of Xception each method of the paper has, and what one patch in the middle of its map sees.

    image: uint8 [S, S, 3], a square of the size of the network's input, such as 128 or 299. The orange square is the
    receptive field of the patch, cut at the borders of the image; the small one is the stride, the side of one patch.
    """
    chart, axes = new_figure(len(METHODS), 2, (10.5, 2.5 * len(METHODS)), width_ratios=(1, 3.6))
    for (face, parts), method in zip(axes, METHODS, strict=True):
        field, stride = receptive_field(method_layers(method))
        _face(face, image, field, stride)
        face.set_ylabel(method, fontweight="bold")
        _parts(parts, method)
    return chart


def _face(ax, image: np.ndarray, field: int, stride: int) -> None:
    side = len(image)
    hide_axes(ax)
    ax.imshow(image)
    for length, colour in ((min(field, side - 2), FAKE), (stride, "white")):
        corner = (side - length) / 2 - 0.5
        ax.add_patch(Rectangle((corner, corner), length, length, fill=False, edgecolor=colour, linewidth=2.4))
    ax.set_title(f"{field} px" if field <= side else f"{field} px: the whole image", color=FAKE)


def _parts(ax, method: str) -> None:
    """The parts in a row: used ones before the map in colour, those after it pale, missing ones as an outline."""
    before, makes, _ = METHODS[method]
    hide_axes(ax)
    ax.set(xlim=(0, len(PARTS) + 1.9), ylim=(0, 2))
    x = 0.0
    for i, name in enumerate(PARTS):
        if i == before:
            ax.text(x + 0.9, 1.0, f"map\n{makes}", ha="center", va="center", fontsize=11, color=FAKE)
            x += 1.85
        missing = i >= before and method == "Patches"
        colour = "none" if missing else PALETTE[0]
        alpha = 1.0 if missing else 0.85 if i < before else 0.35
        edge = "#999999" if missing else PALETTE[0]
        ax.add_patch(
            Rectangle((x + 0.06, 0.45), 0.88, 1.1, facecolor=colour, edgecolor=edge, alpha=alpha,
                      linestyle="--" if missing else "-")
        )  # fmt: skip
        ink = "#777777" if missing else "white" if i < before else "#222222"
        ax.text(x + 0.5, 1.0, name.replace(" ", "\n", 1), ha="center", va="center", fontsize=11, color=ink)
        x += 1
