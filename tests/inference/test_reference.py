"""reference.json: alarms on unaltered images, conditions, and images that no verdict can be given on."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import wsdl
from wsdl.__main__ import app
from wsdl.bundle.unpack import unpack_dataset
from wsdl.config import DEFAULT_DETECTOR, PHOTOGRAPHS_DETECTOR
from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.data.corruptions import compress_jpeg
from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction
from wsdl.detectors.pretrained import PRETRAINED_FOLDER, pretrained_names
from wsdl.inference.calibrate import calibrate
from wsdl.inference.image_input import InputImage, open_image
from wsdl.inference.localize import Localizer, choose_detector
from wsdl.inference.reference import REFERENCE_FILE, read_reference
from wsdl.inference.statistics import ImageProperties, image_statistics

SIZE, COUNT = 64, 60


class Smoothness:
    """A detector that calls smooth images fake, and so every strongly compressed one."""

    input_size, note = SIZE, ""

    def predict(self, images):
        rough = np.abs(np.diff(images.astype(float), axis=2)).mean(axis=(1, 2, 3))
        scores = 1 / (1 + rough)
        return Prediction(np.repeat(scores, SIZE * SIZE).reshape(-1, SIZE, SIZE).astype(np.float32), scores)


def draw(folder: Path, seed: int, noise: float, smooth: int = 0) -> Path:
    """COUNT soft images with noise as of a camera; in `smooth` rows of each the noise is weaker by half."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for i in range(COUNT):
        coarse = Image.fromarray(rng.integers(60, 200, (8, 8, 3), np.uint8)).resize((SIZE, SIZE), Image.BICUBIC)
        sigma = np.full((SIZE, 1, 1), rng.uniform(noise, 1.2 * noise))
        sigma[:smooth] /= 2
        pixels = np.asarray(coarse) + sigma * rng.normal(size=(SIZE, SIZE, 3))
        Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with unaltered images, others like them, fakes, and a run whose weights nobody reads."""
    home = tmp_path_factory.mktemp("reference")
    draw(home / "real", 0, 6)
    draw(home / "more", 1, 6)
    draw(home / "fake", 2, 6, smooth=60)
    (home / "run").mkdir()
    (home / "run" / MODEL_FILE).write_bytes(b"weights")
    return home


@pytest.fixture(scope="module")
def localizer():
    return Localizer("smoothness", Smoothness(), None, SIZE)


@pytest.fixture(scope="module")
def found(home, localizer):
    return calibrate(localizer, home / "run", home / "real", "drawn clouds", [home / "fake"])


def judge(home, localizer, given: InputImage):
    return judge_in(home / "run", localizer, given)


def judge_in(run: Path, localizer, given: InputImage):
    result = localizer(given)
    return read_reference(run).judge(result.score, result.marked, result.properties)


def test_at_most_5_percent_raise_an_alarm_in_each_condition(found):
    assert list(found["conditions"]) == ["as is", "JPEG 75", "resized to 75%"]
    assert all(one["alarms"] <= 0.05 for one in found["conditions"].values())
    assert (found["n"], found["n_fakes"]) == (COUNT, COUNT)


def test_a_condition_that_would_end_all_alarms_is_not_covered(found, home, localizer, tmp_path):
    assert found["conditions"]["as is"]["fake_alarms"] > 0.9
    assert not found["conditions"]["JPEG 75"]["covered"]
    run = Path(shutil.copytree(home / "run", tmp_path / "run"))
    without = calibrate(localizer, run, home / "real", "drawn clouds", limit=30)  # without fakes all are covered
    assert without["n"] == 30
    assert all(one["covered"] for one in without["conditions"].values())
    assert without["alarm"] > found["alarm"]
    assert 0.03 < max(one["alarms"] for one in without["conditions"].values()) <= 0.05
    assert without["conditions"]["JPEG 75"]["verdicts"] > 0.9 > found["conditions"]["JPEG 75"]["verdicts"]


def test_other_images_of_the_kind_get_a_verdict(found, home, localizer):
    verdicts = [judge(home, localizer, open_image(path)) for path in sorted((home / "more").iterdir())]
    assert np.mean([verdict.alarm is not None for verdict in verdicts]) >= 0.9
    assert np.mean([verdict.alarm is True for verdict in verdicts]) <= 0.1
    fakes = [judge(home, localizer, open_image(path)) for path in sorted((home / "fake").iterdir())]
    assert np.mean([verdict.alarm is True for verdict in fakes]) > 0.9


def test_the_place_among_unaltered_images_is_their_share(found, home, localizer):
    quantiles = found["conditions"]["as is"]
    assert len(quantiles["score"]) == len(quantiles["marked"]) == 101
    assert np.all(np.diff(quantiles["score"]) >= 0)
    scores = np.array([localizer(open_image(path)).score for path in sorted((home / "real").iterdir())])
    middle = localizer(open_image(sorted((home / "real").iterdir())[int(np.argsort(scores)[COUNT // 3])]))
    verdict = judge(home, localizer, open_image(sorted((home / "real").iterdir())[int(np.argsort(scores)[COUNT // 3])]))
    assert verdict.score_higher == pytest.approx((scores > middle.score).mean(), abs=0.02)
    assert verdict.images == f"{COUNT} unaltered drawn clouds"
    assert verdict.text.startswith("no alarm: the score is not above 0.")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"quality": 75.0}, "the image is a JPEG of quality 75, and the reference images are lossless"),
        ({"side": 30.0}, "the face or image is 30 px wide, the smallest reference image 48 px"),
        ({"side": 70.0}, "the face or image is 70 px wide, the largest reference image 64 px"),
        ({"statistics": [0, 0, 3, 0, 0]}, r"unlike the drawn clouds .*limit [0-9.]+\), most of all in its sharpness"),
    ],
)
def test_unlike_images_get_no_verdict_but_a_reason(found, home, localizer, change, why):
    about = localizer(open_image(home / "real/000.png")).properties
    if "statistics" in change:
        change = {"statistics": about.statistics + change["statistics"]}
    verdict = read_reference(home / "run").judge(0.9, 0.5, replace(about, **change))
    assert (verdict.alarm, verdict.marked_more) == (None, None)
    assert re.fullmatch(f"no verdict: .*{why}", verdict.text)


def test_an_image_without_a_face_is_unlike_faces(found, home, localizer):
    about = localizer(open_image(home / "real/000.png")).properties
    domain = read_reference(home / "run").domain
    assert domain.unlike(about) == ""
    assert replace(domain, has_faces=True).unlike(about).startswith("no face was found, and the drawn clouds")


def test_images_more_like_others_get_no_verdict(home, localizer, tmp_path):
    draw(tmp_path / "other", 4, 6.8)
    draw(tmp_path / "unseen", 5, 6.8)
    run = Path(shutil.copytree(home / "run", tmp_path / "run"))

    def judged(folder: Path, **more) -> list[str]:
        calibrate(localizer, run, home / "real", "drawn clouds", [home / "fake"], **more)
        return [judge_in(run, localizer, open_image(path)).text for path in sorted(folder.iterdir())]

    said = "no verdict: the image is more like sea (as is) than like the drawn clouds with which"
    assert sum(text.startswith("no verdict") for text in judged(tmp_path / "unseen")) < COUNT / 2
    others = {"sea": tmp_path / "other"}
    assert sum(text.startswith(said) for text in judged(tmp_path / "unseen", others=others)) > COUNT / 2
    assert sum(text.startswith("no verdict") for text in judged(home / "more", others=others)) < COUNT / 2


def test_a_detector_that_finds_few_fakes_gives_no_verdict(found, home, localizer, tmp_path):
    run = Path(shutil.copytree(home / "run", tmp_path / "run"))
    calibrate(localizer, run, home / "real", "drawn clouds", fakes=[home / "more"], limit=40)
    about = localizer(open_image(home / "real/000.png")).properties
    text = read_reference(run).judge(0.9, 0.5, about).text
    assert re.fullmatch(r"no verdict: the detector raises an alarm on only \d+ % of 40 fakes of its kind", text)


def test_the_statistics_of_any_image_are_finite():
    for shape in ((1, 1), (1, 9), (3, 700), (9, 9), (1500, 1100)):
        for value in (0, 255):
            assert np.isfinite(image_statistics(np.full((*shape, 3), value, np.uint8))).all()


def test_a_damaged_reference_is_one_sentence(found, home, tmp_path):
    run = Path(shutil.copytree(home / "run", tmp_path / "run"))
    good = read_json(run / REFERENCE_FILE)
    first = good["domain"]["groups"][0]
    for damage in (
        [], {}, {**good, "alarm": "high"}, {**good, "conditions": {}}, {**good, "conditions": {"as is": 5}},
        {**good, "domain": {**good["domain"], "groups": []}},
        {**good, "domain": {**good["domain"], "groups": [{**first, "mean": [1, 2]}]}},
        {**good, "domain": {**good["domain"], "groups": [{**first, "condition": "fog"}]}},
        {**good, "domain": {**good["domain"], "others": [{**first, "mean": [1, 2]}]}},
    ):  # fmt: skip
        write_json(run / REFERENCE_FILE, damage)
        with pytest.raises(WsdlError, match=r"reference\.json") as error:
            read_reference(run)
        assert "\n" not in str(error.value)


def test_a_reference_of_other_weights_is_none(found, home, tmp_path):
    run = Path(shutil.copytree(home / "run", tmp_path / "run"))
    (run / MODEL_FILE).write_bytes(b"other weights")
    assert read_reference(run) is None


def test_too_few_images_are_refused(home, localizer, tmp_path):
    draw(tmp_path / "few", 0, 6)
    with pytest.raises(WsdlError, match="few: has 5 images, but a measurement needs 10"):
        calibrate(localizer, home / "run", tmp_path / "few", "drawn clouds", limit=5)


def test_the_command_calibrates_and_localize_says_it(run_folder, home, tmp_path, no_parser):
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    words = ["detectors", "calibrate", str(run), "--images", str(home / "real"), "--domain", "drawn clouds",
             "--limit", "25", "--jpeg", "60"]  # fmt: skip
    before = wsdl.localize(home / "more/000.png", run)
    assert before.verdict.alarm is None
    assert str(before).startswith("no verdict: the detector has no reference.json")
    said = json.loads(CliRunner().invoke(app, words, catch_exceptions=False).stdout)
    assert list(said["conditions"]) == ["as is", "JPEG 60", "resized to 75%"]
    result = wsdl.localize(home / "more/000.png", run)
    first, second, third, *_ = result.lines()
    assert first.split(":")[0] in ("alarm", "no alarm")
    assert f"marked {100 * result.marked:.1f} % " in second
    assert f"of 25 unaltered drawn clouds, {100 * result.verdict.marked_more:.0f} % are marked more" in second
    assert third.endswith(f"of these, {100 * result.verdict.score_higher:.0f} % have a higher score")
    assert result.to_dict()["verdict"]["text"] == first


def test_the_overlay_shows_the_words_largest_first(run_folder, home, monkeypatch, no_parser):
    seen = []
    monkeypatch.setattr("wsdl.inference.render.map_sheet", lambda panels, lines, threshold: seen.extend(lines))
    result = wsdl.localize(home / "real/000.png", run_folder)
    result.overlay()
    assert [text for text, _, _ in seen] == result.lines()
    sizes = [size for _, size, _ in seen]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.fixture
def two_detectors(found, home, localizer, tmp_path, monkeypatch, no_parser):
    """Two detectors "shipped": the default for clouds, and one for noisier clouds."""
    draw(tmp_path / "noisy", 3, 20)
    for name, images in (("patches-c-studio", home / "real"), ("other", tmp_path / "noisy")):
        run = tmp_path / "detectors" / name
        write_json(run / "config.json", {"method": "patches", "size": SIZE})
        (run / MODEL_FILE).write_bytes(b"weights")
        calibrate(localizer, run, images, "clouds", limit=40)
    monkeypatch.setattr("wsdl.detectors.pretrained.PRETRAINED_FOLDER", tmp_path / "detectors")
    return tmp_path


def test_the_default_detector_was_calibrated_with_such_images(two_detectors, home):
    assert choose_detector(open_image(home / "more/000.png")) == "patches-c-studio"
    assert choose_detector(open_image(two_detectors / "noisy/000.png")) == "other"
    assert choose_detector(InputImage(Image.new("RGB", (SIZE, SIZE)))) == "patches-c-studio"


def test_photographs_get_the_detector_for_photographs(monkeypatch, no_parser):
    domain = read_reference(PRETRAINED_FOLDER / PHOTOGRAPHS_DETECTOR).domain
    photograph = next(group for group in domain.groups if group.condition == "as is")
    properties = ImageProperties(True, 150.0, 95.0, photograph.mean)
    monkeypatch.setattr("wsdl.inference.localize.find_crop", lambda *_: SimpleNamespace(properties=properties))
    assert choose_detector(InputImage(Image.new("RGB", (SIZE, SIZE)))) == PHOTOGRAPHS_DETECTOR
    render = next(group for group in domain.others if group.condition == "rendered portraits (JPEG 90)")
    properties = replace(properties, statistics=render.mean)
    assert domain.unlike(properties).startswith("the image is more like rendered portraits (JPEG 90) than like the ph")


def test_every_bundled_detector_has_a_reference():
    for name in pretrained_names():
        reference = read_reference(PRETRAINED_FOLDER / name)
        photographs = name.endswith("-photographs")
        assert reference.domain.name == ("photographs of faces" if photographs else "rendered portraits")
        assert all(one["alarms"] <= 0.05 for one in reference.conditions.values())


@pytest.mark.parametrize("name", ["patches-c-studio", "patches-mil-b-studio"])
def test_unseen_renders_get_a_verdict_and_others_none(name):
    data = Dataset(unpack_dataset("studio"))
    reals, fakes = (data.select(kind=kind, split="test").index[:16] for kind in ("real", "partial"))
    results = [wsdl.localize(data.images[i], name).verdict for i in reals]
    assert sum(verdict.alarm is False for verdict in results) >= 14
    results = [wsdl.localize(data.images[i], name).verdict for i in fakes]
    assert sum(verdict.alarm is True for verdict in results) >= 14
    for i in reals[:8]:
        face = Image.fromarray(data.images[i])
        other = (
            compress_jpeg(data.images[i], 90, None),
            face.resize((90, 90), Image.Resampling.BICUBIC),
            face.resize((115, 115), Image.Resampling.BICUBIC),
            np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8),
        )
        for image in other:
            assert wsdl.localize(image, name).verdict.alarm is None


def test_a_compressed_render_raises_no_alarm_by_itself():
    data = Dataset(unpack_dataset("studio"))
    for i in data.select(kind="real", split="test").index[:8]:
        for quality in (90, 75):
            found = wsdl.localize(compress_jpeg(data.images[i], quality, None))
            assert (found.detector, found.verdict.alarm) == (DEFAULT_DETECTOR, None)
