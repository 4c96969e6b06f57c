"""What tests do over and over: compare folders, run commands, wait, kill a process."""

import multiprocessing
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.leftovers import temporary_name

HOLDER = """
import sys, time
from wsdl.core.locks import hold_lock
with hold_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""
LOCKS = (".lock", ".manifest.lock")  # empty files, which stay after use


def tree(folder: Path) -> dict[str, bytes]:
    """The bytes of every file under `folder`, but for locks and the cache of decoded pictures."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file() and path.name not in LOCKS}
    return {str(name): path.read_bytes() for name, path in files.items() if ".cache" not in name.parts}


def left_by_the_dead(path: Path) -> Path:
    """The temporary name of `path` by a process of this host that is dead: the id is alive, its start is another."""
    return path.with_name(re.sub(r"-(\d+|x)\.part$", "-1.part", temporary_name(path.name)))


@contextmanager
def held_by_another(lock: Path):
    """Within the block another process holds `lock`; yields that process."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def run_command(*words) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def images_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def kill_when(process: multiprocessing.Process, reached) -> None:
    """Start `process` and send SIGKILL as soon as reached() is true."""
    process.start()
    deadline = time.monotonic() + 600  # only against waiting for ever: a busy machine may take minutes
    while process.is_alive() and not reached() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -9, "it ended before it could be killed"
    assert reached()


def wait_until(true, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)
