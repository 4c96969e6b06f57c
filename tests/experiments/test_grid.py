"""Many runs in miniature: shared data, the same numbers twice, failures that stop nobody, kills and second calls."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from factories import B0, B1, C0
from helpers import held_by_another, wait_until
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError, read_json, sha256, write_json, write_text
from wsdl.core.locks import lock_holder
from wsdl.core.run import read_stats
from wsdl.data.dataset import Dataset
from wsdl.evaluation.baselines import BASELINES
from wsdl.experiments import scheduler as slots
from wsdl.experiments.estimate_grid import describe_grid
from wsdl.experiments.grid import job_state, load_grid, make_grid, run_job, write_grid
from wsdl.experiments.results import collect_results, missing_runs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ran(words, tmp_path_factory):
    """The grid after `run`, in which B1 was done already and C0 had to fail: its folder holds other settings."""
    grid = make_grid(**words, out=tmp_path_factory.mktemp("ran") / "out")
    write_json(grid.run_folder(C0) / "config.json", {"batch": 7})
    (grid.run_folder(C0) / "model.safetensors").touch()  # something was trained with it
    run_job(grid, B1)
    with pytest.raises(WsdlError) as error:
        slots.run_grid(grid)
    return grid, str(error.value)


def test_one_that_fails_stops_no_other_and_is_named(ran):
    grid, error = ran
    assert [job_state(grid, job)[0] for job in (B0, B1, C0)] == ["done", "done", "failed"]
    assert not grid.log(B1).exists()  # done before, not started again
    assert error == f"{grid.out}: 1 of 3 runs failed: {grid.name(C0)} (log {grid.log(C0)})."
    assert job_state(grid, C0)[1].startswith(f"wsdl: {grid.run_folder(C0)}: was begun with batch = 7")


def test_seeds_share_one_dataset(ran):
    grid, _ = ran
    assert len(list(grid.out.rglob("manifest.csv"))) == 1
    configs = [read_json(grid.run_folder(job) / "config.json") for job in (B0, B1)]
    assert configs[0]["data"] == configs[1]["data"]
    assert [config["seed"] for config in configs] == [0, 1]
    assert sha256(grid.run_folder(B0) / "model.safetensors") != sha256(grid.run_folder(B1) / "model.safetensors")


def test_collect_takes_seeds_together_and_names_what_is_missing(ran):
    grid, _ = ran
    rows = collect_results(grid.out)
    assert list(rows.setup[:2]) == ["b", "c"]
    assert list(rows.seeds[:2]) == ["0 1", ""]
    assert list(rows.missing[:2]) == ["", "0"]
    assert pd.isna(rows.iou[1])
    assert list(rows.method[2:]) == list(BASELINES)
    alone = [read_json(grid.run_folder(job) / "metrics.json")["rows"][0]["iou"] for job in (B0, B1)]
    assert (rows.iou_least[0], rows.iou_most[0]) == (min(alone), max(alone))
    assert missing_runs(rows) == ["patches c made-up: seed 0"]
    kept = pd.read_csv(grid.out / "results.csv", keep_default_na=False)
    assert list(kept.missing) == list(rows.missing)


def test_a_run_scored_with_fewer_rows_is_scored_again(ran):
    grid, _ = ran
    path = grid.run_folder(B0) / "metrics.json"
    complete = read_json(path)
    write_json(path, complete | {"rows": complete["rows"][:5]})
    assert job_state(grid, B0)[0] != "done"
    run_job(grid, B0)
    assert job_state(grid, B0)[0] == "done"
    assert read_json(path) == complete


def test_a_table_names_a_few_of_many_missing_runs(monkeypatch, ran):
    grid, _ = ran
    monkeypatch.setattr("wsdl.experiments.results.missing_runs", lambda table: [f"run {n}" for n in range(9)])
    page = CliRunner().invoke(app, ["grid", "collect", "three", "--out", str(grid.out), "--format", "md"]).output
    assert page.endswith("Missing: run 0; run 1; run 2; run 3; run 4; run 5; and 3 more.\n")


def test_status_and_collect_as_commands(ran):
    grid, _ = ran
    printed = CliRunner().invoke(app, ["grid", "status", "three", "--out", str(grid.out)]).output
    assert "failed" in printed
    assert "was begun with batch = 7" in printed
    page = CliRunner().invoke(app, ["grid", "collect", "three", "--out", str(grid.out), "--format", "md"]).output
    assert "| made-up | patches | b | 0 1 |" in page
    assert page.endswith("Missing: patches c made-up: seed 0.\n")
    assert "nan" not in page


def test_plan_says_runs_time_and_memory_and_writes_nothing(ran, words, tmp_path):
    new = describe_grid(make_grid(**words, out=tmp_path / "new"), slots=2)
    assert not (tmp_path / "new").exists()
    assert "3 runs, 0 done; 2 at a time, sharing the cores of the CPU." in new
    assert "made-up: generator: train P2 on 32 images" in new
    assert "hours left" in new
    assert "MB per run" in new
    lines = describe_grid(ran[0]).splitlines()
    assert [line.split()[5:7] for line in lines[1:3]] == [["done", "done"]] * 2
    assert lines[3].split()[5] == "failed"
    assert "train on 320 images" in lines[3]


def test_a_killed_and_resumed_grid_gives_the_same_numbers(ran, words, tmp_path):
    """In a new folder, in this process and undisturbed, against child processes, of which one loses its parent."""
    twin = make_grid(**words, out=tmp_path / "twin")
    write_grid(twin)
    for job in (B0, C0):
        run_job(twin, job)
    grid = make_grid(**words, out=tmp_path / "killed")
    shutil.copytree(ran[0].out / "made-up" / "data", grid.out / "made-up" / "data")
    shutil.copytree(ran[0].out / "made-up" / "p2", grid.out / "made-up" / "p2")
    write_grid(grid)
    command = f"{sys.executable} -m wsdl grid job {grid.name(C0)} --out {grid.out} --parent $$; true"
    parent = subprocess.Popen(["sh", "-c", command], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_until(lambda: read_stats(grid.run_folder(C0)), 900)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not lock_holder(grid.lock(C0)), 60)  # the child has ended too, with its work half done
    reached = read_stats(grid.run_folder(C0))[-1]["images"]
    assert job_state(grid, C0) == ("stopped", f"{100 * reached / 320:.0f} %")

    run_job(grid, C0)
    images = [line["images"] for line in read_stats(grid.run_folder(C0))]
    assert images == sorted(set(images))
    for other, job in ((ran[0], B0), (grid, C0)):
        assert Dataset(other.study(job).out / "data").info == Dataset(twin.study(job).out / "data").info
        for name in ("model.safetensors", "metrics.json", "pictures.csv", "config.json"):
            assert sha256(other.run_folder(job) / name) == sha256(twin.run_folder(job) / name), name
    assert [job_state(grid, job)[0] for job in (B0, B1, C0)] == ["waiting", "waiting", "done"]


def test_two_at_once_on_one_job_are_refused(words, tmp_path):
    grid = make_grid(**words, out=tmp_path / "out")
    with held_by_another(grid.lock(B0)) as other, pytest.raises(WsdlError, match=f"process {other.pid}"):
        run_job(grid, B0)
    assert not grid.run_folder(B0).exists()


def test_more_seeds_are_added_and_other_settings_refused(words, tmp_path):
    out = tmp_path / "out"
    write_grid(make_grid("table2", out, words["profile"], "made-up", seeds=(0,)))
    write_grid(make_grid("table2", out, words["profile"], "made-up", seeds=(1,)))
    assert {job.seed for job in load_grid(out).jobs} == {0, 1}
    write_text(out / "made-up" / "data" / "manifest.csv", "")  # its faces were made
    with pytest.raises(WsdlError, match="profile"):
        write_grid(make_grid("table2", out, "quick", "made-up"))
    with pytest.raises(WsdlError, match=r"no run .*done"):
        collect_results(out)


def test_a_grid_of_a_version_with_fewer_settings_goes_on(words, tmp_path):
    out = tmp_path / "out"
    grid = make_grid("table2", out, words["profile"], "made-up", seeds=(0,))
    write_grid(grid)
    complete = read_json(out / "grid.json")
    written = read_json(out / "grid.json")
    del written["profile"]["further_images"], written["profile"]["patches"]["augment"]
    write_json(out / "grid.json", written)
    write_grid(grid)
    assert read_json(out / "grid.json") == complete
