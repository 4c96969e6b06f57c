"""The bundle's faces, fakes and small generators, unpacked once into the cache folder.

ASSETS/STYLE.zip  ->  CACHE/STYLE-SHA/data a dataset folder · CACHE/STYLE-SHA/p2 a run of `train-generator p2`

SHA is the start of the archive's sha256, so that a new archive never mixes with an old one. A folder appears by
one rename when all of it is written: a kill leaves nothing half there, and of two processes the later one uses what
the earlier one made.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import platformdirs

from wsdl.bundle.codec import compose, decode, decode_labels
from wsdl.core.io import WsdlError, sha256
from wsdl.core.parallel import parallel_map
from wsdl.data.images import write_image
from wsdl.data.manifest import label_map_path, read_manifest, write_manifest
from wsdl.data.masks import write_mask

ASSETS = Path(__file__).parent.parent / "assets" / "bundle"  # one archive a style
FORMAT = 1  # of the archive; another number is another way to store
MAX_MEMBER = 20_000_000  # bytes of one file in the archive: the weights are the largest
GENERATOR = "p2/"  # the members of a generator's run; all others are the dataset's
STALE = 3600  # seconds after which a folder that nobody finished is a killed process's


def unpack(style: str, archive: Path | None = None, cache: Path | None = None) -> Path:
    """The dataset folder of `style` in the cache; it is shared, so copy it (`wsdl.bundle.copies`) before adding to it.

    archive: default ASSETS/STYLE.zip. cache: default $WSDL_CACHE, else ~/.cache/wsdl or what this system has for it.
    Every file's sha256 is checked. WsdlError where the archive is missing, damaged or of another style.
    """
    archive, home = locate(style, archive, cache)
    target = home / "data"
    if not target.is_dir():
        about, files = read_part(archive, lambda name: not name.startswith(GENERATOR), style)
        with whole_folder(target) as folder:
            write_dataset(folder, about, files, f"unpacking {style}")
    return target


def weights(style: str, archive: Path | None = None, cache: Path | None = None) -> Path:
    """The run folder of the P2 generator trained on `style`, in the cache: what `--p2-weights` takes."""
    archive, home = locate(style, archive, cache)
    return unpack_run(home / "p2", archive, GENERATOR, style)


def unpack_run(target: Path, archive: Path, members: str, style: str, generator: str | None = None) -> Path:
    """`target`, the run folder that the archive holds under `members`, unpacked if need be."""
    if not target.is_dir():
        _, files = read_part(archive, lambda name: name.startswith(members), style, generator)
        with whole_folder(target) as folder:
            for name, data in files.items():
                write_bytes(folder, name.removeprefix(members), data)
    return target


def locate(style: str, archive: Path | None, cache: Path | None) -> tuple[Path, Path]:
    """The archive, by default the one of `style` that comes with wsdl, and the folder where it is unpacked."""
    check_name(style)
    archive = Path(archive or ASSETS / f"{style}.zip")
    if not archive.is_file():
        there = ", ".join(sorted(other.stem for other in ASSETS.glob("*.zip"))) or "none"
        raise WsdlError(f"{archive}: is missing; styles that are there: {there}; the source photos needs no bundle.")
    return archive, home_of(style, archive, cache)


def home_of(name: str, archive: Path, cache: Path | None) -> Path:
    """The folder of the cache for what this very archive holds."""
    cache = cache or os.environ.get("WSDL_CACHE") or platformdirs.user_cache_dir("wsdl", appauthor=False)
    return Path(cache).expanduser() / f"{name}-{sha256(archive)[:16]}"


def check_name(style: str) -> None:
    """WsdlError unless `style` is a plain name: it becomes a part of paths."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", style):
        raise WsdlError(f"{style!r}: is not the name of a style; take letters, digits, _ and -, as in studio.")


