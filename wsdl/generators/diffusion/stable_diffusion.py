"""Inpainting by Stable Diffusion, as everybody can do it at home: a text says what to paint into the hole.

The network is diffusers' pipeline, by folder or hub id, optionally with a LoRA: a small file that teaches it one
person's face, say. Weights are read from .safetensors alone. Needs `pip install 'wsdl[stable]'`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsdl.core.device import pick_device
from wsdl.core.io import WsdlError, hub_id, sha256_of_files
from wsdl.data.images import resize_image
from wsdl.generators.diffusion.ldm_full import LOADING_ERRORS
from wsdl.generators.diffusion.weights import first_line

PROMPT = "a photo of a face"
_NEAREST = Image.Resampling.NEAREST


class StableInpaint:
    """diffusers' inpainting pipeline as a generator of partial fakes.

    Pictures are brought to the size that the network knows and back. Raw, the whole picture comes out of the
    autoencoder, as from the usual tools; clean, the pixels outside the mask are copied back exactly.
    """

    def __init__(self, pipeline, clean: bool):
        self.pipeline, self.clean = pipeline.to(pick_device()), clean
        self.side = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        pipeline.set_progress_bar_config(disable=True)

    def inpaint(
        self,
        images: np.ndarray,
        masks: np.ndarray,
        seeds: list[int],
        prompt: str = PROMPT,
        steps: int = 50,  # network calls a picture, two each where guidance is above 1
        guidance: float = 7.5,  # how much more than usual the text counts
        on_step: Callable | None = None,
    ) -> np.ndarray:
        """Paint where masks [n, S, S] are 1 into uint8 images [n, S, S, 3]; one seed a picture."""

        def told(pipeline, step: int, t: int, found: dict) -> dict:
            if on_step:
                on_step(int(t), found["latents"])
            return found

        painted = self.pipeline(
            prompt=[prompt] * len(images),
            image=[_resize_square(self.side, Image.fromarray(image)) for image in images],
            mask_image=[Image.fromarray(255 * mask).resize((self.side, self.side), _NEAREST) for mask in masks],
            height=self.side,
            width=self.side,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            callback_on_step_end=told,
        ).images
        back = np.stack([np.asarray(_resize_square(images.shape[1], picture)) for picture in painted])
        return np.where(masks[..., None] == 1, back, images) if self.clean else back

    def rehearse(self, batch: int, size: int) -> None:
        """One call of the network, to see how long it takes; encoding and decoding are in it."""
        grey = np.full((batch, size, size, 3), 127, np.uint8)
        self.inpaint(grey, np.ones(grey.shape[:3], np.uint8), [0] * batch, steps=1)


def _resize_square(side: int, picture: Image.Image) -> Image.Image:
    """A square picture at another size: made smaller as all data is, or larger."""
    if picture.width >= side:
        return resize_image(picture, side)
    return picture.resize((side, side), Image.Resampling.BICUBIC)


def load_stable(weights: str | Path, clean: bool = False, lora: str | Path = "") -> StableInpaint:
    """Stable Diffusion from a diffusers folder or hub id, with a LoRA by file, folder or hub id if one is named.

    WsdlError where a library, the model or the LoRA is missing or does not fit.
    """
    pipeline = inpainting_pipeline()
    where = _locate_stable(weights)
    kind = torch.bfloat16 if pick_device().type == "cuda" else torch.float32
    try:
        # The checker of published models would blacken what it takes for nudity: a dataset of black holes.
        loaded = pipeline.from_pretrained(
            where, torch_dtype=kind, use_safetensors=True, safety_checker=None, requires_safety_checker=False
        )
    except LOADING_ERRORS as error:
        raise WsdlError(f"{weights}: no Stable Diffusion could be loaded from it ({first_line(error)}).") from None
    if lora:
        _add_lora(loaded, _locate_stable(lora))
    return StableInpaint(loaded, clean)


def _add_lora(pipeline, lora: str) -> None:
    try:
        pipeline.load_lora_weights(lora, use_safetensors=True)
    except ImportError:
        raise _missing_library("peft") from None
    except LOADING_ERRORS as error:
        raise WsdlError(f"{lora}: is no LoRA for this model ({first_line(error)}).") from None
    if not pipeline.get_active_adapters():
        raise WsdlError(f"{lora}: is no LoRA for this model (it changes none of its layers).")


def inpainting_pipeline():
    """The pipeline of diffusers. WsdlError where what it needs is not installed."""
    try:
        import transformers  # noqa: F401 (reads the text; diffusers leaves a stand-in for the pipeline without it)
        from diffusers import StableDiffusionInpaintPipeline
    except ImportError:
        raise _missing_library("transformers") from None
    return StableDiffusionInpaintPipeline


def _missing_library(library: str) -> WsdlError:
    return WsdlError(f"sd-inpaint: needs {library}; `pip install 'wsdl[stable]'`.")


def _locate_stable(weights: str | Path) -> str:
    """`weights` as diffusers wants it. WsdlError where it can be neither a folder or file nor a hub id."""
    return str(weights) if Path(weights).exists() else hub_id(weights)


def stable_fingerprint(weights: str | Path, lora: str | Path = "") -> str:
    """The sha256 or hub id of the weights, and of the LoRA after a "+". WsdlError where a library is missing."""
    inpainting_pipeline()
    return "+".join(_stable_digest(_locate_stable(each)) for each in (weights, lora) if str(each))


def _stable_digest(where: str) -> str:
    path = Path(where)
    if not path.exists():
        return where
    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise WsdlError(f"{where}: holds no .safetensors; weights in other formats can run code and are not read.")
    return sha256_of_files(files)
