"""Dataset folders: rows of the manifest, images and masks as arrays."""

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, atomic, cache_home
from wsdl.core.leftovers import delete_leftovers
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.data.decode import check_upright, decode
from wsdl.data.decoded import DecodedArray
from wsdl.data.manifest import (
    check_splits,
    finish_manifest,
    has_unknown_mask,
    has_unknown_sources,
    keep_generators,
    label_map_path,
    read_info,
    read_manifest,
)
from wsdl.data.masks import read_label_map, read_mask

ANNOUNCED = 0.1  # GB: decoded files from this size on are announced


class Dataset:
    """An opened dataset folder. `table` has one row per image; `images` and `masks` are indexed like it.

    generators: partial fakes by other generators are left out of `table`, and full fakes by others where it names some
    of theirs; () keeps all. A folder in the Dolos layout without manifest gets one, in which each image may be its own
    source face (`wsdl.data.dolos`). WsdlError where the folder is no dataset or a source face is in two splits.
    """

    def __init__(self, folder: Path, generators: tuple[str, ...] = ()):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise WsdlError(f"{folder}: no such folder; make one with `python -m wsdl data prepare`.")
        finish_manifest(self.folder)
        if not (self.folder / "manifest.csv").exists():
            from wsdl.data.dolos import write_dolos_manifest

            write_dolos_manifest(self.folder)
        self.info = read_info(self.folder)
        self._all = read_manifest(self.folder / "manifest.csv", self.info)
        check_splits(self._all, self.folder)
        self.table = keep_generators(self._all, generators, self.folder) if generators else self._all
        self.generators = tuple(sorted(set(self.table.generator[self.table.kind == "partial"])))

    @property
    def is_filtered(self) -> bool:
        """Whether the folder holds partial fakes that `table` does not list."""
        return (self.table.kind == "partial").sum() < (self._all.kind == "partial").sum()

    @property
    def size(self) -> int:
        """Side of every image in pixels."""
        return self.info["size"]

    def select(self, kind: str | None = None, split: str | None = None, generator: str | None = None) -> pd.DataFrame:
        """The rows of one kind (real, full, partial), split and generator; the index points into `images`."""
        table = self.table
        for column, value in (("kind", kind), ("split", split), ("generator", generator)):
            if value is not None:
                table = table[table[column] == value]
        return table

    def source_index(self, fakes: pd.DataFrame) -> np.ndarray:
        """Index into `images` of the real face of each row of `fakes`: int [n]. WsdlError unless there is one."""
        if has_unknown_sources(self.info):
            raise WsdlError(
                f"{self.folder}: its file names do not tell which real face a fake was made of, which this needs."
            )
        real = self.select(kind="real")
        if real.source_id.duplicated().any():
            face = real.source_id[real.source_id.duplicated()].iloc[0]
            raise WsdlError(f"{self.folder}: has several real images of the face '{face}'; keep one of them.")
        index = pd.Series(real.index, real.source_id).reindex(fakes.source_id)
        if index.isna().any():
            missing = index.index[index.isna()][0]
            raise WsdlError(
                f"{self.folder}: has no real face '{missing}' to compare its fakes with; keep both together."
            )
        return index.to_numpy(int)

    @cached_property
    def images(self) -> DecodedArray:
        """uint8 [n, S, S, 3] on disk, decoded once for each version of the manifest.

        Each kind, generator and split is a file of its own (memory-mapped), made when one of its images is first read.
        """
        return self._decoded("images", (self.size, self.size, 3), self._image)

    @cached_property
    def masks(self) -> DecodedArray:
        """uint8 [n, S, S], 1 = fake: zeros for real, ones for full fakes. On disk like `images`.

        WsdlError where the unknown mask of a partial fake (`has_unknown_mask`) is read.
        """
        return self._decoded("masks", (self.size, self.size), self._mask)

    def decode(self, rows: pd.DataFrame) -> None:
        """Decode the images and masks of the kinds, generators and splits of `rows`, which are used soon."""
        self.images.open_parts(rows.index.to_numpy())
        self.masks.open_parts(rows.index[~has_unknown_mask(rows)].to_numpy())

    def labels(self, row) -> np.ndarray:
        """The component label map uint8 [S, S] of a real face (a row of `table`)."""
        path = self.folder / label_map_path(row)
        if not path.exists():
            raise WsdlError(f"{path}: no component mask, which inpainting needs; prepare the data with --masks.")
        return read_label_map(path)

    def _image(self, row) -> np.ndarray:
        decoded = decode(self.folder / row.path)
        if row.kind == "partial":
            check_upright(self.folder / row.path, decoded.orientation)
        return np.asarray(decoded.image)

    def _mask(self, row) -> np.ndarray:
        return read_mask(self.folder / row.mask)

    def _decoded(self, name: str, row_shape: tuple[int, ...], read: Callable) -> DecodedArray:
        unknown = has_unknown_mask(self._all)
        part_of = self._all.groupby(["kind", "generator", "split", unknown]).ngroup().to_numpy()

        def open_part(number: int) -> np.ndarray:
            rows = self._all[part_of == number]
            shape, kind = (len(rows), *row_shape), rows.kind.iloc[0]
            if name == "masks" and kind != "partial":
                return np.broadcast_to(np.uint8(kind == "full"), shape)
            if name == "masks" and unknown[rows.index[0]]:
                raise WsdlError(
                    f"{self.folder / rows.path.iloc[0]}: its inpainted region is not known, as of {len(rows)} partial "
                    f"fakes in {rows.split.iloc[0]}; prepare the data with --masks."
                )
            without = "no-mask" if unknown[rows.index[0]] else ""
            words = filter(None, (name, kind, rows.generator.iloc[0], rows.split.iloc[0], without))
            return self._cached("-".join(words), rows, shape, read)

        return DecodedArray(part_of, row_shape, open_part)

    @property
    def cache_folder(self) -> Path:
        """The folder for files derived from this version of the manifest; deleted when the manifest changes.

        It is .cache/VERSION in the dataset, or, where that cannot be written, in the user's cache folder.
        """
        home = self.folder / ".cache"
        exists = next(folder for folder in (home / self._version, home, self.folder) if folder.exists())
        if not os.access(exists, os.W_OK):
            home = cache_home() / "decoded" / hashlib.sha256(os.fsencode(self.folder.resolve())).hexdigest()[:16]
        return home / self._version

    @property
    def _version(self) -> str:
        return self.info["manifest_sha256"][:16]

    def _cached(self, name: str, rows: pd.DataFrame, shape: tuple[int, ...], read: Callable) -> np.ndarray:
        path = self.folder / ".cache" / self._version / f"{name}.npy"
        if not path.exists():
            path = self.cache_folder / f"{name}.npy"
        delete_leftovers(path.parent.parent, "*/.*.part")
        if (array := _open_array(path, shape)) is not None:
            return array
        for old in path.parent.parent.glob("*"):
            if old != path.parent and not any(old.glob(".*.part")):  # a living process is decoding there
                shutil.rmtree(old, ignore_errors=True)
        for old in ("images.npy", "masks.npy"):  # of earlier versions, which kept everything in one file
            path.with_name(old).unlink(missing_ok=True)
        if (size := int(np.prod(shape)) / 1e9) >= ANNOUNCED:
            print_stderr(f"{self.folder}: decodes {len(rows):,} files to {name}.npy, {size:.1f} GB in {path.parent}.")
        with atomic(path, sync=True) as temporary, open(temporary, "wb") as file:
            self._write_array(file, rows, shape, name, read)
        return np.load(path, mmap_mode="r")

    def _write_array(
        self, file: BinaryIO, rows: pd.DataFrame, shape: tuple[int, ...], name: str, read: Callable
    ) -> None:
        """Write a .npy file row by row. A memory-mapped file would end the process without a word on a full disk."""
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        progress = progress_bar(shape[0], f"decoding {name}")
        for row in rows.itertuples():
            value = read(row)
            if value.shape != shape[1:]:
                what = name.partition("s-")[0]  # image or mask
                raise WsdlError(
                    f"{self.folder / row.path}: its {what} is {value.shape[1]}x{value.shape[0]}, but this "
                    f"dataset has {self.size}x{self.size}."
                )
            file.write(value.tobytes())
            progress.update()
        progress.close()


def _open_array(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The memory-mapped array in `path`; None where it is missing or damaged, so that it is written again."""
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return array if (array.shape, array.dtype) == (shape, np.uint8) else None


def release_memory(array: DecodedArray | np.ndarray | None) -> None:
    """Drop what was read of the images or masks of a dataset from the memory of this process.

    It is read again when needed. Without this, the memory of a process that reads random images grows to the size of
    the whole file.
    """
    if isinstance(array, DecodedArray):
        array.release_memory()
