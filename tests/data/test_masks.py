"""Masks: polarity in memory and on disk, and dilation as in the paper."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter

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
    pixels = np.array([[[255, 0, 0], [90, 255, 255], [90, 0, 0], [255, 255, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 1, 1, 0]]


@pytest.fixture
def ellipse() -> np.ndarray:
    """A region of 8 % of the image: uint8 [128, 128], 1 = fake."""
    y, x = np.indices((128, 128))
    return (((x - 64) / 25) ** 2 + ((y - 70) / 17) ** 2 <= 1).astype(np.uint8)


def spoil_by_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_by_jpeg,
        lambda image: image.filter(ImageFilter.GaussianBlur(2)),
        lambda image: image.resize((64, 64), Image.Resampling.BILINEAR).resize((128, 128), Image.Resampling.BICUBIC),
    ],
)
def test_blurred_masks_are_split_at_the_middle(ellipse, tmp_path, spoil, capsys):
    for name in ("a.png", "b.png"):
        spoil(Image.fromarray(255 - 255 * ellipse)).save(tmp_path / name)
        mask = read_mask(tmp_path / name)
        assert (mask & ellipse).sum() / (mask | ellipse).sum() > 0.95
    printed = capsys.readouterr().err
    assert printed.count("is not two-valued") == 1  # one line for a folder
    assert f"{tmp_path / 'a.png'}: " in printed


@pytest.mark.parametrize(
    "values",
    [[0, 1], [7], [254], [250, 255], [0, 128, 255], list(range(256)), [254, 255], [128, 129], [1, 2, 3]],
)
def test_an_image_with_other_values_is_no_mask(tmp_path, values):
    Image.fromarray(np.resize(np.array(values, np.uint8), (8, 32))).save(tmp_path / "m.png")
    with pytest.raises(WsdlError, match=rf"m\.png: is not a mask; .*go from {values[0]} to {values[-1]}, but"):
        read_mask(tmp_path / "m.png")


@pytest.mark.parametrize("bits", [1, 16])
def test_masks_of_any_bit_depth(ellipse, tmp_path, bits):
    real = ellipse == 0
    image = Image.fromarray(real) if bits == 1 else Image.fromarray(np.where(real, 65535, 0).astype(np.uint16))
    image.save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), ellipse)


@pytest.mark.parametrize("read", [read_mask, read_label_map])
def test_a_rotated_mask_is_refused(tmp_path, read):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("L", (4, 4)).save(tmp_path / "m.png", exif=exif)
    with pytest.raises(WsdlError, match=r"m\.png: .*EXIF orientation 3"):
        read(tmp_path / "m.png")


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
        (lambda p: p.write_bytes(b"not an image"), "is not an image"),
        (lambda p: Image.new("L", (4, 4)).save(p, "JPEG"), "is a JPEG, which changes class numbers"),
    ],
)
def test_bad_label_maps_are_named(tmp_path, write, message):
    write(tmp_path / "l.png")
    with pytest.raises(WsdlError, match=rf"l\.png: .*{message}"):
        read_label_map(tmp_path / "l.png")
