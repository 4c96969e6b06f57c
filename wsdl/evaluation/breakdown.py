"""The numbers of a detector by component, by mask area, and image by image, from pictures.csv of its run.

A mean over all fakes hides that skin regions are large and eyes are small. The IoU of all-fake is the area of the mask,
so a region counts as found only as far as IoU exceeds its area.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, open_regular_file
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import has_unknown_mask
from wsdl.data.masks import COMPONENTS
from wsdl.evaluation.metrics import bootstrap, upsample

_NEEDED = ("path", "kind", "source_id", "score", "iou", "pbca")  # columns of pictures.csv


def partial_fakes(runs: list[pd.DataFrame | Path]) -> pd.DataFrame:
    """The partial fakes of pictures.csv (tables or run folders), one run per seed; scores are averaged over the seeds.

    Fakes without a known mask are left out. ValueError where the runs were tested on different images.
    """
    tables = [run if isinstance(run, pd.DataFrame) else read_per_image(Path(run)) for run in runs]
    tables = [
        table[(table.kind == "partial") & table.iou.notna()].sort_values("path", ignore_index=True) for table in tables
    ]
    if any(list(table.path) != list(tables[0].path) for table in tables):
        raise ValueError("runs that were tested on different images cannot be averaged")
    means = {name: np.mean([table[name] for table in tables], axis=0) for name in ("score", "iou", "pbca")}
    return tables[0].assign(**means)


def by_component(fakes: pd.DataFrame, score: str = "iou") -> pd.DataFrame:
    """`fakes` (from `partial_fakes`) by component, and "all": a row each, in the paper's order.

    Columns: component, value, low, high (95 % interval over source faces; NaN for fewer than two), area (the mean,
    which is the IoU of all-fake), n images, faces. Components without images are left out.
    """
    parts = [(name, fakes[fakes.component == name]) for name in COMPONENTS] + [("all", fakes)]
    return pd.DataFrame([{"component": name, **_summarise_part(part, score)} for name, part in parts if len(part)])


def by_area(fakes: pd.DataFrame, bins: int = 6, score: str = "iou") -> pd.DataFrame:
    """`fakes` by the area of the mask (fraction of the image), in `bins` bins of about equal numbers of images.

    Columns: least, most (area of the smallest and largest mask in the bin), middle (their geometric mean, for a
    logarithmic axis), then as in `by_component`. Equal areas stay in one bin, so there can be fewer bins.
    """
    bin_of = pd.qcut(fakes.area, min(bins, len(fakes)), labels=False, duplicates="drop")
    parts = [part for _, part in fakes.groupby(bin_of.fillna(0))]
    ends = [{"least": part.area.min(), "most": part.area.max()} for part in parts]
    table = pd.DataFrame([{**end, **_summarise_part(part, score)} for end, part in zip(ends, parts, strict=True)])
    table.insert(2, "middle", np.sqrt(table.least * table.most))
    return table


def _summarise_part(part: pd.DataFrame, score: str) -> dict:
    faces = part.source_id.nunique()
    low, high = bootstrap(part[score].to_numpy(), part.source_id.to_numpy())
    return {"value": part[score].mean(), "low": low, "high": high, "area": part.area.mean(), "n": len(part),
            "faces": faces}  # fmt: skip


def compare_runs(runs: dict[str, list[pd.DataFrame | Path]], cut: Callable = by_component, **options) -> pd.DataFrame:
    """`cut` (`by_component` or `by_area`) of detectors {name: its runs, one per seed}, with a first column `who`."""
    tables = [cut(partial_fakes(of), **options).assign(who=who) for who, of in runs.items()]
    table = pd.concat(tables, ignore_index=True)
    return table[["who", *table.columns.drop("who")]]


def worst_and_best(fakes: pd.DataFrame, n: int = 4, score: str = "iou") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `n` worst and the `n` best fakes, each of a different face, worst and best first.

    Ties (many have IoU 0) are ordered by decreasing area: a larger mask is the worse miss and the clearer hit.
    """
    fakes = fakes.sort_values(["area", "path"], ascending=[False, True])
    worst, best = (fakes.sort_values(score, ascending=up, kind="stable") for up in (True, False))
    return worst.drop_duplicates("source_id").head(n), best.drop_duplicates("source_id").head(n)


def predict_rows(dataset: Dataset, predict: Callable, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Images, masks and maps [n, H, W] of `rows` (such as from `worst_and_best`), in their order.

    predict(images uint8 [n, H, W, 3]) -> Prediction, such as a detector's own `predict`.
    """
    number_of = pd.Series(dataset.table.index, index=dataset.table.path)
    index = number_of[rows.path].to_numpy()
    images, masks = (np.stack([array[i] for i in index]) for array in (dataset.images, dataset.masks))
    maps = [upsample(map_, mask.shape) for map_, mask in zip(predict(images).maps, masks, strict=True)]
    return {"images": images, "masks": masks, "maps": np.stack(maps)}


def iter_partial_fakes(dataset: Dataset, predict: Callable, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Map (at the detector's own size), mask and source face of each partial test fake, `batch` in memory at a time.

    Fakes without a known mask are left out. WsdlError where none has one.
    """
    rows = dataset.select("partial", "test")
    rows = rows[~has_unknown_mask(rows)]
    if rows.empty:
        raise WsdlError(f"{dataset.folder}: has no partial fake in test whose mask is known, which this needs.")
    for start in range(0, len(rows), batch):
        part = rows.iloc[start : start + batch]
        maps = predict(dataset.images[part.index.to_numpy()]).maps
        for map_, i, face in zip(maps, part.index, part.source_id, strict=True):
            yield map_, np.asarray(dataset.masks[i]), face


def read_per_image(run: Path) -> pd.DataFrame:
    """pictures.csv of a run. Names of faces are read as text: their order determines the resamples.

    WsdlError where it is missing or damaged, or lists no real image or no fake.
    """
    path = Path(run) / PER_IMAGE_FILE
    try:
        with open_regular_file(path) as file:
            table = pd.read_csv(file, dtype={"source_id": str})
    except ValueError as error:  # of pandas too: no columns, or rows of different lengths
        reason = str(error).strip().splitlines()[0]
        raise WsdlError(f"{path}: is no table with one row per image ({reason}); evaluate the run again.") from None
    if problem := _problem_of(table):
        raise WsdlError(f"{path}: {problem}; evaluate the run again.")
    return table


def _problem_of(table: pd.DataFrame) -> str:
    """What is wrong with a table of pictures.csv, or ""."""
    if missing := [name for name in _NEEDED if name not in table]:
        return f"has no column {missing[0]}"
    if (table.kind == "real").all() or not (table.kind == "real").any():
        return "lists no partial fake or no real image"
    masked = table[table.kind == "partial"]
    if "marked" in table and "area" in table:  # there are unknown masks
        masked = masked[masked.area.notna()]
    for name, rows in (("score", table), ("iou", masked), ("pbca", masked)):
        if not pd.api.types.is_numeric_dtype(rows[name]) or not np.isfinite(rows[name]).all():
            return f"its column {name} must be finite numbers"
    return ""
