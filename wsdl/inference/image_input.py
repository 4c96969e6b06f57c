"""Any picture that somebody hands in -> upright RGB, with a sentence for everything that makes it unusual.

Pictures come from anywhere here, so nothing is believed: the number of pixels is checked before they are decoded, and
only formats that are plain pictures are opened (no PostScript, no documents).
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

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")  # MPO: what some phones call .jpg
ENDINGS = IMAGE_SUFFIXES | {".gif", ".avif", ".jfif"}
MAX_PIXELS = 89_000_000  # about where Pillow warns; a picture of this size takes about 1.5 GB
MAX_BYTES = 500_000_000  # read from stdin
LOW_QUALITY = 75  # JPEGs below it are called heavily compressed
OURS = "wsdl-localize"  # a text in the PNGs that localize writes: they are results, never inputs

# The luminance table of the JPEG standard (Annex K) at quality 50, rows of 8.
LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """An upright RGB picture, and what was unusual about it: sentences."""

    image: Image.Image
    warnings: list[str] = field(default_factory=list)
    frames: dict = field(default_factory=dict, repr=False, compare=False)  # its face, looked for once for all detectors


def pictures_in(words: Iterable[str]) -> Iterator[str | WsdlError]:
    """The pictures that `words` name, one after another: files, folders (all they hold, sorted), "-" for stdin.

    A folder that holds no pictures or cannot be listed comes out as the WsdlError that says so. What localize wrote
    is left out.
    """
    for word in words:
        if word == "-" or not Path(word).is_dir():
            yield word
            continue
        found, problems = False, []
        for folder, below, names in os.walk(word, onerror=problems.append):
            below.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if Path(name).suffix.lower() in ENDINGS and not name.startswith(".") and not tag_of(path):
                    found = True
                    yield path
        for problem in problems:
            yield WsdlError(f"{problem.filename}: cannot be listed ({problem.strerror}).")
        if not found and not problems:
            yield WsdlError(f"{word}: holds no pictures ({', '.join(sorted(ENDINGS))}).")


def tag_of(path: str | Path) -> str | None:
    """What localize wrote into the PNG at `path` about where it comes from; None in any other file."""
    if not str(path).endswith(("-map.png", "-overlay.png")):
        return None
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get(OURS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def tagged(words: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text(OURS, words)
    return info


def read_stdin(stream) -> bytes:
    """All of a binary stream. WsdlError where it is empty or endless."""
    data = stream.read(MAX_BYTES + 1)
    if not data:
        raise WsdlError("-: nothing came from stdin; send it the bytes of one picture.")
    if len(data) > MAX_BYTES:
        raise WsdlError(f"-: more than {MAX_BYTES // 10**6} MB came from stdin; send it the bytes of one picture.")
    return data


def open_any(source: str | Path | bytes, name: str = "") -> Picture:
    """The picture at a path, or in the bytes of a file called `name`. WsdlError says in one sentence what is wrong."""
    name = name or str(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else open_file(Path(source))
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters is checked below
        Image.init()
        try:
            with Image.open(file, formats=[one for one in FORMATS if one in Image.OPEN]) as image:
                check_size(name, image)
                image.load()
                return normalise(image)
        except (WsdlError, KeyboardInterrupt):
            raise
        except UnidentifiedImageError:
            raise WsdlError(f"{name}: is not a picture of a kind known here ({', '.join(FORMATS)}).") from None
        except Image.DecompressionBombError:
            raise WsdlError(too_large(name, "too many")) from None
        except Exception as error:  # decoders raise whatever they stumble over, and the next picture must have its turn
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise WsdlError(f"{name}: is damaged or cut short ({reason}); get a fresh copy.") from None


def open_file(path: Path):
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise WsdlError(f"{path}: is not a file.")
        return path.open("rb")
    except FileNotFoundError:
        raise WsdlError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise WsdlError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def check_size(name: str, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise WsdlError(too_large(name, f"{image.width}x{image.height}"))


def too_large(name: str, pixels: str) -> str:
    return (
        f"{name}: has {pixels} pixels; {MAX_PIXELS // 10**6} million are the most that are opened, so make it smaller."
    )


def normalise(image: Image.Image) -> Picture:
    """A decoded Pillow image of any mode, as viewers show it: first frame, upright, 8 bits, RGB, laid on white."""
    notes = [*frames_note(image), *quality_note(image)]
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = to_8_bits(image)
        notes.append("It has more than 8 bits a colour; only the upper 8 were used.")
    if image.mode == "CMYK":
        notes.append("It is in CMYK, for print; its colours were converted to RGB without a profile.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            notes.append("It has transparent parts; they were laid on white.")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return Picture(image.convert("RGB"), notes)


def to_8_bits(image: Image.Image) -> Image.Image:
    """Grey numbers of 16 bits -> 8. Pillow's own convert would cut everything above 255 off.

    ValueError for floats and for integers beyond 16 bits: nobody says how bright they are.
    """
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError("it holds numbers without a known white; save it with 8 or 16 bits")
    return Image.fromarray((values // 256).astype(np.uint8))


def frames_note(image: Image.Image) -> list[str]:
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return []
    return [f"It has {image.n_frames} frames; only the first was judged."]


def quality_note(image: Image.Image) -> list[str]:
    quality = jpeg_quality(image)
    if quality is None or quality >= LOW_QUALITY:
        return []
    return [f"It is a JPEG of quality {quality} or so: such compression wipes out what a detector looks for."]


def jpeg_quality(image: Image.Image) -> int | None:
    """The quality (1-100) whose table is nearest to that of a JPEG, in libjpeg's scale; None for other formats."""
    table = (getattr(image, "quantization", None) or {}).get(0)
    if table is None or len(table) != 64:
        return None
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = np.clip((LUMINANCE * scale[:, None] + 50) // 100, 1, 255)
    return int(quality[np.abs(tables - np.array(table)).sum(axis=1).argmin()])


def from_memory(image) -> Picture:
    """A PIL image or a uint8 array [H, W], [H, W, 3] or [H, W, 4] as a Picture. WsdlError for anything else."""
    if isinstance(image, Image.Image):
        check_size("image", image)
        return normalise(image)
    array = np.asarray(image)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise WsdlError(
            f"image: is {array.dtype} {list(array.shape)}, but must be a path, a PIL image, or uint8 [H, W, 3]."
        )
    if not array.size:
        raise WsdlError(f"image: has shape {list(array.shape)}, but must have at least one pixel.")
    return from_memory(Image.fromarray(np.ascontiguousarray(array)))
