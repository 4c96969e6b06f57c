"""A dataset is a folder in the layout of the Dolos download, with a manifest beside it.

dataset.json    name, size, licence, made_by, sha256 of the manifest
manifest.csv    one row a picture; its columns are COLUMNS
real/SPLIT/ID.png · components/SPLIT/ID.png (label maps of the real faces)
fake/GENERATOR/SPLIT/ID.png (full) · fake/GENERATOR/{images,masks}/SPLIT/ID.png (partial)
"""

import hashlib
from pathlib import Path

import pandas as pd

from wsdl.core.io import WsdlError, atomic, read_json, sha256, write_json

SPLITS = ("train", "valid", "test")
MANIFEST_COLUMNS = ("path", "mask", "kind", "generator", "component", "area", "source_id", "split", "sha256")
PENDING_MANIFEST = ".manifest.next.csv"  # a manifest that is written but not yet vouched for


def label_map_path(row) -> str:
    """Where a dataset keeps the label map of a real face (a row of its table)."""
    return f"components/{row.split}/{Path(row.path).stem}.png"


def read_manifest(path: Path, info: dict) -> pd.DataFrame:
    """The manifest as a table of COLUMNS. WsdlError if it is not the one that dataset.json vouches for."""
    if (found := sha256(path)) != info.get("manifest_sha256"):
        raise WsdlError(
            f"{path}: has sha256 {found[:12]}..., but dataset.json says "
            f"{str(info.get('manifest_sha256'))[:12]}...; restore it, or prepare the data again."
        )
    table = pd.read_csv(path, dtype={"source_id": str}, keep_default_na=False)
    if tuple(table.columns) != MANIFEST_COLUMNS:
        raise WsdlError(f"{path}: has the columns {', '.join(table.columns)}; expected {', '.join(MANIFEST_COLUMNS)}.")
    return table


def keep_generators(table: pd.DataFrame, generators: tuple[str, ...], folder: Path) -> pd.DataFrame:
    """`table` without the partial fakes of other generators. WsdlError names one of `generators` that has none."""
    partial = table.kind == "partial"
    there = sorted(set(table.generator[partial]))
    for generator in generators:
        if generator not in there:
            name, clean = generator.removesuffix("-clean"), " --clean" if generator.endswith("-clean") else ""
            raise WsdlError(
                f"{folder}: has no partial fakes by '{generator}' (by {', '.join(there) or 'no generator'}); make "
                f"them with `python -m wsdl generate {name} --data {folder} --weights RUN --count N{clean}`, where RUN "
                f"is what `python -m wsdl train-generator {name.removeprefix('repaint-')}` trained."
            )
    return table[~partial | table.generator.isin(generators)]


def write_manifest(folder: Path, table: pd.DataFrame, info: dict) -> None:
    """Write manifest.csv (sorted by path) and dataset.json that vouches for it.

    Two files cannot be renamed at once, so the new manifest waits beside the old one until dataset.json is written;
    `finish_manifest` ends what a kill in between left.
    """
    folder = Path(folder)
    table = table[list(MANIFEST_COLUMNS)].sort_values("path")
    with atomic(folder / PENDING_MANIFEST) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
    write_json(folder / "dataset.json", {**info, "manifest_sha256": sha256(folder / PENDING_MANIFEST)})
    finish_manifest(folder)


def finish_manifest(folder: Path) -> None:
    """Put the waiting manifest in its place if dataset.json vouches for it; drop it if not."""
    waiting, about = Path(folder) / PENDING_MANIFEST, Path(folder) / "dataset.json"
    if not waiting.exists():
        return
    if about.exists() and read_json(about).get("manifest_sha256") == sha256(waiting):
        waiting.replace(waiting.with_name("manifest.csv"))
    else:
        waiting.unlink()


def check_splits(table: pd.DataFrame, folder: Path) -> None:
    """All pictures of one source face are in one split, or WsdlError: else a test face was seen in training."""
    splits = table[table.source_id != ""].groupby("source_id").split.nunique()
    if (splits > 1).any():
        face = splits.index[splits > 1][0]
        where = sorted(table[table.source_id == face].split.unique())
        raise WsdlError(
            f"{folder}: source face '{face}' is in {' and '.join(where)} ({(splits > 1).sum()} such "
            f"faces); all pictures of a face must share one split."
        )


def assign_splits(names: list[str], seed: int, fractions: tuple[float, float] = (0.1, 0.1)) -> dict[str, str]:
    """Assign each name to train, valid or test: `fractions` of valid and test, by a seeded shuffle."""
    from wsdl.core.io import seed_for

    ranked = sorted(names, key=lambda name: seed_for(seed, "split", name))
    valid, test = (max(1, round(len(ranked) * part)) for part in fractions)
    if len(ranked) < valid + test + 1:
        raise WsdlError(f"{len(ranked)} pictures cannot be split into train, valid and test; give at least 3.")
    return {name: "valid" if i < valid else "test" if i < valid + test else "train" for i, name in enumerate(ranked)}


def hash_faces(faces: pd.DataFrame) -> str:
    """What tells these real faces from others."""
    lines = sorted(f"{face.source_id} {face.split} {face.sha256}" for face in faces.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
