"""Evaluation of a run on the test or validation split of a dataset: its numbers, and those of all baselines.

Preset `dolos` (section 4 of the paper): maps are upsampled BICUBIC to the size of the mask, a pixel is fake where the
map is strictly above 0.5, IoU and PBCA are means per image over partial fakes, and AP is computed from the image
scores of as many real images as partial fakes. `wsdl.evaluation.protocols` defines the other presets.
"""

from pathlib import Path

import pandas as pd

from wsdl.core.io import WsdlError, atomic, sha256, write_json
from wsdl.core.locks import hold_folder
from wsdl.core.progress import print_stderr
from wsdl.core.records import read_object
from wsdl.core.run import MODEL_FILE, PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.data.paper_sets import choose_generators
from wsdl.evaluation.baselines import BASELINES, baseline_rows, row_kind
from wsdl.evaluation.protocols import EXTRA_PROTOCOLS, PROTOCOLS
from wsdl.evaluation.scoring import DOLOS_MEASURES, MAPS, PER_IMAGE_COLUMNS, score_protocols

_METRICS_FILE = "metrics.json"  # rows of one preset
PROTOCOLS_FILE = "definitions.json"  # rows of all presets
METRICS_COLUMNS = (
    *("method", "setup", "seed"),
    *(name + end for name in DOLOS_MEASURES for end in ("", "_low", "_high")),
    "n",
)
PROTOCOL_COLUMNS = ("method", "setup", "seed", "preset", "measure", "value", "low", "high", "n")


def evaluate(
    run: Path,
    data: Path,
    preset: str = "dolos",
    generators: tuple[str, ...] = (),  # whose partial fakes are scored; (): all, of the Dolos download repaint-p2
    into: Path | None = None,  # the folder of metrics.json; default: the run, RUN/valid for the validation split
    split: str = "test",  # or "valid", to choose settings without the test split
) -> dict:
    """Score the detector in `run` on a split of `data`; returns metrics.json, and writes it.

    pictures.csv in the same folder holds the numbers of each image. Stored results of the same model, data and preset
    are loaded. WsdlError for an unknown preset or split, a run without a model, or a split without images to score.
    """
    if split not in ("test", "valid"):
        raise WsdlError(f"--split: is '{split}', but must be test or valid.")
    if split == "valid" and preset != "dolos":
        raise WsdlError(f"--split valid: is scored with --preset dolos alone, not '{preset}'.")
    if preset not in PROTOCOLS:
        raise WsdlError(f"--preset: is '{preset}', but must be {' or '.join(PROTOCOLS)}.")
    run, dataset = Path(run), Dataset(data, choose_generators(data, generators))
    into = Path(into or (run if split == "test" else run / split))
    made_from = {"preset": preset, **evaluation_inputs(run, dataset), **({"split": split} if split != "test" else {})}
    if stored := _stored(into, _METRICS_FILE, made_from):
        return stored  # also where the folder cannot be written
    if preset != "dolos":
        rows = _protocol_rows(run, dataset)
    with hold_folder(into):
        if stored := _stored(into, _METRICS_FILE, made_from):  # another process has written it meanwhile
            return stored
        if preset == "dolos":
            table, rows = _score_run(run, dataset, split=split)
            _write_per_image(into, table)
        result = {**made_from, "dataset": dataset.info.get("name"), "rows": metrics_rows(rows, preset)}
        write_json(into / _METRICS_FILE, result)
    return result


def evaluate_protocols(run: Path, data: Path, generators: tuple[str, ...] = ()) -> pd.DataFrame:
    """The numbers of the detector in `run` and of all baselines under every preset; written to RUN/definitions.json.

    Columns are PROTOCOL_COLUMNS: `value` with its 95 % interval over source faces (none for AP and AUC of pooled
    pixels), `n` the images behind it. Loads stored results and raises WsdlError as `evaluate` does.
    """
    dataset = Dataset(data, choose_generators(data, generators))
    return pd.DataFrame(_protocol_rows(Path(run), dataset), columns=PROTOCOL_COLUMNS)


def evaluation_table(
    run: Path, data: Path, preset: str, generators: tuple[str, ...] = (), split: str = "test"
) -> pd.DataFrame:
    """The table that `python -m wsdl evaluate` prints: a row per method, or per number where preset is "all"."""
    if preset == "all" and split == "test":
        return evaluate_protocols(run, data, generators)
    result = evaluate(run, data, preset, generators, split=split)
    if preset != "dolos":
        return pd.DataFrame(result["rows"])
    _report_unknown_masks(data, result["rows"][0])
    return scores_table([result])


def dolos_rows(run: Path, dataset: Dataset) -> list[dict]:
    """The rows of metrics.json under preset `dolos`: those stored in `run`, or computed without writing."""
    stored = _stored(run, _METRICS_FILE, {"preset": "dolos", **evaluation_inputs(run, dataset)})
    return stored["rows"] if stored else metrics_rows(_score_run(run, dataset)[1], "dolos")


def has_all_rows(rows: list[dict]) -> bool:
    """Whether stored rows are those of a detector and of all baselines; earlier versions had fewer."""
    return list(dict.fromkeys(row["method"] for row in rows))[1:] == list(BASELINES)


