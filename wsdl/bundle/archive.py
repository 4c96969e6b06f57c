"""The archive format of the bundle: image encoding, member names, and checks on reading and writing.

manifest.json               format, licence, version, style, generator, command, dataset, boxes, sha256 of every member
manifest.csv, recipe.json   as in the dataset folder
real, components, fake      images and label maps as lossless WebP, without masks: of a partial fake only the inpainted
                            region is stored, transparent outside its mask
p2/ or run/                 the generator's run: config.json, model.safetensors, run.json (not with full fakes alone)

Members are stored uncompressed with fixed names, times and order: the same input gives the same bytes.
"""

import hashlib
import io
import json
import re
import stat
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import pandas as pd
from PIL import Image

from wsdl import __version__
from wsdl.core.io import WsdlError, atomic, path_inside

FORMAT = 1  # version of the archive format
LICENCE = "CC0-1.0"
MAX_MEMBER = 20_000_000  # bytes of one member; the largest are weights
MAX_BYTES = 110_000_000  # of all archives together, because they are kept in git
FOLDERS = "bundle", "generators"  # of wsdl/assets: the archives in both count towards MAX_BYTES

# Rendered faces at 128 px take 21.8 kB and 0.03 s each (24.5 kB as PNG). Method 6 saves another 2.3 % and takes 40
# times as long; method 5 saves nothing.
WEBP_METHOD = 4


# --- images -------------------------------------------------------------------------------------------------------


def encode_image(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, 3] or [H, W, 4] as lossless WebP; the colour of transparent pixels is kept."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, exact=True, quality=100, method=WEBP_METHOD)
    return buffer.getvalue()


def decode_image(data: bytes, name: str, mode: str = "RGB") -> np.ndarray:
    """Pixels of the WebP `data`: uint8 [H, W, 3], or [H, W, 4] with mode RGBA. WsdlError names a damaged member."""
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            return np.asarray(image.convert(mode))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise WsdlError(f"{name}: cannot be decoded ({error}); restore the bundle, or update Pillow.") from None


def encode_label_map(labels: np.ndarray) -> bytes:
    """A label map uint8 [H, W] as a grey WebP: 0.75 kB at 128 px (0.9 kB as a palette PNG)."""
    return encode_image(np.repeat(labels[..., None], 3, axis=2))


def decode_label_map(data: bytes, name: str) -> np.ndarray:
    """The label map uint8 [H, W] that `encode_label_map` encoded."""
    return decode_image(data, name)[..., 0]


