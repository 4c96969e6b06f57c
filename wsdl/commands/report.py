"""python -m wsdl report: what many runs say together."""

from pathlib import Path
from typing import Annotated, Literal

import typer

report = typer.Typer(no_args_is_help=True, help="Put the results of many runs together.")


@report.callback()
def group() -> None:
    """Keeps `table` a command of its own: typer folds a single command into its group."""


@report.command()
def table(
    runs: Annotated[Path, typer.Option(help="A folder; every evaluated run in it is taken, at any depth.")],
    format: Annotated[Literal["csv", "md"], typer.Option(help="csv: numbers in [0, 1]; md: percent.")] = "csv",
):
    """One row a cell, seeds taken together, with intervals over source faces and the range over seeds."""
    from wsdl.table import table as make_table
    from wsdl.table import to_markdown

    rows = make_table(runs)
    print(to_markdown(rows) if format == "md" else rows.to_csv(index=False), end="")
