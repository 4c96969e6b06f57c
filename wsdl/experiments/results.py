"""What a detector that was trained here says there: the table of a grid whose jobs have further tests."""

from itertools import product
from pathlib import Path

import pandas as pd

from wsdl.core.io import WsdlError, atomic, read_json
from wsdl.evaluation.baselines import row_kind
from wsdl.evaluation.tables import RESULT_SCORES, SCORE_PARTS, job_row
from wsdl.experiments.grid import Grid, is_finished, load_grid
from wsdl.experiments.jobs import Job

MISSING = "missing"  # the column of `collect` with the seeds that are not done

NAMES = ("method", "setup", "trained_on", "tested_on")
CROSS_COLUMNS = (
    *NAMES,
    "seeds",
    *(score + part for score, part in product(RESULT_SCORES, SCORE_PARTS)),
    "n",
    "missing",
)
OTHERS = "all but the tested"


def cross_table(grid: Grid) -> pd.DataFrame:
    """One row a training and test set, its seeds taken together, numbers in [0, 1]; then those beside, for each test.

    trained_on and tested_on are SOURCE/GENERATOR, several generators with + between; `missing`: the seeds to be done.
    """
    jobs: dict[tuple, list[Job]] = {}
    for job in grid.jobs:
        for test in grid.tested(job):
            jobs.setdefault((job.method, job.setup, trained_on(job), test), []).append(job)
    table, beside = [], {}
    for key, some in jobs.items():
        done = {job.seed: grid.tested(job)[key[-1]] for job in some if is_finished(grid, job)}
        row = dict(zip(NAMES, key, strict=True)) | {"seeds": ""}
        if done:
            first = read_json(next(iter(done.values())) / "metrics.json")["rows"]
            beside.setdefault(key[-1], first[1:])
            row = job_row(done, {"source": "", **row}) | row | {"seeds": " ".join(map(str, sorted(done)))}
        table.append(row | {"missing": " ".join(str(job.seed) for job in some if job.seed not in done)})
    table += [{**row, "trained_on": "", "tested_on": test, "seeds": "", "missing": ""}
              for test, some in beside.items() for row in some]  # fmt: skip
    return pd.DataFrame(table, columns=CROSS_COLUMNS).astype({"n": "Int64"})


def trained_on(job: Job) -> str:
    return f"{job.train_source}/{'p2' if job.setup == 'a' else '+'.join(job.own)}"


def cross_matrix(table: pd.DataFrame, setup: str) -> pd.DataFrame:
    """The rows of one setup as a matrix needs them: a row of `table` for each pair of what stands left and above.

    Of detectors trained on several generators only the numbers on another one stay, in one line of all of them; of
    the controls the best one by IoU, for each test. Test sets of several generators are left out.
    """
    single = table[~table.tested_on.str.contains("+", regex=False)]
    detectors = single[(single.setup == setup) & single.n.notna()]
    several = detectors.trained_on.str.contains("+", regex=False)
    detectors = detectors.assign(trained_on=detectors.trained_on.where(~several, OTHERS))
    controls = single[(single.method.map(row_kind) == "trivial") & single.tested_on.isin(detectors.tested_on)]
    best = controls.loc[controls.groupby("tested_on", sort=False).iou.idxmax()].assign(trained_on="best baseline")
    return pd.concat([detectors, best], ignore_index=True)


def draw_matrix(table: pd.DataFrame, out: Path) -> Path:
    """The matrix of each setup in `table`, as one figure: OUT/matrix.png."""
    from wsdl import plots

    setups = [setup for setup in dict.fromkeys(table.setup) if setup and table[table.setup == setup].n.notna().any()]
    panels = {f"setup {setup}": cross_matrix(table, setup) for setup in setups}
    return plots.save_figure(plots.transfer_matrix(panels), Path(out) / "matrix.png")


def collect_results(out: Path) -> pd.DataFrame:
    """Collect the scores of the finished jobs and write them to OUT/results.csv.

    A row for each source, method and setup with its seeds taken together, numbers in [0, 1]; then those beside once.
    `missing` names the seeds that are not done; where none is, the numbers are empty. WsdlError where nothing is done.
    Where jobs name generators or further tests, the columns are those of `wsdl.experiments.results`.
    """
    grid = load_grid(out)
    if not any(is_finished(grid, job) for job in grid.jobs):
        raise WsdlError(f"{out}: no run of this grid is done yet; see `python -m wsdl grid status`.")
    result = cross_table(grid) if any(job.tests or job.generators for job in grid.jobs) else _in_domain_table(grid)
    with atomic(grid.out / "results.csv") as temporary:
        result.to_csv(temporary, index=False, lineterminator="\n")
    return result


def _in_domain_table(grid: Grid) -> pd.DataFrame:
    """The rows of `collect` of jobs that are tested where they were trained."""
    from wsdl.evaluation.tables import results_by_job

    missing = {}
    for job in grid.jobs:
        left = missing.setdefault((job.train_source, job.method, job.setup), [])
        left += [] if is_finished(grid, job) else [str(job.seed)]
    rows = results_by_job(grid.out)
    detector = rows.method.map(row_kind) == "detector"
    keys = list(zip(rows.source, rows.method, rows.setup, strict=True))
    rows[MISSING] = [" ".join(missing.get(key, ())) for key in keys]
    absent = [dict(zip(("source", "method", "setup", "seeds", MISSING), (*key, "", " ".join(left)), strict=True))
              for key, left in missing.items() if key not in keys]  # fmt: skip
    parts = [part for part in (rows[detector], pd.DataFrame(absent), rows[~detector]) if len(part)]
    return pd.concat(parts, ignore_index=True)[list(rows.columns)].astype({"n": "Int64"})


def missing_runs(rows: pd.DataFrame) -> list[str]:
    """The holes in a table by `collect`, in words."""
    where = rows.source if "source" in rows else rows.trained_on + " on " + rows.tested_on
    return [
        f"{row.method} {row.setup} {place}: seed {row.missing}"
        for row, place in zip(rows.itertuples(), where, strict=True)
        if row.missing
    ]
