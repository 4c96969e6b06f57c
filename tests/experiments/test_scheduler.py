"""The children of a grid: as many as there are slots, none outliving its parent, none doing work twice."""

import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest
from factories import B0, B1, C0

from wsdl.core.io import WsdlError, write_json, write_text
from wsdl.core.locks import hold_lock
from wsdl.evaluation.baselines import BASELINES
from wsdl.experiments import scheduler as slots
from wsdl.experiments.grid import job_state, make_grid
from wsdl.experiments.jobs import Job


@pytest.fixture
def fake(words, tmp_path, monkeypatch):
    """A grid whose data exists and whose children only sleep, and the list of started children."""
    monkeypatch.setattr(slots, "prepare_data", lambda grid, jobs: None)
    monkeypatch.setattr(slots, "PAUSE", 0.01)
    grid = make_grid(**words, out=tmp_path / "out")
    started, popen = [], subprocess.Popen

    def begin(command, **options):
        assert command[:5] == [sys.executable, "-m", "wsdl", "grid", "job"]
        process = popen(["sleep", "30"], **options)
        started.append((command[5], process, options["env"]))
        return process

    monkeypatch.setattr(slots.subprocess, "Popen", begin)
    return grid, started


def finish(grid, job: Job) -> None:
    """Make `job` look done."""
    folder = grid.run_folder(job)
    write_json(folder / "run.json", {"status": "done", "seconds": 12.3})
    row = {"setup": job.setup, "iou": 0.5, "pbca": 0.5, "ap": 0.5, "n": 1}
    rows = [{"method": name, **row} for name in ("patches", *BASELINES)]
    write_json(folder / "metrics.json", {"preset": "dolos", "data": "0" * 64, "rows": rows})
    write_text(folder / "pictures.csv", "")


def test_ctrl_c_ends_the_children(fake, monkeypatch):
    grid, started = fake

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(slots.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        slots.run_grid(grid, slots=2)
    assert [name for name, _, _ in started] == [grid.name(B0), grid.name(B1)]
    assert all(process.returncode == -signal.SIGKILL for _, process, _ in started)


def test_slots_are_filled_and_done_cells_are_skipped(fake, monkeypatch):
    grid, started = fake
    finish(grid, B0)
    most = 0

    def look(seconds):
        nonlocal most
        alive = [(name, process) for name, process, _ in started if process.poll() is None]
        most = max(most, len(alive))
        for job in grid.jobs:
            if alive and grid.name(job) == alive[0][0]:
                finish(grid, job)
                alive[0][1].kill()

    monkeypatch.setattr(slots.time, "sleep", look)
    slots.run_grid(grid, slots=2)
    assert [name for name, _, _ in started] == [grid.name(B1), grid.name(C0)]
    assert most == 2


def test_a_job_of_another_process_is_waited_for(fake, monkeypatch):
    grid, started = fake
    for job in (B0, B1):
        finish(grid, job)
    looks = []

    def look(seconds):
        looks.append(job_state(grid, C0)[0])
        if len(looks) == 3:
            finish(grid, C0)
            other.close()

    monkeypatch.setattr(slots.time, "sleep", look)
    with ExitStack() as other:
        other.enter_context(hold_lock(grid.lock(C0)))
        slots.run_grid(grid)
    assert looks[:3] == ["running"] * 3
    assert started == []


def test_a_child_killed_by_the_system_is_told(fake, monkeypatch):
    grid, started = fake

    def kill(seconds):
        if started[0][1].poll() is None:
            write_text(grid.lock(B0).with_name(f"{grid.lock(B0).name}.by"), "process 1 on here")
            grid.lock(B0).touch()
            started[0][1].kill()
            started[0][1].wait()

    monkeypatch.setattr(slots.time, "sleep", kill)
    with pytest.raises(WsdlError, match=r"1 of 1 .*failed"):
        slots.run_grid(grid, only=(0,))
    assert job_state(grid, B0) == ("failed", "killed by SIGKILL; was there too little memory?")


def test_a_gpu_for_each_slot_or_a_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(slots, "visible_gpus", lambda: ["2", "5"])
    assert slots.slot_environments(0) == [{"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "5"}]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in slots.slot_environments(3)] == ["2", "5", "2"]
    monkeypatch.setattr(slots, "visible_gpus", list)
    monkeypatch.setattr(slots.os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert slots.slot_environments(0) == [{}]
    assert slots.slot_environments(4) == [{"OMP_NUM_THREADS": "2"}] * 4


def test_only_takes_numbers_of_the_plan(fake):
    grid, _ = fake
    assert slots.select_jobs(grid, (0, 2)) == [B0, C0]
    with pytest.raises(WsdlError, match=r"--only.* 3.* 0 to 2"):
        slots.run_grid(grid, only=(3,))
