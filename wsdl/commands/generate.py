"""`python -m wsdl generate`: fakes by a generator."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out, Seed, Weights

generate = typer.Typer(no_args_is_help=True, help="Make fakes with a generator.")

WHAT = {
    "lama": "LaMa (fast Fourier convolutions): one answer to a hole",
    "pluralistic": "Pluralistic (a conditional VAE): another answer for another seed",
}


@generate.command("p2")
def generate_p2(
    weights: Weights,
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Out,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(help="Network calls a picture (DDIM).")] = 50,
    batch: Annotated[int, typer.Option(help="Pictures sampled together.")] = 32,
):
    """Full fakes by P2 diffusion."""
    from wsdl.generators.write_fakes import generate_full

    generate_full(out, weights, count, seed, steps=steps, batch=batch)


@generate.command("repaint-p2")
def generate_repaint_p2(
    data: Annotated[Path, typer.Option(help="The dataset whose real faces are repainted.")],
    weights: Weights,
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: into --data itself.")] = None,
    seed: Seed = 0,
    t: Annotated[int, typer.Option("--T", help="Noise levels.")] = 250,
    jump_length: Annotated[int, typer.Option(help="Levels to go back.")] = 10,
    resamplings: Annotated[int, typer.Option(help="Times each stretch is run.")] = 10,
    batch: Annotated[int, typer.Option(help="Pictures repainted together.")] = 32,
):
    """Partial fakes: one component of a real face repainted by RePaint."""
    from wsdl.generators.write_fakes import generate_partial

    generate_partial(
        "repaint-p2",
        data,
        out or data,
        weights,
        count,
        seed,
        batch=batch,
        T=t,
        jump_length=jump_length,
        resamplings=resamplings,
    )


@generate.command("repaint-ldm")
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
    from wsdl.generators.write_fakes import generate_partial

    schedule = {"T": t, "jump_length": jump_length, "resamplings": resamplings}
    name = "repaint-ldm-clean" if clean else "repaint-ldm"
    generate_partial(name, data, out or data, weights, count, seed, batch=batch, **schedule)


def generate_inpainted_fakes(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="The dataset whose real faces are repainted.")],
    weights: Annotated[str, typer.Option(help="A run of train-generator; for lama also a TorchScript file you trust.")],
    count: Annotated[int, typer.Option(help="How many, in all.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: into --data itself.")] = None,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(help="Pictures repainted together.")] = 32,
):
    from wsdl.generators.write_fakes import generate_partial

    generate_partial(context.info_name, data, out or data, weights, count, seed, batch=batch)


for name, what in WHAT.items():
    generate.command(name, help=f"Partial fakes by {what}. The same regions as repaint-p2.")(generate_inpainted_fakes)


@generate.command("sd-inpaint")
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
    from wsdl.generators.write_fakes import generate_partial

    name = "sd-inpaint-clean" if clean else "sd-inpaint"
    generate_partial(
        name, data, out or data, weights, count, seed,
        batch=batch, lora=lora, prompt=prompt, steps=steps, guidance=guidance,
    )  # fmt: skip
