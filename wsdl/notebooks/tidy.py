"""Normalise executed notebooks for git: two runs give the same bytes."""

import base64
from io import BytesIO
from pathlib import Path

import nbformat

from wsdl.core.io import write_text
from wsdl.notebooks.pages import INJECTED, WIDGET, is_bare_widget, is_still, read_notebook

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LARGE = 80_000  # characters of an image in base64 above which it is reduced to 256 colours


def tidy_notebook(notebook: Path) -> None:
    """Rewrite `notebook` so that two runs give the same bytes: keep source, tags and outputs, drop the rest."""
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    merge_streams = CoalesceStreamsPreprocessor().preprocess_cell
    book = read_notebook(notebook)
    book.cells = [cell for cell in book.cells if not set(INJECTED) & set(cell.metadata.get("tags", []))]
    book.metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    count = 0
    for number, cell in enumerate(book.cells):
        tags = cell.metadata.get("tags", [])
        cell.id, cell.metadata = f"c{number:02d}", {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [_tidy_output(output, count) for output in cell.outputs if _is_kept(output)]
            merge_streams(cell, {}, number)  # how often a kernel flushes differs from run to run
    book.nbformat_minor = 5
    write_text(Path(notebook), nbformat.writes(book) + "\n")


def _is_kept(output) -> bool:
    """Whether `output` is committed: not stderr, not a widget without a static image, not that image a second time."""
    return not (output.get("name") == "stderr" or is_still(output) or is_bare_widget(output))


def _tidy_output(output, count: int):
    """`output` without widget views and without the JPEG that Pillow adds to each PNG."""
    data = output.get("data", {})
    data.pop(WIDGET, None)
    if "image/png" in data:
        data.pop("image/jpeg", None)
        data["image/png"] = smaller_png(data["image/png"])
    if output.output_type == "execute_result":
        output.execution_count = count
    return output


def smaller_png(png: str) -> str:
    """A PNG in base64, compressed well and, if large, in 256 colours: git keeps every version of every notebook."""
    from PIL import Image

    from wsdl.plots.style import in_256_colours  # keeps the colours of maps

    image, smaller = Image.open(BytesIO(base64.b64decode(png))), BytesIO()
    if image.mode == "P":
        return png
    if len(png) > LARGE:
        image = in_256_colours(image.convert("RGB"))
    image.save(smaller, "PNG", optimize=True)
    return min(png, base64.b64encode(smaller.getvalue()).decode(), key=len)
