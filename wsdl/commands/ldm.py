"""python -m wsdl train-generator autoencoder and ldm: the two trainings behind Repaint-LDM."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out, Seed

Data = Annotated[Path, typer.Option(help="A dataset folder; only real faces of its train split are seen.")]
Pictures = Annotated[int | None, typer.Option(help="Pictures to see, in all; default: 40 minutes' worth on two cores.")]


def train_autoencoder(data: Data, out: Out, images: Pictures = None, seed: Seed = 0):
    """The autoencoder of Repaint-LDM, resumable; a sheet of round trips at every checkpoint."""
    from wsdl.generators.train_autoencoder import train_autoencoder as run_train

    run_train(data, out, seed=seed, **({"images": images} if images else {}))


def train_ldm(
    data: Data,
    autoencoder: Annotated[Path, typer.Option(help="A finished run of train-generator autoencoder.")],
    out: Out,
    images: Pictures = None,
    seed: Seed = 0,
):
    """Latent diffusion on that autoencoder, resumable; a sheet of samples at every checkpoint."""
    from wsdl.generators.train_ldm import train_ldm as run_train

    run_train(data, autoencoder, out, seed=seed, **({"images": images} if images else {}))


def register(learn: typer.Typer) -> None:
    """Add the commands to the group `train-generator`."""
    learn.command("autoencoder")(train_autoencoder)
    learn.command("ldm")(train_ldm)
