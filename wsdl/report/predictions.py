"""Predictions of the runs of a report on a few test images of one dataset, selected by fixed rules."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import has_unknown_mask
from wsdl.evaluation.baselines import run_label
from wsdl.evaluation.breakdown import partial_fakes, worst_and_best
from wsdl.evaluation.metrics import upsample
from wsdl.report.collect import RunRecord, leave_out

EXPLORER_IMAGES = 24  # at most, a quarter of them real
MAX_MAP_PIXELS = 24 * 9 * 128**2  # of all maps in an explorer: about a megabyte
CASES = 4  # worst cases, and as many best cases, at most


@dataclass(frozen=True)
class ShownPredictions:
    """Runs tested on one dataset, and their predictions for the images that the report shows."""

    dataset: Dataset
    runs: dict[str, RunRecord]  # by label, such as "Patches, setup A, seed 0"
    maps: dict[str, dict[int, np.ndarray]]  # label -> index of an image -> map [h, w]
    scores: dict[str, dict[int, float]]

    @property
    def name(self) -> str:
        return str(self.dataset.info["name"])

    def maps_of(self, label: str, index) -> np.ndarray:
        """Maps [n, S, S] of one run for the images in `index`."""
        shape = (self.dataset.size, self.dataset.size)
        return np.stack([upsample(self.maps[label][i], shape) for i in index])


def predict_shown(dataset: Dataset, runs: list[RunRecord], problem: Callable) -> ShownPredictions:
    """Predict with every run; a run that cannot is left out, with problem(message)."""
    from wsdl.detectors import load_detector

    labelled, maps, scores = label_runs(runs), {}, {}
    dataset.decode(dataset.select(split="test"))  # an image that cannot be decoded is an error of the dataset
    shared = [*select_examples(dataset).index, *select_for_explorer(dataset, len(labelled)).index]
    progress = progress_bar(len(labelled), "predicting for the report", "run")
    for label, run in labelled.items():
        reasons = []
        with leave_out(reasons.append, run.name):
            index = sorted({*shared, *(i for side in select_cases(dataset, run) for i in side.index)})
            prediction = load_detector(run.folder).predict(dataset.images[index])
            if not (np.isfinite(prediction.maps).all() and np.isfinite(prediction.scores).all()):
                raise WsdlError(f"{run.folder}: predicts values that are not finite; train it again.")
            maps[label] = dict(zip(index, prediction.maps, strict=True))
            scores[label] = dict(zip(index, prediction.scores.tolist(), strict=True))
        for reason in reasons:
            problem(f"{run.name}: its maps cannot be shown ({reason})")
        progress.update()
    progress.close()
    return ShownPredictions(dataset, {label: labelled[label] for label in maps}, maps, scores)


def label_runs(runs: list[RunRecord]) -> dict[str, RunRecord]:
    """Runs by method and setup, with the seed where some differ in it alone.

    Of several runs with the same label, the one that was evaluated keeps it; the others have the name of their folder.
    """
    settings = {(run.config["method"], run.config["setup"]) for run in runs}
    seeds = {(run.config["method"], run.config["setup"], run.config.get("seed")) for run in runs}
    with_seed = len(seeds) > len(settings)
    by_label: dict[str, list[RunRecord]] = {}
    for run in runs:
        by_label.setdefault(_label(run, with_seed), []).append(run)
    labelled = {}
    for run in runs:
        same = by_label[_label(run, with_seed)]
        is_main = len(same) == 1 or [other for other in same if other.is_evaluated] == [run]
        labelled[_label(run, with_seed) if is_main else _short_name(run, runs)] = run
    return labelled


def _label(run: RunRecord, with_seed: bool) -> str:
    seed = f", seed {run.config.get('seed')}" if with_seed else ""
    return run_label(f"{run.config['method']}, {run.config['setup']}{seed}")


def _short_name(run: RunRecord, runs: list[RunRecord]) -> str:
    """The name of the folder of `run`, with its path where another run has the same."""
    names = [Path(other.name).name for other in runs]
    return Path(run.name).name if names.count(Path(run.name).name) == 1 else run.name


def select_examples(dataset: Dataset) -> pd.DataFrame:
    """The first test fake of each component, each of another face; only those whose mask is known."""
    fakes = dataset.select("partial", "test").sort_values("path")
    fakes = fakes[~has_unknown_mask(fakes)]
    return fakes.drop_duplicates("source_id").drop_duplicates("component")


def select_for_explorer(dataset: Dataset, runs: int) -> pd.DataFrame:
    """The first test fakes, each of another face, and real images; fewer where images are large or runs are many."""
    count = min(EXPLORER_IMAGES, max(6, MAX_MAP_PIXELS // (max(1, runs) * dataset.size**2)))
    fakes = dataset.select("partial", "test")
    fakes = dataset.select("full", "test") if fakes.empty else fakes
    fakes = fakes.sort_values("path").drop_duplicates("source_id").head(count - count // 4)
    return pd.concat([fakes, dataset.select("real", "test").sort_values("path").head(count // 4)])


def select_cases(dataset: Dataset, run: RunRecord) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The test fakes with the lowest and the highest IoU of a run; their index is that of the dataset."""
    fakes = partial_fakes([run.folder])
    if unknown := sorted(set(fakes.path) - set(dataset.table.path)):
        raise WsdlError(f"{run.folder / PER_IMAGE_FILE}: lists {unknown[0]!r}, which {dataset.folder} does not hold.")
    index = pd.Series(dataset.table.index, index=dataset.table.path)
    count = max(1, min(CASES, fakes.source_id.nunique() // 2))  # no face on both sides, even where faces are few
    return tuple(side.set_index(index[side.path].to_numpy()) for side in worst_and_best(fakes, count))
