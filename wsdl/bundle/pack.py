"""`data bundle`: a finished dataset and its generator become one archive that `unpack` restores to the pixel.

STYLE.zip  manifest.json · p2/{config.json,model.safetensors,run.json} · manifest.csv · the recipe.json's
           real, components and fake as in the dataset, but in lossless WebP and without masks:
           of a partial fake only the painted region is kept, transparent outside its mask

Nothing in the archive is compressed again, and names, times and order are fixed: the same input gives the same bytes.
"""

import hashlib
import json
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

import numpy as np
import pandas as pd

from wsdl import __version__
from wsdl.bundle.codec import crop, encode, encode_labels
from wsdl.bundle.halve import made_with, run_files
from wsdl.bundle.unpack import FORMAT, GENERATOR, check_name, inside, stored, unpack, weights
from wsdl.core.io import WsdlError, atomic, read_json, sha256
from wsdl.core.parallel import parallel_map
from wsdl.core.run import MODEL_FILE
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.manifest import label_map_path
from wsdl.data.masks import read_label_map, read_mask
from wsdl.generators.diffusion.weights import load_unet
from wsdl.generators.write_fakes import check_size

LICENCE = "CC0-1.0"
MAX_BYTES = 100_000_000  # of all archives together: they lie in git
FOLDERS = "bundle", "generators"  # of wsdl/assets: archives in either count together
PACKED = "p2", "repaint-p2"  # paint with the weights in the archive; those of other generators lie elsewhere


def pack(style: str, data: Path, generator: Path, out: Path) -> pd.DataFrame:
    """Pack the dataset `data` and the finished P2 run `generator` into the archive `out`; the `contents` of the result.

    The archive is unpacked and compared with the dataset, pixel for pixel, before it takes its name. WsdlError for
    a dataset that is damaged, is not CC0 or has partial fakes that differ from their face outside the mask, for fakes
    by P2 that other weights made, and for more than MAX_BYTES together with the archives that lie beside it.
    """
    data, generator, out = Path(data), Path(generator), Path(out)
    check_name(style)
    files, boxes = pack_style(style, data, generator)
    about = {"style": style, "command": command(style, data, generator), "dataset": read_json(data / "dataset.json")}
    with write_archive(out, about, files, boxes) as temporary, TemporaryDirectory() as cache:
        compare(data, unpack(style, temporary, Path(cache)))
        fits(weights(style, temporary, Path(cache)), data)
    return contents(out)


def command(style: str, data: Path, generator: Path) -> str:
    """The command line that packed, with the last part of each path: where they lay says nothing to others."""
    words = f"--style {style} --data {data.resolve().name} --p2 {generator.resolve().name} --out {style}.zip"
    return f"python -m wsdl data bundle {words}"


@contextmanager
def write_archive(out: Path, about: dict, files: dict[str, bytes], boxes: dict[str, tuple[int, int]]):
    """Yield the archive under a temporary name; it becomes `out` if the block, which tries it, succeeds.

    about: what its manifest.json says besides licence, version, boxes and the sha256 of each of `files`.
    """
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = {"format": FORMAT, "licence": LICENCE, "version": __version__, **about,
                "boxes": dict(sorted(boxes.items())), "files": hashes}  # fmt: skip
    members = {"manifest.json": json.dumps(manifest, indent=1).encode()} | {name: files[name] for name in hashes}
    with atomic(out) as temporary:
        with ZipFile(temporary, "w") as bundle:
            for name, data in members.items():
                member = ZipInfo(name)  # stored, of 1980
                member.create_system, member.external_attr = 3, 0o644 << 16  # the same on every system
                bundle.writestr(member, data)
        check_total(temporary.stat().st_size, out)
        yield temporary


def check_total(size: int, out: Path) -> None:
    """WsdlError where an archive of `size` bytes at `out` and the others are more than MAX_BYTES together."""
    home = out.absolute().parent
    folders = [home.parent / name for name in FOLDERS] if home.name in FOLDERS else [home]
    others = [other for folder in folders for other in folder.glob("*.zip") if other != out.absolute()]
    total = size + sum(other.stat().st_size for other in others)
    if total > MAX_BYTES:
        raise WsdlError(
            f"{out}: would have {size:,} bytes, and {total:,} with the archives beside it, more than {MAX_BYTES:,}; "
            f"take fewer pictures."
        )


def contents(archive: Path) -> pd.DataFrame:
    """One row: the style, its pictures of each kind, then MB (10^6 bytes) of each part and of the whole archive."""
    about, count, size = parts_of(archive)
    row = {"style": about["style"]} | {kind: count[kind] for kind in ("real", "full", "partial")}
    parts = ("real", "labels", "full", "partial", "p2", "tables", "all")
    return pd.DataFrame([row | {f"{part}_MB": size[part] for part in parts}])


def parts_of(archive: Path) -> tuple[dict, dict[str, int], dict[str, float]]:
    """What manifest.json says, and the number of files and MB of each part of the archive."""
    count, size = defaultdict(int), defaultdict(float)
    with ZipFile(archive) as bundle:
        about = json.loads(bundle.read("manifest.json"))
        regions = {stored(path) for path in about["boxes"]}
        for name in about["files"]:
            part = "partial" if name in regions else part_of(name)
            count[part] += 1
            size[part] += bundle.getinfo(name).file_size / 1e6
    size["all"] = Path(archive).stat().st_size / 1e6  # with manifest.json and the lists of the zip
    return about, count, size


