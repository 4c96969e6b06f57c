"""The files in static/ bundled into one script and one style sheet, without a build step or network access."""

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
MODULES = ("dom", "state", "draw", "stage", "strip", "numbers", "controls", "help", "explorer")  # dependencies first
STYLES = ("explorer.css", "controls.css", "upload.css")


@cache
def bundle_script(entry: str, modules: tuple[str, ...] = MODULES) -> str:
    """One module that ends with `entry`: widget.js for a notebook, page.js for a page, upload.js for `wsdl.upload`.

    All modules share one scope: `import` and `export` are removed, so their names must differ (tested).
    """
    return "\n".join([*(_without_exports(f"{name}.js") for name in modules), _without_imports(entry)])


@cache
def bundle_style() -> str:
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in STYLES)


def _without_exports(name: str) -> str:
    return re.sub(r"^export ", "", _without_imports(name), flags=re.M)


def _without_imports(name: str) -> str:
    return re.sub(r"^import [^;]*;\n", "", (STATIC / name).read_text(encoding="utf-8"), flags=re.M)
