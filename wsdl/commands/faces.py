"""`python -m wsdl faces`: faces that need no download."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Seed

faces = typer.Typer(no_args_is_help=True, help="Make faces that need no download.")


@faces.callback()
def keep_as_group() -> None:
    """Keep `render` a subcommand: typer would merge the only command into its group."""


@faces.command()
def render(
    out: Annotated[Path, typer.Option(help="Output folder for images/ and masks/.")],
    count: Annotated[int, typer.Option(min=1, help="Number of faces in the folder.")],
    style: Annotated[str, typer.Option(help="studio or snapshot.")] = "studio",
    seed: Seed = 0,
    size: Annotated[int, typer.Option(min=8, help="Side of the images in pixels.")] = 128,
):
    """Render portraits of nobody with component masks, as input of data prepare. Needs the extra wsdl[render]."""
    from wsdl.faces.batch import render_faces

    render_faces(out, style, count, seed, size)
