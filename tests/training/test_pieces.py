"""Pieces: how a piece of one image is fitted into another."""

import numpy as np
import pytest

from wsdl.training.pieces import match_border, random_blobs

SIDE = 64


@pytest.fixture
def piece() -> np.ndarray:
    piece = np.zeros((SIDE, SIDE), bool)
    piece[20:44, 16:40] = True
    return piece


def smooth_image(slope: float, level: float) -> np.ndarray:
    ramp = np.broadcast_to(level + slope * np.arange(SIDE), (SIDE, SIDE))
    return np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)


def test_the_border_of_a_piece_disappears(piece):
    target, content = smooth_image(1.0, 60), smooth_image(-0.5, 180)
    fitted = target.copy()
    fitted[piece] = match_border(content, target, piece)[piece]
    plain = target.copy()
    plain[piece] = content[piece]
    step, plain_step = (np.abs(image[20:44, 15].astype(int) - image[20:44, 16]).mean() for image in (fitted, plain))
    assert plain_step > 50
    assert step < 8


def test_the_texture_of_a_piece_stays(piece):
    noise = np.random.default_rng(0).normal(0, 8, (SIDE, SIDE, 3))
    target = smooth_image(0.0, 60)
    fitted = match_border((180 + noise).astype(np.uint8), target, piece)[piece].astype(float)
    assert fitted.mean() == pytest.approx(60, abs=5)
    assert np.corrcoef(fitted.ravel(), noise[piece].ravel())[0, 1] > 0.95


def test_a_piece_of_the_same_image_is_unchanged(piece):
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert (match_border(image, image, piece) == image).all()


@pytest.mark.parametrize("area", ["nothing", "everything"])
def test_a_piece_without_a_border_is_unchanged(area):
    content, target = smooth_image(1.0, 0), smooth_image(0.0, 200)
    piece = np.full((SIDE, SIDE), area == "everything")
    assert (match_border(content, target, piece) == content).all()


def test_blobs_leave_out_some_of_the_image():
    areas = [random_blobs(SIDE, np.random.default_rng(seed)).mean() for seed in range(40)]
    assert min(areas) < 0.5 < 0.8 < max(areas)
    assert all(0.39 < area < 0.91 for area in areas)
