"""Further generators of a bundled style, an archive each: their weights, and their fakes of the style's own faces.

ASSETS/STYLE-GENERATOR.zip  manifest.json · run/{config.json,model.safetensors,run.json} · fake/GENERATOR/recipe.json
                            manifest.csv with the rows of these fakes alone · their painted regions

They lie beside STYLE.zip and not in it: the dataset of a style stays what it is, to the byte, and a generator that
comes later adds a file of its own.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from wsdl.bundle.unpack import (
    broken,
    check_name,
    home_of,
    inside,
    read_part,
    take,
    unpack_run,
    write_bytes,
    write_partial,
)
from wsdl.core.io import WsdlError, sha256
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.run import write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.manifest import check_splits, hash_faces, read_manifest

ASSETS = Path(__file__).parent.parent / "assets" / "generators"
RUN = "run/"  # the members of the generator's run
SAME = {"repaint-ldm": "repaint-ldm-clean"}  # the same weights; its raw fakes are no faces with one region painted


def generators(style: str) -> list[str]:
    """The generators that come with `style` besides those in its own archive."""
    return sorted(path.stem.removeprefix(f"{style}-") for path in ASSETS.glob(f"{style}-*.zip"))


def weights(style: str, generator: str, archive: Path | None = None, cache: Path | None = None) -> Path:
    """The run folder of a generator trained on `style`, in the cache: what `--weights` takes.

    archive and cache: as in `unpack`. WsdlError where the archive is missing, damaged or another's.
    """
    generator = SAME.get(generator, generator)
    archive = locate(style, generator, archive)
    return unpack_run(home_of(f"{style}-{generator}", archive, cache) / "run", archive, RUN, style, generator)


def add(folder: Path, style: str, generator: str, archive: Path | None = None) -> None:
    """Add the fakes to the dataset `folder`, a copy of the bundled `style`, as `generate GENERATOR` would make them.

    Nothing happens if they are there. The manifest is written last: killed before, the next call goes on.
    WsdlError where the real faces are others, or fakes were begun there with other weights or another seed.
    """
    from wsdl.generators.write_fakes import enlist, is_there, sweep

    folder, archive = Path(folder), locate(style, generator, archive)
    about, files, rows = read_fakes(archive, style, generator)
    name = recipe_of(generator)
    recipe = json.loads(take(files, name))
    dataset = Dataset(folder)
    faces = dataset.select(kind="real")
    if hash_faces(faces) != recipe["faces"]:
        raise WsdlError(
            f"{folder}: has other real faces than those of {style} into which {generator} painted; add its fakes to "
            f"what `python -m wsdl data unpack {style}` writes."
        )
    check_splits(pd.concat([faces, rows]), archive)
    write_or_check_config(folder / name, recipe)
    sweep(folder, generator)
    listed = set(dataset.select(generator=generator).path)
    if all(row.path in listed and is_there(folder, row) for row in rows.itertuples()):
        return print_stderr(f"{folder}: has the {len(rows)} fakes by {generator} already.")
    face_of = dict(zip(faces.source_id, faces.path, strict=True))

    def restore(row) -> str:
        """Write one fake, if it is missing; the sha256 of its picture."""
        if not is_there(folder, row):
            original = read_image(folder / face_of[row.source_id]) if row.source_id in face_of else None
            write_partial(folder, row, original, about["boxes"].get(row.path), files)
        return sha256(folder / row.path)

    hashes = parallel_map(restore, rows.itertuples(), f"adding {generator}")
    enlist(dataset, generator, recipe["seed"], rows.assign(sha256=hashes).to_dict("records"))


def recipe_of(generator: str) -> str:
    return f"fake/{generator}/recipe.json"


def locate(style: str, generator: str, archive: Path | None = None) -> Path:
    """The archive, by default the one that comes with wsdl. WsdlError names those that are there where it is none."""
    check_name(style)
    check_name(generator)
    archive = Path(archive or ASSETS / f"{style}-{generator}.zip")
    if not archive.is_file():
        there = ", ".join(generators(style)) or "none"
        raise WsdlError(f"{archive}: is missing; further generators that come with {style}: {there}.")
    return archive


def read_fakes(archive: Path, style: str, generator: str) -> tuple[dict, dict[str, bytes], pd.DataFrame]:
    """What manifest.json says, the files of the fakes by name, and their rows of a manifest."""
    about, files = read_part(archive, lambda name: not name.startswith(RUN), style, generator)
    with TemporaryDirectory() as scratch:
        write_bytes(Path(scratch), "manifest.csv", take(files, "manifest.csv"))
        rows = read_manifest(Path(scratch) / "manifest.csv", about["dataset"])
    names = [*rows.path, *rows["mask"]]
    own = (rows.kind == "partial") & (rows.generator == generator)
    if not own.all() or not all(name.startswith(f"fake/{generator}/") for name in names):
        raise broken(archive, f"its manifest.csv lists more than fakes by {generator}")
    for name in names:
        inside(Path(style), name)
    return about, files, rows
