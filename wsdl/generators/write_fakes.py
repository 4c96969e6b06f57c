"""Write fakes into a dataset folder: planned from the seed, made in fixed batches, resumable at any moment.

Fake number i depends on the seed alone, so a larger count adds to what exists. Batches are never cut short, so an
image is the same to the last bit whatever the count, and whoever makes it. The manifest is written once, at the end:
until then the dataset opens as it was before.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.config import FULL_GENERATORS
from wsdl.core.device import pick_device, retain_freed_memory
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.locks import hold_folder
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.ranges import check_ranges
from wsdl.core.records import read_object
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.layout import Counts
from wsdl.data.manifest import check_splits, hash_faces
from wsdl.data.masks import random_region
from wsdl.generators.fake_files import begin_dataset, fake_exists, fake_row, list_fakes, write_fake
from wsdl.generators.fake_plan import Fake, full_plan, partial_plan, with_counts
from wsdl.generators.registry import GENERATORS, find_generator
from wsdl.generators.shards import ALL, Shard, delete_shard_locks, hold_shard, wait_for_shards

# In the seed of the inpainted regions, for every generator: all of them inpaint the same masks.
_REGION_WORD = "repaint-p2"
_VERSION = "sampler_version"  # a key of recipe.json


def generate_full(
    out: Path,
    weights: str | Path,  # a run of `train-generator p2`, a diffusers folder, or a hub id
    count: int,  # images in total
    seed: int,
    *,
    steps: int = 50,  # network calls per image
    batch: int = 32,  # images sampled together
    sampler: str = "ddim",  # or "ddpm", which adds noise at every step
    shard: Shard = ALL,  # part of the batches to make
) -> None:
    """Write full fakes by P2 to OUT/fake/p2/SPLIT/ID.png; `out` becomes a dataset if it is none (paper, section 3).

    Those of the sampler "ddpm" are listed as the generator `p2-ddpm`, in a folder of that name. As in the paper one in
    ten is for validation and none for testing. A second call makes only what is missing.
    """
    check_ranges(count=count, seed=seed, steps=steps, batch=batch, sampler=sampler)
    name = FULL_GENERATORS[sampler]
    out, p2 = Path(out), GENERATORS[name]
    recipe = {"generator": name, "weights": p2.fingerprint(weights), "seed": seed, "steps": steps, "batch": batch}
    begin_dataset(out, {"name": "p2", "size": p2.image_size(weights), "licence": "unknown", "made_by": []})
    check_image_size(Dataset(out), name, weights)

    def make(network, chunk: int, fakes: list[Fake], on_step: Callable):
        made = network.sample(batch, seed, steps, first=chunk * batch, on_step=on_step, sampler=sampler)
        return made, [None] * batch

    write_fakes(out, recipe, count, full_plan(name), make, lambda: p2.load(weights), p2.calls(steps=steps), shard)


def generate_partial(
    generator: str,  # a name in `wsdl.generators.registry.GENERATORS`
    data: Path,  # the dataset whose real faces are inpainted; needs component masks
    out: Path,  # where the fakes go: the same dataset, or another
    weights: str | Path,
    count: int,  # images in total
    seed: int,
    *,
    batch: int = 32,  # images inpainted together
    lora: str | Path = "",  # sd-inpaint only
    counts: Counts | None = None,  # fakes of train, valid and test; `count` is their sum
    shard: Shard = ALL,  # part of the batches to make
    **sampling,  # further arguments of its `inpaint`, such as RePaint's T, jump_length and resamplings
) -> None:
    """Write partial fakes to OUT/fake/GENERATOR/{images,masks}/SPLIT/SOURCE-COMPONENT.png.

    Every face has one region inpainted, then every face another one, and so on (paper, section 3); a face without a
    further region starts over, and its names get -2, -3 ... at the end. The regions do not depend on the generator.
    """
    check_ranges(count=count, seed=seed, batch=batch, **sampling)
    data, out, entry, options = Path(data), Path(out), find_generator(generator), {"lora": lora} if lora else {}
    fingerprint = entry.fingerprint(weights, **options)
    dataset = Dataset(data)
    check_image_size(dataset, generator, weights)
    begin_dataset(out, {**dataset.info, "made_by": []})
    check_image_size(Dataset(out), generator, weights)
    faces = dataset.select(kind="real")
    check_splits(pd.concat([Dataset(out).table, faces]), out)
    labels = lru_cache(4096)(dataset.labels)  # at most 256 MB at 256 px
    more = {"counts": list(counts)} if counts else {}
    more |= {_VERSION: entry.sampler_version} if entry.sampler_version > 1 else {}
    recipe = {"generator": generator, "weights": fingerprint, "faces": hash_faces(faces), "seed": seed, **sampling,
              "batch": batch, **more}  # fmt: skip

    def mask_of(fake: Fake) -> np.ndarray:
        rng = np.random.default_rng(seed_for(seed, _REGION_WORD, fake.source_id, fake.component, fake.use, "region"))
        return random_region(labels(fake.face), fake.component, rng)

    def make(network, chunk: int, fakes: list[Fake], on_step: Callable):
        masks = np.stack([mask_of(fake) for fake in fakes])
        images = np.stack([read_image(data / fake.face.path) for fake in fakes])
        word = generator.removesuffix("-clean")  # a clean variant inpaints the same pixels
        seeds = [seed_for(seed, word, fake.source_id, fake.component, fake.use) for fake in fakes]
        return network.inpaint(images, masks, seeds, on_step=on_step, **sampling), masks

    plan = with_counts(partial_plan(faces, labels, seed, generator), counts, len(faces), data)
    load = partial(entry.load, weights, **options)
    write_fakes(out, recipe, count, plan, make, load, entry.calls(**sampling), shard)


def write_fakes(
    out: Path,
    recipe: dict,  # what decides the images: a later call must have the same
    count: int,
    plan: Iterator[Fake],
    make: Callable,  # make(network, chunk, fakes, on_step) -> images and masks (or Nones) of one batch
    load: Callable,  # load() -> the network; called only if a fake is missing
    calls: int,  # network calls per image
    shard: Shard = ALL,
) -> None:
    """Make those of the first `count` fakes of `plan` that are missing, then list all of them in the manifest.

    Several generators may write into one dataset at once; of one generator a second call waits for the first. A call
    with a `shard` makes its batches alone, and lists all fakes if none is missing then.
    """
    folder = out / "fake" / recipe["generator"]
    with hold_folder(folder):
        if _is_complete(out, recipe, count):
            return
    batch = recipe["batch"]
    work = _Work(out, recipe, count, list(islice(plan, -(-count // batch) * batch)), make, load, calls)  # full batches
    if shard == ALL:
        with hold_folder(folder):
            wait_for_shards(folder)
            work.make_missing(ALL)
            return work.list_all()
    with hold_shard(folder, shard):
        work.make_missing(shard)
    with hold_folder(folder):
        work.list_all()


def _is_complete(out: Path, recipe: dict, count: int) -> bool:
    """Whether all fakes are made and listed. WsdlError where they were begun with another recipe."""
    listed = Dataset(out).select(generator=recipe["generator"])
    complete = len(listed) >= count and all(fake_exists(out, fake) for fake in listed.itertuples())
    _write_or_check_recipe(out / "fake" / recipe["generator"], recipe, complete)
    if complete:
        print_stderr(f"{out}: has {len(listed)} fakes by {recipe['generator']} already.")
    return complete


@dataclass
class _Work:
    """The fakes that one call of `write_fakes` is about."""

    out: Path
    recipe: dict
    count: int
    fakes: list[Fake]  # of full batches
    make: Callable
    load: Callable
    calls: int

    def missing(self, chunk: int) -> list[int]:
        """The numbers of the fakes of batch `chunk` that are not made."""
        batch = self.recipe["batch"]
        numbers = range(chunk * batch, min((chunk + 1) * batch, self.count))
        return [i for i in numbers if not fake_exists(self.out, self.fakes[i])]

    def make_missing(self, shard: Shard) -> None:
        """Make the batches of `shard` that lack a fake."""
        generator, batch = self.recipe["generator"], self.recipe["batch"]
        chunks = [k for k in range(len(self.fakes) // batch) if shard.has(k) and self.missing(k)]
        if not chunks:
            return
        retain_freed_memory()
        network, images = self.load(), sum(len(self.missing(k)) for k in chunks)
        _print_cost(network, generator, images, len(chunks), batch, Dataset(self.out).size, self.calls)
        progress = progress_bar(len(chunks) * self.calls, generator, unit="call")
        for k in chunks:
            if not self.missing(k):  # another worker made it meanwhile
                continue
            fakes = self.fakes[k * batch : (k + 1) * batch]
            made = self.make(network, k, fakes, lambda t, x: progress.update())
            for i, image, mask in zip(range(k * batch, self.count), *made, strict=False):
                write_fake(self.out, self.fakes[i], image, mask)
        progress.close()

    def list_all(self) -> None:
        """List all fakes in the manifest, unless some are missing: then another worker will."""
        generator, fakes = self.recipe["generator"], self.fakes[: self.count]
        if missing := sum(not fake_exists(self.out, fake) for fake in fakes):
            done = self.count - missing
            return print_stderr(f"{self.out}: has {done} of {self.count} fakes by {generator}; other shards make more.")
        list_fakes(self.out, generator, self.recipe["seed"], [fake_row(self.out, generator, fake) for fake in fakes])
        delete_shard_locks(self.out / "fake" / generator)


def _write_or_check_recipe(folder: Path, recipe: dict, complete: bool) -> None:
    """`write_or_check_config`. Fakes of an earlier version of the sampler are used as they are if all are there."""
    path, begun = folder / "recipe.json", holds_images(folder)
    old = read_object(path) if begun and path.exists() else recipe
    if complete and _VERSION not in old:
        recipe = {key: value for key, value in recipe.items() if key != _VERSION}
    first = dict.fromkeys(recipe.keys() & {_VERSION}, 1)  # a recipe without the key is of version 1
    write_or_check_config(path, recipe, understood=lambda old: first | old, begun=begun)


def _print_cost(network, generator: str, images: int, chunks: int, batch: int, size: int, calls: int) -> None:
    """Print the predicted time before work starts, from two timed network calls."""
    seconds = []
    for _ in range(2):  # the first call also warms up
        start = time.perf_counter()
        network.rehearse(batch, size)
        seconds.append(time.perf_counter() - start)
    total, per_image = chunks * calls, calls * min(seconds) / batch
    minutes = total * min(seconds) / 60
    about = f"{minutes:.0f} minutes" if minutes >= 2 else "two minutes or less"
    print_stderr(
        f"{generator}: {images:,} images to make, {_count_noun(calls, 'network call')} each; in batches of {batch} "
        f"that is {_count_noun(total, 'call')}, about {about} of network time on {pick_device()}, {per_image:.3g} s "
        f"per image."
    )


def _count_noun(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def check_image_size(dataset: Dataset, generator: str, weights: str | Path) -> None:
    """WsdlError where `generator` with these weights makes images of another size than those of `dataset`."""
    size = find_generator(generator).image_size(weights)
    if size and dataset.size != size:
        raise WsdlError(
            f"{dataset.folder}: has images of {dataset.size} px, but {weights} generates {size} px; "
            f"prepare the data with --size {size}, or train a generator on these faces."
        )
