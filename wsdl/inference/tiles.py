"""The map of an image of any size at its own resolution, in overlapping tiles: memory does not grow with the image."""

from collections.abc import Iterator

import numpy as np
import torch

from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.core.io import WsdlError
from wsdl.detectors.prediction import Prediction

STRIDE = 8  # pixels: tiles begin at multiples of it, as the patches of all our networks do
TILE = 768  # pixels, without the overlap
MIN_NATIVE = 64  # pixels, of the shorter side: of smaller images too few patches are complete
OVERLAP = 24  # pixels on each side: at least half a receptive field, which is 43 px or less


@torch.no_grad()
def predict_tiles(network, pixels: np.ndarray, tile: int = TILE) -> Prediction:
    """Map [1, h, w] and score [1] of uint8 [H, W, 3] without resizing; equal to those of one pass, up to rounding.

    Each side must be at least MIN_NATIVE. WsdlError where the method is not fully convolutional.
    """
    if not hasattr(network, "pool"):
        raise WsdlError(f"{type(network).__name__}: cannot predict at native resolution; use patches or patches-mil.")
    network.eval()
    step = _pixels_per_patch(network)
    rows = []
    for top in _tiles(pixels.shape[0], tile):
        parts = [_patch_values(network, pixels, top, left, step) for left in _tiles(pixels.shape[1], tile)]
        rows.append(np.concatenate(parts, axis=1))
    map_ = np.concatenate(rows)[None]
    return Prediction(map_, network.pool(torch.from_numpy(map_)).numpy())


def _tiles(length: int, tile: int) -> Iterator[tuple[int, int | None]]:
    """Begin and end of each tile along an axis of `length` px; the last one has no end."""
    for begin in range(0, length, tile):
        yield begin, begin + tile if begin + tile < length else None


def _patch_values(network, pixels: np.ndarray, rows: tuple, columns: tuple, step: int) -> np.ndarray:
    """The values of the patches that begin in one tile, [h, w], from it and its surroundings."""
    outer, inner = zip(*(_surroundings(*axis, step) for axis in (rows, columns)), strict=True)
    with autocast(pick_device()):
        maps, _ = network.predict_batch(to_unit(pixels[outer][None], pick_device()))
    return maps[0].float().cpu().numpy()[inner]


def _surroundings(begin: int, end: int | None, step: int) -> tuple[slice, slice]:
    """The pixels that the patches of a tile depend on, and where these patches are in the map of those pixels."""
    first = max(0, begin - OVERLAP)
    skipped = (begin - first) // step
    if end is None:
        return slice(first, None), slice(skipped, None)
    return slice(first, end + OVERLAP), slice(skipped, skipped + (end - begin) // step)


def _pixels_per_patch(network) -> int:
    """The distance of two patches in pixels."""
    blank = torch.zeros(1, 3, 64, 64 + 8 * STRIDE, device=pick_device())
    height, width = network.predict_batch(blank)[0].shape[1:]
    return 8 * STRIDE // (width - height)
