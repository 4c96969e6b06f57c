"""Images that must not be in different splits: groups by a rule or a CSV file, and near-duplicates by a hash."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.data.images import open_image
from wsdl.data.manifest import SPLITS, assign_splits

# Bits of 128 in which the hashes of near-duplicates may differ. Of 600 official portraits, which are framed alike, no
# two differed in fewer than 11.
NEAR = 8
_BLOCK = 256  # hashes compared with all others at a time


def find_groups(files: dict[str, Path], rule: str) -> dict[str, str]:
    """The group of each of `files`, by its name.

    rule: a CSV file with the columns file and group, where `file` is a name, or that of the file; a whole number n,
    for the first n characters of a name; other text, for the name up to its first occurrence; "" makes every name a
    group. WsdlError for a file that the CSV does not list.
    """
    if rule.lower().endswith(".csv"):
        return _groups_of_csv(files, Path(rule))
    if rule.isdecimal():
        return {name: name[: max(1, int(rule))] for name in files}
    return {name: (name.partition(rule)[0] or name) if rule else name for name in files}


def _groups_of_csv(files: dict[str, Path], path: Path) -> dict[str, str]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        listed = dict(zip(table["file"], table["group"], strict=True))
    except FileNotFoundError:
        raise WsdlError(f"{path}: no such file; --group-by takes a CSV file, a number or a separator.") from None
    except (KeyError, ValueError, OSError):
        raise WsdlError(f"{path}: is not a CSV table with the columns file and group.") from None
    groups = {}
    for name, file in files.items():
        group = listed.get(name) or listed.get(file.name)
        if not group:
            raise WsdlError(f"{path}: lists no group for {file}; add a row with its name.")
        groups[name] = group
    return groups


def split_groups(real: Iterable[str], fake: Iterable[str], seed: int) -> dict[str, str]:
    """The split of each group: those of real images first, then those that only fakes have, so that both are spread.

    WsdlError where real images are in fewer than 3 groups.
    """
    real = set(real)
    if len(real) < 3:
        raise WsdlError(f"--real: its images are in {len(real)} groups, but 3 are needed: train, valid and test.")
    splits, others = assign_splits(sorted(real), seed), sorted(set(fake) - real)
    return splits | (assign_splits(others, seed) if len(others) >= 3 else dict.fromkeys(others, "train"))


def difference_hash(image: Image.Image) -> tuple[int, int]:
    """128 bits: of 9 x 9 grey pixels, is each of the first 8 x 8 brighter than its right, than its lower neighbour?"""
    grey = np.asarray(image.convert("L").resize((9, 9), Image.Resampling.BOX), np.int16)
    right, lower = grey[:-1, :-1] > grey[:-1, 1:], grey[:-1, :-1] > grey[1:, :-1]
    return tuple(int.from_bytes(np.packbits(bits).tobytes(), "big") for bits in (right, lower))


def hash_file(path: Path) -> tuple[int, int]:
    """`difference_hash` of the image at `path`."""
    return difference_hash(open_image(path))


def near_duplicates(hashes: np.ndarray, splits: np.ndarray) -> list[tuple[int, int]]:
    """For each image that has a near-duplicate in another split: its index and that of the nearest one.

    hashes: uint64 [n, 2]; splits: [n], of SPLITS. Images of valid and test are compared with train, test with valid.
    """
    found = []
    for number, split in enumerate(SPLITS[1:], 1):
        own = np.flatnonzero(splits == split)
        others = np.flatnonzero(np.isin(splits, SPLITS[:number]))
        for start in range(0, len(own) if len(others) else 0, _BLOCK):
            part = own[start : start + _BLOCK]
            distance = sum(np.bitwise_count(half[part, None] ^ half[None, others]) for half in hashes.T)
            nearest = distance.argmin(axis=1)
            near = distance[np.arange(len(part)), nearest] <= NEAR
            found += [(int(i), int(j)) for i, j in zip(part[near], others[nearest[near]], strict=True)]
    return found


def describe_near_duplicates(paths: list[str], pairs: list[tuple[int, int]], grouped: bool) -> str:
    """A sentence about near-duplicates across splits, with three of them; "" where there is nothing to warn of."""
    advice = "Give --group-by, so that the images of one person or scene stay in one split."
    if pairs:
        shown = "; ".join(f"{paths[i]} and {paths[j]}" for i, j in pairs[:3])
        return (
            f"{len(pairs)} images of valid and test have a near-duplicate in another split ({shown}): a detector may "
            f"recognise them, so test results may be too good. {'Check --group-by.' if grouped else advice}"
        )
    if grouped:
        return ""
    return (
        f"images of one person or scene may be in several splits, though none of valid and test looks nearly like one "
        f"of another split. {advice}"
    )
