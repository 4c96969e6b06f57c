"""Sharded generation: several workers, on one machine or many, make the fakes of one dataset, each its own batches."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wsdl.core.io import WsdlError
from wsdl.core.locks import forget_holder, hold_lock, lock_holder

_LOCKS = ".shard-*.lock"


@dataclass(frozen=True)
class Shard:
    """Number `number` (from 1) of `count` parts of the work."""

    number: int = 1
    count: int = 1

    def has(self, batch: int) -> bool:
        """Whether batch number `batch` is in this part."""
        return batch % self.count == self.number - 1


ALL = Shard()


def parse_shard(text: str) -> Shard:
    """ "2/8" as the second of eight parts; "" as all of the work."""
    if not text:
        return ALL
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise WsdlError(f"--shard: is '{text}', but must be a part and the number of parts, 1/8 to 8/8 for eight.")
    return Shard(int(found[1]), int(found[2]))


@contextmanager
def hold_shard(folder: Path, shard: Shard) -> Iterator[None]:
    """Hold this part of the work in `folder` within the block; waits for another worker on the same part."""
    with hold_lock(folder / f".shard-{shard.number}-of-{shard.count}.lock", wait=True):
        yield


def wait_for_shards(folder: Path) -> None:
    """Wait for the workers that have begun a part of the work in `folder`."""
    for path in sorted(folder.glob(_LOCKS)):
        with hold_lock(path, wait=True):
            pass


def delete_shard_locks(folder: Path) -> None:
    """Delete the locks of parts that nobody works on any more. The caller holds `folder`."""
    for path in folder.glob(_LOCKS):
        if lock_holder(path) is None:
            forget_holder(path)
            path.unlink(missing_ok=True)
