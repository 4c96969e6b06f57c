"""A lock has one holder, which is named; that of a dead process is free; a folder has one writer at a time."""

import os
import shutil
import subprocess
import sys
import threading
import time

import pytest
from helpers import held_by_another

from wsdl.core.io import WsdlError
from wsdl.core.locks import FOLDER_LOCK, forget_holder, hold_folder, hold_lock, lock_holder, one_writer, was_killed

GREEDY = """
import sys, time, pathlib
from wsdl.core.locks import hold_folder
folder, inside = map(pathlib.Path, sys.argv[1:])
for _ in range(10):
    with hold_folder(folder):
        inside.touch(exist_ok=False)
        time.sleep(0.01)
        inside.unlink()
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("wsdl.core.locks.PATIENCE", 0.05)
    monkeypatch.setattr("wsdl.core.locks.PAUSE", 0.01)


def test_a_lock_is_held_within_the_block_alone(tmp_path):
    lock = tmp_path / "new" / "lock"
    with hold_lock(lock):
        assert lock_holder(lock).startswith(f"process {os.getpid()} on ")
        with pytest.raises(WsdlError, match=f"process {os.getpid()}"), hold_lock(lock):
            pass
        assert lock_holder(lock)  # the one that was refused has not released it
    assert lock_holder(lock) is None
    assert not was_killed(lock)


def test_it_is_released_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path / "lock"):
        _ = 1 / 0
    assert lock_holder(tmp_path / "lock") is None


def test_another_process_is_named_and_its_end_is_noticed(tmp_path):
    lock = tmp_path / "lock"
    with held_by_another(lock) as process:
        with pytest.raises(WsdlError, match=f"is held by process {process.pid} on "), hold_lock(lock):
            pass
        assert not was_killed(lock)
    assert lock_holder(lock) is None
    assert was_killed(lock)
    forget_holder(lock)
    assert not was_killed(lock)


def test_waiting_is_announced_and_ends_when_the_lock_is_free(tmp_path, capsys):
    with held_by_another(tmp_path / FOLDER_LOCK) as process:
        threading.Timer(0.3, process.kill).start()
        start = time.monotonic()
        with hold_folder(tmp_path):
            assert time.monotonic() - start > 0.25
    waiting = f"{tmp_path}: waiting for process {process.pid} on "
    assert capsys.readouterr().err.startswith(waiting)


def test_of_many_that_wait_one_at_a_time_gets_it(tmp_path):
    folder, inside = tmp_path / "out", tmp_path / "inside"
    children = [subprocess.Popen([sys.executable, "-c", GREEDY, str(folder), str(inside)]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0] * 3


def test_a_writer_that_fails_before_it_writes_leaves_no_folder(tmp_path):
    @one_writer("out")
    def write(out, names=()):
        for name in names:
            (out / name).touch()
        raise WsdlError("no")

    for names in ((), ("a",)):
        with pytest.raises(WsdlError, match="no"):
            write(tmp_path / "out", names=names)
        assert (tmp_path / "out").exists() == bool(names)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WsdlError, match="file"), hold_folder(tmp_path / "file"):
        pass


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir(mode=0o555)
    with pytest.raises(WsdlError, match=r"out.* cannot be written"), hold_folder(folder):
        pass


def test_one_training_in_several_processes_is_one_writer(tmp_path, monkeypatch):
    """As under torchrun: the others do not wait for the first."""
    monkeypatch.setenv("RANK", "1")
    with held_by_another(tmp_path / FOLDER_LOCK), hold_folder(tmp_path):
        pass


def test_the_holder_of_a_folder_may_delete_it(tmp_path):
    with hold_folder(tmp_path / "out"):
        shutil.rmtree(tmp_path / "out")
