"""All evaluated runs below a folder as one table, with the seeds of a job taken together.

Each number has two uncertainties. The interval shows the effect of the choice of test faces (the value of an image is
averaged over the seeds, then faces are resampled). The range over the seeds shows the effect of the randomness of
training. Neither includes the other.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from wsdl.config import DEFAULT_GENERATORS, FULL_GENERATORS, method_order
from wsdl.core.io import WsdlError
from wsdl.core.progress import print_problem
from wsdl.core.records import read_config, read_metrics
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.evaluation.baselines import row_label
from wsdl.evaluation.breakdown import read_per_image
from wsdl.evaluation.scoring import metrics_row

SCORE_TITLES = {"iou": "IoU", "pbca": "PBCA", "ap": "AP"}
RESULT_SCORES = tuple(SCORE_TITLES)
SCORE_PARTS = ("", "_low", "_high", "_least", "_most")
RESULTS_COLUMNS = (
    *("source", "method", "setup", "seeds"),
    *(score + part for score in RESULT_SCORES for part in SCORE_PARTS),
    "n",
)


def results_by_job(folder: Path, problem: Callable[[str], object] = print_problem) -> pd.DataFrame:
    """One row per job (source, method, setup, settings, test data), then the baselines of each test set.

    Columns are RESULTS_COLUMNS, and n_masks where that is not n. Numbers in [0, 1]: the mean over seeds, its 95 %
    interval (_low, _high) over source faces, and the lowest and highest value of a single seed (_least, _most).
    A run that is damaged, was evaluated under another preset, or repeats a seed is left out with problem(message),
    which prints to stderr by default. WsdlError where no run remains.
    """
    if not Path(folder).is_dir():
        raise WsdlError(f"{folder}: no such folder; give one with evaluated runs.")
    jobs, baselines, problems = {}, {}, []
    for path in sorted(Path(folder).rglob("metrics.json")):
        if not (path.parent / "config.json").exists():  # an evaluation on other data than the run's own
            continue
        try:
            config, metrics = read_evaluated(path.parent)
            _add_seed(jobs, path.parent, config, metrics)
        except WsdlError as error:
            problems.append(str(error))
            continue
        baselines.setdefault((config["source"], metrics["data"]), metrics["rows"][1:])
    if not jobs:
        problems.append(f"{folder}: holds no evaluated run; make one with `python -m wsdl evaluate`.")
    for message in problems if jobs else problems[1:]:
        problem(message)
    if not jobs:
        raise WsdlError(problems[0])
    rows = [job_row(seeds, read_config(next(iter(seeds.values())))) for seeds in jobs.values()]
    rows.sort(key=lambda row: method_order(row["method"]))  # stable: otherwise in the order of the folders
    for (source, _), of_data in baselines.items():
        rows += [{**row, "source": source, "seeds": ""} for row in of_data]
    lacks_masks = any("n_masks" in row for row in rows)
    table = pd.DataFrame(rows, columns=[*RESULTS_COLUMNS, *(["n_masks"] if lacks_masks else [])])
    return table.astype(dict.fromkeys(RESULTS_COLUMNS[4:-1], float))


def read_evaluated(run: Path) -> tuple[dict, dict]:
    """config.json and metrics.json of an evaluated run. WsdlError where these or pictures.csv cannot be in a table."""
    config, metrics = read_config(run), read_metrics(run)
    for key in ("method", "setup", "source", "seed"):
        if config.get(key) is None:
            raise WsdlError(f"{run / 'config.json'}: has no {key}; it is not that of a run of `train`.")
    if metrics["preset"] != "dolos":
        raise WsdlError(
            f"{run / 'metrics.json'}: holds the numbers of preset '{metrics['preset']}', but the table is of dolos; "
            f"evaluate {run} again with --preset dolos."
        )
    check_per_image(run, metrics)
    return config, metrics


def check_per_image(folder: Path, metrics: dict) -> None:
    """WsdlError where pictures.csv in `folder` is damaged or is not what `metrics` was computed from."""
    scored = int((read_per_image(folder).kind != "real").sum())
    if scored != metrics["rows"][0]["n"]:
        raise WsdlError(
            f"{folder / PER_IMAGE_FILE}: lists {scored} fakes, but metrics.json was computed from "
            f"{metrics['rows'][0]['n']}; evaluate the run again."
        )


def _add_seed(jobs: dict[str, dict[int, Path]], run: Path, config: dict, metrics: dict) -> None:
    """Add `run` to its job. WsdlError where the job has its seed, or was tested on other images."""
    seeds = jobs.get(_job_key(config, metrics), {})
    if config["seed"] in seeds:
        raise WsdlError(f"{run}: is the same training with the same seed as {seeds[config['seed']]}; keep one.")
    for other in list(seeds.values())[:1]:
        if list(read_per_image(other).path) != list(read_per_image(run).path):
            raise WsdlError(f"{run / PER_IMAGE_FILE}: lists other images than that of {other}; evaluate both again.")
    jobs.setdefault(_job_key(config, metrics), {})[config["seed"]] = run


def _job_key(config: dict, metrics: dict) -> str:
    """Everything that runs of one job have in common: all but the seed."""
    config = {key: value for key, value in config.items() if key != "seed"}
    return json.dumps([config, metrics["data"], metrics["preset"]], sort_keys=True)


def job_row(seeds: dict[int, Path], config: dict) -> dict:
    """The row of one job from its evaluated folders, by seed."""
    runs = [seeds[seed] for seed in sorted(seeds)]
    single = [read_metrics(run)["rows"][0] for run in runs]
    spread = {f"{score}_least": min(row[score] for row in single) for score in RESULT_SCORES}
    spread |= {f"{score}_most": max(row[score] for row in single) for score in RESULT_SCORES}
    who = {"source": source_name(config), "method": config["method"], "setup": config["setup"],
           "seeds": " ".join(map(str, sorted(seeds)))}  # fmt: skip
    return who | metrics_row([read_per_image(run) for run in runs]) | spread


def source_name(config: dict) -> str:
    """The source of a run, with the generator of its training fakes where that is not the default one."""
    source, generator = config["source"], config.get("generator", "")
    default = "", *DEFAULT_GENERATORS, *FULL_GENERATORS.values()
    return source if generator in default else f"{source} ({generator})"


def results_to_markdown(rows: pd.DataFrame) -> str:
    """The table as Markdown, in percent: "52.4 (44.5 to 59.2) [50.1 to 54.0]" with interval and range over seeds."""
    names = list(rows.columns[: rows.columns.get_loc("seeds") + 1])
    heads = [*(name.replace("_", " ") for name in names), *SCORE_TITLES.values(), "images"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows.assign(method=rows.method.map(row_label)).to_dict("records"):
        cells = [
            *(row[name] for name in names),
            *(format_score(row, score) for score in RESULT_SCORES),
            count_images(row),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def count_images(row: dict) -> str:
    """The number of test fakes of a row, and of those with a mask if fewer: "40", "40 (12 with a mask)"."""
    masks = row.get("n_masks")
    return f"{row['n']:.0f}" if masks is None or pd.isna(masks) else f"{row['n']:.0f} ({masks:.0f} with a mask)"


def format_score(row: dict, score: str) -> str:
    """One score of a row of `results_by_job` in percent: "52.4 (44.5 to 59.2) [50.1 to 54.0]"."""
    if pd.isna(row[score]):
        return "no masks"
    value, low, high, least, most = (100 * row[score + part] for part in SCORE_PARTS)
    text = f"{value:.1f}" if low == high or pd.isna(low) else f"{value:.1f} ({low:.1f} to {high:.1f})"
    return text if pd.isna(least) or " " not in row["seeds"] else f"{text} [{least:.1f} to {most:.1f}]"
