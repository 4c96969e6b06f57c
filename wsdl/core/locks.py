"""Locks: one process at a time writes into a folder. The system releases the lock of a process that ends, however.

The locked file is empty and stays, as waiting processes share it. A file NAME.by beside it names the holder; it is
deleted when the lock is released, so one without a holder is that of a killed process.
"""

import os
import socket
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import wraps
from inspect import signature
from pathlib import Path

from filelock import FileLock, Timeout

from wsdl.core.io import WsdlError, unwritable
from wsdl.core.leftovers import delete_leftovers
from wsdl.core.progress import print_stderr

FOLDER_LOCK = ".lock"  # in a folder that one command at a time writes into
PAUSE = 0.1  # seconds between tries
PATIENCE = 1.0  # seconds without success after which a lock counts as held: `lock_holder` takes it for an instant


def one_writer(parameter: str) -> Callable:
    """Decorate a function that writes into the folder named by its argument `parameter`, for `hold_folder`."""

    def decorate(work: Callable) -> Callable:
        arguments = signature(work)

        @wraps(work)
        def held(*args, **kwargs):
            with hold_folder(arguments.bind(*args, **kwargs).arguments[parameter]):
                return work(*args, **kwargs)

        return held

    return decorate


@contextmanager
def hold_folder(folder: Path):
    """Hold `folder`, into which one command at a time writes, within the block; waits for the one that holds it.

    What killed processes left half written in it is deleted first. A block that fails before it has written anything
    leaves no folder. Of the processes of one training (torchrun) the first holds it for all.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    folder = Path(folder)
    with hold_lock(folder / FOLDER_LOCK, wait=True):
        delete_leftovers(folder)
        try:
            yield
        finally:
            _delete_unused(folder)


def _delete_unused(folder: Path) -> None:
    """Delete `folder` where it holds nothing but its lock, which the caller holds."""
    with suppress(OSError):
        files = list(folder.iterdir())
        if all(path.name.startswith(FOLDER_LOCK) for path in files):
            for path in files:
                path.unlink()
            folder.rmdir()


@contextmanager
def hold_lock(path: Path, wait: bool = False):
    """Hold the lock `path` within the block. Where another process holds it: wait for it, or raise WsdlError.

    WsdlError also where the file cannot be written.
    """
    path = Path(path)
    lock = FileLock(path)
    _acquire(lock, path, wait)
    try:
        with suppress(OSError):  # it is held all the same
            _note(path).write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        forget_holder(path)
        lock.release()


def _acquire(lock: FileLock, path: Path, wait: bool) -> None:
    what, patience = path.parent if path.name == FOLDER_LOCK else path, PATIENCE
    while not lock.is_locked:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=patience, poll_interval=PAUSE)
        except Timeout:
            if not wait:
                raise WsdlError(f"{what}: is held by {_holder_name(path)}; wait until it has ended.") from None
            print_stderr(f"{what}: waiting for {_holder_name(path)}, which writes there.")
            patience = -1
        except FileNotFoundError:  # the holder has just deleted the folder, which it did not need
            continue
        except OSError as error:
            raise unwritable(path, error) from error


def lock_holder(path: Path) -> str | None:
    """The holder of the lock `path`, as "process PID on HOST"; None where no living process holds it."""
    path = Path(path)
    if not path.exists():
        return None
    try:
        with FileLock(path).acquire(timeout=0):
            return None
    except Timeout:
        return _holder_name(path)
    except OSError:  # the lock of another user, which cannot be tried
        return _holder_name(path) if _note(path).exists() else None


def was_killed(path: Path) -> bool:
    """Whether the last holder of the lock `path` ended without releasing it."""
    return _note(path).exists() and not lock_holder(path)


def forget_holder(path: Path) -> None:
    """Delete the note of who holds the lock `path`, or held it last."""
    with suppress(OSError):
        _note(path).unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.by")


def _holder_name(path: Path) -> str:
    try:
        return _note(path).read_text(encoding="utf-8") or "another process"
    except (OSError, UnicodeDecodeError):  # it has just begun, or just ended
        return "another process"
