"""An explorer as one HTML file: script, style, images and maps inside, nothing loaded from elsewhere."""

import json
from base64 import b64encode
from pathlib import Path

from markupsafe import Markup

from wsdl.core.html import render_template
from wsdl.core.io import write_text
from wsdl.explorer import encode
from wsdl.explorer.static_files import bundle_script, bundle_style

MAX_BYTES = 1_000_000  # of a page; above it the images, and only they, are compressed lossily
LOSSY_NOTE = "To keep this file small, its images are compressed with loss (WebP 96); maps and masks are exact."


def write_page(explorer, path: Path, title: str) -> Path:
    """Write the page of `explorer` to `path`, atomically, and return `path`."""
    text = render_template(
        "explorer/templates/page.html.j2",
        title=title,
        style=Markup(bundle_style()),
        explorer=inline_explorer(explorer, alone=True),
        script=Markup(bundle_script("page.js")),
    )
    write_text(path, text)
    return path


def inline_explorer(explorer, alone: bool = False) -> Markup:
    """`explorer` as HTML, for a page that has the style of `bundle_style` and ends with the script page.js.

    alone: the page has nothing else, so keys pressed anywhere in it are handled. The page stays below MAX_BYTES if
    lossy compression of the images can achieve it.
    """
    room = MAX_BYTES - len(bundle_style() + bundle_script("page.js")) - 1000  # the last: the rest of the page
    data, note = _json_data(explorer, encode.webp), ""
    if len(data) > room:
        data, note = _json_data(explorer, encode.webp_lossy), LOSSY_NOTE
    return render_template("explorer/templates/inline.html.j2", data=Markup(data), note=note, alone=alone)


def _json_data(explorer, encode_image) -> str:
    """Choices and arrays as JSON; encode_image(uint8 [H, W, 3]) gives the bytes of an image file."""
    facts = {**explorer.choices(), "_data": explorer.data(encode_image)}
    return json.dumps(facts, default=_base64, separators=(",", ":")).replace("<", "\\u003c")


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
