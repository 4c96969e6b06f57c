"""python -m wsdl: the table of contents of the package. Results go to stdout, progress and messages to stderr.

Exit code 0 done, 1 failed with one sentence, 2 wrong usage.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands import bundle, evaluate, inpaint, ldm, localize, parse, stable
from wsdl.commands.faces import faces
from wsdl.commands.grid import grid
from wsdl.commands.notebooks import lessons
from wsdl.commands.options import Generators, Images, Out, Profile, Seed, Source, Weights, names
from wsdl.commands.report import report
from wsdl.files import WsdlError
from wsdl.profiles import METHODS

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Weakly supervised localisation of deepfakes: data, generators, detectors, metrics, lessons.",
)
data = typer.Typer(no_args_is_help=True, help="Make and check dataset folders.")
make = typer.Typer(no_args_is_help=True, help="Make fakes with a generator.")
learn = typer.Typer(no_args_is_help=True, help="Train a generator on the real faces of a dataset.")
bench = typer.Typer(no_args_is_help=True, help="Measure speed as a ratio to a plain baseline in the same run.")

Folder = Annotated[Path, typer.Argument(help="A dataset folder, or an unpacked Dolos download.")]


@app.command()
def demo(
    out: Out = Path("out/demo"),
    source: Source = "studio",
    images: Annotated[str, typer.Option(help="Folder of photographs.")] = "",
    masks: Annotated[str, typer.Option(help="Folder of their component masks.")] = "",
    profile: Profile = "quick",
    p2_weights: Annotated[str, typer.Option(help="Use these weights instead of training the small P2 model.")] = "",
    methods: Annotated[str, typer.Option(help="Detectors, commas between them; default: the profile's.")] = "",
    seed: Seed = 0,
):
    """The whole series: faces, fakes, detectors, lessons -> OUT/index.html and OUT/results.csv. Needs no arguments."""
    from wsdl.demo import demo as run_demo

    print(run_demo(out, profile, source, images, masks, p2_weights, seed, methods))


@data.command()
def prepare(
    images: Images,
    out: Out,
    masks: Annotated[Path | None, typer.Option(help="Component masks, CelebAMask-HQ numbering, same stems.")] = None,
    source: Annotated[str, typer.Option(help="Name of the source, for the manifest.")] = "photos",
    licence: Annotated[str, typer.Option(help="Licence of the pictures, for the manifest.")] = "unknown",
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 128,
    seed: Seed = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Name broken pictures and go on without them.")] = False,
):
    """Pictures and component masks -> a dataset folder, split by source face."""
    from wsdl.data.prepare import prepare as run_prepare

    run_prepare(images, masks, out, size, seed, source, licence, skip_bad)


@data.command()
def check(folder: Folder):
    """Checksums, sizes, polarity, leaks between splits. Exit code 1 if anything is wrong."""
    from wsdl.data.check import check as run_check
    from wsdl.data.check import summary

    problems = run_check(folder)
    print(summary(folder).to_string(index=False))
    for problem in problems:
        print(problem, file=sys.stderr)
    raise typer.Exit(1 if problems else 0)


@data.command()
def audit(
    folder: Folder,
    kind: Annotated[str, typer.Option(help="partial: pixels outside the mask and files; full: files.")] = "partial",
    seed: Seed = 0,
):
    """Can real be told from fake by what is not the forgery? One AUC with an interval for each property."""
    from wsdl.data.audit import audit as run_audit

    print(run_audit(folder, kind=kind, seed=seed).to_string(index=False))


@data.command()
def judge(folder: Folder):
    """Are its partial fakes too easy? Sharpness of the paint, and its distance from real regions: a row a generator."""
    from wsdl.judge import judge as run_judge

    print(run_judge(folder).to_csv(index=False, float_format="%.4g"), end="")


@data.command()
def match(folder: Folder, out: Out, seed: Seed = 0):
    """A copy whose paint is as sharp as what it replaced: what a detector finds there is not mere smoothness."""
    from wsdl.match import match_dataset

    match_dataset(folder, out, seed)


@make.command("p2")
def generate_p2(
    weights: Weights,
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Out,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(help="Network calls a picture (DDIM).")] = 50,
    batch: Annotated[int, typer.Option(help="Pictures sampled together.")] = 32,
):
    """Full fakes by P2 diffusion."""
    from wsdl.generators.fakes import generate_full

    generate_full(out, weights, count, seed, steps=steps, batch=batch)


@make.command("repaint-p2")
def generate_repaint_p2(
    data: Annotated[Path, typer.Option(help="The dataset whose real faces are repainted.")],
    weights: Weights,
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: into --data itself.")] = None,
    seed: Seed = 0,
    t: Annotated[int, typer.Option("--T", help="Noise levels.")] = 250,
    jump_length: Annotated[int, typer.Option(help="Levels to go back.")] = 10,
    resamplings: Annotated[int, typer.Option(help="Times each stretch is run.")] = 10,
    batch: Annotated[int, typer.Option(help="Pictures repainted together.")] = 32,
):
    """Partial fakes: one component of a real face repainted by RePaint."""
    from wsdl.generators.fakes import generate_partial

    generate_partial(
        data, out or data, weights, count, seed, batch=batch, T=t, jump_length=jump_length, resamplings=resamplings
    )


@learn.command("p2")
def train_p2(
    data: Annotated[Path, typer.Option(help="A dataset folder; only real faces of its train split are seen.")],
    out: Out,
    profile: Profile = "quick",
    images: Annotated[int | None, typer.Option(help="Pictures to see, in all; default: the profile's.")] = None,
    start: Annotated[Path | None, typer.Option(help="A P2 run to begin from; default: random weights.")] = None,
    seed: Seed = 0,
):
    """P2 diffusion, resumable; a sheet of samples at every checkpoint."""
    from wsdl.generators.train import train_p2 as run_train
    from wsdl.profiles import load_profile

    settings = vars(load_profile(profile).generator)
    run_train(data, out, start=start, seed=seed, **settings | ({"images": images} if images else {}))


@app.command()
def train(
    setup: Annotated[str, typer.Option(help="a: labels, full fakes; b: labels, partial fakes; c: masks.")],
    data: Annotated[Path, typer.Option(help="A dataset folder with fakes.")],
    out: Out,
    method: Annotated[str, typer.Option(help="patches, grad-cam or attention.")] = "patches",
    profile: Profile = "quick",
    seed: Seed = 0,
    generators: Generators = "",
):
    """Train a detector in one setup, resumable."""
    from wsdl.profiles import load_profile
    from wsdl.train import train as run_train

    run_train(method, setup, data, out, seed, load_profile(profile).training(method), names(generators))


def bench_detector(
    context: typer.Context,
    setup: Annotated[str, typer.Option(help="a or b (image labels), or c (masks).")] = "b",
    batch: int = 16,
    seconds: Annotated[float, typer.Option(help="To spend on each loop.")] = 10.0,
):
    """Training throughput of this detector against the same loop in plain fp32 NCHW."""
    from wsdl.bench import detector

    print(detector(context.info_name, setup, batch, seconds).to_string(index=False))


for method in METHODS:
    bench.command(method)(bench_detector)


@bench.command("explorer")
def bench_explorer(
    size: Annotated[int, typer.Option(help="Side of the picture in pixels.")] = 256,
    steps: Annotated[int, typer.Option(help="Steps of the slider to measure.")] = 100,
):
    """A step of the explorer's slider in headless Chromium against interactive matplotlib."""
    from wsdl.bench_explorer import explorer

    print(explorer(size, steps).to_string(index=False))


for group, name in (
    (data, "data"),
    (faces, "faces"),
    (make, "generate"),
    (learn, "train-generator"),
    (lessons, "notebooks"),
    (grid, "grid"),
    (report, "report"),
    (bench, "bench"),
):
    app.add_typer(group, name=name)
evaluate.register(app)
bundle.register(data)
ldm.register(make, learn)
parse.register(app, data)
inpaint.register(make, learn)
stable.register(make)
localize.register(app)


def main() -> None:
    try:
        app()
    except WsdlError as error:
        print(f"wsdl: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("wsdl: stopped; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
