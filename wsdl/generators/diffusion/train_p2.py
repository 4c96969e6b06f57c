"""`train-generator p2`: train the small P2 model on the real faces of a dataset's train split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wsdl.config import P2Training
from wsdl.core.device import seed_torch, to_unit
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.locks import one_writer
from wsdl.core.records import read_object
from wsdl.core.run import Run
from wsdl.data.dataset import Dataset
from wsdl.generators.diffusion.p2 import P2, p2_loss
from wsdl.generators.diffusion.unet import SmallUNet
from wsdl.generators.diffusion.weights import is_p2_run, load_p2_run, unet_fingerprint
from wsdl.generators.training import finish_run, fit_generator, read_faces, training_config, write_sheet

_DEFAULTS = P2Training()
SAMPLES = 16  # images sampled at each check, always from the same noise


@one_writer("out")
def train_p2(
    data: Path,
    out: Path,
    settings: P2Training = _DEFAULTS,
    *,
    seed: int = 0,
    start: Path | None = None,  # a P2 run of the same shape whose weights to start from; default: random weights
) -> P2:
    """Train until `settings.images` images were seen, or resume. Writes a run folder with sample sheets.

    Only real faces of the train split are used, half of them mirrored.
    """
    dataset = Dataset(data)
    faces = read_faces(dataset, "train")
    config = training_config("p2", dataset, settings, seed)
    seed_torch(seed)
    model = SmallUNet(dataset.size, settings.channels, settings.patch)  # raises before the run folder is written
    if start:
        config["start"] = _load_start(model, start, config)
    run = Run(out, config)
    train_denoiser(
        run,
        model,
        settings,
        lambda step: p2_batch(faces, settings.batch, settings.patch, seed, step),
        lambda net: P2(net, dataset.size).sample(SAMPLES, seed),
    )
    return P2(model, dataset.size)


def _load_start(model: SmallUNet, start: Path, config: dict) -> str:
    """Load the weights of the P2 run `start`; returns their fingerprint. WsdlError where its shape differs."""
    if not is_p2_run(start):
        raise WsdlError(f"{start}: holds no trained weights; give a finished run of `train-generator p2`.")
    other = read_object(start / "config.json", needed=("size", "channels", "patch"))
    for name in ("size", "channels", "patch"):
        value = list(config[name]) if name == "channels" else config[name]
        if other[name] != value:
            raise WsdlError(f"{start}: has {name} {other[name]}, but this run has {value}; they must be equal.")
    model.load_state_dict(load_p2_run(start).state_dict())
    return unet_fingerprint(start)


def train_denoiser(
    run: Run,
    model: SmallUNet,
    settings,  # P2Training, or LDMTraining
    batch_of: Callable,  # batch_of(step) -> x0, t, noise, shift, as `p2_batch`
    sample: Callable,  # sample(model) -> images for the sheet, uint8 [n, S, S, 3]
) -> None:
    """Train `model` to predict x0, of pixels or of latents, with the P2 weight; a sheet of samples at each check."""

    def loss(net, step: int, share: slice):
        x0, t, noise, shift = batch_of(step)
        gamma = settings.gamma
        return p2_loss(net, x0[share], t[share], noise[share], predicts="x0", gamma=gamma, moved=shift)

    def check(net, images: int) -> dict:
        write_sheet(run, images, sample(net))
        return {}

    fit_generator(run, model, loss, check, settings)
    finish_run(run)


def p2_batch(faces: np.ndarray, batch: int, patch: int, seed: int, step: int):
    """Batch `step`: x0 [n, 3, S, S], steps t [n], noise like x0, and the shift of x0: a function of seed and step.

    Half of the faces are mirrored; all are shifted by less than a patch, wrapping around, as in sampling.
    """
    chosen, mirror, shift = choose_batch(len(faces), batch, patch, seed, step)
    images = faces[chosen]
    images[mirror] = images[mirror, :, ::-1]
    x0 = to_unit(np.roll(images, shift, axis=(1, 2)))
    return x0, *draw_steps_and_noise(x0, seed, step), shift


def choose_batch(count: int, batch: int, patch: int, seed: int, step: int) -> tuple[np.ndarray, np.ndarray, tuple]:
    """Indices of batch `step` among `count` images [n], which are mirrored [n], and the shift (down, right)."""
    rng = np.random.default_rng(seed_for(seed, "p2 batch", step))
    chosen, mirror = rng.integers(count, size=batch), rng.random(batch) < 0.5
    return chosen, mirror, tuple(rng.integers(patch, size=2).tolist())


def draw_steps_and_noise(x0: torch.Tensor, seed: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Diffusion steps t [n] and noise like x0 for batch `step`."""
    source = torch.Generator().manual_seed(seed_for(seed, "p2 noise", step))
    t = torch.randint(0, 1000, (len(x0),), generator=source).to(x0.device)
    return t, torch.randn(x0.shape, generator=source).to(x0.device)
