"""Archives of the bundle that were changed, and datasets that must not be packed."""

import json
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np

from wsdl.core.io import sha256, write_json
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import write_manifest
from wsdl.data.masks import read_mask


def rewrite_archive(archive: Path, out: Path, change=None, manifest=None, zipinfo=None) -> Path:
    """A copy of `archive` with its members changed by change(dict) and its manifest by manifest(dict)."""
    with ZipFile(archive) as bundle:
        members = {name: bundle.read(name) for name in bundle.namelist()}
    about = json.loads(members["manifest.json"])
    if manifest:
        manifest(about)
        members["manifest.json"] = json.dumps(about).encode()
    if change:
        change(members)
    with ZipFile(out, "w") as bundle:
        for name, data in members.items():
            info = ZipInfo(name)
            if zipinfo:
                zipinfo(info)
            bundle.writestr(info, data)
    return out


def first_name(members, start: str) -> str:
    return next(name for name in members if name.startswith(start))


def first_partial_fake(folder: Path):
    return Dataset(folder).select("partial").iloc[0]


def rewrite_manifest(folder: Path) -> None:
    """Put the sha256 and areas of what lies in the folder into its manifest."""
    data = Dataset(folder)
    area = [read_mask(folder / row.mask).mean() if row.mask else row.area for row in data.table.itertuples()]
    hashes = [sha256(folder / path) for path in data.table.path]
    write_manifest(folder, data.table.assign(area=area, sha256=hashes), data.info)


def blacken_fake(folder: Path) -> None:
    write_image(folder / first_partial_fake(folder).path, np.zeros((32, 32, 3), np.uint8))


def change_licence(folder: Path) -> None:
    write_json(folder / "dataset.json", {**Dataset(folder).info, "licence": "unknown"})
