"""Pixels without a threshold: scikit-learn is the oracle, of one image exactly, of pooled ones within a tolerance."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.functional.classification import binary_auroc, binary_average_precision, binary_f1_score

from wsdl.evaluation.pixels import HISTOGRAM_STEPS, PixelHistogram, count_by_value, pixel_ap_auc, pixel_f1

SEEDS = st.integers(0, 10_000)


def random_pair(seed: int, side: int = 16, levels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A map that knows something of its mask, with ties if it has few levels."""
    rng = np.random.default_rng(seed)
    mask = rng.random((side, side)) < rng.uniform(0.05, 0.9)
    mask[0, 0], mask[0, 1] = 1, 0
    map_ = np.clip(0.3 * mask + rng.random((side, side)) * 0.7, 0, 1).astype(np.float32)
    return (np.round(map_ * levels) / levels if levels else map_).astype(np.float32), mask.astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([0, 1, 3, 20]))
def test_one_image_equals_scikit_learn_and_torchmetrics(seed, levels):
    map_, mask = random_pair(seed, levels=levels)
    _, fake, real = count_by_value(map_, mask)
    ap, auc = pixel_ap_auc(fake, real)
    assert ap == pytest.approx(average_precision_score(mask.ravel(), map_.ravel()), abs=1e-9)
    assert auc == pytest.approx(roc_auc_score(mask.ravel(), map_.ravel()), abs=1e-9)
    pair = torch.tensor(map_).ravel(), torch.tensor(mask).long().ravel()
    assert ap == pytest.approx(float(binary_average_precision(*pair)), abs=1e-5)
    assert auc == pytest.approx(float(binary_auroc(*pair)), abs=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.3, 0.5, 1.0])
def test_a_constant_map_has_auc_half_and_ap_the_fake_fraction(level):
    mask = random_pair(0)[1]
    map_, tally = np.full(mask.shape, level, np.float32), PixelHistogram()
    tally.add(map_, mask)
    for ap, auc in (pixel_ap_auc(*count_by_value(map_, mask)[1:]), (tally.ap(), tally.auc())):
        assert auc == 0.5
        assert ap == pytest.approx(mask.mean())


@pytest.mark.parametrize("kind", [0, 1])
def test_without_two_kinds_there_is_no_number(kind):
    map_, tally = random_pair(0)[0], PixelHistogram()
    tally.add(map_, np.full(map_.shape, kind))
    assert np.isnan(
        [tally.ap(), tally.auc(), *pixel_ap_auc(*count_by_value(map_, np.full(map_.shape, kind))[1:])]
    ).all()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.495, 0.505), (0, 0.01)])
def test_pooled_pixels_are_within_tolerance_of_scikit_learn(low, high):
    """.0005 for maps that spread over a hundredth of [0, 1] or more."""
    maps, masks = zip(*(random_pair(seed, 48) for seed in range(12)), strict=True)
    maps, masks = low + (high - low) * np.array(maps), np.array(masks)
    tally = PixelHistogram()
    for map_, mask in zip(maps, masks, strict=True):
        tally.add(map_, mask)
    assert tally.ap() == pytest.approx(average_precision_score(masks.ravel(), maps.ravel()), abs=5e-4)
    assert tally.auc() == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=5e-4)


def test_the_tally_does_not_grow_and_counts_every_pixel():
    tally = PixelHistogram()
    for seed in range(30):
        tally.add(*random_pair(seed))
    assert tally.fake.shape == tally.real.shape == (HISTOGRAM_STEPS + 1,)
    assert tally.fake.sum() + tally.real.sum() == 30 * 256


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_the_histogram_counts_as_numpy_does_all_at_once(levels):
    maps, masks = (np.array(part) for part in zip(*(random_pair(seed, 32, levels) for seed in range(8)), strict=True))
    tally = PixelHistogram()
    for map_, mask in zip(maps, masks, strict=True):
        tally.add(map_, mask)
    edges = np.arange(HISTOGRAM_STEPS + 1) / HISTOGRAM_STEPS
    place = np.searchsorted(edges, maps.astype(np.float64))  # the first edge that is not below
    for counts, kind in ((tally.real, 0), (tally.fake, 1)):
        assert np.array_equal(counts, np.bincount(place[masks == kind], minlength=HISTOGRAM_STEPS + 1))


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_a_map_moved_towards_its_mask_never_ranks_worse(seed, part):
    map_, mask = random_pair(seed)
    better = (1 - part) * map_.astype(float) + part * mask
    before, after = (pixel_ap_auc(*count_by_value(m, mask)[1:]) for m in (map_.astype(float), better))
    assert all(b >= a - 1e-9 for a, b in zip(before, after, strict=True))


def test_f1_is_that_of_torchmetrics_and_0_where_there_is_nothing():
    map_, mask = random_pair(4)
    found = map_ > 0.5
    ours = pixel_f1((found & (mask == 1)).sum(), (found & (mask == 0)).sum(), (~found & (mask == 1)).sum())
    expected = binary_f1_score(torch.tensor(found).int().ravel(), torch.tensor(mask).int().ravel())
    assert ours == pytest.approx(float(expected))
    assert pixel_f1(0, 0, 0) == 0
