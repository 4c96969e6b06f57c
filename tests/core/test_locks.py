"""A lock has one holder; that of a dead process is taken over, that of another machine is not."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from wsdl.core.io import WsdlError
from wsdl.core.locks import hold_lock, lock_holder, process_signature

GREEDY = """
import sys, time, pathlib
from wsdl.core.locks import hold_lock
lock, inside = map(pathlib.Path, sys.argv[1:])
for _ in range(10):
    with hold_lock(lock, wait=True):
        inside.touch(exist_ok=False)
        time.sleep(0.01)
        inside.unlink()
"""


def dead_signature() -> str:
    """The signature of a process that has lived and died."""
    process = subprocess.Popen(["sleep", "30"])
    signature = process_signature(process.pid)
    process.kill()
    process.wait()
    return signature


def test_a_lock_is_held_within_the_block_alone(tmp_path):
    lock = tmp_path / "new" / "lock"
    with hold_lock(lock):
        assert str(os.getpid()) in lock_holder(lock)
        with pytest.raises(WsdlError, match=f"process {os.getpid()}"), hold_lock(lock):
            pass
        assert lock_holder(lock)  # the one that was refused has not removed it
    assert not lock.exists()


def test_it_is_released_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path / "lock"):
        _ = 1 / 0
    assert lock_holder(tmp_path / "lock") is None


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text(dead_signature())
    assert lock_holder(lock) is None
    with hold_lock(lock):
        assert lock.read_text() == process_signature(os.getpid())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="this system has no /proc")
def test_a_reused_process_id_is_not_the_holder(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text(f"{socket.gethostname()} {os.getpid()} 1")
    assert lock_holder(lock) is None


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="this system has no /proc")
def test_a_process_that_ended_unread_is_dead(tmp_path):
    process = subprocess.Popen(["sleep", "0.2"])
    (tmp_path / "lock").write_text(process_signature(process.pid))
    assert lock_holder(tmp_path / "lock")
    time.sleep(0.6)  # it has ended, but nobody has asked how: a zombie
    assert lock_holder(tmp_path / "lock") is None
    process.wait()


def test_another_machines_lock_counts(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("elsewhere 1 2")
    with pytest.raises(WsdlError, match="process 1 on elsewhere"), hold_lock(lock):
        pass


def test_an_unsigned_lock_counts_only_while_it_is_young(tmp_path):
    lock = tmp_path / "lock"
    lock.touch()
    assert lock_holder(lock) == "a process that is just starting"
    os.utime(lock, (time.time() - 60, time.time() - 60))
    assert lock_holder(lock) is None


def test_waiting_ends_when_the_lock_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr("wsdl.core.locks.PAUSE", 0.01)
    lock = tmp_path / "lock"
    lock.write_text(process_signature(os.getpid()))
    threading.Timer(0.2, lock.unlink).start()
    start = time.monotonic()
    with hold_lock(lock, wait=True):
        assert time.monotonic() - start > 0.15


def test_of_many_that_take_over_one_gets_it(tmp_path):
    lock, inside = tmp_path / "lock", tmp_path / "inside"
    lock.write_text(dead_signature())
    children = [subprocess.Popen([sys.executable, "-c", GREEDY, str(lock), str(inside)]) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert list(tmp_path.iterdir()) == []
