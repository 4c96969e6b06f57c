"""Write the manifest of an official Dolos download, which has the folders of a dataset but no manifest.

Open one source of it, such as data/celebahq: real/SPLIT/*, fake/GENERATOR/SPLIT/* (full) and
fake/GENERATOR/{images,masks}/SPLIT/* (partial), where a mask has the file name of its image.

How the fakes are named is not published. The source face is guessed from the name, and where guesses contradict the
splits, names count as unknown: the splits of the download are kept and each image is its own source face.
"""

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from wsdl import __version__
from wsdl.core.io import WsdlError, sha256
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.data.decode import pixels_in_file, size_in_file
from wsdl.data.images import check_name, is_image_file, list_image_files
from wsdl.data.manifest import DOWNLOAD, MANIFEST_COLUMNS, SPLITS, in_several_splits, write_manifest
from wsdl.data.masks import read_mask

_LICENCE = "CC BY-NC-SA 4.0 (Dolos)"
_OTHER_NAMES = {"valid": ("val",)}  # of the folder of a split
_ENOUGH_MASKS = 10  # in a split, for a check of their mean area


def write_dolos_manifest(folder: Path) -> None:
    """Write manifest.csv and dataset.json for a folder in the Dolos layout that has none.

    Prints a warning where names do not tell the source faces, and where an image is in two splits. WsdlError, and
    nothing is written, for another layout, an image without its mask or the reverse, images of several sizes, or masks
    of inverted polarity.
    """
    folder = Path(folder)
    rows = _list_rows(folder)
    _report_other_folders(folder)
    print_stderr(f"{folder}: has no manifest; reading {len(rows)} images in the Dolos layout to write one.")

    def complete(row: dict) -> dict:
        row |= {"sha256": sha256(folder / row["path"]), "size": size_in_file(folder / row["path"])}
        if not row["mask"]:
            return row | {"mask_size": row["size"]}
        mask = read_mask(folder / row["mask"])
        return row | {"mask_size": mask.shape[::-1], "area": float(mask.mean())}

    def pixels_of_mask(row: dict) -> int:
        return pixels_in_file(folder / row["mask"]) if row["mask"] else 0

    table = pd.DataFrame(parallel_map(complete, rows, "reading", pixels_of_mask))
    size = _common_size(table, folder)
    table = table[[*MANIFEST_COLUMNS]]
    _check_polarity(table, folder)
    if len(empty := table.loc[(table.kind == "partial") & (table.area == 0), "mask"]):
        print_stderr(f"{folder / empty.iloc[0]}: is empty (255 everywhere), one of {len(empty)} such masks.")
    made_by = {"command": DOWNLOAD, "version": __version__}
    if len(leaks := in_several_splits(table, "source_id")):
        print_stderr(
            f"{folder}: file names do not tell the source faces; those guessed from them contradict the splits "
            f"{leaks.source_id.nunique()} times ({_examples(leaks, 'source_id')}). The splits of the download are "
            f"kept, each image counts as a face of its own, and intervals are over images, not faces."
        )
        table["source_id"] = [Path(path).with_suffix("").as_posix() for path in table.path]
        made_by["source_faces"] = "unknown"
    if message := describe_repeated(table, folder):
        print_stderr(message)
    write_manifest(
        folder, table, {"name": folder.resolve().name, "size": size, "licence": _LICENCE, "made_by": made_by}
    )


def describe_repeated(table: pd.DataFrame, folder: Path) -> str:
    """A sentence about images that are in several splits, with three examples; "" where there are none."""
    leaks = in_several_splits(table, "sha256")
    if leaks.empty:
        return ""
    return (
        f"{folder}: {leaks.sha256.nunique()} images are in several splits ({_examples(leaks, 'sha256')}); a detector "
        f"that is trained on one split of these has seen images of another."
    )


def _examples(leaks: pd.DataFrame, column: str) -> str:
    """The first three of `in_several_splits`, each by two of its files: "A and B; C and D; E and F"."""
    pairs = [some.drop_duplicates("split").path.head(2) for _, some in leaks.groupby(column)]
    return "; ".join(sorted(" and ".join(pair) for pair in pairs)[:3])


def _list_rows(folder: Path) -> list[dict]:
    """One row of the manifest per image, without sha256 and area."""
    real = {split: _split_images(folder / "real", split) for split in SPLITS}
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
    found = _split_images(generator_folder, split)
    return [
        _row(folder, path, "full", split, f"{generator_folder.name}/{split}/{stem}", generator_folder.name, area=1.0)
        for stem, path in found.items()
    ]


