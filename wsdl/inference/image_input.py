"""Read any image file as upright RGB, with a warning for each property that makes it unusual.

Files are not trusted: the number of pixels is checked before decoding, and only plain image formats are opened (no
PostScript, no documents).
"""

import io
import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from wsdl.core.io import WsdlError
from wsdl.data.images import IMAGE_SUFFIXES

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")  # MPO: the .jpg of some phones
EXTENSIONS = IMAGE_SUFFIXES | {".gif", ".avif", ".jfif"}
MAX_PIXELS = 89_000_000  # about where Pillow warns; an image of this size takes about 1.5 GB
MAX_BYTES = 500_000_000  # read from stdin
LOW_QUALITY = 75  # JPEGs below it get a warning
ORIGIN_KEY = "wsdl-localize"  # a text chunk in the PNGs that localize writes; such files are never taken as inputs

# The luminance table of the JPEG standard (Annex K) at quality 50, rows of 8.
LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip


@dataclass(frozen=True)
class InputImage:
    """An upright RGB image with warnings about its file."""

    image: Image.Image
    warnings: list[str] = field(default_factory=list)
    crops: dict = field(default_factory=dict, repr=False, compare=False)  # FaceCrops, shared by all detectors


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
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get(ORIGIN_KEY)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
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
    name = name or str(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else _open_file(Path(source))
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings about odd files; what matters is checked below
        Image.init()
        try:
            with Image.open(file, formats=[one for one in FORMATS if one in Image.OPEN]) as image:
                _check_size(name, image)
                image.load()
                return _normalise(image)
        except (WsdlError, KeyboardInterrupt):
            raise
        except UnidentifiedImageError:
            raise WsdlError(f"{name}: is not an image in a supported format ({', '.join(FORMATS)}).") from None
        except Image.DecompressionBombError:
            raise WsdlError(_too_large(name, "too many")) from None
        except Exception as error:  # decoders raise errors of any type, and the next image must still be processed
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise WsdlError(f"{name}: is damaged or truncated ({reason}); get a fresh copy.") from None


def _open_file(path: Path):
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would block
            raise WsdlError(f"{path}: is not a file.")
        return path.open("rb")
    except FileNotFoundError:
        raise WsdlError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise WsdlError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def _check_size(name: str, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise WsdlError(_too_large(name, f"{image.width}x{image.height}"))


def _too_large(name: str, pixels: str) -> str:
    return f"{name}: has {pixels} pixels; the limit is {MAX_PIXELS // 10**6} million, so make it smaller."


def _normalise(image: Image.Image) -> InputImage:
    """A decoded Pillow image of any mode as viewers show it: first frame, upright, 8 bits, RGB, on white."""
    found = [*_frames_warning(image), *_quality_warning(image)]
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
        found.append("The image has more than 8 bits per channel; only the upper 8 were used.")
    if image.mode == "CMYK":
        found.append("The image is in CMYK; it was converted to RGB without a colour profile.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            found.append("The image has transparent parts; they were replaced by white.")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return InputImage(image.convert("RGB"), found)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """16-bit grey values -> 8 bits; Pillow's own convert would clip everything above 255.

    Raises ValueError for floats and for integers beyond 16 bits, whose white level is unknown.
    """
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError("its white level is unknown; save it with 8 or 16 bits")
    return Image.fromarray((values // 256).astype(np.uint8))


def _frames_warning(image: Image.Image) -> list[str]:
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return []
    return [f"The file has {image.n_frames} frames; only the first was analysed."]


def _quality_warning(image: Image.Image) -> list[str]:
    quality = jpeg_quality(image)
    if quality is None or quality >= LOW_QUALITY:
        return []
    return [f"The image is a JPEG of quality {quality} or so: compression removes the traces that detectors look for."]


def jpeg_quality(image: Image.Image) -> int | None:
    """The quality (1-100, libjpeg's scale) whose table is closest to that of a JPEG; None for other formats."""
    table = (getattr(image, "quantization", None) or {}).get(0)
    if table is None or len(table) != 64:
        return None
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = np.clip((LUMINANCE * scale[:, None] + 50) // 100, 1, 255)
    return int(quality[np.abs(tables - np.array(table)).sum(axis=1).argmin()])


def from_memory(image) -> InputImage:
    """A PIL image or a uint8 array [H, W], [H, W, 3] or [H, W, 4] as an InputImage; anything else is a WsdlError."""
    if isinstance(image, Image.Image):
        _check_size("image", image)
        return _normalise(image)
    array = np.asarray(image)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise WsdlError(
            f"image: is {array.dtype} {list(array.shape)} but must be a path, a PIL image, or uint8 [H, W, 3]."
        )
    if not array.size:
        raise WsdlError(f"image: has shape {list(array.shape)} but must have at least one pixel.")
    return from_memory(Image.fromarray(np.ascontiguousarray(array)))
