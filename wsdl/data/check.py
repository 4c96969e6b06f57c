"""`data check`: verify that a dataset folder matches its manifest and that its splits are disjoint."""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, sha256
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.data.dataset import Dataset
from wsdl.data.decode import check_upright, decode, pixels_in_file
from wsdl.data.dolos import describe_repeated
from wsdl.data.images import is_image_file
from wsdl.data.manifest import (
    SPLITS,
    check_splits,
    finish_manifest,
    in_several_splits,
    is_download,
    label_map_path,
    read_info,
    read_manifest,
)
from wsdl.data.masks import read_label_map, read_mask

AREA_ROUNDING = 1e-5  # the manifest keeps six digits


def check_dataset(folder: Path) -> list[str]:
    """All faults of a dataset folder, one sentence each; an empty list if there are none.

    Reads every file: sha256, size, mask areas (which also reveals inverted masks), splits that share a face or an
    image, files that the manifest does not list. Images that the Dolos download has in two splits are no fault, but
    reported on stderr. WsdlError where `folder` is not a dataset.
    """
    folder = Path(folder)
    finish_manifest(folder)
    if not (folder / "manifest.csv").exists():
        Dataset(folder)  # writes the manifest of a Dolos download, or raises
    info = read_info(folder)
    try:
        table = read_manifest(folder / "manifest.csv", info)
    except WsdlError as error:
        return [str(error)]
    rows = list(table.itertuples(index=False))
    checked = parallel_map(lambda row: _check_row(folder, row, info["size"]), rows, "checking",
                           lambda row: pixels_in_file(folder / row.path))  # fmt: skip
    found = [problem for some in checked for problem in some]
    if is_download(info) and (message := describe_repeated(table, folder)):
        print_stderr(message)  # a property of the download, with which it is used
    repeated = [] if is_download(info) else _find_repeated(table, folder)
    return found + _find_leaks(table, folder) + repeated + _find_unlisted_files(table, folder)


def _check_row(folder: Path, row, size: int) -> list[str]:
    """Faults of one row of the manifest: its image, then its mask."""
    path = folder / row.path
    if not path.exists():
        return [f"{path}: is in the manifest but does not exist; generate it again."]
    problems = []
    try:
        if sha256(path) != row.sha256:
            problems.append(f"{path}: is not the file that the manifest lists (its sha256 differs); generate it again.")
        decoded = decode(path)
        problems += _check_size(path, decoded.image.size[::-1], size)
        if row.kind == "partial":
            check_upright(path, decoded.orientation)
            problems += _check_mask(folder, row, size)
        if row.kind == "real" and (labels := folder / label_map_path(row)).exists():
            problems += _check_size(labels, read_label_map(labels).shape, size)
    except WsdlError as error:
        problems.append(str(error))
    return problems


def _check_mask(folder: Path, row, size: int) -> list[str]:
    """Faults of the mask of a partial fake, whose area the manifest lists."""
    if not row.mask and np.isnan(row.area):
        return []  # of a dataset with unknown masks
    if not row.mask:
        return [f"{folder / row.path}: is a partial fake, but the manifest names no mask for it."]
    path = folder / row.mask
    mask = read_mask(path)
    if problems := _check_size(path, mask.shape, size):
        return problems
    area = float(mask.mean())
    if area == row.area == 0:
        return [f"{path}: is empty (255 everywhere); a partial fake has an inpainted region, 0 in its mask."]
    if abs(area - row.area) <= AREA_ROUNDING:
        return []
    if abs(1 - area - row.area) <= AREA_ROUNDING:
        return [f"{path}: is inverted; 255 must be real and 0 fake, {row.area:.1%} of the image."]
    return [f"{path}: marks {area:.2%} of the image as fake, but the manifest lists {row.area:.2%}."]


def _check_size(path: Path, shape: tuple[int, ...], size: int) -> list[str]:
    if shape[:2] == (size, size):
        return []
    return [f"{path}: is {shape[1]}x{shape[0]}, but this dataset has {size}x{size}."]


def _find_leaks(table: pd.DataFrame, folder: Path) -> list[str]:
    """Faces that are in two splits."""
    try:
        check_splits(table, folder)
    except WsdlError as error:
        return [str(error)]
    return []


def _find_repeated(table: pd.DataFrame, folder: Path) -> list[str]:
    """Images that are in two splits."""
    return [
        f"{folder}: {' and '.join(same.path)} are the same image in different splits; remove all but one."
        for _, same in in_several_splits(table, "sha256").groupby("sha256")
    ]


def _find_unlisted_files(table: pd.DataFrame, folder: Path) -> list[str]:
    """Images in the folders of the layout that no row of the manifest lists."""
    known = {folder / name for name in (*table.path, *table["mask"]) if name}
    known |= {folder / label_map_path(row) for row in table[table.kind == "real"].itertuples()}
    return [
        f"{path}: is not in the manifest; remove it, or write the manifest again."
        for top in ("real", "fake", "components")
        for path in sorted((folder / top).rglob("*"))
        if is_image_file(path) and path not in known and "/." not in path.relative_to(folder).as_posix()
    ]


def summarize_dataset(folder: Path) -> pd.DataFrame:
    """One row per kind and generator: images in each split and in all, source faces, mean mask area."""
    table = Dataset(folder).table
    rows = []
    for (kind, generator), some in table.groupby(["kind", "generator"]):
        counts = {split: int((some.split == split).sum()) for split in SPLITS}
        rows.append({"kind": kind, "generator": generator, **counts, "images": len(some),
                     "faces": some.source_id.nunique(), "mean_area": some.area.mean()})  # fmt: skip
    order = {"real": 0, "full": 1, "partial": 2}
    return pd.DataFrame(rows).sort_values(["kind", "generator"], key=lambda c: c.map(order) if c.name == "kind" else c,
                                          ignore_index=True)  # fmt: skip
