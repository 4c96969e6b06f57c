"""One training loop for every method and setup.

A: real and full fakes, image labels · B: real and partial fakes, image labels · C: partial fakes with masks, no reals.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from wsdl.config import Training
from wsdl.core.device import autocast
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.run import Run
from wsdl.data.corruptions import corrupt_fraction
from wsdl.data.dataset import Dataset
from wsdl.detectors import build_detector
from wsdl.detectors import initialization as start
from wsdl.detectors.base import Batch
from wsdl.training.loop import fit

SETUPS = {"a": "image labels, full fakes", "b": "image labels, partial fakes", "c": "masks, partial fakes, no reals"}


@dataclass(frozen=True)
class Examples:
    """What one setup may see of one split. `masks` exists in setup C only."""

    images: np.ndarray  # uint8 [N, H, W, 3], of the whole dataset (memory-mapped)
    real: np.ndarray  # indices of real pictures; empty in setup C
    fake: np.ndarray  # indices of fakes
    masks: np.ndarray | None  # uint8 [N, H, W] like images

    def batch(self, chosen: np.ndarray, mirror: np.ndarray | None = None) -> Batch:
        """The pictures at indices `chosen`, mirrored where `mirror` is true."""
        order = np.argsort(chosen)  # reading a file in order is faster; undone at once
        images = self.images[chosen[order]][np.argsort(order)]
        labels = np.isin(chosen, self.fake).astype(np.int64)
        masks = None if self.masks is None else self.masks[chosen]
        if mirror is not None:
            for array in (images,) if masks is None else (images, masks):
                array[mirror] = array[mirror, :, ::-1]
        return Batch(*(None if array is None else torch.from_numpy(array) for array in (images, labels, masks)))


def setup_examples(dataset: Dataset, setup: str, split: str) -> Examples:
    """The examples of `setup`. In A and B the masks of the dataset are never touched, so they cannot leak."""
    if setup not in SETUPS:
        raise WsdlError(
            f"--setup: is '{setup}', but must be a ({SETUPS['a']}), b ({SETUPS['b']}) or c ({SETUPS['c']})."
        )
    fake = dataset.select(kind="full" if setup == "a" else "partial", split=split).index.to_numpy()
    real = dataset.select(kind="real", split=split).index.to_numpy() if setup != "c" else np.array([], int)
    if not len(fake) or (setup != "c" and not len(real)):
        raise WsdlError(
            f"{dataset.folder}: has {len(real)} real and {len(fake)} fake pictures in {split} for setup "
            f"{setup}; make fakes with `python -m wsdl generate`."
        )
    return Examples(dataset.images, real, fake, dataset.masks if setup == "c" else None)


def draw_batch(data: Examples, size: int, seed: int, step: int, augment: float = 0.0) -> Batch:
    """Training batch `step`: half real, half fake (all fake in setup C); mirrored half of the time.

    augment: the part of the pictures that are treated badly, real and fake alike (`wsdl.data.corruptions`).
    """
    rng = np.random.default_rng(seed_for(seed, "batch", step))
    half = size // 2 if len(data.real) else 0
    chosen = np.concatenate([rng.choice(data.real, half) if half else data.real, rng.choice(data.fake, size - half)])
    batch = data.batch(rng.permutation(chosen), rng.random(size) < 0.5)
    if not augment:
        return batch
    return replace(batch, images=torch.from_numpy(corrupt_fraction(batch.images.numpy(), augment, rng)))


def train(
    method: str, setup: str, data: Path, out: Path, seed: int, settings: Training, generators: tuple[str, ...] = ()
) -> None:
    """Train one detector, or go on with it; `out` becomes a run folder with the best model (paper, section 4).

    generators: whose partial fakes setups B and C see; (): all that there are.
    """
    dataset = Dataset(data, generators)
    training, validation = (setup_examples(dataset, setup, split) for split in ("train", "valid"))
    images, batch, rate = settings.amounts(setup)
    torch.manual_seed(seed)
    model = build_detector(method, setup, settings.input_size)
    weights, name = start.find_initial_weights(settings.start)
    if weights:
        start.load_initial_weights(model, weights)
    if name == "xavier" and setup != "c":
        start.init_xavier(model)
    config = {
        "method": method,
        "setup": setup,
        "source": dataset.info["name"],
        "size": dataset.size,
        "generator": ", ".join(sorted(set(dataset.table.generator[training.fake]))),
        "data": dataset.info["manifest_sha256"],
        "images": images,
        "batch": batch,
        "seed": seed,
        "start": name,
        "settings": asdict(settings),
    }
    run = Run(out, config, growing=())

    def loss(net, step: int, share: slice):
        drawn = draw_batch(training, batch, seed, step, settings.augment)
        part = Batch(*(None if field is None else field[share] for field in vars(drawn).values()))
        return net(part)

    fit(
        run,
        model,
        loss,
        lambda net, seen: {"validation": validation_loss(net, validation, batch)},
        images=images,
        batch=batch,
        rate=rate,
        check_every=settings.check_every,
        ema_decay=settings.ema_decay or None,
        what=f"training {method} {setup}",
    )
    run.report("done")


@torch.no_grad()
def validation_loss(model, data: Examples, batch: int) -> float:
    """The training kind of loss on the validation split, real and fake weighing the same: no masks in A and B."""
    means = []
    for indices in filter(len, (data.real, data.fake)):
        total = 0.0
        for i in range(0, len(indices), batch):
            part = data.batch(indices[i : i + batch])
            with autocast():
                total += float(model.loss(part)) * len(part.images)
        means.append(total / len(indices))
    return round(float(np.mean(means)), 6)
