"""Runs the jobs of a grid on Slurm, through submitit (extra `slurm`): one task of a job array for each.

A job that Slurm stops at its time limit, or for another job, is queued again and resumes from its last checkpoint.
"""

import hashlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from wsdl.core.io import WsdlError, write_json
from wsdl.core.locks import hold_folder
from wsdl.core.processes import last_log_line
from wsdl.core.progress import print_problem, print_stderr
from wsdl.core.records import read_object
from wsdl.experiments.grid import Grid, grid_status, is_finished, load_grid, write_grid
from wsdl.experiments.scheduler import select_jobs, start_job

_ENDLESS = 10_000  # how often a job may reach its time limit
_SIGNAL_PAUSE = 20  # seconds in which the signal that ended a child reaches this process, too


@dataclass(frozen=True)
class SlurmOptions:
    """What Slurm is asked for, for each job."""

    partition: str = ""  # "": the default one
    gpus: int = 1  # 0: the job runs on the CPU
    minutes: int = 24 * 60  # time limit; a longer job continues after it has been queued again
    width: int = 8  # jobs that run at a time
    further: dict[str, str] = field(default_factory=dict)  # options of sbatch, by their long names


def submit_grid(grid: Grid, options: SlurmOptions, only: tuple[int, ...] = ()) -> None:
    """Submit the jobs that are neither finished nor in the queue of Slurm, and return at once.

    only: the numbers of the jobs, as in `grid plan`; (): all. WsdlError where there is no Slurm, or it refuses them.
    """
    submitit = _import_submitit()
    write_grid(grid)
    chosen = select_jobs(grid, only)
    with hold_folder(_folder(grid.out)):
        queue = read_queue(grid.out)
        missing = [job for job in chosen if not is_finished(grid, job) and grid.name(job) not in queue]
        print_stderr(f"{grid.out}: {len(chosen)} runs, {len(missing)} to submit; the others are done or in the queue.")
        if not missing:
            return
        names = list(map(grid.name, missing))
        try:
            executor = submitit.SlurmExecutor(_folder(grid.out), max_num_timeout=_ENDLESS)
            executor.update_parameters(**_parameters(grid.out, options))
            submitted = executor.map_array(GridTask(), [str(grid.out)] * len(names), names)
        except (RuntimeError, ValueError, submitit.core.utils.FailedJobError) as error:
            raise WsdlError(f"--slurm: {str(error).strip().splitlines()[-1].rstrip('.')}.") from None
        ids = dict(zip(names, [job.job_id for job in submitted], strict=True))
        write_json(_ids_file(grid.out), {**_read_ids(grid.out), **ids})
        for name, number in ids.items():
            print_stderr(f"{name}: submitted as {number}; log {grid.out / 'logs' / name}.log")


def _import_submitit():
    try:
        import submitit
        import submitit.core.utils
    except ModuleNotFoundError:
        raise WsdlError("--slurm: needs submitit; install it with `pip install 'wsdl[slurm]'`.") from None
    return submitit


def _parameters(out: Path, options: SlurmOptions) -> dict:
    """The settings of submitit's executor."""
    optional = {"partition": options.partition, "gpus_per_node": options.gpus, "additional_parameters": options.further}
    named = {name: value for name, value in optional.items() if value}
    return {"job_name": _job_name(out), "time": options.minutes, "array_parallelism": options.width, **named}


class GridTask:
    """What Slurm runs for one job. submitit calls `checkpoint` before it puts the job back into the queue."""

    def __call__(self, out: str, name: str) -> None:
        """Run the job `name` of the grid in `out`, in a child process as `grid run` does. WsdlError where it failed."""
        grid = load_grid(Path(out))
        job = next(job for job in grid.jobs if grid.name(job) == name)
        if is_finished(grid, job):
            return
        child = start_job(grid, job, {}, f"Slurm {_array_task()}")
        try:
            if child.wait() < 0 and child.returncode != -signal.SIGKILL:
                time.sleep(_SIGNAL_PAUSE)
        finally:
            child.kill()
            child.wait()
        if not is_finished(grid, job):
            raise WsdlError(f"{name}: failed ({last_log_line(grid.log(job))}).")

    def checkpoint(self, out: str, name: str):
        """The same task again: the run itself resumes from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, out, name)


def _array_task() -> str:
    parts = [os.environ.get(f"SLURM_ARRAY_{name}_ID", "") for name in ("JOB", "TASK")]
    return "_".join(parts) if all(parts) else os.environ.get("SLURM_JOB_ID", "")


def read_queue(out: Path) -> dict[str, tuple[str, str]]:
    """Name of a run -> its state in the queue of Slurm (PENDING, RUNNING ...) and the reason; only those in the queue.

    WsdlError where Slurm does not answer.
    """
    ids = _read_ids(out)
    if not ids:
        return {}
    command = ["squeue", "--me", "--noheader", "--array", f"--name={_job_name(out)}", "--format=%A %F_%K %T %r"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        raise WsdlError("squeue: is not installed here; ask on a machine of the cluster.") from None
    if found.returncode:
        raise WsdlError(f"squeue: {(found.stderr.strip().splitlines() or ['failed'])[-1].rstrip('.')}.")
    queue = {}
    for line in found.stdout.splitlines():
        single, task, state, reason = line.split(maxsplit=3)
        queue |= {single: (state, reason), task: (state, reason)}
    return {name: queue[number] for name, number in ids.items() if number in queue}


def status_with_queue(out: Path) -> pd.DataFrame:
    """`grid_status`, where jobs that wait in the queue of Slurm are "queued" (why); the others say what files tell."""
    table, grid = grid_status(out), load_grid(out)
    try:
        queue = read_queue(out)
    except WsdlError as error:
        print_problem(str(error))
        return table
    rows = zip(grid.jobs, table.state, table.note, strict=True)
    states = [_with_queue(state, note, queue.get(grid.name(job))) for job, state, note in rows]
    return table.assign(state=[state for state, _ in states], note=[note for _, note in states])


def _with_queue(state: str, note: str, queued: tuple[str, str] | None) -> tuple[str, str]:
    """State and note of a job whose files say `state` and `note`; queued: state and reason in the queue, if it is."""
    if queued is None or state in ("done", "running"):
        return state, note
    if queued[0] == "PENDING":
        return "queued", " ".join(part for part in (note if state == "stopped" else "", f"({queued[1]})") if part)
    return "starting", f"({queued[0].lower()})"


def _folder(out: Path) -> Path:
    return Path(out) / "slurm"


def _ids_file(out: Path) -> Path:
    return _folder(out) / "jobs.json"


def _read_ids(out: Path) -> dict[str, str]:
    """Name of a run -> the number of the job in Slurm, as it was last submitted."""
    return read_object(_ids_file(out)) if _ids_file(out).exists() else {}


def _job_name(out: Path) -> str:
    """The name in Slurm of the jobs of the grid in `out`, which tells them from those of other grids."""
    return f"wsdl-{hashlib.sha256(str(Path(out).resolve()).encode()).hexdigest()[:8]}"
