"""`train-generator p2`: train the small P2 model on the real faces of a dataset's train split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wsdl.core.device import to_unit
from wsdl.core.io import WsdlError, read_json, seed_for
from wsdl.core.progress import print_stderr
from wsdl.core.run import Run
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces
from wsdl.generators.diffusion.p2 import P2, p2_loss
from wsdl.generators.diffusion.unet import SmallUNet
from wsdl.generators.diffusion.weights import is_p2_run, load_p2_run, unet_fingerprint
from wsdl.training.loop import fit

SAMPLES = 16  # pictures drawn at each check, always from the same noise


def train_p2(
    data: Path,
    out: Path,
    *,
    images: int,  # pictures to see, in all
    start: Path | None = None,  # a P2 run of the same shape whose weights to begin from; default: random ones
    channels: tuple[int, ...] = (64, 128, 192),  # width of the U-Net at each level
    patch: int = 4,  # pixels unshuffled into channels: 4 is right for 64-128 px
    batch: int = 16,
    rate: float = 3e-4,
    gamma: float = 1.0,  # of the P2 weight; 0 gives the plain loss
    ema_decay: float = 0.9995,
    check_every: int = 8000,  # pictures between checkpoints and sample sheets
    seed: int = 0,
) -> P2:
    """Train, or go on training, until `images` pictures were seen. Writes a run folder with sample sheets.

    Only real faces of the train split are seen, mirrored half of the time.
    """
    dataset = Dataset(data)
    rows = dataset.select(kind="real", split="train")
    faces = dataset.images[rows.index]  # uint8 [n, S, S, 3]
    config = {"generator": "p2", "faces": hash_faces(rows), "size": dataset.size, "channels": list(channels),
              "patch": patch, "images": images, "batch": batch, "rate": rate, "gamma": gamma, "ema_decay": ema_decay,
              "seed": seed}  # fmt: skip
    torch.manual_seed(seed)
    model = SmallUNet(dataset.size, tuple(channels), patch)  # before the run begins: it refuses sizes that do not fit
    if start:
        config["start"] = begin_from(model, start, config)
    run = Run(out, config)

    denoise(
        run,
        model,
        lambda step: training_batch(faces, batch, patch, seed, step),
        lambda net: P2(net, dataset.size).sample(SAMPLES, seed),
        gamma,
        images=images,
        batch=batch,
        rate=rate,
        check_every=check_every,
        ema_decay=ema_decay,
        what="training p2",
    )
    return P2(model, dataset.size)


def begin_from(model: SmallUNet, start: Path, config: dict) -> str:
    """Load the weights of the P2 run `start`; returns their fingerprint. WsdlError where its shape is another."""
    if not is_p2_run(start):
        raise WsdlError(f"{start}: holds no trained weights; give a finished run of `train-generator p2`.")
    other = read_json(start / "config.json")
    for name in ("size", "channels", "patch"):
        if other[name] != config[name]:
            raise WsdlError(f"{start}: has {name} {other[name]}, but this run has {config[name]}; they must be equal.")
    model.load_state_dict(load_p2_run(start).state_dict())
    return unet_fingerprint(start)


def denoise(run: Run, model: SmallUNet, training: Callable, sample: Callable, gamma: float, **amounts) -> None:
    """Train `model` to predict x0, of pixels or of latents, with the P2 weight; a sheet of samples at each check.

    training(step) -> x0, t, noise, moved, as in `training_batch`; sample(model) -> pictures; amounts: see `fit`.
    """

    def loss(net, step: int, share: slice):
        x0, t, noise, moved = training(step)
        return p2_loss(net, x0[share], t[share], noise[share], predicts="x0", gamma=gamma, moved=moved)

    def check(net, seen: int) -> dict:
        write_image(run.path(f"samples/{seen:08d}.png"), np.asarray(contact_sheet(sample(net))))
        return {}

    fit(run, model, loss, check, clip=1.0, **amounts)
    run.report("done")
    print_stderr(f"{run.folder}: trained on {amounts['images']} pictures; samples in {run.path('samples')}.")


def training_batch(faces: np.ndarray, batch: int, patch: int, seed: int, step: int):
    """Batch `step`: x0 [n, 3, S, S], steps t [n], noise like x0, and by how much x0 is moved: all of it a function of
    seed and step alone.

    Faces are mirrored half of the time, and move by less than a patch, wrapping around, as they do in sampling.
    """
    chosen, mirror, moved = choose(len(faces), batch, patch, seed, step)
    pictures = faces[chosen]
    pictures[mirror] = pictures[mirror, :, ::-1]
    x0 = to_unit(np.roll(pictures, moved, axis=(1, 2)))
    return x0, *steps_and_noise(x0, seed, step), moved


def choose(count: int, batch: int, patch: int, seed: int, step: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Which of `count` pictures are batch `step` [n], which of them are mirrored [n], and how far all are moved."""
    rng = np.random.default_rng(seed_for(seed, "p2 batch", step))
    chosen, mirror = rng.integers(count, size=batch), rng.random(batch) < 0.5
    return chosen, mirror, tuple(rng.integers(patch, size=2).tolist())


def steps_and_noise(x0: torch.Tensor, seed: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed_for(seed, "p2 noise", step))
    t = torch.randint(0, 1000, (len(x0),), generator=source).to(x0.device)
    return t, torch.randn(x0.shape, generator=source).to(x0.device)
