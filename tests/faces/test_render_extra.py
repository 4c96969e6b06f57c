"""Without anny and mitsuba, wsdl.faces still imports, and `faces render` names in one sentence what to install."""

import subprocess
import sys

import pytest

from wsdl.__main__ import app

PRELUDE = "import sys; sys.modules['anny'] = sys.modules['mitsuba'] = None; "


def python(code: str) -> subprocess.CompletedProcess:
    """`code` run where neither package can be imported."""
    return subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, check=False)


def test_faces_import_without_the_extra():
    assert python("import wsdl.faces, wsdl.faces.drawn_faces, wsdl.faces.batch, wsdl.faces.sample").returncode == 0


def test_rendering_without_the_extra_names_what_to_install(tmp_path):
    code = f"sys.argv[1:] = ['faces', 'render', '--count', '1', '--out', {str(tmp_path / 'out')!r}]; "
    ended = python(code + "from wsdl.__main__ import main; main()")
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        "wsdl: Rendered faces need the package anny, which is missing; run: pip install 'wsdl[render]'."
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--style", "--count", "--seed", "--size", "--out"])
def test_the_command_has_its_options(option):
    from typer.testing import CliRunner

    assert option in CliRunner().invoke(app, ["faces", "render", "--help"]).output
