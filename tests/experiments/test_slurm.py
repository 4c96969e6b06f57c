"""A grid on a real Slurm: cancelled jobs, a drained node and a new controller cost time, and change no number."""

import os
import random
import time
from dataclasses import replace

import pytest
from helpers import run_command, tree, wait_until
from slurm_server import CAN_START, NOT_HERE, run, started_slurm

from wsdl.core.io import WsdlError, write_json
from wsdl.core.locks import lock_holder
from wsdl.core.records import read_metrics
from wsdl.experiments import slurm
from wsdl.experiments.grid import is_finished, make_grid, run_job, write_grid
from wsdl.experiments.slurm import SlurmOptions, read_queue, status_with_queue, submit_grid

TWO_JOBS = {"jobs": [{"method": "patches", "setup": "b"}, {"method": "patches", "setup": "c"}]}
OPTIONS = SlurmOptions(gpus=0, minutes=5, width=2)
SOON = 600  # seconds; a busy machine is slow


@pytest.fixture
def grid(words, dataset, tmp_path):
    """Two jobs on a dataset that exists."""
    write_json(tmp_path / "two.json", TWO_JOBS)
    return make_grid(str(tmp_path / "two.json"), tmp_path / "grid", words["profile"], data=str(dataset))


def answer(monkeypatch, text: str, code: int = 0, error: str = "") -> None:
    """Let squeue print `text`."""
    found = slurm.subprocess.CompletedProcess([], code, text, error)
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: found)


def test_the_queue_tells_why_a_job_waits(grid, monkeypatch):
    write_grid(grid)
    first, second = map(grid.name, grid.jobs)
    write_json(grid.out / "slurm" / "jobs.json", {first: "7_0", second: "7_1"})
    answer(monkeypatch, "8 7_0 PENDING Resources\n9 7_1 CONFIGURING None\n")
    table = status_with_queue(grid.out)
    assert table.state.tolist() == ["queued", "starting"]
    assert table.note.tolist() == ["(Resources)", "(configuring)"]


def test_status_without_a_controller_says_so(grid, monkeypatch, capsys):
    write_grid(grid)
    write_json(grid.out / "slurm" / "jobs.json", {grid.name(grid.jobs[0]): "7_0"})
    answer(monkeypatch, "", 1, "slurm_load_jobs error: Unable to contact slurm controller\n")
    assert status_with_queue(grid.out).state.tolist() == ["waiting", "waiting"]
    assert "squeue: slurm_load_jobs error: Unable to contact slurm controller." in capsys.readouterr().err


def test_a_grid_that_was_never_submitted_asks_no_queue(grid, monkeypatch):
    write_grid(grid)
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: pytest.fail("asked"))
    assert read_queue(grid.out) == {}


@pytest.mark.skipif(not CAN_START, reason=NOT_HERE)
@pytest.mark.slow
def test_a_grid_on_slurm_has_the_numbers_of_local_slots(grid, tmp_path, capsys):
    local = replace(grid, out=tmp_path / "local")
    write_grid(local)
    first, second = grid.jobs
    with started_slurm(tmp_path / "slurm") as server:
        with pytest.raises(WsdlError, match=r"^--slurm: .*[Pp]artition.*\.$"):
            submit_grid(grid, replace(OPTIONS, partition="none"))

        # A drained node, and a controller that ends and starts again: the jobs stay in the queue.
        server.drain()
        submit_grid(grid, OPTIONS)
        assert status_with_queue(grid.out).state.tolist() == ["queued", "queued"]
        server.stop_controller()
        server.start_controller()
        capsys.readouterr()
        submit_grid(grid, OPTIONS)
        assert "2 runs, 0 to submit; the others are done or in the queue." in capsys.readouterr().err
        server.resume()

        # One job is cancelled, the other gets the signal of a time limit: it is queued again by itself.
        ids = slurm._read_ids(grid.out)
        wait_until(lambda: lock_holder(grid.lock(first)), SOON)
        time.sleep(random.uniform(0, 3))  # any moment must do
        server.kill_controller()  # while a job runs
        server.start_controller()
        run("scancel", ids[grid.name(first)])
        wait_until(lambda: lock_holder(grid.lock(second)), SOON)
        run("scancel", "--signal=USR2", ids[grid.name(second)])
        wait_until(lambda: grid.name(first) not in read_queue(grid.out), SOON)
        wait_until(lambda: read_queue(grid.out).get(grid.name(second)) == ("PENDING", "BeginTime"), SOON)
        assert status_with_queue(grid.out).set_index("setup").loc["c", "state"] == "queued"
        run("scontrol", "update", f"jobid={ids[grid.name(second)]}", "starttime=now")  # instead of two minutes later
        assert not is_finished(grid, first)
        submit_grid(grid, OPTIONS)
        after = slurm._read_ids(grid.out)
        assert after[grid.name(first)] != ids[grid.name(first)]
        assert after[grid.name(second)] == ids[grid.name(second)]
        for job in local.jobs:
            run_job(local, job)
        wait_until(lambda: all(is_finished(grid, job) for job in grid.jobs), SOON)
        assert status_with_queue(grid.out).state.tolist() == ["done", "done"]
    for job in grid.jobs:
        ours, theirs = (read_metrics(each.run_folder(job))["rows"][0] for each in (grid, local))
        assert ours == theirs
    assert os.environ.get("SLURM_CONF") != str(server.configuration)


@pytest.mark.skipif(not CAN_START, reason=NOT_HERE)
@pytest.mark.slow
def test_a_whole_grid_on_slurm_has_the_table_of_local_slots(words, tmp_path):
    """Faces, fakes and the trainings in setups A, B and C, all made by the jobs."""
    write_json(tmp_path / "abc.json", {"jobs": [{"method": "patches", "setup": setup} for setup in "abc"]})
    asked = "grid", "run", tmp_path / "abc.json", "--profile", words["profile"], "--source", "made-up", "--out"
    local, there = tmp_path / "local", tmp_path / "there"
    run_command(*asked, local, "--slots", 2)
    with started_slurm(tmp_path / "slurm"):
        run_command(*asked, there, "--slurm", "--gpus", 0, "--time", 5, "--width", 2)
        wait_until(lambda: not set(status_with_queue(there).state) & {"queued", "starting", "running", "waiting"}, SOON)
    ours, theirs = (run_command("grid", "collect", tmp_path / "abc.json", "--out", out) for out in (there, local))
    assert ours == theirs
    assert len(ours.splitlines()) > len("abc") + 1  # the jobs and the baselines
    assert tree(there / "made-up" / "data") == tree(local / "made-up" / "data")
