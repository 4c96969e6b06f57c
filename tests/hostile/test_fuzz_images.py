"""Damaged image files: the decoder of datasets, that of localize and the mask readers raise WsdlError alone."""

import io
import warnings
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.data.decode import decode, pixels_in_file
from wsdl.data.masks import read_label_map, read_mask
from wsdl.inference.image_input import from_memory, open_image, read_origin

FILES = 2000  # damaged files, each read in all ways; the same ones in every run
SIDE = 12


def good_files() -> dict[str, bytes]:
    """Small images of many formats, modes and with many chunks."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    grey = colour.convert("L")
    deep = Image.fromarray(rng.integers(0, 65536, (SIDE, SIDE), np.uint16))
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker", 0x011A: 72.0})
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"

    def frames() -> dict:
        return {"save_all": True, "append_images": [grey.convert("RGB")]}

    saved = {
        "png": (colour, "PNG", {"exif": exif, "icc_profile": b"none", "dpi": (72, 72)}),
        "grey-png": (grey, "PNG", {"transparency": 9}),
        "palette-png": (colour.quantize(9), "PNG", {"transparency": bytes(9)}),
        "16-bit-png": (deep, "PNG", {}),
        "1-bit-png": (colour.convert("1"), "PNG", {}),
        "apng": (colour, "PNG", frames()),
        "jpeg": (colour, "JPEG", {"exif": exif, "quality": 60}),
        "cmyk-jpeg": (colour.convert("CMYK"), "JPEG", {"exif": exif}),
        "progressive-jpeg": (colour, "JPEG", {"progressive": True, "comment": "x"}),
        "mpo": (colour, "MPO", frames()),
        "webp": (colour, "WEBP", {"exif": exif, "lossless": True}),
        "webp-frames": (colour.convert("RGBA"), "WEBP", frames()),
        "tiff": (colour, "TIFF", {"exif": exif}),
        "lzw-tiff": (grey, "TIFF", {"compression": "tiff_lzw"}),
        "jpeg-tiff": (colour, "TIFF", {"compression": "jpeg"}),
        "float-tiff": (grey.convert("F"), "TIFF", {}),
        "pages-tiff": (colour, "TIFF", frames()),
        "bmp": (colour, "BMP", {}),
        "palette-bmp": (colour.quantize(9), "BMP", {}),
        "gif": (colour.quantize(9), "GIF", frames() | {"transparency": 1}),
        "ppm": (colour, "PPM", {}),
        "deep-pgm": (deep.convert("I"), "PPM", {}),
        "avif": (colour, "AVIF", {"exif": exif}),
    }
    files = {}
    for name, (image, form, options) in saved.items():
        file = io.BytesIO()
        image.copy().save(file, form, **options)  # JPEG leaves settings in the image
        files[name] = file.getvalue()
    return files


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` with bytes changed, cut, doubled or inserted, mostly near the beginning, where headers are."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(len(out) * rng.random() ** rng.integers(1, 4))
        what = rng.integers(6)
        if what == 0:
            out[at : at + 1] = rng.bytes(1)
        elif what == 1:
            out[at : at + 4] = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"][rng.integers(4)]
        elif what == 2:
            del out[at : at + int(rng.integers(1, 9))]
        elif what == 3:
            out[at:at] = rng.bytes(rng.integers(1, 9))
        elif what == 4:
            out[at:at] = out[at : at + int(rng.integers(1, 64))]
        elif rng.integers(3) == 0:
            del out[at:]
    return bytes(out)


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_raise_nothing_but_wsdl_error(tmp_path, part):
    """A hang, a crash or an exception of another type fails."""
    good, outcomes, others = good_files(), Counter(), []
    path = tmp_path / "x-map.png"  # the name of a result of localize, so that its text chunk is read
    for number in range(part, FILES, 4):
        rng = np.random.default_rng(number)
        kind = list(good)[number % len(good)]
        path.write_bytes(damage(good[kind], rng))
        for read in (decode, read_mask, read_label_map, open_image, read_lazily, pixels_in_file, read_origin):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(path)
                outcomes["read"] += 1
            except WsdlError as error:
                outcomes["refused"] += 1
                sentence = str(error)
                if "\n" in sentence or not sentence.endswith("."):
                    others.append((number, kind, read.__name__, sentence))
            except Exception as error:
                others.append((number, kind, read.__name__, repr(error)))
    assert others == []
    assert min(outcomes["read"], outcomes["refused"]) > FILES / 8  # damage is neither without effect nor total


def read_lazily(path) -> None:
    """As `wsdl.localize(Image.open(path))`."""
    try:
        image = Image.open(path)
    except Exception:  # the user's own call
        return
    from_memory(image)
