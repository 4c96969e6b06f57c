"""Bootstrap intervals: coverage, clustering by source face, and agreement with the textbook."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from wsdl.evaluation import metrics


def test_bootstrap_covers_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(1)
    intervals = [metrics.bootstrap(rng.normal(0.4, 1, 60), np.arange(60), seed=i) for i in range(200)]
    assert 0.90 <= np.mean([low <= 0.4 <= high for low, high in intervals]) <= 0.985


def test_bootstrap_of_independent_images_is_the_textbook_interval():
    values = np.random.default_rng(2).normal(3, 2, 400)
    low, high = metrics.bootstrap(values, np.arange(400), rounds=4000)
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(expected, abs=0.03)
    narrow = metrics.bootstrap(values, np.arange(400), rounds=4000, level=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_bootstrap_covers_and_widens_where_fakes_share_a_face():
    rng = np.random.default_rng(3)
    faces = np.repeat(np.arange(50), 4)
    covered, ratio = [], []
    for i in range(200):
        values = rng.normal(0, 1, 50)[faces]  # four images of a face, all alike: 50 facts, not 200
        low, high = metrics.bootstrap(values, faces, seed=i)
        single = metrics.bootstrap(values, np.arange(200), seed=i)
        covered.append(low <= 0 <= high)
        ratio.append((high - low) / (single[1] - single[0]))
    assert 0.90 <= np.mean(covered) <= 0.985
    assert np.mean(ratio) == pytest.approx(2, abs=0.15)  # the square root of 4


def test_bootstrap_weights_images_not_faces():
    values, faces = np.r_[np.zeros(10), np.ones(90)], np.r_[np.arange(10), np.arange(90) // 9 + 10]
    low, high = metrics.bootstrap(values, faces, level=0.5)
    assert 0.85 < low <= 0.9 <= high < 0.95


def test_bootstrap_depends_on_the_seed_alone():
    values, faces = np.random.default_rng(4).random(30), [f"face{i % 10}" for i in range(30)]
    assert metrics.bootstrap(values, faces, seed=7) == metrics.bootstrap(values, faces, seed=7)
    assert metrics.bootstrap(values, faces, seed=7) != metrics.bootstrap(values, faces, seed=8)


def test_bootstrap_ap_is_sklearn_on_each_resample():
    rng = np.random.default_rng(5)
    real, fake = rng.normal(size=12).round(1), rng.normal(1, size=30).round(1)
    real_faces, fake_faces = np.arange(12), np.arange(30) % 12
    times = np.random.default_rng(9).multinomial(12, np.full(12, 1 / 12), size=300)
    estimates = []
    for counts in times:
        weights = np.r_[counts[real_faces] * counts[fake_faces].sum() / counts[real_faces].sum(), counts[fake_faces]]
        estimates.append(average_precision_score(np.repeat([0, 1], [12, 30]), np.r_[real, fake], sample_weight=weights))
    interval = metrics.bootstrap_ap(real, real_faces, fake, fake_faces, seed=9, rounds=300)
    assert interval == pytest.approx(tuple(np.quantile(estimates, [0.025, 0.975])))


def test_bootstrap_ap_holds_the_balanced_ap_and_knows_faces():
    rng = np.random.default_rng(6)
    person = rng.normal(0, 1, 60)  # some faces look fake whatever is done to them
    faces = np.repeat(np.arange(60), 4)
    real, fake = person + rng.normal(0, 0.2, 60), person[faces] + 0.8 + rng.normal(0, 0.2, 240)
    low, high = metrics.bootstrap_ap(real, np.arange(60), fake, faces)
    assert low < metrics.balanced_ap(real, fake, draws=20) < high
    split = metrics.bootstrap_ap(real, np.arange(60), fake, np.arange(240) + 60)  # as if nobody were there twice
    assert abs((high - low) - (split[1] - split[0])) > 0.01


def test_bootstrap_ap_leaves_out_resamples_without_reals():
    low, high = metrics.bootstrap_ap([0.1], ["a"], [0.9, 0.8], ["b", "c"], rounds=200)
    assert (low, high) == (1, 1)


def test_bootstrap_ap_of_several_seeds_is_about_their_mean():
    """One seed that always guesses (AP .5) and one that is never wrong (AP 1): .75 in every resample."""
    real, fake = [[0.3] * 10, [0.1] * 10], [[0.3] * 10, [0.9] * 10]
    low, high = metrics.bootstrap_ap(real, range(10), fake, range(10), rounds=50)
    assert (low, high) == pytest.approx((0.75, 0.75))
