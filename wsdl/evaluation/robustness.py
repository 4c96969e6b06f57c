"""How a detector bears what happens to pictures on their way: its scores after each treatment, at each level.

RUN/robustness.json keeps the table. Pictures are treated a batch at a time, on their way to the detector.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import read_json, seed_for, write_json
from wsdl.data.corruptions import CORRUPTIONS
from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction
from wsdl.evaluation.baselines import row_kind
from wsdl.evaluation.evaluate import METRICS_COLUMNS as SCORES
from wsdl.evaluation.evaluate import made_of, metrics_row, score_rows, score_test_images

FILE = "robustness.json"  # in a run
COLUMNS = ("treatment", "level", "unit", *SCORES)


def robustness(run: Path, data: Path, generators: tuple[str, ...] = ()) -> pd.DataFrame:
    """IoU, PBCA and AP of the detector in `run` on the test split of `data`, after each of `TREATMENTS`.

    First a row "none", of untouched pictures, last the rows "control", which look at none. Columns are COLUMNS, with
    95 % intervals over source faces. Done already for this model and data: loads it. WsdlError as in `evaluate`.
    """
    from wsdl.detectors import load_detector

    run, dataset = Path(run), Dataset(data, generators)
    about = made_of(run, dataset) | {"levels": {name: list(kind.levels) for name, kind in CORRUPTIONS.items()}}
    old = read_json(run / FILE) if (run / FILE).exists() else {}
    if {key: value for key, value in old.items() if key != "rows"} == about:
        return pd.DataFrame(old["rows"], columns=COLUMNS)
    config, detector = read_json(run / "config.json"), load_detector(run)
    _, (own, *beside) = score_rows(run, config, dataset)
    rows = [{"treatment": "none", "level": None, "unit": "", **own}]
    for name, kind in CORRUPTIONS.items():
        for level in kind.levels:
            pictures = score_test_images(
                dataset, lambda index, kind=kind, level=level: look(detector, dataset, index, kind, level)
            )
            who = {column: own[column] for column in ("method", "setup", "seed")}
            rows.append({"treatment": name, "level": level, "unit": kind.unit} | who | metrics_row([pictures]))
    rows += [{"treatment": "control", "level": None, "unit": "", **row} for row in beside
             if row_kind(row["method"]) == "trivial"]  # fmt: skip
    write_json(run / FILE, about | {"rows": rows})
    return pd.DataFrame(rows, columns=COLUMNS)


def look(detector, dataset: Dataset, index: np.ndarray, kind, level: float) -> Prediction:
    """What `detector` says of the pictures at `index` after a treatment; the noise of a picture is always the same."""
    rngs = [np.random.default_rng(seed_for("treatment", dataset.table.path[i])) for i in index]
    treated = [kind.apply(dataset.images[i], level, rng) for i, rng in zip(index, rngs, strict=True)]
    said = detector.predict(np.stack(treated))
    return Prediction(detector.paper_maps(said.maps), said.scores)
