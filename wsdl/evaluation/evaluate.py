"""A run and a dataset give metrics.json: the detector's row and, beside it, one for each control and forensic method.

Preset `dolos` (paper, section 4): maps go BICUBIC to the mask's size, strict > 0.5, IoU and PBCA are means per
picture over the partial fakes of the test split, AP is that of the scores on balanced real and partial pictures.
The other presets are in `wsdl.evaluation.protocols`; `wsdl.evaluation.definitions` has all of them of the same maps.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, atomic, read_json, sha256, write_json
from wsdl.core.progress import progress_bar
from wsdl.core.run import MODEL_FILE, PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction
from wsdl.evaluation.baselines import TRIVIAL_BASELINES, mean_score, row_kind
from wsdl.evaluation.forensics import FORENSIC_BASELINES, forensic_prediction
from wsdl.evaluation.metrics import balanced_ap, binary, bootstrap, bootstrap_ap, iou, pbca, upsample
from wsdl.evaluation.protocols import PROTOCOLS

DESCRIBED = ("path", "kind", "generator", "component", "area", "source_id")  # what pictures.csv has of the manifest
BATCH = 64  # pictures held at a time: memory does not grow with the test set
METRICS_COLUMNS = (
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
BASELINES = {  # what needs no training, a row each in every table: name -> function of a dataset that gives a `predict`
    **{f"control: {name}": lambda data, control=control: lambda index: baseline_prediction(control, index, data.size)
       for name, control in TRIVIAL_BASELINES.items()},
    **{f"forensic: {name}": lambda data, method=method: lambda index: forensic_prediction(method, data.images[index])
       for name, method in FORENSIC_BASELINES.items()},
}  # fmt: skip


def evaluate(
    run: Path,
    data: Path,
    preset: str = "dolos",
    generators: tuple[str, ...] = (),  # whose partial fakes are scored; (): all that there are
    into: Path | None = None,  # the folder of metrics.json; default: the run
) -> dict:
    """Score the detector in `run` on the test split of `data`; returns metrics.json, written into the run.

    pictures.csv beside it has what the detector said of each picture.
    Done already for this model, data and preset, by a version with the same rows: loads it. WsdlError for an unknown
    preset or without test pictures.
    """
    if preset not in PROTOCOLS:
        raise WsdlError(f"--preset: is '{preset}', but must be {' or '.join(PROTOCOLS)}.")
    run, dataset = Path(run), Dataset(data, generators)
    into = Path(into or run)
    config = read_json(run / "config.json")
    about = {"preset": preset, **made_of(run, dataset)}
    if (into / "metrics.json").exists() and (into / PER_IMAGE_FILE).exists():
        old = read_json(into / "metrics.json")
        if {key: value for key, value in old.items() if key != "rows"} == about and has_all_rows(old["rows"]):
            return old
    if preset == "dolos":
        pictures, rows = score_rows(run, config, dataset)
        write_pictures(into, pictures)
    else:
        from wsdl.evaluation.definitions import definitions, wide

        rows = wide(definitions(run, data, generators), preset)
    result = {**about, "rows": rows}
    write_json(into / "metrics.json", result)
    return result


def has_all_rows(rows: list[dict]) -> bool:
    """Whether kept rows are the detector's and those BESIDE it: earlier versions had fewer."""
    return list(dict.fromkeys(row["method"] for row in rows))[1:] == list(BASELINES)


def made_of(run: Path, dataset: Dataset) -> dict:
    """What the numbers of a run depend on. WsdlError where the run holds no model.

    `generators` is there only where the dataset has partial fakes of others too, which are not scored.
    """
    if not (run / MODEL_FILE).exists():
        raise WsdlError(f"{run}: holds no {MODEL_FILE}; train it first.")
    about = {"model": sha256(run / MODEL_FILE), "data": dataset.info["manifest_sha256"]}
    return about | ({"generators": list(dataset.generators)} if dataset.is_filtered else {})


def write_pictures(folder: Path, pictures: pd.DataFrame) -> None:
    with atomic(folder / PER_IMAGE_FILE) as temporary:
        pictures.to_csv(temporary, index=False, lineterminator="\n")


