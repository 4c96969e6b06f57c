"""Tables of a grid with variants: the share of setup C, the cost of training, and IoU by component and area."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.config import SETUPS
from wsdl.core.io import WsdlError
from wsdl.core.records import read_about
from wsdl.data.dataset import Dataset
from wsdl.detectors import network_options
from wsdl.evaluation.baselines import row_label
from wsdl.evaluation.breakdown import by_area, by_component, compare_runs, partial_fakes
from wsdl.evaluation.label_thresholds import RULES, score_thresholds, thresholds_table
from wsdl.evaluation.metrics import bootstrap_ratio
from wsdl.evaluation.tables import SCORE_PARTS, format_score
from wsdl.experiments.grid import Grid
from wsdl.experiments.jobs import Job
from wsdl.experiments.variants import describe_variant

VARIANT_COLUMNS = (*("share" + part for part in SCORE_PARTS), "best_baseline", "best_baseline_iou", "cpu_seconds")


def variant_columns(grid: Grid, done: list[Job], test: str, finished: list[Job], baselines: list[dict]) -> dict:
    """VARIANT_COLUMNS of the jobs `done`, which differ in their seed, on one test set.

    share: their mean IoU divided by that of setup C with the same network and seeds, with an interval over source faces
    that are resampled for both together (_low, _high), and the share of single seeds (_least, _most). Empty where no
    such job of setup C is in `finished`. cpu_seconds: of training, the mean over the seeds.
    """
    best = max(baselines, key=lambda row: row["iou"])
    seconds = np.mean([read_about(grid.run_folder(job)).get("cpu_seconds") or np.nan for job in done])
    about = {"best_baseline": best["method"], "best_baseline_iou": best["iou"], "cpu_seconds": round(seconds, 1)}
    pairs = [(job, other) for job in done if (other := _with_masks(grid, job, test, finished))]
    return about | (_share([[grid.test_folders(job)[test] for job in pair] for pair in pairs]) if pairs else {})


def _with_masks(grid: Grid, job: Job, test: str, finished: list[Job]) -> Job | None:
    """The finished job of setup C with the network, the seed and the test of `job`, if there is one."""
    for other in finished:
        same = (other.method, other.train_source, other.seed) == (job.method, job.train_source, job.seed)
        comparable = same and SETUPS[other.setup].has_masks and test in grid.test_folders(other)
        if comparable and _network(grid, other) == _network(grid, job):
            return other
    return None


def _network(grid: Grid, job: Job) -> dict:
    """The settings of the network of a job that setup C uses, too."""
    options = network_options(asdict(grid.study(job).profile.training(job.method)))
    return {name: value for name, value in options.items() if name != "label_loss"}


def _share(pairs: list[list[Path]]) -> dict:
    """The mean IoU of the first folders of `pairs` divided by that of the second ones; a pair per seed."""
    ours, theirs = (partial_fakes(list(folders)) for folders in zip(*pairs, strict=True))
    low, high = bootstrap_ratio(ours.iou.to_numpy(), theirs.iou.to_numpy(), ours.source_id.to_numpy())
    single = [_ratio(*(partial_fakes([folder]) for folder in pair)) for pair in pairs]
    numbers = (_ratio(ours, theirs), low, high, min(single), max(single))
    return {"share" + part: round(float(number), 6) for part, number in zip(SCORE_PARTS, numbers, strict=True)}


def _ratio(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    return ours.iou.mean() / theirs.iou.mean() if theirs.iou.any() else np.nan


def variants_to_markdown(table: pd.DataFrame) -> str:
    """The detectors of a table with VARIANT_COLUMNS as Markdown, in percent, a table for each test set."""
    return "\n\n".join(_one_test(test, rows) for test, rows in table[table.n.notna()].groupby("tested_on", sort=False))


def _one_test(test: str, rows: pd.DataFrame) -> str:
    heads = ("method, setup", "variant", "seeds", "IoU", "share of C", "AP", "CPU seconds")
    detectors, best = rows[rows.trained_on != ""], rows.iloc[0]
    cells = [_detector_cells(row) for row in detectors.to_dict("records")]
    cells.append((f"*best {row_label(best.best_baseline)}*", "", "", f"{100 * best.best_baseline_iou:.1f}", *[""] * 3))
    return f"Tested on {test}:\n\n{_markdown(heads, cells)}"


def _detector_cells(row: dict) -> tuple[str, ...]:
    about = describe_variant(row["variant"])
    variant = f"{row['variant']} ({about})" if about else row["variant"] or "settings of the profile"
    share = "" if pd.isna(row["share"]) else format_score(row, "share")
    seconds = "" if pd.isna(row["cpu_seconds"]) else f"{row['cpu_seconds']:,.0f}"
    who = f"{row['method']}, {row['setup'].upper()}"
    return who, variant, row["seeds"], format_score(row, "iou"), share, format_score(row, "ap"), seconds


def _markdown(heads: tuple[str, ...], rows: list[tuple]) -> str:
    return "\n".join(["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|",
                      *("| " + " | ".join(map(str, row)) + " |" for row in rows)])  # fmt: skip


def grid_thresholds(grid: Grid, finished: list[Job]) -> pd.DataFrame:
    """IoU at the thresholds of `wsdl.evaluation.label_thresholds`, a row per detector, test set and rule.

    Thresholds come from the validation split of the data that a detector was trained on, also for tests on other data.
    Columns: method, setup, variant, tested_on, seeds, then those of `thresholds_table`. Predicts what is not stored.
    """
    groups: dict[tuple, list[Job]] = {}
    for job in finished:
        for test in grid.test_folders(job):
            groups.setdefault((job.method, job.setup, job.variant, test), []).append(job)
    tables = []
    for (method, setup, variant, test), jobs in groups.items():
        table = thresholds_table([_thresholds_of(grid, job, test) for job in jobs])
        seeds = " ".join(str(job.seed) for job in sorted(jobs, key=lambda job: job.seed))
        who = {"method": method, "setup": setup, "variant": variant, "tested_on": test, "seeds": seeds}
        tables.append(pd.DataFrame([who] * len(table)).join(table))
    if not tables:
        raise WsdlError(f"{grid.out}: no run of this grid is done yet; see `python -m wsdl grid status`.")
    return pd.concat(tables, ignore_index=True)


def _thresholds_of(grid: Grid, job: Job, test: str) -> dict:
    source, _, generators = test.partition("/")
    data = grid.at(source).data
    home = Dataset(grid.study(job).data, job.own_generators)
    return score_thresholds(
        grid.run_folder(job), data, tuple(generators.split("+")), home, grid.test_folders(job)[test]
    )


def thresholds_to_markdown(table: pd.DataFrame) -> str:
    """A table of `grid_thresholds` as Markdown: IoU in percent with its interval, and the threshold."""
    heads = ("method, setup", "variant", "tested on", "seeds", *RULES)
    rows = []
    for (method, setup, variant, test, seeds), part in table.groupby(list(table.columns[:5]), sort=False):
        cells = [f"{100 * row.iou:.1f} at {row.threshold:.3f}" for row in part.itertuples()]
        rows.append((f"{method}, {setup.upper()}", variant, test, seeds, *cells))
    return _markdown(heads, rows)


def regions_table(grid: Grid, finished: list[Job]) -> pd.DataFrame:
    """IoU by component and by area of the mask of the jobs without a variant, on their own test sets.

    Columns: who ("patches-mil, A"), region ("hair", "area 0.5 to 1.2 %"), value, low, high, area (mean), n, faces. The
    IoU of an image is averaged over the seeds first. Empty where no such job is in `finished`.
    """
    parts = []
    for source in dict.fromkeys(job.train_source for job in finished):
        runs: dict[str, list[Path]] = {}
        for job in finished:
            if job.train_source == source and not job.variant and not job.generators:
                runs.setdefault(f"{job.method}, {job.setup.upper()}", []).append(grid.run_folder(job))
        if runs:
            areas = compare_runs(runs, by_area).assign(region=lambda table: [*map(_area_name, table.least, table.most)])
            components = compare_runs(runs, by_component).rename(columns={"component": "region"})
            parts += [part.assign(source=source) for part in (components, areas)]
    columns = ["source", "who", "region", "value", "low", "high", "area", "n", "faces"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _area_name(least: float, most: float) -> str:
    return f"area {100 * least:.1f} to {100 * most:.1f} %"


def regions_to_markdown(table: pd.DataFrame) -> str:
    """A `regions_table` as Markdown, in percent, a column for each detector: "52.4 (44.5 to 59.2)"."""
    texts = [f"{100 * row.value:.1f} ({100 * row.low:.1f} to {100 * row.high:.1f})" for row in table.itertuples()]
    wide = table.assign(text=texts).pivot_table(
        index=["source", "region", "n"], columns="who", values="text", aggfunc="first", sort=False
    )
    rows = [(*key, *row) for key, row in zip(wide.index, wide.to_numpy(), strict=True)]
    return _markdown((*wide.index.names, *wide.columns), rows)
