"""Metrics against scikit-learn and torchmetrics, and against what must hold for any image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from sklearn.metrics import accuracy_score, average_precision_score, jaccard_score
from torchmetrics.classification import BinaryAccuracy, BinaryAveragePrecision, BinaryJaccardIndex

from wsdl.detectors.prediction import scored_by_mean
from wsdl.evaluation import metrics
from wsdl.evaluation.baselines import TRIVIAL_BASELINES

SHAPE = array_shapes(min_dims=2, max_dims=2, max_side=12)


@st.composite
def two_masks(draw):
    shape = draw(SHAPE)
    return draw(arrays(np.uint8, shape, elements=st.integers(0, 1))), draw(arrays(bool, shape))


def masks(seed, area=0.2, shape=(32, 32)):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < 0.4), (rng.random(shape) < area).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_iou_and_pbca_agree_with_sklearn_and_torchmetrics(seed):
    predicted, mask = masks(seed)
    flat = mask.ravel(), predicted.ravel().astype(int)
    tensors = torch.tensor(predicted).int(), torch.tensor(mask)
    assert metrics.iou(predicted, mask) == pytest.approx(jaccard_score(*flat))
    assert metrics.iou(predicted, mask) == pytest.approx(BinaryJaccardIndex()(*tensors).item(), abs=1e-6)
    assert metrics.pbca(predicted, mask) == pytest.approx(accuracy_score(*flat))
    assert metrics.pbca(predicted, mask) == pytest.approx(BinaryAccuracy()(*tensors).item(), abs=1e-6)


@given(two_masks())
def test_iou_is_symmetric_bounded_and_below_pbca_of_small_masks(pair):
    a, b = pair
    assert metrics.iou(a, b) == metrics.iou(b, a)
    assert 0 <= metrics.iou(a, b) <= 1
    assert metrics.iou(a, a) == metrics.pbca(a, a) == 1
    assert (metrics.iou(a, b) == 1) == (metrics.pbca(a, b) == 1) == bool((a == b).all())


@given(two_masks())
def test_complements(pair):
    a, b = pair
    assert metrics.pbca(1 - a, b) == pytest.approx(1 - metrics.pbca(a, b))
    assert metrics.pbca(1 - a, ~b) == metrics.pbca(a, b)
    assert metrics.iou(a, 1 - a) == 0


@given(two_masks())
def test_trivial_baselines_score_as_documented(pair):
    mask = pair[0]
    area = mask.mean()
    all_fake = metrics.binary(TRIVIAL_BASELINES["all-fake"](0, mask.shape))
    all_real = metrics.binary(TRIVIAL_BASELINES["all-real"](0, mask.shape))
    if area:  # else the union with all-real is empty
        assert metrics.iou(all_fake, mask) == pytest.approx(area)
        assert metrics.iou(all_real, mask) == 0
    assert metrics.pbca(all_fake, mask) == pytest.approx(area)
    assert metrics.pbca(all_real, mask) == pytest.approx(1 - area)


def test_an_empty_union_counts_as_one():
    empty = np.zeros((4, 4), bool)
    assert metrics.iou(empty, empty) == 1
    assert metrics.iou(~empty, empty) == 0


def test_the_threshold_is_strict():
    map_ = np.array([[0.5, np.nextafter(np.float32(0.5), np.float32(1))]], np.float32)
    assert metrics.binary(map_).tolist() == [[False, True]]
    assert metrics.binary(np.float32([[0.62]]), np.float64(np.float32(0.62))).tolist() == [[False]]
    assert not metrics.binary(np.full((2, 2), 0.5)).any()


def test_upsample_is_pil_bicubic_and_clips_what_shoots_over():
    map_ = np.zeros((8, 6), np.float32)
    map_[:, 3:] = 1
    raw = np.asarray(Image.fromarray(map_, "F").resize((48, 40), Image.BICUBIC))
    assert raw.min() < 0
    assert raw.max() > 1
    up = metrics.upsample(map_, (40, 48))
    assert up.dtype == np.float32
    assert up.shape == (40, 48)
    assert np.array_equal(up, raw.clip(0, 1))


@given(arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32)), st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_upsample_stays_a_map(map_, shape):
    up = metrics.upsample(map_, shape)
    assert up.shape == shape
    assert 0 <= up.min() <= up.max() <= 1
    assert np.array_equal(metrics.upsample(map_, map_.shape), map_)
    assert np.allclose(metrics.upsample(np.full_like(map_, 0.25), shape), 0.25, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.2, -3.0])
def test_maps_that_are_no_maps_are_refused(bad):
    map_ = np.full((4, 4), 0.3)
    map_[1, 2] = bad
    word = r"\[0, 1\]" if np.isfinite(bad) else "finite"
    for call in (lambda: metrics.upsample(map_, (8, 8)), lambda: metrics.binary(map_)):
        with pytest.raises(ValueError, match=word):
            call()


@pytest.mark.parametrize("shape", [(4,), (1, 4, 4), (0, 4)])
def test_maps_of_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match="shape"):
        metrics.upsample(np.zeros(shape), (8, 8))


@pytest.mark.parametrize("metric", [metrics.iou, metrics.pbca])
def test_masks_that_are_no_masks_are_refused(metric):
    good = np.zeros((4, 4), np.uint8)
    for bad in (good + 255, good + 0.5, good + np.nan, good - 1.0):
        with pytest.raises(ValueError, match="only 0"):
            metric(good, bad)
        with pytest.raises(ValueError, match="only 0"):
            metric(bad, good)
    with pytest.raises(ValueError, match="same shape"):
        metric(good, good[:2])
    with pytest.raises(ValueError, match="same shape"):
        metric(good[None], good[None])


@given(arrays(np.float64, st.integers(2, 40), elements=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0, -3.5])), st.data())
def test_average_precision_equals_sklearn_and_torchmetrics(scores, data):
    labels = data.draw(arrays(np.int64, len(scores), elements=st.integers(0, 1)))
    if labels.min() == labels.max():
        labels[0] = 1 - labels[0]
    ours = metrics.average_precision(labels, scores)
    assert ours == pytest.approx(average_precision_score(labels, scores))
    inside = torch.tensor((scores + 4) / 5)  # torchmetrics takes anything outside [0, 1] for logits
    assert ours == pytest.approx(BinaryAveragePrecision()(inside, torch.tensor(labels)).item(), abs=1e-5)


def test_balanced_ap_draws_as_many_of_each():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=50), rng.normal(1, size=400)
    labels = np.repeat([0, 1], 50)
    draws = [average_precision_score(labels, np.r_[real, rng.choice(fake, 50, replace=False)]) for _ in range(400)]
    value = metrics.balanced_ap(real, fake)
    assert abs(value - np.mean(draws)) < 3 * np.std(draws) / 5**0.5
    assert value < average_precision_score(np.repeat([0, 1], [50, 400]), np.r_[real, fake]) - 0.05  # not the raw mix
    assert value == metrics.balanced_ap(real, fake, seed=0) != metrics.balanced_ap(real, fake, seed=1)
    assert metrics.balanced_ap(fake[:50], real) == pytest.approx(
        average_precision_score(labels, np.r_[fake[:50], real])
    )


def test_constant_scores_have_ap_one_half_for_any_share_of_fakes():
    assert metrics.balanced_ap(np.full(20, 0.3), np.full(90, 0.3)) == 0.5
    low, high = metrics.bootstrap_ap(np.full(20, 0.3), range(20), np.full(40, 0.3), np.arange(40) % 20)
    assert low == pytest.approx(0.5)
    assert high == pytest.approx(0.5)


def test_scores_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="finite"):
        metrics.balanced_ap([0.1, np.nan], [0.5])
    with pytest.raises(ValueError, match="at least one"):
        metrics.balanced_ap([], [0.5])
    with pytest.raises(ValueError, match="all labels are equal"):
        metrics.average_precision([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="0 or 1"):
        metrics.average_precision([1, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="source face"):
        metrics.bootstrap([0.1, 0.2], ["a"])


@pytest.mark.parametrize("name", TRIVIAL_BASELINES)
def test_trivial_baselines_are_reproducible_maps(name):
    map_ = TRIVIAL_BASELINES[name](3, (20, 30))
    assert map_.shape == (20, 30)
    assert map_.dtype == np.float32
    assert 0 <= map_.min() <= map_.max() <= 1
    assert np.array_equal(map_, TRIVIAL_BASELINES[name](3, (20, 30)))
    assert np.array_equal(map_, TRIVIAL_BASELINES[name](4, (20, 30))) == (name != "random")
    assert 0 <= scored_by_mean(map_[None]).scores[0] <= 1


@pytest.mark.parametrize("name", TRIVIAL_BASELINES)
def test_trivial_baselines_cannot_separate_real_from_fake(name):
    scores = scored_by_mean(np.stack([TRIVIAL_BASELINES[name](i, (32, 32)) for i in range(400)])).scores
    ap = metrics.balanced_ap(scores[:100], scores[100:])
    assert ap == 0.5 if name != "random" else 0.4 < ap < 0.6


@settings(max_examples=20)
@given(st.integers(32, 256), st.integers(32, 256))
def test_the_centre_prior_covers_what_it_says(height, width):
    map_ = TRIVIAL_BASELINES["centre-prior"](0, (height, width))
    assert metrics.binary(map_).mean() == pytest.approx(0.19, abs=0.012)  # mean mask of the paper
    assert np.array_equal(map_, map_[::-1, ::-1])
    assert map_[height // 2, width // 2] == map_.max() > 0.95
