"""`python -m wsdl train`, `train-generator` and `train-parser`: trainings, all resumable."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out, Profile, Seed, split_names
from wsdl.config import ALL_METHODS
from wsdl.generators.registry import GENERATORS

train_generator = typer.Typer(no_args_is_help=True, help="Train a generator on the real faces of a dataset.")

Data = Annotated[Path, typer.Option(help="A dataset folder; only real faces of its train split are used.")]
ImageCount = Annotated[
    int | None, typer.Option(min=1, help="Training images in total; default: 40 minutes of training on two cores.")
]


def train(
    setup: Annotated[str, typer.Option(help="a: image labels, full fakes; b: image labels, partial fakes; c: masks.")],
    data: Annotated[Path, typer.Option(help="A dataset folder with fakes.")],
    out: Out,
    method: Annotated[str, typer.Option(help=f"One of {', '.join(ALL_METHODS)}.")] = "patches",
    profile: Profile = "quick",
    seed: Seed = 0,
    generators: Annotated[
        str,
        typer.Option(
            help="Comma-separated generators whose fakes to use (default: all; p2-ddpm rather than p2; of Dolos those "
            "of the paper: repaint-p2, in setup b repaint-p2-9k)."
        ),
    ] = "",
    start: Annotated[
        str, typer.Option(help="scratch, xavier, imagenet, ffd, a file, or a detector (default: the profile's).")
    ] = "",
    parent: Annotated[int, typer.Option(hidden=True, help="End when the process of this number does.")] = 0,
):
    """Train a detector in one setup, resumable."""
    from wsdl.core.processes import exit_with_parent
    from wsdl.profiles import load_profile
    from wsdl.training.detector import train_detector as run_train

    if parent:
        exit_with_parent(parent)
    settings = load_profile(profile).training(method)
    run_train(method, setup, data, out, seed, settings, split_names(generators), start)


@train_generator.command("p2")
def train_p2(
    data: Data,
    out: Out,
    profile: Profile = "quick",
    images: Annotated[int | None, typer.Option(min=1, help="Training images in total; default: the profile's.")] = None,
    start: Annotated[Path | None, typer.Option(help="A P2 run to start from; default: random weights.")] = None,
    seed: Seed = 0,
):
    """P2 diffusion, resumable, with a sheet of samples at every checkpoint."""
    from wsdl.generators.diffusion.train_p2 import train_p2 as run_train
    from wsdl.profiles import load_profile

    settings = load_profile(profile).generator
    run_train(data, out, _with_images(settings, images), seed=seed, start=start)


@train_generator.command("autoencoder")
def train_autoencoder(data: Data, out: Out, images: ImageCount = None, seed: Seed = 0):
    """The autoencoder of Repaint-LDM, resumable, with a sheet of reconstructions at every checkpoint."""
    from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining
    from wsdl.generators.diffusion.train_autoencoder import train_autoencoder as run_train

    run_train(data, out, _with_images(AutoencoderTraining(), images), seed=seed)


@train_generator.command("ldm")
def train_ldm(
    data: Data,
    autoencoder: Annotated[Path, typer.Option(help="A finished run of train-generator autoencoder.")],
    out: Out,
    images: ImageCount = None,
    seed: Seed = 0,
):
    """Latent diffusion of Repaint-LDM, resumable, with a sheet of samples at every checkpoint."""
    from wsdl.generators.diffusion.train_ldm import LDMTraining
    from wsdl.generators.diffusion.train_ldm import train_ldm as run_train

    run_train(data, autoencoder, out, _with_images(LDMTraining(), images), seed=seed)


def train_inpainting_generator(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option(help="A dataset folder with component masks; real faces of its train split are used.")
    ],
    out: Out,
    images: Annotated[
        int | None, typer.Option(min=1, help="Training images in total; default: an hour of training on two cores.")
    ] = None,
    seed: Seed = 0,
):
    from wsdl.generators.inpainting.train import InpainterTraining, train_inpainter

    train_inpainter(context.info_name, data, out, _with_images(InpainterTraining(), images), seed=seed)


for name in ("lama", "pluralistic"):
    what = (
        f"{GENERATORS[name].description}, against a patch discriminator, resumable, with a sheet at every checkpoint."
    )
    train_generator.command(name, help=what)(train_inpainting_generator)


def _with_images(settings, images: int | None):
    """`settings` with another number of training images, if one is given."""
    return replace(settings, images=images) if images else settings


def train_parser(
    data: Annotated[list[Path], typer.Option(help="A dataset folder with component masks; may be given again.")],
    out: Annotated[Path, typer.Option(help="Where to write the run.")],
    images: Annotated[int, typer.Option(min=1, help="Training images in total.")] = 200_000,
    style_from: Annotated[
        Path | None,
        typer.Option(help="Folder of images without masks; augmentation takes backgrounds and colours from them."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
):
    """Train the face parser on real faces with component masks, resumable."""
    from wsdl.parsing.train import ParserTraining
    from wsdl.parsing.train import train_parser as run_train

    run_train(data, out, ParserTraining(images=images), style_from=style_from, seed=seed)
