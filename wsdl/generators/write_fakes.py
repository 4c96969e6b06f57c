"""Write fakes into a dataset folder: planned from the seed, made in fixed batches, resumable at any moment.

Fake number i depends on the seed alone, so a larger count adds to what exists. Batches are never cut short, so an
image is the same to the last bit whatever the count. The manifest is written once, at the end: until then the
dataset opens as it was before.
"""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl import __version__
from wsdl.config import FULL_GENERATORS
from wsdl.core.device import pick_device, retain_freed_memory
from wsdl.core.io import WsdlError, is_written, seed_for, sha256
from wsdl.core.locks import hold_folder
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.ranges import check_ranges
from wsdl.core.records import read_object
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.layout import Counts
from wsdl.data.manifest import MANIFEST_COLUMNS, check_splits, hash_faces, update_manifest, write_manifest
from wsdl.data.masks import random_region, read_mask, write_mask
from wsdl.generators.fake_plan import Fake, full_plan, partial_plan, with_counts
from wsdl.generators.registry import GENERATORS, find_generator

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
) -> None:
    """Write full fakes by P2 to OUT/fake/p2/SPLIT/ID.png; `out` becomes a dataset if it is none (paper, section 3).

    Those of the sampler "ddpm" are listed as the generator `p2-ddpm`, in a folder of that name. As in the paper one in
    ten is for validation and none for testing. A second call makes only what is missing.
    """
    check_ranges(count=count, seed=seed, steps=steps, batch=batch, sampler=sampler)
    name = FULL_GENERATORS[sampler]
    out, p2 = Path(out), GENERATORS[name]
    recipe = {"generator": name, "weights": p2.fingerprint(weights), "seed": seed, "steps": steps, "batch": batch}
    _begin_dataset(out, {"name": "p2", "size": p2.image_size(weights), "licence": "unknown", "made_by": []})
    check_image_size(Dataset(out), name, weights)

    def make(network, chunk: int, fakes: list[Fake], on_step: Callable):
        made = network.sample(batch, seed, steps, first=chunk * batch, on_step=on_step, sampler=sampler)
        return made, [None] * batch

    write_fakes(out, recipe, count, full_plan(name), make, lambda: p2.load(weights), p2.calls(steps=steps))


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
    _begin_dataset(out, {**dataset.info, "made_by": []})
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
    write_fakes(out, recipe, count, plan, make, lambda: entry.load(weights, **options), entry.calls(**sampling))


def write_fakes(
    out: Path,
    recipe: dict,  # what decides the images: a later call must have the same
    count: int,
    plan: Iterator[Fake],
    make: Callable,  # make(network, chunk, fakes, on_step) -> images and masks (or Nones) of one batch
    load: Callable,  # load() -> the network; called only if a fake is missing
    calls: int,  # network calls per image
) -> None:
    """Make those of the first `count` fakes of `plan` that are missing, then list all of them in the manifest.

    Several generators may write into one dataset at once; of one generator a second call waits for the first.
    """
    with hold_folder(out / "fake" / recipe["generator"]):
        _write_missing(out, recipe, count, plan, make, load, calls)


