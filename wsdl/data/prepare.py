"""`data prepare`: convert a folder of face images, and one of component masks, to a dataset folder."""

import hashlib
from contextlib import suppress
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
from wsdl.core.records import read_object
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.decode import Decoded, check_upright, decode, pixels_in_file
from wsdl.data.images import list_image_files, resize_image, write_image
from wsdl.data.manifest import (
    MANIFEST_COLUMNS,
    assign_splits,
    finish_manifest,
    read_info,
    update_manifest,
    write_manifest,
)
from wsdl.data.masks import read_label_map

_SOURCES = "made_of.json"  # the sha256 of each image and mask


@one_writer("out")
def prepare_dataset(
    images: Path,
    masks: Path | None,
    out: Path,
    size: int = 128,
    seed: int = 0,
    source: str = "photos",
    licence: str = "unknown",
    skip_bad: bool = False,
) -> None:
    """Write the real faces of a dataset into `out` (paper, section 3). A repeated call resumes.

    images, masks: folders with the same stems; masks are label maps in CelebAMask-HQ numbering, or None (then nothing
    can be inpainted). skip_bad: report and skip damaged images instead of raising WsdlError. WsdlError also where
    `out` is complete and an image or mask has changed since.
    """
    check_ranges(size=size, seed=seed)
    files = list_image_files(images)
    labels = list_image_files(masks) if masks else {}
    _check_pairs(files, labels, images, masks)
    splits = assign_splits(list(files), seed)
    names = hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
    recipe = {"source": source, "size": size, "seed": seed, "pictures": len(files), "names": names,
              "masks": bool(masks)}  # fmt: skip
    out = Path(out)
    write_or_check_config(out / "recipe.json", recipe, begun=holds_images(out))
    finish_manifest(out)
    sources = {f"{folder}/{path.name}": path for folder, some in (("images", files), ("masks", labels))
               for path in some.values()}  # fmt: skip
    hashes = dict(zip(sources, parallel_map(_hash_readable, sources.values(), "reading images"), strict=True))
    changed = _changed_sources(out, hashes)
    if (out / "manifest.csv").exists():
        if changed:  # fakes may have been made of the faces
            raise WsdlError(
                f"{sources.get(changed[0], changed[0])}: has changed since {out} was prepared, as have {len(changed)} "
                f"files in all; choose another --out, or delete that folder."
            )
        _change_licence(out, licence)
        return print_stderr(f"{out}: prepared already.")
    for name in {Path(source).stem for source in changed} & splits.keys():  # written by a call that was interrupted
        for folder in ("real", "components"):
            (out / folder / splits[name] / f"{name}.png").unlink(missing_ok=True)
    write_json(out / _SOURCES, hashes)

    notes: list[tuple[str, Path]] = []

    def prepare_face(name: str) -> dict | None:
        path, components_path = (out / folder / splits[name] / f"{name}.png" for folder in ("real", "components"))
        if not is_written(path) or (masks and not is_written(components_path)):
            try:
                pixels, components, found = _read_face(files[name], labels.get(name), size)
            except WsdlError as error:
                if not skip_bad:
                    raise
                return print_stderr(f"skipped: {error}")
            notes.extend((note, files[name]) for note in found)
            _write_face(path, components_path, pixels, components)
        return {"path": path.relative_to(out).as_posix(), "mask": "", "kind": "real", "generator": "", "component": "",
                "area": 0.0, "source_id": name, "split": splits[name], "sha256": sha256(path)}  # fmt: skip

    def pixels_of(name: str) -> int:
        return sum(pixels_in_file(some[name]) for some in (files, labels) if some)

    rows = [row for row in parallel_map(prepare_face, files, "preparing faces", pixels_of) if row]
    _report_notes(notes)
    if not rows:
        raise WsdlError(f"{images}: holds no usable image; all {len(files)} were skipped.")
    made_by = {"command": f"python -m wsdl data prepare --source {source} --size {size} --seed {seed}", "seed": seed,
               "version": __version__, **_render_recipe(images)}  # fmt: skip
    info = {"name": source, "size": size, "licence": licence, "made_by": made_by}
    write_manifest(out, pd.DataFrame(rows, columns=MANIFEST_COLUMNS), info)
    if sum(row["split"] == "test" for row in rows) < 2:
        print_stderr(f"{out}: has one test face only, so metrics will have no intervals; 15 images give two.")


