"""Which cells a grid has: the named ones, and files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError
from wsdl.experiments import jobs as module
from wsdl.experiments.grid import default_out, make, status
from wsdl.experiments.jobs import Cell


def test_table2_is_every_method_in_every_setup_with_every_seed(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "METHODS", ("patches", "other"))
    cells = make("table2", tmp_path, source="snapshot", seeds=(0, 3)).cells
    assert len(cells) == 12
    assert {(cell.method, cell.setup) for cell in cells} == {(m, s) for m in ("patches", "other") for s in "abc"}
    assert {cell.train_source for cell in cells} == {"snapshot"}
    assert [cell.seed for cell in cells] == [0] * 6 + [3] * 6


def test_a_file_without_seeds_is_run_with_each(tmp_path):
    (tmp_path / "mine.toml").write_text('[[cells]]\nmethod = "patches"\nsetup = "b"\n')
    grid = make(str(tmp_path / "mine.toml"), tmp_path, source="snapshot", seeds=(4, 5))
    assert grid.cells == (Cell("patches", "b", "snapshot", 4), Cell("patches", "b", "snapshot", 5))
    assert default_out("some/mine.toml") == Path("out/grid-mine")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cells": [{"method": "patches"}]}, "cell 0: is .* but must have a method .* and a setup"),
        ({"cells": [{"method": "guess", "setup": "a"}]}, r"must have a method \(patches"),
        ({"cells": [{"method": "patches", "setup": "a", "seeds": 3}]}, "unknown setting 'seeds'; valid are method"),
        ({"cells": [{"method": "patches", "setup": "a", "train_source": "moon"}]}, "is 'moon', but must be one of"),
        ({"runs": []}, "must hold one list, `cells`"),
    ],
)
def test_wrong_files_are_one_sentence(tmp_path, content, message):
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(WsdlError, match=message):
        make(str(tmp_path / "bad.json"), tmp_path)


def test_wrong_words_are_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match="table3: no such grid; choose table2, cross-source, cross-generator, or"):
        make("table3", tmp_path)
    with pytest.raises(WsdlError, match="holds no grid; begin one with"):
        status(tmp_path)
    result = CliRunner().invoke(app, ["grid", "plan", "table2", "--seeds", "0;1"])
    assert "--seeds: is '0;1'" in str(result.exception)
