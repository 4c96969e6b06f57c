"""Masks for a folder of images, and alignment by the eyes."""

import math
import shutil

import numpy as np
import pytest
from factories import PARSER, Oracle, face_labels, oracle_image
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError, write_json
from wsdl.core.weights import save_model
from wsdl.data.dataset import Dataset
from wsdl.data.images import resize_image
from wsdl.data.masks import read_label_map
from wsdl.data.prepare import prepare_dataset
from wsdl.parsing.align import EYE_POSITIONS, NoFaceError, align_face, eye_centres, similarity_to_aligned
from wsdl.parsing.network import FaceUNet
from wsdl.parsing.parse import parse_folder


@pytest.fixture
def unchecked(monkeypatch):
    """After its short training the parser finds no eyes: disable the check for a face."""
    monkeypatch.setattr("wsdl.parsing.parse.check_face", lambda labels: None)


@pytest.fixture
def portraits(made_up, tmp_path):
    """Five images of other shapes and formats, with their true label maps by stem."""
    folder, truth = tmp_path / "portraits", {}
    folder.mkdir()
    for i, path in enumerate(sorted(made_up[0].iterdir())[:5]):
        labels = read_label_map(made_up[1] / f"{path.stem}.png")
        image = np.asarray(Image.open(path))
        if i == 1:  # taller than wide: only the central square is parsed
            image = np.pad(image, ((10, 10), (0, 0), (0, 0)), mode="edge")
            labels = np.pad(labels, ((10, 10), (0, 0)))
        if i == 2:  # smaller than the parser's images
            image, labels = image[::2, ::2], labels[::2, ::2]
        Image.fromarray(image).save(folder / f"{path.stem}.{'jpg' if i == 3 else 'png'}")
        truth[path.stem] = labels
    return folder, truth


def test_parse_writes_a_mask_of_the_same_size_and_stem_per_image(portraits, trained, unchecked, tmp_path):
    folder, truth = portraits
    out = tmp_path / "masks"
    parse_folder(folder, out, trained)
    assert {path.stem for path in out.glob("*.png")} == set(truth)
    for stem, expected in truth.items():
        found = read_label_map(out / f"{stem}.png")
        assert found.shape == expected.shape
        assert (found == expected).mean() > 0.5
    prepare_dataset(folder, out, tmp_path / "data", size=32)  # what the masks are for
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    gone = min(before)
    gone.unlink()
    parse_folder(folder, out, trained)
    assert gone.exists()
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path != gone)
    retrained = shutil.copytree(trained, tmp_path / "retrained")
    save_model(FaceUNet(PARSER.widths), retrained)
    with pytest.raises(WsdlError, match="parser"):
        parse_folder(folder, out, retrained)


def test_parse_does_not_overwrite_other_files(portraits, trained, made_up, tmp_path):
    folder, _ = portraits
    with pytest.raises(WsdlError, match=r"portraits: .*--out"):
        parse_folder(folder, folder, trained)
    human = shutil.copytree(made_up[1], tmp_path / "human")
    with pytest.raises(WsdlError, match=r"data parse.*--out"):
        parse_folder(folder, human, trained)


def test_bad_images_raise_or_are_skipped_and_reported(portraits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("wsdl.parsing.parse.load_parser", lambda model: Oracle())
    folder = tmp_path / "faces"
    folder.mkdir()
    tall, face = ((6, 7), (0, 0)), face_labels(64, np.array([[24, 30], [40, 30.0]]), 2.5)
    labels = np.pad(face, tall)  # outside the central square masks are background, whatever is there: here neck
    Image.fromarray(oracle_image(np.pad(face, tall, constant_values=17))).save(folder / "good.png")
    (folder / "broken.png").write_bytes(b"not an image")
    with pytest.raises(WsdlError, match=r"broken\.png: "):
        parse_folder(folder, tmp_path / "out")
    (folder / "broken.png").unlink()
    Image.new("RGB", (64, 64)).save(folder / "night.png")
    with pytest.raises(WsdlError, match=r"night\.png: .*no face.*0%"):
        parse_folder(folder, tmp_path / "out")
    Image.fromarray(oracle_image(np.where(labels == 1, 1, 0))).save(folder / "blank.png")
    (folder / "broken.png").write_bytes(b"not an image")
    parse_folder(folder, tmp_path / "out", skip_bad=True)
    printed = capsys.readouterr().err
    assert all(f"{name}.png: " in printed for name in ("broken", "night", "blank"))
    assert "blank.png: no face was found (it shows neither eyes nor nose nor mouth only)" in printed
    assert "masks of 1 of 4 images" in printed
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["good.png"]
    assert np.array_equal(read_label_map(tmp_path / "out/good.png"), labels)


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(70, 130), y=st.floats(70, 130), apart=st.floats(24, 60), tilt=st.floats(-40, 40),
    size=st.sampled_from([32, 64, 100]),
)  # fmt: skip
def test_alignment_moves_eyes_to_their_position_in_celeba_hq(x, y, apart, tilt, size):
    """Any similarity of a drawn face: found, aligned, and found again at the right place."""
    middle = np.array([x, y])
    half = apart / 2 * np.array([math.cos(math.radians(tilt)), math.sin(math.radians(tilt))])
    eyes = np.stack([middle - half, middle + half])
    labels = face_labels(200, eyes, apart / 6)
    found = eye_centres(labels)
    np.testing.assert_allclose(found, eyes, atol=0.3)
    np.testing.assert_allclose(similarity_to_aligned(found, size)(EYE_POSITIONS * size), found, atol=1e-6)
    image = Image.fromarray(np.repeat(255 * np.isin(labels, (4, 5))[..., None], 3, -1).astype(np.uint8))
    bright = np.asarray(align_face(image, found, size))[..., 0] > 127
    assert bright.shape == (size, size)
    places = (np.stack(np.nonzero(bright)[::-1], axis=1) + 0.5) / size
    for eye in EYE_POSITIONS:  # near the border there may be reflected eyes
        near = places[np.hypot(*(places - eye).T) < 0.1]
        np.testing.assert_allclose(near.mean(axis=0), eye, atol=1 / size)