def part_of(name: str) -> str:
    """Which part of the archive its file `name` belongs to; a painted region is not told from a full fake."""
    top = name.split("/")[0]
    if top in ("p2", "run") or not name.endswith(".webp"):
        return top if top in ("p2", "run") else "tables"
    return {"real": "real", "components": "labels", "fake": "full"}[top]


# --- the dataset --------------------------------------------------------------------------------------------------


def pack_style(style: str, data: Path, generator: Path) -> tuple[dict[str, bytes], dict[str, tuple[int, int]]]:
    """The files by their name in the archive, and the left and top of each partial fake's region."""
    dataset = sound(data)
    files = {GENERATOR + name: content for name, content in run_files(generator).items()}
    recipes = [data / "recipe.json", *data.glob("fake/*/recipe.json")]
    for path in (path for path in recipes if path.exists()):
        if path.parent.name in PACKED:
            made_with(path, hashlib.sha256(files[GENERATOR + MODEL_FILE]).hexdigest())
        files[path.relative_to(data).as_posix()] = path.read_bytes()
    files["manifest.csv"] = (data / "manifest.csv").read_bytes()

    faces = {row.source_id: row for row in dataset.select(kind="real").itertuples()}
    boxes = {}

    def one(row) -> dict[str, bytes]:
        inside(data, row.path)
        if row.kind != "partial":
            return {stored(row.path): encode(read_image(data / row.path)), **pack_labels(data, row)}
        region, boxes[row.path] = painted(data, row, faces.get(row.source_id))
        return {stored(row.path): encode(region)}

    for some in parallel_map(one, dataset.table.itertuples(), f"packing {style}"):
        files |= some
    return files, boxes


def sound(data: Path) -> Dataset:
    """The dataset `data`, read whole. WsdlError where it is damaged, or not free for all."""
    dataset = Dataset(data)
    if dataset.info.get("licence") != LICENCE:
        raise WsdlError(
            f"{data / 'dataset.json'}: has the licence '{dataset.info.get('licence')}', but all in the bundle is "
            f"{LICENCE}; prepare the faces with --licence {LICENCE} if that is true."
        )
    if problems := check_dataset(data):
        raise WsdlError(f"{data}: `data check` finds {len(problems)} faults, of which the first is: {problems[0]}")
    return dataset


def pack_labels(data: Path, row) -> dict[str, bytes]:
    name = label_map_path(row)
    if row.kind != "real" or not (data / name).exists():
        return {}
    return {stored(name): encode_labels(read_label_map(data / name))}


def painted(data: Path, row, face) -> tuple[np.ndarray, tuple[int, int]]:
    """The painted region of a partial fake, see `crop`. WsdlError where the rest of it is not its real face."""
    if face is None:
        raise WsdlError(f"{data / row.path}: its real face '{row.source_id}' is not in the dataset; pack both.")
    fake, original, mask = read_image(data / row.path), read_image(data / face.path), read_mask(data / row.mask)
    if changed := int((fake != original).any(axis=-1)[mask == 0].sum()):
        raise WsdlError(
            f"{data / row.path}: differs from its real face in {changed} pixels outside its mask; only fakes that "
            f"copy those back can be packed."
        )
    try:
        return crop(fake, mask)
    except ValueError as error:
        raise WsdlError(f"{data / row.mask}: {error}; leave this fake out.") from None


# --- what was packed is what was there ----------------------------------------------------------------------------


def compare(data: Path, unpacked: Path) -> None:
    """WsdlError unless the dataset `unpacked` is `data` again: every pixel, mask, label and row of the manifest."""
    compare_pictures(data, unpacked, Dataset(data).table)
    for name in ("manifest.csv", "dataset.json"):
        if sha256(data / name) != sha256(unpacked / name):
            raise changed(data / name)


def compare_pictures(data: Path, unpacked: Path, table: pd.DataFrame) -> None:
    """WsdlError unless the rows of `table` have the same pixels, masks and labels in both folders."""

    def differs(row) -> str:
        pairs = [(row.path, read_image)]
        if row.kind == "partial":
            pairs.append((row.mask, read_mask))
        if row.kind == "real" and (data / label_map_path(row)).exists():
            pairs.append((label_map_path(row), read_label_map))
        return next((name for name, read in pairs if not np.array_equal(read(data / name), read(unpacked / name))), "")

    if other := [name for name in parallel_map(differs, table.itertuples(), "comparing") if name]:
        raise WsdlError(f"{data / other[0]}: comes out of the bundle with other pixels; this is a fault of wsdl.")


def changed(path: Path) -> WsdlError:
    return WsdlError(
        f"{path}: comes out of the bundle changed; its pictures were not written by this version of wsdl and Pillow, "
        f"so prepare and generate them again."
    )


def fits(run: Path, data: Path) -> None:
    """WsdlError unless the packed generator loads and paints pictures of this dataset's size."""
    load_unet(run)
    check_size(Dataset(data), run)
