"""One process at a time: a lock is a file that says who holds it, made by an atomic create.

The lock of a process that has died is taken over. That cannot be known of another machine's process: its lock counts
until someone deletes the file.
"""

import os
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr

PAUSE = 0.5  # seconds between looks at a lock
UNSIGNED = 10  # seconds after which a lock that names nobody is that of a process killed while it signed


@contextmanager
def hold_lock(path: Path, wait: bool = False):
    """Hold the lock `path` within the block. Where another process has it: wait, or WsdlError that names it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while not _take(path):
        if not wait:
            raise WsdlError(f"{path}: is held by {lock_holder(path)}; wait for it, or delete the file if that is gone.")
        if not told:
            print_stderr(f"{path}: waiting for {lock_holder(path)}.")
            told = True
        time.sleep(PAUSE)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path) -> bool:
    """Make the lock `path` this process's, if nobody alive has it."""
    for _ in range(2):  # the second time after clearing away a dead one's
        with suppress(FileExistsError), open(path, "x", encoding="utf-8") as file:
            file.write(process_signature(os.getpid()))
            return True
        if lock_holder(path):
            return False
        _clear_dead(path)
    return False


def _clear_dead(path: Path) -> None:
    """Remove the lock of a dead process. Renamed first, so that a lock made since is seen and put back."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        os.rename(path, aside)
        if lock_holder(aside):
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def lock_holder(path: Path) -> str | None:
    """Who holds the lock `path`, in words; None where nobody does, or a process that is dead."""
    try:
        said, age = path.read_text(encoding="utf-8").split(), time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
    if len(said) < 3:
        return "a process that is just starting" if age < UNSIGNED else None
    host, pid, start = said
    if host == socket.gethostname() and (start == "dead" or _process_start(int(pid)) != start):
        return None
    return f"process {pid} on {host}"


def process_signature(pid: int) -> str:
    """Host, number and start of a process: numbers are used again, so a number alone names nobody."""
    return f"{socket.gethostname()} {pid} {_process_start(pid)}"


def _process_start(pid: int) -> str:
    """When a process started, in clock ticks since the machine did; "dead", or "?" where that cannot be told."""
    if not Path("/proc/self/stat").exists():
        return "?" if os.name != "posix" or _process_exists(pid) else "dead"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "dead"
    fields = stat.rpartition(")")[2].split()  # from the third on: the state, ..., the 22nd is the start
    return "dead" if fields[0] in "ZX" else fields[19]


def _process_exists(pid: int) -> bool:
    """Whether there is a process `pid`, on systems without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
