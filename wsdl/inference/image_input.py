"""Read any image file as upright RGB, with a warning for each property that makes it unusual (see data/decode.py)."""

import math
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from wsdl.core.io import WsdlError, open_regular_file
from wsdl.data.decode import check_size, one_sentence, opened, to_rgb
from wsdl.data.images import IMAGE_SUFFIXES
from wsdl.data.shortcuts import jpeg_quality

EXTENSIONS = IMAGE_SUFFIXES | {".gif", ".avif", ".jfif"}
MAX_PIXELS = 89_000_000  # about where Pillow warns; localize takes about 2 GB for an image of this size
MAX_BYTES = 500_000_000  # read from stdin
LOSSLESS = "lossless"
LOW_QUALITY = 75  # JPEGs below it get a warning
ORIGIN_KEY = "wsdl-localize"  # a text chunk in the PNGs that localize writes; such files are never taken as inputs


@dataclass(frozen=True)
class InputImage:
    """An upright RGB image, with warnings about its file and how that was stored."""

    image: Image.Image
    warnings: list[str] = field(default_factory=list)
    crops: dict = field(default_factory=dict, repr=False, compare=False)  # FaceCrops, shared by all detectors
    file: str = ""  # as in describe_file
    quality: float = math.nan  # JPEG quality, 100 where the file is lossless; NaN where it is not known


def find_images(arguments: Iterable[str]) -> Iterator[str | WsdlError]:
    """The images that `arguments` name, one at a time: files, folders (all images in them, sorted), "-" for stdin.

    A folder that contains no images or cannot be listed is yielded as a WsdlError. Results of `localize` are skipped.
    """
    for argument in arguments:
        if argument == "-" or not Path(argument).is_dir():
            yield argument
            continue
        found, problems = False, []
        for folder, subfolders, names in os.walk(argument, onerror=problems.append):
            subfolders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if Path(name).suffix.lower() in EXTENSIONS and not name.startswith(".") and not read_origin(path):
                    found = True
                    yield path
        for problem in problems:
            yield WsdlError(f"{problem.filename}: cannot be listed ({problem.strerror}).")
        if not found and not problems:
            yield WsdlError(f"{argument}: contains no images ({', '.join(sorted(EXTENSIONS))}).")


def read_origin(path: str | Path) -> str | None:
    """The origin that localize wrote into the PNG at `path` (see `origin_tag`); None for any other file."""
    if not str(path).endswith(("-map.png", "-overlay.png")):
        return None
    try:
        with open_regular_file(path) as file, one_sentence(str(path)), Image.open(file, formats=["PNG"]) as image:
            return image.info.get(ORIGIN_KEY)
    except WsdlError:
        return None


def origin_tag(origin: str) -> PngImagePlugin.PngInfo:
    """The text chunk that marks a PNG as a result of localize and identifies its input."""
    info = PngImagePlugin.PngInfo()
    info.add_text(ORIGIN_KEY, origin)
    return info


def read_stdin(stream) -> bytes:
    """All of a binary stream. Raises WsdlError where it is empty or longer than MAX_BYTES."""
    data = stream.read(MAX_BYTES + 1)
    if not data:
        raise WsdlError("-: stdin is empty; pipe the bytes of one image into it.")
    if len(data) > MAX_BYTES:
        raise WsdlError(f"-: stdin has more than {MAX_BYTES // 10**6} MB; pipe the bytes of one image into it.")
    return data


def open_image(source: str | Path | bytes, name: str = "") -> InputImage:
    """The image at a path, or in the bytes of a file called `name`. Raises WsdlError where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings about odd files; what matters is checked
        with opened(source, name, MAX_PIXELS) as image:
            return _normalise(image)


def _normalise(image: Image.Image) -> InputImage:
    """A loaded Pillow image of any mode as viewers show it: first frame, upright, 8 bits, RGB, on white."""
    decoded = to_rgb(image)
    warnings = [*_frames_warning(image), *_quality_warning(image), *decoded.notes]
    file = describe_file(image)
    quality = 100.0 if file.endswith(LOSSLESS) else jpeg_quality(image)
    return InputImage(decoded.image, warnings, file=file, quality=quality)


def _frames_warning(image: Image.Image) -> list[str]:
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return []
    return [f"The file has {image.n_frames} frames; only the first was analysed."]


def _quality_warning(image: Image.Image) -> list[str]:
    quality = jpeg_quality(image)
    if math.isnan(quality) or quality >= LOW_QUALITY:
        return []
    return [f"The image is a JPEG of quality {quality:.0f} or so: this removes the traces that detectors look for."]


def describe_file(image: Image.Image) -> str:
    """How a loaded Pillow image was stored, in a few words; "" where it comes from no file."""
    if image.format in ("JPEG", "MPO"):
        return f"{image.format}, quality about {jpeg_quality(image):.0f}"
    if image.format == "GIF":
        return "GIF, at most 256 colours"
    compression = image.info.get("compression", "") if image.format == "TIFF" else ""
    if image.format in ("PNG", "BMP", "PPM") or (image.format == "TIFF" and compression not in ("jpeg", "webp")):
        return f"{image.format}, {LOSSLESS}"
    return f"{image.format}, quality unknown" if image.format else ""


def from_memory(image) -> InputImage:
    """A PIL image or a uint8 array [H, W], [H, W, 3] or [H, W, 4] as an InputImage; anything else is a WsdlError."""
    if isinstance(image, Image.Image):
        with one_sentence("image", MAX_PIXELS):
            check_size(image, "image", MAX_PIXELS)
            image.load()
            found = _normalise(image)
            return replace(found, image=image.copy()) if found.image is image else found
    try:
        array = np.asarray(image)
    except ValueError:  # lists of unequal lengths
        raise WsdlError("image: is no array but must be a path, a PIL image, or uint8 [H, W, 3].") from None
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise WsdlError(
            f"image: is {array.dtype} {list(array.shape)} but must be a path, a PIL image, or uint8 [H, W, 3]."
        )
    if not array.size:
        raise WsdlError(f"image: has shape {list(array.shape)} but must have at least one pixel.")
    return from_memory(Image.fromarray(np.ascontiguousarray(array)))
