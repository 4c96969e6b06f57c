"""`data bundle`: a finished dataset and its generator become one archive that `unpack` restores to the pixel.

STYLE.zip  manifest.json · p2/{config.json,model.safetensors,run.json} · manifest.csv · the recipe.json's
           real, components and fake as in the dataset, but in lossless WebP and without masks:
           of a partial fake only the painted region is kept, transparent outside its mask

Nothing in the archive is compressed again, and names, times and order are fixed: the same input gives the same bytes.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save

from wsdl import __version__
from wsdl.bundle.codec import crop, encode, encode_labels
from wsdl.bundle.unpack import FORMAT, GENERATOR, MAX_MEMBER, check_name, components_of, inside, stored, unpack, weights
from wsdl.data.check import check
from wsdl.data.layout import Dataset
from wsdl.data.masks import read_labels, read_mask
from wsdl.data.parallel import each
from wsdl.data.pictures import read_picture
from wsdl.files import WsdlError, atomic, read_json, sha256
from wsdl.fit import MODEL
from wsdl.generators.fakes import check_size
from wsdl.generators.weights import load_unet
from wsdl.runs import is_done

LICENCE = "CC0-1.0"
MAX_BYTES = 100_000_000  # of all archives in one folder: they lie in git
PACKED = "p2", "repaint-p2"  # paint with the weights in the archive; those of other generators lie elsewhere
RUN = ("config.json", MODEL, "run.json")  # what makes a run a generator; its trainer state and samples stay behind


def pack(style: str, data: Path, generator: Path, out: Path) -> pd.DataFrame:
    """Pack the dataset `data` and the finished P2 run `generator` into the archive `out`; the `contents` of the result.

    The archive is unpacked and compared with the dataset, pixel for pixel, before it takes its name. WsdlError for
    a dataset that is damaged, is not CC0 or has partial fakes that differ from their face outside the mask, for fakes
    by P2 that other weights made, and for more than MAX_BYTES together with the archives that lie beside it.
    """
    data, generator, out = Path(data), Path(generator), Path(out)
    check_name(style)
    files, boxes = pack_style(style, data, generator)
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = {"format": FORMAT, "licence": LICENCE, "version": __version__, "style": style,
                "command": command(style, data, generator), "dataset": read_json(data / "dataset.json"),
                "boxes": dict(sorted(boxes.items())), "files": hashes}  # fmt: skip
    members = {"manifest.json": json.dumps(manifest, indent=1).encode()} | {name: files[name] for name in hashes}
    with atomic(out) as temporary:
        write_zip(temporary, members)
        check_total(temporary.stat().st_size, out)
        with TemporaryDirectory() as cache:
            compare(data, unpack(style, temporary, Path(cache)))
            fits(weights(style, temporary, Path(cache)), data)
    return contents(out)


def command(style: str, data: Path, generator: Path) -> str:
    """The command line that packed, with the last part of each path: where they lay says nothing to others."""
    words = f"--style {style} --data {data.resolve().name} --p2 {generator.resolve().name} --out {style}.zip"
    return f"python -m wsdl data bundle {words}"


def check_total(size: int, out: Path) -> None:
    """WsdlError where an archive of `size` bytes at `out` and the others beside it are more than MAX_BYTES."""
    total = size + sum(other.stat().st_size for other in out.parent.glob("*.zip") if other.name != out.name)
    if total > MAX_BYTES:
        raise WsdlError(
            f"{out}: would have {size:,} bytes, and {total:,} with the archives beside it, more than {MAX_BYTES:,}; "
            f"take fewer pictures."
        )


def write_zip(path: Path, members: dict[str, bytes]) -> None:
    with ZipFile(path, "w") as bundle:
        for name, data in members.items():
            about = ZipInfo(name)  # stored, of 1980
            about.create_system, about.external_attr = 3, 0o644 << 16  # the same on every system
            bundle.writestr(about, data)


def contents(archive: Path) -> pd.DataFrame:
    """One row: the style, its pictures of each kind, then MB (10^6 bytes) of each part and of the whole archive."""
    count, size = defaultdict(int), defaultdict(float)
    with ZipFile(archive) as bundle:
        about = json.loads(bundle.read("manifest.json"))
        regions = {stored(path) for path in about["boxes"]}
        for name in about["files"]:
            part = "partial" if name in regions else part_of(name)
            count[part] += 1
            size[part] += bundle.getinfo(name).file_size / 1e6
    size["all"] = Path(archive).stat().st_size / 1e6  # with manifest.json and the lists of the zip
    row = {"style": about["style"]} | {kind: count[kind] for kind in ("real", "full", "partial")}
    parts = ("real", "labels", "full", "partial", "p2", "tables", "all")
    return pd.DataFrame([row | {f"{part}_MB": size[part] for part in parts}])


def part_of(name: str) -> str:
    """Which part of the bundle its file `name` belongs to; a painted region is not told from a full fake."""
    top = name.split("/")[0]
    if top == "p2" or not name.endswith(".webp"):
        return "p2" if top == "p2" else "tables"
    return {"real": "real", "components": "labels", "fake": "full"}[top]


# --- the dataset --------------------------------------------------------------------------------------------------


def pack_style(style: str, data: Path, generator: Path) -> tuple[dict[str, bytes], dict[str, tuple[int, int]]]:
    """The files by their name in the archive, and the left and top of each partial fake's region."""
    dataset = Dataset(data)
    if dataset.info.get("licence") != LICENCE:
        raise WsdlError(
            f"{data / 'dataset.json'}: has the licence '{dataset.info.get('licence')}', but all in the bundle is "
            f"{LICENCE}; prepare the faces with --licence {LICENCE} if that is true."
        )
    files = pack_run(generator)
    if problems := check(data):
        raise WsdlError(f"{data}: `data check` finds {len(problems)} faults, of which the first is: {problems[0]}")
    recipes = [data / "recipe.json", *data.glob("fake/*/recipe.json")]
    for path in (path for path in recipes if path.exists()):
        if path.parent.name in PACKED:
            made_with(path, files[GENERATOR + MODEL])
        files[path.relative_to(data).as_posix()] = path.read_bytes()
    files["manifest.csv"] = (data / "manifest.csv").read_bytes()

    faces = {row.source_id: row for row in dataset.select(kind="real").itertuples()}
    boxes = {}

    def one(row) -> dict[str, bytes]:
        inside(data, row.path)
        if row.kind != "partial":
            return {stored(row.path): encode(read_picture(data / row.path)), **pack_labels(data, row)}
        region, boxes[row.path] = painted(data, row, faces.get(row.source_id))
        return {stored(row.path): encode(region)}

    for some in each(one, dataset.table.itertuples(), f"packing {style}"):
        files |= some
    return files, boxes


