"""Triples: folders SET/{real,fake,mask}/ID.png of images, their partial fakes and exact masks, for benchmarks.

In these masks **255 = inpainted and 0 = untouched**, which is not the Dolos convention.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsdl.core.io import WsdlError
from wsdl.data.decode import check_upright, decode
from wsdl.data.images import existing_folder, list_image_files
from wsdl.data.masks import read_white_mask

PARTS = ("real", "fake", "mask")


@dataclass(frozen=True)
class Triple:
    """The three files of one partial fake."""

    set: str  # the folder, such as the name of a generator
    name: str
    real: Path
    fake: Path
    mask: Path

    def read_mask(self) -> np.ndarray:
        """Its mask as uint8 [H, W], 1 = fake. WsdlError where it is none, or is white or black all over."""
        mask = read_white_mask(self.mask)
        if mask.all() or not mask.any():
            raise WsdlError(f"{self.mask}: is {'255' if mask.all() else '0'} everywhere, so the fake is not partial.")
        return mask


def find_triples(folder: Path) -> list[Triple]:
    """The triples in `folder`, by set and name. WsdlError names the file that lacks its twin or the missing folder."""
    folder = existing_folder(folder)
    sets = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not sets or {path.name for path in sets} & set(PARTS):
        raise WsdlError(f"{folder}: is no folder of sets; it must hold SET/{{{','.join(PARTS)}}}/ID.png.")
    return [triple for each in sets for triple in _triples_of(each)]


def _triples_of(folder: Path) -> list[Triple]:
    parts = {part: list_image_files(folder / part) for part in PARTS}
    for files in parts.values():
        for other, found in parts.items():
            for name in sorted(files.keys() - found.keys()):
                raise WsdlError(f"{files[name]}: has no twin in {folder / other}; each ID needs {', '.join(PARTS)}.")
    return [Triple(folder.name, name, *(parts[part][name] for part in PARTS)) for name in parts["real"]]


def check_triples(triples: list[Triple], on_each: Callable[[], object] = lambda: None) -> None:
    """WsdlError names the first file that does not fit its triple, and a set whose masks are inverted.

    The mask must be two-valued, and all three files equally large. Masks are inverted where the images of the set
    differ more outside the white regions than inside.
    """
    contrast: dict[str, float] = {}
    for triple in triples:
        contrast[triple.set] = contrast.get(triple.set, 0.0) + _contrast(triple)
        on_each()
    for triple in triples:
        if contrast[triple.set] < 0:
            raise WsdlError(
                f"{triple.mask.parent}: real and fake differ more where masks are 0 than where they are 255, so they "
                f"are inverted; 255 must be inpainted."
            )


def _contrast(triple: Triple) -> float:
    """How much more its images differ inside the mask than outside, in grey levels."""
    mask, real, fake = triple.read_mask(), *map(_read_upright, (triple.real, triple.fake))
    for path, found in ((triple.fake, fake), (triple.mask, mask)):
        if found.shape[:2] != real.shape[:2]:
            sizes = ["{1}x{0}".format(*array.shape) for array in (found, real)]
            raise WsdlError(f"{path}: is {sizes[0]}, but {triple.real} is {sizes[1]}.")
    difference = np.abs(fake - real).mean(-1)
    return float(difference[mask == 1].mean() - difference[mask == 0].mean())


def _read_upright(path: Path) -> np.ndarray:
    """The image as int16 [H, W, 3]. WsdlError where EXIF rotates it, which its mask does not say."""
    decoded = decode(path)
    check_upright(path, decoded.orientation)
    return np.asarray(decoded.image, np.int16)
