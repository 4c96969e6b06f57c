"""python -m wsdl generate and train-generator, for the inpainting networks: lama and pluralistic."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out, Seed

WHAT = {
    "lama": "LaMa (fast Fourier convolutions): one answer to a hole",
    "pluralistic": "Pluralistic (a conditional VAE): another answer for another seed",
}


def generate(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="The dataset whose real faces are repainted.")],
    weights: Annotated[str, typer.Option(help="A run of train-generator; for lama also a TorchScript file you trust.")],
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: into --data itself.")] = None,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(help="Pictures repainted together.")] = 32,
):
    from wsdl.generators.inpaint import generate_inpainted

    generate_inpainted(context.info_name, data, out or data, weights, count, seed, batch)


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="A dataset folder with component masks; its train split is seen.")],
    out: Out,
    images: Annotated[int | None, typer.Option(help="Pictures to see, in all; default: about an hour.")] = None,
    seed: Seed = 0,
):
    from wsdl.generators.train_inpaint import train_inpainter

    train_inpainter(context.info_name, data, out, seed=seed, **({"images": images} if images else {}))


def register(make: typer.Typer, learn: typer.Typer) -> None:
    """Add the commands to the groups `generate` and `train-generator`."""
    for name, what in WHAT.items():
        make.command(name, help=f"Partial fakes by {what}. The same regions as repaint-p2.")(generate)
        learn.command(name, help=f"{what}, against a critic of patches, resumable; sheets at every checkpoint.")(train)
