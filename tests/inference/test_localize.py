"""python -m wsdl localize and wsdl.localize: one JSON line per image for any input."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import wsdl
from wsdl.__main__ import app
from wsdl.core.io import WsdlError, write_json
from wsdl.core.weights import save_model
from wsdl.data.dataset import Dataset
from wsdl.detectors import load_detector
from wsdl.evaluation.metrics import upsample
from wsdl.inference.localize import load_localizer
from wsdl.parsing.network import FaceUNet

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("no_parser")


@pytest.fixture
def images(made_up, tmp_path):
    """Images in nested folders: two of the same name, one with a non-Latin name, one JPEG of low quality."""
    folder = tmp_path / "in"
    faces = sorted(made_up[0].iterdir())
    for name, face in (("a/x.png", faces[0]), ("b/x.png", faces[1]), ("b/顔 ü.png", faces[2])):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(face, folder / name)
    Image.open(faces[3]).convert("RGB").save(folder / "x.jpg", quality=30)
    return folder


def call(*words, **more):
    return CliRunner().invoke(app, ["localize", *map(str, words)], **more)


def lines(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_image_gets_a_line_a_map_and_an_overlay(images, run_folder, tmp_path):
    out = tmp_path / "out"
    result = call(images, "--detector", run_folder, "--out", out, "--npy", catch_exceptions=False)
    assert result.exit_code == 0
    found = lines(result)
    assert [Path(line["picture"]).name for line in found] == ["x.jpg", "x.png", "x.png", "顔 ü.png"]
    for line in found:
        assert line["trained_on"] == {"method": "patches", "setup": "c", "source": "made-up", "generator": "repaint-p2",
                                      "images": 32, "seed": 0}  # fmt: skip
        assert (line["threshold"], line["detector"], line["measured"]) == (0.5, str(run_folder), None)
        grey = np.asarray(Image.open(line["files"]["map"]))
        exact = np.load(line["files"]["npy"])
        assert (grey.dtype, grey.shape, exact.dtype) == (np.uint16, (64, 64), np.float32)
        assert np.abs(grey / 65535 - exact).max() <= 0.5 / 65535 + 1e-7
        assert line["marked"] == pytest.approx((exact > 0.5).mean(), abs=1e-6)
        assert line["summary"][1].startswith(f"marked {100 * (exact > 0.5).mean():.1f} % of the analysed pixels")
        assert not any("painted" in key for key in line)
        assert Image.open(line["files"]["overlay"]).size > (500, 300)
    assert len({line["files"]["map"] for line in found}) == 4
    assert len(list(out.iterdir())) == 12
    assert "quality 30" in found[0]["warnings"][0]
    assert [len(line["warnings"]) for line in found] == [2, 1, 1, 1]


def test_results_are_the_same_again_and_from_python(images, run_folder, tmp_path):
    out = tmp_path / "out"
    together = lines(call(images, "--detector", run_folder, "--out", out))
    before = contents(out)
    again = call(*sorted(images.rglob("*.*g"), reverse=True), "--detector", run_folder, "--out", out)
    key = lambda line: line["picture"]  # noqa: E731
    assert sorted(lines(again), key=key) == sorted(together, key=key)  # the same names in another order, too
    assert contents(out) == before
    for line in together:
        single = wsdl.localize(line["picture"], run_folder)
        assert {**line, **single.to_dict()} == line
        assert np.array_equal(np.round(single.map * 65535), np.asarray(Image.open(line["files"]["map"])))


def test_results_are_never_taken_as_inputs(images, run_folder):
    first = lines(call(images, "--detector", run_folder, "--out", images))
    again = lines(call(images, "--detector", run_folder, "--out", images))
    assert first == again
    assert len(first) == 4


def test_other_files_are_never_overwritten(images, run_folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "x-map.png").write_bytes((images / "a/x.png").read_bytes())
    (out / "x-2-overlay.png").write_text("mine")
    (out / "x-3-map.npy").write_text("mine as well")
    before = contents(out)
    (line,) = lines(call(images / "a/x.png", "--detector", run_folder, "--out", out, "--npy"))
    assert line["files"]["map"] == str(out / "x-4-map.png")
    assert before.items() <= contents(out).items()
    call(images / "a/x.png", "--detector", run_folder, "--out", out)
    assert not (out / "x-4-map.npy").exists()  # not asked for this time; it might contradict the map
    assert before.items() <= contents(out).items()


def test_the_map_equals_the_one_that_evaluate_scores(dataset, run_folder):
    data = Dataset(dataset)
    row = data.select(kind="partial", split="test").iloc[0]
    expected = load_detector(run_folder).predict(data.images[[row.name]])
    result = wsdl.localize(dataset / row.path, run_folder)
    assert np.array_equal(result.map, upsample(expected.maps[0], (32, 32)))
    assert result.score == float(expected.scores[0])
    same = wsdl.localize(np.asarray(data.images[row.name]), run_folder)
    assert np.array_equal(same.map, result.map)


@pytest.mark.parametrize("size", [(4000, 3000), (1, 1), (3, 700)])
def test_images_of_any_size_have_maps_of_their_size(run_folder, tmp_path, size):
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "p.png", compress_level=1)
    (line,) = lines(call(tmp_path / "p.png", "--detector", run_folder, "--out", tmp_path / "out"))
    assert (line["width"], line["height"]) == size
    assert Image.open(line["files"]["map"]).size == size
    assert max(Image.open(line["files"]["overlay"]).size) < 1500
    assert any("so the whole image was analysed" in warning for warning in line["warnings"])


def test_a_rotated_phone_image_gets_an_upright_map(run_folder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (90, 70)).save(tmp_path / "phone.jpg", exif=exif)
    assert wsdl.localize(tmp_path / "phone.jpg", run_folder).map.shape == (90, 70)


def test_bad_files_stop_nothing_and_stdout_has_only_json(images, run_folder, tmp_path):
    (images / "bad.jpg").write_text("not a picture")
    (tmp_path / "void").mkdir()
    words = [images / "bad.jpg", "-", tmp_path / "void", tmp_path / "none.png", images / "a"]
    done = subprocess.run(
        [sys.executable, "-m", "wsdl", "localize", *map(str, words), "--detector", run_folder, "--out", tmp_path / "o"],
        input=(images / "b/x.png").read_bytes(), capture_output=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1
    found = lines(type("Result", (), {"stdout": done.stdout.decode()}))
    assert [sorted({"error", "score"} & set(line)) for line in found] == [["error"], ["score"], ["error"], ["error"],
                                                                          ["score"]]  # fmt: skip
    assert [line["picture"] for line in found] == [*map(str, words[:4]), str(images / "a/x.png")]
    assert found[1]["files"]["map"] == str(tmp_path / "o/stdin-map.png")
    assert "contains no images" in found[2]["error"]
    assert "no such file" in found[3]["error"]
    stderr = done.stderr.decode()
    assert "3 of 5 images could not be read" in stderr
    assert "Traceback" not in stderr
    assert found[1]["score"] == round(wsdl.localize(images / "b/x.png", run_folder).score, 6)


def test_wrong_usage_and_an_impossible_out_folder(images, run_folder, tmp_path):
    assert call().exit_code == 2
    assert call(images).exit_code == 2
    assert call(images, "--out", tmp_path, "--threshold", 1).exit_code == 2
    (tmp_path / "file").write_text("")
    failed = call(images, "--detector", run_folder, "--out", tmp_path / "file")
    assert isinstance(failed.exception, WsdlError)
    assert "choose another --out" in str(failed.exception)


def test_detectors_are_found_by_name_and_listed(images, run_folder, tmp_path, monkeypatch):
    assets = tmp_path / "detectors"
    monkeypatch.setattr("wsdl.detectors.pretrained.PRETRAINED_FOLDER", assets)
    listed = call("--list")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "this installation has no pretrained detector" in listed.stderr
    with pytest.raises(WsdlError, match="patches-c-studio: no such detector; this installation has no pretrained"):
        wsdl.localize(images / "x.jpg")

    home = Path(shutil.copytree(run_folder, assets / "patches-c-studio"))
    scores = {"method": "patches", "iou": 0.25, "iou_low": 0.2, "iou_high": 0.3, "ap": 0.75, "n": 9}
    write_json(home / "metrics.json", {"rows": [scores, {"method": "control: all-fake"}, {"method": "forensic: ela"}]})
    (row,) = csv.DictReader(io.StringIO(call("--list").stdout))
    assert (row["detector"], row["generator"], row["iou"], row["n"]) == ("patches-c-studio", "repaint-p2", "0.25", "9")
    (line,) = lines(call(images / "x.jpg", "--out", tmp_path / "out"))
    assert line["detector"] == "patches-c-studio"
    assert line["trained_on"]["generator"] == "repaint-p2"
    assert (line["measured"]["iou"], line["measured"]["ap"]) == (0.25, 0.75)
    assert "on the test split of made-up: IoU 25.0 % (20.0 to 30.0)" in " ".join(line["summary"])
    with pytest.raises(WsdlError, match="nobody: no such detector; pretrained are patches-c-studio"):
        wsdl.localize(images / "x.jpg", "nobody")
    with pytest.raises(WsdlError, match=r"`train`.*model\.safetensors"):
        wsdl.localize(images / "x.jpg", half_a_run(tmp_path / "half", home))
    broken = Path(shutil.copytree(run_folder, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"zeros")
    with pytest.raises(WsdlError, match=r"model\.safetensors: is no valid file of weights"):
        wsdl.localize(images / "x.jpg", broken)


def half_a_run(folder: Path, home: Path) -> Path:
    folder.mkdir()
    shutil.copy(home / "config.json", folder)
    return folder


def test_a_localizer_is_cached_until_its_weights_change(run_folder, tmp_path):
    parser = tmp_path / "parser"
    write_json(parser / "config.json", {"parser": "untrained", "widths": [8, 16], "size": 32})
    save_model(FaceUNet((8, 16)), parser)
    copy = Path(shutil.copytree(run_folder, tmp_path / "run"))
    first = load_localizer(copy, parser)
    assert first.parser.size == 32
    assert load_localizer(copy, parser) is first
    (copy / "model.safetensors").touch()
    assert load_localizer(copy, parser) is not first
    result = wsdl.localize(np.zeros((64, 64, 3), np.uint8), copy, parser)
    assert result.warnings[0].startswith("No face was found (")


def test_localize_is_loaded_on_first_use():
    code = "import sys, wsdl; print('localize' in dir(wsdl), 'torch' in sys.modules, callable(wsdl.localize))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.split() == ["True", "False", "True"]
