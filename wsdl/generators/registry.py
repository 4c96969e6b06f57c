"""The generators by name: how to load one, its image size, its fingerprint, its network calls per image.

`load_generator("lama", weights).inpaint(images, masks, seeds)` inpaints; `generate_partial("lama", ...)` of
`wsdl.generators.write_fakes` writes a dataset. Modules that need torch are imported when a function is called.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wsdl.core.io import WsdlError

Weights = str | Path  # a run folder of `train-generator`, a diffusers folder, a hub id, or (lama) a TorchScript file


@dataclass(frozen=True)
class Generator:
    """One generator. Where sd-inpaint has a LoRA, `load` and `fingerprint` take it as `lora=`."""

    name: str  # its folder under fake/, and its name in the manifest
    description: str
    clean: bool  # the original pixels are restored outside the mask
    load: Callable  # load(weights) -> an object with `inpaint`; for p2 with `sample`
    image_size: Callable  # image_size(weights) -> side of its images in pixels; None: any
    fingerprint: Callable  # fingerprint(weights) -> text that identifies the weights: a sha256, or the hub id
    calls: Callable  # calls(**sampling) -> network calls per image


def find_generator(name: str) -> Generator:
    """The generator `name`. WsdlError lists the valid names."""
    if name not in GENERATORS:
        raise WsdlError(f"generator: is '{name}', but must be one of {', '.join(GENERATORS)}.")
    return GENERATORS[name]


def load_generator(name: str, weights: Weights, **options):
    """The trained network of the generator `name` on the device: `inpaint(images, masks, seeds)`, p2: `sample`.

    WsdlError where the weights are missing, damaged or of another generator.
    """
    return find_generator(name).load(weights, **options)


def _load_p2(weights: Weights):
    from wsdl.generators.diffusion.p2 import load_p2

    return load_p2(weights)


def _p2_image_size(weights: Weights) -> int:
    from wsdl.generators.diffusion.weights import unet_image_size

    return unet_image_size(weights)


def _p2_fingerprint(weights: Weights) -> str:
    from wsdl.generators.diffusion.weights import unet_fingerprint

    return unet_fingerprint(weights)


def _load_ldm(weights: Weights, clean: bool):
    from wsdl.generators.diffusion.ldm import load_ldm

    return load_ldm(weights, clean)


def _ldm_image_size(weights: Weights) -> int:
    from wsdl.generators.diffusion.ldm import ldm_image_size

    return ldm_image_size(weights)


def _ldm_fingerprint(weights: Weights) -> str:
    from wsdl.generators.diffusion.ldm import ldm_fingerprint

    return ldm_fingerprint(weights)


def _repaint_calls(**sampling) -> int:
    from wsdl.generators.diffusion.repaint import repaint_calls

    return repaint_calls(**sampling)


def _load_inpainter(name: str, weights: Weights):
    from wsdl.generators.inpainting.inpainter import load_inpainter

    return load_inpainter(name, weights)


def _inpainter_image_size(name: str, weights: Weights) -> int | None:
    from wsdl.generators.inpainting.inpainter import inpainter_image_size

    return inpainter_image_size(name, weights)


def _inpainter_fingerprint(name: str, weights: Weights) -> str:
    from wsdl.generators.inpainting.inpainter import inpainter_fingerprint

    return inpainter_fingerprint(name, weights)


def _load_stable(clean: bool, weights: Weights, lora: Weights = ""):
    from wsdl.generators.diffusion.stable_diffusion import load_stable

    return load_stable(weights, clean, lora)


def _stable_fingerprint(weights: Weights, lora: Weights = "") -> str:
    from wsdl.generators.diffusion.stable_diffusion import stable_fingerprint

    return stable_fingerprint(weights, lora)


def _ldm(name: str, description: str, clean: bool) -> Generator:
    return Generator(
        name, description, clean, partial(_load_ldm, clean=clean), _ldm_image_size, _ldm_fingerprint, _repaint_calls
    )


def _feed_forward(name: str, description: str) -> Generator:
    load, size, fingerprint = (
        partial(function, name) for function in (_load_inpainter, _inpainter_image_size, _inpainter_fingerprint)
    )
    return Generator(name, description, True, load, size, fingerprint, lambda: 1)


def _stable(name: str, description: str, clean: bool) -> Generator:
    load = partial(_load_stable, clean)
    return Generator(name, description, clean, load, lambda _: None, _stable_fingerprint, lambda steps, **_: steps)


GENERATORS = {
    generator.name: generator
    for generator in (
        Generator(
            "p2", "P2 diffusion, sampled by DDIM", False, _load_p2, _p2_image_size, _p2_fingerprint, lambda steps: steps
        ),
        Generator(
            "repaint-p2", "RePaint with P2 diffusion", True, _load_p2, _p2_image_size, _p2_fingerprint, _repaint_calls
        ),
        _ldm("repaint-ldm", "RePaint in the latent space of an autoencoder", clean=False),
        _ldm("repaint-ldm-clean", "repaint-ldm with the original pixels restored outside the mask", clean=True),
        _feed_forward("lama", "LaMa (fast Fourier convolutions), one result per mask"),
        _feed_forward("pluralistic", "Pluralistic (a conditional VAE), a different result for each seed"),
        _stable("sd-inpaint", "Stable Diffusion inpainting with a text prompt", clean=False),
        _stable("sd-inpaint-clean", "sd-inpaint with the original pixels restored outside the mask", clean=True),
    )
}
