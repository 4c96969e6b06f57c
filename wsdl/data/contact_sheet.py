"""Contact sheets: images side by side with a title each."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 6  # pixels between the pictures of a sheet


LETTERS = 16  # pixels, about 11.5 pt at 100 dpi


def contact_sheet(
    pictures: np.ndarray,  # uint8 [n, H, W, 3]
    titles: list[str] | None = None,  # one above each picture
    columns: int = 8,
    scale: int | None = None,  # whole-number enlargement; None makes pictures about 112 px wide
) -> Image.Image:
    """Pictures side by side on white, row by row; enlarged pixels stay square, so that nothing is smoothed away."""
    height, width = pictures.shape[1:3]
    scale = scale or max(1, round(112 / width))
    height, width, columns = height * scale, width * scale, min(columns, len(pictures))
    head = LETTERS + 6 if titles else 0
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (head + height + GAP) - GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for i, picture in enumerate(pictures):
        x, y = i % columns * (width + GAP), i // columns * (head + height + GAP)
        tile = Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(tile, (x, y + head))
        if titles:
            text = fit_text(titles[i], width - 4)
            pen.text((x + width / 2, y + head - 3), text, fill="#222222", font=label_font(), anchor="ms")
    return sheet


@cache
def label_font(size: int = LETTERS) -> ImageFont.FreeTypeFont:
    """The letters of matplotlib's figures, `size` pixels high."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def fit_text(text: str, width: int, size: int = LETTERS) -> str:
    """`text` in letters of `size` pixels, shortened to `width` pixels."""
    font = label_font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."
