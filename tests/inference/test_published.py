"""`localize` with published methods: Noiseprint end to end, its words, and refusals."""

import json

import numpy as np
import pytest
from factories_published import jpeg, spliced_image, write_noiseprint_weights
from PIL import Image
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner

import wsdl
from wsdl.__main__ import app
from wsdl.core.io import WsdlError

pytestmark = pytest.mark.usefixtures("no_parser")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_noiseprint_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def spliced(tmp_path_factory):
    pixels, mask = spliced_image(160)
    path = tmp_path_factory.mktemp("spliced") / "spliced.png"
    Image.fromarray(pixels).save(path)
    return path, mask


def test_noiseprint_finds_a_region_of_another_camera(spliced, weights, tmp_path):
    words = ["localize", spliced[0], "--detector", "noiseprint", "--weights", weights, "--out", tmp_path, "--npy"]
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    (line,) = map(json.loads, result.stdout.splitlines())
    map_, mask = np.load(line["files"]["npy"]), spliced[1]
    assert map_.shape == mask.shape
    assert average_precision_score(mask.ravel(), map_.ravel()) > mask.mean() + 0.3
    assert Image.open(line["files"]["map"]).size == mask.shape
    assert (line["detector"], line["judged"], line["verdict"]["alarm"]) == ("noiseprint", 1, None)
    assert line["marked"] == round(float((map_ > 0.5).mean()), 6)
    assert line["summary"][0].startswith("no verdict: for published methods there is no reference")
    assert any("it always marks some part" in warning for warning in line["warnings"])


def test_the_quality_of_a_jpeg_chooses_the_network(spliced, weights, tmp_path):
    pixels = jpeg(np.asarray(Image.open(spliced[0])), 75)
    Image.open(spliced[0]).save(tmp_path / "x.jpg", quality=75)
    Image.fromarray(np.asarray(Image.open(tmp_path / "x.jpg"))).save(tmp_path / "x.png")
    of_jpeg, of_png = (wsdl.localize(tmp_path / name, "noiseprint", weights=weights) for name in ("x.jpg", "x.png"))
    assert np.array_equal(np.asarray(of_png.image), pixels)
    assert not np.array_equal(of_jpeg.map, of_png.map)
    assert (weights / "model_qf75.pth").is_file()


@pytest.mark.parametrize(
    ("detector", "given", "words"),
    [
        ("noiseprint", "", "noiseprint: its weights do not come with wsdl; give the folder .* by --weights"),
        ("noiseprint", "nowhere", "nowhere: no such folder"),
        ("noiseprint", "{empty}", r"model_qf101\.pth: no such file"),
        (
            "patches-c-studio",
            "{empty}",
            r"--weights: is for published methods \(mantranet, noiseprint.*\); --detector is 'p",
        ),
        ("", "{empty}", r"--weights: is for published methods \(mantranet, noiseprint.*\); give one by --detector"),
    ],
)
def test_refusals_are_one_sentence(spliced, tmp_path, detector, given, words):
    with pytest.raises(WsdlError, match=words):
        wsdl.localize(spliced[0], detector, weights=given.format(empty=tmp_path))
    words = ["--detector", detector, "--weights", given.format(empty=tmp_path), "--out", str(tmp_path / "out")]
    called = CliRunner().invoke(app, ["localize", str(spliced[0]), *words])
    assert isinstance(called.exception, WsdlError)


def test_an_image_too_small_is_refused_with_its_size(weights):
    with pytest.raises(WsdlError, match="is 63x80, but Noiseprint needs at least 64 px a side"):
        wsdl.localize(np.zeros((80, 63, 3), np.uint8), "noiseprint", weights=weights)
