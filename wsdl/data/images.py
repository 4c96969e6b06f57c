"""Decode, resize and encode images, in the same way for real and fake ones.

A difference in codec or resampling between real and fake would be a shortcut for a detector.
"""

import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from wsdl.core.io import WsdlError, atomic
from wsdl.data.decode import decode

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
LUMA = 0.299, 0.587, 0.114  # weights of red, green and blue in the brightness of JPEG


def is_image_file(path: Path) -> bool:
    """Whether the name of `path` is that of an image: not hidden, such as the ._x.png of macOS, nor Thumbs.db."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def check_name(path: Path) -> None:
    """WsdlError where the name of `path` cannot be part of a path in a manifest, which is a CSV file in UTF-8."""
    if re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", path.name):
        encoding = sys.getfilesystemencoding()
        advice = "" if encoding == "utf-8" else f", or set PYTHONUTF8=1 (this system reads names as {encoding})"
        raise WsdlError(
            f"{str(path)!r}: its name has control characters, backslashes or bytes that are not UTF-8; rename "
            f"it{advice}."
        )


def list_image_files(folder: Path) -> dict[str, Path]:
    """The images directly in `folder`, by stem, sorted.

    WsdlError for an empty folder, a stem that occurs twice, and a name that a manifest cannot hold.
    """
    folder = existing_folder(folder)
    found: dict[str, Path] = {}
    for path in sorted(filter(is_image_file, folder.iterdir())):
        check_name(path)
        if path.stem in found:
            raise WsdlError(f"{path}: has the same name as {found[path.stem].name}; give each image its own stem.")
        found[path.stem] = path
    if not found:
        raise WsdlError(f"{folder}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    return found


def list_images(folder: Path) -> dict[str, Path]:
    """The images in `folder`, or, where it holds none directly, in its sub-folders; by name, sorted.

    In sub-folders the name is the stem, or, where a stem occurs twice, SUBFOLDER-STEM for all. WsdlError as in
    list_image_files.
    """
    folder = existing_folder(folder)
    if any(map(is_image_file, folder.iterdir())):
        return list_image_files(folder)
    paths = sorted(path for path in folder.rglob("*") if is_image_file(path) and not _is_hidden(path.parent, folder))
    is_unique = len({path.stem for path in paths}) == len(paths)
    found: dict[str, Path] = {}
    for path in paths:
        parts = path.relative_to(folder).with_suffix("").parts
        check_name(path.with_name("-".join(parts)))
        name = path.stem if is_unique else "-".join(parts)
        if name in found:
            raise WsdlError(f"{path}: has the same name as {found[name]}; give each image its own.")
        found[name] = path
    return dict(sorted(found.items())) or list_image_files(folder)  # which says that there are none


def existing_folder(folder: Path) -> Path:
    """`folder`. WsdlError where it does not exist, or is an archive."""
    folder = Path(folder)
    if folder.is_file():
        raise WsdlError(f"{folder}: is a file; unpack it, and give the folder.")
    if not folder.is_dir():
        raise WsdlError(f"{folder}: no such folder.")
    return folder


def _is_hidden(inside: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in inside.relative_to(folder).parts)


def open_image(path: Path) -> Image.Image:
    """The image at `path`, rotated by EXIF and RGB (see wsdl.data.decode). WsdlError where it is damaged."""
    return decode(path).image


def read_image(path: Path) -> np.ndarray:
    """The image at `path` as uint8 [H, W, 3]."""
    return np.asarray(open_image(path))


def resize_image(image: Image.Image, size: int) -> Image.Image:
    """`image` at `size` x `size`: halved with BOX while it is at least twice as large, then BICUBIC (paper's code).

    Halving averages whole pixels, so that JPEG blocks of the original disappear. Images that are not square are cropped
    to their central square. ValueError where `image` is smaller than `size`.
    """
    side = min(image.size)
    if side < size:
        raise ValueError(f"is {image.size[0]}x{image.size[1]}, smaller than the target of {size} px")
    image = _central_square(image)
    while side >= 2 * size:
        side //= 2
        image = image.resize((side, side), Image.Resampling.BOX)
    return image if side == size else image.resize((size, size), Image.Resampling.BICUBIC)


def resize_labels(labels: np.ndarray, size: int) -> np.ndarray:
    """Labels uint8 [H, W], such as a mask, at [size, size] by nearest neighbour, cropped as `resize_image` crops."""
    square = _central_square(Image.fromarray(labels))
    return np.asarray(square.resize((size, size), Image.Resampling.NEAREST))


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    return image.crop((left, top, left + side, top + side))


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 `pixels` [H, W, 3] (or [H, W]) as PNG, atomically."""
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")
