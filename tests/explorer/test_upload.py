"""wsdl.upload without a browser: files as messages, results or errors in the panel."""

import io
import json
import shutil
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import wsdl
from wsdl.__main__ import app
from wsdl.bundle.unpack import unpack_dataset
from wsdl.core.io import WsdlError, write_json
from wsdl.data.dataset import Dataset
from wsdl.detectors import load_detector
from wsdl.detectors.pretrained import PRETRAINED_FOLDER
from wsdl.explorer import encode, static_view, upload
from wsdl.notebooks.pages import read_notebook
from wsdl.notebooks.run import LESSONS_FOLDER
from wsdl.parsing.models import BUNDLED_PARSER

pytestmark = pytest.mark.usefixtures("no_parser")
FACE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)


@pytest.fixture
def up(run_folder):
    return wsdl.upload([run_folder])


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bomb() -> bytes:
    """The header of a PNG that claims 30000 x 30000 pixels."""
    data = bytearray(encoded(Image.new("L", (300, 300))))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(FACE), "JPEG", exif=exif)


def send(up, data: bytes, name: str, part: int = 1000) -> dict:
    """The content of the panel after the browser has sent a file in parts."""
    for at in range(0, max(1, len(data)), part):
        content = {"do": "part", "name": name, "at": at, "size": len(data)}
        up.panel._handle_custom_msg(content, [memoryview(data[at : at + part])])
    return up.panel.shown


def tell(up, do: str, name: str) -> dict:
    up.panel._handle_custom_msg({"do": do, "name": name}, [])
    return up.panel.shown


def test_an_image_sent_in_parts_gives_the_result_of_localize(up, run_folder, tmp_path):
    path = tmp_path / "me.jpg"
    path.write_bytes(encoded(Image.fromarray(FACE), "JPEG", quality=30))
    shown = send(up, path.read_bytes(), "me.jpg")
    wanted = wsdl.localize(path, run_folder)
    assert shown["results"][0]["lines"] + shown["warnings"] == wanted.lines()
    assert shown["warnings"] == wanted.warnings
    assert len(wanted.warnings) >= 2
    assert (shown["problem"], shown["name"], up.children) == ("", "me.jpg", (up.panel, up.explorer))
    result = up.results[run_folder.name]
    assert (result.to_dict(), result.map.tolist()) == (wanted.to_dict(), wanted.map.tolist())
    assert np.array_equal(up.explorer.inputs.images[0], np.asarray(wanted.image))
    assert np.array_equal(up.explorer.current_map(), wanted.map)
    assert up.explorer.inputs.scores == {run_folder.name: [wanted.score]}


def test_every_way_of_asking_gives_the_same_number(tmp_path):
    """A face in a larger image: only a part of it is analysed, and upload shows another part, reduced."""
    data = Dataset(unpack_dataset("studio"))
    face = data.images[data.select(kind="partial", split="test").index[0]]
    enlarged = np.asarray(Image.fromarray(face).resize((700, 700), Image.Resampling.BICUBIC))
    path = tmp_path / "me.png"
    Image.fromarray(np.pad(enlarged, ((90, 60), (200, 400), (0, 0)), mode="edge")).save(path)
    run = PRETRAINED_FOLDER / "patches-mil-c-studio"
    result = wsdl.localize(path, run, BUNDLED_PARSER)
    assert 0 < result.marked < 1
    assert result.analysed.mean() < 0.9
    number = f"{100 * result.marked:.1f} %"
    assert f"marked {number} " in str(result)

    up = wsdl.upload(run, BUNDLED_PARSER)
    up.localize(path)
    assert f"marked {number} " in up.panel.shown["results"][0]["lines"][1]
    assert up.explorer.data(encode.png)["areas"][run.name][0][100] == result.marked
    assert f"{number} above 0.5" in static_view._numbers(up.explorer, run.name)
    words = ["localize", path, "--detector", run, "--parser", BUNDLED_PARSER, "--out", tmp_path]
    line = json.loads(CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False).stdout)
    assert line["marked"] == round(result.marked, 6)
    assert line["summary"] == result.lines()


