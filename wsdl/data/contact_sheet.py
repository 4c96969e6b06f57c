"""Contact sheets: images side by side, each with a title."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP = 6  # pixels between images
_FONT_SIZE = 16  # pixels, about 11.5 pt at 100 dpi


def contact_sheet(
    images: np.ndarray,  # uint8 [n, H, W, 3]
    titles: list[str] | None = None,  # one above each image
    columns: int = 8,
    scale: int | None = None,  # integer enlargement; None: images about 112 px wide
) -> Image.Image:
    """Images side by side on white, row by row, enlarged without interpolation."""
    height, width = images.shape[1:3]
    scale = scale or max(1, round(112 / width))
    height, width, columns = height * scale, width * scale, min(columns, len(images))
    head = _FONT_SIZE + 6 if titles else 0
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (width + _GAP) - _GAP, rows * (head + height + _GAP) - _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for i, image in enumerate(images):
        x, y = i % columns * (width + _GAP), i // columns * (head + height + _GAP)
        tile = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(tile, (x, y + head))
        if titles:
            text = fit_text(titles[i], width - 4)
            pen.text((x + width / 2, y + head - 3), text, fill="#222222", font=label_font(), anchor="ms")
    return sheet


@cache
def label_font(size: int = _FONT_SIZE) -> ImageFont.FreeTypeFont:
    """The font of matplotlib's figures, `size` pixels high."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def fit_text(text: str, width: int, size: int = _FONT_SIZE) -> str:
    """`text` in a font of `size` pixels, shortened to `width` pixels."""
    font = label_font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def wrap_text(text: str, width: int, size: int = _FONT_SIZE) -> list[str]:
    """`text` in a font of `size` pixels, broken at spaces into lines of at most `width` pixels where words are so."""
    lines, font = [""], label_font(size)
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
