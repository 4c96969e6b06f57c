"""Which process is which: host, process id and start time, and whether it is still alive."""

import os
import socket
from pathlib import Path


def process_signature(pid: int) -> str:
    """Host, process id and start time: process ids are reused, so an id alone does not identify a process."""
    return f"{socket.gethostname()} {pid} {process_start(pid)}"


def process_start(pid: int) -> str:
    """Start time of a process in clock ticks since boot; "dead", or "?" on systems without /proc."""
    if not Path("/proc/self/stat").exists():
        return "?" if os.name != "posix" or _process_exists(pid) else "dead"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "dead"
    fields = stat.rpartition(")")[2].split()  # fields 3 (state) to 22 (start time) and on of proc(5)
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
