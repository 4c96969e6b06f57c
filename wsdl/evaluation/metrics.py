"""Localisation and detection metrics with bootstrap intervals: arrays in, numbers out.

The definitions are those of the paper's code (preset `dolos`): a map is upsampled BICUBIC to the mask, a pixel is fake
where the map is strictly above 0.5, IoU and PBCA are computed per image and averaged over partial fakes, and AP is
computed on as many real images as fakes.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

THRESHOLD = 0.5  # for all methods of the paper; a pixel of exactly 0.5 is real
ROUNDING = 1e-3  # tolerance for map values outside [0, 1]


def upsample(map_: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`map_` [h, w] in [0, 1] at the size `shape` = (H, W) of the mask, BICUBIC: float32 [H, W] in [0, 1].

    Bicubic interpolation overshoots next to sharp edges, so the result is clipped. Normalising a map by its own
    maximum instead would find something in every image.
    ValueError where the map contains NaN or infinity, leaves [0, 1] (logits, for example), or is not [h, w].
    """
    array = _checked_map(map_)
    height, width = shape
    resized = Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC)  # float32 is PIL's mode F
    return np.clip(np.asarray(resized), 0, 1)


def binary(map_: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The pixels of `map_` [H, W] called fake: bool [H, W], strictly above `threshold`. ValueError as in `upsample`."""
    return _checked_map(map_) > float(threshold)


def iou(predicted: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of two masks [H, W], 1 = fake: in [0, 1], 1 where both are empty (paper's code).

    Calling every pixel fake gives the area of the mask, about .19 on the paper's test set.
    ValueError where the shapes differ or a value is not 0 or 1.
    """
    predicted, mask = _checked_pair(predicted, mask)
    union = (predicted | mask).sum()
    return float((predicted & mask).sum() / union) if union else 1.0


def pbca(predicted: np.ndarray, mask: np.ndarray) -> float:
    """Pixel-wise binary classification accuracy: the fraction of pixels [H, W] where two masks agree, in [0, 1].

    Calling every pixel real gives 1 - area of the mask, about .81 on the paper's test set.
    ValueError where the shapes differ or a value is not 0 or 1.
    """
    predicted, mask = _checked_pair(predicted, mask)
    return float((predicted == mask).mean())


def iou_and_pbca(map_: np.ndarray, mask: np.ndarray, threshold: float = THRESHOLD) -> tuple[float, float]:
    """IoU and PBCA of one map [h, w], upsampled, against its mask [H, W]."""
    predicted = binary(upsample(map_, mask.shape), threshold)
    return iou(predicted, mask), pbca(predicted, mask)


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision of image `scores` [n] (higher = more fake) against `labels` [n] (1 = fake), in [0, 1].

    The sum over thresholds of (recall gained) x (precision there), as in scikit-learn. Images with equal scores pass
    a threshold together, so a constant score has the fraction of fakes: .5 on balanced data.
    ValueError where labels or scores are not finite, differ in length, or one class is missing.
    """
    fake = np.asarray(labels, dtype=np.float64)
    scores = _checked_scores(scores, "scores")
    if fake.shape != scores.shape or not np.isin(fake, (0, 1)).all():
        raise ValueError(f"labels must be {len(scores)} values of 0 or 1, one for each score")
    if fake.min() == fake.max():
        raise ValueError("average precision needs real and fake images, but all labels are equal")
    return float(_weighted_ap(fake, scores, np.ones((1, len(fake))))[0])


def balanced_ap(real_scores: np.ndarray, fake_scores: np.ndarray, draws: int = 5, seed: int = 0) -> float:
    """The paper's AP: draw as many real images as fakes without replacement, `draws` times, and average.

    On the paper's test set: 900 real against 900 of the partial fakes, 5 draws.
    """
    real, fake = _checked_scores(real_scores, "real_scores"), _checked_scores(fake_scores, "fake_scores")
    n = min(len(real), len(fake))
    labels = np.repeat([0, 1], n)
    rng = np.random.default_rng(seed)
    drawn = [np.concatenate([rng.choice(kind, n, replace=False) for kind in (real, fake)]) for _ in range(draws)]
    return float(np.mean([average_precision(labels, scores) for scores in drawn]))


def bootstrap(
    values: np.ndarray,  # [n], such as the IoU of each image
    groups: np.ndarray,  # [n], the source face of each image
    seed: int = 0,
    rounds: int = 1000,  # resamples
    level: float = 0.95,  # confidence level
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the mean of `values`, resampling source faces.

    Fakes of one face are correlated: resampling single images would treat them as independent and make the interval
    too narrow (cluster bootstrap; Efron and Tibshirani 1993, chapters 8 and 13). NaN for a single source face, of
    which no interval can be estimated. ValueError for values that are not finite.
    """
    values = _checked_scores(values, "values")
    index, times = resample(groups, len(values), seed, rounds)
    sums = np.bincount(index, weights=values)
    counts = np.bincount(index)
    return interval((times @ sums) / (times @ counts), level)


def bootstrap_ratio(
    values: np.ndarray,  # [n], such as the IoU of each image
    others: np.ndarray,  # [n], the IoU of the same images by another detector
    groups: np.ndarray,  # [n], the source face of each image
    seed: int = 0,
    rounds: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval (low, high) of mean(values) / mean(others), resampling source faces for both together.

    NaN for a single source face, and where `others` are all 0 in a resample. ValueError as in `bootstrap`.
    """
    values, others = _checked_scores(values, "values"), _checked_scores(others, "others")
    index, times = resample(groups, len(values), seed, rounds)
    sums, bases = times @ np.bincount(index, weights=values), times @ np.bincount(index, weights=others)
    return interval(np.divide(sums, bases, out=np.full_like(sums, np.nan), where=bases != 0), level)


def bootstrap_ap(
    real_scores: np.ndarray,  # [n], or [seeds, n] for detectors that differ only in their seed
    real_groups: np.ndarray,
    fake_scores: np.ndarray,  # [m], or [seeds, m]
    fake_groups: np.ndarray,
    seed: int = 0,
    rounds: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval (low, high) of the balanced AP, resampling source faces with their real image and fakes.

    In each resample the reals are weighted to count as much as the fakes: the limit of `balanced_ap` for many draws,
    without the noise of drawing. Resamples without reals or without fakes are skipped. Scores of several seeds give
    the interval of their mean AP, with the same resamples for all seeds. NaN for a single source face.
    """
    real = [_checked_scores(row, "real_scores") for row in np.atleast_2d(real_scores)]
    fake = [_checked_scores(row, "fake_scores") for row in np.atleast_2d(fake_scores)]
    groups = np.concatenate([np.asarray(real_groups), np.asarray(fake_groups)])
    labels = np.repeat([0.0, 1.0], [len(real[0]), len(fake[0])])
    index, times = resample(groups, len(labels), seed, rounds)
    reals, fakes = (times @ np.bincount(index, weights=labels == kind) for kind in (0, 1))
    kept = (reals > 0) & (fakes > 0)
    if not kept.any():
        return np.nan, np.nan
    times, balance = times[kept], (fakes[kept] / reals[kept])[:, None]
    parts = np.array_split(np.arange(len(times)), max(1, times.shape[0] * len(labels) // 1_000_000))  # bounds memory

    def mean_ap(part: np.ndarray) -> np.ndarray:  # of the resamples in `part`, over the seeds
        weights = times[part][:, index] * np.where(labels, 1, balance[part])
        runs = zip(real, fake, strict=True)
        return np.mean([_weighted_ap(labels, np.concatenate(scores), weights) for scores in runs], axis=0)

    return interval(np.concatenate([mean_ap(part) for part in parts]), level)


def _weighted_ap(fake: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP [r] for each row of `weights` [r, n], the weight of each image; fake [n] is 0 or 1."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # the last image of each run of equal scores
    weights = weights[:, order]
    hits = np.cumsum(weights * fake[order], axis=1)[:, ends]
    called = np.cumsum(weights, axis=1)[:, ends]
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return (np.diff(hits, axis=1, prepend=0) * precision).sum(axis=1) / hits[:, -1]


def resample(groups: np.ndarray, n: int, seed: int, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """The group number of each image [n], and how often each group is drawn in each round [rounds, groups].

    The latter is NaN for a single group: then estimates are NaN, too, and do not claim to be certain. It is read-only.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if index.shape != (n,):
        raise ValueError(f"groups must name the source face of each of the {n} images, but has shape {index.shape}")
    if len(names) < 2:
        return index, np.full((rounds, len(names)), np.nan)
    return index, _times_drawn(len(names), seed, rounds)


@lru_cache(4)  # a detector and all baselines are resampled alike
def _times_drawn(groups: int, seed: int, rounds: int) -> np.ndarray:
    """[rounds, groups]: how often each group is drawn."""
    times = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=rounds)
    times.flags.writeable = False
    return times


def interval(estimates: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked_map(map_: np.ndarray) -> np.ndarray:
    array = np.asarray(map_, dtype=np.float32)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"a map must be [H, W], but has shape {array.shape}")
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("a map must be finite, but contains NaN or infinity")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(f"a map must lie in [0, 1], but runs from {low:.4g} to {high:.4g}")
    return array


def _checked_pair(predicted: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, mask = np.asarray(predicted), np.asarray(mask)
    if predicted.ndim != 2 or predicted.shape != mask.shape or predicted.size == 0:
        raise ValueError(f"masks must be [H, W] of the same shape, but have shapes {predicted.shape} and {mask.shape}")
    for name, array in (("predicted", predicted), ("mask", mask)):
        if array.dtype != bool and not ((array == 0) | (array == 1)).all():
            raise ValueError(
                f"{name} must contain only 0 (real) and 1 (fake); use binary() on a map, read_mask() on a file"
            )
    return predicted.astype(bool), mask.astype(bool)


def _checked_scores(scores: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a list of finite numbers, at least one")
    return array
