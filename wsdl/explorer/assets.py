"""The files in static/ as one module and one style sheet: no build step, nothing to install, nothing to fetch."""

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
# Users after what they use.
NAMES = ("dom", "state", "draw", "stage", "strip", "numbers", "controls", "help", "explorer")
MODULES = tuple(f"{name}.js" for name in NAMES)
STYLES = ("explorer.css", "controls.css")


@cache
def script(entry: str) -> str:
    """All modules in one text; `entry` is the last: widget.js for a notebook, page.js for a page of its own.

    The modules share one scope, so their imports and the word `export` go; a test sees to it that names differ.
    """
    return "\n".join(_bare(name) for name in MODULES) + "\n" + (STATIC / entry).read_text(encoding="utf-8")


@cache
def style() -> str:
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in STYLES)


def _bare(name: str) -> str:
    text = (STATIC / name).read_text(encoding="utf-8")
    text = re.sub(r"^import [^;]*;\n", "", text, flags=re.M)
    return re.sub(r"^export ", "", text, flags=re.M)
