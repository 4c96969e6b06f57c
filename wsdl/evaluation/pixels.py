"""Pixel-level AP, AUC and F1 of a map without a fixed threshold, for one image or for all images together.

One image is counted exactly. All pixels of a test set do not fit into memory, so `PixelHistogram` counts how many real
and fake pixels have each value, in steps of 1 / HISTOGRAM_STEPS.
"""

import numpy as np

HISTOGRAM_STEPS = 1_000_000  # bins of [0, 1]: 16 MB of counts


class PixelHistogram:
    """Counts of real and fake pixels by value: two arrays of HISTOGRAM_STEPS + 1, however many maps are added.

    Values in one bin count as equal, so AUC is wrong by at most half the fraction of real-fake pairs that share a bin:
    below .0005 for maps that spread over a hundredth of [0, 1] or more (tested against scikit-learn). Fewer bins would
    not do: all values of a weak detector can lie within .001.
    """

    def __init__(self):
        self.counts = np.zeros((2, HISTOGRAM_STEPS + 1), np.int64)
        self.real, self.fake = self.counts  # views

    def add(self, map_: np.ndarray, mask: np.ndarray) -> None:
        """Count the pixels of `map_` [H, W] in [0, 1] by `mask` [H, W], 1 = fake."""
        step = np.ceil(np.asarray(map_, np.float64) * HISTOGRAM_STEPS).astype(np.int64)  # half-open: ((k-1)/n, k/n]
        place = step + np.asarray(mask, bool) * (HISTOGRAM_STEPS + 1)
        np.add.at(self.counts.reshape(-1), place.ravel(), 1)  # np.bincount would add all bins for each image

    def ap(self) -> float:
        """Average precision of all pixels counted; NaN without real or without fake pixels."""
        return pixel_ap_auc(self.fake, self.real)[0]

    def auc(self) -> float:
        """Area under the ROC curve of all pixels counted; NaN without real or without fake pixels."""
        return pixel_ap_auc(self.fake, self.real)[1]


def count_by_value(map_: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct values of `map_`, ascending, and the fake and real pixels of `mask` (same shape) with each."""
    values, index = np.unique(np.ravel(map_), return_inverse=True)
    is_fake = np.ravel(mask).astype(bool)
    fake = np.bincount(index[is_fake], minlength=len(values))
    return values, fake, np.bincount(index, minlength=len(values)) - fake


def pixel_ap_auc(fake: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    """AP and AUC from the numbers of fake and real pixels [k] with each of k ascending values.

    AP is the sum over thresholds of (recall gained) x (precision there). AUC is the probability that a fake pixel has
    a higher value than a real one; ties count half, so a constant map has .5. (NaN, NaN) without real or fake pixels.
    """
    fake, real = np.asarray(fake, np.float64)[::-1], np.asarray(real, np.float64)[::-1]  # from the highest value down
    if not fake.sum() or not real.sum():
        return float("nan"), float("nan")
    hits, alarms = np.cumsum(fake), np.cumsum(real)
    precision = hits / np.maximum(hits + alarms, 1)
    below = real.sum() - alarms  # real pixels of a lower value
    return float((fake * precision).sum() / hits[-1]), float((fake * (below + real / 2)).sum() / hits[-1] / alarms[-1])


def pixel_f1(hits, alarms, misses):
    """F1 = 2 TP / (2 TP + FP + FN) of counts (numbers or arrays); 0 where nothing is fake and nothing is found."""
    return 2 * hits / np.maximum(2 * hits + alarms + misses, 1)
