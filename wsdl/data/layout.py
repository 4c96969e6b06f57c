"""What `data prepare` reads: image files of the faces, their label maps and splits, however folders are laid out."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsdl.core.io import WsdlError, seed_for
from wsdl.core.progress import print_stderr
from wsdl.data.images import list_images
from wsdl.data.manifest import SPLITS, assign_splits
from wsdl.data.masks import read_label_map

PAPER_COUNTS = (9000, 900, 900)  # real faces of CelebA-HQ in train, valid and test (paper, section 3)
PAPER_FAKES = (30_000, 3000, 8500)  # partial fakes by repaint-p2 of these faces
Counts = tuple[int, int, int]


@dataclass
class Layout:
    """The faces of a source by name.

    files: image file. labels: its label map, or one file for each part; {} where there are none. read_labels: makes the
    label map uint8 [H, W] of them. may_scale: label maps may have another size than their image, with its proportions.
    fixed_splits: splits that the seed alone does not give.
    """

    files: dict[str, Path]
    labels: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    read_labels: Callable[[tuple[Path, ...]], np.ndarray] = lambda paths: read_label_map(Path(paths[0]))
    may_scale: bool = False
    fixed_splits: bool = False
    licence: str = "unknown"

    def keep(self, names: Iterable[str]) -> "Layout":
        """This layout with the faces `names` only."""
        chosen = set(names)
        self.files, self.labels, self.splits = (
            {name: value for name, value in some.items() if name in chosen}
            for some in (self.files, self.labels, self.splits)
        )
        return self


def read_pairs(images: Path, masks: Path | None, skip_bad: bool = False) -> Layout:
    """Images, and label maps with the same names. WsdlError unless every image has one and every one an image.

    skip_bad: leave out images without one, and say so.
    """
    files, labels = list_images(images), list_images(masks) if masks else {}
    for name in labels:
        if name not in files:
            raise WsdlError(f"{labels[name]}: mask without an image; {images} has none named {name}.")
    if masks and skip_bad:
        files = with_masks(files, labels)
    for name in files if masks else ():
        if name not in labels:
            raise WsdlError(f"{files[name]}: image without a mask; {masks} has none named {name}.")
    return Layout(files, {name: (path,) for name, path in labels.items()})


def with_masks(files: dict[str, Path], labels: Container[str]) -> dict[str, Path]:
    """The `files` whose names have a label map in `labels`; names the first of the others on stderr."""
    missing = [path for name, path in files.items() if name not in labels]
    if missing:
        many = f"{len(missing):,} such image{'s' if len(missing) > 1 else ''}"
        print_stderr(f"{missing[0]}: skipped, as it has no mask ({many}).")
    return {name: path for name, path in files.items() if name in labels}


def parse_counts(text: str, paper: Counts = PAPER_COUNTS) -> Counts | None:
    """ "9000/900/900" as (9000, 900, 900), "paper" as `paper`, "" as None. WsdlError for anything else."""
    if text in ("", "paper"):
        return paper if text else None
    parts = text.replace(",", "").split("/")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts) or int(parts[0]) < 1:
        raise WsdlError(f"--counts: is {text!r}, but must be paper or three numbers TRAIN/VALID/TEST.")
    return tuple(map(int, parts))


def split_at_random(names: list[str], seed: int, counts: Counts | None) -> dict[str, str]:
    """A seeded split, 8:1:1 or in the proportions of `counts`."""
    if counts is None:
        return assign_splits(names, seed)
    return assign_splits(names, seed, tuple(count / sum(counts) for count in counts[1:]))


def choose_counts(splits: dict[str, str], counts: Counts | None, seed: int, folder: Path) -> list[str]:
    """The names of `counts` faces of each split, chosen by the seed; all of them for None. WsdlError for too few."""
    if counts is None:
        return list(splits)
    chosen = []
    for split, count in zip(SPLITS, counts, strict=True):
        names = [name for name, its in splits.items() if its == split]
        if len(names) < count:
            raise WsdlError(f"{folder}: has {len(names):,} images for {split}, but --counts asks for {count:,}.")
        chosen += sorted(names, key=lambda name: seed_for(seed, "counts", name))[:count]
    return sorted(chosen)
