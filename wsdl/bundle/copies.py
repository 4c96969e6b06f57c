"""A copy of a bundled dataset of one's own, where fakes may be added."""

import shutil
from contextlib import suppress
from pathlib import Path

from wsdl.bundle.unpack import unpack, whole_folder
from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import write_manifest


def copy_to(out: Path, style: str, fakes: bool = True, archive: Path | None = None, cache: Path | None = None) -> None:
    """Copy the dataset of `style` to `out`, by default with its fakes. Nothing happens if `out` holds it already.

    archive and cache: as in `unpack`. WsdlError where `out` holds something else.
    """
    source, out = unpack(style, archive, cache), Path(out).absolute()
    table = Dataset(source).table
    table = table if fakes else table[table.kind == "real"]
    if holds(out, table):
        return print_stderr(f"{out}: unpacked already.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WsdlError(f"{out}: holds something else already; choose another --out.")
    with suppress(FileNotFoundError):
        out.rmdir()  # it is empty: not every system renames onto a folder
    left_behind = shutil.ignore_patterns(".cache", *([] if fakes else ["fake"]))
    with whole_folder(out) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=left_behind)
        if not fakes:
            write_manifest(folder, table, Dataset(source).info)


def holds(out: Path, table) -> bool:
    """Whether `out` is a dataset that lists every picture of `table`."""
    if not (out / "manifest.csv").exists():
        return False
    ours = Dataset(out).table
    return set(zip(table.path, table.sha256, strict=True)) <= set(zip(ours.path, ours.sha256, strict=True))
