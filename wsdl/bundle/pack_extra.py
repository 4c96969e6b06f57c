"""`data bundle-generator`: the fakes and the weights of one more generator become an archive beside a style's own.

See `wsdl.bundle.extra` for what is in it, and for what takes it out again.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from wsdl.bundle.codec import encode
from wsdl.bundle.copies import copy_to
from wsdl.bundle.extra import RUN, add, recipe_of, weights
from wsdl.bundle.halve import halve, made_with, run_files
from wsdl.bundle.pack import changed, compare_pictures, painted, parts_of, sound, write_archive
from wsdl.bundle.unpack import check_name, stored, unpack
from wsdl.core.io import WsdlError, read_json
from wsdl.core.parallel import parallel_map
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import hash_faces, keep_generators, write_manifest
from wsdl.generators.registry import painter_of
from wsdl.generators.write_fakes import check_fit


def pack_extra(
    style: str,
    data: Path,  # a dataset with the faces of the bundled style and fakes by the generator
    generator: str,
    run: Path,  # a finished run of `train-generator`
    out: Path,
    archive: Path | None = None,  # of the style; default: the one that comes with wsdl
    cache: Path | None = None,
) -> pd.DataFrame:
    """Pack the partial fakes by `generator` in `data`, and `run` in fp16, into the archive `out`; its contents.

    The archive is unpacked and compared, pixel for pixel, before it takes its name. WsdlError for what `pack` refuses
    too, for other faces than those of the style, and for weights that did not make these fakes.
    """
    data, run, out = Path(data), Path(run), Path(out)
    check_name(style)
    check_name(generator)
    dataset = sound(data)
    own = keep_generators(dataset.table, (generator,), data)
    rows, faces = own[own.generator == generator], dataset.select(kind="real")
    if hash_faces(faces) != hash_faces(Dataset(unpack(style, archive, cache)).select(kind="real")):
        raise WsdlError(
            f"{data}: has other real faces than the bundled {style}; make the fakes in what `python -m wsdl data "
            f"unpack {style}` writes."
        )
    files = pack_weights(dataset, generator, run)
    files[recipe_of(generator)] = (data / recipe_of(generator)).read_bytes()
    regions, boxes = pack_regions(data, rows, faces)
    files |= regions
    made_by = [entry for entry in dataset.info["made_by"] if entry.get("generator") == generator]
    with TemporaryDirectory() as scratch:
        write_manifest(Path(scratch), rows, {**dataset.info, "made_by": made_by})
        files["manifest.csv"] = (Path(scratch) / "manifest.csv").read_bytes()
        info = read_json(Path(scratch) / "dataset.json")
    about = {"style": style, "generator": generator, "command": command(style, data, generator, run), "dataset": info}
    with write_archive(out, about, files, boxes) as temporary, TemporaryDirectory() as scratch:
        again = Path(scratch) / "data"
        copy_to(again, style, False, archive, cache)
        add(again, style, generator, temporary)
        compare_fakes(data, again, rows)
        loads(again, generator, weights(style, generator, temporary, Path(scratch)))
    return contents(out)


def command(style: str, data: Path, generator: str, run: Path) -> str:
    """The command line that packed, with the last part of each path: where they lay says nothing to others."""
    words = f"--style {style} --data {data.resolve().name} --generator {generator} --run {run.resolve().name}"
    return f"python -m wsdl data bundle-generator {words} --out {style}-{generator}.zip"


def pack_weights(dataset: Dataset, generator: str, run: Path) -> dict[str, bytes]:
    """The files of the run in fp16. WsdlError where these weights did not make the fakes, or paint another size."""
    recipe = dataset.folder / recipe_of(generator)
    with TemporaryDirectory() as scratch:
        halved = Path(scratch) / run.resolve().name
        halve(run, halved)
        painter, _ = painter_of(read_json(recipe), halved)
        made_with(recipe, painter.fingerprint)
        check_fit(dataset, painter)
        return {RUN + name: content for name, content in run_files(halved).items()}


def pack_regions(data: Path, rows: pd.DataFrame, faces: pd.DataFrame) -> tuple[dict[str, bytes], dict]:
    """The painted region of each fake by its name in the archive, and its left and top by path."""
    face_of, boxes = {face.source_id: face for face in faces.itertuples()}, {}

    def one(row) -> tuple[str, bytes]:
        region, boxes[row.path] = painted(data, row, face_of.get(row.source_id))
        return stored(row.path), encode(region)

    return dict(parallel_map(one, rows.itertuples(), "packing fakes")), boxes


def compare_fakes(data: Path, again: Path, rows: pd.DataFrame) -> None:
    """WsdlError unless the fakes in `again` are those in `data`: every pixel, mask and row."""
    compare_pictures(data, again, rows)
    found = Dataset(again).select(kind="partial")
    if not found.reset_index(drop=True).equals(rows.reset_index(drop=True)):
        raise changed(data / "manifest.csv")


def loads(data: Path, generator: str, run: Path) -> None:
    """WsdlError unless the packed weights load."""
    painter, _ = painter_of(read_json(data / recipe_of(generator)), run)
    painter.load()


def contents(archive: Path) -> pd.DataFrame:
    """One row: style and generator, the number of fakes, then MB (10^6 bytes) of each part and of the archive."""
    about, count, size = parts_of(archive)
    row = {"style": about["style"], "generator": about["generator"], "partial": count["partial"]}
    return pd.DataFrame([row | {f"{part}_MB": size[part] for part in ("partial", "run", "tables", "all")}])
