"""Several processes of one training, as torchrun starts them, but forked from one that has imported PyTorch."""

import os
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from children import CONTEXT
from torch.distributed import TCPStore

SOON = 600  # seconds until all have ended; a busy machine is slow


def run_as_rank(work: Callable, argument: str, place: Path, variables: dict[str, str]) -> None:
    """`work` as one of the processes; those after the first may not put a file in its place."""
    os.environ.update(variables)
    if variables["RANK"] != "0":
        os.replace = refuse_to_write
    log = place / f"rank-{variables['RANK']}.log"
    try:
        work(argument, log)
    except Exception:
        log.write_text(traceback.format_exc())
        raise


def refuse_to_write(source, target) -> None:
    raise AssertionError(f"another process than the first wrote {target}")


@contextmanager
def started_together(place: Path, work: Callable, argument: str, count: int = 2):
    """`count` processes of work(argument, log), started; the log of number N is PLACE/rank-N.log."""
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    common = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "localhost",
              "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}  # fmt: skip
    place.mkdir(exist_ok=True)
    processes: list[BaseProcess] = []
    for rank in range(count):
        variables = common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        processes.append(CONTEXT.Process(target=run_as_rank, args=(work, argument, place, variables)))
        processes[-1].start()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def run_together(place: Path, work: Callable, argument: str, count: int = 2) -> tuple[list[int], list[str]]:
    """Exit codes and logs of `count` processes of work(argument, log)."""
    with started_together(place, work, argument, count) as processes:
        return wait_for_end(place, processes)


def wait_for_end(place: Path, processes: list[BaseProcess]) -> tuple[list[int], list[str]]:
    end = time.monotonic() + SOON
    for process in processes:
        process.join(max(0, end - time.monotonic()))
    logs = [(place / f"rank-{rank}.log").read_text() for rank in range(len(processes))]
    assert None not in [process.exitcode for process in processes], ("they hang", logs)
    return [process.exitcode for process in processes], logs
