"""The examples that each setup may train on (`wsdl.config.SETUPS`), and batches of them."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from wsdl.config import FULL_GENERATORS, find_setup
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.progress import print_stderr
from wsdl.data.corruptions import corrupt_fraction
from wsdl.data.dataset import Dataset, release_memory
from wsdl.data.decoded import DecodedArray
from wsdl.data.manifest import has_unknown_mask, is_download
from wsdl.detectors.base import Batch


@dataclass(frozen=True)
class Examples:
    """The training or validation examples of one setup. `masks` is None unless the setup has masks."""

    images: DecodedArray  # uint8 [N, H, W, 3], of the whole dataset (on disk)
    real: np.ndarray  # indices of real images; empty in setup C
    fake: np.ndarray  # indices of fakes
    masks: DecodedArray | None  # uint8 [N, H, W] like images
    full_fakes: bool  # the fakes are full fakes
    half: np.ndarray  # uint8 [N], 0 or 1: the half of the faces that an image belongs to; a fake has that of its source

    @cached_property
    def real_of_half(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the real images of either half."""
        return tuple(self.real[self.half[self.real] == half] for half in (0, 1))

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

    Of full fakes by both samplers of P2 only those by DDPM are used: it adds noise, as RePaint does in its jumps back.
    Of a Dolos download setup B uses as many fakes as there are real images, 9,000 in the paper. WsdlError for an
    unknown setup, or where the dataset has no images of a kind that the setup needs.
    """
    rules = find_setup(setup)
    fakes = dataset.select(kind=rules.fakes)
    if (fakes.generator == FULL_GENERATORS["ddpm"]).any():
        fakes = fakes[fakes.generator != FULL_GENERATORS["ddim"]]
    fake = fakes.index[fakes.split == split].to_numpy()
    real = dataset.select(kind="real", split=split).index.to_numpy() if rules.has_reals else np.array([], int)
    if not len(fake) or (rules.has_reals and not len(real)):
        raise WsdlError(
            f"{dataset.folder}: has {len(real)} real and {len(fake)} fake images in {split} for setup "
            f"{setup}; make fakes with `python -m wsdl generate`."
        )
    if rules.has_masks and (unknown := has_unknown_mask(dataset.table.loc[fake]).sum()):
        raise WsdlError(
            f"{dataset.folder}: setup {setup} trains on masks, but {unknown} of {len(fake)} partial fakes in {split} "
            f"have none that is known; train setup b, or prepare the data with --masks for all of them."
        )
    if rules.has_reals and rules.fakes == "partial" and is_download(dataset.info):
        fake = _draw_as_many(fake, len(real), f"{dataset.folder}: setup {setup} uses", split)
    images, masks = dataset.images, dataset.masks if rules.has_masks else None
    for array in filter(None, (images, masks)):
        array.open_parts(np.concatenate([real, fake]))
    return Examples(images, real, fake, masks, rules.fakes == "full", face_halves(dataset))


def decode_examples(data: Path, setup: str, generators: tuple[str, ...]) -> None:
    """Decode what a training of `setup` on `generators` reads; where it lacks images, the training will say so."""
    with suppress(WsdlError):
        dataset = Dataset(data, generators)
        for split in ("train", "valid"):
            setup_examples(dataset, setup, split)


def _draw_as_many(fake: np.ndarray, count: int, where: str, split: str) -> np.ndarray:
    """At most `count` of the indices `fake`, the same at every call: the paper has as many fakes as real images."""
    if len(fake) <= count:
        return fake
    print_stderr(f"{where} {count:,} of {len(fake):,} fakes in {split}, as many as there are real images.")
    return np.sort(np.random.default_rng(seed_for("as many fakes", split)).choice(fake, count, replace=False))


def face_halves(dataset: Dataset) -> np.ndarray:
    """uint8 [N]: faces in order of their id belong to half 0 and 1 in turn; full fakes, which show no face, likewise.

    Cut and paste needs to know that two images do not show the same face. This is all that it learns of source faces.
    Where a download does not tell them, each image counts as a face: a piece may then meet its own source.
    """
    table, half = dataset.table, np.zeros(len(dataset.images), np.uint8)
    codes, _ = pd.factorize(table.source_id.where(table.kind != "full", table.path), sort=True)
    half[table.index] = codes % 2  # `images` has more rows than a table that leaves generators out
    return half


def draw_batch(data: Examples, size: int, seed: int, step: int, augment: float = 0.0) -> Batch:
    """Training batch number `step`: half real, half fake (all fake without reals); each flipped with probability 0.5.

    augment: the fraction of images, real and fake alike, given a random corruption (`wsdl.data.corruptions`).
    """
    rng = np.random.default_rng(seed_for(seed, "batch", step))
    half = size // 2 if len(data.real) else 0
    chosen = np.concatenate([rng.choice(data.real, half) if half else data.real, rng.choice(data.fake, size - half)])
    return _augmented(data.batch(rng.permutation(chosen), rng.random(size) < 0.5), augment, rng)


def shuffled_batch(data: Examples, size: int, seed: int, step: int, flip: bool, augment: float = 0.0) -> Batch:
    """Training batch number `step` as the paper draws it: real and fake images shuffled together, as many as there are.

    Each image is used once before any is used again; a batch may span two such passes. flip: flip half of the images.
    """
    rng = np.random.default_rng(seed_for(seed, "batch", step))
    everything = np.concatenate([data.real, data.fake])
    passes, places = np.divmod(step * size + np.arange(size), len(everything))
    orders = {number: np.random.default_rng(seed_for(seed, "pass", int(number))).permutation(everything)
              for number in np.unique(passes)}  # fmt: skip
    chosen = np.array([orders[number][place] for number, place in zip(passes, places, strict=True)])
    mirror = rng.random(size) < 0.5 if flip else None
    return _augmented(data.batch(chosen, mirror), augment, rng)


def _augmented(batch: Batch, augment: float, rng: np.random.Generator) -> Batch:
    """`batch` with the fraction `augment` of its images corrupted at random."""
    if not augment:
        return batch
    return replace(batch, images=torch.from_numpy(corrupt_fraction(batch.images.numpy(), augment, rng)))
