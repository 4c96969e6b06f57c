"""python -m wsdl faces: faces that need no download."""

from pathlib import Path
from typing import Annotated

import typer

faces = typer.Typer(no_args_is_help=True, help="Make faces that need no download.")


@faces.callback()
def group() -> None:
    """Keeps `render` a command of its own: typer folds a single command into its group."""


@faces.command()
def render(
    out: Annotated[Path, typer.Option(help="Where to write images/ and masks/.")],
    count: Annotated[int, typer.Option(help="How many, in all.")],
    style: Annotated[str, typer.Option(help="studio or snapshot.")] = "studio",
    seed: Annotated[int, typer.Option(help="The same seed gives the same faces.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 128,
):
    """Path-traced portraits of nobody with component masks, for data prepare. Needs the extra wsdl[render]."""
    from wsdl.faces.batch import render_faces

    render_faces(out, style, count, seed, size)
