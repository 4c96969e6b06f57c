"""The structure of the package: the map in wsdl/README.md, the direction of imports, the size of files."""

import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "wsdl"
FILES = sorted(PACKAGE.rglob("*.py"))
# From low to high: a module imports from its own layer and from lower ones.
LAYERS = [
    "core", "config", "profiles", "data", "faces", "detectors", "training", "evaluation", "plots", "fakes",
    "generators", "parsing", "bundle", "notebooks", "inference", "experiments", "explorer", "benchmarks", "report",
    "demo", "commands", "__main__",
]  # fmt: skip


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def imported_by(path: Path) -> set[str]:
    """Names of the modules of wsdl that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else node.module)
    return found & set(MODULES) - {module_name(path)}


IMPORTS = {name: imported_by(path) for name, path in MODULES.items()}


def upward(imports: dict[str, set[str]]) -> list[str]:
    """The imports that lead to a higher layer. `wsdl` itself, a version and lazy names, belongs to no layer."""

    def layer(name: str) -> int:
        return LAYERS.index(name.split(".")[1])

    pairs = [(name, other) for name in imports for other in imports[name] if "." in name and "." in other]
    return [f"{name} imports {other}" for name, other in pairs if layer(other) > layer(name)]


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The modules of one import circle, or an empty list."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def described() -> list[tuple[str, str]]:
    """Path and description of every line of the map: packages are headings, files are list items below them."""
    folder, found = "", []
    for line in (PACKAGE / "README.md").read_text(encoding="utf-8").splitlines():
        if package := re.fullmatch(r"## `([\w/]+/)`: (.+)", line):
            folder = package[1].removeprefix("wsdl/")
            found.append((f"{folder}__init__.py", package[2]))
        elif file := re.fullmatch(r"- `(\w+\.py)`: (.+)", line):
            found.append((f"{folder}{file[1]}", file[2]))
        elif line.startswith(("## ", "- ")):
            pytest.fail(f"wsdl/README.md: neither a package nor a file: {line}")
    return found


def test_the_map_describes_every_file_once():
    times = Counter(path for path, _ in described())
    assert set(times) == {path.relative_to(PACKAGE).as_posix() for path in FILES}
    assert [path for path, count in times.items() if count > 1] == []
    assert [path for path, words in described() if len(words.split()) < 2] == []


def test_five_files_at_the_top():
    found = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert found == ["__init__.py", "__main__.py", "config.py", "demo.py", "profiles.py"]


def test_imports_point_downwards():
    assert {name.split(".")[1] for name in MODULES if "." in name} == set(LAYERS)
    assert upward(IMPORTS) == []


def test_no_import_circle():
    assert circle(IMPORTS) == []


def test_upward_imports_and_circles_are_noticed():
    assert upward({"wsdl.core.io": {"wsdl.config"}}) == ["wsdl.core.io imports wsdl.config"]
    assert set(circle({"wsdl.data.a": {"wsdl.data.b"}, "wsdl.data.b": {"wsdl.data.a"}})) == {
        "wsdl.data.a",
        "wsdl.data.b",
    }


@pytest.mark.parametrize("kind", ["*.py", "*.js"])
def test_no_file_is_longer_than_250_lines(kind):
    length = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob(kind)}
    assert {path.relative_to(PACKAGE).as_posix(): lines for path, lines in length.items() if lines > 250} == {}
