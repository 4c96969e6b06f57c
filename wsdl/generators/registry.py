"""The generators by name: how to load one, its image size, its fingerprint, its network calls per image.

`load_generator("lama", weights).inpaint(images, masks, seeds)` inpaints; `generate_partial("lama", ...)` of
`wsdl.generators.write_fakes` writes a dataset. Modules that need torch are imported when a function is called.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
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
    sampler_version: int = 1  # a higher one makes other fakes from the same seed


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


def _lazy(module: str, function: str, *arguments) -> Callable:
    """`function` of wsdl.generators.MODULE with `arguments` first; the module is imported at the first call."""

    def call(*more, **options):
        return getattr(import_module(f"wsdl.generators.{module}"), function)(*arguments, *more, **options)

    return call


def _p2(name: str, description: str, clean: bool, calls: Callable, version: int = 1) -> Generator:
    load = _lazy("diffusion.p2", "load_p2")
    size, fingerprint = (_lazy("diffusion.weights", function) for function in ("unet_image_size", "unet_fingerprint"))
    return Generator(name, description, clean, load, size, fingerprint, calls, version)


def _ldm(name: str, description: str, clean: bool) -> Generator:
    load = partial(_lazy("diffusion.ldm", "load_ldm"), clean=clean)
    size, fingerprint = (_lazy("diffusion.ldm", function) for function in ("ldm_image_size", "ldm_fingerprint"))
    return Generator(name, description, clean, load, size, fingerprint, _REPAINT_CALLS, _REPAINT_VERSION)


def _feed_forward(name: str, description: str) -> Generator:
    functions = "load_inpainter", "inpainter_image_size", "inpainter_fingerprint"
    load, size, fingerprint = (_lazy("inpainting.inpainter", function, name) for function in functions)
    return Generator(name, description, True, load, size, fingerprint, lambda: 1)


def _stable(name: str, description: str, clean: bool) -> Generator:
    load = partial(_lazy("diffusion.stable_diffusion", "load_stable"), clean=clean)
    fingerprint = _lazy("diffusion.stable_diffusion", "stable_fingerprint")
    return Generator(name, description, clean, load, lambda _: None, fingerprint, lambda steps, **_: steps)


def _reencode(name: str, description: str) -> Generator:
    load, fingerprint = (_lazy("reencode", function) for function in ("load_reencoder", "reencoder_fingerprint"))
    return Generator(name, description, True, load, lambda _: None, fingerprint, lambda: 1)


_REPAINT_VERSION = 2  # 1: jumps back as in diffusers, too noisy (see `wsdl.generators.diffusion.repaint`)
_REPAINT_CALLS = _lazy("diffusion.repaint", "repaint_calls")
_RESTORED = "with the original pixels restored outside the mask"
GENERATORS = {
    generator.name: generator
    for generator in (
        _p2("p2", "P2 diffusion, sampled by DDIM", clean=False, calls=lambda steps: steps),
        _p2("p2-ddpm", "P2 diffusion, sampled by DDPM", clean=False, calls=lambda steps: steps),
        _p2("repaint-p2", "RePaint with P2 diffusion", True, _REPAINT_CALLS, _REPAINT_VERSION),
        _ldm("repaint-ldm", "RePaint in the latent space of an autoencoder", clean=False),
        _ldm("repaint-ldm-clean", f"repaint-ldm {_RESTORED}", clean=True),
        _feed_forward("lama", "LaMa (fast Fourier convolutions), one result per mask"),
        _feed_forward("pluralistic", "Pluralistic (a conditional VAE), a different result for each seed"),
        _reencode("reencode", f"a round trip through a tiny autoencoder, {_RESTORED}"),
        _stable("sd-inpaint", "Stable Diffusion inpainting with a text prompt", clean=False),
        _stable("sd-inpaint-clean", f"sd-inpaint {_RESTORED}", clean=True),
    )
}