def test_alignment_halves_large_images_as_prepare_does():
    """Eight pixels become one: single pixels must be averaged, not picked."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8))
    small = np.asarray(align_face(image, EYE_POSITIONS * 512, 64))
    assert np.abs(small.astype(int) - np.asarray(resize_image(image, 64))).max() <= 4  # Pillow rounds in several ways
    same = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    assert np.abs(np.asarray(align_face(same, EYE_POSITIONS * 64, 64)).astype(int) - np.asarray(same)).max() <= 1


def test_implausible_eyes_are_refused():
    good = np.array([[40, 50], [70, 52.0]])
    eye_centres(face_labels(128, good, 4))
    for labels, why in (
        (np.zeros((128, 128)), "no eyes"),
        (np.where(np.indices((128, 128))[1] < 55, face_labels(128, good, 4), 0), "one eye"),
        (face_labels(128, np.array([[60, 50], [66, 50.0]]), 2), "5% of the .* apart"),
        (face_labels(128, np.array([[60, 30], [64, 70.0]]), 4), "84 degrees"),
    ):
        with pytest.raises(NoFaceError, match=why):
            eye_centres(labels)
    speck = face_labels(128, good, 5)
    speck[50:54, 100:103] = 4  # a wrong spot smaller than both eyes changes nothing
    np.testing.assert_allclose(eye_centres(speck), good, atol=0.3)


def test_parse_aligned_writes_images_and_masks_for_prepare(tmp_path, monkeypatch):
    monkeypatch.setattr("wsdl.parsing.parse.load_parser", lambda model: Oracle())
    folder, out = tmp_path / "faces", tmp_path / "aligned"
    folder.mkdir()
    for i in range(4):
        labels = face_labels(160, np.array([[60, 70 + i], [90, 72.0 + 2 * i]]), 5)
        image = np.pad(oracle_image(labels), ((0, 40 + i), (0, 0), (0, 0)))
        Image.fromarray(image).save(folder / f"{i}.png")
    parse_folder(folder, out, aligned=True, size=96)
    for i in range(4):
        assert Image.open(out / f"images/{i}.png").size == (96, 96)
        labels = read_label_map(out / f"masks/{i}.png")
        # The oracle reads colours, and interpolation mixes them at edges: eyes have a rim of other classes.
        np.testing.assert_allclose(eye_centres(labels) / 96, EYE_POSITIONS, atol=0.02)
    prepare_dataset(out / "images", out / "masks", tmp_path / "data", size=64)
    assert len(Dataset(tmp_path / "data").table) == 4


def test_commands(portraits, faces, trained, unchecked, tmp_path):
    run = CliRunner().invoke
    folder, truth = portraits
    arguments = ["data", "parse", "--images", folder, "--out", tmp_path / "masks", "--model", trained, "--skip-bad"]
    assert run(app, [str(word) for word in arguments], catch_exceptions=False).exit_code == 0
    assert len(list((tmp_path / "masks").glob("*.png"))) == len(truth)
    arguments = ["data", "parse-score", "--data", faces, "--model", trained, "--split", "valid"]
    printed = run(app, [str(word) for word in arguments], catch_exceptions=False).stdout
    assert printed.startswith("part,images,f1,mean,low,high\nskin,2,")
    write_json(tmp_path / "nothing/config.json", {})
    assert isinstance(run(app, ["train-parser", "--data", str(tmp_path), "--out", str(tmp_path)]).exception, WsdlError)
