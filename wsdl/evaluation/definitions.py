"""The same maps under every preset: one pass over the test split, one tidy table, with what needs no training.

RUN/definitions.json keeps the table. The maps go through memory a batch at a time; of each picture only its numbers
stay, of all pixels only how many have each value (`wsdl.evaluation.pixels.Tally`).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.core.progress import progress_bar
from wsdl.data.dataset import Dataset
from wsdl.evaluation import evaluate as scoring
from wsdl.evaluation.metrics import bootstrap, interval, resample, upsample
from wsdl.evaluation.pixels import Tally
from wsdl.evaluation.protocols import PROTOCOLS, pooled_scores

FILE = "definitions.json"  # in a run
COLUMNS = ("method", "setup", "seed", "preset", "measure", "value", "low", "high", "n")
COUNTS = ["pooled.hits", "pooled.alarms", "pooled.misses", "pooled.rests"]
ALSO_REAL = ("benco",)  # presets that count real pictures too


def definitions(run: Path, data: Path, generators: tuple[str, ...] = ()) -> pd.DataFrame:
    """Every preset's numbers of the detector in `run` and of those BESIDE it, on the test split of `data`; tidy.

    Columns are COLUMNS: `value` with its 95 % interval over source faces (none for AP and AUC of pooled pixels), `n`
    the pictures behind it. Done already, as in `wsdl.evaluation.evaluate.evaluate`: loads it. WsdlError as there.
    """
    run, dataset = Path(run), Dataset(data, generators)
    config = read_json(run / "config.json")
    made_of = scoring.made_of(run, dataset)
    old = read_json(run / FILE) if (run / FILE).exists() else {}
    same = {key: value for key, value in old.items() if key != "rows"} == made_of and scoring.has_all_rows(old["rows"])
    if same and (run / scoring.PER_IMAGE_FILE).exists():
        return pd.DataFrame(old["rows"], columns=COLUMNS)
    pictures, rows = every_row(run, config, dataset)
    scoring.write_pictures(run, pictures)
    write_json(run / FILE, {**made_of, "rows": rows})
    return pd.DataFrame(rows, columns=COLUMNS)


def table_of(run: Path, data: Path, preset: str, generators: tuple[str, ...] = ()) -> pd.DataFrame:
    """What `python -m wsdl evaluate` prints: the tidy table of all presets, or the rows of one."""
    if preset == "all":
        return definitions(run, data, generators)
    rows = scoring.evaluate(run, data, preset, generators)["rows"]
    return scoring.results_table([{"rows": rows}]) if preset == "dolos" else pd.DataFrame(rows)


def every_row(run: Path, config: dict, dataset: Dataset) -> tuple[pd.DataFrame, list[dict]]:
    """What the detector says of each picture (as in pictures.csv), and the tidy rows: its own, then those BESIDE."""
    from wsdl.detectors import load_detector

    detector = load_detector(run)
    who = {"method": config["method"], "setup": config["setup"], "seed": config["seed"]}
    values, tally = measure(dataset, lambda index: detector.predict(dataset.images[index]), detector.paper_maps)
    rows = [who | row for row in summarise(values, tally)]
    return as_pictures(values), rows + beside(dataset, config["seed"])


def beside(dataset: Dataset, seed: int) -> list[dict]:
    """The tidy rows that need no detector (`wsdl.evaluation.evaluate.BASELINES`): they depend on the data alone."""
    rows = []
    for name, say in scoring.BASELINES.items():
        who = {"method": name, "setup": "", "seed": seed}
        rows += [who | row for row in summarise(*measure(dataset, say(dataset)))]
    return rows


def measure(dataset: Dataset, predict: Callable, paper: Callable | None = None) -> tuple[pd.DataFrame, Tally]:
    """Each test picture under each preset, and the pixels of all partial fakes counted by value.

    predict(indices) -> Prediction. paper(maps) -> maps: what the preset `dolos` does to them first, if anything.
    Columns beside those of the manifest: `score`, and PRESET.NUMBER such as "benco.f1"; NaN where a preset does not
    count a picture. WsdlError where the test split lacks real or partial pictures.
    """
    table = scoring.test_pictures(dataset)
    tally, scores, values = Tally(), [], []
    progress = progress_bar(len(table), "scoring")
    for start in range(0, len(table), scoring.BATCH):
        part = table.iloc[start : start + scoring.BATCH]
        prediction = predict(part.index.to_numpy())
        scores.append(prediction.scores)
        papers = prediction.maps if paper is None else paper(prediction.maps)
        for map_, of_paper, kind, i in zip(prediction.maps, papers, part.kind, part.index, strict=True):
            mask = np.asarray(dataset.masks[i])
            full = upsample(map_, mask.shape)
            of_paper = full if papers is prediction.maps else upsample(of_paper, mask.shape)
            values.append(under_presets(full, of_paper, mask, kind))
            if kind == "partial":
                tally.add(full, mask)
        progress.update(len(part))
    progress.close()
    described = table[list(scoring.DESCRIBED)].assign(score=np.concatenate(scores))
    return pd.concat([described, pd.DataFrame(values, index=table.index)], axis=1), tally


def under_presets(map_: np.ndarray, of_paper: np.ndarray, mask: np.ndarray, kind: str) -> dict[str, float]:
    """{"dolos.iou": ..., "benco.f1": ...} of one map [H, W]; `of_paper` is the map as `dolos` wants it."""
    return {
        f"{preset}.{name}": value
        for preset, score in PROTOCOLS.items()
        if kind == "partial" or preset in ALSO_REAL
        for name, value in score(of_paper if preset == "dolos" else map_, mask).items()
    }


def summarise(values: pd.DataFrame, tally: Tally) -> list[dict]:
    """`measure`'s table as tidy rows: preset, measure, value, low, high, n."""
    partial = values[values.kind == "partial"]
    paper = scoring.metrics_row([as_pictures(values)])
    rows = [
        {"preset": "dolos", "measure": name, "value": paper[name], "low": paper[f"{name}_low"],
         "high": paper[f"{name}_high"], "n": paper["n"]}
        for name in ("iou", "pbca", "ap")
    ]  # fmt: skip
    rows += pooled_rows(partial[COUNTS].to_numpy(), partial.source_id.to_numpy())
    for name, value in (("pixel_ap", tally.ap()), ("pixel_auc", tally.auc())):
        rows.append(tidy("pooled", name, value, (None, None), len(partial)))
    for column in values.columns[values.columns.str.startswith(("benco.", "trufor.", "free."))]:
        counted = values[values[column].notna()]
        if counted.empty:
            continue
        ends = bootstrap(counted[column].to_numpy(), counted.source_id.to_numpy())
        rows.append(tidy(*column.split("."), counted[column].mean(), ends, len(counted)))
    return rows


