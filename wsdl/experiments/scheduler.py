"""Runs the jobs of a grid in child processes: a limited number at a time, ended together with this process."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from wsdl.core.io import WsdlError
from wsdl.core.locks import forget_holder, lock_holder
from wsdl.core.processes import PAUSE, failure_reason, kill_children, start_child
from wsdl.core.progress import print_stderr
from wsdl.core.records import read_metrics
from wsdl.experiments.grid import LOG_MARK, Grid, is_finished, prepare_data, write_grid
from wsdl.experiments.jobs import Job


@dataclass
class _Child:
    job: Job
    process: subprocess.Popen
    environment: dict[str, str]  # the variables of its slot
    start: float


def run_grid(grid: Grid, slots: int = 0, only: tuple[int, ...] = ()) -> None:
    """Run every job that is not finished, `slots` at a time (0: one per GPU, or one).

    only: the numbers of the jobs to run, as in `grid plan`; (): all. Two such calls on one folder share the work: a job
    that another process runs is waited for, and run here only if it is not finished then. WsdlError names the jobs that
    failed, after all others have ended.
    """
    write_grid(grid)
    chosen = select_jobs(grid, only)
    waiting = [job for job in chosen if not is_finished(grid, job)]
    print_stderr(f"{grid.out}: {len(chosen)} runs, {len(chosen) - len(waiting)} done already.")
    prepare_data(grid, waiting)
    free, busy, failed = slot_environments(slots), [], []
    try:
        while waiting or busy:
            for job in [job for job in waiting if not lock_holder(grid.lock(job))]:
                if is_finished(grid, job):
                    print_stderr(f"{grid.name(job)}: done by another process.")
                elif free:
                    busy.append(_start_job(grid, job, free.pop(0)))
                else:
                    break
                waiting.remove(job)
            for child in [child for child in busy if child.process.poll() is not None]:
                busy.remove(child)
                free.append(child.environment)
                if is_finished(grid, child.job):
                    print_stderr(f"{_describe_result(grid, child)}; {len(waiting) + len(busy)} left.")
                elif lock_holder(grid.lock(child.job)):  # another process took the job first
                    waiting.append(child.job)
                else:
                    failed.append(child.job)
                    print_stderr(f"{grid.name(child.job)}: failed ({_failure_reason(grid, child)}).")
            time.sleep(PAUSE)
    finally:
        kill_children([child.process for child in busy])
    if failed:
        logs = ", ".join(f"{grid.name(job)} (log {grid.log(job)})" for job in failed)
        raise WsdlError(f"{grid.out}: {len(failed)} of {len(chosen)} runs failed: {logs}.")


def select_jobs(grid: Grid, only: tuple[int, ...]) -> list[Job]:
    """The jobs numbered in `only`, in the order of the grid; all of them where it is empty."""
    if too_large := [number for number in only if number >= len(grid.jobs)]:
        raise WsdlError(f"--only: is {too_large[0]}, but the grid has runs 0 to {len(grid.jobs) - 1}.")
    return [job for number, job in enumerate(grid.jobs) if not only or number in only]


def _start_job(grid: Grid, job: Job, environment: dict[str, str]) -> _Child:
    where = ", ".join(f"{name} {value}" for name, value in environment.items())
    print_stderr(f"{grid.name(job)}: started{', ' if where else ''}{where}; log {grid.log(job)}")
    return _Child(job, start_job(grid, job, environment, where), environment, time.monotonic())


def start_job(grid: Grid, job: Job, environment: dict[str, str], where: str) -> subprocess.Popen:
    """Start a child process that runs `job`; its output is appended to the log of the job, after a line with `where`.

    environment: variables in addition to those of this process.
    """
    command = [sys.executable, "-m", "wsdl", "grid", "job", grid.name(job), "--out", str(grid.out),
               "--parent", str(os.getpid())]  # fmt: skip
    mark = f"{LOG_MARK} {time.strftime('%Y-%m-%d %H:%M:%S')} {where}"
    return start_child(command, grid.log(job), environment, mark)


def _describe_result(grid: Grid, child: _Child) -> str:
    row = read_metrics(grid.run_folder(child.job))["rows"][0]
    scores = f"IoU {100 * row['iou']:.1f} %, PBCA {100 * row['pbca']:.1f} %"
    return f"{grid.name(child.job)}: done in {time.monotonic() - child.start:.0f} s, {scores}"


def _failure_reason(grid: Grid, child: _Child) -> str:
    """Why a child failed, from its log; the lock of one that a signal killed is given free."""
    if child.process.returncode < 0:
        forget_holder(grid.lock(child.job))
    return failure_reason(grid.log(child.job), child.process.returncode)


def slot_environments(slots: int) -> list[dict[str, str]]:
    """The environment variables of the children of each slot: a GPU, or a share of the CPU cores."""
    cards = visible_gpus()
    slots = slots or max(1, len(cards))
    if cards:
        return [{"CUDA_VISIBLE_DEVICES": cards[slot % len(cards)]} for slot in range(slots)]
    if slots == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{} for _ in range(slots)]
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // slots))} for _ in range(slots)]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    from wsdl.core.device import pick_device

    if pick_device().type != "cuda":
        return []
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return names or [str(index) for index in range(torch.cuda.device_count())]