def _partial_rows(folder: Path, generator_folder: Path, split: str, faces: set[str]) -> list[dict]:
    """Rows of the partial fakes of one generator folder, each with its mask."""
    images, masks = generator_folder / "images", generator_folder / "masks"
    fakes, fake_masks = _split_images(images, split), _split_images(masks, split)
    for stem in sorted({*fakes, *fake_masks}):
        if stem not in fake_masks:
            raise WsdlError(f"{fakes[stem]}: partial fake without a mask; {masks / split} has none named {stem}.")
        if stem not in fakes:
            raise WsdlError(f"{fake_masks[stem]}: mask without a partial fake; {images / split} has none named {stem}.")
    return [
        _row(folder, path, "partial", split, _source_face(stem, faces), generator_folder.name, mask=fake_masks[stem])
        for stem, path in fakes.items()
    ]


def _row(folder: Path, path: Path, kind: str, split: str, source: str, generator="", mask=None, area=0.0) -> dict:
    mask = mask.relative_to(folder).as_posix() if mask else ""
    path = path.relative_to(folder).as_posix()
    return {"path": path, "mask": mask, "kind": kind, "generator": generator, "component": "", "area": area,
            "source_id": source, "split": split}  # fmt: skip


def _split_images(folder: Path, split: str) -> dict[str, Path]:
    """The images of one split by stem; empty where there are none (not every generator has every split)."""
    for name in (split, *_OTHER_NAMES.get(split, ())):
        inside = folder / name
        if inside.is_dir() and any(map(is_image_file, inside.iterdir())):
            return list_image_files(inside)
    return {}


def _report_other_folders(folder: Path) -> None:
    """Name the folders with images beside those of the splits, which are not read."""
    parts = [folder / "real", *folder.glob("fake/*/"), *folder.glob("fake/*/images/"), *folder.glob("fake/*/masks/")]
    for inside in sorted(path for part in parts for path in part.glob("*/") if not path.name.startswith(".")):
        is_read = any(inside.name in (split, *_OTHER_NAMES.get(split, ())) for split in SPLITS)
        if not is_read and any(map(is_image_file, inside.iterdir())):
            print_stderr(f"{inside}: is not read; the folders of the splits are train, valid (or val) and test.")


def _source_face(stem: str, faces: set[str]) -> str:
    """The source face of a partial fake: the longest prefix of its name, cut at "-" or "_", that names a real face.

    Where there is none, the name up to its first "-" or "_". The file names of the download are not documented in the
    paper, so this is an assumption: check `source_id` in manifest.csv before you rely on it.
    """
    starts = [stem[: cut.start()] for cut in re.finditer(r"[-_]", stem)] + [stem]
    return next((start for start in reversed(starts) if start in faces), starts[0])


def _common_size(table: pd.DataFrame, folder: Path) -> int:
    """The side of most images. WsdlError for an image of another size, or a mask of another size than its image."""
    (common, count), *_ = Counter(table["size"]).most_common()
    shown = "x".join(map(str, common))
    if common[0] != common[1]:
        raise WsdlError(f"{folder}: has images of {shown} pixels, but a dataset has square ones; crop or resize them.")
    for row in table.itertuples():
        if row.size != common:
            raise WsdlError(f"{folder / row.path}: is {'x'.join(map(str, row.size))}, but {count} of {len(table)} "
                            f"images are {shown}; resize it or take it out, a fake with its mask.")  # fmt: skip
        if row.mask_size != common:
            raise WsdlError(f"{folder / row.mask}: is {'x'.join(map(str, row.mask_size))}, but its image is {shown}.")
    return common[0]


def _check_polarity(table: pd.DataFrame, folder: Path) -> None:
    """WsdlError where a generator's masks cover more than half of the image on average: 255 must be real."""
    partial = table[table.kind == "partial"]
    means = [(f"{name}/masks", some.area) for name, some in partial.groupby("generator")]
    means += [(f"{name}/masks/{split}", some.area) for (name, split), some in partial.groupby(["generator", "split"])
              if len(some) >= _ENOUGH_MASKS]  # fmt: skip
    for where, areas in means:
        if areas.mean() > 0.5:
            raise WsdlError(f"{folder / 'fake' / where}: mark {areas.mean():.0%} of an image as fake on average, "
                            f"so they are probably inverted; 255 must be real and 0 fake.")  # fmt: skip