@contextmanager
def whole_folder(target: Path):
    """Yield a new folder that becomes `target` by one rename, unless another process was there first."""
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        temporary.mkdir(parents=True)
        sweep(target)
        yield temporary
        try:
            os.replace(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
    except OSError as error:
        raise WsdlError(
            f"{target}: cannot be written ({error.strerror or error}); free some space, or name another folder "
            f"(WSDL_CACHE for the cache)."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(target: Path) -> None:
    """Delete what killed processes left beside `target`; what is younger than STALE may be another one's work."""
    for left in target.parent.glob(f".{target.name}.*.part"):
        with suppress(FileNotFoundError):  # its process has just finished it
            if time.time() - left.stat().st_mtime > STALE:
                shutil.rmtree(left, ignore_errors=True)


# --- the archive, which may be damaged or a stranger's ------------------------------------------------------------


def read_part(
    archive: Path, wanted: Callable[[str], bool], style: str, generator: str | None = None
) -> tuple[dict, dict[str, bytes]]:
    """What manifest.json says, and the bytes of the files that are wanted by name. At most 100 MB."""
    try:
        with ZipFile(archive) as bundle:
            about = read_about(bundle, style, generator)
            files = {name: read_member(bundle, name) for name in about["files"] if wanted(name)}
    except (BadZipFile, OSError, EOFError, RuntimeError, KeyError, ValueError) as error:
        raise broken(archive, error.args[0] if isinstance(error, KeyError) else error) from None
    for name, data in files.items():
        inside(Path(style), name)
        if hashlib.sha256(data).hexdigest() != about["files"][name]:
            raise broken(archive, f"{name} is not the file that its manifest lists")
    return about, files


def read_about(bundle: ZipFile, style: str, generator: str | None) -> dict:
    """What manifest.json says: among others dataset (its dataset.json), boxes (left, top) and files (their sha256).

    generator: whose fakes alone are in the archive (`wsdl.bundle.extra`); None: it holds a whole style.
    """
    about = json.loads(read_member(bundle, "manifest.json"))
    if not isinstance(about, dict) or "format" not in about:
        raise ValueError("manifest.json names no format")
    if about["format"] != FORMAT:
        raise WsdlError(
            f"{bundle.filename}: has format {about['format']}, but this wsdl reads format {FORMAT}; take the wsdl "
            f"that it came with."
        )
    if not all(isinstance(about.get(key), dict) for key in ("dataset", "boxes", "files")):
        raise ValueError("manifest.json does not describe a dataset")
    for key, asked in (("style", style), ("generator", generator)):
        if (found := about.get(key)) != asked:
            raise WsdlError(f"{bundle.filename}: has the {key} {found!r}, not {asked!r}; ask for its own.")
    return about


def read_member(bundle: ZipFile, name: str) -> bytes:
    """One file of the archive. ValueError for what is no plain stored file of a sensible size, KeyError for none."""
    member = bundle.getinfo(name)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(f"{name} is a link")
    if member.compress_type != ZIP_STORED or max(member.file_size, member.compress_size) > MAX_MEMBER:
        raise ValueError(f"{name} is compressed, or larger than {MAX_MEMBER:,} bytes")
    return bundle.read(member)


def broken(archive: Path, why) -> WsdlError:
    return WsdlError(f"{archive}: is damaged or no bundle ({why}); restore it from where wsdl came from.")


def inside(folder: Path, name: str) -> Path:
    """folder/name. WsdlError where `name` leads elsewhere, on any system."""
    if {"", ".."} & set(name.split("/")) or set(name) & set("\\:\0"):
        raise WsdlError(f"{name!r}: is not a name within {folder.name}; nothing is written outside it.")
    return folder / name


# --- the dataset folder -------------------------------------------------------------------------------------------


def write_dataset(folder: Path, about: dict, files: dict[str, bytes], what: str) -> None:
    """Write the dataset into `folder` as `data prepare` and `generate` write it: same layout, same encoder."""
    write_bytes(folder, "manifest.csv", take(files, "manifest.csv"))
    table = read_manifest(folder / "manifest.csv", about["dataset"])
    faces = {row.source_id: row for row in table[table.kind == "real"].itertuples()}

    def restore(row) -> str:
        """Write one row's files; the sha256 of its picture."""
        if row.kind == "partial":
            face = faces.get(row.source_id)
            original = decode(take(files, stored(face.path)), face.path) if face else None
            write_partial(folder, row, original, about["boxes"].get(row.path), files)
        else:
            write_image(inside(folder, row.path), decode(take(files, stored(row.path)), row.path))
        if row.kind == "real" and (components := stored(label_map_path(row))) in files:
            write_image(inside(folder, label_map_path(row)), decode_labels(files[components], components))
        return sha256(folder / row.path)

    for name in files:
        if PurePosixPath(name).name == "recipe.json":
            write_bytes(folder, name, files[name])
    write_manifest(folder, table.assign(sha256=parallel_map(restore, table.itertuples(), what)), about["dataset"])


def write_partial(folder: Path, row, original: np.ndarray | None, at, files: dict[str, bytes]) -> None:
    """Compose one partial fake on its real face `original` and write both it and its mask."""
    if original is None or at is None:
        raise WsdlError(f"{row.path}: has no real face or no box in the bundle; restore the bundle.")
    region = decode(take(files, stored(row.path)), row.path, "RGBA")
    try:
        fake, mask = compose(original, region, at)
    except (ValueError, TypeError) as error:
        raise WsdlError(f"{row.path}: cannot be composed ({error}); restore the bundle.") from None
    write_mask(inside(folder, row.mask), mask)
    write_image(inside(folder, row.path), fake)


def stored(path: str) -> str:
    """The name in the archive of the picture at `path` of a dataset."""
    return str(PurePosixPath(path).with_suffix(".webp"))


def take(files: dict[str, bytes], name: str) -> bytes:
    if name not in files:
        raise WsdlError(f"{name}: is missing from the bundle; restore it from where wsdl came from.")
    return files[name]


def write_bytes(folder: Path, name: str, data: bytes) -> None:
    path = inside(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
