"""The jobs of a grid in child processes: so many at a time, none stopping the others, none outliving this one."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from wsdl.core.io import WsdlError, read_json
from wsdl.core.locks import lock_holder
from wsdl.core.progress import print_stderr
from wsdl.experiments.grid import LOG_MARK, Grid, is_finished, last_log_line, prepare_data, write_grid
from wsdl.experiments.jobs import Job

PAUSE = 0.3  # seconds between looks at the children


@dataclass
class _Child:
    job: Job
    process: subprocess.Popen
    place: dict[str, str]  # the variables of its slot
    start: float


def run_grid(grid: Grid, slots: int = 0, only: tuple[int, ...] = ()) -> None:
    """Run every job that is not done (of those numbered in `only`, if any), `slots` at a time; 0: one a GPU, or one.

    Two such calls on one folder share the work: a job that another process has is waited for, and done here only if
    it does not end there. WsdlError names the jobs that failed, when all others have ended.
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
                    busy.append(_start(grid, job, free.pop(0)))
                else:
                    break
                waiting.remove(job)
            for child in [child for child in busy if child.process.poll() is not None]:
                busy.remove(child)
                free.append(child.place)
                if is_finished(grid, child.job):
                    print_stderr(f"{_report(grid, child)}; {len(waiting) + len(busy)} left.")
                elif lock_holder(grid.lock(child.job)):  # another process was faster
                    waiting.append(child.job)
                else:
                    failed.append(child.job)
                    print_stderr(f"{grid.name(child.job)}: failed ({_failure_reason(grid, child)}).")
            time.sleep(PAUSE)
    finally:
        _kill_all(busy)
    if failed:
        logs = ", ".join(f"{grid.name(job)} (log {grid.log(job)})" for job in failed)
        raise WsdlError(f"{grid.out}: {len(failed)} of {len(chosen)} runs failed: {logs}.")


def select_jobs(grid: Grid, only: tuple[int, ...]) -> list[Job]:
    """The jobs numbered in `only`, in their order; all of them where it is empty."""
    if too_large := [number for number in only if number >= len(grid.jobs)]:
        raise WsdlError(f"--only: is {too_large[0]}, but the grid has runs 0 to {len(grid.jobs) - 1}.")
    return [job for number, job in enumerate(grid.jobs) if not only or number in only]


def _start(grid: Grid, job: Job, place: dict[str, str]) -> _Child:
    """A child that runs `job`; what it prints is added to the job's log."""
    log = grid.log(job)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "wsdl", "grid", "job", grid.name(job), "--out", str(grid.out),
               "--parent", str(os.getpid())]  # fmt: skip
    where = ", ".join(f"{name} {value}" for name, value in place.items())
    print_stderr(f"{grid.name(job)}: started{', ' if where else ''}{where}; log {log}")
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{LOG_MARK} {time.strftime('%Y-%m-%d %H:%M:%S')} {where}\n")
        file.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | place,
            start_new_session=True,  # Ctrl-C comes here alone; the children are ended from here
        )
    return _Child(job, process, place, time.monotonic())


def _report(grid: Grid, child: _Child) -> str:
    row = read_json(grid.run_folder(child.job) / "metrics.json")["rows"][0]
    numbers = ", ".join(f"{head} {100 * row[key]:.1f} %" for key, head in (("iou", "IoU"), ("pbca", "PBCA")))
    return f"{grid.name(child.job)}: done in {time.monotonic() - child.start:.0f} s, {numbers}"


def _failure_reason(grid: Grid, child: _Child) -> str:
    """The last line of the log of a child that failed, after adding to it how the child ended if it could not."""
    code = child.process.returncode
    if code < 0:
        grid.lock(child.job).unlink(missing_ok=True)
        with open(grid.log(child.job), "a", encoding="utf-8") as file:
            out_of_memory = "; was there too little memory?" if code == -signal.SIGKILL else ""
            file.write(f"\nkilled by {signal.Signals(-code).name}{out_of_memory}\n")
    return last_log_line(grid.log(child.job))


def _kill_all(busy: list[_Child]) -> None:
    """End the children. A run that is killed goes on from its last checkpoint later, so there is no need to ask."""
    for child in busy:
        child.process.kill()
    for child in busy:
        child.process.wait()


def slot_environments(slots: int) -> list[dict[str, str]]:
    """What each slot's children get as variables: a GPU of their own, or their share of the cores."""
    cards = visible_gpus()
    slots = slots or max(1, len(cards))
    if cards:
        return [{"CUDA_VISIBLE_DEVICES": cards[slot % len(cards)]} for slot in range(slots)]
    if slots == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{} for _ in range(slots)]
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // slots))} for _ in range(slots)]


def visible_gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    from wsdl.core.device import pick_device

    if pick_device().type != "cuda":
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return [name.strip() for name in named.split(",") if name.strip()] or list(
        map(str, range(torch.cuda.device_count()))
    )


def exit_with_parent(parent: int) -> None:
    """End this process within a second of `parent`, however that ends (not on Windows, where it cannot be seen)."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
