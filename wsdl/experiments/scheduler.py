"""The cells of a grid in child processes: so many at a time, none stopping the others, none outliving this one."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from wsdl.core.io import WsdlError, read_json
from wsdl.core.locks import holder
from wsdl.core.progress import print_stderr
from wsdl.experiments.grid import BEGUN, Grid, is_finished, last_line, make_data, record
from wsdl.experiments.jobs import Cell

PAUSE = 0.3  # seconds between looks at the children


@dataclass
class Child:
    cell: Cell
    process: subprocess.Popen
    place: dict[str, str]  # the variables of its slot
    start: float


def run(grid: Grid, slots: int = 0, only: tuple[int, ...] = ()) -> None:
    """Run every cell that is not done (of those numbered in `only`, if any), `slots` at a time; 0: one a GPU, or one.

    Two such calls on one folder share the work: a cell that another process has is waited for, and done here only if
    it does not end there. WsdlError names the cells that failed, when all others have ended.
    """
    record(grid)
    chosen = pick(grid, only)
    waiting = [cell for cell in chosen if not is_finished(grid, cell)]
    print_stderr(f"{grid.out}: {len(chosen)} runs, {len(chosen) - len(waiting)} done already.")
    make_data(grid, waiting)
    free, busy, failed = places(slots), [], []
    try:
        while waiting or busy:
            for cell in [cell for cell in waiting if not holder(grid.lock(cell))]:
                if is_finished(grid, cell):
                    print_stderr(f"{grid.name(cell)}: done by another process.")
                elif free:
                    busy.append(start(grid, cell, free.pop(0)))
                else:
                    break
                waiting.remove(cell)
            for child in [child for child in busy if child.process.poll() is not None]:
                busy.remove(child)
                free.append(child.place)
                if is_finished(grid, child.cell):
                    print_stderr(f"{report(grid, child)}; {len(waiting) + len(busy)} left.")
                elif holder(grid.lock(child.cell)):  # another process was faster
                    waiting.append(child.cell)
                else:
                    failed.append(child.cell)
                    print_stderr(f"{grid.name(child.cell)}: failed ({why(grid, child)}).")
            time.sleep(PAUSE)
    finally:
        end(busy)
    if failed:
        logs = ", ".join(f"{grid.name(cell)} (log {grid.log(cell)})" for cell in failed)
        raise WsdlError(f"{grid.out}: {len(failed)} of {len(chosen)} runs failed: {logs}.")


def pick(grid: Grid, only: tuple[int, ...]) -> list[Cell]:
    """The cells numbered in `only`, in their order; all of them where it is empty."""
    if too_large := [number for number in only if number >= len(grid.cells)]:
        raise WsdlError(f"--only: is {too_large[0]}, but the grid has runs 0 to {len(grid.cells) - 1}.")
    return [cell for number, cell in enumerate(grid.cells) if not only or number in only]


def start(grid: Grid, cell: Cell, place: dict[str, str]) -> Child:
    """A child that runs `cell`; what it prints is added to the cell's log."""
    log = grid.log(cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "wsdl", "grid", "cell", grid.name(cell), "--out", str(grid.out),
               "--parent", str(os.getpid())]  # fmt: skip
    where = ", ".join(f"{name} {value}" for name, value in place.items())
    print_stderr(f"{grid.name(cell)}: started{', ' if where else ''}{where}; log {log}")
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{BEGUN} {time.strftime('%Y-%m-%d %H:%M:%S')} {where}\n")
        file.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | place,
            start_new_session=True,  # Ctrl-C comes here alone; the children are ended from here
        )
    return Child(cell, process, place, time.monotonic())


def report(grid: Grid, child: Child) -> str:
    row = read_json(grid.run_folder(child.cell) / "metrics.json")["rows"][0]
    numbers = ", ".join(f"{head} {100 * row[key]:.1f} %" for key, head in (("iou", "IoU"), ("pbca", "PBCA")))
    return f"{grid.name(child.cell)}: done in {time.monotonic() - child.start:.0f} s, {numbers}"


def why(grid: Grid, child: Child) -> str:
    """The last line of the log of a child that failed, after adding to it how the child ended if it could not."""
    code = child.process.returncode
    if code < 0:
        grid.lock(child.cell).unlink(missing_ok=True)
        with open(grid.log(child.cell), "a", encoding="utf-8") as file:
            out_of_memory = "; was there too little memory?" if code == -signal.SIGKILL else ""
            file.write(f"\nkilled by {signal.Signals(-code).name}{out_of_memory}\n")
    return last_line(grid.log(child.cell))


def end(busy: list[Child]) -> None:
    """End the children. A run that is killed goes on from its last checkpoint later, so there is no need to ask."""
    for child in busy:
        child.process.kill()
    for child in busy:
        child.process.wait()


def places(slots: int) -> list[dict[str, str]]:
    """What each slot's children get as variables: a GPU of their own, or their share of the cores."""
    cards = gpus()
    slots = slots or max(1, len(cards))
    if cards:
        return [{"CUDA_VISIBLE_DEVICES": cards[slot % len(cards)]} for slot in range(slots)]
    if slots == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{} for _ in range(slots)]
    return [{"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // slots))} for _ in range(slots)]


def gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    from wsdl.core.device import pick_device

    if pick_device().type != "cuda":
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return [name.strip() for name in named.split(",") if name.strip()] or list(
        map(str, range(torch.cuda.device_count()))
    )


def end_with(parent: int) -> None:
    """End this process within a second of `parent`, however that ends (not on Windows, where it cannot be seen)."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
