"""Which jobs a grid has: the named ones, and files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError
from wsdl.experiments import jobs as module
from wsdl.experiments.grid import default_grid_folder, grid_status, make_grid
from wsdl.experiments.jobs import Job


def test_table2_is_every_method_in_every_setup_with_every_seed(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "METHODS", ("patches", "other"))
    jobs = make_grid("table2", tmp_path, source="snapshot", seeds=(0, 3)).jobs
    assert len(jobs) == 12
    assert {(job.method, job.setup) for job in jobs} == {(m, s) for m in ("patches", "other") for s in "abc"}
    assert {job.train_source for job in jobs} == {"snapshot"}
    assert [job.seed for job in jobs] == [0] * 6 + [3] * 6


def test_a_file_without_seeds_is_run_with_each(tmp_path):
    (tmp_path / "mine.toml").write_text('[[jobs]]\nmethod = "patches"\nsetup = "b"\n')
    grid = make_grid(str(tmp_path / "mine.toml"), tmp_path, source="snapshot", seeds=(4, 5))
    assert grid.jobs == (Job("patches", "b", "snapshot", 4), Job("patches", "b", "snapshot", 5))
    assert default_grid_folder("some/mine.toml") == Path("out/grid-mine")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"jobs": [{"method": "patches"}]}, "job 0: .*method .*setup"),
        ({"jobs": [{"method": "guess", "setup": "a"}]}, r"method \(patches"),
        ({"jobs": [{"method": "patches", "setup": "a", "seeds": 3}]}, "'seeds'.*method"),
        ({"jobs": [{"method": "patches", "setup": "a", "train_source": "moon"}]}, "'moon'"),
        ({"runs": []}, "`jobs`"),
    ],
)
def test_wrong_files_are_one_sentence(tmp_path, content, message):
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(WsdlError, match=message):
        make_grid(str(tmp_path / "bad.json"), tmp_path)


def test_wrong_words_are_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match=r"table3: .*table2, cross-source, cross-generator"):
        make_grid("table3", tmp_path)
    with pytest.raises(WsdlError, match="no grid"):
        grid_status(tmp_path)
    result = CliRunner().invoke(app, ["grid", "plan", "table2", "--seeds", "0;1"])
    assert "--seeds: is '0;1'" in str(result.exception)
