"""Writing fakes into a dataset folder: planned by seed, made in fixed batches, killed and resumed at any moment.

Which fake is number i depends on the seed alone, so a larger count adds to what is there. Batches are always whole,
so that a picture is the same to the last bit whatever the count. The manifest is written once, at the end: until
then the dataset opens as it was before.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl import __version__
from wsdl.core.device import pick_device, retain_freed_memory
from wsdl.core.io import WsdlError, seed_for, sha256
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.run import write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.manifest import MANIFEST_COLUMNS, check_splits, hash_faces, write_manifest
from wsdl.data.masks import random_region, read_mask, write_mask
from wsdl.generators.diffusion.p2 import P2, load_p2
from wsdl.generators.diffusion.repaint import calls
from wsdl.generators.diffusion.weights import fingerprint, picture_size
from wsdl.generators.fake_plan import Fake, full_plan, partial_plan

REGIONS = "repaint-p2"  # in the seed of every generator's regions: all of them paint into the same masks


@dataclass(frozen=True)
class Painter:
    """What a call paints with. Its network is loaded only if there is something to make."""

    generator: str  # the name of its folder and in the manifest
    weights: str | Path
    fingerprint: str  # tells these weights from others
    size: int | None  # side of its pictures in pixels; None: any
    load: Callable  # load() -> P2 or Inpainter
    calls: int  # of its network, a picture


def p2_painter(generator: str, weights: str | Path, calls: int) -> Painter:
    return Painter(generator, weights, fingerprint(weights), picture_size(weights), lambda: load_p2(weights), calls)


def generate_full(
    out: Path,
    weights: str | Path,  # a run of `train-generator p2`, a diffusers folder, or a hub id
    count: int,  # pictures, in all
    seed: int,
    *,
    steps: int = 50,  # network calls a picture (DDIM)
    batch: int = 32,  # pictures sampled together
) -> None:
    """Write full fakes into the dataset `out`, or begin one: out/fake/p2/SPLIT/ID.png (paper, section 3).

    As in the paper one in ten is for validation and none for testing. Run again, it makes only what is missing.
    """
    out, painter = Path(out), p2_painter("p2", weights, steps)
    begin(out, {"name": "p2", "size": painter.size, "licence": "unknown", "made_by": []})
    recipe = {"generator": "p2", "weights": painter.fingerprint, "seed": seed, "steps": steps, "batch": batch}

    def paint(p2: P2, chunk: int, fakes: list[Fake], on_step: Callable):
        return p2.sample(batch, seed, steps, first=chunk * batch, on_step=on_step), [None] * batch

    write_fakes(out, painter, count, recipe, full_plan(), paint)


def generate_partial(
    data: Path,  # the dataset whose real faces are repainted; needs component masks
    out: Path,  # where the fakes go: the same dataset, or another
    weights: str | Path,
    count: int,  # pictures, in all
    seed: int,
    *,
    batch: int = 32,  # pictures repainted together
    T: int,  # RePaint: noise levels  # noqa: N803 (the paper's letter)
    jump_length: int,  # levels to go back
    resamplings: int,  # runs of each stretch
) -> None:
    """Write partial fakes by RePaint: out/fake/repaint-p2/{images,masks}/SPLIT/SOURCE-COMPONENT.png."""
    schedule = {"T": T, "jump_length": jump_length, "resamplings": resamplings}
    repaint_faces(data, out, p2_painter("repaint-p2", weights, calls(**schedule)), count, seed, batch, schedule)


def repaint_faces(
    data: Path,  # the dataset whose real faces are repainted; needs component masks
    out: Path,  # where the fakes go: the same dataset, or another
    painter: Painter,
    count: int,  # pictures, in all
    seed: int,
    batch: int,  # pictures repainted together
    schedule: dict,  # further arguments of its `inpaint`
) -> None:
    """Write partial fakes by any painter: out/fake/GENERATOR/{images,masks}/SPLIT/SOURCE-COMPONENT.png.

    Every face of every split has one region repainted, then every face another one, and so on (paper, section 3);
    a face that has no further region starts over, and its names get -2, -3 ... at the end. Which regions these are
    depends on the seed and not on the painter: as in the paper, all generators paint into the same masks.
    """
    data, out, generator = Path(data), Path(out), painter.generator
    dataset = Dataset(data)
    check_fit(dataset, painter)
    begin(out, {**dataset.info, "made_by": []})
    faces = dataset.select(kind="real")
    check_splits(pd.concat([Dataset(out).table, faces]), out)
    labels = lru_cache(4096)(dataset.labels)  # at most 256 MB at 256 px
    recipe = {"generator": generator, "weights": painter.fingerprint, "faces": hash_faces(faces), "seed": seed,
              **schedule, "batch": batch}  # fmt: skip

    def mask_of(fake: Fake) -> np.ndarray:
        rng = np.random.default_rng(seed_for(seed, REGIONS, fake.source_id, fake.component, fake.use, "region"))
        return random_region(labels(fake.face), fake.component, rng)

    def paint(network, chunk: int, fakes: list[Fake], on_step: Callable):
        masks = np.stack([mask_of(fake) for fake in fakes])
        pictures = np.stack([read_image(data / fake.face.path) for fake in fakes])
        name = generator.removesuffix("-clean")  # the same paint, whether the known pixels are pasted back or not
        seeds = [seed_for(seed, name, fake.source_id, fake.component, fake.use) for fake in fakes]
        return network.inpaint(pictures, masks, seeds, on_step=on_step, **schedule), masks

    write_fakes(out, painter, count, recipe, partial_plan(faces, labels, seed, generator), paint)


def write_fakes(
    out: Path,
    painter: Painter,
    count: int,
    recipe: dict,  # what decides the pictures: a later call must have the same
    plan: Iterator[Fake],
    paint: Callable,  # paint(network, chunk, fakes, on_step) -> pictures and masks (or Nones) of one whole batch
) -> None:
    """Make the first `count` fakes of `plan`, as far as they are missing, then list them in the manifest."""
    generator, batch = painter.generator, recipe["batch"]
    dataset = Dataset(out)
    check_fit(dataset, painter)
    write_or_check_config(out / "fake" / generator / "recipe.json", recipe)
    sweep(out, generator)
    listed = dataset.select(generator=generator)
    if len(listed) >= count and all(is_there(out, fake) for fake in listed.itertuples()):
        return print_stderr(f"{out}: has {len(listed)} fakes by {generator} already.")

    fakes = list(islice(plan, -(-count // batch) * batch))  # whole batches
    absent = [i for i in range(count) if not is_there(out, fakes[i])]
    chunks = sorted({i // batch for i in absent})
    if absent:
        retain_freed_memory()
        network = painter.load()
        announce(network, painter, len(absent), len(chunks), batch, dataset.size)
        progress = progress_bar(len(chunks) * painter.calls, generator, unit="call")
        for k in chunks:
            made = paint(network, k, fakes[k * batch : (k + 1) * batch], lambda t, x: progress.update())
            for i, picture, mask in zip(range(k * batch, count), *made, strict=False):
                write_fake(out, fakes[i], picture, mask)
        progress.close()
    enlist(dataset, generator, recipe["seed"], [row_of(out, generator, fake) for fake in fakes[:count]])


def sweep(out: Path, generator: str) -> None:
    """Delete the half-written files that a killed call left."""
    for leftover in (*out.glob(".*.part"), *(out / "fake" / generator).rglob(".*.part")):
        leftover.unlink()


def is_there(out: Path, fake) -> bool:
    return (out / fake.path).exists() and (out / fake.mask).exists()  # a full fake's mask is "": the folder itself


def write_fake(out: Path, fake: Fake, picture: np.ndarray, mask: np.ndarray | None) -> None:
    if is_there(out, fake):
        return
    if mask is not None:
        write_mask(out / fake.mask, mask)
    write_image(out / fake.path, picture)


def row_of(out: Path, generator: str, fake: Fake) -> dict:
    """The row of the manifest of a fake that was written."""
    area = float(read_mask(out / fake.mask).mean()) if fake.mask else 1.0
    values = {"path": fake.path, "mask": fake.mask, "kind": "partial" if fake.mask else "full",
              "generator": generator, "component": fake.component, "area": area, "source_id": fake.source_id,
              "split": fake.split, "sha256": sha256(out / fake.path)}  # fmt: skip
    return {column: values[column] for column in MANIFEST_COLUMNS}


def announce(network, painter: Painter, pictures: int, chunks: int, batch: int, size: int) -> None:
    """Say what the work costs before it starts, from the time of two network calls."""
    seconds = []
    for _ in range(2):  # the first one also warms up
        start = time.perf_counter()
        network.rehearse(batch, size)
        seconds.append(time.perf_counter() - start)
    calls, each = chunks * painter.calls, painter.calls * min(seconds) / batch
    minutes = calls * min(seconds) / 60
    about = f"{minutes:.0f} minutes" if minutes >= 2 else "two minutes or less"
    print_stderr(f"{painter.generator}: {pictures:,} pictures to make, {number(painter.calls, 'network call')} "
        f"each; in batches of {batch} that is {number(calls, 'call')}, about {about} of network time on "
        f"{pick_device()}, {each:.3g} s a picture.")  # fmt: skip


def number(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def check_fit(dataset: Dataset, painter: Painter) -> None:
    if painter.size:
        check_size(dataset, painter.weights, painter.size)


def check_size(dataset: Dataset, weights: str | Path, paints: int | None = None) -> None:
    """WsdlError where `weights` paint pictures of another size; `paints`: which, if not P2's own."""
    paints = paints or picture_size(weights)
    if dataset.size != paints:
        raise WsdlError(
            f"{dataset.folder}: has pictures of {dataset.size} px, but {weights} paints {paints} px; "
            f"prepare the data with --size {paints}, or train a generator on these faces."
        )