def _write_missing(
    out: Path, recipe: dict, count: int, plan: Iterator[Fake], make: Callable, load: Callable, calls: int
) -> None:
    """`write_fakes`, while no other process writes fakes of this generator."""
    generator, batch = recipe["generator"], recipe["batch"]
    dataset = Dataset(out)
    folder = out / "fake" / generator
    listed = dataset.select(generator=generator)
    complete = len(listed) >= count and all(fake_exists(out, fake) for fake in listed.itertuples())
    _write_or_check_recipe(folder, recipe, complete)
    if complete:
        return print_stderr(f"{out}: has {len(listed)} fakes by {generator} already.")

    fakes = list(islice(plan, -(-count // batch) * batch))  # full batches
    missing = [i for i in range(count) if not fake_exists(out, fakes[i])]
    chunks = sorted({i // batch for i in missing})
    if missing:
        retain_freed_memory()
        network = load()
        _print_cost(network, generator, len(missing), len(chunks), batch, dataset.size, calls)
        progress = progress_bar(len(chunks) * calls, generator, unit="call")
        for k in chunks:
            made = make(network, k, fakes[k * batch : (k + 1) * batch], lambda t, x: progress.update())
            for i, image, mask in zip(range(k * batch, count), *made, strict=False):
                _write_fake(out, fakes[i], image, mask)
        progress.close()
    list_fakes(out, generator, recipe["seed"], [_fake_row(out, generator, fake) for fake in fakes[:count]])


def _write_or_check_recipe(folder: Path, recipe: dict, complete: bool) -> None:
    """`write_or_check_config`. Fakes of an earlier version of the sampler are used as they are if all are there."""
    path, begun = folder / "recipe.json", holds_images(folder)
    old = read_object(path) if begun and path.exists() else recipe
    if complete and _VERSION not in old:
        recipe = {key: value for key, value in recipe.items() if key != _VERSION}
    first = dict.fromkeys(recipe.keys() & {_VERSION}, 1)  # a recipe without the key is of version 1
    write_or_check_config(path, recipe, understood=lambda old: first | old, begun=begun)


def fake_exists(out: Path, fake) -> bool:
    """Whether the files of `fake`, a `Fake` or a row of the manifest, are in `out`."""
    return all(is_written(out / name) for name in (fake.path, fake.mask) if name)  # a full fake has no mask


def _write_fake(out: Path, fake: Fake, image: np.ndarray, mask: np.ndarray | None) -> None:
    if fake_exists(out, fake):
        return
    if mask is not None:
        write_mask(out / fake.mask, mask)
    write_image(out / fake.path, image)


def _fake_row(out: Path, generator: str, fake: Fake) -> dict:
    """The manifest row of a fake that was written."""
    area = float(read_mask(out / fake.mask).mean()) if fake.mask else 1.0
    values = {"path": fake.path, "mask": fake.mask, "kind": "partial" if fake.mask else "full",
              "generator": generator, "component": fake.component, "area": area, "source_id": fake.source_id,
              "split": fake.split, "sha256": sha256(out / fake.path)}  # fmt: skip
    return {column: values[column] for column in MANIFEST_COLUMNS}


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


def _begin_dataset(out: Path, info: dict) -> None:
    """Make `out` a dataset without images if it is not one yet."""
    if not any((out / name).exists() for name in ("manifest.csv", "real", "fake")):
        write_manifest(out, pd.DataFrame(columns=MANIFEST_COLUMNS), info)


def list_fakes(out: Path, generator: str, seed: int, rows: list[dict]) -> None:
    """Add `rows` to the manifest; they replace rows of the same images and of images that no longer exist.

    Rows that other processes added meanwhile are kept.
    """
    made = pd.DataFrame(rows)

    def add_rows(old: pd.DataFrame, info: dict) -> tuple[pd.DataFrame, dict]:
        gone = [row.generator == generator and not fake_exists(out, row) for row in old.itertuples()]
        table = pd.concat([old[~old.path.isin(made.path) & ~np.array(gone, bool)], made])
        total = int((table.generator == generator).sum())
        words = "p2 --sampler ddpm" if generator == FULL_GENERATORS["ddpm"] else generator
        entry = {"command": f"python -m wsdl generate {words} --count {total} --seed {seed}",
                 "generator": generator, "seed": seed, "version": __version__}  # fmt: skip
        made_by = info.get("made_by", [])
        entries = {e.get("generator", "real"): e for e in (made_by if isinstance(made_by, list) else [made_by])}
        print_stderr(f"{out}: has {total} fakes by {generator}.")
        return table, {**info, "made_by": list({**entries, generator: entry}.values())}

    update_manifest(out, add_rows)
