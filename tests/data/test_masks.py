"""Masks: polarity in memory and on disk, and dilation as in the paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.data.masks import (
    COMPONENTS,
    component_mask,
    dilate,
    random_region,
    read_label_map,
    read_mask,
    visible_components,
    write_mask,
)

MASKS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1))


@settings(max_examples=40, deadline=None)
@given(mask=MASKS)
def test_a_mask_is_read_as_it_was_written(mask, tmp_path_factory):
    path = tmp_path_factory.mktemp("mask") / "m.png"
    write_mask(path, mask)
    assert np.array_equal(read_mask(path), mask)
    on_disk = Image.open(path)
    assert on_disk.mode == "RGB"
    assert np.array_equal(np.asarray(on_disk), np.where(mask == 1, 0, 255)[..., None].repeat(3, axis=2))


def test_only_red_255_is_real(tmp_path):
    """The official code: fake is "red channel != 255", whatever the values of green and blue."""
    pixels = np.array([[[255, 0, 0], [254, 255, 255], [0, 0, 0], [255, 255, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 1, 1, 0]]


@settings(max_examples=60, deadline=None)
@given(mask=MASKS, radius=st.floats(0, 5))
def test_dilation_is_a_disc(mask, radius):
    y, x = np.nonzero(mask)
    rows, columns = np.indices(mask.shape)
    distance = np.hypot(rows[..., None] - y, columns[..., None] - x).min(axis=-1, initial=np.inf)
    assert np.array_equal(dilate(mask, radius), distance <= radius)


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((64, 64), np.uint8)
    labels[10:50, 10:50] = 1  # skin
    labels[20:24, 16:20], labels[20:24, 40:44] = 4, 5  # eyes
    labels[40:44, 26:38] = 11  # upper lip
    return labels


def test_a_component_is_the_union_of_its_classes(labels):
    assert component_mask(labels, "eyes").sum() == 32
    assert component_mask(labels, "mouth").sum() == 48
    assert visible_components(labels) == ["skin", "eyes", "mouth"]


def test_a_component_of_a_few_pixels_is_absent(labels):
    labels[0, :4] = 2  # MIN_AREA of 64 x 64 is 4.096 pixels
    assert "nose" not in visible_components(labels)
    labels[0, 4] = 2
    assert "nose" in visible_components(labels)


@pytest.mark.parametrize("size", [64, 256])
def test_small_components_grow_by_1_to_15_px_at_256(size, labels):
    labels = labels.repeat(size // 64, axis=0).repeat(size // 64, axis=1)
    eyes = component_mask(labels, "eyes")
    allowed = [dilate(eyes, pixels * size / 256) for pixels in range(1, 16)]
    seen = set()
    for seed in range(60):
        grown = random_region(labels, "eyes", np.random.default_rng(seed))
        assert grown.dtype == np.uint8
        matches = [i for i, mask in enumerate(allowed) if np.array_equal(mask, grown)]
        assert matches
        seen.add(matches[-1])
    assert 14 in seen  # 15 px was drawn
    assert len(seen) > 5


def test_skin_is_not_dilated(labels):
    grown = random_region(labels, "skin", np.random.default_rng(0))
    assert np.array_equal(grown, component_mask(labels, "skin"))


def test_the_components_are_those_of_the_paper():
    assert list(COMPONENTS) == ["skin", "hair", "eyes", "mouth", "nose", "glasses"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: Image.fromarray(np.full((4, 4), 19, np.uint8)).save(p), "class 19.* 0-18"),
        (lambda p: Image.new("RGB", (4, 4)).save(p), "mode RGB"),
        (lambda p: p.write_bytes(b"not an image"), "cannot be read"),
    ],
)
def test_bad_label_maps_are_named(tmp_path, write, message):
    write(tmp_path / "l.png")
    with pytest.raises(WsdlError, match=rf"l\.png: .*{message}"):
        read_label_map(tmp_path / "l.png")
