"""`python -m wsdl bench`: speed as a ratio to a reference measured in the same run; detectors on real inpainting."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from wsdl.commands.options import Generators, Seed, split_names
from wsdl.config import METHODS
from wsdl.core.io import atomic

bench = typer.Typer(
    no_args_is_help=True,
    help="Measure speed as a ratio to a reference in the same run, and localisation on triples of your own.",
)


Setup = Annotated[str, typer.Option(help="a or b (image labels), or c (masks).")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images per step.")]
Seconds = Annotated[float, typer.Option(help="Seconds to spend on each loop.")]


def bench_detector(context: typer.Context, setup: Setup = "b", batch: BatchSize = 16, seconds: Seconds = 10.0):
    """Training and prediction of this detector at 299 px, images per second relative to plain fp32 NCHW."""
    _print_table((context.info_name,), setup, batch, seconds)


@bench.command("detectors")
def bench_detectors(setup: Setup = "b", batch: BatchSize = 16, seconds: Seconds = 10.0):
    """Training and prediction of all detectors in turn, relative to plain fp32 NCHW and to Patches."""
    _print_table(METHODS, setup, batch, seconds)


def _print_table(methods: tuple[str, ...], setup: str, batch: int, seconds: float) -> None:
    from wsdl.benchmarks import detectors

    print(detectors.bench_detectors(methods, setup, batch, seconds).to_string(index=False))


@bench.command("explorer")
def bench_explorer(
    size: Annotated[int, typer.Option(min=8, help="Side of the image in pixels.")] = 256,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the slider to measure.")] = 100,
):
    """Time of one step of the explorer's slider in headless Chromium, relative to interactive matplotlib."""
    from wsdl.benchmarks import explorer

    print(explorer.bench_explorer(size, steps).to_string(index=False))


@bench.command("generation")
def bench_generation(
    weights: Annotated[str, typer.Option(help="A P2 model, as of generate; default: that of studio.")] = "",
    schedule: Annotated[str, typer.Option(help="T/jump_length/resamplings.")] = "50/5/3",
    batch: Annotated[int, typer.Option(min=1, help="Images made together.")] = 8,
    seconds: Seconds = 10.0,
):
    """Images per second of RePaint, relative to diffusers' own pipeline with the same network in fp32, NCHW."""
    from wsdl.benchmarks import generation
    from wsdl.bundle.unpack import unpack_p2
    from wsdl.config import BUNDLED_SOURCES

    table = generation.bench_generation(weights or unpack_p2(BUNDLED_SOURCES[0]), schedule, batch, seconds)
    print(table.to_string(index=False, float_format="{:.4g}".format))


@bench.command("localize")
def bench_localize(
    triples: Annotated[
        Path, typer.Option(help="Folder of SET/{real,fake,mask}/ID.png; in these masks 255 = inpainted, 0 = untouched.")
    ],
    detector: Annotated[
        list[str] | None,
        typer.Option(help="A pretrained detector, or a run folder of train (default: all pretrained)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results.csv and images.csv.")] = None,
    weights: Annotated[
        str, typer.Option(help="Folder of published weights: adds these methods to the detectors.")
    ] = "",
):
    """Detectors and baselines on real images, partial fakes and masks, each image analysed as by `localize`.

    Per set and over all, in percent with 95 % bootstrap intervals over images: pixel AP and IoU of the fakes, AP of the
    image scores of fakes against their real twins, and the fraction of pixels marked in real images and in fakes.
    """
    from wsdl.benchmarks import localize
    from wsdl.core.locks import hold_folder

    with hold_folder(out) if out else nullcontext():  # says now, not at the end, where it cannot be written
        table, images = localize.bench_localize(triples, tuple(detector or ()), weights)
        for name, rows in (("results.csv", table), ("images.csv", images)) if out else ():
            with atomic(out / name) as temporary:
                rows.to_csv(temporary, index=False, lineterminator="\n")
    print(localize.format_table(table))


@bench.command("profile")
def bench_profile(setup: Setup = "b", batch: BatchSize = 16):
    """Where the time of training and prediction at 299 px goes, in percent for each kind of work."""
    from wsdl.benchmarks import step_profile

    print(step_profile.bench_profile(METHODS, setup, batch).round(1).to_string(index=False))


