"""Unpacking the bundle: whole or not at all, once, and nothing outside its folder, whatever the archive holds."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pandas as pd
import pytest
from test_bundle import declare_cc0, finished_run, pictures

from wsdl.bundle import unpack as unpacking
from wsdl.bundle.pack import pack
from wsdl.bundle.unpack import copy_to, unpack, weights
from wsdl.data.layout import Dataset, write_manifest
from wsdl.files import WsdlError, sha256
from wsdl.fit import MODEL

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def free(dataset, tmp_path_factory) -> Path:
    """`dataset`, declared CC0. Tests must not modify it."""
    return declare_cc0(Path(shutil.copytree(dataset, tmp_path_factory.mktemp("free") / "data")))


@pytest.fixture(scope="module")
def archive(free, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    pack({"studio": free}, {"studio": finished_run(folder / "p2")}, folder / "bundle.zip")
    return folder / "bundle.zip"


def folders(cache: Path) -> list[str]:
    """What lies in the cache, leftovers included, without the archive's name."""
    return sorted(str(path.relative_to(path.parents[1])) for path in cache.glob("*/*/*"))


# --- damaged archives, and those of strangers ---------------------------------------------------------------------


def rewrite(archive: Path, out: Path, change=None, manifest=None, zipinfo=None) -> Path:
    """A copy of `archive` with its members changed by change(dict) and its manifest by manifest(dict)."""
    with ZipFile(archive) as bundle:
        members = {name: bundle.read(name) for name in bundle.namelist()}
    about = json.loads(members["manifest.json"])
    if manifest:
        manifest(about)
        members["manifest.json"] = json.dumps(about).encode()
    if change:
        change(members)
    with ZipFile(out, "w") as bundle:
        for name, data in members.items():
            info = ZipInfo(name)
            if zipinfo:
                zipinfo(info)
            bundle.writestr(info, data)
    return out


def first(members, start: str) -> str:
    return next(name for name in members if name.startswith(start))