def crop_region(fake: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The inpainted region of `fake` [S, S, 3] as uint8 [h, w, 4], and its left and top.

    Alpha is 255 where `mask` is 1. Pixels outside the mask are black, as the real face provides them. ValueError for an
    empty mask.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise ValueError("has an empty mask")
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    pixels = np.dstack([fake * (mask[..., None] == 1), np.where(mask, 255, 0)]).astype(np.uint8)
    return pixels[top:bottom, left:right], (int(left), int(top))


def paste_region(face: np.ndarray, region: np.ndarray, at: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Undo `crop_region`: the fake uint8 [S, S, 3] on the real `face` [S, S, 3], and its mask uint8 [S, S], 1 = fake.

    ValueError where the region does not lie within the face.
    """
    left, top = at
    height, width = region.shape[:2]
    if min(left, top) < 0 or top + height > face.shape[0] or left + width > face.shape[1]:
        raise ValueError(f"is {width}x{height} at {left},{top}, beyond its face of {face.shape[1]}x{face.shape[0]}")
    mask = np.zeros(face.shape[:2], np.uint8)
    mask[top : top + height, left : left + width] = region[..., 3] != 0
    fake = face.copy()
    fake[mask == 1] = region[..., :3][region[..., 3] != 0]
    return fake, mask


# --- names --------------------------------------------------------------------------------------------------------


def check_plain_name(name: str) -> None:
    """WsdlError unless `name`, a style or generator, is a plain name: it becomes part of paths."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise WsdlError(f"{name!r}: is not the name of a style; use letters, digits, _ and -, as in studio.")


def member_name(path: str) -> str:
    """The member that stores the image at `path` of a dataset."""
    return str(PurePosixPath(path).with_suffix(".webp"))


def get_member(files: dict[str, bytes], name: str) -> bytes:
    """files[name], or WsdlError where the archive does not list it."""
    if name not in files:
        raise WsdlError(f"{name}: is missing from the bundle; restore the archive.")
    return files[name]


# --- reading: the archive may be damaged or hostile ---------------------------------------------------------------


def read_archive(
    archive: Path, wanted: Callable[[str], bool], style: str, generator: str | None = None
) -> tuple[dict, dict[str, bytes]]:
    """manifest.json, and the members whose names are `wanted`, checked by name, kind, size and sha256.

    generator: of an archive with the fakes of one generator; None for an archive of a style.
    """
    try:
        with ZipFile(archive) as bundle:
            about = _read_info(bundle, style, generator)
            files = {name: _read_member(bundle, name) for name in about["files"] if wanted(name)}
    except (BadZipFile, OSError, EOFError, RuntimeError, KeyError, ValueError) as error:
        raise damaged(archive, error.args[0] if isinstance(error, KeyError) else error) from None
    for name, data in files.items():
        path_inside(Path(style), name)
        if hashlib.sha256(data).hexdigest() != about["files"][name]:
            raise damaged(archive, f"{name} is not the file that its manifest lists")
    return about, files


def damaged(archive: Path, why) -> WsdlError:
    return WsdlError(f"{archive}: is damaged or no bundle ({why}); restore it.")


def _read_info(bundle: ZipFile, style: str, generator: str | None) -> dict:
    about = json.loads(_read_member(bundle, "manifest.json"))
    if not isinstance(about, dict) or "format" not in about:
        raise ValueError("manifest.json names no format")
    if about["format"] != FORMAT:
        raise WsdlError(
            f"{bundle.filename}: has format {about['format']}, but this wsdl reads format {FORMAT}; use the wsdl "
            f"version that it belongs to."
        )
    if not all(isinstance(about.get(key), dict) for key in ("dataset", "boxes", "files")):
        raise ValueError("manifest.json does not describe a dataset")
    for key, asked in (("style", style), ("generator", generator)):
        if (found := about.get(key)) != asked:
            raise WsdlError(f"{bundle.filename}: has the {key} {found!r}, not {asked!r}; use another archive.")
    return about


def _read_member(bundle: ZipFile, name: str) -> bytes:
    """One member. ValueError unless it is a plain stored file of at most MAX_MEMBER bytes; KeyError if missing."""
    member = bundle.getinfo(name)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(f"{name} is a link")
    if member.compress_type != ZIP_STORED or max(member.file_size, member.compress_size) > MAX_MEMBER:
        raise ValueError(f"{name} is compressed, or larger than {MAX_MEMBER:,} bytes")
    return bundle.read(member)


# --- writing ------------------------------------------------------------------------------------------------------


@contextmanager
def write_archive(out: Path, about: dict, files: dict[str, bytes], boxes: dict[str, tuple[int, int]]):
    """Yield the archive under a temporary name; it becomes `out` if the block, which verifies it, succeeds.

    about: entries of manifest.json besides format, licence, version, boxes and files.
    boxes: left and top of the region of each partial fake.
    """
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = {"format": FORMAT, "licence": LICENCE, "version": __version__, **about,
                "boxes": dict(sorted(boxes.items())), "files": hashes}  # fmt: skip
    members = {"manifest.json": json.dumps(manifest, indent=1).encode()} | {name: files[name] for name in hashes}
    with atomic(out) as temporary:
        with ZipFile(temporary, "w") as bundle:
            for name, data in members.items():
                member = ZipInfo(name)  # stored, dated 1980
                member.create_system, member.external_attr = 3, 0o644 << 16  # the same on every system
                bundle.writestr(member, data)
        check_total_size(temporary.stat().st_size, out)
        yield temporary


def check_total_size(size: int, out: Path) -> None:
    """WsdlError where an archive of `size` bytes at `out` and the other archives exceed MAX_BYTES together."""
    home = out.absolute().parent
    folders = [home.parent / name for name in FOLDERS] if home.name in FOLDERS else [home]
    others = [other for folder in folders for other in folder.glob("*.zip") if other != out.absolute()]
    total = size + sum(other.stat().st_size for other in others)
    if total > MAX_BYTES:
        raise WsdlError(
            f"{out}: would have {size:,} bytes, and {total:,} with the other archives, more than {MAX_BYTES:,}; pack "
            f"fewer images."
        )


def list_contents(archive: Path) -> pd.DataFrame:
    """One row: style, generator (where it has one), images of each kind, and MB (10^6 bytes) of each part."""
    count, size = defaultdict(int), defaultdict(float)
    with ZipFile(archive) as bundle:
        about = json.loads(bundle.read("manifest.json"))
        regions = {member_name(path) for path in about["boxes"]}
        for name in about["files"]:
            part = "partial" if name in regions else _part_of(name)
            count[part] += 1
            size[part] += bundle.getinfo(name).file_size / 1e6
    size["all"] = Path(archive).stat().st_size / 1e6  # with manifest.json and the directory of the zip file
    if "generator" in about:
        kind = "partial" if regions else "full"
        names, kinds, parts = ("style", "generator"), (kind,), (kind, "run", "tables", "all")
    else:
        names, kinds = ("style",), ("real", "full", "partial")
        parts = ("real", "labels", "full", "partial", "p2", "tables", "all")
    row = {name: about[name] for name in names} | {kind: count[kind] for kind in kinds}
    return pd.DataFrame([row | {f"{part}_MB": size[part] for part in parts}])


def _part_of(name: str) -> str:
    top = name.split("/")[0]
    if top in ("p2", "run") or not name.endswith(".webp"):
        return top if top in ("p2", "run") else "tables"
    return {"real": "real", "components": "labels", "fake": "full"}[top]
