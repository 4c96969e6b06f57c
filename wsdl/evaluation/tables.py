"""Runs side by side: all evaluated runs under a folder as one table, the seeds of a cell taken together.

Two different doubts stand beside each number. The interval says how much the choice of test faces matters (a
picture's value is averaged over the seeds, then faces are resampled); the range over the seeds says how much the luck
of training matters. Neither contains the other.
"""

import json
from pathlib import Path

import pandas as pd

from wsdl.config import method_order
from wsdl.core.io import WsdlError, read_json
from wsdl.evaluation.breakdown import read_per_image
from wsdl.evaluation.evaluate import metrics_row

RESULT_SCORES = ("iou", "pbca", "ap")
SCORE_PARTS = ("", "_low", "_high", "_least", "_most")
RESULTS_COLUMNS = (
    "source",
    "method",
    "setup",
    "seeds",
    *(score + part for score in RESULT_SCORES for part in SCORE_PARTS),
    "n",
)
SCORE_TITLES = {"iou": "IoU", "pbca": "PBCA", "ap": "AP"}


def results_by_job(folder: Path) -> pd.DataFrame:
    """One row a cell (source, method, setup, settings, test data), then what stands beside them for each test set.

    Columns are COLUMNS, numbers in [0, 1]: the mean over seeds, its 95 % interval (_low, _high) over source faces, and
    the _least and _most that a single seed gave. WsdlError where nothing was evaluated, or a seed is there twice.
    """
    cells, beside = {}, {}
    for path in sorted(Path(folder).rglob("metrics.json")):
        if not (path.parent / "config.json").exists():  # a run's numbers on other data than its own
            continue
        run, config, metrics = path.parent, read_json(path.parent / "config.json"), read_json(path)
        if metrics["preset"] != "dolos":
            raise WsdlError(
                f"{path}: holds the numbers of preset '{metrics['preset']}', but the table is of dolos; evaluate {run} "
                "again with --preset dolos."
            )
        seeds = cells.setdefault(_job_key(config, metrics), {})
        if config["seed"] in seeds:
            raise WsdlError(f"{run}: is the same training with the same seed as {seeds[config['seed']]}; keep one.")
        seeds[config["seed"]] = run
        beside.setdefault((config["source"], metrics["data"], metrics["preset"]), metrics["rows"][1:])
    if not cells:
        raise WsdlError(f"{folder}: holds no evaluated run; make one with `python -m wsdl evaluate`.")
    rows = [job_row(seeds, read_json(next(iter(seeds.values())) / "config.json")) for seeds in cells.values()]
    rows.sort(key=lambda row: method_order(row["method"]))  # else as the folders are sorted
    rows += [{**row, "source": key[0], "seeds": ""} for key, some in beside.items() for row in some]
    return pd.DataFrame(rows, columns=RESULTS_COLUMNS)


def _job_key(config: dict, metrics: dict) -> str:
    """What two runs must share to differ in nothing but their seed."""
    config = {key: value for key, value in config.items() if key != "seed"}
    return json.dumps([config, metrics["data"], metrics["preset"]], sort_keys=True)


def job_row(seeds: dict[int, Path], config: dict) -> dict:
    """The row of one cell from the folders of its numbers, by seed."""
    runs = [seeds[seed] for seed in sorted(seeds)]
    alone = [read_json(run / "metrics.json")["rows"][0] for run in runs]
    spread = {f"{score}_least": min(row[score] for row in alone) for score in RESULT_SCORES}
    spread |= {f"{score}_most": max(row[score] for row in alone) for score in RESULT_SCORES}
    who = {"source": _source_name(config), "method": config["method"], "setup": config["setup"],
           "seeds": " ".join(map(str, sorted(seeds)))}  # fmt: skip
    return who | metrics_row([read_per_image(run) for run in runs]) | spread


def _source_name(config: dict) -> str:
    """The source of a run, and who painted its training fakes where that is not who usually does."""
    source, painter = config["source"], config.get("generator", "")
    return source if painter in ("", "p2", "repaint-p2") else f"{source} ({painter})"


def results_to_markdown(rows: pd.DataFrame) -> str:
    """The table for people, in percent: "52.4 (44.5 to 59.2) [50.1 to 54.0]", interval and range over seeds."""
    names = list(rows.columns[: rows.columns.get_loc("seeds") + 1])
    heads = [*(name.replace("_", " ") for name in names), *SCORE_TITLES.values(), "pictures"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows.to_dict("records"):
        cells = [*(row[name] for name in names), *(format_score(row, score) for score in RESULT_SCORES)]
        lines.append("| " + " | ".join(map(str, cells)) + f" | {row['n']} |")
    return "\n".join(lines)


def format_score(row: dict, score: str) -> str:
    value, low, high, least, most = (100 * row[score + part] for part in SCORE_PARTS)
    said = f"{value:.1f}" if low == high else f"{value:.1f} ({low:.1f} to {high:.1f})"
    return said if pd.isna(least) or " " not in row["seeds"] else f"{said} [{least:.1f} to {most:.1f}]"
