"""`data prepare --real DIR --full DIR | --partial DIR`: two folders of images become a dataset folder.

Nothing is known about the fakes but that they are fake: which real image a fake was made of, by which generator, and,
unless there is a mask, where. Such a dataset trains setups A (full fakes) and B (partial fakes).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from wsdl import __version__
from wsdl.core.io import WsdlError, is_written, sha256, write_json
from wsdl.core.locks import one_writer
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.ranges import check_ranges
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.audit import audit_dataset, describe_audit
from wsdl.data.decode import Decoded, check_upright, opened, pixels_in_file, to_rgb
from wsdl.data.groups import describe_near_duplicates, find_groups, hash_file, near_duplicates, split_groups
from wsdl.data.images import list_images, resize_image, write_image
from wsdl.data.manifest import MANIFEST_COLUMNS, SPLITS, finish_manifest, write_manifest
from wsdl.data.masks import read_mask, write_mask
from wsdl.data.prepare import MADE_OF, changed_sources, hash_readable, report_notes
from wsdl.data.shortcuts import convert_to_srgb, describe_differences, file_properties

GENERATOR = "unknown"  # name of the generator in the manifest


@dataclass(frozen=True)
class _Item:
    """One image to prepare."""

    kind: str  # real, full or partial
    name: str
    file: Path
    mask_file: Path | None
    group: str  # as the manifest names its source face
    split: str

    @property
    def path(self) -> str:
        """Its path in the dataset folder."""
        where = {"real": "real", "full": f"fake/{GENERATOR}", "partial": f"fake/{GENERATOR}/images"}[self.kind]
        return f"{where}/{self.split}/{self.name}.png"

    @property
    def mask(self) -> str:
        """The path of its mask in the dataset folder; "" where it has none."""
        return f"fake/{GENERATOR}/masks/{self.split}/{self.name}.png" if self.mask_file else ""


@one_writer("out")
def prepare_two_folders(
    real: Path,
    out: Path,
    full: Path | None = None,  # folder of wholly generated images
    partial: Path | None = None,  # folder of edited images
    masks: Path | None = None,  # of edited images, where known: 255 = real, 0 = fake, same stems
    size: int = 128,
    seed: int = 0,
    source: str = "photos",
    licence: str = "unknown",
    group_by: str = "",  # as for `find_groups`
    skip_bad: bool = False,  # report and skip damaged images instead of raising WsdlError
) -> None:
    """Write a dataset of real images and fakes whose regions may be unknown into `out`. A repeated call resumes.

    Real images and fakes are decoded, converted to sRGB, cropped, resized and encoded alike. Before that, differences
    between their files that a detector could learn are printed; afterwards, near-duplicates across splits and what
    `audit_dataset` finds.
    Images of one group are in one split, and so are images of the same stem. WsdlError where there is no fake, an
    image is damaged, smaller than `size` or has another size than its mask, a split stays empty, or `out` is complete
    and a file has changed since.
    """
    check_ranges(size=size, seed=seed)
    folders = {kind: Path(folder) for kind, folder in (("real", real), ("full", full), ("partial", partial)) if folder}
    if len(folders) == 1:
        raise WsdlError("--real: needs fakes, too: give --full (wholly generated) or --partial (edited images).")
    items = _list_items(folders, masks, group_by, seed)
    out = Path(out)
    lines = "\n".join(f"{item.path} {item.group} {item.mask}" for item in items)
    counts = {kind: sum(item.kind == kind for item in items) for kind in folders}
    recipe = {"source": source, "size": size, "seed": seed, **counts, "group_by": group_by,
              "names": hashlib.sha256(lines.encode()).hexdigest()[:16]}  # fmt: skip
    write_or_check_config(out / "recipe.json", recipe, begun=holds_images(out))
    finish_manifest(out)
    if _is_complete(out, items):
        return print_stderr(f"{out}: prepared already.")
    _warn_of_shortcuts(items, size)
    rows = _write_images(out, items, size, skip_bad)
    _check_rows(out, rows)
    options = "".join(f" --{kind} DIR" for kind in folders) + (" --masks DIR" if masks else "")
    made_by = {"command": f"python -m wsdl data prepare{options} --source {source} --size {size} --seed {seed}",
               "seed": seed, "version": __version__, "source_faces": "unknown"}  # fmt: skip
    info = {"name": source, "size": size, "licence": licence, "made_by": made_by}
    _warn_of_near_duplicates(out, rows, bool(group_by))
    write_manifest(out, pd.DataFrame(rows, columns=MANIFEST_COLUMNS), info)
    for kind in folders.keys() - {"real"}:
        _warn_of_audit(out, kind, seed)


def _list_items(folders: dict[str, Path], masks: Path | None, group_by: str, seed: int) -> list[_Item]:
    """The images of all folders with their groups and splits. WsdlError for a mask without an edited image."""
    files = {kind: list_images(folder) for kind, folder in folders.items()}
    known = list_images(masks) if masks else {}
    for name in known:
        if name not in files.get("partial", {}):
            raise WsdlError(f"{known[name]}: mask without an image; --partial has none named {name}.")
    groups = {kind: find_groups(some, group_by) for kind, some in files.items()}
    fakes = [group for kind in groups if kind != "real" for group in groups[kind].values()]
    splits = split_groups(groups["real"].values(), fakes, seed)

    def make(kind: str, name: str, file: Path) -> _Item:
        group = groups[kind][name]
        source = group if group_by else f"{kind}/{name}"  # without a rule, each image is its own source
        return _Item(kind, name, file, known.get(name) if kind == "partial" else None, source, splits[group])

    return [make(kind, name, file) for kind, some in files.items() for name, file in some.items()]


def _is_complete(out: Path, items: list[_Item]) -> bool:
    """Whether `out` was prepared from the same files; else what was written from files that changed is deleted."""
    sources = dict(_sources(items))
    files = [(file,) for file, _ in sources.values()]
    hashes = dict(zip(sources, parallel_map(hash_readable, files, "reading images"), strict=True))
    changed = changed_sources(out, hashes)
    if (out / "manifest.csv").exists():
        if changed:
            raise WsdlError(
                f"{changed[0]}: has changed since {out} was prepared, as have {len(changed)} files in all; choose "
                f"another --out, or delete that folder."
            )
        return True
    for name in set(changed) & sources.keys():
        (out / sources[name][1]).unlink(missing_ok=True)
    write_json(out / MADE_OF, hashes)
    return False


def _sources(items: list[_Item]) -> Iterator[tuple[str, tuple[Path, str]]]:
    """For each file that is read: its name, (where it is, what is written from it)."""
    for item in items:
        yield f"{item.kind}/{item.name}{item.file.suffix}", (item.file, item.path)
        if item.mask_file:
            yield f"masks/{item.name}{item.mask_file.suffix}", (item.mask_file, item.mask)


def _warn_of_shortcuts(items: list[_Item], size: int) -> None:
    """Print in what the files of real images and fakes differ, for each kind of fakes."""
    found = parallel_map(lambda item: file_properties(item.file), items, "comparing files",
                         lambda item: pixels_in_file(item.file))  # fmt: skip
    by_kind = {kind: [about for item, about in zip(items, found, strict=True) if about and item.kind == kind]
               for kind in ("real", "full", "partial")}  # fmt: skip
    for kind in ("full", "partial"):
        if by_kind["real"] and by_kind[kind]:
            for sentence in describe_differences(by_kind["real"], by_kind[kind], size):
                print_stderr(f"WARNING, real images against {kind} fakes: {sentence}")


def _write_images(out: Path, items: list[_Item], size: int, skip_bad: bool) -> list[dict]:
    """Write what is missing of the images and masks; returns the rows of the manifest."""
    notes: list[tuple[str, Path]] = []

    def prepare(item: _Item) -> dict | None:
        if not is_written(out / item.path) or (item.mask and not is_written(out / item.mask)):
            try:
                pixels, mask, found = _read_item(item, size)
            except WsdlError as error:
                if not skip_bad:
                    raise
                return print_stderr(f"skipped: {error}")
            notes.extend((note, item.file) for note in found)
            if mask is not None:
                write_mask(out / item.mask, mask)
            write_image(out / item.path, pixels)
        return _row(out, item)

    rows = parallel_map(prepare, items, "preparing images", lambda item: pixels_in_file(item.file))
    report_notes(notes)
    return [row for row in rows if row]


def _row(out: Path, item: _Item) -> dict:
    area = {"real": 0.0, "full": 1.0, "partial": np.nan}[item.kind]
    if item.mask:
        area = float(read_mask(out / item.mask).mean())
    return {"path": item.path, "mask": item.mask, "kind": item.kind, "area": area, "component": "",
            "generator": "" if item.kind == "real" else GENERATOR, "source_id": item.group, "split": item.split,
            "sha256": sha256(out / item.path)}  # fmt: skip


def _read_item(item: _Item, size: int) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """The image [size, size, 3], its mask [size, size] or None, and notes. WsdlError where either is damaged."""
    decoded = _decode(item.file)
    try:
        pixels = np.asarray(resize_image(decoded.image, size))
    except ValueError as error:
        raise WsdlError(f"{item.file}: {error}; leave it out, or choose a smaller --size.") from None
    if not item.mask_file:
        return pixels, None, decoded.notes
    check_upright(item.file, decoded.orientation)
    mask = Image.fromarray(read_mask(item.mask_file) * np.uint8(255))
    if mask.size != decoded.image.size:
        shown = ["x".join(map(str, image.size)) for image in (mask, decoded.image)]
        raise WsdlError(f"{item.mask_file}: is {shown[0]}, but its image is {shown[1]}.")
    return pixels, (np.asarray(resize_image(mask, size)) > 127).astype(np.uint8), decoded.notes


def _decode(path: Path) -> Decoded:
    """The image at `path` as upright RGB, converted to sRGB."""
    with opened(path) as image:
        convert_to_srgb(image)
        return to_rgb(image)


def _check_rows(out: Path, rows: list[dict]) -> None:
    """WsdlError where a kind of image is in no split, or masks are probably inverted."""
    for kind in dict.fromkeys(row["kind"] for row in rows):
        for split in SPLITS:
            if not any((row["kind"], row["split"]) == (kind, split) for row in rows):
                raise WsdlError(f"{out}: no {kind} image is in {split}; give more images, or more groups.")
    areas = [row["area"] for row in rows if row["mask"]]
    if areas and np.mean(areas) > 0.5:
        raise WsdlError(f"--masks: mark {np.mean(areas):.0%} of an image as fake on average, so they are probably "
                        f"inverted; 255 must be real and 0 fake.")  # fmt: skip


def _warn_of_audit(out: Path, kind: str, seed: int) -> None:
    """Print what tells `kind` fakes from real images other than the forgery, or why that is not known."""
    try:
        sentence = describe_audit(audit_dataset(out, kind=kind, seed=seed), kind)
    except WsdlError as error:  # too few fakes
        return print_stderr(f"not audited: {error}")
    if sentence:
        print_stderr(f"WARNING: {sentence}")


def _warn_of_near_duplicates(out: Path, rows: list[dict], grouped: bool) -> None:
    paths = [row["path"] for row in rows]
    hashes = np.array(parallel_map(hash_file, [out / path for path in paths], "near-duplicates"), np.uint64)
    pairs = near_duplicates(hashes, np.array([row["split"] for row in rows]))
    if sentence := describe_near_duplicates(paths, pairs, grouped):
        print_stderr(f"WARNING: {sentence}")
