"""`data prepare`: convert a folder of face images, and one of component masks, to a dataset folder."""

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl import __version__
from wsdl.core.io import WsdlError, is_written, sha256, write_json
from wsdl.core.locks import one_writer
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.ranges import check_ranges
from wsdl.core.records import read_object
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.celebahq import read_celebahq
from wsdl.data.decode import Decoded, check_upright, decode, pixels_in_file
from wsdl.data.ffhq import read_ffhq
from wsdl.data.images import resize_image, resize_labels, write_image
from wsdl.data.layout import Counts, Layout, choose_counts, read_pairs, split_at_random
from wsdl.data.manifest import (
    MANIFEST_COLUMNS,
    finish_manifest,
    read_info,
    update_manifest,
    write_manifest,
)

MADE_OF = "made_of.json"  # the sha256 of each image and mask


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
    counts: Counts | None = None,
    lists: Path | None = None,
) -> None:
    """Write the real faces of a dataset into `out` (paper, section 3). A repeated call resumes.

    images, masks: folders with the same stems; masks are label maps in CelebAMask-HQ numbering, or None (then nothing
    can be inpainted). For the sources celebahq and ffhq: the unpacked download (`wsdl.data.celebahq`, with `lists`, and
    `wsdl.data.ffhq`). skip_bad: report and skip damaged images instead of raising WsdlError. counts: faces of train,
    valid and test; default: all. WsdlError also where `out` is complete and an image or mask has changed since.
    """
    check_ranges(size=size, seed=seed)
    layout = _read_layout(source, images, masks, seed, lists, counts, skip_bad)
    files, labels, splits = layout.files, layout.labels, layout.splits
    names = hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
    recipe = {"source": source, "size": size, "seed": seed, "pictures": len(files), "names": names,
              "masks": bool(labels), **_split_recipe(layout, counts)}  # fmt: skip
    licence = layout.licence if licence == "unknown" else licence
    out = Path(out)
    write_or_check_config(out / "recipe.json", recipe, begun=holds_images(out))
    finish_manifest(out)
    sources = {f"images/{name}{path.suffix}": (path,) for name, path in files.items()}
    sources |= {f"masks/{name}{Path(paths[0]).suffix}": paths for name, paths in labels.items()}
    hashes = dict(zip(sources, parallel_map(hash_readable, sources.values(), "reading images"), strict=True))
    changed = changed_sources(out, hashes)
    if (out / "manifest.csv").exists():
        if changed:  # fakes may have been made of the faces
            raise WsdlError(
                f"{sources.get(changed[0], changed)[0]}: has changed since {out} was prepared, as have {len(changed)} "
                f"files in all; choose another --out, or delete that folder."
            )
        _change_licence(out, licence)
        return print_stderr(f"{out}: prepared already.")
    for name in {Path(source).stem for source in changed} & splits.keys():  # written by a call that was interrupted
        for folder in ("real", "components"):
            (out / folder / splits[name] / f"{name}.png").unlink(missing_ok=True)
    write_json(out / MADE_OF, hashes)

    notes: list[tuple[str, Path]] = []

    def prepare_face(name: str) -> dict | None:
        path, components_path = (out / folder / splits[name] / f"{name}.png" for folder in ("real", "components"))
        if not is_written(path) or (labels and not is_written(components_path)):
            try:
                pixels, components, found = _read_face(layout, name, size)
            except WsdlError as error:
                if not skip_bad:
                    raise
                return print_stderr(f"skipped: {error}")
            notes.extend((note, files[name]) for note in found)
            _write_face(path, components_path, pixels, components)
        return {"path": path.relative_to(out).as_posix(), "mask": "", "kind": "real", "generator": "", "component": "",
                "area": 0.0, "source_id": name, "split": splits[name], "sha256": sha256(path)}  # fmt: skip

    def pixels_of(name: str) -> int:
        return sum(map(pixels_in_file, (files[name], *labels.get(name, ())[:1])))

    rows = [row for row in parallel_map(prepare_face, files, "preparing faces", pixels_of) if row]
    report_notes(notes)
    if not rows:
        raise WsdlError(f"{images}: holds no usable image; all {len(files)} were skipped.")
    chosen = f" --counts {'/'.join(map(str, counts))}" if counts else ""
    made_by = {"command": f"python -m wsdl data prepare --source {source} --size {size} --seed {seed}{chosen}",
               "seed": seed, "version": __version__, **_render_recipe(images)}  # fmt: skip
    info = {"name": source, "size": size, "licence": licence, "made_by": made_by}
    write_manifest(out, pd.DataFrame(rows, columns=MANIFEST_COLUMNS), info)
    if sum(row["split"] == "test" for row in rows) < 2:
        print_stderr(f"{out}: has one test face only, so metrics will have no intervals; 15 images give two.")