def _changed_sources(out: Path, hashes: dict[str, str]) -> list[str]:
    """The images and masks whose sha256 is not the one that an earlier call noted in `out`, by name."""
    note = out / _SOURCES
    old = read_object(note) if note.exists() else hashes
    if not note.exists() and (out / "manifest.csv").exists():
        print_stderr(f"{out}: does not say what it was made of, so whether images have changed since is not known.")
    return sorted(name for name in {*old, *hashes} if old.get(name) != hashes.get(name))


def _hash_readable(path: Path) -> str:
    """The sha256 of a file, or "" where it cannot be read: then it is reported, or skipped, when it is decoded."""
    with suppress(WsdlError):
        return sha256(path)
    return ""


def _change_licence(out: Path, licence: str) -> None:
    """Write the licence of a complete dataset, unless it is unknown."""
    old = read_info(out).get("licence", "unknown")
    if licence not in ("unknown", old):
        update_manifest(out, lambda table, info: (table, {**info, "licence": licence}))
        print_stderr(f"{out}: its licence was '{old}' and is '{licence}' now.")


def _render_recipe(images: Path) -> dict:
    """The recipe.json that `faces render` wrote beside the folder of its images: style, seed, versions."""
    recipe = Path(images).parent / "recipe.json"
    about = read_object(recipe) if recipe.exists() else {}
    return {"faces": about} if "style" in about else {}


def _check_pairs(files: dict, labels: dict, images: Path, masks: Path | None) -> None:
    """WsdlError unless every image has a mask and every mask an image."""
    if masks is None:
        return
    for name in labels:
        if name not in files:
            raise WsdlError(f"{labels[name]}: mask without an image; {images} has none named {name}.")
    for name in files:
        if name not in labels:
            raise WsdlError(f"{files[name]}: image without a mask; {masks} has none named {name}.")


def _read_face(path: Path, labels: Path | None, size: int) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """A real face [size, size, 3], its label map [size, size] or None, notes. WsdlError where either is damaged."""
    decoded = decode(path)
    components = _resize_label_map(labels, path, decoded, size) if labels else None
    try:
        return np.asarray(resize_image(decoded.image, size)), components, decoded.notes
    except ValueError as error:
        raise WsdlError(f"{path}: {error}; leave it out, or choose a smaller --size.") from None


def _write_face(path: Path, components_path: Path, pixels: np.ndarray, components: np.ndarray | None) -> None:
    if components is not None:
        write_image(components_path, components)
    write_image(path, pixels)


def _resize_label_map(path: Path, image_path: Path, decoded: Decoded, size: int) -> np.ndarray:
    """The label map at `path` as uint8 [size, size] (nearest neighbour).

    WsdlError if its image has another size, or if only the image is rotated and the size does not tell.
    """
    labels, image = read_label_map(path), decoded.image
    height, width = labels.shape
    if (width, height) != image.size:
        raise WsdlError(f"{path}: is {width}x{height}, but its image, upright, is {image.width}x{image.height}.")
    is_turned = decoded.orientation >= 5 and width != height  # an unrotated mask would have another size
    if not is_turned and not _is_parsed(path.parent):
        check_upright(image_path, decoded.orientation)
    top, left = (height - min(labels.shape)) // 2, (width - min(labels.shape)) // 2
    square = labels[top : top + min(labels.shape), left : left + min(labels.shape)]
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.NEAREST))


def _is_parsed(masks: Path) -> bool:
    """Whether `data parse` wrote the masks in this folder: they fit their images as shown, upright."""
    recipe = masks / "recipe.json"
    return recipe.exists() and "parser" in read_object(recipe)


def _report_notes(notes: list[tuple[str, Path]]) -> None:
    """Print each kind of lossy conversion once, with the first image that needed it."""
    for note in sorted({note for note, _ in notes}):
        paths = sorted(path for other, path in notes if other == note)
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        print_stderr(f"{paths[0]}{more}: {note}")