def pack_labels(data: Path, row) -> dict[str, bytes]:
    name = components_of(row)
    if row.kind != "real" or not (data / name).exists():
        return {}
    return {stored(name): encode_labels(read_labels(data / name))}


def painted(data: Path, row, face) -> tuple[np.ndarray, tuple[int, int]]:
    """The painted region of a partial fake, see `crop`. WsdlError where the rest of it is not its real face."""
    if face is None:
        raise WsdlError(f"{data / row.path}: its real face '{row.source_id}' is not in the dataset; pack both.")
    fake, original, mask = read_picture(data / row.path), read_picture(data / face.path), read_mask(data / row.mask)
    if changed := int((fake != original).any(axis=-1)[mask == 0].sum()):
        raise WsdlError(
            f"{data / row.path}: differs from its real face in {changed} pixels outside its mask; only fakes that "
            f"copy those back can be packed."
        )
    try:
        return crop(fake, mask)
    except ValueError as error:
        raise WsdlError(f"{data / row.mask}: {error}; leave this fake out.") from None


# --- the generator ------------------------------------------------------------------------------------------------


def pack_run(folder: Path) -> dict[str, bytes]:
    """The files of a finished P2 run, its weights in fp16."""
    for name in RUN:
        if not (folder / name).exists():
            raise WsdlError(f"{folder / name}: no such file; give a finished run of `train-generator p2`.")
    if not is_done(folder):
        raise WsdlError(f"{folder}: is not finished; run its train-generator command again.")
    return {GENERATOR + name: half(folder / name) if name == MODEL else (folder / name).read_bytes() for name in RUN}


def half(path: Path) -> bytes:
    """The weights at `path` with all floating tensors in fp16, as safetensors. Those already in fp16 stay as they are.

    WsdlError where a number is beyond fp16.
    """
    tensors = {name: value.half() if value.is_floating_point() else value for name, value in load_file(path).items()}
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise WsdlError(
                f"{path}: {name} has numbers beyond fp16 (65,504) or none at all; train the generator again."
            )
    packed = save(tensors)
    if len(packed) > MAX_MEMBER:
        raise WsdlError(
            f"{path}: has {len(packed):,} bytes in fp16, more than {MAX_MEMBER:,}; train a narrower network."
        )
    return packed


def halve(run: Path, out: Path) -> None:
    """Write the run `run` to `out` as the bundle will hold it: fakes for the bundle must be made with these weights."""
    files = pack_run(Path(run))
    for name, data in files.items():
        with atomic(Path(out) / name.removeprefix(GENERATOR)) as temporary:
            temporary.write_bytes(data)


def made_with(recipe: Path, model: bytes) -> None:
    """WsdlError where the fakes of this recipe were made with other weights: they could not be made again."""
    made = read_json(recipe).get("weights", packed := hashlib.sha256(model).hexdigest())
    if made != packed:
        raise WsdlError(
            f"{recipe}: these fakes were made with weights of sha256 {made[:12]}..., but the bundle will hold "
            f"{packed[:12]}...; make them with the run that `data halve` writes."
        )


# --- what was packed is what was there ----------------------------------------------------------------------------


def compare(data: Path, unpacked: Path) -> None:
    """WsdlError unless the dataset `unpacked` is `data` again: every pixel, mask, label and row of the manifest."""

    def differs(row) -> str:
        pairs = [(row.path, read_picture)]
        if row.kind == "partial":
            pairs.append((row.mask, read_mask))
        if row.kind == "real" and (data / components_of(row)).exists():
            pairs.append((components_of(row), read_labels))
        return next((name for name, read in pairs if not np.array_equal(read(data / name), read(unpacked / name))), "")

    rows = Dataset(data).table.itertuples()
    if changed := [name for name in each(differs, rows, "comparing") if name]:
        raise WsdlError(f"{data / changed[0]}: comes out of the bundle with other pixels; this is a fault of wsdl.")
    for name in ("manifest.csv", "dataset.json"):
        if sha256(data / name) != sha256(unpacked / name):
            raise WsdlError(
                f"{data / name}: comes out of the bundle changed; its pictures were not written by this version of "
                f"wsdl and Pillow, so prepare and generate them again."
            )


def fits(run: Path, data: Path) -> None:
    """WsdlError unless the packed generator loads and paints pictures of this dataset's size."""
    load_unet(run)
    check_size(Dataset(data), run)
