"""Temporary files and folders: names that identify the process that writes them, and deletion of what the dead left.

Each is called .NAME.HOST-PID-START.part and is renamed to NAME when it is complete. HOST is a hash of the host name.
"""

import hashlib
import os
import re
import shutil
import socket
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

FORGOTTEN = 24 * 3600  # seconds without a change after which the file of another host counts as left behind


def temporary_name(name: str) -> str:
    """The temporary name of what this process writes as `name`, in the same folder."""
    return f".{name}.{_host()}-{os.getpid()}-{_own_start(os.getpid())}.part"


def delete_leftovers(folder: Path, pattern: str = "**/.*.part") -> None:
    """Delete the temporary files and folders below `folder` that no living process owns.

    Those of other hosts, whose processes cannot be seen, and those named by an earlier version are deleted after a day
    without a change. Files with other names are not ours and stay. Does nothing where `folder` cannot be written.
    """
    found: list[Path] = []
    with suppress(OSError):  # another process deletes a folder meanwhile
        found += Path(folder).glob(pattern)
    for path in found:
        with suppress(OSError):  # another process was faster, or the folder is read-only
            if not _is_owned(path):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_owned(path: Path) -> bool:
    """Whether a living process may still write `path`, or it is another program's."""
    owner = re.search(r"\.([0-9a-f]{6})-(\d+)-(\d+|x)\.part$", path.name)
    if not owner and not re.search(r"\.(\d+|[0-9a-f]{32})\.part$", path.name):  # a process id or UUID, earlier
        return True
    if owner and owner[1] == _host() and os.name == "posix":  # Windows cannot tell
        return _start(int(owner[2])) == owner[3]
    return time.time() - path.lstat().st_mtime < FORGOTTEN


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


@cache
def _own_start(pid: int) -> str:
    """Start time of this process. Its id is the key of the cache, because a forked child has another one."""
    return _start(pid)


def _start(pid: int) -> str:
    """Start time of a process in clock ticks since boot; "dead", or "x" on systems without /proc."""
    if not Path("/proc/self/stat").exists():
        return "x" if os.name != "posix" or _process_exists(pid) else "dead"
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
