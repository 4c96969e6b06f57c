"""The decoded images or masks of a dataset as one array, stored in parts that are made when they are first read."""

import mmap
from collections.abc import Callable
from threading import Lock

import numpy as np
import pandas as pd


class DecodedArray:
    """uint8 [n, ...], indexed by row numbers like a NumPy array: an integer, a slice, or a list or array of them.

    part_of: the number of the part that each row belongs to. open_part(number) returns the rows of a part in order,
    uint8 [m, ...]; it is called once, when one of them is first read.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, part_of: np.ndarray, row_shape: tuple[int, ...], open_part: Callable[[int], np.ndarray]):
        self.shape = (len(part_of), *row_shape)
        self._part_of, self._open_part = np.asarray(part_of), open_part
        self._place = pd.Series(part_of).groupby(part_of).cumcount().to_numpy()  # of each row in its part
        self._numbers = np.arange(len(part_of))
        self._opened: dict[int, np.ndarray] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows) -> np.ndarray:
        numbers = self._numbers[rows]  # IndexError for a row that there is not
        if numbers.ndim == 0:
            return self._part(self._part_of[numbers])[self._place[numbers]]
        parts = self._part_of[numbers]
        if len(used := np.unique(parts)) == 1:
            return self._part(used[0])[self._place[numbers]]
        found = np.empty((len(numbers), *self.shape[1:]), np.uint8)
        for part in used:
            here = parts == part
            found[here] = self._part(part)[self._place[numbers[here]]]
        return found

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or np.uint8, copy=False)

    def open_parts(self, rows) -> None:
        """Open the parts of `rows`: they are decoded now rather than when the first of them is read."""
        for part in np.unique(self._part_of[self._numbers[rows]]):
            self._part(part)

    def release_memory(self) -> None:
        """Drop what was read of the files from the memory of this process."""
        for part in list(self._opened.values()):
            if isinstance(part.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
                part.base.madvise(mmap.MADV_DONTNEED)

    def _part(self, part: int) -> np.ndarray:
        if (opened := self._opened.get(part)) is not None:
            return opened
        with self._lock:  # threads may ask for it at once
            if part not in self._opened:
                self._opened[part] = self._open_part(int(part))
            return self._opened[part]
