"""Run commands in child processes, which fork from one that has imported the slow libraries."""

import multiprocessing
import sys
from pathlib import Path

from helpers import tree

VARYING = ("run.json", "trainer.pt")  # seconds; a checkpoint, saved again by a second call
LOGS = ".log"  # of child processes: times and paths
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["wsdl.training.detector", "wsdl.generators.write_fakes", "wsdl.demo"])


def run_main(command: str, messages: Path, stand_ins: bool = False) -> None:
    """`python -m wsdl COMMAND` in this process; what it writes to stderr goes to the file `messages`.

    stand_ins: without lessons and report, which take minutes.
    """
    import wsdl.demo
    from wsdl.__main__ import main

    if stand_ins:
        wsdl.demo.run_lessons = lambda study: True
        wsdl.demo.build_site = lambda runs, out: out / "index.html"
    sys.argv = ["wsdl", *command.split()]
    with messages.open("w", encoding="utf-8") as sys.stderr:
        main()


def compared(folder: Path) -> dict[str, bytes]:
    """The files of `folder` that must be the same however often the command was called."""
    files = {name: content for name, content in tree(folder).items() if Path(name).name not in VARYING}
    return {name: content for name, content in files.items() if not name.endswith(LOGS)}
