"""python -m wsdl data bundle, bundle-generator, unpack and halve: rendered faces, fakes and generators in archives."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import names


def bundle(
    style: Annotated[str, typer.Option(help="The name by which it is unpacked, e.g. studio.")],
    data: Annotated[Path, typer.Option(help="A finished dataset folder of this style.")],
    p2: Annotated[Path, typer.Option("--p2", help="The finished P2 run whose weights made its fakes.")],
    out: Annotated[Path, typer.Option(help="Where to write the archive.")],
):
    """A dataset and its generator -> one archive, unpacked and compared before it is kept; its contents in MB."""
    from wsdl.bundle.pack import pack

    print(pack(style, data, p2, out).to_string(index=False, float_format="%.2f"))


def bundle_generator(
    style: Annotated[str, typer.Option(help="The bundled style whose faces were painted into, e.g. studio.")],
    data: Annotated[Path, typer.Option(help="A dataset folder with these faces and the fakes.")],
    generator: Annotated[str, typer.Option(help="Whose partial fakes, e.g. lama.")],
    run: Annotated[Path, typer.Option(help="The run, halved, whose weights made them.")],
    out: Annotated[Path, typer.Option(help="Where to write the archive: STYLE-GENERATOR.zip.")],
):
    """Fakes by a further generator and its weights -> one archive, unpacked and compared; its contents in MB."""
    from wsdl.bundle.pack_extra import pack_extra

    print(pack_extra(style, data, generator, run, out).to_string(index=False, float_format="%.2f"))


def unpack(
    style: Annotated[str, typer.Argument(help="studio or snapshot.")],
    out: Annotated[Path, typer.Option(help="Where to write the dataset folder.")],
    generators: Annotated[str, typer.Option(help="Whose partial fakes to add, e.g. lama,pluralistic.")] = "",
):
    """The bundled dataset of one style, as a folder of its own that fakes can be added to."""
    from wsdl.bundle import extra
    from wsdl.bundle.copies import copy_to

    for generator in names(generators):
        extra.locate(style, generator)  # refuses one that is not there before anything is written
    copy_to(out, style)
    for generator in names(generators):
        extra.add(out, style, generator)


def halve(
    run: Annotated[Path, typer.Argument(help="A finished run of train-generator.")],
    out: Annotated[Path, typer.Option(help="Where to write the run with fp16 weights.")],
):
    """A generator's run with fp16 weights, as the bundle keeps it; the fakes for the bundle are made with this one."""
    from wsdl.bundle.halve import halve as run_halve

    run_halve(run, out)


def register(data: typer.Typer) -> None:
    """Add the commands to the group `data`."""
    for command in (bundle, unpack, halve):
        data.command()(command)
    data.command("bundle-generator")(bundle_generator)
