"""Test modules import from the package and from helper modules, never from each other."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


def test_no_test_module_imports_another():
    files = sorted(TESTS.rglob("*.py"))
    closed = {path.stem for path in files if path.stem.startswith("test_")} | {"conftest"}
    assert len(closed) > 50
    wrong = {
        str(path.relative_to(TESTS)): sorted(names)
        for path in files
        if (names := {module for module in imported_modules(path) if module.split(".")[-1] in closed})
    }
    assert wrong == {}
