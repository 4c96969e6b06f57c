"""IoU against the threshold, and the calibration of patch probabilities, in one pass over the partial test fakes.

For inspection only: a threshold chosen on test masks would be a leak.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from PIL import Image

from wsdl.data.dataset import Dataset
from wsdl.evaluation.breakdown import iter_partial_fakes
from wsdl.evaluation.metrics import interval, resample, upsample

THRESHOLDS = np.linspace(0, 1, 101)
_BATCH_SIZE = 64


def calibration_tables(dataset: Dataset, predict: Callable, bins: int = 10) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(thresholds, reliability) of `predict(images) -> Prediction` on the partial fakes of the test split.

    thresholds: `threshold` of THRESHOLDS, `iou` (mean per image, as in preset `dolos`) and its 95 % interval `low`,
    `high` over source faces. reliability: see `reliability_table`.
    """
    curves, faces = [], []
    sums = np.zeros((3, bins))
    for map_, mask, face in iter_partial_fakes(dataset, predict, _BATCH_SIZE):
        curves.append(iou_curve(upsample(map_, mask.shape), mask))
        faces.append(face)
        sums += reliability_sums(map_, mask, bins)
    return threshold_table(np.array(curves), np.array(faces)), reliability_table(sums)


def iou_curve(map_: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """IoU of `map_` [H, W] against `mask` [H, W] with "fake where strictly above t" for each t of THRESHOLDS: [101]."""
    step = np.ceil(np.asarray(map_, np.float64) * 100).astype(np.int64)  # "above k / 100" is step > k
    is_fake = np.asarray(mask, bool)
    fake, real = (np.bincount(step[kind], minlength=101) for kind in (is_fake, ~is_fake))
    hits, alarms = (kind.sum() - np.cumsum(kind) for kind in (fake, real))
    union = alarms + fake.sum()
    return np.where(union > 0, hits / np.maximum(union, 1), 1.0)


def threshold_table(curves: np.ndarray, faces: np.ndarray) -> pd.DataFrame:
    """Mean and 95 % interval over source `faces` [n] of IoU `curves` [n, 101] at each threshold."""
    index, times = resample(faces, len(faces), seed=0, rounds=1000)
    by_face = np.zeros((index.max() + 1, len(THRESHOLDS)))
    np.add.at(by_face, index, curves)
    drawn = (times @ by_face) / (times @ np.bincount(index))[:, None]
    low, high = np.array([interval(column, 0.95) for column in drawn.T]).T
    return pd.DataFrame({"threshold": THRESHOLDS, "iou": curves.mean(axis=0), "low": low, "high": high})


def reliability_sums(map_: np.ndarray, mask: np.ndarray, bins: int) -> np.ndarray:
    """The contribution of one map to `reliability_table`: [3, bins].

    Per bin of probability: the number of patches, the sum of their probabilities, and the sum of their inpainted
    fractions. `map_` [h, w] has the detector's own size, one value per patch; the inpainted fraction of a patch is the
    mean of `mask` [H, W] over its cell.
    """
    probability = np.clip(map_, 0, 1).astype(np.float64)
    height, width = probability.shape
    fractions = Image.fromarray(np.asarray(mask, np.float32)).resize((width, height), Image.Resampling.BOX)
    bin_of = np.minimum((probability * bins).astype(int), bins - 1).ravel()
    columns = (None, probability.ravel(), np.asarray(fractions, np.float64).ravel())
    return np.array([np.bincount(bin_of, weights=weights, minlength=bins) for weights in columns])


def reliability_table(sums: np.ndarray) -> pd.DataFrame:
    """A row per bin of probability, from summed `reliability_sums`.

    Columns: `least`, `most` (edges), mean `probability` and mean `inpainted` fraction of the patches in the bin, and
    their number `n`. A calibrated detector has inpainted = probability in every bin. Empty bins have NaN.
    """
    count, probability, inpainted = sums
    edges = np.linspace(0, 1, len(count) + 1)
    safe = np.where(count > 0, count, np.nan)
    return pd.DataFrame({"least": edges[:-1], "most": edges[1:], "probability": probability / safe,
                         "inpainted": inpainted / safe, "n": count.astype(int)})  # fmt: skip


def calibration_error(reliability: pd.DataFrame) -> float:
    """Expected calibration error: the mean of |inpainted - probability| over patches, bin by bin, in [0, 1]."""
    gap = (reliability.inpainted - reliability.probability).abs().fillna(0)
    return float((gap * reliability.n).sum() / reliability.n.sum())