def score_rows(run: Path, config: dict, dataset: Dataset) -> tuple[pd.DataFrame, list[dict]]:
    """What the detector says of each picture, its row, and then those BESIDE it, all through `judge`."""
    from wsdl.detectors import load_detector

    detector = load_detector(run)
    who = {"method": config["method"], "setup": config["setup"], "seed": config["seed"]}

    def predict(index: np.ndarray) -> Prediction:
        said = detector.predict(dataset.images[index])
        return Prediction(detector.paper_maps(said.maps), said.scores)

    pictures = score_test_images(dataset, predict)
    rows = [metrics_row([pictures]) | who]
    for name, say in BASELINES.items():
        who = {"method": name, "setup": "", "seed": config["seed"]}
        rows.append(metrics_row([score_test_images(dataset, say(dataset))]) | who)
    return pictures, [{name: row[name] for name in METRICS_COLUMNS} for row in rows]


def baseline_prediction(control: Callable, index: np.ndarray, size: int) -> Prediction:
    """What a control says of the pictures at `index`, in the shape of a detector's answer."""
    maps = np.stack([control(int(i), (size, size)) for i in index])
    return Prediction(maps, np.array([mean_score(map_) for map_ in maps]))


def score_test_images(dataset: Dataset, predict: Callable) -> pd.DataFrame:
    """The test split picture by picture under `predict(indices) -> Prediction`: a score each, IoU and PBCA of fakes."""
    table = test_pictures(dataset)
    real, partial = table[table.kind == "real"], table[table.kind == "partial"]
    real_scores, _ = stream(dataset, real, predict, None)
    fake_scores, values = stream(dataset, partial, predict, iou_and_pbca)
    ious, pbcas = np.array(values).T
    nothing = np.full(len(real), np.nan)
    return table[list(DESCRIBED)].assign(
        score=np.concatenate([real_scores, fake_scores]),
        iou=np.concatenate([nothing, ious]),
        pbca=np.concatenate([nothing, pbcas]),
    )


def test_pictures(dataset: Dataset) -> pd.DataFrame:
    """The rows of the test split that are scored: real pictures, then partial fakes. WsdlError where a kind lacks."""
    real, partial = (dataset.select(kind=kind, split="test") for kind in ("real", "partial"))
    if real.empty or partial.empty:
        raise WsdlError(
            f"{dataset.folder}: has {len(real)} real and {len(partial)} partial pictures in test; scoring needs both."
        )
    return pd.concat([real, partial])


def metrics_row(runs: list[pd.DataFrame]) -> dict:
    """IoU, PBCA and AP with 95 % intervals from `judge`'s tables of the same pictures, one for each seed.

    A picture's IoU and PBCA are averaged over the seeds first, so the interval is about faces, not about training.
    """
    is_fake = (runs[0].kind == "partial").to_numpy()
    faces = runs[0].source_id.to_numpy()
    scores = np.array([run.score for run in runs])
    real, fake = scores[:, ~is_fake], scores[:, is_fake]
    numbers = {"n": int(is_fake.sum()), "ap": np.mean([balanced_ap(*pair) for pair in zip(real, fake, strict=True)])}
    numbers["ap_low"], numbers["ap_high"] = bootstrap_ap(real, faces[~is_fake], fake, faces[is_fake])
    for name in ("iou", "pbca"):
        column = np.mean([run[name][is_fake] for run in runs], axis=0)
        numbers[name] = column.mean()
        numbers[f"{name}_low"], numbers[f"{name}_high"] = bootstrap(column, faces[is_fake])
    return {name: value if name == "n" else round(float(value), 6) for name, value in numbers.items()}


def iou_and_pbca(map_: np.ndarray, mask: np.ndarray, threshold: float = 0.5) -> tuple[float, float]:
    """IoU and PBCA of one map [h, w] against its mask [H, W]."""
    predicted = binary(upsample(map_, mask.shape), threshold)
    return iou(predicted, mask), pbca(predicted, mask)


def stream(dataset: Dataset, rows: pd.DataFrame, predict: Callable, measure: Callable | None):
    """Scores [n] of the pictures in `rows`, and measure(map, mask) of each, a batch at a time."""
    scores, values = [], []
    progress = progress_bar(len(rows), "scoring")
    for start in range(0, len(rows), BATCH):
        index = rows.index[start : start + BATCH].to_numpy()
        prediction = predict(index)
        scores.append(prediction.scores)
        if measure:
            values += [measure(m, dataset.masks[i]) for m, i in zip(prediction.maps, index, strict=True)]
        progress.update(len(index))
    progress.close()
    return np.concatenate(scores), values


def results_table(results: list[dict]) -> pd.DataFrame:
    """Results of `evaluate` as one tidy table: a row a detector, then those BESIDE them once."""
    rows = [row for result in results for row in result["rows"]]
    table = pd.DataFrame(rows, columns=METRICS_COLUMNS)
    detector = table.method.map(row_kind) == "detector"
    return pd.concat([table[detector], table[~detector].drop_duplicates("method")], ignore_index=True)
