"""Child processes: how many run at a time, what each may use, and how the end of one is reported."""

import os
import subprocess
import sys

import pytest

from wsdl.core import processes
from wsdl.core.processes import child_slots, failure_reason, run_children

SLEEP = [sys.executable, "-c", "import time; time.sleep(0.4)"]


@pytest.fixture
def children(monkeypatch) -> list:
    """Children that sleep in place of commands: (command, environment, how many are alive) of each."""
    begun, alive = [], []

    def pretend(command, log, environment, first_line):
        alive[:] = [child for child in alive if child.poll() is None]
        alive.append(subprocess.Popen(SLEEP))
        begun.append((command, environment, len(alive)))
        return alive[-1]

    monkeypatch.setattr(processes, "start_child", pretend)
    return begun


@pytest.mark.parametrize("slots", [1, 2])
def test_no_more_run_at_a_time_than_there_are_slots(children, monkeypatch, tmp_path, slots):
    monkeypatch.setattr(processes, "child_slots", lambda: slots)
    ended = []
    assert run_children({name: ["faces", "--help"] for name in "abcd"}, tmp_path, ended.append) == {}
    assert max(alive for *_, alive in children) == slots
    assert len(children) == 4
    assert ended == sorted(ended)
    assert ended[-1] == 4


def test_a_child_has_one_thread_and_knows_its_parent(children, tmp_path):
    run_children({"a": ["faces", "--help"]}, tmp_path, lambda _: None)
    ((command, environment, _),) = children
    assert command == [sys.executable, "-m", "wsdl", "faces", "--help", f"--parent={os.getpid()}"]
    assert environment == {"OMP_NUM_THREADS": "1"}


def test_one_that_fails_does_not_stop_the_others(tmp_path):
    """The reason is the last line of its log; a second call appends to it."""
    wrong = {"good": ["train", "--help"], "bad": ["train", "--setup=d", "--data=none", f"--out={tmp_path / 'run'}"]}
    for calls in (1, 2):
        failed = run_children(wrong, tmp_path / "logs", lambda _: None)
        assert list(failed) == ["bad"]
        assert failed["bad"].startswith("wsdl: ")
        log = (tmp_path / "logs/bad.log").read_text(encoding="utf-8")
        assert log.count("--setup=d") == calls
        assert "Usage" in (tmp_path / "logs/good.log").read_text(encoding="utf-8")


def test_a_killed_child_says_which_signal(monkeypatch, tmp_path):
    start = processes.start_child

    def kill(*arguments):
        child = start(*arguments)
        child.kill()
        return child

    monkeypatch.setattr(processes, "start_child", kill)
    failed = run_children({"a": ["train", "--help"]}, tmp_path, lambda _: None)
    assert failed == {"a": "killed by SIGKILL; was there too little memory?"}
    assert failure_reason(tmp_path / "a.log", -15) == "killed by SIGTERM"


def test_children_end_where_the_caller_is_interrupted(monkeypatch, tmp_path):
    begun = []
    monkeypatch.setattr(processes, "start_child", lambda *_: begun.append(subprocess.Popen([*SLEEP[:2], "input()"],
                                                                                           stdin=subprocess.PIPE))
                        or begun[-1])  # fmt: skip

    def interrupt(ended):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_children({"a": [], "b": []}, tmp_path, interrupt)
    assert all(child.returncode == -9 for child in begun)


def test_a_gpu_runs_one_at_a_time(monkeypatch):
    assert child_slots() >= 1
    monkeypatch.setattr(processes, "pick_device", lambda: type("Device", (), {"type": "cuda"}))
    assert child_slots() == 1
