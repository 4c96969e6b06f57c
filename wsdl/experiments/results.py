"""Tables of a grid: jobs tested on their own data, or across sources and generators; the figure of the latter."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from wsdl.core.io import WsdlError, atomic
from wsdl.core.progress import print_problem
from wsdl.core.records import read_metrics
from wsdl.evaluation.baselines import row_kind
from wsdl.evaluation.robustness import robustness
from wsdl.evaluation.robustness_table import robustness_table
from wsdl.evaluation.tables import (
    RESULT_SCORES,
    SCORE_PARTS,
    check_per_image,
    job_row,
    read_evaluated,
    results_by_job,
    source_name,
)
from wsdl.experiments.grid import Grid, is_finished, load_grid
from wsdl.experiments.jobs import Job
from wsdl.experiments.variant_results import VARIANT_COLUMNS, variant_columns

CROSS_KEYS = ("method", "setup", "trained_on", "tested_on")
_VARIANT_KEYS = "method", "setup", "variant", "trained_on", "tested_on"
CROSS_COLUMNS = (*CROSS_KEYS, "seeds", *(score + part for score in RESULT_SCORES for part in SCORE_PARTS),
                 "n", "missing")  # fmt: skip
ALL_BUT_TESTED = "all but the tested"  # a row of the matrix: trained on several generators, tested on another one
BEST_BASELINE = "best baseline"


def collect_results(out: Path, problem: Callable[[str], object] = print_problem) -> pd.DataFrame:
    """Collect the scores of the finished jobs of a grid and write them to OUT/results.csv.

    One row per source, method and setup, over all seeds, numbers in [0, 1]; then the baselines. `missing` lists the
    seeds that are not finished; where none is, the numbers are empty. Where jobs name generators, further tests or
    variants, the columns are those of `cross_table`. A job whose files are damaged counts as missing, with
    problem(message), which prints to stderr by default. WsdlError where no job is finished.
    """
    grid, problems = load_grid(out), []
    finished = usable_jobs(grid, problems.append)
    is_cross = any(job.tests or job.generators or job.variant for job in grid.jobs)
    if finished:
        table = cross_table(grid, finished) if is_cross else _in_domain_table(grid, finished, problems.append)
    for message in dict.fromkeys(problems):
        problem(message)
    if not finished:
        raise WsdlError(f"{out}: no run of this grid is done yet; see `python -m wsdl grid status`.")
    with atomic(grid.out / "results.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    return table


def usable_jobs(grid: Grid, problem: Callable[[str], object] = print_problem) -> list[Job]:
    """The finished jobs of `grid` whose results can be read; problem(message) for each damaged one."""
    return [job for job in grid.jobs if _is_usable(grid, job, problem)]


def _is_usable(grid: Grid, job: Job, problem: Callable[[str], object]) -> bool:
    """Whether `job` is finished and its results can be read; problem(message) where they are damaged."""
    try:
        if not is_finished(grid, job):
            return False
        read_evaluated(grid.run_folder(job))
        for folder in grid.test_folders(job).values():
            check_per_image(folder, read_metrics(folder))
    except WsdlError as error:
        problem(str(error))
        return False
    return True


def missing_runs(table: pd.DataFrame) -> list[str]:
    """The missing seeds of a table by `collect_results`, one text per row that has some."""
    where = table.source if "source" in table else table.trained_on + " on " + table.tested_on
    where = where if "variant" not in table else (table.variant + " " + where).str.strip()
    return [
        f"{row.method} {row.setup} {place}: seed {row.missing}"
        for row, place in zip(table.itertuples(), where, strict=True)
        if row.missing
    ]


def _in_domain_table(grid: Grid, finished: list[Job], problem: Callable[[str], object]) -> pd.DataFrame:
    """The table of jobs that are tested on their own data only."""
    missing = {}
    for job in grid.jobs:
        generator = ", ".join(grid.study(job).trained_on(job.setup, job.own_generators))
        source = source_name({"source": job.train_source, "generator": generator})
        seeds = missing.setdefault((source, job.method, job.setup), [])
        if job not in finished:
            seeds.append(str(job.seed))
    table = results_by_job(grid.out, problem)
    keys = list(zip(table.source, table.method, table.setup, strict=True))
    table["missing"] = [" ".join(missing.get(key, ())) for key in keys]
    absent = [
        {"source": key[0], "method": key[1], "setup": key[2], "seeds": "", "missing": " ".join(seeds)}
        for key, seeds in missing.items()
        if key not in keys
    ]
    is_detector = table.method.map(row_kind) == "detector"
    parts = [part for part in (table[is_detector], pd.DataFrame(absent), table[~is_detector]) if len(part)]
    return pd.concat(parts, ignore_index=True)[list(table.columns)].astype({"n": "Int64"})


def cross_table(grid: Grid, finished: list[Job]) -> pd.DataFrame:
    """One row per training set and test set, over all seeds, numbers in [0, 1]; then the baselines of each test set.

    trained_on and tested_on are SOURCE/GENERATOR, several generators joined by +; `missing`: seeds not in `finished`.
    Columns are CROSS_COLUMNS; where jobs have variants, `variant` before `trained_on`, and VARIANT_COLUMNS at the end.
    """
    groups: dict[tuple, list[Job]] = {}
    for job in grid.jobs:
        for test in grid.test_folders(job):
            groups.setdefault((job.method, job.setup, job.variant, _trained_on(grid, job), test), []).append(job)
    has_variants = any(job.variant for job in grid.jobs)
    rows, baselines = [], {}
    for key, jobs in groups.items():
        test = key[-1]
        done = {job.seed: grid.test_folders(job)[test] for job in jobs if job in finished}
        row = dict(zip(_VARIANT_KEYS, key, strict=True)) | {"seeds": ""}
        if done:
            metrics = read_metrics(next(iter(done.values())))
            baselines.setdefault(test, metrics["rows"][1:])
            row = job_row(done, {"source": "", **row}) | row | {"seeds": " ".join(map(str, sorted(done)))}
            if has_variants:
                of = [job for job in jobs if job.seed in done]
                row |= variant_columns(grid, of, test, finished, metrics["rows"][1:])
        rows.append(row | {"missing": " ".join(str(job.seed) for job in jobs if job.seed not in done)})
    for test, some in baselines.items():
        words = {"variant": "", "trained_on": "", "tested_on": test, "seeds": "", "missing": ""}
        rows += [row | words for row in some]
    columns = (*_VARIANT_KEYS, *CROSS_COLUMNS[len(CROSS_KEYS) :], *VARIANT_COLUMNS) if has_variants else CROSS_COLUMNS
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


def _trained_on(grid: Grid, job: Job) -> str:
    return f"{job.train_source}/{'+'.join(grid.study(job).trained_on(job.setup, job.own_generators))}"


def grid_robustness(grid: Grid, finished: list[Job]) -> pd.DataFrame:
    """IoU and AP of `finished` jobs on clean and corrupted test images of their own data: a `robustness_table`.

    Predicts what is not stored. WsdlError where no job is finished.
    """
    for job in finished:
        robustness(grid.run_folder(job), grid.study(job).data, job.own_generators)
    if not finished:
        raise WsdlError(f"{grid.out}: no run of this grid is done yet; see `python -m wsdl grid status`.")
    return robustness_table({grid.name(job): grid.run_folder(job) for job in finished})


def cross_matrix(table: pd.DataFrame, setup: str) -> pd.DataFrame:
    """The rows of one setup of a `cross_table` for `plots.transfer_matrix`: one per pair of training and test set.

    Detectors trained on several generators form the row ALL_BUT_TESTED, with the tests on another generator only. The
    last row is the trivial baseline with the best IoU on each test set. Test sets of several generators are left out.
    """
    single = table[~table.tested_on.str.contains("+", regex=False)]
    detectors = single[(single.setup == setup) & single.n.notna()]
    several = detectors.trained_on.str.contains("+", regex=False)
    detectors = detectors.assign(trained_on=detectors.trained_on.where(~several, ALL_BUT_TESTED))
    trivial = single[(single.method.map(row_kind) == "trivial") & single.tested_on.isin(detectors.tested_on)]
    best = trivial.loc[trivial.groupby("tested_on", sort=False).iou.idxmax()].assign(trained_on=BEST_BASELINE)
    return pd.concat([detectors, best], ignore_index=True)


def draw_matrix(table: pd.DataFrame, out: Path) -> Path:
    """Draw the matrix of each setup of a `cross_table` -> OUT/matrix.png."""
    from wsdl import plots

    scored = table[table.n.notna() & (table.setup != "")]
    panels = {f"setup {setup}": cross_matrix(table, setup) for setup in dict.fromkeys(scored.setup)}
    return plots.save_figure(plots.transfer_matrix(panels), Path(out) / "matrix.png")
