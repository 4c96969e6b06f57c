"""`python -m wsdl generate`: write fakes by a generator into a dataset folder.

Weights and faces default to those that come with wsdl: the bundled `studio` faces and the generators trained on them.
"""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Seed, ShardOption, SplitCounts
from wsdl.config import BUNDLED_SOURCES, Fakes
from wsdl.core.io import WsdlError
from wsdl.core.ranges import check_ranges
from wsdl.generators.registry import GENERATORS
from wsdl.generators.shards import parse_shard

generate = typer.Typer(no_args_is_help=True, help="Write fakes by a generator.")

_STYLE = BUNDLED_SOURCES[0]
_BUNDLED = Fakes()  # the sampling settings of the bundled fakes
_PAPER_SCHEDULE = {"T": 250, "jump_length": 10, "resamplings": 10}

_BUNDLED_WEIGHTS = f"default: the bundled weights, trained on the {_STYLE} faces"
Count = Annotated[int, typer.Option(min=1, help="Number of fakes in total; existing ones count.")]
Weights = Annotated[
    str, typer.Option(help=f"A run of train-generator, a diffusers folder, or a hub id; {_BUNDLED_WEIGHTS}.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        help=f"Dataset whose real faces are inpainted; default: --out if it is a dataset, else the {_STYLE} faces, "
        "copied to --out."
    ),
]
PartialOut = Annotated[Path | None, typer.Option(help="Folder to write to; default: --data.")]
Batch = Annotated[
    int | None,
    typer.Option(min=1, help=f"Images made together; default: {_BUNDLED.batch} with the bundled weights, else 32."),
]
Clean = Annotated[bool, typer.Option("--clean", help="Restore the original pixels outside the mask.")]
NoiseLevels = Annotated[
    int | None,
    typer.Option("--T", min=1, help=f"Noise levels; default: {_BUNDLED.T} with the bundled weights, else 250."),
]
JumpLength = Annotated[
    int | None,
    typer.Option(min=1, help=f"Levels to go back; default: {_BUNDLED.jump_length} with the bundled weights, else 10."),
]
Resamplings = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"Runs of each stretch; default: {_BUNDLED.resamplings} with the bundled weights, else 10."
    ),
]
_SAME_REGIONS = "The inpainted regions are those of repaint-p2."


@generate.command("p2")
def generate_p2(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    weights: Weights = "",
    count: Count = 4,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(min=1, help="Network calls per image.")] = _BUNDLED.ddim_steps,
    sampler: Annotated[str, typer.Option(help="ddim (deterministic) or ddpm (adds noise, as RePaint does).")] = "ddim",
    batch: Batch = None,
    shard: ShardOption = "",
):
    """Full fakes by P2 diffusion. With the bundled weights, --out also gets their faces if it is no dataset yet."""
    from wsdl.generators.write_fakes import generate_full

    batch, part = _batch(batch, weights), parse_shard(shard)
    check_ranges(count=count, seed=seed, steps=steps, batch=batch, sampler=sampler)  # before faces are copied
    if not weights:
        _faces(None, out)
    generate_full(out, _weights("p2", weights), count, seed, steps=steps, batch=batch, sampler=sampler, shard=part)


@generate.command("repaint-p2")
def generate_repaint_p2(
    data: Data = None,
    weights: Weights = "",
    count: Count = 4,
    out: PartialOut = None,
    seed: Seed = 0,
    t: NoiseLevels = None,
    jump_length: JumpLength = None,
    resamplings: Resamplings = None,
    batch: Batch = None,
    counts: SplitCounts = "",
    shard: ShardOption = "",
):
    """Partial fakes: one component of a real face inpainted by RePaint with P2 diffusion."""
    schedule = _schedule(weights, t, jump_length, resamplings)
    _generate_partial("repaint-p2", data, out, weights, count, seed, batch, counts, shard, **schedule)


@generate.command(
    "repaint-ldm", help=f"Partial fakes by RePaint on latents; the decoder alters all pixels. {_SAME_REGIONS}"
)
def generate_repaint_ldm(
    data: Data = None,
    weights: Weights = "",
    count: Count = 4,
    out: PartialOut = None,
    clean: Clean = False,
    seed: Seed = 0,
    t: NoiseLevels = None,
    jump_length: JumpLength = None,
    resamplings: Resamplings = None,
    batch: Batch = None,
    counts: SplitCounts = "",
    shard: ShardOption = "",
):
    name, schedule = "repaint-ldm-clean" if clean else "repaint-ldm", _schedule(weights, t, jump_length, resamplings)
    _generate_partial(name, data, out, weights, count, seed, batch, counts, shard, **schedule)


def generate_feed_forward(
    context: typer.Context,
    data: Data = None,
    weights: Annotated[
        str,
        typer.Option(
            help=f"A run of train-generator; for lama also a TorchScript file that you trust; {_BUNDLED_WEIGHTS}."
        ),
    ] = "",
    count: Count = 4,
    out: PartialOut = None,
    seed: Seed = 0,
    batch: Batch = None,
    counts: SplitCounts = "",
    shard: ShardOption = "",
):
    _generate_partial(context.info_name, data, out, weights, count, seed, batch, counts, shard)


