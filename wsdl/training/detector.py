"""Training of a detector, and the examples that each setup may use (`wsdl.config.SETUPS`)."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from wsdl.config import Training, find_setup
from wsdl.core.device import autocast, seed_torch
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.locks import one_writer
from wsdl.core.run import Run
from wsdl.data.corruptions import corrupt_fraction
from wsdl.data.dataset import Dataset, release_memory
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch
from wsdl.detectors.initialization import find_initial_weights, init_xavier, load_initial_weights
from wsdl.training.loop import fit


@dataclass(frozen=True)
class Examples:
    """The training or validation examples of one setup. `masks` is None unless the setup has masks."""

    images: np.ndarray  # uint8 [N, H, W, 3], of the whole dataset (memory-mapped)
    real: np.ndarray  # indices of real images; empty in setup C
    fake: np.ndarray  # indices of fakes
    masks: np.ndarray | None  # uint8 [N, H, W] like images

    @cached_property
    def is_fake(self) -> np.ndarray:
        """bool [N]: whether an index is in `fake`."""
        return np.bincount(self.fake, minlength=len(self.images)) > 0

    def batch(self, chosen: np.ndarray, mirror: np.ndarray | None = None) -> Batch:
        """The images at indices `chosen`, flipped horizontally where `mirror` is true."""
        order = np.argsort(chosen)  # sorted indices are read faster from a file; the order is restored at once
        images = self.images[chosen[order]][np.argsort(order)]
        labels = self.is_fake[chosen].astype(np.int64)
        masks = None if self.masks is None else self.masks[chosen]
        for array in (self.images, self.masks):
            release_memory(array)
        if mirror is not None:
            for array in (images,) if masks is None else (images, masks):
                array[mirror] = array[mirror, :, ::-1]
        return Batch(*(None if array is None else torch.from_numpy(array) for array in (images, labels, masks)))


def setup_examples(dataset: Dataset, setup: str, split: str) -> Examples:
    """The examples of `setup` in `split`. `masks is None` in setups A and B is enforced, not a convention.

    WsdlError for an unknown setup, or where the dataset has no images of a kind that the setup needs.
    """
    rules = find_setup(setup)
    fake = dataset.select(kind=rules.fakes, split=split).index.to_numpy()
    real = dataset.select(kind="real", split=split).index.to_numpy() if rules.has_reals else np.array([], int)
    if not len(fake) or (rules.has_reals and not len(real)):
        raise WsdlError(
            f"{dataset.folder}: has {len(real)} real and {len(fake)} fake images in {split} for setup "
            f"{setup}; make fakes with `python -m wsdl generate`."
        )
    return Examples(dataset.images, real, fake, dataset.masks if rules.has_masks else None)


def draw_batch(data: Examples, size: int, seed: int, step: int, augment: float = 0.0) -> Batch:
    """Training batch number `step`: half real, half fake (all fake without reals); each flipped with probability 0.5.

    augment: the fraction of images, real and fake alike, given a random corruption (`wsdl.data.corruptions`).
    """
    rng = np.random.default_rng(seed_for(seed, "batch", step))
    half = size // 2 if len(data.real) else 0
    chosen = np.concatenate([rng.choice(data.real, half) if half else data.real, rng.choice(data.fake, size - half)])
    batch = data.batch(rng.permutation(chosen), rng.random(size) < 0.5)
    if not augment:
        return batch
    return replace(batch, images=torch.from_numpy(corrupt_fraction(batch.images.numpy(), augment, rng)))


@one_writer("out")
def train_detector(
    method: str, setup: str, data: Path, out: Path, seed: int, settings: Training, generators: tuple[str, ...] = ()
) -> None:
    """Train one detector into the run folder `out`, or resume it; the best checkpoint is kept (paper, section 4).

    generators: whose partial fakes setups B and C use; (): all.
    """
    dataset = Dataset(data, generators)
    training, validation = (setup_examples(dataset, setup, split) for split in ("train", "valid"))
    images, batch, rate = settings.amounts(setup)
    seed_torch(seed)
    model = build_detector(method, setup, settings.input_size)
    weights, start = find_initial_weights(settings.start)
    if weights:
        load_initial_weights(model, weights)
    if start == "xavier" and not model.has_masks:
        init_xavier(model)
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
        "start": start,
        "settings": asdict(settings),
    }
    run = Run(out, config, growing=())

    def loss(network, step: int, share: slice) -> torch.Tensor:
        drawn = draw_batch(training, batch, seed, step, settings.augment)
        return network(Batch(*(None if field is None else field[share] for field in vars(drawn).values())))

    fit(
        run,
        model,
        loss,
        lambda network, _: {"validation": validation_loss(network, validation, batch)},
        images=images,
        batch=batch,
        rate=rate,
        check_every=settings.check_every,
        ema_decay=settings.ema_decay or None,
        what=f"training {method} {setup}",
    )
    run.report("done")


@torch.no_grad()
def validation_loss(model: torch.nn.Module, data: Examples, batch: int) -> float:
    """The training loss on the validation split, the mean of real and fake images; from labels alone in A and B."""
    means = []
    for indices in filter(len, (data.real, data.fake)):
        total = 0.0
        for i in range(0, len(indices), batch):
            part = data.batch(indices[i : i + batch])
            with autocast():
                total += float(model.loss(part)) * len(part.images)
        means.append(total / len(indices))
    return round(float(np.mean(means)), 6)
