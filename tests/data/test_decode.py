"""One decoder for data preparation, training and localize: bit depth, alpha, orientation, limits."""

import os
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from wsdl.core import parallel
from wsdl.core.io import WsdlError, sha256
from wsdl.core.parallel import parallel_map
from wsdl.data.decode import DEEP, SHALLOW, TRANSPARENT, UNIT_RANGE, decode, pixels_in_file
from wsdl.data.images import read_image
from wsdl.inference.image_input import open_image

RAMP = np.linspace(0, 1, 24 * 32).reshape(24, 32)


def png(colour_type: int, pixels: np.ndarray) -> bytes:
    """A PNG with 16 bits per channel of pixels [H, W, C]."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ((RAMP * 65535).astype(np.uint16), DEEP),
        ((RAMP * 65535).astype(np.int32), DEEP),
        ((RAMP * 4095).astype(np.uint16), SHALLOW.format(bits=12)),
        ((RAMP * 255).astype(np.uint16), SHALLOW.format(bits=8)),
        (RAMP.astype(np.float32), UNIT_RANGE),
    ],
)
@pytest.mark.parametrize("reader", ["data", "localize"])
def test_grey_of_any_bit_depth_keeps_its_range(tmp_path, values, note, reader):
    path = tmp_path / "grey.tif"
    Image.fromarray(values).save(path)
    if reader == "data":
        image, notes = decode(path).image, decode(path).notes
        assert np.array_equal(read_image(path), image)
    else:
        image, notes = open_image(path).image, open_image(path).warnings
    assert np.abs(np.asarray(image)[..., 1] - RAMP * 255).max() < 1.01
    assert notes == [note]


@pytest.mark.parametrize(
    "values",
    [RAMP * 255, RAMP - 0.5, RAMP + np.nan, RAMP + np.inf, (RAMP * 1e6).astype(np.int32), (-9 * RAMP).astype(np.int32)],
)
def test_an_unknown_white_level_is_refused(tmp_path, values):
    Image.fromarray(values.astype(np.float32) if values.dtype == float else values).save(tmp_path / "a.tif")
    with pytest.raises(WsdlError, match=r"a\.tif: .*white level is unknown; save it with 8 bits"):
        decode(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bits_in_colour(tmp_path, channels):
    colour_type = {2: 4, 3: 2, 4: 6}[channels]
    pixels = np.repeat(RAMP[..., None] * 65535, channels, axis=2)
    pixels[..., 3 if channels == 4 else 1] = 65535
    (tmp_path / "a.png").write_bytes(png(colour_type, pixels))
    decoded = decode(tmp_path / "a.png")
    assert np.abs(np.asarray(decoded.image)[..., 0] - RAMP * 255).max() < 1.01
    assert decoded.notes == [DEEP]
    (tmp_path / "a.png").write_bytes(png(colour_type, pixels // 16))  # 12 bits in 16: Pillow drops the lower 8
    with pytest.raises(WsdlError, match="uses the lower 12 or fewer"):
        decode(tmp_path / "a.png")


def test_transparent_parts_are_white_for_all_readers(tmp_path):
    pixels = np.full((4, 6, 4), 90, np.uint8)
    pixels[..., 3] = 255
    pixels[:, :3, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255] * 3] * 3 + [[90] * 3] * 3
    assert np.array_equal(read_image(tmp_path / "a.png"), open_image(tmp_path / "a.png").image)
    assert decode(tmp_path / "a.png").notes == open_image(tmp_path / "a.png").warnings == [TRANSPARENT]
    grey = Image.fromarray(np.array([[0, 40_000, 65_535]], np.uint16))
    grey.save(tmp_path / "deep.png", transparency=40_000)
    assert read_image(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_orientation_is_applied_and_known(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((16, 24), np.uint8)
    stored[:8, :8] = 255
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    decoded = decode(tmp_path / f"a.{suffix}")
    assert decoded.orientation == orientation
    upright = {1: stored, 3: stored[::-1, ::-1], 6: np.rot90(stored, -1)}[orientation]
    assert np.abs(np.asarray(decoded.image)[..., 0] - upright.astype(int)).max() < 50


def test_several_pages_give_the_first(tmp_path):
    pages = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime")]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert read_image(tmp_path / "a.tif")[0, 0].tolist() == [255, 0, 0]
    assert open_image(tmp_path / "a.tif").image.getpixel((0, 0)) == (255, 0, 0)


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for read in (decode, sha256):
        with pytest.raises(WsdlError, match=r"x\.png: is not a file but a folder, a pipe or a device"):
            read(tmp_path / "x.png")
    assert pixels_in_file(tmp_path / "x.png") == 0


def test_too_little_memory_is_one_sentence(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")

    def fail(self):
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(WsdlError, match=r"a\.png: needs more memory than is free"):
        decode(tmp_path / "a.png")


def test_pixels_are_counted_without_decoding(tmp_path, monkeypatch):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    assert pixels_in_file(tmp_path / "a.png") == 1200
    assert pixels_in_file(tmp_path / "none.png") == 0


def test_pixels_in_flight_are_limited(monkeypatch):
    monkeypatch.setattr(parallel, "PIXELS_IN_FLIGHT", 100)
    lock, now, most = threading.Lock(), [], []

    def work(pixels: int) -> int:
        with lock:
            now.append(pixels)
            most.append(sum(now))
        time.sleep(0.003)
        with lock:
            now.remove(pixels)
        return pixels

    items = [60, 30, 30, 500, 100, 10, 90, 0] * 4
    assert parallel_map(work, items, "working", lambda pixels: pixels) == items
    assert max(total for total in most if total != 500) <= 100  # an image above the limit is alone


def test_batches_hold_few_pixels(monkeypatch):
    monkeypatch.setattr(parallel, "PIXELS_IN_FLIGHT", 100)
    parts = list(parallel.split_by_pixels([60, 30, 30, 500, 100, 10, 90, 0], lambda pixels: pixels))
    assert parts == [[60, 30], [30], [500], [100], [10, 90, 0]]
