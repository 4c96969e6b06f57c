"""Repaint-LDM: a hole in a face repainted by RePaint in the latent space of an autoencoder (paper, section 3).

x <- enc(x), mask <- the latent cells that hold a painted pixel, RePaint as on pixels, dec(x).
"""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.functional import max_pool2d

from wsdl.core.io import WsdlError, read_json, seed_for, sha256
from wsdl.core.run import MODEL_FILE
from wsdl.generators.diffusion import ldm_full
from wsdl.generators.diffusion.autoencoder import Codec, load_autoencoder
from wsdl.generators.diffusion.p2 import Denoiser
from wsdl.generators.diffusion.repaint import repaint
from wsdl.generators.diffusion.schedule import LATENT_SCHEDULE
from wsdl.generators.diffusion.unet import SmallUNet

AUTOENCODER_FOLDER = "autoencoder"  # in a run: the autoencoder it was trained on


class RepaintLDM(Denoiser):
    """A trained latent diffusion model as a generator: `sample` by DDIM, `inpaint` by RePaint.

    Raw (clean=False), as in the paper, the whole picture comes out of the decoder: outside the mask it looks the same,
    but carries the decoder's fingerprint. Clean, the pixels outside the mask are copied back.
    """

    name = "repaint-ldm"

    def __init__(
        self, model: torch.nn.Module, codec: Codec, size: int, clean: bool = False, noising: dict = LATENT_SCHEDULE
    ):
        """model: denoises the latents of `codec`; size: of pictures; noising: the schedule it was trained with."""
        channels, side = codec.mean.shape[1], size // codec.factor
        super().__init__(model, (channels, side, side), noising)
        self.codec, self.size, self.clean = codec, size, clean

    def sample(self, n: int, seed: int, steps: int = 50, first: int = 0, on_step=None) -> np.ndarray:
        """Pictures first .. first+n-1 of `seed` by DDIM in `steps` network calls: uint8 [n, S, S, 3]."""
        seeds = [seed_for(seed, "ldm", first + i) for i in range(n)]
        return self.codec.decode(self.draw(seeds, steps, on_step))

    def inpaint(self, images: np.ndarray, masks: np.ndarray, seeds: list[int], **schedule) -> np.ndarray:
        """Paint where masks [n, S, S] are 1 into uint8 images [n, S, S, 3]; schedule: see `repaint`.

        The encoder saw what was in the hole, and a known cell next to it knows a little of that, as in the paper.
        """
        known = self.codec.encode(images)
        holes = latent_masks(masks, self.codec.factor).to(known.device)
        painted = self.codec.decode(repaint(self.noise, known, holes, seeds, noising=self.noising, **schedule))
        return np.where(masks[..., None] == 1, painted, images) if self.clean else painted


def latent_masks(masks: np.ndarray, factor: int) -> torch.Tensor:
    """Masks uint8 [n, S, S] on the latent grid: float32 [n, 1, S/f, S/f], 1 where any pixel of the cell is painted."""
    return max_pool2d(torch.as_tensor(masks)[:, None].float(), factor)


def load_ldm(weights: str | Path, clean: bool = False) -> RepaintLDM:
    """A generator from a run of `train-generator ldm`, or a full-size one in diffusers' layout by path or hub id."""
    if not is_ldm_run(weights):
        model, codec, size, noising = ldm_full.load_full_ldm(weights)
        return RepaintLDM(model, codec, size, clean, noising)
    run = Path(weights)
    config, codec = read_json(run / "config.json"), load_autoencoder(run / AUTOENCODER_FOLDER)
    model = latent_unet(config["size"], codec, tuple(config["widths"]), config["patch"])
    try:
        model.load_state_dict(load_file(run / MODEL_FILE))
    except (RuntimeError, OSError, SafetensorError):
        raise WsdlError(
            f"{run / MODEL_FILE}: does not fit the network that config.json describes; train the generator again."
        ) from None
    return RepaintLDM(model, codec, config["size"], clean)


def latent_unet(size: int, codec: Codec, widths: tuple[int, ...], patch: int) -> SmallUNet:
    """An untrained network for the latents of pictures of `size`. WsdlError where the size does not fit."""
    step = codec.factor * patch * 2 ** (len(widths) - 1)
    if size % step:
        raise WsdlError(f"size: is {size} px, but this latent diffusion model needs a multiple of {step}.")
    return SmallUNet(size // codec.factor, widths, patch, planes=codec.mean.shape[1])


def ldm_image_size(weights: str | Path) -> int:
    """Side in pixels of what these weights paint, read from their configs alone."""
    return (
        read_json(Path(weights) / "config.json")["size"]
        if is_ldm_run(weights)
        else ldm_full.full_ldm_image_size(weights)
    )


def ldm_fingerprint(weights: str | Path) -> str:
    """What tells these weights from others, the autoencoder's included: a sha256, or the hub id itself."""
    if not is_ldm_run(weights):
        return ldm_full.full_ldm_fingerprint(weights)
    return sha256(Path(weights) / MODEL_FILE)[:32] + sha256(Path(weights) / AUTOENCODER_FOLDER / MODEL_FILE)[:32]


def is_ldm_run(weights: str | Path) -> bool:
    """Whether `weights` is a run folder of `train-generator ldm` that has come to its first checkpoint."""
    return (Path(weights) / MODEL_FILE).exists() and (Path(weights) / AUTOENCODER_FOLDER).is_dir()
