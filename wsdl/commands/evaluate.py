"""python -m wsdl evaluate: what a run says of a test split."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Generators, split_names


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run of train.")],
    data: Annotated[Path, typer.Option(help="A dataset folder; its test split is scored.")],
    preset: Annotated[str, typer.Option(help="dolos (the paper), pooled, benco, trufor, free, or all.")] = "dolos",
    generators: Generators = "",
    robustness: Annotated[
        bool, typer.Option("--robustness", help="After JPEG, resizing, blur, noise instead.")
    ] = False,
):
    """Score a run, beside controls and forensic methods, with intervals -> RUN/metrics.json and a table.

    all: -> RUN/definitions.json. --robustness: -> RUN/robustness.json and RUN/robustness.png.
    """
    from wsdl.evaluation.definitions import table_of

    if robustness:
        return print(show_robustness(run, data, split_names(generators)).to_csv(index=False), end="")
    print(table_of(run, data, preset, split_names(generators)).to_csv(index=False), end="")


def show_robustness(run: Path, data: Path, generators: tuple[str, ...] = ()):
    """The table of `wsdl.evaluation.robustness`, and its curves in RUN/robustness.png."""
    from wsdl import plots
    from wsdl.evaluation.robustness import robustness

    table = robustness(run, data, generators)
    plots.save_figure(
        plots.robustness_curves({table.method[0] + ", " + table.setup[0]: table}), Path(run) / "robustness.png"
    )
    return table
