"""The one decoder of image files: any format, mode and bit depth becomes upright 8-bit RGB.

Files are not trusted: the number of pixels is checked before decoding, only plain image formats are opened (no
PostScript, no documents), and whatever a decoder raises becomes a WsdlError.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from wsdl.core.io import WsdlError, open_regular_file

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")  # MPO: the .jpg of some phones
# Blocks that the C library returns to the system at once; smaller ones would stay with the thread that decoded them.
Image.core.set_block_size(64 * 2**20)
MAX_PIXELS = 178_000_000  # about where Pillow refuses; four bytes each, and twice that while a mode is converted

TRANSPARENT = "The image has transparent parts; they were replaced by white."
CMYK = "The image is in CMYK; it was converted to RGB without a colour profile."
DEEP = "The image has more than 8 bits per channel; only the upper 8 were used."
SHALLOW = "The image has 16 bits per channel but uses the lower {bits}; it was read as {bits}-bit."
UNIT_RANGE = "The image has floating-point values; 0 was read as black and 1 as white."


@dataclass(frozen=True)
class Decoded:
    """An upright RGB image, and what its file was like."""

    image: Image.Image
    orientation: int = 1  # of EXIF: 1 = the file stores the image upright; from 5 on, width and height are swapped
    notes: list[str] = field(default_factory=list)  # one sentence for each conversion that lost something


def decode(path: Path) -> Decoded:
    """The image at `path` as upright RGB. WsdlError where it is damaged, too large or no image."""
    with opened(path) as image:
        return to_rgb(image)


def check_upright(path: Path, orientation: int) -> None:
    """WsdlError where EXIF rotates the image or mask at `path`: programs differ in whether they apply it to both."""
    if orientation != 1:
        raise WsdlError(
            f"{path}: is rotated by its EXIF orientation {orientation}, so image and mask may not fit; "
            f"save both upright."
        )


def size_in_file(path: Path) -> tuple[int, int]:
    """Width and height of the image at `path`, from its header. WsdlError where it cannot be opened."""
    with _opened_header(path, "", MAX_PIXELS) as image:
        return image.size


def pixels_in_file(path: Path) -> int:
    """Width x height of the image at `path`, from its header; 0 where it cannot be opened."""
    try:
        width, height = size_in_file(path)
        return width * height
    except WsdlError:
        return 0


@contextmanager
def opened(source: Path | bytes, name: str = "", max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The loaded image at a path, or in the bytes of a file called `name`, in the mode of its file.

    WsdlError where it has more than `max_pixels`, and for any error in the block.
    """
    with _opened_header(source, name, max_pixels) as image:
        # Pillow forgets both when it loads the pixels.
        image.info["stored_orientation"] = getattr(image, "tag_v2", {}).get(ExifTags.Base.Orientation, 1)
        image.info["reduced_to_8_bits"] = image.format in ("PNG", "TIFF") and ";16" in str(image.tile)
        image.load()
        yield image


@contextmanager
def _opened_header(source: Path | bytes, name: str, max_pixels: int) -> Iterator[Image.Image]:
    """The image, not yet loaded."""
    name = name or str(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else open_regular_file(source)
    Image.init()
    formats = [one for one in FORMATS if one in Image.OPEN]
    with file, one_sentence(name, max_pixels), Image.open(file, formats=formats) as image:
        check_size(image, name, max_pixels)
        yield image


@contextmanager
def one_sentence(name: str, max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Turn any error of a decoder in the block into a WsdlError about the image `name`."""
    try:
        yield
    except WsdlError:
        raise
    except UnidentifiedImageError:
        raise WsdlError(f"{name}: is not an image in a supported format ({', '.join(FORMATS)}).") from None
    except Image.DecompressionBombError:
        raise WsdlError(_too_large(name, "too many", max_pixels)) from None
    except MemoryError:
        raise WsdlError(f"{name}: needs more memory than is free; make it smaller.") from None
    except Exception as error:  # decoders raise errors of any type, and the next image must still be processed
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise WsdlError(f"{name}: cannot be decoded ({reason}); replace it or leave it out.") from None


def check_size(image: Image.Image, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """WsdlError for an image without pixels or with more than `max_pixels`."""
    size = f"{image.width}x{image.height}"
    if not image.width * image.height:
        raise WsdlError(f"{name}: is {size} but must have at least one pixel.")
    if image.width * image.height > max_pixels:
        raise WsdlError(_too_large(name, size, max_pixels))


def _too_large(name: str, pixels: str, max_pixels: int) -> str:
    return f"{name}: has {pixels} pixels; the limit is {max_pixels // 10**6} million, so make it smaller."


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image, 1 to 8. 1 where it has none, or none that is defined."""
    stored = image.info.get("stored_orientation", 1)  # Pillow rotates TIFF itself
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if stored == 1 else stored
    return orientation if orientation in range(1, 9) else 1


def to_rgb(image: Image.Image) -> Decoded:
    """A loaded image of any mode as viewers show it: upright, 8 bits, transparent parts on white.

    ValueError where its white level is not known.
    """
    orientation, notes = exif_orientation(image), []
    if orientation != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image, note = _to_8_bits(image)
        notes.append(note)
    elif image.info.get("reduced_to_8_bits"):
        _check_reduced(image)
        notes.append(DEEP)
    if image.mode == "CMYK":
        notes.append(CMYK)
    if image.mode == "La":  # Pillow converts it to LA only
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            notes.append(TRANSPARENT)
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != "RGB" or getattr(image, "is_animated", False):  # its frames share one buffer
        image = image.convert("RGB")
    return Decoded(image, orientation, notes)


def _to_8_bits(image: Image.Image) -> tuple[Image.Image, str]:
    """Grey integers or floats as 8 bits, and a note; Pillow's own convert would clip everything above 255.

    Integers are 8, 12 or 16 bits wide, the least that holds the largest value. Floats must be in [0, 1]. ValueError for
    anything else: its white level is unknown.
    """
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F" and 0 <= low <= high <= 1:  # false for NaN
        grey, note = np.rint(values * 255), UNIT_RANGE
    elif image.mode != "F" and 0 <= low <= high <= 65535:
        bits = next(bits for bits in (8, 12, 16) if high < 1 << bits)
        grey, note = values >> (bits - 8), DEEP if bits == 16 else SHALLOW.format(bits=bits)
    else:
        raise ValueError(f"its values go from {low:g} to {high:g}, so its white level is unknown; save it with 8 bits")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # the value that stands for transparent parts
        grey = np.where(values == transparent, 255, grey)
    return Image.fromarray(grey.astype(np.uint8)), note


def _check_reduced(image: Image.Image) -> None:
    """ValueError where Pillow reduced 16 bits per channel to the upper 8 and so erased 8- or 12-bit values."""
    extrema = np.reshape(image.getextrema(), (-1, 2))
    colours = extrema[: len(image.getbands()) - ("A" in image.getbands())]
    if colours.max() < 16:
        raise ValueError("it has 16 bits per channel but uses the lower 12 or fewer; save it with 8 bits")
