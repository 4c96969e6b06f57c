"""Archives of further generators of a bundled style: the generator's run, and its partial fakes of the style's faces.

GENERATOR_ARCHIVES/STYLE-GENERATOR.zip is separate from STYLE.zip, so that the archive of a style never changes.
`pack_generator` writes an archive, `unpack_generator` and `add_fakes` read it.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from wsdl.bundle.archive import (
    check_plain_name,
    damaged,
    encode_image,
    get_member,
    list_contents,
    member_name,
    read_archive,
    write_archive,
)
from wsdl.bundle.pack import (
    check_weights,
    compare_images,
    crop_fake,
    different_bytes,
    halve_run,
    open_packable,
    read_run_fp16,
)
from wsdl.bundle.unpack import (
    cache_folder,
    copy_dataset,
    unpack_dataset,
    unpack_run,
    write_bytes,
    write_partial_fake,
)
from wsdl.core.io import WsdlError, path_inside, read_json, sha256
from wsdl.core.locks import hold_folder
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.manifest import check_splits, hash_faces, keep_generators, read_manifest, write_manifest
from wsdl.generators.registry import find_generator, load_generator
from wsdl.generators.write_fakes import check_image_size, fake_exists, list_fakes

GENERATOR_ARCHIVES = Path(__file__).parent.parent / "assets" / "generators"
RUN_MEMBERS = "run/"  # prefix of the members of the generator's run
SAME_RUN = {"repaint-ldm": "repaint-ldm-clean"}  # the same weights; only the clean fakes differ in one region alone


def bundled_generators(style: str) -> list[str]:
    """The generators with an archive of their own for `style`."""
    return sorted(path.stem.removeprefix(f"{style}-") for path in GENERATOR_ARCHIVES.glob(f"{style}-*.zip"))


def find_generator_archive(style: str, generator: str, archive: Path | None = None) -> Path:
    """The archive, by default the bundled one. WsdlError names the available ones where it is missing."""
    check_plain_name(style)
    check_plain_name(generator)
    archive = Path(archive or GENERATOR_ARCHIVES / f"{style}-{generator}.zip")
    if not archive.is_file():
        available = ", ".join(bundled_generators(style)) or "none"
        raise WsdlError(f"{archive}: is missing; available further generators of {style}: {available}.")
    return archive


def unpack_generator(style: str, generator: str, archive: Path | None = None, cache: Path | None = None) -> Path:
    """The run folder of a generator trained on `style`, in the cache, as `--weights` expects it.

    archive and cache: as in `unpack_dataset`. WsdlError for an archive that is missing, damaged or another's.
    """
    generator = SAME_RUN.get(generator, generator)
    archive = find_generator_archive(style, generator, archive)
    target = cache_folder(f"{style}-{generator}", archive, cache) / "run"
    return unpack_run(target, archive, RUN_MEMBERS, style, generator)


def add_fakes(folder: Path, style: str, generator: str, archive: Path | None = None) -> None:
    """Add the bundled fakes by `generator` to the dataset `folder`, a copy of `style`, as `generate` would make them.

    Does nothing if they are there. The manifest is written last, so a killed call can be repeated. WsdlError where the
    real faces differ, or fakes were begun there with other weights or another seed.
    """
    folder, archive = Path(folder), find_generator_archive(style, generator, archive)
    about, files, rows = _read_fakes(archive, style, generator)
    recipe = _read_recipe(archive, get_member(files, recipe_path(generator)))
    dataset = Dataset(folder)
    faces = dataset.select(kind="real")
    if hash_faces(faces) != recipe["faces"]:
        raise WsdlError(
            f"{folder}: its real faces differ from those of {style} that {generator} inpainted; add the fakes to a "
            f"folder that `python -m wsdl data unpack {style}` wrote."
        )
    check_splits(pd.concat([faces, rows]), archive)
    with hold_folder(folder / "fake" / generator):
        _add_missing(folder, generator, rows, recipe, about["boxes"], files)


def _add_missing(
    folder: Path, generator: str, rows: pd.DataFrame, recipe: dict, boxes: dict, files: dict[str, bytes]
) -> None:
    """Write the fakes `rows` that are missing, and list them. The caller holds the folder of the generator's fakes."""
    dataset = Dataset(folder)
    faces = dataset.select(kind="real")
    begun = holds_images(folder / "fake" / generator)
    write_or_check_config(folder / recipe_path(generator), recipe, begun=begun)
    listed = set(dataset.select(generator=generator).path)
    if all(row.path in listed and fake_exists(folder, row) for row in rows.itertuples()):
        return print_stderr(f"{folder}: has the {len(rows)} fakes by {generator} already.")
    face_of = dict(zip(faces.source_id, faces.path, strict=True))

    def write_row(row) -> str:
        """Write one fake, if it is missing; returns the sha256 of its image."""
        if not fake_exists(folder, row):
            face = read_image(folder / face_of[row.source_id]) if row.source_id in face_of else None
            write_partial_fake(folder, row, face, boxes.get(row.path), files)
        return sha256(folder / row.path)

    hashes = parallel_map(write_row, rows.itertuples(), f"adding {generator}")
    list_fakes(folder, generator, recipe["seed"], rows.assign(sha256=hashes).to_dict("records"))


