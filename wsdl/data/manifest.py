"""The manifest of a dataset folder, which has the layout of the Dolos download.

dataset.json    name, size, licence, made_by, sha256 of the manifest
manifest.csv    one row per image, with the columns MANIFEST_COLUMNS; an unknown mask and its area are empty
real/SPLIT/ID.png · components/SPLIT/ID.png (label maps of the real faces)
fake/GENERATOR/SPLIT/ID.png (full) · fake/GENERATOR/{images,masks}/SPLIT/ID.png (partial)
"""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.config import FULL_GENERATORS
from wsdl.core.io import WsdlError, atomic, path_inside, sha256, sync_to_disk, write_json
from wsdl.core.leftovers import delete_leftovers
from wsdl.core.locks import hold_lock
from wsdl.core.records import read_object
from wsdl.data.masks import COMPONENTS

KINDS = ("real", "full", "partial")
SPLITS = ("train", "valid", "test")
MANIFEST_COLUMNS = ("path", "mask", "kind", "generator", "component", "area", "source_id", "split", "sha256")
MAX_SIZE = 16_384  # side of an image in pixels
PENDING_MANIFEST = ".manifest.next.csv"  # a new manifest whose sha256 is not yet in dataset.json
DOWNLOAD = "the official Dolos download"  # `command` of made_by in dataset.json
_TEXT = {column: str for column in MANIFEST_COLUMNS if column != "area"}
_CSV = {"index": False, "lineterminator": "\n", "float_format": "%.6f"}


def label_map_path(row) -> str:
    """Path of the label map of a real face (a row of the table) within the dataset folder."""
    return f"components/{row.split}/{Path(row.path).stem}.png"


def read_manifest(path: Path, info: dict) -> pd.DataFrame:
    """The manifest as a table with MANIFEST_COLUMNS; `info` is the content of dataset.json.

    All that is read from files is checked here, once, because paths and names of files are made of it. WsdlError where
    the sha256 is not the one in dataset.json, for other columns, and for a value that a column cannot have.
    """
    _check_info(info, path.with_name("dataset.json"))
    if (found := sha256(path)) != info["manifest_sha256"]:
        raise WsdlError(
            f"{path}: has sha256 {found[:12]}..., but dataset.json lists "
            f"{info['manifest_sha256'][:12]}...; restore it, or prepare the dataset again."
        )
    try:
        table = pd.read_csv(path, dtype=_TEXT, keep_default_na=False)
    except ValueError as error:  # an empty file, rows of unequal length, text that is not UTF-8
        reason = " ".join(str(error).split())
        raise WsdlError(f"{path}: is not a table ({reason}); restore it, or prepare the dataset again.") from None
    if tuple(table.columns) != MANIFEST_COLUMNS:
        found = repr(", ".join(table.columns))[:100]
        raise WsdlError(f"{path}: has the columns {found}; expected {', '.join(MANIFEST_COLUMNS)}.")
    table[["path", "mask"]] = table[["path", "mask"]].apply(lambda names: names.str.replace("\\", "/"))  # of Windows
    return _checked_table(table, path)


def read_info(folder: Path) -> dict:
    """The content of dataset.json. WsdlError where it is missing or damaged."""
    path = Path(folder) / "dataset.json"
    return _check_info(read_object(path), path)


def is_download(info: dict) -> bool:
    """Whether a dataset with this dataset.json is an official Dolos download."""
    return any(entry.get("command") == DOWNLOAD for entry in made_by_entries(info))


def has_unknown_sources(info: dict) -> bool:
    """Whether the file names of a download do not tell the source faces: then each image is its own in the manifest."""
    return any(entry.get("source_faces") == "unknown" for entry in made_by_entries(info))


def has_unknown_mask(table: pd.DataFrame) -> pd.Series:
    """Whether a row is a partial fake whose inpainted region is not known: bool [n]."""
    return (table.kind == "partial") & (table["mask"] == "")


def made_by_entries(info: dict) -> list[dict]:
    """The entries of made_by."""
    entries = info.get("made_by", [])
    return entries if isinstance(entries, list) else [entries]


