"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Output folder.")]
Source = Annotated[
    str,
    typer.Option(help="studio or snapshot (bundled faces), photos, celebahq, ffhq (as unpacked), made-up (drawings)."),
]
Seed = Annotated[int, typer.Option(help="Random seed: the same seed gives the same result.")]
ShardOption = Annotated[
    str, typer.Option("--shard", help="Make a part of the fakes: 1/8 to 8/8 for eight workers; the last one lists all.")
]
SplitCounts = Annotated[
    str, typer.Option(help="TRAIN/VALID/TEST fakes instead of --count, or paper: 30000/3000/8500, as of repaint-p2.")
]
Profile = Annotated[
    str, typer.Option(help="quick, evening, photographs, full, or a JSON file (differences from quick).")
]
Images = Annotated[Path, typer.Option(help="Folder of face images.")]
Photos = Annotated[str, typer.Option(help="Folder of photographs, for the sources photos, celebahq and ffhq.")]
PhotoMasks = Annotated[str, typer.Option(help="Folder of their component masks.")]
Generators = Annotated[
    str,
    typer.Option(help="Comma-separated generators whose partial fakes to use (default: all; of Dolos, repaint-p2)."),
]


def split_names(text: str) -> tuple[str, ...]:
    """ "lama, pluralistic" as ("lama", "pluralistic")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
