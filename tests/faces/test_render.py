"""Rendered faces: reproducible, labelled and framed as CelebAMask-HQ, made in child processes that may crash."""

import numpy as np
import pytest

pytest.importorskip("anny", reason="the extra wsdl[render] is not installed: anny is missing")
pytest.importorskip("mitsuba", reason="the extra wsdl[render] is not installed: mitsuba is missing")

from wsdl.core.io import WsdlError, read_json
from wsdl.data.images import list_image_files, read_image
from wsdl.data.masks import CLASSES, read_label_map
from wsdl.faces import batch

pytestmark = pytest.mark.slow

SIDE, SAMPLES, FACES = 48, 2, 5
ALLOWED = {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 17, 18}

# Stands in for the renderer: writes a flat face, but dies at the faces named in crashes.txt, a line for each time.
CHILD = """
import os, sys
from pathlib import Path
import numpy as np
from wsdl.data.images import write_image
from wsdl.faces.batch import face_file
out, crashes = Path(sys.argv[1]), Path(sys.argv[1]) / "crashes.txt"
print("ready", flush=True)
for line in sys.stdin:
    left = crashes.read_text().split() if crashes.exists() else []
    if line.strip() in left:
        left.remove(line.strip())
        crashes.write_text(" ".join(left))
        os.abort()
    print("a remark of some library")
    write_image(out / "masks" / face_file(int(line)), np.full((8, 8), 1, np.uint8))
    write_image(out / "images" / face_file(int(line)), np.full((8, 8, 3), int(line), np.uint8))
    print(f"done {line.strip()}", flush=True)
"""


@pytest.fixture(scope="module")
def people():
    """The rig, and people who look straight ahead with open eyes and no hair over them."""
    from wsdl.faces.rig import load_rig
    from wsdl.faces.sample import sample_identity

    head, found = load_rig(), []
    for seed in range(FACES):
        person = sample_identity(seed, ("studio", "snapshot")[seed % 2], head.model.local_change_labels)
        person.pose.yaw = person.pose.pitch = person.pose.roll = 0.0
        for action in ("eyeBlink", "eyeSquint", "cheekSquint"):
            person.actions[action + "Left"] = person.actions[action + "Right"] = 0.0
        person.hair.kind, person.glasses = "short", None
        found.append(person)
    return head, found


