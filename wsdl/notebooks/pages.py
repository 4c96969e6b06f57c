"""Read executed notebooks, and convert them to HTML pages that work offline."""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat

from wsdl.core.io import WsdlError, read_text, write_text

WIDGET = "application/vnd.jupyter.widget-view+json"
STILL = "wsdl-still"  # class of a still image that is an output of its own, below a widget (explorer/still.py)
INJECTED = ("injected-parameters", "papermill-error-cell-tag")  # tags of the cells that papermill adds
HIDDEN = ("parameters", *INJECTED, "remove-cell")  # tags of the cells that are left out of HTML pages


def read_notebook(notebook: Path) -> nbformat.NotebookNode:
    """`notebook` in the current format. WsdlError where the file is missing or is no notebook."""
    text = read_text(notebook)
    try:
        book = nbformat.reads(text, 4)
        nbformat.validate(book)
    except Exception as error:  # nbformat raises its own, those of jsonschema, and TypeError or KeyError
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WsdlError(f"{notebook}: is no valid Jupyter notebook ({reason[:200]}).") from None
    return book


def check_home() -> None:
    """WsdlError where this user has no home folder: Jupyter looks for its settings there."""
    try:
        Path.home()
    except RuntimeError:
        raise WsdlError("HOME: is not set, and this user has no home folder, which Jupyter needs; set it.") from None


def is_still(output) -> bool:
    """Whether an output is the still image of the widget in the output before it, which holds the same image."""
    return f'class="{STILL} ' in "".join(output.get("data", {}).get("text/html", ""))


def is_bare_widget(output) -> bool:
    """Whether an output is a widget without an image: outside a running kernel there is nothing to show of it."""
    return list(output.get("data", ())) in ([WIDGET], [WIDGET, "text/plain"], ["text/plain", WIDGET])


def notebook_title(notebook: Path) -> str:
    """The first heading of `notebook`, or its name."""
    for line in _first_cell(notebook).splitlines():
        if line.startswith("# "):
            return line[2:].strip()
    return Path(notebook).stem


def notebook_question(notebook: Path) -> str:
    """The text after "**Question:**" in the first cell of `notebook`, or ""."""
    found = re.search(r"\*\*Question:\*\* (.+)", _first_cell(notebook))
    return found.group(1).strip() if found else ""


def _first_cell(notebook: Path) -> str:
    """The source of the first cell of `notebook`; "" where it has none."""
    cells = read_notebook(notebook).cells
    return cells[0].source if cells else ""


# Code cells can be folded; they are open at first.
TEMPLATE = """{% extends 'basic/index.html.j2' %}
{% block input_group %}<details open class="code"><summary>code</summary>{{ super() }}</details>{% endblock %}
{% block in_prompt %}{% endblock %}{% block empty_in_prompt %}{% endblock %}{% block output_area_prompt %}{% endblock %}
{% block stream_stderr %}{% endblock %}
{% block data_png %}<label class="zoom"><input type="checkbox" aria-label="Enlarge the figure">{{ super() }}</label>
{%- endblock %}
{% block data_jpg %}<label class="zoom"><input type="checkbox" aria-label="Enlarge the figure">{{ super() }}</label>
{%- endblock %}"""


def to_html(notebook: Path, html: Path, problem: str = "") -> None:
    """Write `notebook` as one HTML page that works offline, with `problem` as a banner above it where a run failed."""
    from wsdl.core.html import html_page

    (body,) = html_bodies(notebook, lambda cells: [cells])
    write_text(Path(html), html_page(notebook_title(notebook), body, problem))


def html_bodies(notebook: Path, split: Callable[[list], list[list]]) -> list[str]:
    """The cells of `notebook` in the groups that split(cells) makes, each as HTML; what pages leave out is left out."""
    check_home()
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import TagRemovePreprocessor

    exporter = HTMLExporter(raw_template=TEMPLATE)
    exporter.register_preprocessor(TagRemovePreprocessor(remove_cell_tags=set(HIDDEN)), enabled=True)
    book = read_notebook(notebook)
    book.metadata.pop("widgets", None)
    for cell in book.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not (is_still(output) or is_bare_widget(output))]
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # needs a network; the image in the same output is shown instead
    groups = split(book.cells)
    bodies = [exporter.from_notebook_node(nbformat.from_dict({**book, "cells": cells}))[0] for cells in groups]
    return [re.sub(r'href="([\w./-]+)\.ipynb"', r'href="\1.html"', body) for body in bodies]
