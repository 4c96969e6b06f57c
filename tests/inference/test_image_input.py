"""Opening any image as upright RGB, and the errors for files that cannot be opened."""

import math
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.data.shortcuts import jpeg_quality
from wsdl.inference.image_input import MAX_PIXELS, find_images, from_memory, open_image, read_stdin

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def saved(folder, name, image, **options):
    image.save(folder / name, **options)
    return folder / name


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that claims this size, whatever `data` contains."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_a_plain_image_is_unchanged(tmp_path):
    opened = open_image(saved(tmp_path, "Gesicht äöü 顔.png", Image.fromarray(NOISE)))
    assert opened.image.mode == "RGB"
    assert np.array_equal(opened.image, NOISE)
    assert opened.warnings == []


def test_transparent_parts_become_white(tmp_path):
    alpha = np.full((24, 32, 1), 255, np.uint8)
    alpha[:, :16] = 0
    opened = open_image(saved(tmp_path, "a.png", Image.fromarray(np.concatenate([NOISE, alpha], axis=2))))
    seen = np.asarray(opened.image)
    assert (seen[:, :16] == 255).all()
    assert np.array_equal(seen[:, 16:], NOISE[:, 16:])
    assert opened.warnings == ["The image has transparent parts; they were replaced by white."]
    opaque = np.concatenate([NOISE, np.full_like(alpha, 255)], axis=2)
    assert open_image(saved(tmp_path, "b.png", Image.fromarray(opaque))).warnings == []


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.fromarray(NOISE).quantize(8)
    index = image.getpixel((0, 0))
    opened = open_image(saved(tmp_path, "p.png", image, transparency=index))
    assert opened.image.getpixel((0, 0)) == (255, 255, 255)
    assert len(opened.warnings) == 1


