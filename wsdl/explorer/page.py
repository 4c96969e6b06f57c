"""An explorer as one HTML file: script, style, pictures and maps inside, nothing fetched."""

import html
import json
from base64 import b64encode
from pathlib import Path

from wsdl.explorer import assets, encode
from wsdl.files import write_text

LIMIT = 1_000_000  # bytes; above it the pictures, and only they, are compressed with loss
LOSSY = "To keep this file small, the pictures in it are compressed with loss (WebP 96); maps and masks are exact."

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<link rel="icon" href="data:,">
<style>
{style}
</style></head>
<body class="wsdl-page">
<main><h1>{title}</h1><div id="explorer"></div>{note}</main>
<script type="application/json" id="data">{data}</script>
<script type="module">
{script}
</script></body></html>
"""


def write(explorer, path: Path, title: str) -> Path:
    """Write the page of `explorer` to `path`, atomically, and return `path`."""
    text = page(explorer, title, encode.webp)
    if len(text.encode()) > LIMIT:
        text = page(explorer, title, encode.webp_lossy, LOSSY)
    write_text(path, text)
    return path


def page(explorer, title: str, picture, note: str = "") -> str:
    facts = {**explorer.choices(), "_data": explorer.data(picture)}
    return PAGE.format(
        title=html.escape(title),
        style=assets.style(),
        note=f'<p class="wsdl-note">{note}</p>' if note else "",
        data=json.dumps(facts, default=_text, separators=(",", ":")).replace("<", "\\u003c"),
        script=assets.script("page.js"),
    )


def _text(value: bytes) -> str:
    return b64encode(value).decode()
