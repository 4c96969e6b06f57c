"""Inpainting by Stable Diffusion with a text prompt: diffusers' pipeline, by folder or hub id, optionally with a LoRA.

Weights are read from .safetensors only. Needs `pip install 'wsdl[stable]'`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsdl.core.device import pick_device
from wsdl.core.io import WsdlError, hub_id, sha256_of_files
from wsdl.core.weights import first_line
from wsdl.data.images import resize_image
from wsdl.generators.diffusion.weights import LOADING_ERRORS

PROMPT = "a photo of a face"
_NEAREST = Image.Resampling.NEAREST


class StableInpaint:
    """diffusers' inpainting pipeline as a generator of partial fakes.

    Images are resized to the size of the network and back. With clean=False the autoencoder outputs the full image,
    as in the usual tools; with clean=True the original pixels are restored outside the mask.
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
        steps: int = 50,  # network calls per image; where guidance is above 1, each is two
        guidance: float = 7.5,  # classifier-free guidance scale; 1: none
        on_step: Callable | None = None,
    ) -> np.ndarray:
        """Inpaint uint8 images [n, S, S, 3] where masks [n, S, S] are 1; one seed per image."""

        def report_step(pipeline, step: int, t: int, tensors: dict) -> dict:
            if on_step:
                on_step(int(t), tensors["latents"])
            return tensors

        inpainted = self.pipeline(
            prompt=[prompt] * len(images),
            image=[_resize_square(self.side, Image.fromarray(image)) for image in images],
            mask_image=[Image.fromarray(255 * mask).resize((self.side, self.side), _NEAREST) for mask in masks],
            height=self.side,
            width=self.side,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            callback_on_step_end=report_step,
        ).images
        resized = np.stack([np.asarray(_resize_square(images.shape[1], image)) for image in inpainted])
        return np.where(masks[..., None] == 1, resized, images) if self.clean else resized

    def rehearse(self, batch: int, size: int) -> None:
        """One network call on `batch` images, to time it; encoding and decoding are included."""
        grey = np.full((batch, size, size, 3), 127, np.uint8)
        self.inpaint(grey, np.ones(grey.shape[:3], np.uint8), [0] * batch, steps=1)


def _resize_square(side: int, image: Image.Image) -> Image.Image:
    """A square image at another size: reduced like all data, or enlarged."""
    if image.width >= side:
        return resize_image(image, side)
    return image.resize((side, side), Image.Resampling.BICUBIC)


def load_stable(weights: str | Path, clean: bool = False, lora: str | Path = "") -> StableInpaint:
    """Stable Diffusion from a diffusers folder or hub id, with a LoRA by file, folder or hub id if one is named.

    WsdlError where a library, the model or the LoRA is missing or cannot be used.
    """
    pipeline = inpainting_pipeline()
    where = _locate_stable(weights)
    kind = torch.bfloat16 if pick_device().type == "cuda" else torch.float32
    try:
        # No safety checker: it replaces images that it flags by black ones.
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
    """The pipeline class of diffusers. WsdlError where what it needs is not installed."""
    try:
        import transformers  # noqa: F401 (encodes the prompt; without it diffusers offers only a placeholder)
        from diffusers import StableDiffusionInpaintPipeline
    except ImportError:
        raise _missing_library("transformers") from None
    return StableDiffusionInpaintPipeline


def _missing_library(library: str) -> WsdlError:
    return WsdlError(f"sd-inpaint: needs {library}; `pip install 'wsdl[stable]'`.")


def _locate_stable(weights: str | Path) -> str:
    """`weights` as diffusers expects it. WsdlError where it is no folder, file or hub id."""
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
