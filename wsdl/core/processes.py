"""Child processes: each writes a log, and all end together with the process that started them."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from wsdl.core.device import pick_device

PAUSE = 0.3  # seconds between checks of the children


def child_slots() -> int:
    """The number of children that run at a time: the CPU cores of this process, or 1 with a GPU."""
    if pick_device().type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_children(commands: dict[str, list[str]], logs: Path, watch: Callable[[int], None]) -> dict[str, str]:
    """Run `commands`, name -> words after `python -m wsdl`, in `child_slots` children; return name -> why it failed.

    On a CPU each child has one thread. Each appends its output to logs/NAME.log. watch: called with the number of
    children that have ended, several times a second.
    """
    slots = child_slots()
    threads = {"OMP_NUM_THREADS": "1"} if pick_device().type == "cpu" else {}
    waiting, busy, failed = list(commands), {}, {}
    try:
        while waiting or busy:
            while waiting and len(busy) < slots:
                name = waiting.pop(0)
                command = [sys.executable, "-m", "wsdl", *commands[name]]
                mark = f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {shlex.join(command)}"
                busy[name] = start_child([*command, f"--parent={os.getpid()}"], logs / f"{name}.log", threads, mark)
            for name in [name for name, child in busy.items() if child.poll() is not None]:
                if code := busy.pop(name).returncode:
                    failed[name] = failure_reason(logs / f"{name}.log", code)
            watch(len(commands) - len(waiting) - len(busy))
            time.sleep(PAUSE)
    finally:
        kill_children(list(busy.values()))
    return failed


def start_child(command: list[str], log: Path, environment: dict[str, str], first_line: str) -> subprocess.Popen:
    """Start `command`; its output is appended to `log`, after `first_line`. environment: in addition to our own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{first_line}\n")
        file.flush()
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the children
        )


def kill_children(children: list[subprocess.Popen]) -> None:
    """Kill the children and wait for their end; trainings resume from the last checkpoint later."""
    for child in children:
        child.kill()
    for child in children:
        child.wait()


def failure_reason(log: Path, code: int) -> str:
    """The last line of the log of a child that failed; if a signal killed it, that is added to the log first.

    code: what the child returned; a negative number is that of a signal.
    """
    if code < 0:
        with open(log, "a", encoding="utf-8") as file:
            out_of_memory = "; was there too little memory?" if code == -signal.SIGKILL else ""
            file.write(f"\nkilled by {signal.Signals(-code).name}{out_of_memory}\n")
    return last_log_line(log)


def last_log_line(log: Path) -> str:
    """The last line of a log, without a progress bar before an error message."""
    lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace").strip())
    return lines[-1][max(0, lines[-1].find("wsdl: ")) :].strip()


def exit_with_parent(parent: int) -> None:
    """End this process within a second after the process `parent` has ended (not on Windows)."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
