"""`bench generation`: RePaint beside diffusers' own pipeline, with the same network and as many network calls.

The pipeline runs as published: fp32, NCHW, and freed memory goes back to the system.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from diffusers import ModelMixin, RePaintScheduler

from wsdl.benchmarks.repaint import parse_schedule
from wsdl.benchmarks.timing import check_seconds, median_seconds
from wsdl.core.device import pick_device, to_unit
from wsdl.generators.diffusion.p2 import load_p2, shift
from wsdl.generators.diffusion.repaint import repaint_calls
from wsdl.generators.diffusion.schedule import alphas_bar, noise_from_x0
from wsdl.generators.diffusion.weights import load_unet, unet_image_size

GENERATION_COLUMNS = "size", "schedule", "calls", "diffusers", "wsdl", "ratio", "known"
Inpaint = Callable[[], np.ndarray]  # -> uint8 [n, S, S, 3]


def bench_generation(
    weights: str | Path,  # a P2 model
    schedule: str = "50/5/3",  # T/jump_length/resamplings
    batch: int = 8,  # images made together, by both
    seconds: float = 10.0,  # as in `median_seconds`
) -> pd.DataFrame:
    """One row with the columns GENERATION_COLUMNS; diffusers and wsdl are images per second, ratio that of the two.

    calls: of the network, for each image. Both inpaint the middle of the same images; known is the largest difference
    between the two outside it, in grey levels. Inside they differ: other random numbers, and the jump back
    (`wsdl.generators.diffusion.repaint`). WsdlError for other schedules than `bench repaint` takes, and for `seconds`
    outside its range.
    """
    check_seconds(seconds)
    part, size = parse_schedule(schedule, "--schedule"), unet_image_size(weights)
    images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    masks = np.zeros((batch, size, size), np.uint8)
    masks[:, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
    inpaint = {name: make(weights, images, masks, part) for name, make in _WAYS.items()}
    made = {}

    def loop(name: str) -> Callable[[], None]:
        return lambda: made.update({name: inpaint[name]()})

    medians = median_seconds({(name,): loop(name) for name in _WAYS}, seconds)
    theirs, ours = (batch / medians[name,] for name in _WAYS)
    known = np.abs(made["diffusers"].astype(int) - made["wsdl"])[masks == 0].max()
    row = size, schedule, repaint_calls(*part), theirs, ours, ours / theirs, known
    return pd.DataFrame([row], columns=GENERATION_COLUMNS)


def with_wsdl(weights: str | Path, images: np.ndarray, masks: np.ndarray, part: tuple[int, int, int]) -> Inpaint:
    """`P2.inpaint` of uint8 images [n, S, S, 3] where masks [n, S, S] are 1."""
    model, (T, jump, resamplings) = load_p2(weights), part  # noqa: N806
    seeds = list(range(len(images)))
    return lambda: model.inpaint(images, masks, seeds, T=T, jump_length=jump, resamplings=resamplings)


def with_diffusers(weights: str | Path, images: np.ndarray, masks: np.ndarray, part: tuple[int, int, int]) -> Inpaint:
    """The same by diffusers' RePaintPipeline."""
    from diffusers.pipelines.deprecated.repaint import RePaintPipeline

    network = PlainNoise(load_unet(weights)[0].eval())
    pipeline = RePaintPipeline(network, RePaintScheduler(beta_start=1e-4, beta_end=0.02)).to(pick_device())
    pipeline.set_progress_bar_config(disable=True)
    known, keep = to_unit(images).contiguous(), torch.from_numpy(1 - masks)[:, None].float()  # the mask is 1 = keep
    T, jump, resamplings = part  # noqa: N806

    def inpaint() -> np.ndarray:
        source = torch.Generator().manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the pipeline calls a function that diffusers deprecates
            made = pipeline(known, keep, T, 0.0, jump, resamplings, generator=source, output_type="np").images
        return (made * 255).round().astype(np.uint8)

    return inpaint


class PlainNoise(ModelMixin):
    """A network of wsdl as the pipeline calls it: predicts the noise, in the precision of its weights, NCHW."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model
        self.register_buffer("abar", alphas_bar())

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> SimpleNamespace:
        steps = torch.full((len(x_t),), int(t), device=x_t.device)
        move = down, right = shift(int(t), self.model.patch)
        predicted = self.model(x_t.roll((down, right), dims=(2, 3)), steps, move).roll((-down, -right), dims=(2, 3))
        if self.model.predicts == "x0":
            predicted = noise_from_x0(x_t, predicted.clamp(-1, 1), self.abar[steps])
        return SimpleNamespace(sample=predicted)


_WAYS = {"diffusers": with_diffusers, "wsdl": with_wsdl}
