"""python -m wsdl generate sd-inpaint: what everybody can do at home."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Seed


def generate_sd_inpaint(
    data: Annotated[Path, typer.Option(help="The dataset whose real faces are repainted.")],
    weights: Annotated[str, typer.Option(help="Stable Diffusion for inpainting: a diffusers folder, or a hub id.")],
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: into --data itself.")] = None,
    lora: Annotated[str, typer.Option(help="A LoRA for it: a .safetensors file, a folder, or a hub id.")] = "",
    prompt: Annotated[str, typer.Option(help="What to paint, in words.")] = "a photo of a face",
    clean: Annotated[bool, typer.Option("--clean", help="Paste the pixels outside the mask back.")] = False,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(help="Network calls a picture.")] = 50,
    guidance: Annotated[float, typer.Option(help="How much more than usual the words count; 1: not more.")] = 7.5,
    batch: Annotated[int, typer.Option(help="Pictures repainted together.")] = 4,
):
    """Partial fakes by Stable Diffusion, with a LoRA if you like: a GPU's work. The same regions as repaint-p2."""
    from wsdl.generators.stable import generate_stable

    generate_stable(
        data, out or data, weights, count, seed,
        batch=batch, clean=clean, lora=lora, prompt=prompt, steps=steps, guidance=guidance,
    )  # fmt: skip


def register(make: typer.Typer) -> None:
    """Add the command to the group `generate`."""
    make.command("sd-inpaint")(generate_sd_inpaint)
