"""What the runs of a report see in a few test pictures of one dataset: chosen by rule, never by how they turned out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError
from wsdl.data.dataset import Dataset
from wsdl.evaluation.breakdown import partial_fakes, worst_and_best
from wsdl.evaluation.metrics import upsample
from wsdl.report.collect import Found

EXPLORED = 24  # pictures in an explorer, a quarter of them real
BUDGET = 24 * 9 * 128**2  # pixels of maps in an explorer: about a megabyte
CASES = 4  # at most: worst, and as many easiest


@dataclass(frozen=True)
class Looks:
    """Runs tested on one dataset, and their maps of the pictures that the report shows."""

    dataset: Dataset
    runs: dict[str, Found]  # by their label, such as "patches, a, seed 0"
    maps: dict[str, dict[int, np.ndarray]]  # label -> number of a picture -> map [h, w]
    scores: dict[str, dict[int, float]]

    @property
    def name(self) -> str:
        return str(self.dataset.info["name"])

    def of(self, label: str, index) -> np.ndarray:
        """Maps [n, S, S] of a run, of the pictures numbered in `index`."""
        shape = (self.dataset.size, self.dataset.size)
        return np.stack([upsample(self.maps[label][i], shape) for i in index])


def look(dataset: Dataset, runs: list[Found], problem: Callable) -> Looks:
    """Let every run predict; problem(sentence) for one that cannot, which is then left out."""
    from wsdl.detectors import load_detector

    named, maps, scores = labelled(runs), {}, {}
    shared = [*examples(dataset).index, *explored(dataset, len(named)).index]
    for label, run in named.items():
        index = sorted({*shared, *(i for side in cases(dataset, run) for i in side.index)})
        try:
            said = load_detector(run.folder).predict(dataset.images[index])
        except (WsdlError, RuntimeError) as error:  # torch's, where the weights are of another shape than the code
            problem(f"{run.name}: no maps can be shown ({str(error).splitlines()[0]})")
            continue
        maps[label] = dict(zip(index, said.maps, strict=True))
        scores[label] = dict(zip(index, said.scores.tolist(), strict=True))
    return Looks(dataset, {label: named[label] for label in maps}, maps, scores)


def labelled(runs: list[Found]) -> dict[str, Found]:
    """Runs by the shortest words that tell them apart: method and setup, with the seed, or the run's own name."""
    ways = (
        lambda run: f"{run.config['method']}, {run.config['setup']}",
        lambda run: f"{run.config['method']}, {run.config['setup']}, seed {run.config.get('seed')}",
        lambda run: run.name,
    )
    for way in ways:
        named = {way(run): run for run in runs}
        if len(named) == len(runs):
            break
    return named


def examples(dataset: Dataset) -> pd.DataFrame:
    """The first test fake of each component, each of another face."""
    fakes = dataset.select("partial", "test").sort_values("path")
    return fakes.drop_duplicates("source_id").drop_duplicates("component")


def explored(dataset: Dataset, runs: int) -> pd.DataFrame:
    """The first test fakes, each of another face, and real ones: fewer where pictures are large or runs are many."""
    count = min(EXPLORED, max(6, BUDGET // (max(1, runs) * dataset.size**2)))
    fakes = dataset.select("partial", "test").sort_values("path").drop_duplicates("source_id").head(count - count // 4)
    return pd.concat([fakes, dataset.select("real", "test").sort_values("path").head(count // 4)])


def cases(dataset: Dataset, run: Found) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The worst and the easiest test fakes of a run, by IoU as it was scored; numbered as in the dataset."""
    fakes = partial_fakes([run.folder])
    number = pd.Series(dataset.table.index, index=dataset.table.path)
    count = max(1, min(CASES, fakes.source_id.nunique() // 2))  # few faces: none on both sides
    return tuple(side.set_index(number[side.path].to_numpy()) for side in worst_and_best(fakes, count))
