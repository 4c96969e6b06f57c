"""F1 of predicted component masks, pooled over pixels and as a mean over images."""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError
from wsdl.core.progress import in_batches
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import SPLITS
from wsdl.data.masks import COMPONENTS
from wsdl.evaluation.metrics import bootstrap

# The six components of the paper, and the other classes of a label map.
LABEL_PARTS = {**COMPONENTS, "brows": (6, 7), "ears": (8, 9), "neck": (17,), "cloth": (18,), "background": (0,)}
_BATCH = 16


def score_parser(data: Path, model: str = "", split: str = "test", seed: int = 0) -> pd.DataFrame:
    """Parse the real faces of `split` ("all": every split) in the dataset folder `data` and compare with its masks.

    model: as in `load_parser`. Returns the table of `f1_table`. Faces are parsed at the size of the model and compared
    at their own. WsdlError for an unknown split or one without faces.
    """
    from wsdl.parsing.models import load_parser

    if split not in (*SPLITS, "all"):
        raise WsdlError(f"--split: is '{split}', but must be one of {', '.join(SPLITS)}, all.")
    dataset, parser = Dataset(data), load_parser(model)
    rows = dataset.select(kind="real", split=None if split == "all" else split)
    if not len(rows):
        raise WsdlError(f"{data}: has no real face in {split}; choose another --split.")
    counts = []
    for part in in_batches(rows.index, _BATCH, "parsing faces"):
        predicted = parser.parse_squares(list(dataset.images[part]))
        labels = np.stack([dataset.labels(row) for row in rows.loc[part].itertuples()])
        counts.append(count_pixels(np.stack(predicted), labels))
    return f1_table(np.concatenate(counts), rows.source_id.to_numpy(), seed)


def count_pixels(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """True positives, false positives and false negatives of label maps [n, H, W] -> int [n, parts, 3]."""
    counts = np.zeros((len(labels), len(LABEL_PARTS), 3), np.int64)
    for i, classes in enumerate(LABEL_PARTS.values()):
        positive, true = np.isin(predicted, classes), np.isin(labels, classes)
        for j, pixels in enumerate((positive & true, positive & ~true, ~positive & true)):
            counts[:, i, j] = pixels.sum(axis=(1, 2))
    return counts


def f1_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """2 TP / (2 TP + FP + FN) of each part from counts [..., parts, 3]; NaN where a part does not occur."""
    tp, fp, fn = np.moveaxis(np.asarray(counts, float), -1, 0)
    denominator = 2 * tp + fp + fn
    values = np.divide(2 * tp, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
    return dict(zip(LABEL_PARTS, np.moveaxis(values, -1, 0), strict=True))


def f1_table(counts: np.ndarray, groups: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """One row per part from the counts of all images [n, parts, 3]; `groups` [n] names the source face of each.

    images: how many show the part or were predicted to; f1: pooled over all pixels; mean: of the F1 of each image;
    low, high: its 95 % bootstrap interval over source faces (NaN for a single face).
    """
    rows, pooled = [], f1_scores(counts.sum(axis=0))
    for part, values in f1_scores(counts).items():
        known = np.isfinite(values)
        several = len(set(groups[known])) > 1
        low, high = bootstrap(values[known], groups[known], seed) if several else (np.nan, np.nan)
        mean = values[known].mean() if known.any() else np.nan
        rows.append({"part": part, "images": int(known.sum()), "f1": float(pooled[part]), "mean": float(mean),
                     "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(rows)
