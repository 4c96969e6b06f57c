"""Many runs in miniature: shared data, the same numbers twice, failures that stop nobody, kills and second calls."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from wsdl import cells as module
from wsdl import slots
from wsdl.__main__ import app
from wsdl.cells import Cell
from wsdl.data.layout import Dataset
from wsdl.files import WsdlError, read_json, sha256, write_json, write_text
from wsdl.grid import collect, default_out, load, make, record, run_cell, state, status, what_is_missing
from wsdl.grid_plan import plan
from wsdl.locks import hold, holder, signature
from wsdl.runs import read_stats

ROOT = Path(__file__).parent.parent
TINY = {
    "name": "tiny", "size": 32, "faces": 24,
    "generator": {"images": 32, "channels": [16, 32], "batch": 8, "check_every": 32},
    "fakes": {"full": 16, "partial": 48, "ddim_steps": 2, "T": 3, "jump_length": 1, "resamplings": 1, "batch": 8},
    "patches": {"input_size": 48, "images": 64, "batch": 16, "images_c": 320, "batch_c": 8, "check_every": 32},
}  # fmt: skip
CELLS = {"cells": [{"method": "patches", "setup": "b", "seed": 0}, {"method": "patches", "setup": "b", "seed": 1},
                   {"method": "patches", "setup": "c", "seed": 0}]}  # fmt: skip
B0, B1, C0 = Cell("patches", "b", "made-up", 0), Cell("patches", "b", "made-up", 1), Cell("patches", "c", "made-up", 0)


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> dict:
    """What tells `make` of the grid of these tests: three cells and a tiny profile."""
    folder = tmp_path_factory.mktemp("grid")
    write_json(folder / "tiny.json", TINY)
    write_json(folder / "three.json", CELLS)
    return {"name": str(folder / "three.json"), "profile": str(folder / "tiny.json"), "source": "made-up"}


@pytest.fixture(scope="module")
def ran(words, tmp_path_factory):
    """The grid after `run`, in which B1 was done already and C0 had to fail: its folder holds other settings."""
    grid = make(**words, out=tmp_path_factory.mktemp("ran") / "out")
    write_json(grid.run_folder(C0) / "config.json", {"batch": 7})
    run_cell(grid, B1)
    with pytest.raises(WsdlError) as error:
        slots.run(grid)
    return grid, str(error.value)


@pytest.fixture
def fake(words, tmp_path, monkeypatch):
    """The grid with data that is there and children that only sleep: fake(seconds) says what a child does."""
    monkeypatch.setattr(slots, "make_data", lambda grid, cells: None)
    monkeypatch.setattr(slots, "PAUSE", 0.01)
    grid = make(**words, out=tmp_path / "out")
    started, popen = [], subprocess.Popen

    def begin(command, **options):
        assert command[:5] == [sys.executable, "-m", "wsdl", "grid", "cell"]
        process = popen(["sleep", "30"], **options)
        started.append((command[5], process, options["env"]))
        return process

    monkeypatch.setattr(slots.subprocess, "Popen", begin)
    return grid, started


def finish(grid, cell: Cell) -> None:
    """Make `cell` look done."""
    folder = grid.run_folder(cell)
    write_json(folder / "run.json", {"status": "done", "seconds": 12.3})
    write_json(folder / "metrics.json", {"rows": [{"iou": 0.5, "pbca": 0.5}]})
    write_text(folder / "pictures.csv", "")


def test_one_that_fails_stops_no_other_and_is_named(ran):
    grid, error = ran
    assert [state(grid, cell)[0] for cell in (B0, B1, C0)] == ["done", "done", "failed"]
    assert not grid.log(B1).exists()  # done before, not started again
    assert error == f"{grid.out}: 1 of 3 runs failed: {grid.name(C0)} (log {grid.log(C0)})."
    assert state(grid, C0)[1].startswith(f"wsdl: {grid.run_folder(C0)}: was begun with batch = 7")


def test_seeds_share_one_dataset(ran):
    grid, _ = ran
    assert len(list(grid.out.rglob("manifest.csv"))) == 1
    configs = [read_json(grid.run_folder(cell) / "config.json") for cell in (B0, B1)]
    assert configs[0]["data"] == configs[1]["data"]
    assert [config["seed"] for config in configs] == [0, 1]
    assert sha256(grid.run_folder(B0) / "model.safetensors") != sha256(grid.run_folder(B1) / "model.safetensors")


def test_collect_takes_seeds_together_and_names_what_is_missing(ran):
    grid, _ = ran
    rows = collect(grid.out)
    assert list(rows.setup[:2]) == ["b", "c"]
    assert list(rows.seeds[:2]) == ["0 1", ""]
    assert list(rows.missing[:2]) == ["", "0"]
    assert pd.isna(rows.iou[1])
    assert rows.method[2:].str.startswith("control:").all()
    assert len(rows) == 6
    alone = [read_json(grid.run_folder(cell) / "metrics.json")["rows"][0]["iou"] for cell in (B0, B1)]
    assert (rows.iou_least[0], rows.iou_most[0]) == (min(alone), max(alone))
    assert what_is_missing(rows) == ["patches c made-up: seed 0"]
    kept = pd.read_csv(grid.out / "results.csv", keep_default_na=False)
    assert list(kept.missing) == list(rows.missing)


def test_status_and_collect_as_commands(ran):
    grid, _ = ran
    told = CliRunner().invoke(app, ["grid", "status", "three", "--out", str(grid.out)]).output
    assert "failed" in told
    assert "was begun with batch = 7" in told
    page = CliRunner().invoke(app, ["grid", "collect", "three", "--out", str(grid.out), "--format", "md"]).output
    assert "| made-up | patches | b | 0 1 |" in page
    assert page.endswith("Missing: patches c made-up: seed 0.\n")
    assert "nan" not in page


def test_plan_says_runs_time_and_memory_and_writes_nothing(ran, words, tmp_path):
    new = plan(make(**words, out=tmp_path / "new"), slots=2)
    assert not (tmp_path / "new").exists()
    assert "3 runs, 0 done; 2 at a time, sharing the cores of the CPU." in new
    assert "made-up: generator: train P2 on 32 pictures" in new
    assert "hours left" in new
    assert "MB at most" in new
    lines = plan(ran[0]).splitlines()
    assert [line.split()[5:7] for line in lines[1:3]] == [["done", "done"]] * 2
    assert lines[3].split()[5] == "failed"
    assert "train on 320 pictures" in lines[3]


def test_the_same_twice_and_killed_and_resumed_gives_the_same_numbers(ran, words, tmp_path):
    """In a new folder, in this process and undisturbed, against child processes, of which one loses its parent."""
    twin = make(**words, out=tmp_path / "twin")
    record(twin)
    for cell in (B0, C0):
        run_cell(twin, cell)
    grid = make(**words, out=tmp_path / "killed")
    shutil.copytree(ran[0].out / "made-up" / "data", grid.out / "made-up" / "data")
    shutil.copytree(ran[0].out / "made-up" / "p2", grid.out / "made-up" / "p2")
    record(grid)
    command = f"{sys.executable} -m wsdl grid cell {grid.name(C0)} --out {grid.out} --parent $$; true"
    parent = subprocess.Popen(["sh", "-c", command], cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: read_stats(grid.run_folder(C0)), 900)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not holder(grid.lock(C0)), 60)  # the child has ended too, with its work half done
    reached = read_stats(grid.run_folder(C0))[-1]["images"]
    assert state(grid, C0) == ("stopped", f"{100 * reached / 320:.0f} %")

    run_cell(grid, C0)
    images = [line["images"] for line in read_stats(grid.run_folder(C0))]
    assert images == sorted(set(images))
    for other, cell in ((ran[0], B0), (grid, C0)):
        assert Dataset(other.study(cell).out / "data").info == Dataset(twin.study(cell).out / "data").info
        for name in ("model.safetensors", "metrics.json", "pictures.csv", "config.json"):
            assert sha256(other.run_folder(cell) / name) == sha256(twin.run_folder(cell) / name), name
    assert [state(grid, cell)[0] for cell in (B0, B1, C0)] == ["waiting", "waiting", "done"]


def until(true, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)


def test_ctrl_c_ends_the_children(fake, monkeypatch):
    grid, started = fake

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(slots.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        slots.run(grid, slots=2)
    assert [name for name, _, _ in started] == [grid.name(B0), grid.name(B1)]
    assert all(process.returncode == -signal.SIGKILL for _, process, _ in started)


def test_slots_are_filled_and_done_cells_are_skipped(fake, monkeypatch):
    grid, started = fake
    finish(grid, B0)
    most = 0

    def look(seconds):
        nonlocal most
        alive = [(name, process) for name, process, _ in started if process.poll() is None]
        most = max(most, len(alive))
        for cell in grid.cells:
            if alive and grid.name(cell) == alive[0][0]:
                finish(grid, cell)
                alive[0][1].kill()

    monkeypatch.setattr(slots.time, "sleep", look)
    slots.run(grid, slots=2)
    assert [name for name, _, _ in started] == [grid.name(B1), grid.name(C0)]
    assert most == 2


def test_a_cell_of_another_process_is_waited_for_and_not_trained_twice(fake, monkeypatch):
    grid, started = fake
    for cell in (B0, B1):
        finish(grid, cell)
    looks = []

    def look(seconds):
        looks.append(state(grid, C0)[0])
        if len(looks) == 3:
            finish(grid, C0)
            grid.lock(C0).unlink()

    monkeypatch.setattr(slots.time, "sleep", look)
    write_text(grid.lock(C0), signature(os.getpid()))
    slots.run(grid)
    assert looks[:3] == ["running"] * 3
    assert started == []


def test_two_at_once_on_one_cell_are_refused(words, tmp_path):
    grid = make(**words, out=tmp_path / "out")
    with hold(grid.lock(B0)), pytest.raises(WsdlError, match=f"is held by process {os.getpid()}"):
        run_cell(grid, B0)
    assert not grid.run_folder(B0).exists()


def test_a_child_killed_by_the_system_is_told(fake, monkeypatch):
    grid, started = fake

    def kill(seconds):
        if started[0][1].poll() is None:
            write_text(grid.lock(B0), signature(started[0][1].pid))
            started[0][1].kill()
            started[0][1].wait()

    monkeypatch.setattr(slots.time, "sleep", kill)
    with pytest.raises(WsdlError, match="1 of 1 runs failed"):
        slots.run(grid, only=(0,))
    assert state(grid, B0) == ("failed", "killed by SIGKILL; was there too little memory?")


def test_a_gpu_for_each_slot_or_a_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(slots, "gpus", lambda: ["2", "5"])
    assert slots.places(0) == [{"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "5"}]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in slots.places(3)] == ["2", "5", "2"]
    monkeypatch.setattr(slots, "gpus", list)
    monkeypatch.setattr(slots.os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert slots.places(0) == [{}]
    assert slots.places(4) == [{"OMP_NUM_THREADS": "2"}] * 4


def test_table2_is_every_method_in_every_setup_with_every_seed(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "METHODS", ("patches", "other"))
    cells = make("table2", tmp_path, source="snapshot", seeds=(0, 3)).cells
    assert len(cells) == 12
    assert {(cell.method, cell.setup) for cell in cells} == {(m, s) for m in ("patches", "other") for s in "abc"}
    assert {cell.train_source for cell in cells} == {"snapshot"}
    assert [cell.seed for cell in cells] == [0] * 6 + [3] * 6


def test_a_file_without_seeds_is_run_with_each(tmp_path):
    (tmp_path / "mine.toml").write_text('[[cells]]\nmethod = "patches"\nsetup = "b"\n')
    grid = make(str(tmp_path / "mine.toml"), tmp_path, source="snapshot", seeds=(4, 5))
    assert grid.cells == (Cell("patches", "b", "snapshot", 4), Cell("patches", "b", "snapshot", 5))
    assert default_out("some/mine.toml") == Path("out/grid-mine")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cells": [{"method": "patches"}]}, "cell 0: is .* but must have a method .* and a setup"),
        ({"cells": [{"method": "guess", "setup": "a"}]}, r"must have a method \(patches"),
        ({"cells": [{"method": "patches", "setup": "a", "seeds": 3}]}, "unknown setting 'seeds'; valid are method"),
        ({"cells": [{"method": "patches", "setup": "a", "train_source": "moon"}]}, "is 'moon', but must be one of"),
        ({"runs": []}, "must hold one list, `cells`"),
    ],
)
def test_wrong_files_are_one_sentence(tmp_path, content, message):
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(WsdlError, match=message):
        make(str(tmp_path / "bad.json"), tmp_path)


def test_wrong_words_are_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match="table3: no such grid; choose table2, cross-source, cross-generator, or"):
        make("table3", tmp_path)
    with pytest.raises(WsdlError, match="holds no grid; begin one with"):
        status(tmp_path)
    result = CliRunner().invoke(app, ["grid", "plan", "table2", "--seeds", "0;1"])
    assert "--seeds: is '0;1'" in str(result.exception)


def test_more_seeds_are_added_and_other_settings_refused(words, tmp_path):
    out = tmp_path / "out"
    record(make("table2", out, words["profile"], "made-up", seeds=(0,)))
    record(make("table2", out, words["profile"], "made-up", seeds=(1,)))
    assert {cell.seed for cell in load(out).cells} == {0, 1}
    with pytest.raises(WsdlError, match="was begun with profile"):
        record(make("table2", out, "quick", "made-up"))
    with pytest.raises(WsdlError, match="no run of this grid is done yet"):
        collect(out)


def test_only_takes_numbers_of_the_plan(fake):
    grid, _ = fake
    assert slots.pick(grid, (0, 2)) == [B0, C0]
    with pytest.raises(WsdlError, match="--only: is 3, but the grid has runs 0 to 2"):
        slots.run(grid, only=(3,))
