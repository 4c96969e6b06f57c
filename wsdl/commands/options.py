"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Where to write.")]
Source = Annotated[str, typer.Option(help="studio or snapshot (bundled faces), photos, or made-up (drawings).")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Profile = Annotated[str, typer.Option(help="quick, full, or a JSON file with what differs from quick.")]
Weights = Annotated[str, typer.Option(help="A run of train-generator, a diffusers folder, or a hub id.")]
Images = Annotated[Path, typer.Option(help="Folder of face pictures.")]
Generators = Annotated[str, typer.Option(help="Whose partial fakes, commas between; default: all that there are.")]


def split_names(text: str) -> tuple[str, ...]:
    """ "lama,pluralistic" as a tuple; spaces do not count."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
