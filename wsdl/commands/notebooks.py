"""python -m wsdl notebooks: the numbered lessons without a browser."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out, Profile, Seed, Source

notebooks = typer.Typer(no_args_is_help=True, help="Run the numbered notebooks without a browser.")

Long = Annotated[bool, typer.Option("--long", help="Also lessons 07 and 08, which train detectors of their own.")]


@notebooks.command("run")
def notebooks_run(
    out: Out,
    source: Source = "studio",
    images: str = "",
    masks: str = "",
    profile: Profile = "quick",
    seed: Seed = 0,
    long: Long = False,
):
    """Run the series in OUT; what is there already is loaded."""
    from wsdl.demo import absolute_path, run_lessons
    from wsdl.experiments.study import Study, load_profile

    profile = absolute_path(profile)
    study = Study(out.resolve(), load_profile(profile), source, absolute_path(images), absolute_path(masks), seed)
    if not run_lessons(study, profile, long):
        raise typer.Exit(1)


@notebooks.command()
def refresh(
    study: Annotated[
        Path | None, typer.Option(help="A finished study by ci/demo.sh, so that nothing is trained.")
    ] = None,
    long: Long = False,
):
    """Rerun the series as ci/demo.sh does and write the committed copies."""
    from wsdl.notebooks import refresh_lessons as run_refresh

    run_refresh(study=study, long=long)


@notebooks.command()
def html(notebook: Annotated[Path, typer.Argument()], out: Out):
    """One notebook as one offline HTML page."""
    from wsdl.notebooks import to_html

    to_html(notebook, out)
