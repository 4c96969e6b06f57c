"""python -m wsdl grid: plan, run, resume and collect many trainings."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from wsdl.commands.options import PhotoMasks, Photos, Profile, Source, split_names
from wsdl.core.io import WsdlError

grid = typer.Typer(no_args_is_help=True, help="Run many trainings: plan, run, resume, collect.")

MISSING_SHOWN = 6  # missing runs that `collect` names below a table; the CSV format names all
NAMES = (
    "table2 (every method in setups a, b, c), cross-source, cross-generator, weak-losses, weak-ablations, or a JSON or "
    "TOML file with jobs."
)
Name = Annotated[str, typer.Argument(help=NAMES)]
Out = Annotated[Path | None, typer.Option(help="Folder of the grid (default: out/grid-NAME).")]
Data = Annotated[
    str,
    typer.Option(help="A dataset folder with fakes, such as a Dolos download; all jobs use it, in place of --source."),
]
Seeds = Annotated[str, typer.Option(help="Comma-separated seeds; every job is trained with each: 0,1,2.")]
Generators = Annotated[
    str, typer.Option(help="cross-generator, weak-*: comma-separated generators (default: all four).")
]
Slots = Annotated[int, typer.Option(min=0, help="Runs at a time; 0: one per GPU, or one.")]


@grid.command("plan")
def plan(
    name: Name,
    profile: Profile = "quick",
    source: Source = "studio",
    images: Photos = "",
    masks: PhotoMasks = "",
    data: Data = "",
    seeds: Seeds = "0",
    generators: Generators = "",
    out: Out = None,
    slots: Slots = 0,
):
    """List the jobs, what is done, the hours left and the memory needed. Starts and writes nothing."""
    from wsdl.experiments.estimate_grid import describe_grid

    print(describe_grid(_asked_grid(name, profile, source, images, masks, seeds, generators, out, data), slots))


@grid.command("run")
def run(
    name: Name,
    profile: Profile = "quick",
    source: Source = "studio",
    images: Photos = "",
    masks: PhotoMasks = "",
    data: Data = "",
    seeds: Seeds = "0",
    generators: Generators = "",
    out: Out = None,
    slots: Slots = 0,
    only: Annotated[str, typer.Option(help="Numbers of the jobs to run, as in plan: 0,4.")] = "",
    slurm: Annotated[bool, typer.Option("--slurm", help="Submit them to Slurm instead, and return at once.")] = False,
    partition: Annotated[str, typer.Option(help="--slurm: the partition (default: that of the cluster).")] = "",
    gpus: Annotated[int, typer.Option(min=0, max=1, help="--slurm: GPUs of a job; 0: it runs on the CPU.")] = 1,
    time: Annotated[int, typer.Option(min=1, help="--slurm: minutes until a job is queued again, to continue.")] = 1440,
    width: Annotated[int, typer.Option(min=1, help="--slurm: jobs of the array that run at a time.")] = 8,
    sbatch: Annotated[
        str, typer.Option(help="--slurm: further options of sbatch, such as account=faces,cpus-per-task=8.")
    ] = "",
):
    """Run the jobs that are not done, each in a process of its own. Rerun the same command to resume."""
    asked = _asked_grid(name, profile, source, images, masks, seeds, generators, out, data)
    numbers = _parse_numbers("--only", only)
    if slurm:
        from wsdl.experiments.slurm import SlurmOptions, submit_grid

        further = dict(part.partition("=")[::2] for part in split_names(sbatch))
        submit_grid(asked, SlurmOptions(partition, gpus, time, width, further), numbers)
        return
    from wsdl.experiments.scheduler import run_grid

    run_grid(asked, slots, numbers)


@grid.command("status")
def status(name: Name, out: Out = None):
    """Show the state of each job: waiting, running, stopped, failed (last line of the log), done (seconds).

    Of a grid on Slurm also those that are queued (why) or starting.
    """
    from wsdl.experiments.grid import default_grid_folder
    from wsdl.experiments.slurm import status_with_queue

    print(status_with_queue(out or default_grid_folder(name)).to_string(index=False))


@grid.command("collect")
def collect(
    name: Name,
    out: Out = None,
    format: Annotated[Literal["csv", "md"], typer.Option(help="csv: numbers in [0, 1]; md: percent.")] = "csv",
    regions: Annotated[bool, typer.Option("--regions", help="IoU by component and by area instead.")] = False,
    thresholds: Annotated[
        bool, typer.Option("--thresholds", help="IoU at thresholds chosen from image labels instead.")
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="IoU and AP on clean and corrupted test images of the job's own data.")
    ] = False,
):
    """One table of all runs, with intervals over faces and the range over seeds -> OUT/results.csv.

    Of the cross grids also a figure -> OUT/matrix.png. Of grids with variants also the share of the IoU of setup C and
    the CPU seconds of training. A damaged run is left out and named on stderr; the exit code is then 1.
    """
    from wsdl.core.progress import print_problem
    from wsdl.evaluation.robustness_table import robustness_to_markdown
    from wsdl.experiments import variant_results as tables
    from wsdl.experiments.grid import default_grid_folder, load_grid
    from wsdl.experiments.results import collect_results, grid_robustness, usable_jobs

    out = out or default_grid_folder(name)
    left_out = []
    choices = {
        "regions": (regions, tables.regions_table, tables.regions_to_markdown),
        "thresholds": (thresholds, tables.grid_thresholds, tables.thresholds_to_markdown),
        "robustness": (robustness, grid_robustness, robustness_to_markdown),
    }
    chosen = [(make, describe) for is_chosen, make, describe in choices.values() if is_chosen]
    if len(chosen) > 1:
        raise WsdlError(f"--{', --'.join(choices)}: give one of them.")
    if chosen:
        begun, (make, describe) = load_grid(out), chosen[0]
        table = make(begun, usable_jobs(begun, left_out.append))
        print(describe(table) if format == "md" else table.to_csv(index=False).strip())
    else:
        _print_results(collect_results(out, left_out.append), out, format)
    for problem in left_out:
        print_problem(problem)
    if left_out:
        raise typer.Exit(1)


def _print_results(table, out: Path, format: str) -> None:
    """Print a table of `collect_results`, and draw the matrix of a cross grid."""
    from wsdl.core.progress import print_stderr
    from wsdl.evaluation.tables import results_to_markdown
    from wsdl.experiments.results import draw_matrix, missing_runs
    from wsdl.experiments.variant_results import variants_to_markdown

    missing, has_variants = missing_runs(table), "variant" in table
    if "tested_on" in table and not has_variants:
        print_stderr(f"figure: {draw_matrix(table, out)}")
    if format == "csv":
        print(table.to_csv(index=False), end="")
        for line in missing:
            print(f"missing: {line}", file=sys.stderr)
        return
    print(variants_to_markdown(table) if has_variants else results_to_markdown(table[table.n.notna()]))
    if missing:
        rest = f"; and {len(missing) - MISSING_SHOWN} more" if len(missing) > MISSING_SHOWN else ""
        print(f"\nMissing: {'; '.join(missing[:MISSING_SHOWN])}{rest}.")


@grid.command("cell", hidden=True)  # its name in earlier versions
@grid.command("job", hidden=True)
def job(
    run: Annotated[str, typer.Argument(help="The name of one run of the grid.")],
    out: Annotated[Path, typer.Option(help="Folder of the grid.")],
    parent: Annotated[int, typer.Option(help="End when this process does.")] = 0,
):
    """Run one job in this process, as `run` starts it."""
    from wsdl.core.device import peak_megabytes
    from wsdl.core.processes import exit_with_parent
    from wsdl.experiments.grid import load_grid, run_job

    if parent:
        exit_with_parent(parent)
    begun = load_grid(out)
    by_name = {begun.name(each): each for each in begun.jobs}
    if run not in by_name:
        raise WsdlError(f"{out}: has no run {run}; it has {', '.join(by_name)}.")
    print(json.dumps(run_job(begun, by_name[run])))
    print(f"peak memory {peak_megabytes() or 0:.0f} MB", file=sys.stderr)


def _asked_grid(
    name: str,
    profile: str,
    source: str,
    images: str,
    masks: str,
    seeds: str,
    generators: str,
    out: Path | None,
    data: str,
):
    """The grid of a command line."""
    from wsdl.config import GRID_GENERATORS
    from wsdl.experiments.grid import default_grid_folder, make_grid

    if data and images:
        raise WsdlError("--data and --images: give one of them.")
    numbers, chosen = _parse_numbers("--seeds", seeds), split_names(generators) or GRID_GENERATORS
    return make_grid(name, out or default_grid_folder(name), profile, source, images, masks, numbers, chosen, data)


def _parse_numbers(option: str, text: str) -> tuple[int, ...]:
    """ "0,1,2" as numbers."""
    parts = split_names(text)
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise WsdlError(f"{option}: is '{text}', but must be comma-separated whole numbers from 0, such as 0,1,2.")
    return tuple(map(int, parts))
