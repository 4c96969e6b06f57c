"""Properties of rendered faces: expressions, sexes, beards, eyes, shoulders, hair."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("anny", reason="the extra wsdl[render] is not installed: anny is missing")
pytest.importorskip("mitsuba", reason="the extra wsdl[render] is not installed: mitsuba is missing")

from wsdl.faces import template
from wsdl.faces.background import PLACE_SIZE, PLACES, render_place
from wsdl.faces.camera import remove_fireflies, subsurface_blur
from wsdl.faces.facial_hair import BEARD_PARTS
from wsdl.faces.identity import Beard, Pose
from wsdl.faces.rig import load_rig, turn_shoulders
from wsdl.faces.sample import HAIR_COLOURS, sample_identity

pytestmark = pytest.mark.slow

MANY = 300


@pytest.fixture(scope="module")
def crowd():
    names = load_rig().model.local_change_labels
    return [sample_identity(seed, ("studio", "snapshot")[seed % 2], names) for seed in range(MANY)]


def test_most_people_smile(crowd):
    smiles = np.mean([person.actions.get("mouthSmileLeft", 0) > 0.28 for person in crowd])
    assert 0.6 < smiles < 0.85


def test_women_are_narrower_at_jaw_and_brow_and_have_no_beards(crowd):
    women = [person for person in crowd if person.shape["gender"] > 0.5]
    men = [person for person in crowd if person.shape["gender"] < 0.5]
    assert 0.4 < len(women) / MANY < 0.6
    assert np.mean([p.hair.brow_wide for p in women]) < 0.85 * np.mean([p.hair.brow_wide for p in men])
    assert {p.beard.kind for p in women} == {"none"}
    assert {p.beard.kind for p in men} == set(BEARD_PARTS)
    chin = np.abs(load_rig().template - [0, -0.11, 0.6]).max(1) < 0.035
    wide = [[np.ptp(load_rig().vertices(p.shape, p.local, {})[chin, 0]) for p in sex[:8]] for sex in (women, men)]
    assert np.mean(wide[0]) < 0.96 * np.mean(wide[1])


def test_brow_labels_match_the_brow_opacity():
    head = load_rig()
    for wide in (0.7, 1.3):
        labels = template.add_brows(head.classes, head.positions, wide)
        brow = np.isin(labels, (template.LEFT_BROW, template.RIGHT_BROW))
        opacity = template.brow_opacity(head.positions, wide)
        assert opacity[brow].min() > 0.3
        assert opacity[~brow].max() < 0.4
    assert not np.isin(head.classes, (template.LEFT_BROW, template.RIGHT_BROW)).any()


def test_a_beard_darkens_the_chin_and_counts_as_skin(crowd):
    from wsdl.faces.render import render_identity

    person = next(p for p in crowd if p.beard.kind == "full" and p.skin.dark < 2 and p.hair.colour.mean() < 0.1)
    person = replace(person, pose=Pose(0, 0, 0, 0, 0), glasses=None)
    shaved = replace(person, beard=Beard("none", 0.0, 0.0))
    blond = replace(person, hair=replace(person.hair, colour=np.array(HAIR_COLOURS["blond"])))
    (bearded, labels), (bare, same), (light, _) = (
        render_identity(load_rig(), one, 48, 2) for one in (person, shaved, blond)
    )
    lip = np.nonzero(same == template.LOWER_LIP)
    chin = lip[0].max() + 3, int(lip[1].mean())
    assert labels[chin] == template.SKIN
    assert bearded[chin].mean() < 0.8 * bare[chin].mean()
    red, green, _ = light[chin[0] - 1 : chin[0] + 2, chin[1] - 3 : chin[1] + 4].reshape(-1, 3).mean(0)
    assert red > 1.2 * green  # blond, not olive
    assert set(np.unique(labels)) <= set(np.unique(same))


def test_the_white_of_the_eye_is_shaded_by_the_lids(crowd):
    from wsdl.faces.parts import Lids, eye_colours

    margin = np.array([[-0.015, 0, 0.004], [0, 0, 0.005], [0.015, 0, 0.004]])
    lids = Lids(margin, margin * [1, 1, -1])
    points = np.array([[[0.008, 0, 0.0045]], [[0.008, 0, -0.001]], [[0.0145, 0, -0.001]]]).repeat(64, 1)
    top, middle, corner = eye_colours(
        np.full((3, 64), 0.01), points, lids, crowd[0].eyes, np.random.default_rng(0)
    ).mean(1)
    assert top.mean() < 0.6 * middle.mean()
    assert middle.max() < 0.7
    assert corner[0] / corner[1] > 1.2 * middle[0] / middle[1]  # redder


def test_shoulders_turn_below_a_head_that_stays():
    head = load_rig()
    turned = turn_shoulders(head.template, head, Pose(0, 0, 0, turn=20, lean=4))
    face = head.template[:, 2] > 0.62
    assert np.allclose(turned[face], head.template[face])
    shoulder = np.argmax(head.template[:, 0] * (np.abs(head.template[:, 2] - 0.42) < 0.03))
    assert np.linalg.norm(turned[shoulder] - head.template[shoulder]) > 0.03


def test_fireflies_in_hair_are_removed():
    light = np.full((16, 16, 3), 0.1)
    light[5, 5] = 2.0
    light[10, 10] = 2.0
    hair = np.zeros((16, 16), bool)
    hair[:8] = True
    calmed = remove_fireflies(light, hair)
    assert calmed[5, 5].max() < 0.2
    assert np.allclose(calmed[10, 10], 2.0)  # not hair
    assert np.allclose(calmed[hair & (light[..., 0] < 1)], 0.1)
    assert np.array_equal(remove_fireflies(light, np.zeros((16, 16), bool)), light)


def test_subsurface_blur_spreads_red_in_skin_only():
    labels = np.full((32, 32), template.SKIN)
    labels[:, 24:] = template.HAIR
    light = np.zeros((32, 32, 3))
    light[:, 16:] = 0.5
    soft = subsurface_blur(light, np.full((32, 32, 6), 0.5), labels)
    assert np.array_equal(soft[:, 24:], light[:, 24:])
    assert soft[16, 15, 0] > 1.5 * soft[16, 15, 2]
    assert soft[16, 4] == pytest.approx(np.zeros(3), abs=1e-3)


@pytest.mark.parametrize("kind", PLACES)
def test_places_depend_on_the_seed(kind):
    one, again, other = (render_place(kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (PLACE_SIZE, PLACE_SIZE, 3)
    assert one.min() >= 0
    assert one.std() > 0.01
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_snapshots_are_taken_at_every_place(crowd):
    found = {person.background.kind for person in crowd if person.style == "snapshot"}
    assert found == set(PLACES)
