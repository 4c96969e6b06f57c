"""Archives of further fakes of a bundled style: a generator's run, and its partial fakes of the style's faces.

An archive of full fakes (FULL_GENERATORS) holds no run: they were made by the P2 model in the archive of the style.
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
    decode_image,
    get_member,
    member_name,
    read_archive,
)
from wsdl.bundle.unpack import (
    cache_folder,
    unpack_run,
    write_bytes,
    write_partial_fake,
)
from wsdl.config import FULL_GENERATORS
from wsdl.core.io import WsdlError, path_inside, sha256
from wsdl.core.locks import hold_folder
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.manifest import check_splits, hash_faces, read_manifest
from wsdl.generators.fake_files import fake_exists, list_fakes

GENERATOR_ARCHIVES = Path(__file__).parent.parent / "assets" / "generators"
RUN_MEMBERS = "run/"  # prefix of the members of the generator's run
SAME_RUN = {"repaint-ldm": "repaint-ldm-clean"}  # the same weights; only the clean fakes differ in one region alone


def archived_fakes(style: str) -> list[str]:
    """The generators of full and partial fakes with an archive of their own for `style`."""
    return sorted(path.stem.removeprefix(f"{style}-") for path in GENERATOR_ARCHIVES.glob(f"{style}-*.zip"))


def bundled_generators(style: str) -> list[str]:
    """The generators of partial fakes with an archive of their own for `style`."""
    return [name for name in archived_fakes(style) if not _is_full(name)]


def _is_full(generator: str) -> bool:
    """Whether `generator` makes full fakes."""
    return generator in FULL_GENERATORS.values()


def find_generator_archive(style: str, generator: str, archive: Path | None = None) -> Path:
    """The archive, by default the bundled one. WsdlError names the available ones where it is missing."""
    check_plain_name(style)
    check_plain_name(generator)
    archive = Path(archive or GENERATOR_ARCHIVES / f"{style}-{generator}.zip")
    if not archive.is_file():
        available = ", ".join(archived_fakes(style)) or "none"
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
    recipe = _read_recipe(archive, get_member(files, recipe_path(generator)), generator)
    dataset = Dataset(folder)
    faces = dataset.select(kind="real")
    if not _has_faces_of(dataset, about["dataset"], recipe):
        raise WsdlError(
            f"{folder}: its real faces differ from those of {style} for which {generator} made the fakes; add them to "
            f"a folder that `python -m wsdl data unpack {style}` wrote."
        )
    check_splits(pd.concat([faces, rows]), archive)
    with hold_folder(folder / "fake" / generator):
        _add_missing(folder, generator, rows, recipe, about["boxes"], files)


def _has_faces_of(dataset: Dataset, info: dict, recipe: dict) -> bool:
    """Whether the fakes of `recipe` belong to the faces of `dataset`: full fakes to any of the source and size."""
    if "faces" in recipe:
        return hash_faces(dataset.select(kind="real")) == recipe["faces"]
    return (dataset.info["name"], dataset.size) == (info["name"], info["size"])


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
        if fake_exists(folder, row):
            return sha256(folder / row.path)
        if row.kind == "full":
            write_image(path_inside(folder, row.path), decode_image(get_member(files, member_name(row.path)), row.path))
        else:
            face = read_image(folder / face_of[row.source_id]) if row.source_id in face_of else None
            write_partial_fake(folder, row, face, boxes.get(row.path), files)
        return sha256(folder / row.path)

    hashes = parallel_map(write_row, rows.itertuples(), f"adding {generator}")
    list_fakes(folder, generator, recipe["seed"], rows.assign(sha256=hashes).to_dict("records"))


def recipe_path(generator: str) -> str:
    """The recipe of a generator's fakes, as a path in the dataset folder and in the archive."""
    return f"fake/{generator}/recipe.json"


def _read_recipe(archive: Path, content: bytes, generator: str) -> dict:
    """The recipe of the fakes. WsdlError where it states no seed or, for partial fakes, no faces."""
    try:
        recipe = json.loads(content)
        if type(recipe["seed"]) is int and (_is_full(generator) or isinstance(recipe["faces"], str)):
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
    kind, masks = ("full", [""] * len(rows)) if _is_full(generator) else ("partial", rows["mask"])
    names = [*rows.path, *filter(None, masks)]
    own = (rows.kind == kind) & (rows.generator == generator) & (rows["mask"] == masks)
    if not own.all() or not all(name.startswith(f"fake/{generator}/") for name in names):
        raise damaged(archive, f"its manifest.csv lists more than fakes by {generator}")
    for name in names:
        path_inside(Path(style), name)
    return about, files, rows
