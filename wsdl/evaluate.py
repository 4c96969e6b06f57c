"""A run and a dataset give metrics.json: one row for the detector and one for each control, under one preset.

Preset `dolos` (paper, section 4): maps go BICUBIC to the mask's size, strict > 0.5, IoU and PBCA are means per
picture over the partial fakes of the test split, AP is that of the scores on balanced real and partial pictures.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.controls import CONTROLS, score
from wsdl.data.layout import Dataset
from wsdl.detectors.base import Prediction
from wsdl.files import WsdlError, read_json, sha256, write_json
from wsdl.fit import MODEL
from wsdl.metrics import balanced_ap, binary, bootstrap, bootstrap_ap, iou, pbca, upsample
from wsdl.progress import bar

PRESETS = ("dolos",)
BATCH = 64  # pictures held at a time: memory does not grow with the test set
COLUMNS = (
    "method",
    "setup",
    "seed",
    "iou",
    "iou_low",
    "iou_high",
    "pbca",
    "pbca_low",
    "pbca_high",
    "ap",
    "ap_low",
    "ap_high",
    "n",
)


def evaluate(run: Path, data: Path, preset: str = "dolos") -> dict:
    """Score the detector in `run` on the test split of `data`; writes metrics.json into the run and returns it.

    Done already for this model, data and preset: loads it. WsdlError for an unknown preset or without test pictures.
    """
    if preset not in PRESETS:
        raise WsdlError(f"--preset: is '{preset}', but must be {' or '.join(PRESETS)}.")
    run, dataset = Path(run), Dataset(data)
    config = read_json(run / "config.json")
    if not (run / MODEL).exists():
        raise WsdlError(f"{run}: holds no {MODEL}; train it first.")
    made_of = {"preset": preset, "model": sha256(run / MODEL), "data": dataset.info["manifest_sha256"]}
    if (run / "metrics.json").exists():
        old = read_json(run / "metrics.json")
        if {key: old.get(key) for key in made_of} == made_of:
            return old
    result = {**made_of, "rows": score_rows(run, config, dataset)}
    write_json(run / "metrics.json", result)
    return result


def score_rows(run: Path, config: dict, dataset: Dataset) -> list[dict]:
    """The row of the detector, then one for each control, all through `score_one`."""
    from wsdl.detectors import load_detector

    detector = load_detector(run)
    who = {"method": config["method"], "setup": config["setup"], "seed": config["seed"]}
    rows = [score_one(dataset, lambda index: detector.predict(dataset.images[index])) | who]
    for name, control in CONTROLS.items():
        who = {"method": f"control: {name}", "setup": "", "seed": config["seed"]}
        rows.append(score_one(dataset, lambda index, control=control: control_maps(control, index, dataset.size)) | who)
    return [{name: row[name] for name in COLUMNS} for row in rows]


def control_maps(control: Callable, index: np.ndarray, size: int) -> Prediction:
    """What a control says of the pictures at `index`, in the shape of a detector's answer."""
    maps = np.stack([control(int(i), (size, size)) for i in index])
    return Prediction(maps, np.array([score(map_) for map_ in maps]))


def score_one(dataset: Dataset, predict: Callable) -> dict:
    """IoU, PBCA and AP of `predict(indices) -> Prediction` on the test split, each with its 95 % interval."""
    real, partial = (dataset.select(kind=kind, split="test") for kind in ("real", "partial"))
    if real.empty or partial.empty:
        raise WsdlError(
            f"{dataset.folder}: has {len(real)} real and {len(partial)} partial pictures in test; scoring needs both."
        )
    real_scores, _ = stream(dataset, real, predict, None)
    fake_scores, values = stream(dataset, partial, predict, per_picture)
    numbers = {"n": len(partial), "ap": balanced_ap(real_scores, fake_scores)}
    numbers["ap_low"], numbers["ap_high"] = bootstrap_ap(real_scores, real.source_id, fake_scores, partial.source_id)
    for name, column in zip(("iou", "pbca"), np.array(values).T, strict=True):
        numbers[name] = float(column.mean())
        numbers[f"{name}_low"], numbers[f"{name}_high"] = bootstrap(column, partial.source_id.to_numpy())
    return {name: value if name == "n" else round(value, 6) for name, value in numbers.items()}


def per_picture(map_: np.ndarray, mask: np.ndarray, threshold: float = 0.5) -> tuple[float, float]:
    """IoU and PBCA of one map [h, w] against its mask [H, W]."""
    predicted = binary(upsample(map_, mask.shape), threshold)
    return iou(predicted, mask), pbca(predicted, mask)


def stream(dataset: Dataset, rows: pd.DataFrame, predict: Callable, measure: Callable | None):
    """Scores [n] of the pictures in `rows`, and measure(map, mask) of each, a batch at a time."""
    scores, values = [], []
    progress = bar(len(rows), "scoring")
    for start in range(0, len(rows), BATCH):
        index = rows.index[start : start + BATCH].to_numpy()
        prediction = predict(index)
        scores.append(prediction.scores)
        if measure:
            values += [measure(m, dataset.masks[i]) for m, i in zip(prediction.maps, index, strict=True)]
        progress.update(len(index))
    progress.close()
    return np.concatenate(scores), values


def frame(results: list[dict]) -> pd.DataFrame:
    """Results of `evaluate` as one tidy table: a row a detector, then the controls once."""
    rows = [row for result in results for row in result["rows"]]
    table = pd.DataFrame(rows, columns=COLUMNS)
    is_control = table.method.str.startswith("control:")
    return pd.concat([table[~is_control], table[is_control].drop_duplicates("method")], ignore_index=True)
