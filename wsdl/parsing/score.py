"""How good are predicted component masks: F1 of each component, pooled over pixels and as a mean over pictures."""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import SPLITS
from wsdl.data.masks import COMPONENTS
from wsdl.evaluation.metrics import bootstrap

# The six components of the paper, and what else a label map holds.
PARTS = {**COMPONENTS, "brows": (6, 7), "ears": (8, 9), "neck": (17,), "cloth": (18,), "background": (0,)}
BATCH = 16


def component_counts(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Two stacks of label maps [n, H, W] -> int [n, parts, 3]: pixels found rightly, found wrongly, missed."""
    counts = np.zeros((len(labels), len(PARTS), 3), np.int64)
    for i, classes in enumerate(PARTS.values()):
        found, there = np.isin(predicted, classes), np.isin(labels, classes)
        for j, pixels in enumerate((found & there, found & ~there, ~found & there)):
            counts[:, i, j] = pixels.sum(axis=(1, 2))
    return counts


def f1(counts: np.ndarray) -> dict[str, np.ndarray]:
    """2 TP / (2 TP + FP + FN) of each part from counts [..., parts, 3]; NaN where it is neither there nor found."""
    right, wrong, missed = np.moveaxis(np.asarray(counts, float), -1, 0)
    below = 2 * right + wrong + missed
    values = np.divide(2 * right, below, out=np.full(below.shape, np.nan), where=below > 0)
    return dict(zip(PARTS, np.moveaxis(values, -1, 0), strict=True))


def table(counts: np.ndarray, groups: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """One row a part from the counts of all pictures [n, parts, 3]; `groups` [n] names the source face of each.

    pictures: how many show the part, or were said to · f1: pooled over all pixels · mean: of the pictures' own F1,
    with its bootstrap interval over source faces (NaN for a single face).
    """
    rows, pooled = [], f1(counts.sum(axis=0))
    for part, values in f1(counts).items():
        known = np.isfinite(values)
        several = len(set(groups[known])) > 1
        low, high = bootstrap(values[known], groups[known], seed) if several else (np.nan, np.nan)
        mean = values[known].mean() if known.any() else np.nan
        rows.append({"part": part, "pictures": int(known.sum()), "f1": float(pooled[part]), "mean": float(mean),
                     "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(rows)


def score(data: Path, model: str = "", split: str = "test", seed: int = 0) -> pd.DataFrame:
    """Parse the real faces of `split` ("all" for every split) in the dataset folder `data` and score them by its masks.

    Faces are parsed at the model's own size and scored at theirs. One batch is in memory at a time.
    """
    from wsdl.parsing.models import load_parser

    if split not in (*SPLITS, "all"):
        raise WsdlError(f"--split: is '{split}', but must be one of {', '.join(SPLITS)}, all.")
    dataset, parser = Dataset(data), load_parser(model)
    rows = dataset.select(kind="real", split=None if split == "all" else split)
    if not len(rows):
        raise WsdlError(f"{data}: has no real face in {split}; choose another --split.")
    counts, progress = [], progress_bar(len(rows), "parsing faces")
    for first in range(0, len(rows), BATCH):
        part = rows.iloc[first : first + BATCH]
        predicted = parser.parse_squares(list(dataset.images[part.index]))
        labels = np.stack([dataset.labels(row) for row in part.itertuples()])
        counts.append(component_counts(np.stack(predicted), labels))
        progress.update(len(part))
    progress.close()
    return table(np.concatenate(counts), rows.source_id.to_numpy(), seed)