def changed_sources(out: Path, hashes: dict[str, str]) -> list[str]:
    """The images and masks whose sha256 is not the one that an earlier call noted in `out`, by name."""
    note = out / MADE_OF
    old = read_object(note) if note.exists() else hashes
    if not note.exists() and (out / "manifest.csv").exists():
        print_stderr(f"{out}: does not say what it was made of, so whether images have changed since is not known.")
    return sorted(name for name in {*old, *hashes} if old.get(name) != hashes.get(name))


def hash_readable(paths: tuple[Path, ...]) -> str:
    """The sha256 of a file, or of those of several, or "" where it cannot be read: that is said when it is decoded."""
    with suppress(WsdlError):
        hashes = [sha256(path) for path in paths]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
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


def _read_layout(
    source: str,
    images: Path,
    masks: Path | None,
    seed: int,
    lists: Path | None,
    counts: Counts | None,
    skip_bad: bool,
) -> Layout:
    """The faces of the source, `counts` of each split. WsdlError unless every image has a mask and the reverse."""
    if lists and source != "celebahq":
        raise WsdlError(f"--lists: is for --source celebahq, not {source}.")
    if source == "celebahq":
        layout = read_celebahq(images, masks, seed, lists, counts, skip_bad)
    elif source == "ffhq":
        layout = read_ffhq(images, masks, seed, counts, skip_bad)
    else:
        layout = read_pairs(images, masks)
        layout.splits = split_at_random(list(layout.files), seed, counts)
    return layout.keep(choose_counts(layout.splits, counts, seed, images))


def _split_recipe(layout: Layout, counts: Counts | None) -> dict:
    """What splits depend on beside names and seed, for recipe.json."""
    recipe = {"counts": list(counts)} if counts else {}
    if layout.fixed_splits:
        lines = "\n".join(f"{name} {split}" for name, split in layout.splits.items())
        recipe["splits"] = hashlib.sha256(lines.encode()).hexdigest()[:16]
    return recipe


def _read_face(layout: Layout, name: str, size: int) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """A real face [size, size, 3], its label map [size, size] or None, notes. WsdlError where either is damaged."""
    path = layout.files[name]
    decoded = decode(path)
    components = _resize_label_map(layout, name, decoded, size) if layout.labels else None
    try:
        return np.asarray(resize_image(decoded.image, size)), components, decoded.notes
    except ValueError as error:
        raise WsdlError(f"{path}: {error}; leave it out, or choose a smaller --size.") from None


def _write_face(path: Path, components_path: Path, pixels: np.ndarray, components: np.ndarray | None) -> None:
    if components is not None:
        write_image(components_path, components)
    write_image(path, pixels)


def _resize_label_map(layout: Layout, name: str, decoded: Decoded, size: int) -> np.ndarray:
    """The label map of a face as uint8 [size, size] (nearest neighbour).

    WsdlError if its image has another size (where may_scale: other proportions), or if only the image is rotated and
    the size does not tell.
    """
    path, image_path, image = Path(layout.labels[name][0]), layout.files[name], decoded.image
    labels = layout.read_labels(layout.labels[name])
    height, width = labels.shape
    fits = width * image.height == height * image.width if layout.may_scale else (width, height) == image.size
    if not fits:
        raise WsdlError(f"{path}: is {width}x{height}, but its image, upright, is {image.width}x{image.height}.")
    is_turned = decoded.orientation >= 5 and width != height  # an unrotated mask would have another size
    if not is_turned and not _is_parsed(path.parent):
        check_upright(image_path, decoded.orientation)
    return resize_labels(labels, size)


def _is_parsed(masks: Path) -> bool:
    """Whether `data parse` wrote the masks in this folder: they fit their images as shown, upright."""
    recipe = masks / "recipe.json"
    return recipe.exists() and "parser" in read_object(recipe)


def report_notes(notes: list[tuple[str, Path]]) -> None:
    """Print each kind of lossy conversion once, with the first image that needed it."""
    for note in sorted({note for note, _ in notes}):
        paths = sorted(path for other, path in notes if other == note)
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        print_stderr(f"{paths[0]}{more}: {note}")
