"""A command that is killed and started again, several times, ends in the files of one that was left alone.

It is killed when it puts a file in its place: right before, with a half-written file on the disk, or right after.
"""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from children import CONTEXT, compared, run_main
from factories import TINY_PROFILE

from wsdl.core.io import seed_for, write_json

COMMANDS = {
    "prepare": "data prepare --images {images} --masks {masks} --size 32 --source made-up --out {out}",
    "generate": "generate p2 --weights {p2} --count 12 --steps 2 --batch 4 --out {out}",
    "match": "data match {data} --out {out}",
}
SLOW_COMMANDS = {
    "train": "train --setup c --data {data} --profile {profile} --out {out}",
    "train-generator": "train-generator p2 --data {data} --profile {profile} --out {out}",
    "train-parser": "train-parser --data {data} --images 64 --out {out}",
    "demo": "demo --source made-up --profile {profile} --out {out}",
}
KILLS = 3  # of each command


def run_and_kill(command: str, messages: Path, at: int, before: bool, counted: Path) -> None:
    """`run_main`, killed at the rename number `at` of the process (0: never); their number is written to `counted`."""
    replace, renames = os.replace, []

    def replace_or_die(source, target) -> None:
        renames.append(target)
        if len(renames) == at and before:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if len(renames) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace_or_die
    try:
        run_main(command, messages, stand_ins=True)
    finally:
        counted.write_text(str(len(renames)))


def run_child(place: Path, command: str, at: int = 0, before: bool = False) -> int:
    """Run the command in a child and kill it there; return how often it renamed a file, 0 where it was killed."""
    log, counted = place / "stderr.log", place / "renames"
    counted.unlink(missing_ok=True)
    process = CONTEXT.Process(target=run_and_kill, args=(command, log, at, before, counted))
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return 0
    assert process.exitcode == 0, log.read_text()
    return int(counted.read_text())


@pytest.mark.parametrize("name", [*COMMANDS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_COMMANDS)])
def test_a_killed_command_ends_in_the_same_files(name, made_up, dataset, p2, tmp_path):
    write_json(tmp_path / "tiny.json", TINY_PROFILE)
    paths = {"images": made_up[0], "masks": made_up[1], "data": dataset, "p2": p2, "profile": tmp_path / "tiny.json"}
    command = (COMMANDS | SLOW_COMMANDS)[name]
    renames = run_child(tmp_path, command.format(**paths, out=tmp_path / "whole"))
    rng = np.random.default_rng(seed_for("kills", name))
    killed = command.format(**paths, out=tmp_path / "killed")
    for number in range(KILLS):  # a later call has less left to do
        at = rng.integers(1, max(2, renames // (number + 1)))
        ended = run_child(tmp_path, killed, int(at), before=bool(rng.integers(2)))
        assert number or not ended, "it was not killed"
    run_child(tmp_path, killed)
    assert compared(tmp_path / "killed") == compared(tmp_path / "whole")