def metrics_rows(rows: list[dict], preset: str) -> list[dict]:
    """The rows of one preset as in metrics.json: a row per method, each measure with its _low and _high.

    Where masks are unknown, those of dolos also have statistics of maps, and `n_masks`: the fakes behind IoU and PBCA.
    """
    by_method, counts = {}, {}
    for row in rows:
        if row["preset"] != preset and (preset, row["preset"]) != ("dolos", MAPS):
            continue
        who = {key: row[key] for key in ("method", "setup", "seed")}
        numbers, measure = by_method.setdefault(row["method"], who), row["measure"]
        numbers |= {measure: row["value"], f"{measure}_low": row["low"], f"{measure}_high": row["high"]}
        if row["preset"] == preset:
            counts.setdefault(row["method"], []).append(row["n"])
    for method, of in counts.items():
        masks = {"n_masks": min(of)} if preset == "dolos" and min(of) < max(of) else {}
        by_method[method] |= {**masks, "n": max(of)}
    return list(by_method.values())


def scores_table(results: list[dict]) -> pd.DataFrame:
    """Results of `evaluate` as one table: a row per detector, then each baseline once."""
    rows = [row for result in results for row in result["rows"]]
    further = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in METRICS_COLUMNS]
    table = pd.DataFrame(rows, columns=[*METRICS_COLUMNS, *further])  # further: of unknown masks
    table = table.astype(dict.fromkeys(METRICS_COLUMNS[3:-1], float))  # None, where there is no interval, becomes NaN
    detector = table.method.map(row_kind) == "detector"
    return pd.concat([table[detector], table[~detector].drop_duplicates("method")], ignore_index=True)


def protocols_side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `evaluate_protocols` for reading: a row per method and setup, a column "preset measure" each."""
    column = table.preset + " " + table.measure
    rows = table.assign(column=column).pivot_table(
        index=["method", "setup"], columns="column", values="value", sort=False
    )
    return rows[list(dict.fromkeys(column))].rename_axis(columns=None)


def evaluation_inputs(run: Path, dataset: Dataset) -> dict:
    """The keys of metrics.json that name the model and the data. WsdlError where the run holds no model.

    `generators` is among them only where the dataset also has partial fakes of others, which are not scored; `maps`
    only for Grad-CAM in setups A and B, whose maps were made otherwise by earlier versions.
    """
    if not (run / MODEL_FILE).is_file():
        if inside := sorted(path.parent for path in run.glob(f"*/{MODEL_FILE}")):
            raise WsdlError(f"{run}: is a folder of runs; give one of them: {', '.join(map(str, inside))}.")
        read_object(run / "config.json")  # the better message where `run` is no run at all
        raise WsdlError(f"{run}: holds no {MODEL_FILE}; train it first.")
    inputs = {"model": sha256(run / MODEL_FILE), "data": dataset.info["manifest_sha256"]}
    if dataset.is_filtered:
        inputs["generators"] = list(dataset.generators)
    config = read_object(run / "config.json")
    if config.get("method") == "grad-cam" and config.get("setup") in ("a", "b"):
        inputs["maps"] = "minus their minimum, over their maximum, enlarged"
    return inputs


def _protocol_rows(run: Path, dataset: Dataset) -> list[dict]:
    """The rows of definitions.json, computed unless they are stored."""
    made_from = evaluation_inputs(run, dataset)
    if stored := _stored(run, PROTOCOLS_FILE, made_from):
        return stored["rows"]
    with hold_folder(run):
        if stored := _stored(run, PROTOCOLS_FILE, made_from):  # another process has written it meanwhile
            return stored["rows"]
        table, rows = _score_run(run, dataset, EXTRA_PROTOCOLS)
        _write_per_image(run, table)
        write_json(run / PROTOCOLS_FILE, {**made_from, "rows": rows})
    return rows


def _score_run(
    run: Path, dataset: Dataset, extra: tuple[str, ...] = (), split: str = "test"
) -> tuple[pd.DataFrame, list[dict]]:
    """The numbers of each image (`score_images`), and the rows of the detector and of all baselines."""
    from wsdl.detectors import load_detector

    detector = load_detector(run)
    config = read_object(run / "config.json", {"method": str, "setup": str, "seed": int}, ("method", "setup", "seed"))
    table, rows = score_protocols(dataset, lambda index: detector.predict(dataset.images[index]), extra, split)
    if extra and table.iou.isna().all():
        raise WsdlError(f"{dataset.folder}: the other presets need masks, but no test fake has a known one; use dolos.")
    if table[table.kind != "real"].source_id.nunique() < 2:
        print_stderr(
            f"{dataset.folder}: has fakes of one {split} face only, so intervals are empty; prepare more images."
        )
    who = {key: config[key] for key in ("method", "setup", "seed")}
    return table, [who | row for row in rows] + baseline_rows(dataset, config["seed"], extra, split)


def _report_unknown_masks(data: Path, row: dict) -> None:
    """Say what `row` of metrics.json does not tell where fakes have no known mask."""
    known = row.get("n_masks", row["n"])
    if known == row["n"]:
        return
    rest = f"IoU and PBCA are over those {known} (n_masks)" if known else "IoU and PBCA need masks"
    print_stderr(
        f"{data}: {known or 'none'} of {row['n']} test fakes {'have' if known > 1 else 'has'} a known mask: AP and "
        f"statistics of the maps are over all, {rest}."
    )


def _stored(folder: Path, name: str, made_from: dict) -> dict | None:
    """The results in FOLDER/NAME where they are complete and were made from the same model and data."""
    if not (folder / name).exists() or not (folder / PER_IMAGE_FILE).exists():
        return None
    stored = read_object(folder / name)
    same = {key: value for key, value in stored.items() if key not in ("rows", "dataset")} == made_from
    return stored if same and has_all_rows(stored.get("rows", [])) else None


def _write_per_image(folder: Path, table: pd.DataFrame) -> None:
    with atomic(folder / PER_IMAGE_FILE) as temporary:
        columns = [*PER_IMAGE_COLUMNS, *(["marked"] if "marked" in table else [])]
        table[columns].to_csv(temporary, index=False, lineterminator="\n")
