"""An explorer as one HTML file: script, style, pictures and maps inside, nothing fetched."""

import html
import json
from base64 import b64encode
from pathlib import Path

from wsdl.core.html import HEAD
from wsdl.core.io import write_text
from wsdl.explorer import assets, encode

LIMIT = 1_000_000  # bytes; above it the pictures, and only they, are compressed with loss
LOSSY = "To keep this file small, the pictures in it are compressed with loss (WebP 96); maps and masks are exact."

PAGE = (
    HEAD
    + """<meta name="color-scheme" content="light dark">
<style>
{style}
</style></head>
<body class="wsdl-page">
<main><h1>{title}</h1>{explorer}</main>
<script type="module">
{script}
</script></body></html>
"""
)


def write(explorer, path: Path, title: str) -> Path:
    """Write the page of `explorer` to `path`, atomically, and return `path`."""
    text = PAGE.format(
        title=html.escape(title),
        style=assets.style(),
        explorer=inlined(explorer, alone=True),
        script=assets.script("page.js"),
    )
    write_text(path, text)
    return path


def inlined(explorer, alone: bool = False) -> str:
    """`explorer` as HTML for any page that has the style of `assets` and, at its end, the script page.js.

    alone: it has the page for itself, so it listens to keys pressed anywhere in it. The whole stays below LIMIT where
    compressing the pictures with loss can do it.
    """
    room = LIMIT - len(PAGE + assets.style() + assets.script("page.js"))
    data, note = data_of(explorer, encode.webp), ""
    if len(data) > room:
        data, note = data_of(explorer, encode.webp_lossy), f'<p class="wsdl-note">{LOSSY}</p>'
    keys = ' data-keys="document"' if alone else ""
    return f'<div class="wsdl-inlined"{keys}><script type="application/json">{data}</script></div>{note}'


def data_of(explorer, picture) -> str:
    """Choices and arrays as JSON for a page; picture(uint8 [H, W, 3]) gives the bytes of an image file."""
    facts = {**explorer.choices(), "_data": explorer.data(picture)}
    return json.dumps(facts, default=_text, separators=(",", ":")).replace("<", "\\u003c")


def _text(value: bytes) -> str:
    return b64encode(value).decode()