def begin(out: Path, info: dict) -> None:
    """Make `out` a dataset (without pictures so far) if it is not one yet."""
    if not any((out / name).exists() for name in ("manifest.csv", "real", "fake")):
        write_manifest(out, pd.DataFrame(columns=MANIFEST_COLUMNS), info)


def enlist(dataset: Dataset, generator: str, seed: int, rows: list[dict]) -> None:
    """Put `rows` into the manifest, in place of old rows of the same pictures and of pictures that are gone."""
    made, old = pd.DataFrame(rows), dataset.table
    gone = [row.generator == generator and not is_there(dataset.folder, row) for row in old.itertuples()]
    table = pd.concat([old[~old.path.isin(made.path) & ~np.array(gone, bool)], made])
    total = int((table.generator == generator).sum())
    entry = {"command": f"python -m wsdl generate {generator} --count {total} --seed {seed}", "generator": generator,
             "seed": seed, "version": __version__}  # fmt: skip
    made_by = dataset.info.get("made_by", [])
    entries = {e.get("generator", "real"): e for e in (made_by if isinstance(made_by, list) else [made_by])}
    write_manifest(dataset.folder, table, {**dataset.info, "made_by": list({**entries, generator: entry}.values())})
    print_stderr(f"{dataset.folder}: has {total} fakes by {generator}.")