def test_16_bits_are_scaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    opened = open_image(saved(tmp_path, "deep.png", Image.fromarray(values)))
    assert np.array_equal(np.asarray(opened.image)[..., 0], values // 256)
    assert "8 bits" in opened.warnings[0]
    with pytest.raises(WsdlError, match="white level is unknown"):
        open_image(saved(tmp_path, "float.tif", Image.fromarray(values.astype(np.float32))))


def test_grey_and_one_bit_images(tmp_path):
    grey = Image.fromarray(NOISE[..., 0])
    assert np.array_equal(open_image(saved(tmp_path, "g.png", grey)).image, np.repeat(NOISE[..., :1], 3, axis=2))
    assert set(np.unique(open_image(saved(tmp_path, "1.png", grey.convert("1"))).image)) == {0, 255}


def test_cmyk_jpegs_keep_their_colours(tmp_path):
    flat = Image.new("RGB", (32, 24), (200, 80, 40))
    opened = open_image(saved(tmp_path, "print.jpg", flat.convert("CMYK"), quality=95))
    assert np.abs(np.asarray(opened.image).astype(int) - (200, 80, 40)).max() <= 4
    assert "CMYK" in opened.warnings[0]


def test_exif_orientation_is_applied(tmp_path):
    upright = np.zeros((24, 32, 3), np.uint8)
    upright[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated phone: viewers rotate it by 90 degrees clockwise
    lying = Image.fromarray(np.rot90(upright))
    opened = open_image(saved(tmp_path, "phone.png", lying, exif=exif))
    assert np.array_equal(opened.image, upright)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_give_their_first_frame(tmp_path, name):
    frames = [Image.new("RGB", (32, 24), colour) for colour in ("red", "lime", "blue")]
    path = saved(tmp_path, name, frames[0], save_all=True, append_images=frames[1:], duration=50, lossless=True)
    opened = open_image(path)
    assert opened.image.getpixel((16, 12)) == (255, 0, 0)
    assert opened.warnings == ["The file has 3 frames; only the first was analysed."]


@settings(max_examples=20, deadline=None)
@given(quality=st.integers(3, 99), subsampling=st.sampled_from([0, 2]))
def test_jpeg_quality_is_estimated_from_the_file(tmp_path_factory, quality, subsampling):
    path = saved(
        tmp_path_factory.mktemp("q"), "q.jpg", Image.fromarray(NOISE), quality=quality, subsampling=subsampling
    )
    with Image.open(path) as image:
        assert abs(jpeg_quality(image) - quality) <= (0 if quality >= 10 else 3)  # tables run into 255 below
    opened = open_image(path)
    assert bool(opened.warnings) == (quality < 75)
    if quality >= 10:
        assert opened.file == f"JPEG, quality about {quality}"


def test_tables_of_other_encoders_have_the_nearest_quality():
    tables = Image.new("RGB", (8, 8))
    luminance = np.array([3, 2, 2, 3, 4, 6, 8, 10, 2, 2, 2, 3, 4, 9, 10, 9, 2, 2, 3, 4, 6, 9, 11, 9, 2, 3, 4, 5, 8, 14,
                          13, 10, 3, 4, 6, 9, 11, 17, 16, 12, 4, 6, 9, 10, 13, 17, 18, 15, 8, 10, 12, 14, 16, 19, 19,
                          16, 12, 15, 15, 16, 18, 16, 16, 16])  # fmt: skip
    tables.quantization = {0: list(luminance)}
    assert jpeg_quality(tables) == 92
    tables.quantization = {0: [1] * 64}
    assert jpeg_quality(tables) == 100


def test_how_a_file_was_stored_is_said(tmp_path):
    image = Image.fromarray(NOISE)
    for name, words in (
        ("a.png", "PNG, lossless"), ("a.bmp", "BMP, lossless"), ("a.gif", "GIF, at most 256 colours"),
        ("a.webp", "WEBP, quality unknown"), ("a.tif", "TIFF, lossless"),
    ):  # fmt: skip
        assert open_image(saved(tmp_path, name, image)).file == words
    assert open_image(saved(tmp_path, "b.tif", image, compression="jpeg")).file == "TIFF, quality unknown"
    assert from_memory(NOISE).file == ""


def test_only_jpegs_have_a_quality(tmp_path):
    with Image.open(saved(tmp_path, "a.png", Image.fromarray(NOISE))) as image:
        assert math.isnan(jpeg_quality(image))


def test_files_that_cannot_be_opened_give_a_reason(tmp_path):
    good = saved(tmp_path, "good.jpg", Image.fromarray(np.tile(NOISE, (8, 8, 1)))).read_bytes()
    for name, content, why in (
        ("cut.jpg", good[: len(good) // 2], "cannot be decoded"),
        ("cut.png", png(64, 64, b"\0" * 50), "cannot be decoded"),
        ("text.jpg", b"dear diary, today", "is not an image in a supported format"),
        ("empty.png", b"", "is not an image in a supported format"),
        ("script.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image in a supported format"),
        ("bomb.png", png(60_000, 60_000), r"has too many pixels; the limit is 89 million"),
        ("large.png", png(9_000, 10_000), r"has 9000x10000 pixels; the limit is 89 million"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WsdlError, match=why) as caught:
            open_image(tmp_path / name)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / name}: ")
        assert message.endswith(".")
        assert "\n" not in message


def test_large_images_are_refused_before_decoding(tmp_path, monkeypatch):
    (tmp_path / "large.png").write_bytes(png(MAX_PIXELS // 1000 + 1, 1000))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(WsdlError, match="pixels"):
        open_image(tmp_path / "large.png")


def test_paths_that_are_not_files(tmp_path):
    with pytest.raises(WsdlError, match="no such file"):
        open_image(tmp_path / "none.png")
    with pytest.raises(WsdlError, match="File name too long"):
        open_image(tmp_path / ("x" * 300 + ".png"))
    for name in ("pipe.png", "pipe-map.png"):
        os.mkfifo(tmp_path / name)  # opening it would block
    assert list(find_images([str(tmp_path)])) == [str(tmp_path / name) for name in ("pipe-map.png", "pipe.png")]
    with pytest.raises(WsdlError, match="not a file"):
        open_image(tmp_path / "pipe.png")


def test_files_without_read_permission(tmp_path, monkeypatch):
    path = saved(tmp_path, "a.png", Image.fromarray(NOISE))

    def refuse(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # a mode of 000 does not stop root
    with pytest.raises(WsdlError, match=r"a\.png: .*Permission denied"):
        open_image(path)


def test_folders_are_searched_in_order_one_image_at_a_time(tmp_path):
    for name in ("b/2.JPG", "b/1.png", "a.webp", "b/c/x.gif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name in ("notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    found = list(find_images([str(tmp_path), "-", "none.png"]))
    assert found == [str(tmp_path / name) for name in ("a.webp", "b/1.png", "b/2.JPG", "b/c/x.gif")] + ["-", "none.png"]

    def words():
        yield "first.png"
        raise AssertionError("looked ahead")

    assert next(find_images(words())) == "first.png"
    (error,) = find_images([str(tmp_path / "folder.png")])
    assert "contains no images" in str(error)


def test_empty_or_too_long_stdin_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    with (tmp_path / "empty").open("rb") as file, pytest.raises(WsdlError, match="stdin is empty"):
        read_stdin(file)
    monkeypatch.setattr("wsdl.inference.image_input.MAX_BYTES", 10)
    (tmp_path / "much").write_bytes(b"x" * 11)
    with (tmp_path / "much").open("rb") as file, pytest.raises(WsdlError, match="more than"):
        read_stdin(file)


def test_images_in_memory():
    assert np.array_equal(from_memory(NOISE).image, NOISE)
    assert np.array_equal(from_memory(Image.fromarray(NOISE)).image, NOISE)
    assert from_memory(NOISE[..., 0]).image.mode == "RGB"
    assert np.array_equal(from_memory(NOISE[:, ::-1]).image, NOISE[:, ::-1])
    for wrong in (NOISE / 255, NOISE[None], np.zeros((0, 4, 3), np.uint8), 5, None, "a.png", [[1], [1, 2]]):
        with pytest.raises(WsdlError, match="image: "):
            from_memory(wrong)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(size):
    with pytest.raises(WsdlError, match=f"image: is {size[0]}x{size[1]} but must have at least one pixel"):
        from_memory(Image.new("RGB", size))


@pytest.mark.parametrize("mode", ["La", "LA", "PA", "RGBa", "RGBX", "HSV", "LAB", "YCbCr", "I;16B", "F", "1"])
def test_images_in_memory_of_any_mode(mode):
    assert from_memory(Image.new(mode, (8, 6))).image.mode == "RGB"


def test_lazily_opened_files_in_memory(tmp_path):
    path = saved(tmp_path, "a.jpg", Image.fromarray(np.tile(NOISE, (8, 8, 1))))
    assert from_memory(Image.open(path)).image.size == (256, 192)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WsdlError, match=r"image: cannot be decoded \(.*truncated"):
        from_memory(Image.open(path))
    path = saved(tmp_path, "a.tif", Image.fromarray(np.full((4, 4), 70_000, np.int32)))
    with pytest.raises(WsdlError, match=r"image: .*from 70000 to 70000, so its white level is unknown"):
        from_memory(Image.open(path))


def test_an_image_in_memory_is_copied():
    image = Image.fromarray(NOISE)
    opened = from_memory(image)
    image.paste("red", (0, 0, 32, 24))
    assert np.array_equal(opened.image, NOISE)
