"""A notebook fit for git: two runs give the same bytes, and GitHub shows it."""

import base64
from io import BytesIO
from pathlib import Path

import nbformat

from wsdl.files import write_text

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
INJECTED = ("injected-parameters", "papermill-error-cell-tag")  # tags of the cells that papermill adds
LARGE = 80_000  # letters of a picture in base64


def tidy(notebook: Path) -> None:
    """Rewrite `notebook` so that two runs give the same bytes: source, tags and outputs stay, traces of the run go."""
    book = nbformat.read(notebook, 4)
    book.cells = [cell for cell in book.cells if not set(INJECTED) & set(cell.metadata.get("tags", []))]
    book.metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    count = 0
    for number, cell in enumerate(book.cells):
        tags = cell.metadata.get("tags", [])
        cell.id, cell.metadata = f"c{number:02d}", {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [tidy_output(output, count) for output in cell.outputs if keep(output)]
    book.nbformat_minor = 5
    write_text(Path(notebook), nbformat.writes(book) + "\n")


def keep(output) -> bool:
    """Whether git should see `output`: not what went to stderr, not a widget with nothing else to show for it."""
    return output.get("name") != "stderr" and list(output.get("data", ())) not in ([WIDGET], [WIDGET, "text/plain"])


def tidy_output(output, count: int):
    """`output` without widget views, and without the JPEG that Pillow adds to each PNG."""
    data = output.get("data", {})
    data.pop(WIDGET, None)
    if "image/png" in data:
        data.pop("image/jpeg", None)
        data["image/png"] = lighter(data["image/png"])
    if output.output_type == "execute_result":
        output.execution_count = count
    return output


def lighter(png: str) -> str:
    """A PNG in base64, with 256 colours where it is large: git keeps every version of every notebook."""
    from PIL import Image

    from wsdl.plots.style import in_256_colours  # keeps the colours of maps true

    image, smaller = Image.open(BytesIO(base64.b64decode(png))), BytesIO()
    if len(png) <= LARGE or image.mode == "P":
        return png
    in_256_colours(image.convert("RGB")).save(smaller, "PNG", optimize=True)
    return min(png, base64.b64encode(smaller.getvalue()).decode(), key=len)