def recipe_path(generator: str) -> str:
    """The recipe of a generator's fakes, as a path in the dataset folder and in the archive."""
    return f"fake/{generator}/recipe.json"


def _read_recipe(archive: Path, content: bytes) -> dict:
    """The recipe of the fakes. WsdlError where it does not say of which faces and with which seed they were made."""
    try:
        recipe = json.loads(content)
        if isinstance(recipe["faces"], str) and type(recipe["seed"]) is int:
            return recipe
    except (ValueError, RecursionError, TypeError, KeyError):
        pass
    raise damaged(archive, "its recipe.json names no faces and seed")


def _read_fakes(archive: Path, style: str, generator: str) -> tuple[dict, dict[str, bytes], pd.DataFrame]:
    """manifest.json, the members of the fakes, and their rows of manifest.csv."""
    about, files = read_archive(archive, lambda name: not name.startswith(RUN_MEMBERS), style, generator)
    with TemporaryDirectory() as scratch:
        write_bytes(Path(scratch), "manifest.csv", get_member(files, "manifest.csv"))
        rows = read_manifest(Path(scratch) / "manifest.csv", about["dataset"])
    names = [*rows.path, *rows["mask"]]
    own = (rows.kind == "partial") & (rows.generator == generator)
    if not own.all() or not all(name.startswith(f"fake/{generator}/") for name in names):
        raise damaged(archive, f"its manifest.csv lists more than fakes by {generator}")
    for name in names:
        path_inside(Path(style), name)
    return about, files, rows


# --- packing ------------------------------------------------------------------------------------------------------


def pack_generator(
    style: str,
    data: Path,  # a dataset with the faces of the bundled style and fakes by the generator
    generator: str,
    run: Path,  # a finished run of `train-generator`
    out: Path,
    archive: Path | None = None,  # of the style; default: the bundled one
    cache: Path | None = None,
) -> pd.DataFrame:
    """Pack the partial fakes by `generator` in `data`, and `run` in fp16, into the archive `out`; returns its contents.

    The archive is unpacked and compared, pixel for pixel, before it is renamed to `out`. WsdlError for what
    `pack_style` refuses, for other faces than those of the style, and for weights that did not make these fakes.
    """
    data, run, out = Path(data), Path(run), Path(out)
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
    files = _pack_run(dataset, generator, run)
    files[recipe_path(generator)] = (data / recipe_path(generator)).read_bytes()
    regions, boxes = _pack_regions(data, rows, faces)
    made_by = [entry for entry in dataset.info["made_by"] if entry.get("generator") == generator]
    with TemporaryDirectory() as scratch:
        write_manifest(Path(scratch), rows, {**dataset.info, "made_by": made_by})
        files["manifest.csv"] = (Path(scratch) / "manifest.csv").read_bytes()
        info = read_json(Path(scratch) / "dataset.json")
    words = f"--style {style} --data {data.resolve().name} --generator {generator} --run {run.resolve().name}"
    command = f"python -m wsdl data bundle-generator {words} --out {style}-{generator}.zip"
    about = {"style": style, "generator": generator, "command": command, "dataset": info}
    with write_archive(out, about, files | regions, boxes) as temporary, TemporaryDirectory() as scratch:
        unpacked = Path(scratch) / "data"
        copy_dataset(unpacked, style, False, archive, cache)
        add_fakes(unpacked, style, generator, temporary)
        _compare_fakes(data, unpacked, rows)
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


def _pack_regions(data: Path, rows: pd.DataFrame, faces: pd.DataFrame) -> tuple[dict[str, bytes], dict]:
    """The inpainted region of each fake by member name, and its left and top by path."""
    face_of, boxes = {face.source_id: face for face in faces.itertuples()}, {}

    def pack_row(row) -> tuple[str, bytes]:
        region, boxes[row.path] = crop_fake(data, row, face_of.get(row.source_id))
        return member_name(row.path), encode_image(region)

    return dict(parallel_map(pack_row, rows.itertuples(), "packing fakes")), boxes


def _compare_fakes(data: Path, unpacked: Path, rows: pd.DataFrame) -> None:
    """WsdlError unless the fakes in `unpacked` equal those in `data`: every pixel, mask and row."""
    compare_images(data, unpacked, rows)
    found = Dataset(unpacked).select(kind="partial")
    if not found.reset_index(drop=True).equals(rows.reset_index(drop=True)):
        raise different_bytes(data / "manifest.csv")
