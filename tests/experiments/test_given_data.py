"""`grid run table2 --data DIR`: the grid of a folder that exists, such as a miniature of the Dolos download."""

import json

import pytest
from factories import miniature_dolos
from helpers import run_command
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError, read_json, sha256
from wsdl.experiments.estimate_grid import describe_grid
from wsdl.experiments.grid import job_state, load_grid, make_grid
from wsdl.experiments.jobs import Job

PROFILE = {"patches": {"input_size": 48, "images": 16, "images_c": 16, "batch": 8, "batch_c": 8, "check_every": 8}}


@pytest.fixture(scope="module")
def download(dataset, tmp_path_factory):
    return miniature_dolos(dataset, tmp_path_factory.mktemp("data") / "celebahq")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("profile") / "tiny.json"
    path.write_text(json.dumps(PROFILE))
    return str(path)


@pytest.mark.slow
def test_table2_of_a_download(download, tiny, tmp_path):
    jobs = tmp_path / "table2.json"  # one method of table2
    jobs.write_text(json.dumps({"jobs": [{"method": "patches", "setup": setup} for setup in "abc"]}))
    out = tmp_path / "grid"
    run_command("grid", "run", jobs, "--data", download, "--profile", tiny, "--out", out)
    grid = load_grid(out)
    assert [job_state(grid, job)[0] for job in grid.jobs] == ["done"] * 3
    trained = [read_json(grid.run_folder(job) / "config.json")["generator"] for job in grid.jobs]
    assert trained == ["p2", "repaint-p2-9k", "repaint-p2"]
    tested = [read_json(grid.run_folder(job) / "metrics.json") for job in grid.jobs]
    assert [(each["generators"], each["rows"][0]["n"]) for each in tested] == [(["repaint-p2"], 5)] * 3
    lines = run_command("grid", "collect", jobs, "--out", out).splitlines()
    assert [line.split(",")[0] for line in lines[1:4]] == ["celebahq", "celebahq (repaint-p2-9k)", "celebahq"]
    assert not (out / "celebahq" / "data").exists()
    again = run_command("grid", "status", jobs, "--out", out)
    assert again.count(" done ") == 3


def test_every_job_of_table2_uses_the_folder(download, tiny, tmp_path):
    before = sha256(download / "manifest.csv") if (download / "manifest.csv").exists() else None
    grid = make_grid("table2", tmp_path / "grid", tiny, data=download)
    assert {job.train_source for job in grid.jobs} == {"celebahq"}
    assert {grid.study(job).data for job in grid.jobs} == {download}
    assert grid.name(Job("patches", "b", "celebahq", 0)) == "patches-b-repaint-p2-9k-celebahq-s0"
    small = make_grid("table2", tmp_path / "grid", tiny, data=download)
    assert f"celebahq: data: given: {download}" in describe_grid(type(small)(small.out, small.jobs[:1], small.profile,
                                                                           data=small.data))  # fmt: skip
    assert before in (None, sha256(download / "manifest.csv"))


def test_a_dataset_of_wsdl_can_be_given(dataset, tiny, tmp_path):
    grid = make_grid("table2", tmp_path / "grid", tiny, data=dataset)
    assert grid.name(Job("patches", "b", "made-up", 0)) == "patches-b-repaint-p2-made-up-s0"


def test_jobs_that_need_other_data_are_refused(dataset, download, tiny, tmp_path):
    with pytest.raises(WsdlError, match="--data: holds the source celebahq only, but a job needs snapshot"):
        make_grid("cross-source", tmp_path / "grid", tiny, data=download)
    words = ["grid", "plan", "table2", "--data", str(dataset), "--images", "x"]
    assert "--data and --images: give one of them" in str(CliRunner().invoke(app, words).exception)
