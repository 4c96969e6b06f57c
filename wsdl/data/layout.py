"""A dataset is a folder in the layout of the Dolos download, with a manifest beside it.

dataset.json    name, size, licence, made_by, sha256 of the manifest
manifest.csv    one row a picture; its columns are COLUMNS
real/SPLIT/ID.png · components/SPLIT/ID.png (label maps of the real faces)
fake/GENERATOR/SPLIT/ID.png (full) · fake/GENERATOR/{images,masks}/SPLIT/ID.png (partial)
"""

import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.data.masks import read_labels, read_mask
from wsdl.data.pictures import read_picture
from wsdl.files import WsdlError, atomic, read_json, sha256, write_json
from wsdl.progress import bar

SPLITS = ("train", "valid", "test")
COLUMNS = ("path", "mask", "kind", "generator", "component", "area", "source_id", "split", "sha256")
NEXT = ".manifest.next.csv"  # a manifest that is written but not yet vouched for


class Dataset:
    """An opened dataset folder. `table` has one row a picture; `images` and `masks` are indexed like it.

    generators: whose partial fakes `table` lists; the others are passed over. (): all of them.
    """

    def __init__(self, folder: Path, generators: tuple[str, ...] = ()):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise WsdlError(f"{folder}: no such folder; make one with `python -m wsdl data prepare`.")
        finish_manifest(self.folder)
        if not (self.folder / "manifest.csv").exists():
            from wsdl.data.dolos import adopt

            adopt(self.folder)
        self.info = read_json(self.folder / "dataset.json")
        self._all = read_manifest(self.folder / "manifest.csv", self.info)
        check_splits(self._all, self.folder)
        self.table = only(self._all, generators, self.folder) if generators else self._all
        self.generators = tuple(sorted(set(self.table.generator[self.table.kind == "partial"])))

    @property
    def passes_over(self) -> bool:
        """Whether the folder holds partial fakes that `table` does not list."""
        return len(self.table) < len(self._all)

    @property
    def size(self) -> int:
        """Side of every picture in pixels."""
        return self.info["size"]

    def select(self, kind: str | None = None, split: str | None = None, generator: str | None = None) -> pd.DataFrame:
        """The rows of one kind (real, full, partial), split and generator; the index points into `images`."""
        table = self.table
        for column, value in (("kind", kind), ("split", split), ("generator", generator)):
            if value is not None:
                table = table[table[column] == value]
        return table

    def faces_of(self, fakes: pd.DataFrame) -> np.ndarray:
        """Where in `images` the real face of each row of `fakes` is: int [n]. WsdlError where one is missing."""
        real = self.select(kind="real")
        where = pd.Series(real.index, real.source_id).reindex(fakes.source_id)
        if where.isna().any():
            lost = where.index[where.isna()][0]
            raise WsdlError(f"{self.folder}: has no real face '{lost}' to hold its fakes against; keep both together.")
        return where.to_numpy(int)

    @cached_property
    def images(self) -> np.ndarray:
        """uint8 [n, S, S, 3] on disk (memory-mapped), decoded once for each version of the manifest."""
        return self._cached("images", (len(self._all), self.size, self.size, 3), self._image)

    @cached_property
    def masks(self) -> np.ndarray:
        """uint8 [n, S, S], 1 = fake: zeros for real, ones for full fakes. Memory-mapped like `images`."""
        return self._cached("masks", (len(self._all), self.size, self.size), self._mask)

    def labels(self, row) -> np.ndarray:
        """The component label map uint8 [S, S] of a real face (a row of `table`)."""
        path = self.folder / components_of(row)
        if not path.exists():
            raise WsdlError(f"{path}: no component mask to say where to paint; prepare the data with --masks.")
        return read_labels(path)

    def _image(self, row) -> np.ndarray:
        return read_picture(self.folder / row.path)

    def _mask(self, row) -> np.ndarray:
        if row.kind == "partial":
            return read_mask(self.folder / row.mask)
        return np.full((self.size, self.size), row.kind == "full", np.uint8)

    def _cached(self, name: str, shape: tuple[int, ...], read) -> np.ndarray:
        version = self.info["manifest_sha256"][:16]
        path = self.folder / ".cache" / version / f"{name}.npy"
        if not path.exists():
            for old in (self.folder / ".cache").glob("*"):
                if old.name != version:
                    shutil.rmtree(old, ignore_errors=True)
            with atomic(path) as temporary:
                self._fill(np.lib.format.open_memmap(temporary, "w+", np.uint8, shape), name, read)
        return np.load(path, mmap_mode="r")

    def _fill(self, array: np.ndarray, name: str, read) -> None:
        progress = bar(len(array), f"decoding {name}")
        for index, row in enumerate(self._all.itertuples()):
            value = read(row)
            if value.shape != array.shape[1:]:
                raise WsdlError(
                    f"{self.folder / row.path}: its {name[:-1]} is {value.shape[1]}x{value.shape[0]}, but this "
                    f"dataset has {self.size}x{self.size}."
                )
            array[index] = value
            progress.update()
        progress.close()
        array.flush()


def components_of(row) -> str:
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
    if tuple(table.columns) != COLUMNS:
        raise WsdlError(f"{path}: has the columns {', '.join(table.columns)}; expected {', '.join(COLUMNS)}.")
    return table


def only(table: pd.DataFrame, generators: tuple[str, ...], folder: Path) -> pd.DataFrame:
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
    table = table[list(COLUMNS)].sort_values("path")
    with atomic(folder / NEXT) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
    write_json(folder / "dataset.json", {**info, "manifest_sha256": sha256(folder / NEXT)})
    finish_manifest(folder)


def finish_manifest(folder: Path) -> None:
    """Put the waiting manifest in its place if dataset.json vouches for it; drop it if not."""
    waiting, about = Path(folder) / NEXT, Path(folder) / "dataset.json"
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


def split_names(names: list[str], seed: int, fractions: tuple[float, float] = (0.1, 0.1)) -> dict[str, str]:
    """Assign each name to train, valid or test: `fractions` of valid and test, by a seeded shuffle."""
    from wsdl.files import seed_for

    ranked = sorted(names, key=lambda name: seed_for(seed, "split", name))
    valid, test = (max(1, round(len(ranked) * part)) for part in fractions)
    if len(ranked) < valid + test + 1:
        raise WsdlError(f"{len(ranked)} pictures cannot be split into train, valid and test; give at least 3.")
    return {name: "valid" if i < valid else "test" if i < valid + test else "train" for i, name in enumerate(ranked)}
