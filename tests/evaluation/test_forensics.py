"""Forensic methods on images with a known processing history."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from wsdl.evaluation.forensics import ELA_FULL, FORENSIC_BASELINES, ela, noise_residual

SQUARE = (slice(24, 56), slice(16, 48))


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def texture(seed: int, side: int = 96) -> np.ndarray:
    """A soft pattern with a little noise: uint8 [side, side, 3]."""
    rng = np.random.default_rng(seed)
    soft = gaussian_filter(rng.normal(0, 1, (side, side)), 6)
    noise = rng.normal(0, 4, (side, side))
    return np.repeat((128 + 300 * soft + noise).clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)


def inside_and_outside(map_: np.ndarray) -> tuple[float, float]:
    outside = np.ones(map_.shape, bool)
    outside[SQUARE] = False
    return float(map_[SQUARE].mean()), float(map_[outside].mean())


def test_a_pasted_square_of_another_jpeg_stands_out_in_ela():
    image = as_jpeg(as_jpeg(texture(0), 90), 90)
    before = inside_and_outside(ela(image))
    pasted = image.copy()
    pasted[SQUARE] = as_jpeg(texture(1), 60)[27:59, 21:53]  # its blocks of 8 pixels do not fall on those of the rest
    inside, outside = inside_and_outside(ela(pasted))
    assert inside > 3 * outside
    assert max(before) < 0.01  # it had settled
    assert inside > 0.05


def test_ela_is_the_largest_change_of_a_colour_on_a_fixed_scale():
    image = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    change = np.abs(as_jpeg(image, 70).astype(int) - image).max(axis=2)
    np.testing.assert_allclose(ela(image, 70), np.minimum(change / ELA_FULL, 1), atol=1e-6)
    assert ela(texture(0), 20).sum() > 1.5 * ela(texture(0), 95).sum()


@pytest.mark.parametrize("change", ["denoised", "noisier"])
def test_a_square_of_other_noise_stands_out_in_the_residual(change):
    image = texture(0)
    if change == "denoised":
        image[SQUARE] = gaussian_filter(image.astype(float), (2, 2, 0))[SQUARE]
    else:
        noise = np.random.default_rng(1).normal(0, 40, image.shape[:2])[..., None]
        image[SQUARE] = (image + noise).clip(0, 255)[SQUARE]
    inside, outside = inside_and_outside(noise_residual(image))
    assert inside > 0.5  # called fake
    assert outside < 0.2
    assert max(inside_and_outside(noise_residual(texture(0)))) < 0.2


@pytest.mark.parametrize("method", FORENSIC_BASELINES.values())
def test_a_flat_image_gives_a_zero_map(method):
    assert not method(np.full((32, 40, 3), 90, np.uint8)).any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), contrast=st.integers(1, 255))
def test_maps_are_valid_for_any_image(seed, contrast):
    image = np.random.default_rng(seed).integers(0, contrast + 1, (17, 23, 3)).astype(np.uint8)
    for method in FORENSIC_BASELINES.values():
        map_ = method(image)
        assert (map_.shape, map_.dtype) == ((17, 23), np.float32)
        assert map_.min() >= 0
        assert map_.max() <= 1


@pytest.mark.parametrize("method", FORENSIC_BASELINES.values())
def test_a_map_depends_on_its_image_alone(method):
    images = np.stack([texture(0), np.zeros((96, 96, 3), np.uint8), as_jpeg(texture(1), 50)])
    before = images.copy()
    together = [method(image) for image in images]
    assert np.array_equal(images, before)
    for map_, image in zip(together[::-1], images[::-1], strict=True):
        assert np.array_equal(method(image), map_)


@pytest.mark.parametrize("method", FORENSIC_BASELINES.values())
def test_other_arrays_are_refused(method):
    for wrong in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)):
        with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
            method(wrong)
