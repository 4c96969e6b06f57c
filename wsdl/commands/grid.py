"""python -m wsdl grid: many runs, planned, run side by side, resumed and put together."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from wsdl.commands.options import Profile, Source, split_names
from wsdl.core.io import WsdlError

grid = typer.Typer(no_args_is_help=True, help="Run many trainings: plan, run, resume, collect.")

NAMES = "table2 (every method in setups a, b, c), cross-source, cross-generator, or a JSON or TOML file of jobs."
Name = Annotated[str, typer.Argument(help=NAMES)]
Out = Annotated[Path | None, typer.Option(help="Where the grid lives; default: out/grid-NAME.")]
Pictures = Annotated[str, typer.Option(help="Folder of photographs.")]
Masks = Annotated[str, typer.Option(help="Folder of their component masks.")]
Seeds = Annotated[str, typer.Option(help="Every job is trained with each: 0,1,2.")]
Generators = Annotated[str, typer.Option(help="cross-generator: whose partial fakes; default: all four.")]
Slots = Annotated[int, typer.Option(min=0, help="Runs at a time; 0: one for each GPU, or one.")]


@grid.command("plan")
def plan_grid(
    name: Name,
    profile: Profile = "quick",
    source: Source = "studio",
    images: Pictures = "",
    masks: Masks = "",
    seeds: Seeds = "0",
    generators: Generators = "",
    out: Out = None,
    slots: Slots = 0,
):
    """What there is to run, what is done, hours left and memory. Nothing is started or written."""
    from wsdl.experiments.grid_estimate import plan

    print(plan(made(name, profile, source, images, masks, seeds, generators, out), slots))


@grid.command("run")
def run_grid(
    name: Name,
    profile: Profile = "quick",
    source: Source = "studio",
    images: Pictures = "",
    masks: Masks = "",
    seeds: Seeds = "0",
    generators: Generators = "",
    out: Out = None,
    slots: Slots = 0,
    only: Annotated[str, typer.Option(help="Numbers of runs as in plan, 0,4: for a job array, say.")] = "",
):
    """Run what is not done, each run in a process of its own; stopped at any moment, the same command goes on."""
    from wsdl.experiments.scheduler import run_grid

    run_grid(made(name, profile, source, images, masks, seeds, generators, out), slots, numbers("--only", only))


@grid.command("status")
def status_grid(name: Name, out: Out = None):
    """Waiting, running (percent), stopped, failed (the last line of the log), done (seconds of training)."""
    from wsdl.experiments.grid import default_out, grid_status

    print(grid_status(out or default_out(name)).to_string(index=False))


@grid.command("collect")
def collect_grid(
    name: Name,
    out: Out = None,
    format: Annotated[Literal["csv", "md"], typer.Option(help="csv: numbers in [0, 1]; md: percent.")] = "csv",
):
    """One table of all runs -> OUT/results.csv: intervals over faces, the range over seeds, and what is missing.

    Of the cross grids also a figure -> OUT/matrix.png.
    """
    from wsdl.core.progress import print_stderr
    from wsdl.evaluation.tables import results_to_markdown
    from wsdl.experiments.grid import default_out
    from wsdl.experiments.results import collect_results, draw_matrix, missing_runs

    rows = collect_results(out or default_out(name))
    missing = missing_runs(rows)
    if "tested_on" in rows:
        print_stderr(f"figure: {draw_matrix(rows, out or default_out(name))}")
    if format == "csv":
        print(rows.to_csv(index=False), end="")
        for line in missing:
            print(f"missing: {line}", file=sys.stderr)
        return
    print(results_to_markdown(rows[rows.n.notna()]))
    if missing:
        print("\nMissing: " + "; ".join(missing) + ".")


@grid.command("cell", hidden=True)  # its name in earlier versions
@grid.command("job", hidden=True)
def run_one_job(
    run: Annotated[str, typer.Argument(help="The name of one run of the grid.")],
    out: Annotated[Path, typer.Option(help="Where the grid lives.")],
    parent: Annotated[int, typer.Option(help="End when this process does.")] = 0,
):
    """One run in this process, as `run` starts it."""
    from wsdl.core.device import peak_megabytes
    from wsdl.experiments.grid import load_grid, run_job
    from wsdl.experiments.scheduler import exit_with_parent

    if parent:
        exit_with_parent(parent)
    begun = load_grid(out)
    for job in begun.jobs:
        if begun.name(job) == run:
            print(json.dumps(run_job(begun, job)))
            return print(f"peak memory {peak_megabytes() or 0:.0f} MB", file=sys.stderr)
    raise WsdlError(f"{out}: has no run {run}; it has {', '.join(map(begun.name, begun.jobs))}.")


def made(name: str, profile: str, source: str, images: str, masks: str, seeds: str, generators: str, out: Path | None):
    from wsdl.config import GENERATORS
    from wsdl.experiments.grid import default_out, make_grid

    chosen = split_names(generators) or GENERATORS
    return make_grid(name, out or default_out(name), profile, source, images, masks, numbers("--seeds", seeds), chosen)


def numbers(option: str, text: str) -> tuple[int, ...]:
    """ "0,1,2" as numbers."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise WsdlError(f"{option}: is '{text}', but must be whole numbers from 0 with commas between: 0,1,2.")
    return tuple(map(int, parts))
