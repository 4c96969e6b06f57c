"""The cache: an archive is unpacked completely or not at all, and once."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from factories_bundle import rewrite_archive
from helpers import images_in, left_by_the_dead

from wsdl.bundle import unpack as unpacking
from wsdl.bundle.unpack import copy_dataset, unpack_dataset, unpack_p2
from wsdl.core.io import WsdlError, sha256
from wsdl.core.leftovers import FORGOTTEN, temporary_name
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import write_manifest

ROOT = Path(__file__).parents[2]


def folders(cache: Path) -> list[str]:
    """The names of the folders in the cache, temporary ones included."""
    return sorted(path.name for path in cache.glob("*/*"))


def test_an_archive_is_unpacked_once_to_its_own_folder(archive, tmp_path, monkeypatch):
    found = unpack_dataset("studio", archive, tmp_path / "c")
    run = unpack_p2("studio", archive, tmp_path / "c")
    assert found.parent.name == run.parent.name == f"studio-{sha256(archive)[:16]}"
    monkeypatch.setattr(unpacking, "_write_dataset", None)  # a second call has nothing to write
    assert unpack_dataset("studio", archive, tmp_path / "c") == found
    assert unpack_p2("studio", archive, tmp_path / "c") == run
    monkeypatch.undo()
    other = rewrite_archive(archive, tmp_path / "b.zip", manifest=lambda about: about.update(command="another"))
    assert unpack_dataset("studio", other, tmp_path / "c").parent.name == f"studio-{sha256(other)[:16]}"
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_the_location_of_the_cache(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("WSDL_CACHE", str(tmp_path / "mine"))
    assert tmp_path / "mine" in unpack_p2("studio", archive).parents
    monkeypatch.delenv("WSDL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert tmp_path / "xdg" / "wsdl" in unpack_p2("studio", archive).parents


def test_an_error_while_unpacking_leaves_no_folder(archive, free, tmp_path, monkeypatch):
    write, written = unpacking.write_image, []

    def full_disk(path, pixels):
        if len(written) == 10:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, pixels)

    monkeypatch.setattr(unpacking, "write_image", full_disk)
    with pytest.raises(WsdlError, match="No space left on device"):
        unpack_dataset("studio", archive, tmp_path)
    assert len(written) == 10
    assert folders(tmp_path) == []
    monkeypatch.undo()
    assert images_in(unpack_dataset("studio", archive, tmp_path)) == images_in(free)


KILLED = """
import sys, time
from wsdl.bundle import unpack as module
write, written = module.write_image, []
def slow(path, pixels):
    write(path, pixels)
    written.append(path)
    if len(written) == 10:
        print("ten", flush=True)
    if len(written) >= 10:
        time.sleep(60)
module.write_image = slow
module.unpack_dataset("studio", sys.argv[1], sys.argv[2])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_after_a_kill_the_next_call_unpacks(archive, free, tmp_path):
    words = [sys.executable, "-c", KILLED, str(archive), str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ten\n"
        child.send_signal(signal.SIGKILL)
    (left,) = tmp_path.glob("*/*")
    assert left.name.startswith(".data.")  # no folder that a reader would take for the dataset
    found = unpack_dataset("studio", archive, tmp_path)
    assert images_in(found) == images_in(free)
    assert folders(tmp_path) == ["data"]


def test_what_the_dead_left_is_deleted_and_nothing_of_the_living(archive, tmp_path):
    other = tmp_path / "snapshot-0123"
    of_dead, of_living = left_by_the_dead(other / "data"), other / temporary_name("data")
    of_elsewhere, of_earlier = other / ".data.000000-1-2.part", other / ".data.0123456789abcdef0123456789abcdef.part"
    for folder in (of_dead, of_living, of_elsewhere, of_earlier):
        folder.mkdir(parents=True)
    unpack_p2("studio", archive, tmp_path)
    assert not of_dead.exists()
    assert of_living.exists()
    assert of_elsewhere.exists()
    assert of_earlier.exists()
    for folder in (of_elsewhere, of_earlier):
        os.utime(folder, (0, time.time() - FORGOTTEN - 60))
    unpack_p2("studio", archive, tmp_path)  # although it is there already
    assert sorted(other.iterdir()) == [of_living]


def test_of_two_processes_the_later_uses_the_folder_of_the_earlier(archive, free, tmp_path, monkeypatch):
    write = unpacking._write_dataset

    def slow(*words):
        write(*words)
        monkeypatch.setattr(unpacking, "_write_dataset", write)
        (unpack_dataset("studio", archive, tmp_path) / "first").touch()  # another process overtakes this one

    monkeypatch.setattr(unpacking, "_write_dataset", slow)
    found = unpack_dataset("studio", archive, tmp_path)
    assert (found / "first").exists()
    assert folders(tmp_path) == ["data"]
    assert images_in(found) == images_in(free)


def test_a_copy_can_exclude_the_fakes(archive, free, tmp_path):
    copy_dataset(tmp_path / "mine", "studio", fakes=False, archive=archive, cache=tmp_path / "cache")
    copied, packed = Dataset(tmp_path / "mine"), Dataset(free).select("real")
    assert copied.table.path.tolist() == packed.path.tolist()
    assert not (tmp_path / "mine" / "fake").exists()
    assert check_dataset(tmp_path / "mine") == []


def test_a_copy_can_grow_and_is_not_overwritten(archive, tmp_path):
    out, cache = tmp_path / "out", tmp_path / "cache"
    out.mkdir()
    copy_dataset(out, "studio", archive=archive, cache=cache)
    data = Dataset(out)
    assert data.images.shape == (48, 32, 32, 3)
    extra = data.table.iloc[[0]].assign(path="real/train/extra.png")
    shutil.copy(out / data.table.path[0], out / "real/train/extra.png")
    write_manifest(out, pd.concat([data.table, extra]), data.info)
    copy_dataset(out, "studio", archive=archive, cache=cache)
    assert len(Dataset(out).table) == 49
    write_manifest(out, Dataset(out).table.iloc[:5], data.info)
    with pytest.raises(WsdlError, match=r"something else.*--out"):
        copy_dataset(out, "studio", archive=archive, cache=cache)
    assert len(Dataset(unpack_dataset("studio", archive, cache)).table) == 48
