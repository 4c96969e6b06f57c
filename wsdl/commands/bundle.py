"""python -m wsdl data bundle, data unpack and data halve: the archive of rendered faces, fakes and generators."""

from pathlib import Path
from typing import Annotated

import typer

Dataset = Annotated[Path | None, typer.Option(help="A finished dataset folder of this style.")]
P2 = Annotated[Path | None, typer.Option(help="The finished P2 run that was trained on it.")]


def bundle(
    out: Annotated[Path, typer.Option(help="Where to write the archive.")],
    studio: Dataset = None,
    studio_p2: P2 = None,
    snapshot: Dataset = None,
    snapshot_p2: P2 = None,
):
    """Datasets and their generators -> one archive, unpacked and compared before it is kept; its contents in MB."""
    from wsdl.bundle.pack import pack

    given = {"studio": (studio, studio_p2), "snapshot": (snapshot, snapshot_p2)}
    datasets, generators = ({style: pair[i] for style, pair in given.items() if pair[i]} for i in (0, 1))
    print(pack(datasets, generators, out).to_string(index=False, float_format="%.2f"))


def unpack(
    style: Annotated[str, typer.Argument(help="studio or snapshot.")],
    out: Annotated[Path, typer.Option(help="Where to write the dataset folder.")],
):
    """The bundled dataset of one style, as a folder of its own that fakes can be added to."""
    from wsdl.bundle.unpack import copy_to

    copy_to(out, style)


def halve(
    run: Annotated[Path, typer.Argument(help="A finished P2 run.")],
    out: Annotated[Path, typer.Option(help="Where to write the run with fp16 weights.")],
):
    """A P2 run with its weights in fp16, as the bundle keeps it; the fakes for the bundle are made with this one."""
    from wsdl.bundle.pack import halve as run_halve

    run_halve(run, out)


def register(data: typer.Typer) -> None:
    """Add the commands to the group `data`."""
    for command in (bundle, unpack, halve):
        data.command()(command)
