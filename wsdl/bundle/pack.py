"""`data bundle` and `data halve`: pack a dataset and its P2 generator into one archive that unpacks to the same pixels.

Generators are packed with fp16 weights. The fakes of the bundle must be made with those, so that they are reproducible.
"""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from safetensors.torch import save

from wsdl.bundle.archive import (
    LICENCE,
    MAX_MEMBER,
    check_plain_name,
    crop_region,
    encode_image,
    encode_label_map,
    list_contents,
    member_name,
    write_archive,
)
from wsdl.bundle.unpack import P2_MEMBERS, unpack_dataset, unpack_p2
from wsdl.core.io import WsdlError, atomic, path_inside, read_json, sha256
from wsdl.core.parallel import parallel_map
from wsdl.core.records import read_object
from wsdl.core.run import MODEL_FILE, is_done
from wsdl.core.weights import read_weights
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.manifest import label_map_path
from wsdl.data.masks import read_label_map, read_mask
from wsdl.generators.diffusion.autoencoder import AUTOENCODER_FILES
from wsdl.generators.diffusion.ldm import AUTOENCODER_FOLDER, is_ldm_run
from wsdl.generators.diffusion.weights import load_unet
from wsdl.generators.write_fakes import check_image_size

RUN_FILES = ("config.json", MODEL_FILE, "run.json")  # of a run, without its trainer state and samples
P2_GENERATORS = "p2", "repaint-p2"  # whose fakes the packed P2 weights must have made


def pack_style(style: str, data: Path, generator: Path, out: Path) -> pd.DataFrame:
    """Pack the dataset `data` and the finished P2 run `generator` into the archive `out`; returns its contents.

    The archive is unpacked and compared with the dataset, pixel for pixel, before it is renamed to `out`. WsdlError for
    a dataset that is damaged, is not CC0 or has partial fakes that differ from their face outside the mask, for fakes
    by P2 with other weights, and for more than MAX_BYTES together with the other archives.
    """
    data, generator, out = Path(data), Path(generator), Path(out)
    check_plain_name(style)
    files, boxes = _pack_dataset(style, data, generator)
    words = f"--style {style} --data {data.resolve().name} --p2 {generator.resolve().name} --out {style}.zip"
    command = f"python -m wsdl data bundle {words}"  # without paths: they differ between machines
    about = {"style": style, "command": command, "dataset": read_json(data / "dataset.json")}
    with write_archive(out, about, files, boxes) as temporary, TemporaryDirectory() as cache:
        _compare_datasets(data, unpack_dataset(style, temporary, Path(cache)))
        run = unpack_p2(style, temporary, Path(cache))
        load_unet(run)
        check_image_size(Dataset(data), "p2", run)
    return list_contents(out)


def _pack_dataset(style: str, data: Path, generator: Path) -> tuple[dict[str, bytes], dict[str, tuple[int, int]]]:
    """The content of each member, and the left and top of the region of each partial fake."""
    dataset = open_packable(data)
    files = {P2_MEMBERS + name: content for name, content in read_run_fp16(generator).items()}
    recipes = [data / "recipe.json", *data.glob("fake/*/recipe.json")]
    for path in (path for path in recipes if path.exists()):
        if path.parent.name in P2_GENERATORS:
            check_weights(path, hashlib.sha256(files[P2_MEMBERS + MODEL_FILE]).hexdigest())
        files[path.relative_to(data).as_posix()] = path.read_bytes()
    files["manifest.csv"] = (data / "manifest.csv").read_bytes()

    faces = {row.source_id: row for row in dataset.select(kind="real").itertuples()}
    boxes = {}

    def pack_row(row) -> dict[str, bytes]:
        path_inside(data, row.path)
        if row.kind == "partial":
            region, boxes[row.path] = crop_fake(data, row, faces.get(row.source_id))
            return {member_name(row.path): encode_image(region)}
        members = {member_name(row.path): encode_image(read_image(data / row.path))}
        labels = label_map_path(row)
        if row.kind == "real" and (data / labels).exists():
            members[member_name(labels)] = encode_label_map(read_label_map(data / labels))
        return members

    for members in parallel_map(pack_row, dataset.table.itertuples(), f"packing {style}"):
        files |= members
    return files, boxes


def open_packable(data: Path) -> Dataset:
    """Open the dataset `data`. WsdlError where `data check` finds a fault, or its licence is not LICENCE."""
    dataset = Dataset(data)
    if dataset.info.get("licence") != LICENCE:
        raise WsdlError(
            f"{data / 'dataset.json'}: has the licence '{dataset.info.get('licence')}', but the bundle is {LICENCE}; "
            f"prepare the faces with --licence {LICENCE} if that is true."
        )
    if problems := check_dataset(data):
        raise WsdlError(f"{data}: `data check` finds faults ({len(problems)}), of which the first is: {problems[0]}")
    return dataset


