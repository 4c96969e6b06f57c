"""Write the manifest of an official Dolos download, which has the folders of a dataset but no manifest.

Open one source of it, such as data/celebahq (PAPER.md, Data): real/SPLIT/*, fake/GENERATOR/SPLIT/* (full) and
fake/GENERATOR/{images,masks}/SPLIT/* (partial), where a mask has the file name of its image.
"""

import re
from pathlib import Path

import pandas as pd

from wsdl import __version__
from wsdl.core.io import WsdlError, sha256
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.data.decode import pixels_in_file
from wsdl.data.images import check_name, is_image_file, list_image_files, open_image
from wsdl.data.manifest import MANIFEST_COLUMNS, SPLITS, check_splits, write_manifest
from wsdl.data.masks import read_mask

_LICENCE = "CC BY-NC-SA 4.0 (Dolos)"


def write_dolos_manifest(folder: Path) -> None:
    """Write manifest.csv and dataset.json for a folder in the Dolos layout that has none.

    WsdlError, and nothing is written, for another layout, an image without its mask or the reverse, masks of inverted
    polarity, or a face in two splits.
    """
    folder = Path(folder)
    rows = _list_rows(folder)
    first = open_image(folder / rows[0]["path"])
    print_stderr(f"{folder}: has no manifest; reading {len(rows)} images in the Dolos layout to write one.")

    def complete(row: dict) -> dict:
        row["sha256"] = sha256(folder / row["path"])
        if row["mask"]:
            row["area"] = _mask_area(folder, row["mask"], first.size)
        return row

    def pixels_of_mask(row: dict) -> int:
        return pixels_in_file(folder / row["mask"]) if row["mask"] else 0

    table = pd.DataFrame(parallel_map(complete, rows, "reading", pixels_of_mask), columns=MANIFEST_COLUMNS)
    _check_polarity(table, folder)
    if len(empty := table.loc[(table.kind == "partial") & (table.area == 0), "mask"]):
        print_stderr(f"{folder / empty.iloc[0]}: is empty (255 everywhere), one of {len(empty)} such masks.")
    check_splits(table, folder)
    made_by = {"command": "the official Dolos download", "version": __version__}
    info = {"name": folder.resolve().name, "size": first.size[0], "licence": _LICENCE, "made_by": made_by}
    write_manifest(folder, table, info)


def _list_rows(folder: Path) -> list[dict]:
    """One row of the manifest per image, without sha256 and area."""
    real = {split: _images_by_stem(folder / "real" / split) for split in SPLITS}
    faces = {stem for found in real.values() for stem in found}
    rows = [_row(folder, path, "real", split, stem) for split, found in real.items() for stem, path in found.items()]
    for generator_folder in sorted(path for path in folder.glob("fake/*/") if not path.name.startswith(".")):
        check_name(generator_folder)
        for split in SPLITS:
            rows += _full_rows(folder, generator_folder, split) + _partial_rows(folder, generator_folder, split, faces)
    if rows:
        return rows
    advice = "prepare one, or give a folder with real/SPLIT and fake/GENERATOR as in the Dolos download"
    if inside := sorted(path.parent.name for path in folder.glob("*/real")):
        advice = f"open one of the folders in it ({', '.join(inside)})"
    raise WsdlError(f"{folder}: holds no dataset; {advice}.")


def _full_rows(folder: Path, generator_folder: Path, split: str) -> list[dict]:
    """Rows of the full fakes of one generator folder. They have no source face: each is its own."""
    found = _images_by_stem(generator_folder / split)
    return [
        _row(folder, path, "full", split, f"{generator_folder.name}/{split}/{stem}", generator_folder.name, area=1.0)
        for stem, path in found.items()
    ]


def _partial_rows(folder: Path, generator_folder: Path, split: str, faces: set[str]) -> list[dict]:
    """Rows of the partial fakes of one generator folder, each with its mask."""
    images, masks = generator_folder / "images" / split, generator_folder / "masks" / split
    fakes, fake_masks = _images_by_stem(images), _images_by_stem(masks)
    for stem in sorted({*fakes, *fake_masks}):
        if stem not in fake_masks:
            raise WsdlError(f"{fakes[stem]}: partial fake without a mask; {masks} has none named {stem}.")
        if stem not in fakes:
            raise WsdlError(f"{fake_masks[stem]}: mask without a partial fake; {images} has none named {stem}.")
    return [
        _row(folder, path, "partial", split, _source_face(stem, faces), generator_folder.name, mask=fake_masks[stem])
        for stem, path in fakes.items()
    ]


def _row(folder: Path, path: Path, kind: str, split: str, source: str, generator="", mask=None, area=0.0) -> dict:
    mask = mask.relative_to(folder).as_posix() if mask else ""
    path = path.relative_to(folder).as_posix()
    return {"path": path, "mask": mask, "kind": kind, "generator": generator, "component": "", "area": area,
            "source_id": source, "split": split}  # fmt: skip


def _images_by_stem(folder: Path) -> dict[str, Path]:
    """The images in `folder` by stem; empty where there is no such folder (not every generator has every split)."""
    filled = folder.is_dir() and any(map(is_image_file, folder.iterdir()))
    return list_image_files(folder) if filled else {}


def _source_face(stem: str, faces: set[str]) -> str:
    """The source face of a partial fake: the longest prefix of its name, cut at "-" or "_", that names a real face.

    Where there is none, the name up to its first "-" or "_". The file names of the download are not documented in the
    paper, so this is an assumption: check `source_id` in manifest.csv before you rely on it.
    """
    starts = [stem[: cut.start()] for cut in re.finditer(r"[-_]", stem)] + [stem]
    return next((start for start in reversed(starts) if start in faces), starts[0])


def _mask_area(folder: Path, name: str, size: tuple[int, int]) -> float:
    mask = read_mask(folder / name)
    if mask.shape[::-1] != size:
        raise WsdlError(f"{folder / name}: is {mask.shape[1]}x{mask.shape[0]}, but the images are "
                        f"{size[0]}x{size[1]}.")  # fmt: skip
    return float(mask.mean())


def _check_polarity(table: pd.DataFrame, folder: Path) -> None:
    """WsdlError where a generator's masks cover more than half of the image on average: 255 must be real."""
    for generator, area in table[table.kind == "partial"].groupby("generator").area.mean().items():
        if area > 0.5:
            raise WsdlError(f"{folder / 'fake' / generator / 'masks'}: mark {area:.0%} of an image as fake on average, "
                            f"so they are probably inverted; 255 must be real and 0 fake.")  # fmt: skip
