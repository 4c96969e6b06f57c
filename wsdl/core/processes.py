"""Child processes: each writes a log, and all end together with the process that started them."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path


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


def kill_children(children: Iterable[subprocess.Popen]) -> None:
    """Kill the children and wait for their end; trainings resume from the last checkpoint later."""
    children = list(children)
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
