"""`python -m wsdl bench`: speed as a ratio to a reference measured in the same run."""

from typing import Annotated

import typer

from wsdl.config import METHODS

bench = typer.Typer(no_args_is_help=True, help="Measure speed as a ratio to a reference in the same run.")


def bench_detector(
    context: typer.Context,
    setup: Annotated[str, typer.Option(help="a or b (image labels), or c (masks).")] = "b",
    batch: Annotated[int, typer.Option(min=1, help="Images per training step.")] = 16,
    seconds: Annotated[float, typer.Option(help="Seconds to spend on each variant.")] = 10.0,
):
    """Training throughput of this detector, relative to plain fp32 NCHW."""
    from wsdl.benchmarks.detectors import bench_training

    print(bench_training(context.info_name, setup, batch, seconds).to_string(index=False))


@bench.command("explorer")
def bench_explorer(
    size: Annotated[int, typer.Option(min=8, help="Side of the image in pixels.")] = 256,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the slider to measure.")] = 100,
):
    """Time of one step of the explorer's slider in headless Chromium, relative to interactive matplotlib."""
    from wsdl.benchmarks import explorer

    print(explorer.bench_explorer(size, steps).to_string(index=False))


for method in METHODS:
    bench.command(method)(bench_detector)
