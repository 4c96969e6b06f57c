"""Repaint-LDM: RePaint in the latent space of an autoencoder (paper, section 3).

x <- enc(x), mask <- the latent positions that hold an inpainted pixel, RePaint as on pixels, dec(x).
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import max_pool2d

from wsdl.core.io import WsdlError, seed_for, sha256
from wsdl.core.run import MODEL_FILE
from wsdl.core.weights import build_network, load_model
from wsdl.generators.diffusion.autoencoder import Codec, load_autoencoder
from wsdl.generators.diffusion.ldm_full import full_ldm_fingerprint, full_ldm_image_size, load_full_ldm
from wsdl.generators.diffusion.p2 import Denoiser
from wsdl.generators.diffusion.repaint import repaint
from wsdl.generators.diffusion.schedule import LATENT_SCHEDULE
from wsdl.generators.diffusion.unet import SmallUNet
from wsdl.generators.diffusion.weights import read_image_size

AUTOENCODER_FOLDER = "autoencoder"  # in a run: the autoencoder it was trained on


class RepaintLDM(Denoiser):
    """A trained latent diffusion model as a generator: `sample` by DDIM, `inpaint` by RePaint.

    With clean=False, as in the paper, the decoder outputs the full image: pixels outside the mask look the same but
    carry the decoder's traces. With clean=True they are replaced by the original pixels.
    """

    name = "repaint-ldm"

    def __init__(
        self, model: torch.nn.Module, codec: Codec, size: int, clean: bool = False, noising: dict = LATENT_SCHEDULE
    ):
        """model: denoises the latents of `codec`; size: of images; noising: the noise schedule of its training."""
        channels, side = codec.mean.shape[1], size // codec.factor
        super().__init__(model, (channels, side, side), noising)
        self.codec, self.size, self.clean = codec, size, clean

    def sample(self, n: int, seed: int, steps: int = 50, first: int = 0, on_step=None) -> np.ndarray:
        """Images first .. first+n-1 of `seed` by DDIM in `steps` network calls: uint8 [n, S, S, 3]."""
        seeds = [seed_for(seed, "ldm", first + i) for i in range(n)]
        return self.codec.decode(self.draw(seeds, steps, on_step))

    def inpaint(self, images: np.ndarray, masks: np.ndarray, seeds: list[int], **schedule) -> np.ndarray:
        """Inpaint uint8 images [n, S, S, 3] where masks [n, S, S] are 1; schedule: see `repaint`.

        The encoder sees the pixels under the mask, so known latents next to it hold traces of them, as in the paper.
        """
        known = self.codec.encode(images)
        holes = latent_masks(masks, self.codec.factor).to(known.device)
        latents = repaint(self.noise, known, holes, seeds, noising=self.noising, **schedule)
        inpainted = self.codec.decode(latents)
        return np.where(masks[..., None] == 1, inpainted, images) if self.clean else inpainted


def latent_masks(masks: np.ndarray, factor: int) -> torch.Tensor:
    """Masks uint8 [n, S, S] on the latent grid: float32 [n, 1, S/f, S/f], 1 where any pixel of the position is 1."""
    return max_pool2d(torch.as_tensor(masks)[:, None].float(), factor)


def load_ldm(weights: str | Path, clean: bool = False) -> RepaintLDM:
    """A generator from a run of `train-generator ldm`, or a full-size one in diffusers' layout by path or hub id."""
    if not is_ldm_run(weights):
        model, codec, size, noising = load_full_ldm(weights)
        return RepaintLDM(model, codec, size, clean, noising)
    run = Path(weights)
    codec = load_autoencoder(run / AUTOENCODER_FOLDER)

    def build(config: dict) -> SmallUNet:
        return latent_unet(config["size"], codec, tuple(config["widths"]), config["patch"])

    model = build_network(run, build, "`train-generator ldm`")
    return RepaintLDM(load_model(model, run), codec, read_image_size(run), clean)


def latent_unet(size: int, codec: Codec, widths: tuple[int, ...], patch: int) -> SmallUNet:
    """An untrained U-Net for the latents of images of `size` px. WsdlError where the size is no valid multiple."""
    step = codec.factor * patch * 2 ** (len(widths) - 1)
    if size % step:
        raise WsdlError(f"size: is {size} px, but this latent diffusion model needs a multiple of {step}.")
    return SmallUNet(size // codec.factor, widths, patch, planes=codec.mean.shape[1])


def ldm_image_size(weights: str | Path) -> int:
    """Side of its images in pixels, read from the configs alone."""
    return read_image_size(Path(weights)) if is_ldm_run(weights) else full_ldm_image_size(weights)


def ldm_fingerprint(weights: str | Path) -> str:
    """Half of the sha256 of the U-Net and half of that of the autoencoder; of published models see `ldm_full`."""
    if not is_ldm_run(weights):
        return full_ldm_fingerprint(weights)
    return sha256(Path(weights) / MODEL_FILE)[:32] + sha256(Path(weights) / AUTOENCODER_FOLDER / MODEL_FILE)[:32]


def is_ldm_run(weights: str | Path) -> bool:
    """Whether `weights` is a run folder of `train-generator ldm` with at least one checkpoint."""
    return (Path(weights) / MODEL_FILE).exists() and (Path(weights) / AUTOENCODER_FOLDER).is_dir()
