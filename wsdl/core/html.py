"""HTML pages from Jinja2 templates that escape every value. A page contains all it shows and loads nothing."""

import base64
import hashlib
import os
from collections.abc import Collection
from functools import cache
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup
from PIL import Image

from wsdl.core.io import write_text

PACKAGE = Path(__file__).parent.parent
ENLARGED = 600  # pixels, at least; on a narrow screen a tap shows a figure that is wider in this width


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(PACKAGE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "policy": script_policy,
        "cell": cell_text,
        "anchor": lambda title: title.lower().replace(" ", "-"),
    }
    return environment


def render_template(name: str, **values) -> Markup:
    """The template at `name`, a path inside wsdl/, with `values`; all but Markup are escaped."""
    return Markup(_environment().get_template(name).render(**values))


@cache
def _macros():
    return _environment().get_template("core/templates/macros.html.j2").module


def html_page(title: str, body: str, problem: str = "") -> Markup:
    """A page in the style of all pages; `body` is HTML, `problem` is shown above it where a run failed."""
    body = (error_banner(problem) if problem else "") + Markup(body)
    return render_template("core/templates/page.html.j2", title=title, style=page_style(), body=body)


@cache
def page_style() -> Markup:
    return Markup(Path(__file__).with_name("report.css").read_text(encoding="utf-8"))


def write_page(path: Path, page: str) -> None:
    """Write a page. Names of files that are not UTF-8, which have no letters to show, appear with question marks."""
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))


def relative_link(path: Path) -> str:
    """`path`, relative to a page, as the target of a link: percent-encoded, so that it is never another scheme."""
    return quote(os.fsencode(path.as_posix()))


def script_policy(script: str) -> str:
    """The source of scripts that a page allows: `script` itself, by its hash, and no other."""
    digest = hashlib.sha256(str(script).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'" if script else "'none'"


def error_banner(message: str, heading: str = "This run failed.") -> Markup:
    return Markup(_macros().banner(heading, message))


def html_table(
    head: list[str],
    rows: list[list],  # values or Markup; None and NaN are shown as a dash
    number: tuple[int, ...] = (),  # columns of numbers
    wide: tuple[int, ...] = (),  # columns of long texts
    shaded: Collection[int] = (),  # rows with a grey background
    roomy: tuple[int, ...] = (),  # columns that a narrow screen leaves out
) -> Markup:
    """A table that scrolls sideways where it is too wide; shadows at its edges show that it does."""
    kinds = {"number": number, "wide": wide, "roomy": roomy}
    classes = [" ".join(name for name, columns in kinds.items() if i in columns) for i in range(len(head))]
    return Markup(_macros().table(head, rows, classes, shaded))


def cell_text(value) -> str:
    """`value` as the text of a table cell: integers without decimals, a dash where there is none."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) or value == "":
        return "\N{EN DASH}"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return value if isinstance(value, Markup) else str(value)


def html_figure(path: Path, caption: str) -> Markup:
    """The image at `path`, embedded above its caption and compressed; the file itself keeps full quality."""
    with Image.open(path) as image:
        width, height = image.size
        data = base64.b64encode(_webp(image.convert("RGB"))).decode()
    enlarged = max(ENLARGED, int(0.6 * width)) if width > ENLARGED else 0
    return Markup(_macros().figure(data, width, height, enlarged, caption))


def _webp(image: Image.Image) -> bytes:
    """Lossless where that is smaller, as for curves; otherwise at a quality without visible loss."""
    lossless, lossy = BytesIO(), BytesIO()
    image.save(lossless, "WEBP", lossless=True, quality=50)
    image.save(lossy, "WEBP", quality=85)
    return min((lossless.getvalue(), lossy.getvalue()), key=len)
