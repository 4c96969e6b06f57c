"""Unpack the bundled datasets and their P2 generators into the cache folder, and copy a dataset from there.

STYLE_ARCHIVES/STYLE.zip -> CACHE/STYLE-SHA/data (a dataset folder) and CACHE/STYLE-SHA/p2 (a run of `train-generator`)

SHA is the start of the archive's sha256, so a new archive never mixes with an old one. A folder is renamed into place
when it is complete: a killed process leaves no partial dataset, and of two processes the later one uses the folder of
the earlier one.
"""

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4

import numpy as np
import pandas as pd

from wsdl.bundle.archive import (
    check_plain_name,
    decode_image,
    decode_label_map,
    get_member,
    member_name,
    paste_region,
    read_archive,
)
from wsdl.core.io import WsdlError, cache_home, path_inside, sha256, unwritable
from wsdl.core.leftovers import delete_leftovers, temporary_name
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import label_map_path, read_manifest, write_manifest
from wsdl.data.masks import write_mask

STYLE_ARCHIVES = Path(__file__).parent.parent / "assets" / "bundle"  # one archive per style
P2_MEMBERS = "p2/"  # prefix of the members of the P2 run; all others belong to the dataset


def unpack_dataset(style: str, archive: Path | None = None, cache: Path | None = None) -> Path:
    """The dataset folder of `style` in the cache. It is shared: use `copy_dataset` to add fakes.

    archive: default STYLE_ARCHIVES/STYLE.zip. cache: default $WSDL_CACHE, else the user cache folder of the system.
    The sha256 of every member is checked. WsdlError for an archive that is missing, damaged or of another style.
    """
    archive = _find_style_archive(style, archive)
    target = cache_folder(style, archive, cache) / "data"
    if not target.is_dir():
        about, files = read_archive(archive, lambda name: not name.startswith(P2_MEMBERS), style)
        with _new_folder(target) as folder:
            _write_dataset(folder, about, files, f"unpacking {style}")
    return target


def unpack_p2(style: str, archive: Path | None = None, cache: Path | None = None) -> Path:
    """The run folder of the P2 generator trained on `style`, in the cache; arguments as in `unpack_dataset`."""
    archive = _find_style_archive(style, archive)
    return unpack_run(cache_folder(style, archive, cache) / "p2", archive, P2_MEMBERS, style)


def copy_dataset(
    out: Path, style: str, fakes: bool = True, archive: Path | None = None, cache: Path | None = None
) -> None:
    """Copy the dataset of `style` to `out`, with or without its fakes. Does nothing if `out` holds it already.

    archive and cache: as in `unpack_dataset`. WsdlError where `out` holds something else.
    """
    source, out = unpack_dataset(style, archive, cache), Path(out).absolute()
    table = Dataset(source).table
    table = table if fakes else table[table.kind == "real"]
    if _holds_rows(out, table):
        return print_stderr(f"{out}: unpacked already.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WsdlError(f"{out}: holds something else already; choose another --out.")
    with suppress(FileNotFoundError):
        out.rmdir()  # empty: not every system renames onto an existing folder
    excluded = shutil.ignore_patterns(".cache", *([] if fakes else ["fake"]))
    with _new_folder(out) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=excluded)
        if not fakes:
            write_manifest(folder, table, Dataset(source).info)


def unpack_run(target: Path, archive: Path, members: str, style: str, generator: str | None = None) -> Path:
    """Unpack the run stored under the prefix `members` to the folder `target`, unless it exists; returns `target`."""
    if not target.is_dir():
        _, files = read_archive(archive, lambda name: name.startswith(members), style, generator)
        if not files:
            raise WsdlError(f"{archive}: holds no weights; give another archive.")
        with _new_folder(target) as folder:
            for name, data in files.items():
                write_bytes(folder, name.removeprefix(members), data)
    return target


def cache_folder(name: str, archive: Path, cache: Path | None) -> Path:
    """The cache folder for the contents of `archive`: CACHE/NAME-SHA. Leftovers of killed processes are deleted."""
    home = Path(cache).expanduser() if cache else cache_home()
    delete_leftovers(home, "*/.*.part")
    return home / f"{name}-{sha256(archive)[:16]}"


def write_partial_fake(folder: Path, row, face: np.ndarray | None, at, files: dict[str, bytes]) -> None:
    """Paste the region of the partial fake `row` onto its real `face` at (left, top) `at`; write fake and mask."""
    if face is None or at is None:
        raise WsdlError(f"{row.path}: has no real face or no box in the bundle; restore the archive.")
    region = decode_image(get_member(files, member_name(row.path)), row.path, "RGBA")
    try:
        fake, mask = paste_region(face, region, at)
    except (ValueError, TypeError) as error:
        raise WsdlError(f"{row.path}: cannot be composed ({error}); restore the archive.") from None
    write_mask(path_inside(folder, row.mask), mask)
    write_image(path_inside(folder, row.path), fake)


def write_bytes(folder: Path, name: str, data: bytes) -> None:
    """Write `data` to folder/name, which must lie inside `folder`."""
    path = path_inside(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _find_style_archive(style: str, archive: Path | None) -> Path:
    check_plain_name(style)
    archive = Path(archive or STYLE_ARCHIVES / f"{style}.zip")
    if not archive.is_file():
        available = ", ".join(sorted(other.stem for other in STYLE_ARCHIVES.glob("*.zip"))) or "none"
        raise WsdlError(f"{archive}: is missing; available styles: {available}; the source photos needs no bundle.")
    return archive


def _holds_rows(out: Path, table: pd.DataFrame) -> bool:
    """Whether `out` is a dataset whose manifest lists every image of `table`."""
    if not (out / "manifest.csv").exists():
        return False
    listed = Dataset(out).table
    return set(zip(table.path, table.sha256, strict=True)) <= set(zip(listed.path, listed.sha256, strict=True))


@contextmanager
def _new_folder(target: Path):
    """Yield a temporary folder that is renamed to `target`, unless another process has created `target` first."""
    temporary = target.with_name(temporary_name(f"{target.name}.{uuid4().hex[:8]}"))  # threads may unpack at once
    try:
        delete_leftovers(target.parent, f".{target.name}.*.part")
        temporary.mkdir(parents=True)
        yield temporary
        try:
            os.replace(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_dataset(folder: Path, about: dict, files: dict[str, bytes], what: str) -> None:
    """Write the dataset into `folder` with the layout and encoder of `data prepare` and `generate`."""
    write_bytes(folder, "manifest.csv", get_member(files, "manifest.csv"))
    table = read_manifest(folder / "manifest.csv", about["dataset"])
    faces = {row.source_id: row for row in table[table.kind == "real"].itertuples()}

    def write_row(row) -> str:
        """Write the files of one row; returns the sha256 of its image."""
        if row.kind == "partial":
            face = faces.get(row.source_id)
            pixels = decode_image(get_member(files, member_name(face.path)), face.path) if face else None
            write_partial_fake(folder, row, pixels, about["boxes"].get(row.path), files)
        else:
            write_image(path_inside(folder, row.path), decode_image(get_member(files, member_name(row.path)), row.path))
        if row.kind == "real" and (labels := member_name(label_map_path(row))) in files:
            write_image(path_inside(folder, label_map_path(row)), decode_label_map(files[labels], labels))
        return sha256(folder / row.path)

    for name in files:
        if PurePosixPath(name).name == "recipe.json":
            write_bytes(folder, name, files[name])
    write_manifest(folder, table.assign(sha256=parallel_map(write_row, table.itertuples(), what)), about["dataset"])
