"""Scores of a detector under image corruptions (JPEG, resize, blur, noise) at several levels -> RUN/robustness.json."""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import seed_for, write_json
from wsdl.core.locks import hold_folder
from wsdl.core.records import read_object
from wsdl.data.corruptions import CORRUPTIONS
from wsdl.data.dataset import Dataset
from wsdl.data.paper_sets import choose_generators
from wsdl.evaluation.baselines import row_kind
from wsdl.evaluation.evaluate import METRICS_COLUMNS, dolos_rows, evaluation_inputs
from wsdl.evaluation.scoring import metrics_row, score_images

ROBUSTNESS_FILE = "robustness.json"  # in a run
ROBUSTNESS_COLUMNS = ("treatment", "level", "unit", *METRICS_COLUMNS)  # the first as in files of all versions


def robustness(run: Path, data: Path, generators: tuple[str, ...] = ()) -> pd.DataFrame:
    """IoU, PBCA and AP of the detector in `run` on the test split of `data`, under each of CORRUPTIONS.

    First a row "none" for the unchanged images, last the rows "control" of the baselines that ignore the image.
    Columns are ROBUSTNESS_COLUMNS, with 95 % intervals over source faces. Stored results of the same model and data
    are loaded. WsdlError as in `evaluate`.
    """
    run, dataset = Path(run), Dataset(data, choose_generators(data, generators))
    levels = {name: list(corruption.levels) for name, corruption in CORRUPTIONS.items()}
    made_from = evaluation_inputs(run, dataset) | {"levels": levels}
    rows = _stored(run, made_from)
    if not rows:
        with hold_folder(run):  # another process may have written them meanwhile
            rows = _stored(run, made_from) or _score(run, dataset)
            write_json(run / ROBUSTNESS_FILE, made_from | {"rows": rows})
    return pd.DataFrame(rows, columns=ROBUSTNESS_COLUMNS)


def _stored(run: Path, made_from: dict) -> list[dict]:
    """The rows in RUN/robustness.json where they were made from the same model, data and levels, else none."""
    stored = read_object(run / ROBUSTNESS_FILE) if (run / ROBUSTNESS_FILE).exists() else {}
    same = {key: value for key, value in stored.items() if key != "rows"} == made_from
    return stored.get("rows", []) if same else []


def _score(run: Path, dataset: Dataset) -> list[dict]:
    """The rows of the detector under every corruption, and of the baselines."""
    from wsdl.detectors import load_detector

    detector = load_detector(run)
    clean, *baselines = dolos_rows(run, dataset)
    who = {column: clean[column] for column in ("method", "setup", "seed")}
    rows = [{"treatment": "none", "level": None, "unit": "", **clean}]
    for name, corruption in CORRUPTIONS.items():
        for level in corruption.levels:
            numbers = _corrupted_scores(detector, dataset, corruption.apply, level)
            rows.append({"treatment": name, "level": level, "unit": corruption.unit} | who | numbers)
    return rows + [
        {"treatment": "control", "level": None, "unit": "", **row}
        for row in baselines
        if row_kind(row["method"]) == "trivial"
    ]


def _corrupted_scores(detector, dataset: Dataset, corrupt, level: float) -> dict:
    """`metrics_row` of the corrupted test images. The random numbers of an image depend on its path alone."""

    def predict(index: np.ndarray):
        rngs = [np.random.default_rng(seed_for("treatment", dataset.table.path[i])) for i in index]
        images = [corrupt(dataset.images[i], level, rng) for i, rng in zip(index, rngs, strict=True)]
        return detector.predict(np.stack(images))

    return metrics_row([score_images(dataset, predict)])
