"""`data merge`: several dataset folders become one, so that one training uses the images of all.

Every file and source face gets the name of its dataset in front: real/train/studio-0001.png. Splits stay as they are.
"""

from itertools import combinations
from pathlib import Path

import pandas as pd

from wsdl import __version__
from wsdl.core.io import WsdlError, copy_if_missing, sha256
from wsdl.core.locks import one_writer
from wsdl.core.parallel import parallel_map
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import in_several_splits, label_map_path, made_by_entries, write_manifest


@one_writer("out")
def merge_datasets(folders: list[Path], out: Path) -> Dataset:
    """Write the images, masks and label maps of `folders` to the dataset folder `out`; an interrupted call goes on.

    WsdlError, before anything is written, for fewer than two datasets, two of one name or of different image sizes,
    and where the same image file is in the training data of one and in the test data of another.
    """
    datasets, out = [Dataset(folder) for folder in folders], Path(out)
    if len(datasets) < 2:
        raise WsdlError(f"{out}: needs two or more dataset folders to merge, but got {len(datasets)}.")
    for one, other in combinations(datasets, 2):
        _check_pair(one, other)
    tables = [dataset.table.assign(folder=dataset.folder, dataset=dataset.info["name"]) for dataset in datasets]
    rows = pd.concat(tables, ignore_index=True)
    if len(leaks := in_several_splits(rows, "sha256")):
        first, second = leaks.drop_duplicates("split").head(2).itertuples()
        raise WsdlError(
            f"{first.folder / first.path}: is the same image as {second.folder / second.path}, which is in another "
            f"split ({leaks.sha256.nunique()} such images); a detector would be tested on images of its training."
        )
    recipe = {"merged": {dataset.info["name"]: dataset.info["manifest_sha256"] for dataset in datasets}}
    write_or_check_config(out / "recipe.json", recipe, begun=holds_images(out))
    merged = pd.DataFrame(parallel_map(lambda row: _copy_row(row, out), list(rows.itertuples()), "copying images"))
    made_by = [entry for dataset in datasets for entry in made_by_entries(dataset.info)]
    made_by.append({"command": f"python -m wsdl data merge {' '.join(map(str, folders))}", "version": __version__})
    names, licences = ([dataset.info.get(key, "unknown") for dataset in datasets] for key in ("name", "licence"))
    about = {"name": "+".join(names), "size": datasets[0].size, "licence": "; ".join(dict.fromkeys(licences))}
    write_manifest(out, merged, {**about, "made_by": made_by})
    return Dataset(out)


def _check_pair(one: Dataset, other: Dataset) -> None:
    """WsdlError where two datasets cannot be merged."""
    name = one.info["name"]
    if name == other.info["name"]:
        raise WsdlError(f"{other.folder}: is named '{name}' in dataset.json, as {one.folder} is; rename one of them.")
    if one.size != other.size:
        raise WsdlError(
            f"{other.folder}: has images of {other.size} px, but {one.folder} of {one.size} px; prepare both with one "
            f"--size."
        )


def _copy_row(row, out: Path) -> dict:
    """Copy the files of one row of the manifest; returns its row in the new one."""
    path, mask = _renamed(row.path, row.dataset), _renamed(row.mask, row.dataset) if row.mask else ""
    copies = {row.path: path} | ({row.mask: mask} if row.mask else {})
    labels = label_map_path(row)
    if row.kind == "real" and (row.folder / labels).exists():
        copies[labels] = _renamed(labels, row.dataset)
    for old, new in copies.items():
        copy_if_missing(row.folder / old, out / new)
    if sha256(out / path) != row.sha256:
        raise WsdlError(f"{row.folder / row.path}: is not the file of the manifest; run `python -m wsdl data check`.")
    source_id = f"{row.dataset}-{row.source_id}" if row.source_id else ""
    return {**row._asdict(), "path": path, "mask": mask, "source_id": source_id}


def _renamed(path: str, dataset: str) -> str:
    """real/train/0001.png -> real/train/DATASET-0001.png"""
    folder, name = path.rsplit("/", 1)
    return f"{folder}/{dataset}-{name}"
