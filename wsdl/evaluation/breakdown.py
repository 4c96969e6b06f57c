"""Where is a detector good and where bad? Its numbers by component, by size of the mask, and picture by picture.

Everything is read from pictures.csv of `wsdl.evaluation.evaluate`. A mean hides that skin is large and eyes are small:
all-fake has an IoU equal to the mask's area, so a region is *found* only as far as IoU lies above its area.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.run import PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.data.masks import COMPONENTS
from wsdl.evaluation.metrics import bootstrap, upsample

SCORES = ("iou", "pbca")


def partial_fakes(runs: list[pd.DataFrame | Path]) -> pd.DataFrame:
    """The partial fakes of pictures.csv (tables or run folders), one run a seed; scores are averaged over the seeds.

    ValueError where the runs were tested on different pictures.
    """

    tables = [run if isinstance(run, pd.DataFrame) else read_per_image(Path(run)) for run in runs]
    tables = [table[table.kind == "partial"].sort_values("path", ignore_index=True) for table in tables]
    if any(list(table.path) != list(tables[0].path) for table in tables):
        raise ValueError("runs that were tested on different pictures cannot be averaged")
    numbers = ["score", *SCORES]
    return tables[0].assign(**{name: np.mean([table[name] for table in tables], axis=0) for name in numbers})


def by_component(fakes: pd.DataFrame, score: str = "iou") -> pd.DataFrame:
    """`fakes` (from `partial_fakes`) by component, and "all": a row each, in the paper's order.

    Columns: component, value, low, high (95 % interval over source faces; NaN for fewer than two), area (the mean,
    which is the IoU of all-fake), n pictures, faces. Components that no picture has are left out.
    """
    parts = [(name, fakes[fakes.component == name]) for name in COMPONENTS] + [("all", fakes)]
    return pd.DataFrame([{"component": name, **_summary(part, score)} for name, part in parts if len(part)])


def by_area(fakes: pd.DataFrame, bins: int = 6, score: str = "iou") -> pd.DataFrame:
    """`fakes` by the area of the mask (share of the picture), in `bins` bins of about as many pictures each.

    Columns: least, most (area of the smallest and largest mask in the bin), middle (their geometric mean, for a
    logarithmic axis), then as in `by_component`. Equal areas stay in one bin, so there can be fewer bins.
    """
    bin_of = pd.qcut(fakes.area, min(bins, len(fakes)), labels=False, duplicates="drop")
    parts = [part for _, part in fakes.groupby(bin_of.fillna(0))]
    ends = [{"least": part.area.min(), "most": part.area.max()} for part in parts]
    rows = [{**end, **_summary(part, score)} for end, part in zip(ends, parts, strict=True)]
    table = pd.DataFrame(rows)
    table.insert(2, "middle", np.sqrt(table.least * table.most))
    return table


def _summary(part: pd.DataFrame, score: str) -> dict:
    faces = part.source_id.nunique()
    low, high = bootstrap(part[score].to_numpy(), part.source_id.to_numpy()) if faces > 1 else (np.nan, np.nan)
    return {"value": part[score].mean(), "low": low, "high": high, "area": part.area.mean(), "n": len(part),
            "faces": faces}  # fmt: skip


def compare_runs(runs: dict[str, list[pd.DataFrame | Path]], cut: Callable = by_component, **more) -> pd.DataFrame:
    """`cut` (`by_component` or `by_area`) of several cells {name: its runs, one a seed}, with a first column `who`."""
    return pd.concat([cut(partial_fakes(of), **more).assign(who=who) for who, of in runs.items()], ignore_index=True)[
        lambda table: ["who", *table.columns.drop("who")]
    ]


def worst_and_best(fakes: pd.DataFrame, n: int = 4, score: str = "iou") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `n` worst and the `n` easiest fakes, each of another face, worst and easiest first.

    Among equals (many have IoU 0) the larger mask comes first: it is the worse miss, and the more telling hit.
    """
    fakes = fakes.sort_values(["area", "path"], ascending=[False, True])
    worst, easiest = (fakes.sort_values(score, ascending=up, kind="stable") for up in (True, False))
    return worst.drop_duplicates("source_id").head(n), easiest.drop_duplicates("source_id").head(n)


def predict_rows(dataset: Dataset, predict: Callable, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Pictures, masks and maps [n, H, W] of `rows` (such as from `extremes`), in their order.

    predict(pictures uint8 [n, H, W, 3]) -> Prediction, such as a detector's own `predict`.
    """
    number_of = pd.Series(dataset.table.index, index=dataset.table.path)
    index = number_of[rows.path].to_numpy()
    pictures, masks = (np.stack([array[i] for i in index]) for array in (dataset.images, dataset.masks))
    maps = [upsample(map_, mask.shape) for map_, mask in zip(predict(pictures).maps, masks, strict=True)]
    return {"images": pictures, "masks": masks, "maps": np.stack(maps)}


def iter_partial_fakes(dataset: Dataset, predict: Callable, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Map (at the detector's own size), mask and source face of each partial test fake, `batch` in memory at a time."""
    rows = dataset.select("partial", "test")
    for start in range(0, len(rows), batch):
        part = rows.iloc[start : start + batch]
        maps = predict(dataset.images[part.index.to_numpy()]).maps
        for map_, i, face in zip(maps, part.index, part.source_id, strict=True):
            yield map_, np.asarray(dataset.masks[i]), face


def read_per_image(run: Path) -> pd.DataFrame:
    """What a run said of each test picture. Names of faces stay text: their order decides the resamples."""
    return pd.read_csv(run / PER_IMAGE_FILE, dtype={"source_id": str})
