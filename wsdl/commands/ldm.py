"""python -m wsdl generate repaint-ldm, and the two trainings behind it: train-generator autoencoder and ldm."""

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


def generate_repaint_ldm(
    data: Annotated[Path, typer.Option(help="The dataset whose real faces are repainted.")],
    weights: Annotated[str, typer.Option(help="A run of train-generator ldm, a diffusers folder, or a hub id.")],
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: into --data itself.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Paste the pixels outside the mask back.")] = False,
    seed: Seed = 0,
    t: Annotated[int, typer.Option("--T", help="Noise levels.")] = 250,
    jump_length: Annotated[int, typer.Option(help="Levels to go back.")] = 10,
    resamplings: Annotated[int, typer.Option(help="Times each stretch is run.")] = 10,
    batch: Annotated[int, typer.Option(help="Pictures repainted together.")] = 32,
):
    """Partial fakes by RePaint among latents; the decoder alters the whole picture. The same regions as repaint-p2."""
    from wsdl.generators.ldm import generate_repaint_ldm as run_generate

    schedule = {"T": t, "jump_length": jump_length, "resamplings": resamplings}
    run_generate(data, out or data, weights, count, seed, batch=batch, clean=clean, **schedule)


def register(make: typer.Typer, learn: typer.Typer) -> None:
    """Add the commands to the groups `generate` and `train-generator`."""
    make.command("repaint-ldm")(generate_repaint_ldm)
    learn.command("autoencoder")(train_autoencoder)
    learn.command("ldm")(train_ldm)
