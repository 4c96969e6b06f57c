"""python -m wsdl notebooks: run, refresh and convert the lessons without a browser."""

import json
from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out, PhotoMasks, Photos, Seed

notebooks = typer.Typer(no_args_is_help=True, help="Run the numbered notebooks without a browser.")

Long = Annotated[bool, typer.Option("--long", help="Also lessons 07, 08, 10 and 11, which are not in the demo.")]


@notebooks.command("run")
def run_notebooks(
    out: Annotated[Path, typer.Option(help="The folder of a study; what exists in it is loaded.")],
    source: Annotated[str, typer.Option(help="Default: the source of the study, studio for a new one.")] = "",
    images: Photos = "",
    masks: PhotoMasks = "",
    profile: Annotated[str, typer.Option(help="Default: the profile of the study, quick for a new one.")] = "",
    seed: Seed = 0,
    long: Long = False,
    kernel: Annotated[
        str, typer.Option("--kernel", "-k", help="A kernel that Jupyter lists; default: the current Python.")
    ] = "",
):
    """Run the lessons in the study OUT -> OUT/lessons."""
    from wsdl.core.locks import hold_folder
    from wsdl.demo import absolute_path, run_lessons
    from wsdl.experiments.open_study import load_study
    from wsdl.notebooks.run import find_kernelspec

    if kernel:
        find_kernelspec(kernel)  # refused before a study is begun
    study = load_study(str(out), profile, source, absolute_path(images), absolute_path(masks), seed)
    with hold_folder(study.out):
        succeeded = run_lessons(study, long, kernel)
    if not succeeded:
        raise typer.Exit(1)


@notebooks.command("one", hidden=True)
def run_one(
    notebook: Annotated[Path, typer.Argument()],
    out: Out,
    parameters: Annotated[str, typer.Option(help="A JSON object.")],
    made_of: Annotated[str, typer.Option(help="A JSON object, recorded in NAME.run.json.")],
    kernel: Annotated[str, typer.Option(help="A kernel that Jupyter lists; default: the current Python.")] = "",
    parent: Annotated[int, typer.Option(help="End when the process of this number does.")] = 0,
):
    """Run one notebook in this process, as `run` starts it."""
    from wsdl.core.processes import exit_with_parent
    from wsdl.notebooks import run_notebook

    if parent:
        exit_with_parent(parent)
    run_notebook(notebook, out, json.loads(parameters), json.loads(made_of), kernel)


@notebooks.command()
def refresh(
    study: Annotated[
        Path | None, typer.Option(help="A finished study of ci/demo.sh to start from; nothing is trained then.")
    ] = None,
    long: Long = False,
):
    """Rerun the lessons as ci/demo.sh does, and rewrite the committed notebooks."""
    from wsdl.notebooks import refresh_lessons

    refresh_lessons(study=study, long=long)


@notebooks.command()
def html(notebook: Annotated[Path, typer.Argument()], out: Out):
    """Convert one notebook to an HTML page that works offline."""
    from wsdl.notebooks import to_html

    to_html(notebook, out)


@notebooks.command()
def slides(notebook: Annotated[Path, typer.Argument()], out: Out):
    """Convert one notebook to slides: an HTML page with reveal.js inside, which works offline."""
    from wsdl.notebooks import to_slides

    to_slides(notebook, out)
