"""Presets: each against an oracle or a second way of computing it, and where they agree and must not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, jaccard_score, roc_auc_score

from wsdl.evaluation.baselines import TRIVIAL_BASELINES
from wsdl.evaluation.protocols import PROTOCOLS, benco, dolos, free, pooled, pooled_scores, trufor, trufor_regions

SEEDS = st.integers(0, 10_000)
SIDE = 48


def blob(seed: int, side: int = SIDE) -> np.ndarray:
    """A mask of one rectangle, at least 20 px wide: it survives TruFor's erosion."""
    rng = np.random.default_rng(seed)
    (top, left), (height, width) = rng.integers(0, side - 30, 2), rng.integers(20, 29, 2)
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def noisy(seed: int, mask: np.ndarray) -> np.ndarray:
    return np.clip(0.4 * mask + np.random.default_rng(seed).random(mask.shape) * 0.6, 0, 1).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_numbers_are_those_of_scikit_learn(seed):
    mask = blob(seed)
    map_ = noisy(seed, mask)
    truth, found = mask.ravel(), (map_ > 0.5).ravel()
    ours = benco(map_, mask)
    assert ours["f1"] == pytest.approx(f1_score(truth, found))
    assert ours["f1_double"] == pytest.approx(max(f1_score(truth, found), f1_score(truth, ~found)))
    assert ours["iou"] == dolos(map_, mask)["iou"] == pytest.approx(jaccard_score(truth, found))
    assert ours["accuracy"] == dolos(map_, mask)["pbca"] == pytest.approx(accuracy_score(truth, found))
    assert free(map_, mask)["pixel_ap"] == pytest.approx(average_precision_score(truth, map_.ravel()))
    assert free(map_, mask)["pixel_auc"] == pytest.approx(roc_auc_score(truth, map_.ravel()))


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_trufor_is_the_better_f1_of_map_and_inverse(seed):
    mask = blob(seed)
    map_ = np.round(noisy(seed, mask) * 8) / 8  # ties, and values of exactly 0.5
    inside = binary_erosion(np.pad(mask, 20, mode="symmetric"), np.ones((15, 15)))[20:-20, 20:-20]
    outside = ~binary_dilation(mask, np.ones((11, 11)))
    kept = inside | outside
    truth, values = inside[kept], map_[kept]

    def either(threshold):
        return max(f1_score(truth, values > threshold), f1_score(truth, values <= threshold))

    ours = trufor(map_, mask)
    assert ours["f1"] == pytest.approx(either(0.5))
    assert ours["f1_best"] == pytest.approx(max(either(threshold) for threshold in np.unique(values)))


def test_trufor_ignores_seven_pixels_inside_and_five_outside():
    mask = np.zeros((60, 60), np.uint8)
    mask[20:40, 20:40] = 1
    inner, outer = trufor_regions(mask)
    assert inner[27:33, 27:33].all()
    assert inner.sum() == 6**2
    assert not outer[15:45, 15:45].any()
    assert (~outer).sum() == 30**2
    spread = np.zeros_like(mask, np.float32)
    spread[15:45, 15:45] = 1
    assert trufor(spread, mask)["f1"] == 1.0
    assert dolos(spread, mask)["iou"] < 0.5


def test_trufor_loses_a_mask_of_14_pixels_and_says_so():
    mask = np.zeros((40, 40), np.uint8)
    mask[10:24, 10:24] = 1
    assert trufor(mask.astype(np.float32), mask) == {"f1": 0.0, "f1_best": 0.0, "vanished": 1.0}
    mask[10:25, 10:25] = 1
    assert trufor(mask.astype(np.float32), mask) == {"f1": 1.0, "f1_best": 1.0, "vanished": 0.0}


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_presets_agree_on_a_perfect_map(seed):
    mask = blob(seed)
    map_ = mask.astype(np.float32)
    assert dolos(map_, mask) == {"iou": 1.0, "pbca": 1.0}
    assert set(benco(map_, mask).values()) == {1.0}
    assert trufor(map_, mask) == {"f1": 1.0, "f1_best": 1.0, "vanished": 0.0}
    assert free(map_, mask) == {"pixel_ap": 1.0, "pixel_auc": 1.0}
    assert {float(v) for v in pooled_scores([*pooled(map_, mask).values()]).values()} == {1.0}


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_a_map_moved_towards_its_mask_never_scores_worse(seed, part):
    """True of all that do not also take 1 - map: there a wrong map is as good as a right one."""
    mask = blob(seed)
    map_ = noisy(seed, mask)
    better = ((1 - part) * map_ + part * mask).astype(np.float32)
    for preset, names in ((dolos, ("iou", "pbca")), (benco, ("f1", "iou", "accuracy"))):
        before, after = preset(map_, mask), preset(better, mask)
        assert all(after[name] >= before[name] - 1e-9 for name in names)
    counts = [[*pooled(m, mask).values()] for m in (map_, better)]
    before, after = (pooled_scores(c) for c in counts)
    assert all(after[name] >= before[name] - 1e-9 for name in before)


def test_the_inverse_of_the_mask_is_perfect_for_trufor_and_double():
    mask = blob(1)
    opposite = 1 - mask.astype(np.float32)
    assert trufor(opposite, mask)["f1"] == benco(opposite, mask)["f1_double"] == 1.0
    assert dolos(opposite, mask)["iou"] == benco(opposite, mask)["f1"] == 0.0
    assert free(opposite, mask)["pixel_auc"] == 0.0


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_empty_masks_are_one_for_dolos_and_nothing_for_benco(level):
    empty, map_ = np.zeros((32, 32), np.uint8), np.full((32, 32), level, np.float32)
    silent = level <= 0.5
    assert dolos(map_, empty)["iou"] == (1.0 if silent else 0.0)
    assert benco(map_, empty) == {"f1": 0.0, "f1_double": 0.0, "iou": 0.0, "accuracy": float(silent)}
    assert np.isnan(list(free(map_, empty).values())).all()
    assert trufor(map_, empty)["vanished"] == 1.0


@pytest.mark.parametrize("preset", PROTOCOLS)
@pytest.mark.parametrize("baseline", TRIVIAL_BASELINES)
def test_a_mask_of_all_pixels_is_no_error(preset, baseline):
    scores = PROTOCOLS[preset](TRIVIAL_BASELINES[baseline](0, (32, 32)), np.ones((32, 32), np.uint8))
    numbers = np.array(list(scores.values()), float)
    assert np.isnan(numbers).all() if preset == "free" else np.isfinite(numbers).all()


def test_pooling_lets_a_large_mask_speak_louder():
    large, small = np.zeros((2, 40, 40), np.uint8)
    large[:, :30], small[:4, :4] = 1, 1
    maps = large.astype(np.float32), np.zeros((40, 40), np.float32)  # finds the large one, misses the small one
    counts = np.sum([[*pooled(m, t).values()] for m, t in zip(maps, (large, small), strict=True)], axis=0)
    assert pooled_scores(counts)["iou"] == pytest.approx(1200 / 1216)
    assert np.mean([dolos(m, t)["iou"] for m, t in zip(maps, (large, small), strict=True)]) == 0.5


def test_each_protocol_documents_what_it_averages():
    for preset in PROTOCOLS.values():
        text = preset.__doc__.lower()
        assert "real images" in text or "a real image" in text
        assert "averaged" in text or "all pixels of all" in text
