"""Pictures, maps and masks as small bytes that a browser turns back into the very same numbers."""

import zlib
from io import BytesIO

import numpy as np
from matplotlib import colormaps
from PIL import Image

STEPS = 200  # thresholds that are exact: 0, .005, .010 ... 1
PALETTES = ("magma", "inferno", "viridis", "cividis")  # perceptual: equal steps of the map look equal
_EDGES = (np.arange(STEPS + 1) / STEPS).astype(np.float32)  # as numpy compares a float32 map with k / STEPS


def levels(map_: np.ndarray) -> np.ndarray:
    """`map_` float32 in [0, 1] as uint8 0 ... STEPS such that `map_ > k / STEPS` exactly where the level is > k.

    Rounding to the nearest of 256 grey values would move pixels across the threshold; cutting at every threshold that
    the slider can take moves none, so the browser's IoU is that of wsdl.metrics, to the last pixel.
    """
    return np.searchsorted(_EDGES, map_, side="left").astype(np.uint8)


def value_of(level) -> np.ndarray:
    """The middle of the interval that `level` stands for; level 0 is 0 itself."""
    return np.maximum(np.asarray(level) - 0.5, 0) / STEPS


def packed(plane: np.ndarray) -> bytes:
    """uint8 [H, W], compressed without loss: each pixel less its prediction from three neighbours, then zlib.

    The prediction is the median of left, up, and left + up - corner (LOCO-I, as in JPEG-LS). Not an image file: some
    browsers slightly alter pixels that a script reads back from an image, to make tracking harder.
    """
    padded = np.pad(plane.astype(np.int16), ((1, 0), (1, 0)))
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    predicted = np.clip(left + up - corner, np.minimum(left, up), np.maximum(left, up))
    return zlib.compress((plane - predicted).astype(np.uint8).tobytes(), 6)  # 9: a twentieth less in nine times as long


def unpacked(data: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The plane that `packed` was given, uint8 of `shape`: what the browser does, for tests and readers."""
    rest = np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)
    plane = np.zeros((shape[0] + 1, shape[1] + 1), int)
    for y, x in np.ndindex(shape):
        left, up, corner = plane[y + 1, x], plane[y, x + 1], plane[y, x]
        predicted = sorted((left, up, left + up - corner))[1]
        plane[y + 1, x + 1] = (predicted + rest[y, x]) % 256
    return plane[1:, 1:].astype(np.uint8)


def palettes() -> dict[str, bytes]:
    """matplotlib's colours of each level: name -> (STEPS + 1) x RGB."""
    values = value_of(np.arange(STEPS + 1))
    return {name: colormaps[name](values, bytes=True)[:, :3].tobytes() for name in PALETTES}


def png(picture: np.ndarray) -> bytes:
    """Quick, for a notebook on the same machine."""
    return _file(picture, "PNG", compress_level=3)


def webp(picture: np.ndarray) -> bytes:
    """Small and without loss, for a page that is sent around."""
    return _file(picture, "WEBP", lossless=True, quality=60, method=4)


def webp_lossy(picture: np.ndarray) -> bytes:
    """About a quarter of `webp`; the eye sees the same picture, a forensic filter does not."""
    return _file(picture, "WEBP", quality=96, method=6)


def _file(picture: np.ndarray, kind: str, **options) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()
