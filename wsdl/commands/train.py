"""`python -m wsdl train`, `train-generator` and `train-parser`: trainings, all resumable."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Generators, Out, Profile, Seed, split_names

train_generator = typer.Typer(no_args_is_help=True, help="Train a generator on the real faces of a dataset.")

Data = Annotated[Path, typer.Option(help="A dataset folder; only real faces of its train split are seen.")]


Pictures = Annotated[int | None, typer.Option(help="Pictures to see, in all; default: 40 minutes' worth on two cores.")]
WHAT = {
    "lama": "LaMa (fast Fourier convolutions): one answer to a hole",
    "pluralistic": "Pluralistic (a conditional VAE): another answer for another seed",
}


def train(
    setup: Annotated[str, typer.Option(help="a: labels, full fakes; b: labels, partial fakes; c: masks.")],
    data: Annotated[Path, typer.Option(help="A dataset folder with fakes.")],
    out: Out,
    method: Annotated[str, typer.Option(help="patches, grad-cam or attention.")] = "patches",
    profile: Profile = "quick",
    seed: Seed = 0,
    generators: Generators = "",
):
    """Train a detector in one setup, resumable."""
    from wsdl.config import load_profile
    from wsdl.training.detector import train as run_train

    run_train(method, setup, data, out, seed, load_profile(profile).training(method), split_names(generators))


@train_generator.command("p2")
def train_p2(
    data: Annotated[Path, typer.Option(help="A dataset folder; only real faces of its train split are seen.")],
    out: Out,
    profile: Profile = "quick",
    images: Annotated[int | None, typer.Option(help="Pictures to see, in all; default: the profile's.")] = None,
    start: Annotated[Path | None, typer.Option(help="A P2 run to begin from; default: random weights.")] = None,
    seed: Seed = 0,
):
    """P2 diffusion, resumable; a sheet of samples at every checkpoint."""
    from wsdl.config import load_profile
    from wsdl.generators.diffusion.train_p2 import train_p2 as run_train

    settings = vars(load_profile(profile).generator)
    run_train(data, out, start=start, seed=seed, **settings | ({"images": images} if images else {}))


@train_generator.command("autoencoder")
def train_autoencoder(data: Data, out: Out, images: Pictures = None, seed: Seed = 0):
    """The autoencoder of Repaint-LDM, resumable; a sheet of round trips at every checkpoint."""
    from wsdl.generators.diffusion.train_autoencoder import train_autoencoder as run_train

    run_train(data, out, seed=seed, **({"images": images} if images else {}))


@train_generator.command("ldm")
def train_ldm(
    data: Data,
    autoencoder: Annotated[Path, typer.Option(help="A finished run of train-generator autoencoder.")],
    out: Out,
    images: Pictures = None,
    seed: Seed = 0,
):
    """Latent diffusion on that autoencoder, resumable; a sheet of samples at every checkpoint."""
    from wsdl.generators.diffusion.train_ldm import train_ldm as run_train

    run_train(data, autoencoder, out, seed=seed, **({"images": images} if images else {}))


def train_inpainting_generator(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="A dataset folder with component masks; its train split is seen.")],
    out: Out,
    images: Annotated[int | None, typer.Option(help="Pictures to see, in all; default: about an hour.")] = None,
    seed: Seed = 0,
):
    from wsdl.generators.inpainting.train import train_inpainter

    train_inpainter(context.info_name, data, out, seed=seed, **({"images": images} if images else {}))


for name, what in WHAT.items():
    train_generator.command(name, help=f"{what}, against a critic of patches, resumable; sheets at every checkpoint.")(
        train_inpainting_generator
    )


def train_parser(
    data: Annotated[list[Path], typer.Option(help="A dataset folder with component masks; may be given again.")],
    out: Annotated[Path, typer.Option(help="Where to write the run.")],
    images: Annotated[int, typer.Option(help="Pictures to see, in all.")] = 200_000,
    style_from: Annotated[Path | None, typer.Option(help="Pictures without masks whose looks are borrowed.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
):
    """Train the face parser on real faces with component masks, resumable."""
    from wsdl.parsing.train import train_parser as run_train

    run_train(data, out, images=images, style_from=style_from, seed=seed)