def _check_info(info: dict, path: Path) -> dict:
    """`info`, the content of dataset.json. WsdlError where an entry that others rely on is missing or another type."""
    entries, size = made_by_entries(info), info.get("size")
    right = {
        "name": ("text", isinstance(info.get("name"), str)),
        "size": (f"a whole number from 1 to {MAX_SIZE:,}", type(size) is int and 1 <= size <= MAX_SIZE),
        "licence": ("text", isinstance(info.get("licence", ""), str)),
        "manifest_sha256": ("text", isinstance(info.get("manifest_sha256"), str)),
        "made_by": ("one or more JSON objects", all(isinstance(entry, dict) for entry in entries)),
    }
    for key, (what, is_right) in right.items():
        if not is_right:
            raise WsdlError(f"{path}: has {key} {str(info.get(key))[:40]!r}, but must have {what}; restore it.")
    return info


def _checked_table(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """`table` with areas as float. WsdlError names the first row with a value that its column cannot have."""

    def refuse(wrong: pd.Series, column: str, right: str) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise WsdlError(f"{path}: line {row + 2} has {column} {str(table[column].iloc[row])[:80]!r}, {right}.")

    refuse(table.index != np.arange(len(table)), "path", "and more values than there are columns")
    refuse(~table.kind.isin(KINDS), "kind", f"but kinds are {', '.join(KINDS)}")
    refuse(~table.split.isin(SPLITS), "split", f"but splits are {', '.join(SPLITS)}")
    refuse(~table.component.isin(["", *COMPONENTS]), "component", f"but components are {', '.join(COMPONENTS)}")
    refuse(table.generator.str.contains("/"), "generator", "but a generator is a name without /")
    refuse(table.path.duplicated(), "path", "which another line has too; keep one of them")
    for name in [*table.path, *filter(None, [*table["mask"], *table.generator])]:
        path_inside(path.parent, name)
    area = pd.to_numeric(table.area, errors="coerce")
    is_unknown = has_unknown_mask(table) & (table.area.astype(str) == "")
    refuse(~area.between(0, 1) & ~is_unknown, "area", "but an area is a fraction from 0 to 1")
    return table.assign(area=area.astype(float))


def keep_generators(table: pd.DataFrame, generators: tuple[str, ...], folder: Path) -> pd.DataFrame:
    """`table` without partial fakes by other generators. WsdlError for a generator that has no fakes.

    Full fakes are kept, or, where `generators` names some of theirs, only those.
    """
    partial, full = table.kind == "partial", table.kind == "full"
    available = sorted(set(table.generator[partial]))
    named_full = set(generators) & set(table.generator[full])
    for generator in generators:
        if generator not in available and generator in FULL_GENERATORS.values() and generator not in named_full:
            sampler = next(name for name, made in FULL_GENERATORS.items() if made == generator)
            raise WsdlError(
                f"{folder}: has no full fakes by '{generator}'; generate them with `python -m wsdl generate p2 "
                f"--sampler {sampler} --out {folder} --count N`."
            )
        if generator not in available and generator not in named_full:
            name, clean = generator.removesuffix("-clean"), " --clean" if generator.endswith("-clean") else ""
            raise WsdlError(
                f"{folder}: has no partial fakes by '{generator}' (by {', '.join(available) or 'no generator'}); "
                f"generate them with `python -m wsdl generate {name} --data {folder} --weights RUN --count N{clean}`, "
                f"where RUN is a run of `python -m wsdl train-generator {name.removeprefix('repaint-')}`."
            )
    chosen = table.generator.isin(generators)
    return table[~(partial | full) | chosen | (full & (not named_full))]


def write_manifest(folder: Path, table: pd.DataFrame, info: dict) -> None:
    """Write manifest.csv (sorted by path) and dataset.json with its sha256.

    To change the manifest of a dataset that other processes may change too, use `update_manifest`.
    """
    with _manifest_lock(folder):
        _replace_manifest(Path(folder), table, info)


def update_manifest(folder: Path, change: Callable[[pd.DataFrame, dict], tuple[pd.DataFrame, dict]]) -> None:
    """Replace the table of the manifest and the content of dataset.json by the result of `change(table, info)`.

    Both are read under the lock under which they are written, so that no change of another process is lost.
    """
    folder = Path(folder)
    with _manifest_lock(folder):
        _complete_pending(folder)
        info = read_info(folder)
        _replace_manifest(folder, *change(read_manifest(folder / "manifest.csv", info), info))


def finish_manifest(folder: Path) -> None:
    """Complete an interrupted write of the manifest, or undo it. Waits for a process that is writing one."""
    if (Path(folder) / PENDING_MANIFEST).exists():
        with _manifest_lock(folder):
            _complete_pending(Path(folder))


def _manifest_lock(folder: Path) -> AbstractContextManager:
    return hold_lock(Path(folder) / ".manifest.lock", wait=True)


def _replace_manifest(folder: Path, table: pd.DataFrame, info: dict) -> None:
    """Two files cannot be renamed at once: the new manifest has a temporary name until dataset.json is written."""
    table = table[list(MANIFEST_COLUMNS)].sort_values("path")
    with atomic(folder / PENDING_MANIFEST, sync=True) as temporary:
        table.to_csv(temporary, **_CSV)
    write_json(folder / "dataset.json", {**info, "manifest_sha256": sha256(folder / PENDING_MANIFEST)})
    _complete_pending(folder)


def _complete_pending(folder: Path) -> None:
    """Rename the new manifest if dataset.json has its sha256, else delete it. The caller holds the lock."""
    delete_leftovers(folder, ".*.part")
    pending, info = folder / PENDING_MANIFEST, folder / "dataset.json"
    if not pending.exists():
        return
    if info.exists() and read_object(info).get("manifest_sha256") == sha256(pending):
        pending.replace(pending.with_name("manifest.csv"))
        sync_to_disk(folder)
    else:
        pending.unlink()


def in_several_splits(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows of `table` whose value in `column`, unless it is empty, occurs in several splits; sorted by it."""
    named = table[table[column] != ""]
    return named[named.groupby(column).split.transform("nunique") > 1].sort_values([column, "split"])


def check_splits(table: pd.DataFrame, folder: Path) -> None:
    """WsdlError where images of one source face are in several splits: a test face would be in the training set."""
    leaks = in_several_splits(table, "source_id")
    if len(leaks):
        face = leaks.source_id.iloc[0]
        where = leaks.split[leaks.source_id == face].unique()
        raise WsdlError(
            f"{folder}: source face '{face}' is in {' and '.join(where)} ({leaks.source_id.nunique()} such "
            f"faces); all images of a face must be in one split."
        )


def assign_splits(names: list[str], seed: int, fractions: tuple[float, float] = (0.1, 0.1)) -> dict[str, str]:
    """Assign each name to train, valid or test: `fractions` of valid and test, by a seeded shuffle."""
    from wsdl.core.io import seed_for

    ranked = sorted(names, key=lambda name: seed_for(seed, "split", name))
    valid, test = (max(1, round(len(ranked) * fraction)) for fraction in fractions)
    if len(ranked) < valid + test + 1:
        raise WsdlError(f"{len(ranked)} images cannot be split into train, valid and test; give at least 3.")
    return {name: "valid" if i < valid else "test" if i < valid + test else "train" for i, name in enumerate(ranked)}


def hash_faces(faces: pd.DataFrame) -> str:
    """A sha256 of the real faces `faces`: their source ids, splits and files."""
    lines = sorted(f"{face.source_id} {face.split} {face.sha256}" for face in faces.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hash_manifest(table: pd.DataFrame) -> str:
    """The sha256 of manifest.csv with the rows of `table`."""
    text = table[list(MANIFEST_COLUMNS)].sort_values("path").to_csv(**_CSV)
    return hashlib.sha256(text.encode()).hexdigest()