@bench.command("published")
def bench_published(
    weights: Annotated[
        Path | None, typer.Option(help="Folder of published weights, or one with a folder per method.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="A dataset folder; its test split is scored. More than one is allowed.")
    ] = None,
    triples: Annotated[Path | None, typer.Option(help="Folder of triples, as of `bench localize`.")] = None,
    detector: Annotated[
        list[str] | None, typer.Option(help="Also a pretrained detector, or a run folder of train.")
    ] = None,
    generators: Generators = "",
    format: Annotated[Literal["csv", "md"], typer.Option(help="md: IoU and PBCA, a column per dataset.")] = "csv",
):
    """Seconds and memory of each published method at 256 px; with --data or --triples, numbers on datasets.

    Without weights, the cost is that of random ones, and the row says so. On datasets, rows are measured or quoted:
    what the paper states for its own data is no measurement of this machine.
    """
    from wsdl.benchmarks import published, published_cost

    if not data and not triples:
        return print(published_cost.bench_cost(weights).round(3).to_string(index=False))
    table = published.bench_published(data or (), weights, split_names(generators), detector or (), triples)
    print(published.format_published(table) if format == "md" else table.to_csv(index=False).rstrip())


@bench.command("repaint")
def bench_repaint(
    out: Annotated[Path, typer.Option(help="Folder for the fakes of each schedule, repaint.csv and repaint.png.")],
    data: Annotated[Path | None, typer.Option(help="Dataset whose faces are inpainted; default: studio.")] = None,
    weights: Annotated[str, typer.Option(help="A P2 model, as of generate; default: that of studio.")] = "",
    schedules: Annotated[str, typer.Option(help="T/jump_length/resamplings of each, separated by commas.")] = "",
    count: Annotated[int, typer.Option(min=4, help="Fakes of each schedule.")] = 64,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(min=1, help="Images made together.")] = 8,
):
    """Quality of inpainted regions against the network calls of RePaint; prints a table (CSV), draws a figure."""
    from wsdl.benchmarks import repaint
    from wsdl.bundle.unpack import unpack_dataset, unpack_p2
    from wsdl.config import BUNDLED_SOURCES

    style = BUNDLED_SOURCES[0]
    table = repaint.bench_repaint(
        data or unpack_dataset(style), weights or unpack_p2(style), out,
        split_names(schedules) or repaint.SCHEDULES, count, seed, batch,
    )  # fmt: skip
    print(table.to_csv(index=False, float_format="%.4g"), end="")


@bench.command("scale")
def bench_scale(
    out: Annotated[Path, typer.Option(help="A new folder for images, runs and scale.csv; 1 GB for 100,000 images.")],
    images: Annotated[str, typer.Option(help="Numbers of images, separated by commas.")] = "2000,20000,100000",
):
    """Seconds and memory of prepare, check, train, evaluate and report on growing datasets; prints a table (CSV)."""
    from wsdl.benchmarks import scale

    numbers = split_names(images)
    if not numbers or not all(number.isdecimal() for number in numbers):
        raise typer.BadParameter("must be whole numbers, separated by commas.", param_hint="--images")
    print(scale.bench_scale(out, tuple(map(int, numbers))).to_csv(index=False, float_format="%.4g"), end="")


@bench.command("splices")
def bench_splices(
    weights: Annotated[Path | None, typer.Option(help="As of `bench published`.")] = None,
    images: Annotated[int, typer.Option(min=2, help="Splices of each kind.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the places of the pasted squares.")] = 0,
    figure: Annotated[Path | None, typer.Option(help="Draw the maps of the first splice into this file.")] = None,
):
    """Published and forensic methods on spliced renders, as CSV: what such methods were made for.

    A square of another bundled render is pasted: of another camera, with another JPEG history, or both.
    """
    from wsdl.benchmarks import splices
    from wsdl.plots import save_figure

    table, chart = splices.bench_splices(weights, images, seed)
    if figure:
        save_figure(chart, figure)
    print(table.to_csv(index=False), end="")


for method in METHODS:
    bench.command(method)(bench_detector)