def crop_fake(data: Path, row, face) -> tuple[np.ndarray, tuple[int, int]]:
    """`crop_region` of the partial fake `row` of the real face `face` (a row or None).

    WsdlError where there is no face, or the fake differs from it outside the mask.
    """
    if face is None:
        raise WsdlError(f"{data / row.path}: its real face '{row.source_id}' is not in the dataset; pack both.")
    fake, original, mask = read_image(data / row.path), read_image(data / face.path), read_mask(data / row.mask)
    if changed := int((fake != original).any(axis=-1)[mask == 0].sum()):
        raise WsdlError(
            f"{data / row.path}: differs from its real face in {changed} pixels outside its mask; only fakes that "
            f"copy those back can be packed."
        )
    try:
        return crop_region(fake, mask)
    except ValueError as error:
        raise WsdlError(f"{data / row.mask}: {error}; leave this fake out.") from None


# --- runs in fp16 -------------------------------------------------------------------------------------------------


def halve_run(run: Path, out: Path) -> None:
    """Write the finished generator run `run` to `out` with fp16 weights, as the bundle stores it."""
    for name, data in read_run_fp16(run).items():
        with atomic(Path(out) / name) as temporary:
            temporary.write_bytes(data)


def read_run_fp16(folder: Path) -> dict[str, bytes]:
    """The files of a finished run of `train-generator` by name, all weights in fp16; of ldm with its autoencoder."""
    folder = Path(folder)
    names = [*(f"{AUTOENCODER_FOLDER}/{name}" for name in AUTOENCODER_FILES if is_ldm_run(folder)), *RUN_FILES]
    for name in names:
        if not (folder / name).exists():
            raise WsdlError(f"{folder / name}: no such file; give a finished run of `train-generator`.")
    if not is_done(folder):
        raise WsdlError(f"{folder}: is not finished; rerun its train-generator command.")
    return {
        name: _weights_as_fp16(folder / name) if name.endswith(MODEL_FILE) else (folder / name).read_bytes()
        for name in names
    }


def _weights_as_fp16(path: Path) -> bytes:
    """The safetensors at `path` with floating-point tensors in fp16. WsdlError where a value exceeds fp16."""
    tensors = {name: value.half() if value.is_floating_point() else value for name, value in read_weights(path).items()}
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise WsdlError(f"{path}: {name} has values beyond fp16 (65,504) or NaN; train the generator again.")
    packed = save(tensors)
    if len(packed) > MAX_MEMBER:
        raise WsdlError(
            f"{path}: has {len(packed):,} bytes in fp16, more than {MAX_MEMBER:,}; train a narrower network."
        )
    return packed


def check_weights(recipe: Path, packed: str) -> None:
    """WsdlError where the fakes of `recipe` were made with weights other than the packed ones (by fingerprint)."""
    made = read_object(recipe, {"weights": str}).get("weights", packed)
    if made != packed:
        raise WsdlError(
            f"{recipe}: these fakes were made with weights of sha256 {made[:12]}..., but the bundle will hold "
            f"{packed[:12]}...; make them with the run that `data halve` writes."
        )


# --- verification -------------------------------------------------------------------------------------------------


def _compare_datasets(data: Path, unpacked: Path) -> None:
    """WsdlError unless `unpacked` equals `data`: every pixel, mask, label map and row of the manifest."""
    compare_images(data, unpacked, Dataset(data).table)
    for name in ("manifest.csv", "dataset.json"):
        if sha256(data / name) != sha256(unpacked / name):
            raise different_bytes(data / name)


def compare_images(data: Path, unpacked: Path, table: pd.DataFrame) -> None:
    """WsdlError unless the rows of `table` have the same pixels, masks and label maps in both folders."""

    def find_difference(row) -> str:
        pairs = [(row.path, read_image)]
        if row.kind == "partial":
            pairs.append((row.mask, read_mask))
        if row.kind == "real" and (data / label_map_path(row)).exists():
            pairs.append((label_map_path(row), read_label_map))
        return next((name for name, read in pairs if not np.array_equal(read(data / name), read(unpacked / name))), "")

    if different := [name for name in parallel_map(find_difference, table.itertuples(), "comparing") if name]:
        raise WsdlError(f"{data / different[0]}: unpacks to different pixels; this is a bug of wsdl.")


def different_bytes(path: Path) -> WsdlError:
    return WsdlError(
        f"{path}: unpacks to different bytes; its images were not written by this version of wsdl and Pillow, so "
        f"prepare and generate them again."
    )
