"""Nothing is ever half written, and runs that differ are never mixed."""

import json
import os
import time

import pytest
from helpers import left_by_the_dead

from wsdl.core.io import WsdlError, atomic, path_inside, read_json, seed_for, write_json
from wsdl.core.leftovers import FORGOTTEN, delete_leftovers, temporary_name
from wsdl.core.records import read_object
from wsdl.core.run import Run, is_done, read_stats, write_or_check_config


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(RuntimeError, match="stop"):
        stop_halfway(path)
    assert read_json(path) == 1
    assert os.listdir(tmp_path) == ["a.json"]


def stop_halfway(path):
    with atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")


def test_what_a_dead_process_left_is_deleted_and_nothing_else(tmp_path):
    of_dead, of_living = left_by_the_dead(tmp_path / "a" / "x.npy"), tmp_path / "a" / temporary_name("x.npy")
    of_elsewhere, of_earlier, own = (
        tmp_path / "a" / n for n in (".x.000000-1-2.part", ".x.npy.1.part", ".film.mkv.part")
    )
    of_dead.parent.mkdir()
    for path in (of_dead, of_living, of_elsewhere, of_earlier, own):
        path.write_text("half")
    delete_leftovers(tmp_path)
    assert sorted(of_dead.parent.iterdir()) == sorted([of_living, of_elsewhere, of_earlier, own])
    for path in (of_living, of_elsewhere, of_earlier, own):
        os.utime(path, (0, time.time() - FORGOTTEN - 60))
    delete_leftovers(tmp_path)
    assert sorted(of_dead.parent.iterdir()) == sorted([of_living, own])


def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    done, replace, fsync = [], os.replace, os.fsync
    monkeypatch.setattr("wsdl.core.io.os.fsync", lambda file: done.append(os.fstat(file).st_ino) or fsync(file))
    monkeypatch.setattr("wsdl.core.io.os.replace", lambda *paths: done.append("replace") or replace(*paths))
    write_json(tmp_path / "a.json", 1)
    assert done == [(tmp_path / "a.json").stat().st_ino, "replace", tmp_path.stat().st_ino]
    done.clear()
    with atomic(tmp_path / "image.png") as temporary:
        temporary.write_bytes(b"one of many")
    assert done == ["replace"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//x", "./x", "C:x", "..\\x", "a\nx", "a\0x", ""])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(WsdlError, match="not a name within"):
        path_inside(tmp_path, name)
    assert path_inside(tmp_path, "a/12:30 é.png") == tmp_path / "a" / "12:30 é.png"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"[1", "not valid JSON"), (b"\xff", "not a text in UTF-8"), (b"[" * 100_000, "not valid JSON"),
     (b"9" * 5000, "not valid JSON"), (b"[]", "must be a JSON object"), (b"null", "must be a JSON object")],
)  # fmt: skip
def test_what_is_no_json_object_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(WsdlError, match=rf"a\.json: .*{sentence}") as caught:
        read_object(tmp_path / "a.json")
    assert len(str(caught.value)) < 500


def test_a_folder_in_place_of_a_file_is_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match="is not a file but a folder"):
        read_json(tmp_path)


def test_text_that_is_not_unicode_is_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match=r"a\.json: .*not valid Unicode"):
        write_json(tmp_path / "a.json", "x\udcff")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_one_sentence(tmp_path):
    with (
        pytest.raises(WsdlError, match=r"b.json: .*No space left on device"),
        atomic(tmp_path / "b.json"),
    ):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WsdlError, match="cannot be written"):
        write_json(tmp_path / "file" / "a.json", 1)


def test_broken_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(WsdlError, match=r"a.json: .*JSON"):
        read_json(tmp_path / "a.json")


def test_seeds_depend_on_every_word_and_never_change():
    assert seed_for(0, "p2", 1) == 3614679991726858098
    assert len({seed_for(0, "p2", 1), seed_for(1, "p2", 0), seed_for(0, "p2", 11), seed_for(0, "p", "2", 1)}) == 4
    assert all(0 <= seed_for(i) < 2**63 for i in range(100))


def test_a_claim_holds_against_other_settings_but_lets_some_grow(tmp_path):
    path = tmp_path / "run" / "config.json"
    write_or_check_config(path, {"seed": 0, "images": 10})
    write_or_check_config(path, {"seed": 0, "images": 20}, growing=("images",))
    assert read_json(path)["images"] == 20
    with pytest.raises(WsdlError, match=r"images.* 20.* 10"):
        write_or_check_config(path, {"seed": 0, "images": 10})
    with pytest.raises(WsdlError, match=r"seed.* 0.* 1"):
        write_or_check_config(path, {"seed": 1, "images": 20})
    assert read_json(path) == {"seed": 0, "images": 20}


def test_a_run_is_done_only_when_it_says_so(tmp_path):
    run = Run(tmp_path, {"images": 1})
    assert not is_done(tmp_path)
    run.report("done")
    assert is_done(tmp_path)
    about = read_json(tmp_path / "run.json")
    assert {"status", "seconds", "cpu_seconds", "versions", "device", "precision", "git"} <= set(about)


def test_the_cost_of_a_run_adds_up_over_calls(tmp_path):
    write_json(tmp_path / "run.json", {"status": "running", "seconds": 100.0, "cpu_seconds": 150.0})
    cost = Run(tmp_path, {"images": 1}).cost()
    assert 100 <= cost["seconds"] < 110
    assert 150 <= cost["cpu_seconds"] < 160


def test_statistics_survive_a_line_cut_short(tmp_path):
    lines = [json.dumps({"images": n}) + "\n" for n in (8, 16, 24)]
    (tmp_path / "stats.jsonl").write_text("".join(lines) + '{"images": 3')
    assert [line["images"] for line in read_stats(tmp_path)] == [8, 16, 24]
    run = Run(tmp_path, {"images": 1})
    run.forget_after(16)
    run.log(images=24)
    assert [line["images"] for line in run.stats()] == [8, 16, 24]
