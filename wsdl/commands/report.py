"""python -m wsdl report: the results of many runs as a table or a page."""

from pathlib import Path
from typing import Annotated, Literal

import typer

report = typer.Typer(no_args_is_help=True, help="Report the results of many runs.")

Runs = Annotated[Path, typer.Option(help="Folder with runs, at any depth.")]


@report.command()
def table(
    runs: Runs,
    format: Annotated[Literal["csv", "md"], typer.Option(help="csv: numbers in [0, 1]; md: percent.")] = "csv",
    robustness: Annotated[
        bool, typer.Option("--robustness", help="IoU and AP on clean and corrupted images instead.")
    ] = False,
):
    """One row per job over all its seeds, with intervals over source faces and the range over seeds.

    --robustness shows the runs that `evaluate --robustness` scored: IoU and AP on clean images and after JPEG, resizing
    and noise, with intervals. A run that is damaged or there twice is left out and named on stderr; the exit code is
    then 1.
    """
    from wsdl.core.progress import print_problem
    from wsdl.evaluation.robustness_table import find_robustness, robustness_table, robustness_to_markdown
    from wsdl.evaluation.tables import results_by_job, results_to_markdown

    left_out, describe = [], results_to_markdown
    if robustness:
        rows, describe = robustness_table(find_robustness(runs), left_out.append), robustness_to_markdown
    else:
        rows = results_by_job(runs, left_out.append)
    print(describe(rows) if format == "md" else rows.to_csv(index=False), end="")
    for problem in left_out:
        print_problem(problem)
    if left_out:
        raise typer.Exit(1)


@report.command()
def site(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="Folder for index.html.")],
    data: Annotated[list[Path] | None, typer.Option(help="Folder with further datasets.")] = None,
):
    """One offline page about runs, data and notebooks -> OUT/index.html: results, maps, curves, explorer."""
    from wsdl.report.site import build_site

    print(build_site(runs, out, data))
