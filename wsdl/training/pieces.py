"""Pieces of images: which part of a region is cut, and how it is fitted into another image."""

from functools import partial

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

_UNCUT = 1 / 4  # fraction of the pieces that are a region as it is; the others are cut by ellipses
_RADII = 0.05, 0.3  # of an ellipse, as fractions of the side of the image
_RAGGED = 1 / 2  # fraction of the ellipses from which blobs are taken away
_BLOBS = 0.015, 0.06  # size of blobs, as fractions of the side of the image
_LEFT_OUT = 0.1, 0.6  # fraction of an ellipse that blobs take away
_SMALLEST = 1 / 400  # area of a piece, as a fraction of the image
_TRIES = 5  # ellipses to try before the whole region is taken
_BLUR = 6 / 128  # standard deviation with which the difference at the border is continued inside, of the side


def cut_piece(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random part of `region`, bool [H, W]: its intersection with one or two ellipses, or all of it.

    Where all of an image is the region, half of the ellipses have holes and ragged borders, as inpainted regions may
    have; a smaller region has a shape of its own.
    """
    rows, columns = np.nonzero(region)
    if not len(rows) or (rng.random() < _UNCUT and len(rows) < region.size):
        return region
    for _ in range(_TRIES):
        piece = np.zeros_like(region)
        for k in rng.integers(len(rows), size=rng.integers(1, 3)):
            piece |= region & random_ellipse(region.shape[0], (rows[k], columns[k]), rng)
        if region.all() and rng.random() < _RAGGED:
            piece &= random_blobs(len(piece), rng)
        if piece.mean() >= _SMALLEST:
            return piece
    return region


def random_ellipse(side: int, centre: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """bool [side, side]: a filled ellipse around `centre` with random radii and a random direction."""
    down, right = np.ogrid[:side, :side]
    down, right = down - centre[0], right - centre[1]
    long, short = rng.uniform(*_RADII, 2) * side
    angle = rng.uniform(0, np.pi)
    u, v = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    return (u / long) ** 2 + (v / short) ** 2 < 1


def random_blobs(side: int, rng: np.random.Generator) -> np.ndarray:
    """bool [side, side]: blurred noise above one of its quantiles; blobs of random size are False."""
    noise = gaussian_filter(rng.standard_normal((side, side)), rng.uniform(*_BLOBS) * side)
    return noise > np.quantile(noise, rng.uniform(*_LEFT_OUT))


def match_border(content: np.ndarray, target: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """`content`, uint8 [H, W, 3], shifted in colour so that its `piece` fits into `target` without a visible border.

    The difference between both images around the piece is continued smoothly into it and added: what changes is the
    colour, slowly from pixel to pixel; the fine texture, by which fakes are recognised, stays. Poisson image editing
    (Perez et al., 2003) does the same exactly; this is its fast approximation by a normalised Gaussian filter.
    """
    if not piece.any():
        return content
    rows, columns = (slice(max(0, k.min() - 2), k.max() + 3) for k in np.nonzero(piece))
    inside = piece[rows, columns]  # the filters need no more of the image: around the piece are at most two pixels
    around = binary_dilation(inside, iterations=2) & ~inside
    if not around.any():
        return content
    blur = partial(gaussian_filter, mode="constant")  # outside are zeros, which have no weight
    sigma = _BLUR * len(piece)
    weight = np.maximum(blur(around.astype(np.float32), sigma), 1e-6)[..., None]
    difference = (target[rows, columns].astype(np.float32) - content[rows, columns]) * around[..., None]
    fitted = np.array(content)
    offset = blur(difference, (sigma, sigma, 0)) / weight
    fitted[rows, columns] = np.clip(np.rint(content[rows, columns] + offset), 0, 255)
    return fitted
