"""A system whose file names are ASCII, and an umlaut: one sentence, and it says what helps."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsdl.__main__ import main
from wsdl.data.dataset import Dataset

ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 on other systems")


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "wsdl", *map(str, words)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, encoding="utf-8", check=False
    )


def test_an_umlaut_on_an_ascii_system_is_one_sentence(made_up, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    shutil.copytree(made_up[0], images)
    (images / "0000.png").rename(images / "Zoë.png")
    words = ("data", "prepare", "--images", images, "--out", out, "--size", "16")
    refused = run(*words, **ASCII)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("wsdl: ")
    assert "set PYTHONUTF8=1 (this system reads names as ascii)" in refused.stderr
    assert not out.exists()

    assert run(*words, **ASCII | {"PYTHONUTF8": "1"}).returncode == 0
    assert "Zoë" in set(Dataset(out).table.source_id)
    checked = run("data", "check", out, **ASCII)
    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr
    assert checked.stderr.endswith("is no file name in the encoding ascii; set PYTHONUTF8=1.\n")


def test_a_result_that_cannot_be_printed_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("wsdl.__main__.app", lambda: "Zoë".encode("ascii"))
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == "wsdl: 'Zoë' cannot be encoded as ascii; set PYTHONUTF8=1.\n"
