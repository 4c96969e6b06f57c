"""A notebook as slides: reveal.js in one HTML page that works offline."""

from pathlib import Path

from markupsafe import Markup

from wsdl.core.html import page_style, render_template
from wsdl.core.io import write_text
from wsdl.notebooks.pages import HIDDEN, html_bodies, notebook_title

STATIC = Path(__file__).parent / "static"  # reveal.js 5.2, MIT licence
START = """
Reveal.initialize({ width: 1100, height: 720, margin: 0.03, center: false, hash: true, slideNumber: "c/t" });
"""


def to_slides(notebook: Path, html: Path) -> None:
    """Write `notebook` as slides: a column for each heading, with a slide for each text and the cells below it."""
    starts = []

    def split(cells: list) -> list[list]:
        slides = split_slides(cells)
        starts.extend(_is_heading(slide[0]) for slide in slides)
        return slides

    columns = []
    for body, starts_column in zip(html_bodies(notebook, split), starts, strict=True):
        if starts_column or not columns:
            columns.append([])
        columns[-1].append(Markup(body))
    page = render_template(
        "notebooks/templates/slides.html.j2",
        title=notebook_title(notebook),
        style=page_style() + Markup("\n".join(map(_static, ("reveal.css", "slides.css")))),
        script=Markup(_static("reveal.js") + START),
        columns=columns,
    )
    write_text(Path(html), page)


def split_slides(cells: list) -> list[list]:
    """Cells in slides: each text begins one, and so does each code cell below one that has an output."""
    slides = []
    for cell in cells:
        if set(HIDDEN) & set(cell.metadata.get("tags", [])):
            continue
        if not slides or cell.cell_type == "markdown" or slides[-1][-1].get("outputs"):
            slides.append([])
        slides[-1].append(cell)
    return slides


def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _is_heading(cell) -> bool:
    return cell.cell_type == "markdown" and cell.source.startswith(("# ", "## "))