@pytest.fixture(scope="module")
def shots(people):
    from wsdl.faces.render import render_identity

    return [render_identity(people[0], person, SIDE, SAMPLES) for person in people[1]]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A child that crashes on demand: `stand_in("1 1 2")` crashes it twice at face 1 and once at face 2."""
    monkeypatch.setattr(batch, "CHILD", ["-c", CHILD])

    def crash(numbers: str):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "crashes.txt").write_text(numbers)
        return tmp_path / "out"

    return crash


def test_shapes_and_types_of_pixels_and_labels(shots):
    for pixels, labels in shots:
        assert pixels.shape == (SIDE, SIDE, 3)
        assert labels.shape == (SIDE, SIDE)
        assert pixels.dtype == labels.dtype == np.uint8
        assert pixels.std() > 10


def test_every_class_is_allowed_and_the_usual_ones_occur(shots):
    found = [set(np.unique(labels)) for _, labels in shots]
    assert set().union(*found) <= ALLOWED
    usual = "skin", "nose", "left brow", "right brow", "upper lip", "lower lip", "hair", "neck", "left eye", "right eye"
    for name in usual:
        assert all(CLASSES.index(name) in one for one in found), name
    assert any(CLASSES.index("cloth") in one for one in found)


def test_eyes_have_the_position_of_celeba_hq(shots):
    """Exact on average; a long face is framed wider, so its eyes are closer together."""
    places = {
        number: np.array([np.argwhere(labels == number).mean(0)[::-1] + 0.5 for _, labels in shots]) / SIDE
        for number in (4, 5)  # 5 is the person's right eye
    }
    assert places[5].mean(0) == pytest.approx((0.385, 0.481), abs=0.015)
    assert places[4].mean(0) == pytest.approx((0.627, 0.483), abs=0.015)
    middle = (places[4] + places[5]) / 2
    assert middle == pytest.approx(np.tile((0.506, 0.482), (FACES, 1)), abs=0.03)


def test_facial_parts_are_in_anatomical_order(shots):
    for _, labels in shots:
        height = {
            name: np.nonzero(labels == CLASSES.index(name))[0].mean()
            for name in CLASSES
            if CLASSES.index(name) in labels
        }
        order = ["hair", "left brow", "left eye", "nose", "upper lip", "lower lip", "neck"]
        assert sorted(order, key=height.get) == order


def test_labels_match_the_rendered_pixels(shots):
    for pixels, labels in shots:
        skin, eyes = pixels[labels == 1].astype(float), pixels[np.isin(labels, (4, 5))].astype(float)
        assert (skin[:, 0] > skin[:, 2]).mean() > 0.9  # skin of every tone is redder than blue
        assert eyes.mean() < skin.mean()  # irises, lashes and the shadow of the lid are darker than skin


def test_skin_behind_glasses_is_glasses_but_eyes_keep_their_class(people):
    from dataclasses import replace

    from wsdl.faces.identity import Glasses
    from wsdl.faces.render import render_identity

    pair = Glasses(0.025, 0.02, 2.5, 0.001, np.array([0.01, 0.01, 0.01]), 0.003)
    labels = render_identity(people[0], replace(people[1][0], glasses=pair), SIDE, SAMPLES)[1]
    assert (labels == 3).sum() > 60
    assert (labels == 4).any()
    assert (labels == 5).any()


def test_a_face_depends_on_its_seed_only():
    from wsdl.faces.render import render_face

    one, again, other = (render_face(seed, "snapshot", 32, 1) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_the_real_child_writes_what_prepare_reads(tmp_path):
    from wsdl.core.io import seed_for
    from wsdl.faces.render import render_face

    images, masks = batch.render_faces(tmp_path, "studio", 1, seed=3, size=32, samples=1)
    pixels, labels = render_face(seed_for(3, "render", "studio", 0), "studio", 32, 1)
    assert np.array_equal(read_image(images / "0000.png"), pixels)  # another process, the same bytes
    assert np.array_equal(read_label_map(masks / "0000.png"), labels)
    recipe = read_json(tmp_path / "recipe.json")
    assert recipe["licence"] == "CC0-1.0"
    assert "not photographs" in recipe["what"]


def test_resuming_fills_only_gaps(stand_in):
    out = stand_in("")
    images, masks = batch.render_faces(out, "studio", 3, workers=2)
    (masks / "0001.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in (images / "0000.png", masks / "0002.png")}
    batch.render_faces(out, "studio", 4, workers=2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list_image_files(images)) == len(list_image_files(masks)) == 4
    with pytest.raises(WsdlError, match=r"style.*'studio'.*'snapshot'"):
        batch.render_faces(out, "snapshot", 4)


def test_a_crashed_child_is_retried(stand_in, capfd):
    images, _ = batch.render_faces(stand_in("1 1"), "studio", 3, workers=1)
    assert len(list_image_files(images)) == 3
    assert capfd.readouterr().err.count("face 1: the renderer crashed") == 2


def test_a_face_that_always_crashes_is_reported_after_the_others(stand_in):
    out = stand_in("0 0 0")
    with pytest.raises(WsdlError, match=r"face 0 .*3 times"):
        batch.render_faces(out, "studio", 3, workers=1)
    assert list(list_image_files(out / "images")) == ["0001", "0002"]


def test_an_error_of_a_child_is_raised_at_once(tmp_path, monkeypatch):
    child = "print('ready', flush=True); input(); print('failed x.png: cannot be written.', flush=True)"
    monkeypatch.setattr(batch, "CHILD", ["-c", child])
    with pytest.raises(WsdlError, match=r"x\.png: cannot be written"):
        batch.render_faces(tmp_path / "out", "studio", 2, workers=1)


def test_a_python_error_in_the_child_is_not_retried(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(batch, "CHILD", ["-c", "print('ready', flush=True); input(); 1 / 0"])
    with pytest.raises(RuntimeError, match="face 0: "):
        batch.render_faces(tmp_path / "out", "studio", 1)
    assert capfd.readouterr().err.count("ZeroDivisionError") == 1


def test_an_unknown_style_is_named(tmp_path):
    with pytest.raises(WsdlError, match=r"--style.*oil"):
        batch.render_faces(tmp_path, "oil", 1)
