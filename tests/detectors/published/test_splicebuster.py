"""The localisation of Noiseprint on synthetic noise: it finds the region of other noise, and needs no weights."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from wsdl.detectors.published.splicebuster import _CLASS_OF, CLASSES, outlying_map, squares, window_features

GREY = np.full((256, 256), 0.5, np.float32)
MASK = np.zeros((256, 256), bool)
MASK[60:180, 100:200] = True


def noise_of_two_kinds(seed: int = 0) -> np.ndarray:
    """White noise, and inside MASK noise of pairs of equal pixels, both of the same strength."""
    rng = np.random.default_rng(seed)
    pairs = rng.normal(size=(256, 128)).repeat(2, axis=1)
    return np.where(MASK, pairs, rng.normal(size=(256, 256))).astype(np.float32)


def enlarged(map_: np.ndarray) -> np.ndarray:
    return map_.repeat(8, axis=0).repeat(8, axis=1)


def test_the_rarer_kind_of_noise_is_marked():
    map_, gain = outlying_map(noise_of_two_kinds(), GREY)
    assert map_.shape == (32, 32)
    assert map_.min() >= 0
    assert map_.max() <= 1
    assert average_precision_score(MASK.ravel(), enlarged(map_).ravel()) > 0.8
    found = enlarged(map_) > 0.5
    assert (found & MASK).sum() / (found | MASK).sum() > 0.4
    assert gain > outlying_map(np.random.default_rng(0).normal(size=(256, 256)), GREY)[1] + 0.3


def test_the_strength_of_the_noise_does_not_matter():
    noise = noise_of_two_kinds()
    assert np.array_equal(outlying_map(noise, GREY)[0], outlying_map(1000 * noise, GREY)[0])


def test_a_result_can_be_repeated():
    first, second = (outlying_map(noise_of_two_kinds(), GREY) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_dark_and_saturated_windows_are_never_marked(value):
    grey = GREY.copy()
    grey[:, :100] = value
    map_, _ = outlying_map(noise_of_two_kinds(), grey)
    assert (map_[:, :8] == 0).all()
    assert map_[:, 16:].max() > 0.5
    assert outlying_map(noise_of_two_kinds(), np.full_like(GREY, value)) == (pytest.approx(np.zeros((32, 32))), 0)


def test_features_are_frequencies_of_25_strings_each_way():
    features, valid = window_features(noise_of_two_kinds(), GREY > 0)
    assert CLASSES == 25
    assert features.shape == (32, 32, 50)
    assert valid.all()
    assert (features[..., :25] ** 2).sum(-1) == pytest.approx(np.ones((32, 32)))
    assert (features[..., 25:] ** 2).sum(-1) == pytest.approx(np.ones((32, 32)))


def test_mirrored_and_negative_strings_are_one_class():
    class_of = _CLASS_OF.reshape(3, 3, 3, 3)
    assert np.array_equal(class_of, class_of.transpose(3, 2, 1, 0))
    assert np.array_equal(class_of, class_of[::-1, ::-1, ::-1, ::-1])
    assert set(class_of.ravel()) == set(range(CLASSES))


def test_sides_that_are_no_multiple_of_the_stride():
    map_, _ = outlying_map(noise_of_two_kinds()[:251, :190], GREY[:251, :190])
    assert map_.shape == (31, 23)


def test_em_starts_from_every_part_of_the_image():
    starts = squares((32, 40))
    assert len(starts) == 9
    assert np.logical_or.reduce(starts).all()
    assert all(inside.sum() == 16 * 20 for inside in starts)