def refuses(archive: Path, cache: Path, sentence: str, call=unpack) -> None:
    with pytest.raises(WsdlError, match=sentence) as caught:
        call("studio", archive, cache)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*/*/*"))  # nothing half there


def test_a_missing_archive_is_said_in_one_sentence(tmp_path):
    sentence = r"nowhere\.zip: is missing, so there are no bundled faces; the source photos needs no bundle\.$"
    refuses(tmp_path / "nowhere.zip", tmp_path, sentence)
    refuses(tmp_path / "nowhere.zip", tmp_path, sentence, weights)


def test_a_picture_that_was_changed_is_refused(archive, tmp_path):
    def swap(members: dict) -> None:
        one, other = [name for name in members if name.startswith("studio/real/train/")][:2]
        members[one] = members[other]

    refuses(rewrite(archive, tmp_path / "b.zip", swap), tmp_path / "c", r"real/train/\S+ is not the file that its mani")


@pytest.mark.parametrize(("start", "call"), [("studio/fake/p2", unpack), (f"studio/p2/{MODEL}", weights)])
def test_one_flipped_bit_is_refused(archive, tmp_path, start, call):
    data = bytearray(archive.read_bytes())
    with ZipFile(archive) as bundle:
        member = bundle.getinfo(first(bundle.namelist(), start))
    data[member.header_offset + 30 + len(member.filename) + 10] ^= 1
    (tmp_path / "b.zip").write_bytes(data)
    refuses(tmp_path / "b.zip", tmp_path / "c", f"b.zip: is damaged or no bundle .*{start}", call)


@pytest.mark.parametrize("keep", [0, 100, 0.5, -10])
def test_a_truncated_archive_is_refused(archive, tmp_path, keep):
    data = archive.read_bytes()
    (tmp_path / "b.zip").write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refuses(tmp_path / "b.zip", tmp_path / "c", "b.zip: is damaged or no bundle")


@pytest.mark.parametrize("start", ["studio/real", "studio/fake/repaint-p2", "studio/manifest.csv", "manifest.json"])
def test_a_missing_member_is_refused(archive, tmp_path, start):
    changed = rewrite(archive, tmp_path / "b.zip", lambda members: members.pop(first(members, start)))
    refuses(changed, tmp_path / "c", f"There is no item named '{start}")


def test_a_file_that_the_manifest_forgot_is_refused(archive, tmp_path):
    def forget(kind: str):
        def change(about: dict) -> None:
            about["styles"]["studio"]["files"].pop(first(about["styles"]["studio"]["files"], kind))

        return change

    def no_box(about: dict) -> None:
        about["styles"]["studio"]["boxes"].popitem()

    def wrong_box(about: dict) -> None:
        boxes = about["styles"]["studio"]["boxes"]
        boxes |= {path: [31, 31] for path in boxes}

    cache = tmp_path / "c"
    refuses(rewrite(archive, tmp_path / "b.zip", manifest=forget("real")), cache, "is missing from the bundle")
    refuses(rewrite(archive, tmp_path / "b.zip", manifest=forget("fake/re")), cache, "is missing from the bundle")
    refuses(rewrite(archive, tmp_path / "b.zip", manifest=forget("manifest")), cache, "is missing from the bundle")
    refuses(rewrite(archive, tmp_path / "b.zip", manifest=no_box), cache, "no real face or no box")
    refuses(rewrite(archive, tmp_path / "b.zip", manifest=wrong_box), cache, "cannot be composed .*beyond its face")


def test_another_format_or_style_is_refused(archive, tmp_path):
    newer = rewrite(archive, tmp_path / "b.zip", manifest=lambda about: about.update(format=2))
    refuses(newer, tmp_path / "c", r"b.zip: has format 2, but this wsdl reads format 1")
    refuses(newer, tmp_path / "c", r"b.zip: has format 2, but this wsdl reads format 1", weights)
    none = rewrite(archive, tmp_path / "d.zip", manifest=lambda about: about.pop("format"))
    refuses(none, tmp_path / "c", "names no format")
    with pytest.raises(WsdlError, match="has no style 'photos'; it has studio"):
        unpack("photos", archive, tmp_path / "c")


def lead_out(members: dict, where: str, evil: str) -> None:
    """Give one file of the bundle the name `evil`, with a manifest that vouches for it."""
    about = json.loads(members["manifest.json"])
    studio, rows = about["styles"]["studio"], members["studio/manifest.csv"].decode().splitlines()

    def add(name: str, data: bytes) -> None:
        members[f"studio/{name}"], studio["files"][name] = data, hashlib.sha256(data).hexdigest()

    i = next(i for i, row in enumerate(rows) if row.startswith("fake/repaint" if where == "mask" else "real"))
    cells = rows[i].split(",")
    kept = str(Path(cells[0]).with_suffix(".webp"))
    if where == "recipe":
        add(f"{evil}/recipe.json", b"{}")
    elif where == "weights":
        add(f"p2/{evil}", b"")
    elif where == "picture":
        add(str(Path(evil).with_suffix(".webp")), members[f"studio/{kept}"])
        cells[0] = evil
    elif where == "mask":
        cells[1] = evil
    else:  # split: it is a part of the path of the label map
        add(f"components/{evil}/{Path(kept).name}", members["studio/" + kept.replace("real", "components", 1)])
        cells[7] = evil
    rows[i] = ",".join(cells)
    add("manifest.csv", "".join(row + "\n" for row in rows).encode())
    studio["dataset"]["manifest_sha256"] = studio["files"]["manifest.csv"]
    members["manifest.json"] = json.dumps(about).encode()


@pytest.mark.parametrize("where", ["picture", "mask", "split", "recipe", "weights"])
def test_nothing_is_written_outside_the_folder(archive, tmp_path, where):
    names = ["../../evil.png", str(tmp_path / "out/evil.png"), "a/../../../evil.png", "..\\evil.png", "C:evil.png"]
    for evil in names:
        changed = rewrite(archive, tmp_path / "b.zip", lambda members, evil=evil: lead_out(members, where, evil))
        refuses(changed, tmp_path / "c", "is not a name within", weights if where == "weights" else unpack)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("style", ["../studio", "/studio", "..", ""])
def test_a_style_is_a_name(archive, tmp_path, style):
    with pytest.raises(WsdlError, match="is not a name within"):
        unpack(style, archive, tmp_path / "c")


def test_links_compressed_and_oversize_members_are_refused(archive, tmp_path, monkeypatch):
    def link(info: ZipInfo) -> None:
        if "real" in info.filename:
            info.external_attr = 0o120777 << 16

    def deflate(info: ZipInfo) -> None:
        info.compress_type = ZIP_DEFLATED

    refuses(rewrite(archive, tmp_path / "b.zip", zipinfo=link), tmp_path / "c", r"real/\S+ is a link")
    refuses(rewrite(archive, tmp_path / "b.zip", zipinfo=deflate), tmp_path / "c", "is compressed, or larger")
    monkeypatch.setattr(unpacking, "MAX_MEMBER", 20_000)
    refuses(archive, tmp_path / "c", r"p2/model.safetensors is compressed, or larger than 20,000 bytes", weights)


# --- the cache ----------------------------------------------------------------------------------------------------


def test_it_is_unpacked_once_and_each_archive_for_itself(archive, tmp_path, monkeypatch):
    found = unpack("studio", archive, tmp_path / "c")
    run = weights("studio", archive, tmp_path / "c")
    assert found.parent.parent.name == run.parent.parent.name == sha256(archive)[:16]
    monkeypatch.setattr(unpacking, "write_dataset", None)  # a second call has nothing to write
    assert unpack("studio", archive, tmp_path / "c") == found
    assert weights("studio", archive, tmp_path / "c") == run
    monkeypatch.undo()
    other = rewrite(archive, tmp_path / "b.zip", manifest=lambda about: about.update(command="another"))
    assert unpack("studio", other, tmp_path / "c").parent.parent.name == sha256(other)[:16]
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_where_the_cache_is(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("WSDL_CACHE", str(tmp_path / "mine"))
    assert tmp_path / "mine" in weights("studio", archive).parents
    monkeypatch.delenv("WSDL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert tmp_path / "xdg" / "wsdl" in weights("studio", archive).parents


def test_an_error_in_the_middle_leaves_nothing(archive, free, tmp_path, monkeypatch):
    write, written = unpacking.write_picture, []

    def full_disk(path, pixels):
        if len(written) == 10:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, pixels)

    monkeypatch.setattr(unpacking, "write_picture", full_disk)
    with pytest.raises(WsdlError, match=r"cannot be written .No space left on device"):
        unpack("studio", archive, tmp_path)
    assert len(written) == 10
    assert folders(tmp_path) == []
    monkeypatch.undo()
    assert pictures(unpack("studio", archive, tmp_path)) == pictures(free)


KILLED = """
import sys, time
from wsdl.bundle import unpack as module
write, written = module.write_picture, []
def slow(path, pixels):
    write(path, pixels)
    written.append(path)
    if len(written) == 10:
        print("ten", flush=True)
    if len(written) >= 10:
        time.sleep(60)
module.write_picture = slow
module.unpack("studio", sys.argv[1], sys.argv[2])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_killed_in_the_middle_the_next_call_completes(archive, free, tmp_path):
    words = [sys.executable, "-c", KILLED, str(archive), str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ten\n"
        child.send_signal(signal.SIGKILL)
    (left,) = tmp_path.glob("*/*/*")
    assert left.name.startswith(".data.")  # no folder that a reader would take for the dataset
    found = unpack("studio", archive, tmp_path)
    assert pictures(found) == pictures(free)
    assert left.exists()  # it might be another process's work of this minute
    shutil.rmtree(found)
    os.utime(left, (0, time.time() - unpacking.STALE - 60))
    unpack("studio", archive, tmp_path)
    assert folders(tmp_path) == ["studio/data"]


def test_of_two_at_once_the_later_uses_what_the_earlier_made(archive, free, tmp_path, monkeypatch):
    write = unpacking.write_dataset

    def slow(*words):
        write(*words)
        monkeypatch.setattr(unpacking, "write_dataset", write)
        (unpack("studio", archive, tmp_path) / "first").touch()  # another process overtakes this one

    monkeypatch.setattr(unpacking, "write_dataset", slow)
    found = unpack("studio", archive, tmp_path)
    assert (found / "first").exists()
    assert folders(tmp_path) == ["studio/data"]
    assert pictures(found) == pictures(free)


def test_a_copy_may_grow_and_is_not_overwritten(archive, tmp_path):
    out, cache = tmp_path / "out", tmp_path / "cache"
    out.mkdir()
    copy_to(out, "studio", archive, cache)
    data = Dataset(out)
    assert data.images.shape == (48, 32, 32, 3)
    extra = data.table.iloc[[0]].assign(path="real/train/extra.png")
    shutil.copy(out / data.table.path[0], out / "real/train/extra.png")
    write_manifest(out, pd.concat([data.table, extra]), data.info)
    copy_to(out, "studio", archive, cache)
    assert len(Dataset(out).table) == 49
    write_manifest(out, Dataset(out).table.iloc[:5], data.info)
    with pytest.raises(WsdlError, match="holds something else already; choose another --out"):
        copy_to(out, "studio", archive, cache)
    assert len(Dataset(unpack("studio", archive, cache)).table) == 48
