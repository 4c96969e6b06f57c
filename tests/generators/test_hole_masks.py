"""Holes to train with: never empty, never everything, decided by their seed alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdl.data.masks import COMPONENTS, component_mask
from wsdl.generators.inpainting import hole_masks as module
from wsdl.generators.inpainting.hole_masks import (
    MAX_STROKE_AREA,
    MIN_STROKE_AREA,
    hole_masks,
    random_hole_mask,
    stroke_mask,
)


def face(size: int = 32) -> np.ndarray:
    """A label map that shows every component, each on a 4 x 4 square."""
    labels = np.zeros((size, size), np.uint8)
    for i, classes in enumerate(COMPONENTS.values()):
        labels[8:12, 2 + 5 * i : 6 + 5 * i] = classes[0]
    return labels


@settings(max_examples=40, deadline=None)
@given(size=st.sampled_from([16, 32, 65]), seed=st.integers(0, 10_000))
def test_strokes_cover_some_and_never_much(size, seed):
    drawn = stroke_mask(size, np.random.default_rng(seed))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (size, size)
    assert set(np.unique(drawn)) == {0, 1}
    assert MIN_STROKE_AREA <= drawn.mean() <= MAX_STROKE_AREA
    assert np.array_equal(drawn, stroke_mask(size, np.random.default_rng(seed)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_hole_holds_a_whole_component_or_is_made_of_strokes(seed):
    labels = face()
    drawn = random_hole_mask(labels, np.random.default_rng(seed))
    assert drawn.dtype == np.uint8
    assert 0 < drawn.mean() < 1
    whole = [drawn[component_mask(labels, name)].all() for name in COMPONENTS]
    assert any(whole) or drawn.mean() >= MIN_STROKE_AREA


def test_components_and_strokes_both_come_in_their_share(monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "stroke_mask", lambda size, rng: drawn.append(size) or np.ones((size, size), np.uint8))
    hole_masks(np.stack([face()] * 400), "share")
    assert 0.2 < len(drawn) / 400 < 0.3


def test_every_component_comes_up():
    labels, seen = face(), set()
    for seed in range(80):
        drawn = random_hole_mask(labels, np.random.default_rng(seed))
        seen |= {name for name in COMPONENTS if drawn[component_mask(labels, name)].all()}
    assert seen == set(COMPONENTS)


def test_a_face_without_components_gets_strokes():
    assert 0 < random_hole_mask(np.zeros((32, 32), np.uint8), np.random.default_rng(0)).mean() <= MAX_STROKE_AREA


def test_a_hole_depends_on_its_place_and_not_on_its_neighbours():
    labels = np.stack([face(), face(), np.zeros((32, 32), np.uint8)])
    drawn = hole_masks(labels, 5, "hole", 0)
    assert np.array_equal(drawn[:1], hole_masks(labels[:1], 5, "hole", 0))
    assert not np.array_equal(drawn, hole_masks(labels, 5, "hole", 1))
    assert not np.array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize("seed", range(3))
def test_strokes_of_other_seeds_differ(seed):
    one, other = (stroke_mask(32, np.random.default_rng(s)) for s in (seed, seed + 1))
    assert not np.array_equal(one, other)
