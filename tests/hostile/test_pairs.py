"""Two commands at once in one folder: both succeed, and the files are those of one command alone."""

import json
import shutil
from pathlib import Path

import pytest
from children import CONTEXT, compared, run_main
from factories import TINY_PROFILE
from helpers import held_by_another, run_command
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core import locks
from wsdl.core.io import write_json

SAME_TIME = 120  # seconds within which both must have begun


def run_with_others(command: str, begin, messages: Path, stand_ins: bool) -> None:
    """`run_main` as soon as every other process is ready, too."""
    begin.wait(SAME_TIME)
    run_main(command, messages, stand_ins)


def run_at_once(place: Path, *commands: str, stand_ins: bool = False) -> list[str]:
    """Run the commands at the same time; return what each wrote to stderr, having ended with exit code 0."""
    begin = CONTEXT.Barrier(len(commands))
    logs = [place / f"{number}.log" for number in range(len(commands))]
    processes = [
        CONTEXT.Process(target=run_with_others, args=(command, begin, log, stand_ins))
        for command, log in zip(commands, logs, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    texts = [log.read_text(encoding="utf-8") for log in logs]
    assert [process.exitcode for process in processes] == [0] * len(commands), texts
    return texts


@pytest.fixture
def profile(tmp_path) -> Path:
    write_json(tmp_path / "tiny.json", TINY_PROFILE)
    return tmp_path / "tiny.json"


def test_two_prepare(made_up, tmp_path):
    images, masks = made_up
    command = f"data prepare --images {images} --masks {masks} --size 32 --source made-up --out {tmp_path}"
    run_at_once(tmp_path, f"{command}/twice", f"{command}/twice")
    run_command(*f"{command}/once".split())
    assert compared(tmp_path / "twice") == compared(tmp_path / "once")


def test_two_train(dataset, profile, tmp_path):
    command = f"train --setup c --data {dataset} --profile {profile} --out {tmp_path}"
    run_at_once(tmp_path, f"{command}/twice", f"{command}/twice")
    run_command(*f"{command}/once".split())
    assert compared(tmp_path / "twice") == compared(tmp_path / "once")


def test_two_generate(p2, tmp_path):
    command = f"generate p2 --weights {p2} --count 24 --steps 3 --batch 4 --out {tmp_path}"
    run_at_once(tmp_path, f"{command}/twice", f"{command}/twice")
    run_command(*f"{command}/once".split())
    assert compared(tmp_path / "twice") == compared(tmp_path / "once")


def test_full_and_partial_generate_of_one_dataset(faces, p2, tmp_path):
    """They do not wait for each other, and neither deletes what the other is writing."""
    full = f"generate p2 --weights {p2} --count 24 --steps 3 --batch 4"
    partial = f"generate repaint-p2 --weights {p2} --count 24 --T 4 --jump-length 1 --resamplings 1 --batch 4"
    for name in ("twice", "once"):
        shutil.copytree(faces, tmp_path / name)
    at_once = [f"{command} --out {tmp_path}/twice" for command in (full, partial)]
    texts = run_at_once(tmp_path, *at_once)
    assert not any("waiting for" in text for text in texts)
    for command in (full, partial):
        run_command(*f"{command} --out {tmp_path}/once".split())
    twice, once = compared(tmp_path / "twice"), compared(tmp_path / "once")
    for entries in (twice, once):  # in the order in which they ended
        info = json.loads(entries.pop("dataset.json"))
        entries["made_by"] = sorted(map(str, info["made_by"] if isinstance(info["made_by"], list) else []))
    assert twice == once


def test_two_evaluate(dataset, run_folder, tmp_path):
    for name in ("twice", "once"):
        shutil.copytree(run_folder, tmp_path / name)
    command = f"evaluate --data {dataset} {tmp_path}"
    run_at_once(tmp_path, f"{command}/twice", f"{command}/twice")
    run_command(*f"{command}/once".split())
    assert compared(tmp_path / "twice") == compared(tmp_path / "once")


@pytest.mark.slow
def test_two_demo(profile, tmp_path):
    command = f"demo --source made-up --profile {profile} --out {tmp_path}"
    run_at_once(tmp_path, f"{command}/twice", f"{command}/twice", stand_ins=True)
    run_at_once(tmp_path, f"{command}/once", stand_ins=True)
    assert compared(tmp_path / "twice") == compared(tmp_path / "once")


@pytest.mark.parametrize(
    "command",
    [
        "data prepare --images {images} --masks {masks} --size 32 --out {out}",
        "train --setup c --data {data} --profile {profile} --out {out}",
        "train-generator p2 --data {data} --profile {profile} --out {out}",
        "train-parser --data {data} --images 8 --out {out}",
        "data match {data} --out {out}",
        "data parse --images {images} --out {out}",
        "evaluate {run} --data {data}",
        "demo --source made-up --profile {profile} --out {out}",
        "notebooks run --source made-up --profile {profile} --out {out}",
    ],
)
def test_the_second_says_who_holds_the_folder(command, made_up, dataset, run_folder, profile, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    if "{run}" in command:
        shutil.copytree(run_folder, tmp_path / "out")
    paths = {"images": made_up[0], "masks": made_up[1], "data": dataset, "profile": profile, "out": tmp_path / "out",
             "run": tmp_path / "out"}  # fmt: skip
    with held_by_another(tmp_path / "out" / locks.FOLDER_LOCK) as other:
        monkeypatch.setattr(locks.FileLock, "acquire", stop_waiting(locks.FileLock.acquire))
        output = CliRunner().invoke(app, command.format(**paths).split()).output
        assert f"{tmp_path / 'out'}: waiting for process {other.pid} on " in output


def stop_waiting(acquire):
    """`acquire`, interrupted where it would wait for ever."""

    def acquired(self, timeout=None, **more):
        if timeout == -1:
            raise KeyboardInterrupt
        return acquire(self, timeout=timeout, **more)

    return acquired
