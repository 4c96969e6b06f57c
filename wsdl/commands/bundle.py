"""python -m wsdl data bundle, data unpack and data halve: rendered faces, fakes and generators, one archive a style."""

from pathlib import Path
from typing import Annotated

import typer


def bundle(
    style: Annotated[str, typer.Option(help="The name by which it is unpacked, e.g. studio.")],
    data: Annotated[Path, typer.Option(help="A finished dataset folder of this style.")],
    p2: Annotated[Path, typer.Option("--p2", help="The finished P2 run whose weights made its fakes.")],
    out: Annotated[Path, typer.Option(help="Where to write the archive.")],
):
    """A dataset and its generator -> one archive, unpacked and compared before it is kept; its contents in MB."""
    from wsdl.bundle.pack import pack

    print(pack(style, data, p2, out).to_string(index=False, float_format="%.2f"))


def unpack(
    style: Annotated[str, typer.Argument(help="studio or snapshot.")],
    out: Annotated[Path, typer.Option(help="Where to write the dataset folder.")],
):
    """The bundled dataset of one style, as a folder of its own that fakes can be added to."""
    from wsdl.bundle.copies import copy_to

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
