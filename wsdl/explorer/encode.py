"""Encode images, maps and masks as compact bytes that a browser decodes to exactly the same numbers."""

import zlib
from io import BytesIO

import numpy as np
from matplotlib import colormaps
from PIL import Image

STEPS = 200  # exact thresholds: 0, .005, .010 ... 1
PALETTES = ("magma", "inferno", "viridis", "cividis")  # perceptual: equal steps of the map look equal
_EDGES = (np.arange(STEPS + 1) / STEPS).astype(np.float32)  # float32, as numpy compares a map with k / STEPS


def map_levels(map_: np.ndarray) -> np.ndarray:
    """`map_` float32 in [0, 1] as uint8 0 ... STEPS such that `map_ > k / STEPS` exactly where the level is > k.

    Rounding to 256 grey values would move pixels across the threshold. Levels are bounded by the thresholds that the
    slider can take, so the IoU in the browser equals that of wsdl.metrics.
    """
    return np.searchsorted(_EDGES, map_, side="left").astype(np.uint8)


def level_value(level) -> np.ndarray:
    """The middle of the interval that `level` stands for; level 0 is 0 itself."""
    return np.maximum(np.asarray(level) - 0.5, 0) / STEPS


def pack_plane(plane: np.ndarray) -> bytes:
    """uint8 [H, W], compressed losslessly: each pixel minus its prediction from three neighbours, then zlib.

    The prediction is the median of left, up, and left + up - corner (LOCO-I, as in JPEG-LS). Not an image file: some
    browsers slightly alter pixels that a script reads back from an image, as a protection against tracking.
    """
    padded = np.pad(plane.astype(np.int16), ((1, 0), (1, 0)))
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    predicted = np.clip(left + up - corner, np.minimum(left, up), np.maximum(left, up))
    return zlib.compress((plane - predicted).astype(np.uint8).tobytes(), 6)  # level 9: 5 % smaller, 9 times slower


def unpack_plane(data: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The inverse of `pack_plane`, uint8 of `shape`; the browser has its own."""
    rest = np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)
    plane = np.zeros((shape[0] + 1, shape[1] + 1), int)
    for y, x in np.ndindex(shape):
        left, up, corner = plane[y + 1, x], plane[y, x + 1], plane[y, x]
        predicted = sorted((left, up, left + up - corner))[1]
        plane[y + 1, x + 1] = (predicted + rest[y, x]) % 256
    return plane[1:, 1:].astype(np.uint8)


def colour_tables() -> dict[str, bytes]:
    """matplotlib's colour of each level: name -> (STEPS + 1) x RGB."""
    values = level_value(np.arange(STEPS + 1))
    return {name: colormaps[name](values, bytes=True)[:, :3].tobytes() for name in PALETTES}


def png(image: np.ndarray) -> bytes:
    """Fast to write, for a notebook on the same machine."""
    return _image_file(image, "PNG", compress_level=3)


def webp(image: np.ndarray) -> bytes:
    """Small and lossless, for a page that is passed on."""
    return _image_file(image, "WEBP", lossless=True, quality=60, method=4)


def webp_lossy(image: np.ndarray) -> bytes:
    """About a quarter of `webp`; looks the same, but is not the same for a forensic filter."""
    return _image_file(image, "WEBP", quality=96, method=6)


def _image_file(image: np.ndarray, kind: str, **options) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()
