"""Lock files: one process at a time. A lock is created atomically and names the process that holds it.

The lock of a dead process is taken over. Whether a process on another machine is alive cannot be checked, so its lock
counts until somebody deletes the file.
"""

import os
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from wsdl.core.io import WsdlError
from wsdl.core.processes import process_signature, process_start
from wsdl.core.progress import print_stderr

PAUSE = 0.5  # seconds between checks of a lock
UNSIGNED = 10  # seconds after which an empty lock counts as that of a process killed while writing it


@contextmanager
def hold_lock(path: Path, wait: bool = False):
    """Hold the lock `path` within the block. Where another process holds it: wait for it, or raise WsdlError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    announced = False
    while not _take(path):
        if not wait:
            raise WsdlError(f"{path}: is held by {lock_holder(path)}; wait for it, or delete the file if it is gone.")
        if not announced:
            print_stderr(f"{path}: waiting for {lock_holder(path)}.")
            announced = True
        time.sleep(PAUSE)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path) -> bool:
    """Create the lock `path` for this process, unless a living process holds it."""
    for _ in range(2):  # the second time after removing the lock of a dead process
        with suppress(FileExistsError), open(path, "x", encoding="utf-8") as file:
            file.write(process_signature(os.getpid()))
            return True
        if lock_holder(path):
            return False
        _clear_dead(path)
    return False


def _clear_dead(path: Path) -> None:
    """Remove the lock of a dead process. It is renamed first, so that a lock created since is detected and restored."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        os.rename(path, aside)
        if lock_holder(aside):
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def lock_holder(path: Path) -> str | None:
    """The holder of the lock `path`, as "process PID on HOST"; None where there is none or it is dead."""
    try:
        words, age = path.read_text(encoding="utf-8").split(), time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
    if len(words) < 3:
        return "a process that is just starting" if age < UNSIGNED else None
    host, pid, start = words
    if host == socket.gethostname() and (start == "dead" or process_start(int(pid)) != start):
        return None
    return f"process {pid} on {host}"
