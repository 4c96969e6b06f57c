"""Properties of files that tell real from fake although they are not the forgery, in two folders of images."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from wsdl.core.io import WsdlError
from wsdl.data.decode import opened

_SHARE = 0.2  # of the images: a difference in format, profile or shape from which on a warning is printed
_QUALITY, _SIDE = 5, 1.25  # differences of the medians: JPEG quality, and ratio of the shorter sides
# Luminance table of the JPEG standard (annex K.1), for quality 50; Pillow lists tables row by row.
_K1 = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
    51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
    120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip


@dataclass(frozen=True)
class FileProperties:
    """What a file is like, apart from what it shows."""

    format: str
    profile: str  # the name of its colour profile, or "none"
    shape: str  # "square" or "not square"
    side: int  # the shorter one, in pixels
    quality: float  # of JPEG, estimated; NaN for other formats


def file_properties(path: Path) -> FileProperties | None:
    """The properties of the image at `path`; None where it cannot be decoded."""
    try:
        with opened(path) as image:
            shape = "square" if image.width == image.height else "not square"
            return FileProperties(image.format, profile_name(image), shape, min(image.size), jpeg_quality(image))
    except WsdlError:
        return None


def jpeg_quality(image: Image.Image) -> float:
    """The quality, 1 to 100 of libjpeg, whose standard table is nearest (least squares) to that of an opened image.

    NaN for other formats than JPEG.
    """
    table = (getattr(image, "quantization", None) or {}).get(0)
    if table is None or len(table) != 64:
        return float("nan")
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = np.clip((_K1 * scale[:, None] + 50) // 100, 1, 255)
    return float(quality[np.square(tables - np.array(table)).sum(axis=1).argmin()])


def profile_name(image: Image.Image) -> str:
    """The description of the embedded colour profile; "none" without one, "damaged" where it cannot be read."""
    data = image.info.get("icc_profile")
    if not data:
        return "none"
    try:
        return " ".join(ImageCms.getProfileDescription(_profile(data)).split()) or "unnamed"
    except (ImageCms.PyCMSError, OSError):
        return "damaged"


def convert_to_srgb(image: Image.Image) -> None:
    """Convert an opened RGB image from its embedded colour profile to sRGB, in place; others are left as they are."""
    data = image.info.get("icc_profile")
    if not data or image.mode != "RGB" or profile_name(image).lower().startswith("srgb"):
        return
    try:
        ImageCms.profileToProfile(image, _profile(data), ImageCms.createProfile("sRGB"), inPlace=True)
    except (ImageCms.PyCMSError, OSError):
        return


def _profile(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(BytesIO(data))


def describe_differences(real: list[FileProperties], fake: list[FileProperties], size: int) -> list[str]:
    """A sentence for each property in which real and fake files differ, and what preparing at `size` does about it."""
    found = [
        _compare_words("file format", "format", real, fake, "All are written as PNG; traces of JPEG may stay in the "
                       "pixels."),
        _compare_words("colour profile", "profile", real, fake, "RGB images are converted to sRGB."),
        _compare_words("shape", "shape", real, fake, "All are cropped to the central square; what they show may still "
                       "differ in scale."),
        _compare_quality(real, fake),
        _compare_sides(real, fake, size),
    ]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _compare_words(what: str, field: str, real: list, fake: list, remedy: str) -> str:
    shares = [_shares([getattr(one, field) for one in some]) for some in (real, fake)]
    names = {*shares[0], *shares[1]}
    if sum(abs(shares[0].get(name, 0) - shares[1].get(name, 0)) for name in names) / 2 < _SHARE:
        return ""
    return f"{what} differs: real images {_listed(shares[0])}, fakes {_listed(shares[1])}. {remedy}"


def _shares(words: list[str]) -> dict[str, float]:
    names, counts = np.unique(words, return_counts=True)
    return {str(names[i]): counts[i] / len(words) for i in np.argsort(-counts, kind="stable")}


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.0%} {name}" for name, share in list(shares.items())[:3])


def _compare_quality(real: list[FileProperties], fake: list[FileProperties]) -> str:
    """Of JPEG files alone: whether there are as many is said of the format."""
    qualities = [np.array([one.quality for one in some if not np.isnan(one.quality)]) for some in (real, fake)]
    if not all(map(len, qualities)):
        return ""
    ours, theirs = map(np.median, qualities)
    if abs(ours - theirs) < _QUALITY:
        return ""
    return (
        f"JPEG quality differs: about {ours:.0f} in real images, {theirs:.0f} in fakes. Traces of it stay in the "
        f"pixels, unless images are at least halved; save all from their originals, or train with augmentation by JPEG."
    )


def _compare_sides(real: list[FileProperties], fake: list[FileProperties], size: int) -> str:
    ours, theirs = (float(np.median([one.side for one in some])) for some in (real, fake))
    if max(ours, theirs) < _SIDE * min(ours, theirs):
        return ""
    return (
        f"size differs: the shorter side is {ours:.0f} px in real images and {theirs:.0f} px in fakes (medians). All "
        f"are resized to {size} px, but resized differently: sharpness may tell them apart."
    )
