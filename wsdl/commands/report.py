"""python -m wsdl report: what many runs say together."""

from pathlib import Path
from typing import Annotated, Literal

import typer

report = typer.Typer(no_args_is_help=True, help="Put the results of many runs together.")

Runs = Annotated[Path, typer.Option(help="A folder; every run in it is taken, at any depth.")]


@report.command()
def table(
    runs: Runs,
    format: Annotated[Literal["csv", "md"], typer.Option(help="csv: numbers in [0, 1]; md: percent.")] = "csv",
):
    """One row a cell, seeds taken together, with intervals over source faces and the range over seeds."""
    from wsdl.evaluation.tables import results_by_job as make_table
    from wsdl.evaluation.tables import results_to_markdown

    rows = make_table(runs)
    print(results_to_markdown(rows) if format == "md" else rows.to_csv(index=False), end="")


@report.command()
def site(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="Where to write index.html.")],
    data: Annotated[list[Path] | None, typer.Option(help="A folder with datasets that lie elsewhere.")] = None,
):
    """One offline page of runs, data and executed notebooks -> OUT/index.html: results, maps, curves, explorer."""
    from wsdl.report.site import build_site as make_site

    print(make_site(runs, out, data))
