"""`data prepare`: reproducible bytes, also after interruptions, and clear errors."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import left_by_the_dead
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.core.leftovers import temporary_name
from wsdl.core.parallel import parallel_map
from wsdl.data.dataset import Dataset
from wsdl.data.images import list_image_files
from wsdl.data.prepare import prepare_dataset


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_runs_give_the_same_bytes(made_up, faces, tmp_path):
    prepare_dataset(*made_up, tmp_path / "again", size=32, seed=0, source="made-up")
    first = {name: data for name, data in bytes_of(faces).items() if not name.startswith(".cache")}
    assert bytes_of(tmp_path / "again") == first


def test_killed_in_the_middle_it_resumes_to_the_same_bytes(made_up, faces, tmp_path):
    out = tmp_path / "killed"
    slowly = (
        "import sys, time, wsdl.data.prepare as p\n"
        "write = p.write_image\n"
        "p.write_image = lambda *a: (time.sleep(0.2), write(*a))\n"
        "p.prepare_dataset(*sys.argv[1:4], size=32, seed=0, source='made-up')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", slowly, *map(str, made_up), str(out)])
    deadline = time.monotonic() + 60
    while len(list(out.glob("real/*/*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "manifest.csv").exists()
    done = {path: path.stat().st_mtime_ns for path in out.glob("real/*/*.png") if (out / "components").exists()}
    assert 3 <= len(done) < 24
    left_by_the_dead(out / "real" / "train" / "0000.png").write_bytes(b"half")
    min(done).write_bytes(b"")  # not synced before a power loss
    del done[min(done)]
    living = out / "real" / "train" / temporary_name("0000.png")
    living.write_bytes(b"half")
    prepare_dataset(*made_up, out, size=32, seed=0, source="made-up")
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())  # only what was missing
    living.unlink()  # fails where the file of a living process was deleted
    assert bytes_of(out) == {name: b for name, b in bytes_of(faces).items() if not name.startswith(".cache")}


def test_other_settings_are_refused(faces, made_up, pair, tmp_path):
    shutil.copytree(faces, tmp_path / "copy")
    with pytest.raises(WsdlError, match=r"size.* 32.* 16"):
        prepare_dataset(*made_up, tmp_path / "copy", size=16, seed=0, source="made-up")
    prepare_dataset(*pair, tmp_path / "six", size=32)
    for folder in pair:
        (folder / "0000.png").rename(folder / "other.png")
    with pytest.raises(WsdlError, match="names"):
        prepare_dataset(*pair, tmp_path / "six", size=32)


def truncate(path: Path) -> None:
    Image.open(path).save(path.with_suffix(".jpg"), quality=90)
    path.unlink()
    path = path.with_suffix(".jpg")
    path.write_bytes(path.read_bytes()[:700])


def shrink(path: Path, size: int) -> None:
    Image.open(path).resize((size, size), Image.Resampling.NEAREST).save(path)


def unknown_class(path: Path) -> None:
    labels = np.array(Image.open(path))
    labels[0, 0] = 40
    Image.fromarray(labels).save(path)


BROKEN = [
    (lambda i, m: shutil.rmtree(i), "images: no such folder"),
    (lambda i, m: [p.unlink() for p in i.iterdir()], r"images: .*no .*\.png"),
    (lambda i, m: (i / "0002.png").unlink(), r"masks/0002\.png: mask without .*images.* 0002"),
    (lambda i, m: (m / "0002.png").unlink(), r"images/0002\.png: .*without a mask.*masks.* 0002"),
    (lambda i, m: shrink(m / "0002.png", 48), r"masks/0002\.png: .*48x48.*64x64"),
    (lambda i, m: unknown_class(m / "0002.png"), r"masks/0002\.png: .*class 40.* 0-18"),
    (lambda i, m: truncate(i / "0002.png"), r"images/0002\.jpg: .*truncated"),
    (lambda i, m: [shrink(f / "0002.png", 24) for f in (i, m)], r"0002\.png: .*24x24.* 32"),
    (lambda i, m: shutil.copy(i / "0002.png", i / "0002.jpg"), r"0002\.png: .*0002\.jpg"),
    (lambda i, m: [(f / f"000{n}.png").unlink() for f in (i, m) for n in range(4)], "2 .*split"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN, ids=[m[:40] for _, m in BROKEN])
def test_faults_are_reported_in_one_sentence(pair, tmp_path, spoil, message):
    spoil(*pair)
    with pytest.raises(WsdlError, match=message) as caught:
        prepare_dataset(*pair, tmp_path / "out", size=32)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert not (tmp_path / "out" / "manifest.csv").exists()


@pytest.mark.parametrize("number", [5, 6, 7])
def test_skip_bad_skips_and_reports_the_damaged_image(pair, tmp_path, capsys, number):
    spoil = BROKEN[number][0]
    spoil(*pair)
    prepare_dataset(*pair, tmp_path / "out", size=32, skip_bad=True)
    assert sorted(Dataset(tmp_path / "out").table.source_id) == ["0000", "0001", "0003", "0004", "0005"]
    assert not list((tmp_path / "out").rglob("0002.png"))
    assert "skipped: " in (printed := capsys.readouterr().err)
    assert "0002" in printed


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_is_reported_and_never_skipped(pair, tmp_path, monkeypatch, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("PIL.Image.Image.save" if number == errno.ENOSPC else "wsdl.core.io.os.replace", fail)
    with pytest.raises(WsdlError, match=os.strerror(number)):
        prepare_dataset(*pair, tmp_path / "out", size=32, skip_bad=True)
    assert not list((tmp_path / "out").rglob("*.part"))
    monkeypatch.undo()
    prepare_dataset(*pair, tmp_path / "out", size=32, skip_bad=True)  # once there is space, it goes on
    assert len(Dataset(tmp_path / "out").table) == 6


def test_images_without_masks_cannot_be_inpainted(pair, tmp_path):
    prepare_dataset(pair[0], None, tmp_path / "out", size=32)
    data = Dataset(tmp_path / "out")
    with pytest.raises(WsdlError, match="component mask"):
        data.labels(data.table.iloc[0])


def test_after_an_error_remaining_work_is_cancelled():
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.01)
        if item == 0:
            raise WsdlError("0: is bad.")

    with pytest.raises(WsdlError, match="0: is bad"):
        parallel_map(work, range(500), "working")
    assert len(begun) < 400


def test_results_are_in_order():
    assert parallel_map(lambda item: item * 2, range(50), "working") == list(range(0, 100, 2))


def test_the_dataset_records_how_rendered_faces_were_made(pair, tmp_path):
    about = {"style": "studio", "seed": 3, "made by": "wsdl (faces render)"}
    (tmp_path / "recipe.json").write_text(json.dumps(about))
    prepare_dataset(*pair, tmp_path / "data", size=32)
    assert Dataset(tmp_path / "data").info["made_by"]["faces"] == about


def test_other_recipes_next_to_the_images_are_ignored(pair, tmp_path):
    (tmp_path / "recipe.json").write_text(json.dumps({"source": "photos", "secret": "mine"}))
    prepare_dataset(*pair, tmp_path / "data", size=32)
    assert "secret" not in (tmp_path / "data" / "dataset.json").read_text()


def repaint(path: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(path).convert("RGB"))).save(path)


def test_a_replaced_image_is_noticed(pair, tmp_path, capsys):
    out = tmp_path / "out"
    prepare_dataset(*pair, out, size=32)
    prepare_dataset(*pair, out, size=32)
    assert "prepared already" in capsys.readouterr().err
    before = bytes_of(out)
    repaint(pair[0] / "0002.png")
    with pytest.raises(WsdlError, match=r"images/0002\.png: has changed since .*out was prepared.*another --out"):
        prepare_dataset(*pair, out, size=32)
    assert bytes_of(out) == before


def test_an_image_replaced_after_an_interruption_is_made_anew(pair, tmp_path):
    truncate(pair[0] / "0005.png")
    with pytest.raises(WsdlError, match="0005"):
        prepare_dataset(*pair, tmp_path / "out", size=32)
    for name in ("0002.png", "0003.png"):
        repaint(pair[0] / name)
    (pair[0] / "0005.jpg").unlink()
    shutil.copy(pair[0] / "0004.png", pair[0] / "0005.png")
    for out in ("out", "at once"):
        prepare_dataset(*pair, tmp_path / out, size=32)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "at once")


def test_a_licence_given_later_is_written_and_said(pair, tmp_path, capsys):
    out = tmp_path / "out"
    prepare_dataset(*pair, out, size=32)
    before = Dataset(out).info
    prepare_dataset(*pair, out, size=32, licence="CC0-1.0")
    assert "its licence was 'unknown' and is 'CC0-1.0' now" in capsys.readouterr().err
    prepare_dataset(*pair, out, size=32)
    assert Dataset(out).info == {**before, "licence": "CC0-1.0"}


def test_a_dataset_of_an_earlier_version_is_prepared_already(pair, tmp_path, capsys):
    prepare_dataset(*pair, tmp_path / "out", size=32)
    (tmp_path / "out" / "made_of.json").unlink()
    prepare_dataset(*pair, tmp_path / "out", size=32)
    printed = capsys.readouterr().err
    assert "not known" in printed
    assert "prepared already" in printed
    assert not (tmp_path / "out" / "made_of.json").exists()


def test_too_few_faces_for_intervals_is_said(made_up, pair, tmp_path, capsys):
    prepare_dataset(pair[0], None, tmp_path / "six", size=16)
    assert "six: has one test face only, so metrics will have no intervals; 15 images" in capsys.readouterr().err
    for path in list(list_image_files(made_up[0]).values())[6:15]:
        shutil.copy(path, pair[0])
    prepare_dataset(pair[0], None, tmp_path / "fifteen", size=16)
    assert "intervals" not in capsys.readouterr().err


def test_a_first_try_without_results_may_be_followed_by_other_images(pair, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "made_of.json").write_text(json.dumps({"images/gone.png": "0" * 64}))
    prepare_dataset(*pair, out, size=32)
    assert len(Dataset(out).table) == 6
    assert "images/gone.png" not in json.loads((out / "made_of.json").read_text())