def test_lesson_00_prints_the_number_of_localize(capsys):
    data = Dataset(unpack_dataset("studio"))
    row = data.select(kind="partial", split="test").sort_values("path").iloc[0]
    run, labels = PRETRAINED_FOLDER / "patches-mil-c-studio", ["Patches-MIL, setup B", "Patches-MIL, setup C"]
    fake, mask = data.images[row.name], data.masks[row.name]
    known = {"np": np, "wsdl": wsdl, "plots": SimpleNamespace(map_overlay=lambda *_: None), "dataset": data, "row": row,
             "fake": fake, "face": fake, "mask": mask, "runs": dict.fromkeys(labels, run),
             "predictions": dict.fromkeys(labels, load_detector(run).predict(fake[None])),
             }  # fmt: skip
    cells = [cell.source for cell in read_notebook(LESSONS_FOLDER / "00_first_look.ipynb").cells]
    for cell in [cell for cell in cells if "wsdl.localize(" in cell and "=" in cell]:
        exec(cell, known)
    marked = 100 * wsdl.localize(fake, run).marked
    said = capsys.readouterr().out
    assert said.count(f"marked {marked:.1f} % ") == 1
    assert said.count(f"marked {marked:.1f}% of the fake") == 2


UNUSUAL = {
    "one pixel": (encoded(Image.new("RGB", (1, 1))), (1, 1), "enlarged"),
    "CMYK": (encoded(Image.new("CMYK", (40, 30)), "JPEG"), (30, 40), "CMYK"),
    "16 bits": (encoded(Image.fromarray(np.full((30, 40), 60_000, np.uint16))), (30, 40), "more than 8 bits"),
    "turned": (turned(), (90, 70), "resized to a square"),
    "a thread": (encoded(Image.new("RGB", (3000, 2))), (1, upload.SIDE), "resized to a square"),
    "a large one": (encoded(Image.new("RGB", (2048, 1024))), (256, upload.SIDE), "resized to a square"),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_unusual_images_are_shown_upright_with_a_warning(up, what):
    data, shape, warning = UNUSUAL[what]
    shown = send(up, data, "p", part=10**6)
    assert shown["problem"] == ""
    assert warning in " ".join(shown["warnings"])
    assert up.explorer.inputs.images.shape == (1, *shape, 3)
    assert up.explorer.view().width > 400


BAD = {
    "text.jpg": (b"not a picture", "text.jpg: is not an image in a supported format"),
    "short.png": (encoded(Image.fromarray(FACE))[:5000], "short.png: cannot be decoded"),
    "bomb.png": (bomb(), "bomb.png: has too many pixels; the limit is 89 million"),
    "empty.png": (b"", "empty.png: is not an image in a supported format"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_shows_an_error_and_removes_the_last_image(up, name, capsys):
    send(up, encoded(Image.fromarray(FACE)), "good.png")
    shown = send(up, BAD[name][0], name)
    assert BAD[name][1] in shown["problem"]
    assert shown["problem"].endswith(".")
    assert "\n" not in shown["problem"]
    assert (shown["results"], up.results, up.explorer, up.children) == ([], {}, None, (up.panel,))
    again = send(up, BAD[name][0], name)
    assert again["turn"] == shown["turn"] + 1  # the browser hears that it was answered
    assert capsys.readouterr().err == ""
    assert send(up, encoded(Image.fromarray(FACE)), "good.png")["problem"] == ""


def test_an_unexpected_error_is_shown_too(up, monkeypatch):
    monkeypatch.setattr(upload, "open_image", lambda *_: 1 / 0)
    assert send(up, b"x", "x.png")["problem"] == "x.png: could not be analysed (ZeroDivisionError: division by zero)."


def test_a_file_above_the_limit_is_refused_before_it_is_sent(up):
    up.panel._handle_custom_msg({"do": "part", "name": "film.tif", "at": 0, "size": 300_000_000}, [b""])
    wanted = "film.tif: has 300 MB; the limit is 100 MB, so make it smaller."
    assert up.panel.shown["problem"] == wanted


def test_an_incomplete_file_is_dropped_with_the_next(up):
    content = {"do": "part", "name": "a", "at": 0, "size": 5000}
    up.panel._handle_custom_msg(content, [bytes(1000)])
    assert send(up, encoded(Image.new("RGB", (8, 8))), "b")["name"] == "b"


def test_detectors_are_chosen_and_added(up, run_folder, tmp_path):
    second = Path(shutil.copytree(run_folder, tmp_path / "other" / run_folder.name))
    write_json(second / "metrics.json", {"rows": [{"method": "patches", "iou": 0.25, "iou_low": 0.2, "iou_high": 0.3}]})
    send(up, encoded(Image.fromarray(FACE)), "me.png")
    up.explorer.threshold, up.explorer.mode = 0.3, "side"
    shown = tell(up, "add", str(second))
    first, last = run_folder.name, str(second)  # of two alike the second has its path
    assert shown["detectors"] == [{"name": first, "chosen": True}, {"name": last, "chosen": True}]
    assert [one["name"] for one in shown["results"]] == list(up.explorer.inputs.maps) == [first, last]
    first_lines, last_lines = (" ".join(one["lines"]) for one in shown["results"])
    assert "fakes by repaint-p2; not evaluated" in first_lines
    assert "; on the test split of made-up: IoU 25.0 % (20.0 to 30.0)" in last_lines
    assert (up.explorer.threshold, up.explorer.mode) == (0.3, "side")
    up.explorer.map = last
    assert [one["name"] for one in tell(up, "choose", first)["results"]] == [last]
    assert up.explorer.map == last
    none = tell(up, "choose", last)
    assert none["problem"] == "me.png: no detector is chosen; choose at least one."
    assert up.children == (up.panel,)
    assert tell(up, "choose", first)["problem"] == ""
    assert "nowhere: no such detector" in tell(up, "add", "nowhere")["problem"]
    assert up.panel.shown["results"]  # what was found stays


def test_without_pretrained_detectors_run_folders_can_be_added(run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("wsdl.detectors.pretrained.PRETRAINED_FOLDER", tmp_path)
    up = wsdl.upload()
    assert up.panel.shown["none"].startswith(
        "No detector is available: this installation has no pretrained detector; any run"
    )
    assert "no detector is available" in send(up, encoded(Image.fromarray(FACE)), "me.png")["problem"]
    shown = tell(up, "add", str(run_folder))
    assert (shown["none"], shown["problem"], shown["name"], len(shown["results"])) == ("", "", "me.png", 1)
    shutil.copytree(run_folder, tmp_path / "patches-c-studio")
    assert list(wsdl.upload().detectors) == ["patches-c-studio"]


def test_localize_from_python_takes_paths_and_arrays_and_raises(run_folder, tmp_path):
    assert list(wsdl.upload(run_folder).detectors) == [run_folder.name]
    up = wsdl.upload({"mine": run_folder})
    Image.fromarray(FACE).save(tmp_path / "me.png")
    assert list(up.localize(tmp_path / "me.png")) == ["mine"]
    assert up.explorer.inputs.names == ["me.png"]
    assert up.localize(FACE)["mine"].score == pytest.approx(wsdl.localize(FACE, run_folder).score)
    assert "image/jpeg" in up._repr_mimebundle_()
    with pytest.raises(WsdlError, match="no such file"):
        up.localize(tmp_path / "none.png")
    assert up.children == (up.panel,)
    with pytest.raises(WsdlError, match="image: is not an image"):
        up.localize(b"text")
    with pytest.raises(WsdlError, match="nobody"):
        wsdl.upload(["nobody"])


WATCHED, SEEN = [], []
sys.addaudithook(lambda event, arguments: WATCHED and SEEN.append((event, arguments)))


def test_nothing_is_written_and_no_connection_is_opened(up):
    data = encoded(Image.fromarray(FACE))
    send(up, data, "me.png")
    WATCHED.append(True)
    try:
        send(up, data, "me.png")
    finally:
        WATCHED.clear()
    opened = [arguments for event, arguments in SEEN if event == "open"]
    assert [path for path, mode, flags in opened if set(mode or "") & set("wax+") or (flags or 0) & 3] == []
    touched = {event for event, _ in SEEN}
    assert not [event for event in touched if event.startswith(("socket", "os.rename", "os.mkdir", "subprocess"))]
    SEEN.clear()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"detectors": 5}, "detectors is 5, but must be a name"),
     ({"detectors": [5]}, "detector is 5, but must be a text"),
     ({"detectors": "patches-c-studio", "parser": 5}, "parser is 5, but must be a text")],
)  # fmt: skip
def test_detectors_of_a_wrong_type_are_refused(arguments, words):
    with pytest.raises(WsdlError, match=words):
        wsdl.upload(**arguments)