def pooled_rows(counts: np.ndarray, faces: np.ndarray) -> list[dict]:
    """IoU, F1 and accuracy of all pixels of counts [n, 4], with intervals over source faces."""
    index, times = resample(faces, len(faces), seed=0, rounds=1000)
    by_face = np.stack([np.bincount(index, weights=column) for column in counts.T], axis=1)
    drawn = pooled_scores(times @ by_face)
    return [
        tidy("pooled", name, value, interval(drawn[name], 0.95), len(faces))
        for name, value in pooled_scores(counts.sum(axis=0)).items()
    ]


def tidy(preset: str, name: str, value: float, ends: tuple, n: int) -> dict:
    value, low, high = (None if x is None or np.isnan(x) else round(float(x), 6) for x in (value, *ends))
    return {"preset": preset, "measure": name, "value": value, "low": low, "high": high, "n": n}


def as_pictures(values: pd.DataFrame) -> pd.DataFrame:
    """`measure`'s table with the columns of pictures.csv: of the presets, only what `dolos` says."""
    renamed = values.rename(columns={"dolos.iou": "iou", "dolos.pbca": "pbca"})
    return renamed[[*scoring.DESCRIBED, "score", "iou", "pbca"]]


def wide(table: pd.DataFrame, preset: str) -> list[dict]:
    """The rows of one preset as metrics.json has them: a row a method, each measure with its _low and _high."""
    rows = []
    for (method, setup, seed), part in table[table.preset == preset].groupby(["method", "setup", "seed"], sort=False):
        row = {"method": method, "setup": setup, "seed": seed}
        for one in part.to_dict("records"):
            numbers = {one["measure"]: one["value"], f"{one['measure']}_low": one["low"],
                       f"{one['measure']}_high": one["high"]}  # fmt: skip
            row |= {name: None if pd.isna(number) else number for name, number in numbers.items()}
        rows.append({**row, "n": int(part.n.max())})
    if not rows:
        raise WsdlError(f"--preset: is '{preset}', but must be {' or '.join(PROTOCOLS)}.")
    return rows


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """The tidy table for the eye: a row a method and setup, a column "preset measure" a number."""
    column = table.preset + " " + table.measure
    rows = table.assign(column=column).pivot_table(
        index=["method", "setup"], columns="column", values="value", sort=False
    )
    return rows[list(dict.fromkeys(column))].rename_axis(columns=None)
