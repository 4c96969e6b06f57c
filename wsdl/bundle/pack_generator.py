"""`data bundle-generator`: packs the fakes and the run of a further generator, or full fakes, into one archive."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from wsdl.bundle.archive import check_plain_name, encode_image, list_contents, member_name, write_archive
from wsdl.bundle.generator_archives import RUN_MEMBERS, add_fakes, recipe_path, unpack_generator
from wsdl.bundle.pack import (
    check_weights,
    compare_images,
    crop_fake,
    different_bytes,
    halve_run,
    open_packable,
    read_run_fp16,
)
from wsdl.bundle.unpack import copy_dataset, unpack_dataset, unpack_p2
from wsdl.config import FULL_GENERATORS
from wsdl.core.io import WsdlError, read_json
from wsdl.core.parallel import parallel_map
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.manifest import hash_faces, keep_generators, write_manifest
from wsdl.generators.registry import find_generator, load_generator
from wsdl.generators.write_fakes import check_image_size


def pack_generator(
    style: str,
    data: Path,  # a dataset with the faces of the bundled style and fakes by the generator
    generator: str,
    run: Path | None,  # a finished run of `train-generator`; None for full fakes, which the P2 model of the style made
    out: Path,
    archive: Path | None = None,  # of the style; default: the bundled one
    cache: Path | None = None,
) -> pd.DataFrame:
    """Pack the fakes by `generator` in `data`, and `run` in fp16, into the archive `out`; returns its contents.

    The archive is unpacked and compared, pixel for pixel, before it is renamed to `out`. WsdlError for what
    `pack_style` refuses, for other faces than those of the style, and for weights that did not make these fakes.
    """
    data, out, is_full = Path(data), Path(out), generator in FULL_GENERATORS.values()
    if is_full != (run is None):
        needs = "must be left out: the P2 model of the style made them" if is_full else "is missing: their generator"
        raise WsdlError(f"--run: for fakes by {generator} it {needs}.")
    check_plain_name(style)
    check_plain_name(generator)
    dataset = open_packable(data)
    own = keep_generators(dataset.table, (generator,), data)
    rows, faces = own[own.generator == generator], dataset.select(kind="real")
    if hash_faces(faces) != hash_faces(Dataset(unpack_dataset(style, archive, cache)).select(kind="real")):
        raise WsdlError(
            f"{data}: its real faces differ from those of the bundled {style}; make the fakes in a folder that "
            f"`python -m wsdl data unpack {style}` wrote."
        )
    if is_full:
        weights = find_generator(generator).fingerprint(unpack_p2(style, archive, cache))
        check_weights(data / recipe_path(generator), weights)
    files = {} if is_full else _pack_run(dataset, generator, Path(run))
    files[recipe_path(generator)] = (data / recipe_path(generator)).read_bytes()
    images, boxes = _pack_images(data, rows, faces)
    made_by = [entry for entry in dataset.info["made_by"] if entry.get("generator") == generator]
    with TemporaryDirectory() as scratch:
        write_manifest(Path(scratch), rows, {**dataset.info, "made_by": made_by})
        files["manifest.csv"] = (Path(scratch) / "manifest.csv").read_bytes()
        info = read_json(Path(scratch) / "dataset.json")
    words = f"--style {style} --data {data.resolve().name} --generator {generator}"
    words += "" if is_full else f" --run {Path(run).resolve().name}"
    command = f"python -m wsdl data bundle-generator {words} --out {style}-{generator}.zip"
    about = {"style": style, "generator": generator, "command": command, "dataset": info}
    with write_archive(out, about, files | images, boxes) as temporary, TemporaryDirectory() as scratch:
        unpacked = Path(scratch) / "data"
        copy_dataset(unpacked, style, False, archive, cache)
        add_fakes(unpacked, style, generator, temporary)
        _compare_fakes(data, unpacked, rows)
        if not is_full:
            unpacked_run = unpack_generator(style, generator, temporary, Path(scratch))
            load_generator(generator, unpacked_run)  # WsdlError if it does not load
    return list_contents(out)


def _pack_run(dataset: Dataset, generator: str, run: Path) -> dict[str, bytes]:
    """The run in fp16 by member name. WsdlError where its weights did not make the fakes, or expect another size."""
    recipe = dataset.folder / recipe_path(generator)
    with TemporaryDirectory() as scratch:
        halved = Path(scratch) / run.resolve().name
        halve_run(run, halved)
        check_weights(recipe, find_generator(generator).fingerprint(halved))
        check_image_size(dataset, generator, halved)
        return {RUN_MEMBERS + name: content for name, content in read_run_fp16(halved).items()}


def _pack_images(data: Path, rows: pd.DataFrame, faces: pd.DataFrame) -> tuple[dict[str, bytes], dict]:
    """Each full fake, or the inpainted region of each partial fake, by member name; left and top of regions by path."""
    face_of, boxes = {face.source_id: face for face in faces.itertuples()}, {}

    def pack_row(row) -> tuple[str, bytes]:
        if row.kind == "full":
            return member_name(row.path), encode_image(read_image(data / row.path))
        region, boxes[row.path] = crop_fake(data, row, face_of.get(row.source_id))
        return member_name(row.path), encode_image(region)

    return dict(parallel_map(pack_row, rows.itertuples(), "packing fakes")), boxes


def _compare_fakes(data: Path, unpacked: Path, rows: pd.DataFrame) -> None:
    """WsdlError unless the fakes in `unpacked` equal those in `data`: every pixel, mask and row."""
    compare_images(data, unpacked, rows)
    found = Dataset(unpacked).select(generator=rows.generator.iloc[0])
    if not found.reset_index(drop=True).equals(rows.reset_index(drop=True)):
        raise different_bytes(data / "manifest.csv")