for name in ("lama", "pluralistic"):
    what = f"Partial fakes by {GENERATORS[name].description}. {_SAME_REGIONS}"
    generate.command(name, help=what)(generate_feed_forward)


@generate.command("reencode", help=f"Partial fakes by {GENERATORS['reencode'].description}. {_SAME_REGIONS}")
def generate_reencode(
    autoencoder: Annotated[
        Path, typer.Option(help="Folder with *encoder.safetensors and *decoder.safetensors of TAEF2 or a like network.")
    ],
    data: Data = None,
    count: Count = 4,
    out: PartialOut = None,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(min=1, help="Images encoded together.")] = 4,
    counts: SplitCounts = "",
    shard: ShardOption = "",
):
    _generate_partial("reencode", data, out, str(autoencoder), count, seed, batch, counts, shard)


@generate.command(
    "sd-inpaint", help=f"Partial fakes by Stable Diffusion, optionally with a LoRA; needs a GPU. {_SAME_REGIONS}"
)
def generate_sd_inpaint(
    data: Data = None,
    weights: Annotated[
        str, typer.Option(help="Stable Diffusion for inpainting: a diffusers folder, or a hub id; required.")
    ] = "",
    count: Count = 4,
    out: PartialOut = None,
    lora: Annotated[str, typer.Option(help="A LoRA for it: a .safetensors file, a folder, or a hub id.")] = "",
    prompt: Annotated[str, typer.Option(help="Text prompt.")] = "a photo of a face",
    clean: Clean = False,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(min=1, help="Network calls per image.")] = 50,
    guidance: Annotated[float, typer.Option(help="Scale of classifier-free guidance; 1: none.")] = 7.5,
    batch: Annotated[int, typer.Option(min=1, help="Images made together.")] = 4,
    counts: SplitCounts = "",
    shard: ShardOption = "",
):
    name = "sd-inpaint-clean" if clean else "sd-inpaint"
    sampling = {"prompt": prompt, "steps": steps, "guidance": guidance}
    _generate_partial(name, data, out, weights, count, seed, batch, counts, shard, lora=lora, **sampling)


def _generate_partial(
    generator: str,
    data: Path | None,
    out: Path | None,
    weights: str,
    count: int,
    seed: int,
    batch: int | None,
    counts: str,
    shard: str,
    **more,
) -> None:
    """`generate_partial`, with bundled faces and weights where none are given."""
    from wsdl.data.layout import PAPER_FAKES, parse_counts
    from wsdl.generators.write_fakes import generate_partial

    if not (data or out):
        raise typer.BadParameter("give a folder to write to, or --data.", param_hint="--out")
    batch, of_splits, part = _batch(batch, weights), parse_counts(counts, PAPER_FAKES), parse_shard(shard)
    count = sum(of_splits) if of_splits else count
    check_ranges(count=count, seed=seed, batch=batch, **more)  # before faces are copied
    more |= {"counts": of_splits} if of_splits else {}
    used = _weights(generator, weights)
    data = _faces(data, out)
    generate_partial(generator, data, out or data, used, count, seed, batch=batch, shard=part, **more)


def _weights(generator: str, weights: str) -> str | Path:
    """`weights` as given, or the run folder of the bundled generator. WsdlError where none is bundled."""
    if weights:
        return weights
    if generator.startswith("sd-inpaint"):
        raise WsdlError(
            f"--weights: missing, and none are bundled for {generator}; give a diffusers folder or a hub id."
        )
    from wsdl.bundle.generator_archives import unpack_generator
    from wsdl.bundle.unpack import unpack_p2

    return unpack_p2(_STYLE) if generator in ("p2", "repaint-p2") else unpack_generator(_STYLE, generator)


def _faces(data: Path | None, out: Path | None) -> Path:
    """The dataset to take real faces from: `data`, or `out`, to which the bundled faces are copied if it is none."""
    if data:
        return data
    if not (out / "manifest.csv").exists():
        from wsdl.bundle.unpack import copy_dataset

        copy_dataset(out, _STYLE, fakes=False)
    return out


def _batch(batch: int | None, weights: str) -> int:
    return batch or (32 if weights else _BUNDLED.batch)


def _schedule(weights: str, t: int | None, jump_length: int | None, resamplings: int | None) -> dict[str, int]:
    """The settings of RePaint: the paper's, with the bundled weights those of the bundled fakes, unless given."""
    from wsdl.generators.diffusion.repaint import check_noise_levels

    given = {"T": t, "jump_length": jump_length, "resamplings": resamplings}
    default = _PAPER_SCHEDULE if weights else _BUNDLED.schedule
    schedule = default | {name: value for name, value in given.items() if value is not None}
    check_noise_levels(schedule["T"])
    return schedule
