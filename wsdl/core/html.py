"""What all pages share: the style, a table, a figure, a banner. Pages hold everything they show and fetch nothing."""

import base64
import html
from functools import cache
from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image

WIDE = 600  # pixels; a wider figure slides sideways on a phone, made smaller to WIDE at the least

# A browser that obeys the policy could not load anything from elsewhere even if a page asked it to.
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<link rel="icon" href="data:,">
"""

PAGE = (
    HEAD
    + """<style>
{style}
</style></head>
<body>
{body}
</body></html>
"""
)


def page(title: str, body: str, more: str = "") -> str:
    """A whole page in the style that all pages share; `body` is HTML, `more` is further style."""
    return PAGE.format(title=html.escape(title), style=style() + more, body=body)


@cache
def style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def banner(problem: str, what: str = "This run failed.") -> str:
    return f'<p class="banner"><strong class="failed">{html.escape(what)}</strong> {html.escape(problem)}</p>'


def section(title: str, body: str) -> str:
    """A part of a page that `contents` can lead to."""
    return f'<section id="{anchor(title)}"><h2>{html.escape(title)}</h2>\n{body}</section>' if body else ""


def contents(titles: list[str]) -> str:
    links = "".join(f'<a href="#{anchor(title)}">{html.escape(title)}</a>' for title in titles)
    return f"<nav aria-label=Contents>{links}</nav>"


def anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def table(head: list[str], rows: list[list[str]], number: tuple = (), wide: tuple = (), shaded=lambda row: False):
    """A table of HTML cells. number, wide: which columns hold numbers, or long words; shaded(row): is it grey?"""
    kinds = ["number" if i in number else "wide" if i in wide else "" for i in range(len(head))]
    marks = [f' class="{kind}"' if kind else "" for kind in kinds]
    heads = "".join(f"<th{mark}>{name}</th>" for name, mark in zip(head, marks, strict=True))
    lines = "\n".join(
        f"<tr{' class=shaded' if shaded(row) else ''}>"
        + "".join(f"<td{mark}>{cell}</td>" for cell, mark in zip(row, marks, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>{lines}</tbody></table></div>'


def text(value) -> str:
    """`value` for a table cell, a whole number without its decimals; a dash where there is none."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) or value == "":
        return "&ndash;"
    return html.escape(str(int(value) if isinstance(value, float) and value == int(value) else value))


def figure(path: Path, caption: str) -> str:
    """The picture at `path`, inside the page, over its caption; the file itself is finer, and twice as large."""
    with Image.open(path) as image:
        width, height = image.size
        data = base64.b64encode(webp(image.convert("RGB"))).decode()
    slides = f' class=wide style="--slides: {max(WIDE, int(0.6 * width))}px"' if width > WIDE else ""
    return (
        f'<figure><div class="scroll"><img{slides} width={width} height={height} '
        f'alt="{html.escape(caption)}" src="data:image/webp;base64,{data}"></div>'
        f'<figcaption class="small">{html.escape(caption)}</figcaption></figure>'
    )


def webp(image: Image.Image) -> bytes:
    """Without loss where that is small, as for curves; else a quality at which faces and maps look the same."""
    files = BytesIO(), BytesIO()
    image.save(files[0], "WEBP", lossless=True, quality=50)
    image.save(files[1], "WEBP", quality=85)
    return min((file.getvalue() for file in files), key=len)
