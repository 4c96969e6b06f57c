"""What an explorer shows now, as a still picture: for a notebook without a front end, and for print."""

import contourpy  # matplotlib's own
import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from wsdl.data.contact_sheet import label_font
from wsdl.evaluation.metrics import binary, iou
from wsdl.inference.render import FAINT, INK, LETTERS, SMALL, fitting, stroked

SIDE = 448  # pixels, the longer side of each of the two views
GAP, BAR, HEAD = 20, 18, 32  # pixels
TRUTH = "#56B4E9"  # the outline of the true mask


def still(explorer) -> Image.Image:
    """The picture, and beside it the map over it, outlined in white at the threshold and in blue where paint is."""
    given, i = explorer.pictures, explorer.selected
    picture, map_ = given.images[i], explorer.current_map()
    mask = None if given.masks is None else given.masks[i]
    scale = SIDE / max(picture.shape[:2])
    left = enlarged(Image.fromarray(picture), scale)
    right = blended(picture, map_, explorer, scale)
    if mask is not None and explorer.truth:
        stroked(right, contours(mask, 0.5, scale), width=1.4, colour=TRUTH)
    stroked(right, contours(map_, explorer.threshold, scale), width=1.6)
    bar = 2 * left.width + 3 * GAP
    canvas = Image.new("RGB", (bar + BAR + 64, HEAD + left.height + 3 * SMALL), "white")
    pen = ImageDraw.Draw(canvas)
    about = [texts[i] for texts in (given.names, given.labels, given.components) if texts]
    words = [f"picture {i + 1} of {len(given.images)}", *filter(None, about)]
    for panel, x, text in ((left, GAP, " · ".join(words)), (right, left.width + 2 * GAP, explorer.map)):
        canvas.paste(panel, (x, HEAD))
        pen.text((x, HEAD - 9), fitting(text, panel.width, LETTERS), fill=INK, font=label_font(LETTERS), anchor="ls")
    colour_bar(canvas, (bar, HEAD, BAR, left.height), explorer)
    foot = fitting(found(explorer, map_, mask), canvas.width - 2 * GAP, SMALL)
    pen.text((GAP, HEAD + left.height + SMALL), foot, fill=FAINT, font=label_font(SMALL), anchor="lt")
    return canvas


def enlarged(image: Image.Image, scale: float) -> Image.Image:
    return image.resize([max(1, round(scale * side)) for side in image.size], Image.Resampling.BICUBIC)


def blended(picture: np.ndarray, map_: np.ndarray, explorer, scale: float) -> Image.Image:
    """The map over the picture, mixed as in the browser; map pixels stay square."""
    under = enlarged(Image.fromarray(picture).convert("L" if explorer.grey else "RGB").convert("RGB"), scale)
    colours = Image.fromarray(colormaps[explorer.colours](map_, bytes=True)[..., :3])
    return Image.blend(under, colours.resize(under.size, Image.Resampling.NEAREST), explorer.opacity)


def contours(values: np.ndarray, threshold: float, scale: float) -> list[np.ndarray]:
    """Lines around where `values` [H, W] are above `threshold`, in pixels of a panel `scale` times larger."""
    inside = np.pad((values > np.float32(threshold)).astype(float), 1)  # closes the line at the edge of the picture
    limit = scale * np.array(values.shape[::-1])
    return [np.clip((line - 0.5) * scale, 0, limit) for line in contourpy.contour_generator(z=inside).lines(0.5)]


def found(explorer, map_: np.ndarray, mask: np.ndarray | None) -> str:
    """The numbers of this picture in a sentence."""
    region = binary(map_, explorer.threshold)
    parts = [f"{region.mean():.1%} above {explorer.threshold:g} (white line)"]
    if mask is not None:
        parts.append(f"IoU {iou(region, mask):.3f} with the true mask" + (" (blue line)" if explorer.truth else ""))
    if explorer.map in explorer.pictures.scores:
        parts.append(f"score {explorer.pictures.scores[explorer.map][explorer.selected]:.3f}")
    return "  ·  ".join(parts)


def colour_bar(canvas: Image.Image, place: tuple[int, int, int, int], explorer) -> None:
    """0 to 1 from bottom to top, mixed with mid-grey as the map is with the picture; a line at the threshold."""
    x, y, width, height = place
    ramp = colormaps[explorer.colours](np.linspace(1, 0, height))[:, None, :3] * 255
    mixed = ramp * explorer.opacity + 127.5 * (1 - explorer.opacity)
    canvas.paste(Image.fromarray(np.repeat(mixed.round().astype(np.uint8), width, axis=1)), (x, y))
    pen = ImageDraw.Draw(canvas)
    at = y + (1 - explorer.threshold) * (height - 1)
    pen.line([(x - 3, at), (x + width + 2, at)], fill=INK, width=4)
    pen.line([(x - 2, at), (x + width + 1, at)], fill="white", width=2)
    for value, words in ((1, "1 fake"), (0.75, "0.75"), (0.5, "0.5"), (0.25, "0.25"), (0, "0 real")):
        anchor = {1: "lt", 0: "lb"}.get(value, "lm")
        pen.text(
            (x + width + 8, y + (1 - value) * (height - 1)), words, fill=INK, font=label_font(SMALL), anchor=anchor
        )
