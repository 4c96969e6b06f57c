"""The files in static/ as one module and one style sheet: no build step, nothing to install, nothing to fetch."""

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
# Users after what they use.
NAMES = ("dom", "state", "draw", "stage", "strip", "numbers", "controls", "help", "explorer")
STYLES = ("explorer.css", "controls.css", "own.css")


@cache
def script(entry: str, names: tuple[str, ...] = NAMES) -> str:
    """Modules in one text; `entry` is the last: widget.js for a notebook, page.js for a page, own.js for `wsdl.upload`.

    The modules share one scope, so their imports and the word `export` go; a test sees to it that names differ.
    """
    return "\n".join([*(_bare(f"{name}.js") for name in names), _without_imports(entry)])


@cache
def style() -> str:
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in STYLES)


def _bare(name: str) -> str:
    return re.sub(r"^export ", "", _without_imports(name), flags=re.M)


def _without_imports(name: str) -> str:
    return re.sub(r"^import [^;]*;\n", "", (STATIC / name).read_text(encoding="utf-8"), flags=re.M)
