"""`python -m wsdl evaluate`: score a trained detector on a split of a dataset."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Generators, split_names
from wsdl.core.io import WsdlError


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder of `train`.")],
    data: Annotated[Path, typer.Option(help="A dataset folder; its test split is scored.")],
    preset: Annotated[str, typer.Option(help="dolos (the paper), pooled, benco, trufor, free, or all.")] = "dolos",
    generators: Generators = "",
    split: Annotated[
        str, typer.Option(help="test, or valid: to choose settings without the test split; written to RUN/valid.")
    ] = "test",
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Score under JPEG, resizing, blur and noise instead.")
    ] = False,
    thresholds: Annotated[
        bool, typer.Option("--thresholds", help="IoU at thresholds chosen from labels of validation images instead.")
    ] = False,
):
    """Score a detector and all baselines, with 95 % intervals; prints a CSV table and writes RUN/metrics.json.

    --preset all writes RUN/definitions.json. --robustness writes RUN/robustness.json and RUN/robustness.png.
    --thresholds writes RUN/thresholds.json.
    """
    from wsdl.evaluation.evaluate import evaluation_table
    from wsdl.evaluation.label_thresholds import score_thresholds, thresholds_table

    if robustness and thresholds:
        raise WsdlError("--robustness and --thresholds: give one of them.")
    if split != "test" and (robustness or thresholds):
        raise WsdlError(f"--split {split}: cannot be combined with --robustness or --thresholds.")
    if thresholds:
        table = thresholds_table([score_thresholds(run, data, split_names(generators))])
    elif robustness:
        table = _robustness_table(run, data, split_names(generators))
    else:
        table = evaluation_table(run, data, preset, split_names(generators), split)
    print(table.to_csv(index=False), end="")


def _robustness_table(run: Path, data: Path, generators: tuple[str, ...]):
    """The table of `wsdl.evaluation.robustness`; its curves are drawn to RUN/robustness.png."""
    from wsdl import plots
    from wsdl.evaluation.robustness import robustness

    table = robustness(run, data, generators)
    curves = plots.robustness_curves({f"{table.method[0]}, {table.setup[0]}": table})
    plots.save_figure(curves, run / "robustness.png")
    return table
