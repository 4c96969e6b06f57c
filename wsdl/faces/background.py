"""Backgrounds: studio walls, and places behind a snapshot, drawn sharp and then blurred like out-of-focus scenery.

Arrays are linear light [PLACE_SIZE, PLACE_SIZE, 3]; `x` and `y` run from 0 to 1, right and down.
"""

import numpy as np
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter

from wsdl.faces.geometry import noise_texture, smoothstep
from wsdl.faces.identity import Background

PLACE_SIZE = 128  # side in pixels
WALL_COLOURS = (0.62, 0.56, 0.46), (0.55, 0.57, 0.58), (0.40, 0.46, 0.42), (0.66, 0.62, 0.58), (0.35, 0.42, 0.50)
HOUSES = (0.50, 0.30, 0.22), (0.55, 0.48, 0.38), (0.42, 0.42, 0.44), (0.62, 0.58, 0.50), (0.30, 0.22, 0.18)
PICTURE_FRAMES = (0.05, 0.03, 0.02), (0.45, 0.33, 0.12), (0.8, 0.8, 0.78)
BOOKS = ((0.35, 0.06, 0.05), (0.06, 0.12, 0.25), (0.08, 0.18, 0.10), (0.45, 0.36, 0.22), (0.05, 0.05, 0.06),
         (0.55, 0.50, 0.42), (0.40, 0.20, 0.05))  # fmt: skip


def _pick_colour(rng, choices) -> np.ndarray:
    """One of the colours `choices`, slightly varied."""
    return np.array(choices[rng.integers(len(choices))]) * rng.uniform(0.85, 1.15, 3)


def _fill(canvas: np.ndarray, where: np.ndarray, colour) -> None:
    """Blend `colour` into `canvas` in place; where [PLACE_SIZE, PLACE_SIZE]: bool, or opacity 0-1."""
    canvas += where[..., None] * (np.asarray(colour) - canvas)


def _box(x, y, left: float, top: float, wide: float, tall: float) -> np.ndarray:
    return (x > left) & (x < left + wide) & (y > top) & (y < top + tall)


def _defocus(canvas: np.ndarray, radius: float) -> np.ndarray:
    """Blur with a disc of `radius` pixels, as a lens with a round aperture."""
    reach = int(np.ceil(radius))
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1)
    return np.stack([convolve(canvas[..., c], disc / disc.sum(), mode="nearest") for c in range(3)], -1)


def _foliage(x, y, rng) -> np.ndarray:
    """Trees over a lawn; the sky shines through the leaves."""
    dark, light = np.array([0.020, 0.035, 0.012]), np.array([0.16, 0.24, 0.06]) * rng.uniform(0.7, 1.3)
    leaves = smoothstep(0.7 * noise_texture(rng, x.shape, 7) + 0.6 * noise_texture(rng, x.shape, 2.5), -1.2, 1.6)
    canvas = dark + (light - dark) * leaves[..., None]
    gaps = noise_texture(rng, x.shape, 1.6) + 0.7 * noise_texture(rng, x.shape, 14) - 2.6 * y
    _fill(canvas, smoothstep(gaps, 0.9, 1.6), np.array([1.0, 1.1, 1.05]) * rng.uniform(0.8, 1.8))
    for _ in range(rng.integers(0, 4)):
        away = np.abs(x - rng.random() - 0.1 * (y - 0.5) * rng.normal())
        _fill(canvas, away < rng.uniform(0.015, 0.04), (0.05, 0.035, 0.025))
    lawn = (
        np.array([0.12, 0.18, 0.045])
        * rng.uniform(0.7, 1.3)
        * (0.75 + 0.25 * noise_texture(rng, x.shape, 9))[..., None]
    )
    _fill(canvas, smoothstep(y + 0.02 * noise_texture(rng, x.shape, 5), 0.66, 0.72), lawn)
    return _defocus(canvas, rng.uniform(3, 6.5))


def _window(x, y, rng) -> np.ndarray:
    """A room: daylight falls through a window with bars and curtains."""
    canvas = np.ones((*x.shape, 3)) * _pick_colour(rng, WALL_COLOURS) * rng.uniform(0.35, 0.7)
    left, top = rng.uniform(-0.25, 0.6), rng.uniform(-0.1, 0.12)
    wide, tall = rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.8)
    beside, over = np.maximum(left - x, x - left - wide), np.maximum(top - y, y - top - tall)
    near = np.hypot(np.maximum(0, beside), np.maximum(0, over))
    canvas = canvas * (0.75 + 0.8 * np.exp(-near / 0.25))[..., None]
    pane = _box(x, y, left, top, wide, tall)
    outside = np.array([1.0, 1.08, 1.15]) * (1.25 - 0.5 * smoothstep(y, top, top + tall))[..., None]
    _fill(
        outside,
        smoothstep(y - 0.05 * noise_texture(rng, x.shape, 8), top + 0.55 * tall, top + 0.7 * tall),
        (0.35, 0.45, 0.25),
    )
    _fill(canvas, _box(x, y, left - 0.025, top - 0.025, wide + 0.05, tall + 0.05), (0.7, 0.68, 0.64))
    canvas = np.where(pane[..., None], outside, canvas)
    bars = (np.abs(x - left - wide / 2) < 0.012) | (np.abs(y - top - tall * 0.4) < 0.01)
    _fill(canvas, pane & bars, (0.6, 0.58, 0.55))
    if rng.random() < 0.6:
        folds = 0.8 + 0.2 * np.sin(x * rng.uniform(90, 140))
        cloth = _pick_colour(rng, WALL_COLOURS)[None, None] * folds[..., None] * 1.1
        edge = left + wide * rng.uniform(0.75, 0.9)
        _fill(canvas, _box(x, y, edge, -0.1, 0.25, 1.2), cloth)
    return _defocus(canvas, rng.uniform(2, 4))


def _wall(x, y, rng) -> np.ndarray:
    """A plain wall with one or two framed pictures, lit from a side."""
    canvas = (
        np.ones((*x.shape, 3)) * _pick_colour(rng, WALL_COLOURS) * (1.1 - 0.5 * np.abs(x - rng.random()))[..., None]
    )
    for side in rng.permutation(2)[: rng.integers(1, 3)]:
        wide, tall = rng.uniform(0.2, 0.32), rng.uniform(0.25, 0.4)
        left, top = (rng.uniform(-0.08, 0.08) if side == 0 else rng.uniform(0.72, 0.85)), rng.uniform(0.02, 0.25)
        _fill(canvas, _box(x, y, left + 0.012, top + 0.015, wide, tall), canvas * 0.6)  # shadow
        _fill(canvas, _box(x, y, left, top, wide, tall), _pick_colour(rng, PICTURE_FRAMES))
        _fill(canvas, _box(x, y, left + 0.02, top + 0.02, wide - 0.04, tall - 0.04), (0.75, 0.73, 0.68))
        inner = _box(x, y, left + 0.05, top + 0.05, wide - 0.1, tall - 0.1)
        _fill(canvas, inner, _pick_colour(rng, HOUSES))
        _fill(canvas, inner * smoothstep(noise_texture(rng, x.shape, 6), -0.5, 0.5), _pick_colour(rng, WALL_COLOURS))
    if rng.random() < 0.5:
        skirting = rng.uniform(0.8, 0.9)
        _fill(canvas, y > skirting, _pick_colour(rng, ((0.16, 0.09, 0.05), (0.45, 0.4, 0.35), (0.1, 0.12, 0.16))))
    return _defocus(canvas, rng.uniform(1.2, 2.8))


def _street(x, y, rng) -> np.ndarray:
    """Houses with rows of windows to both sides of a street below the sky; cars."""
    blue = np.array([0.45, 0.62, 0.95]) * rng.uniform(0.8, 1.2)
    canvas = blue + (np.array([1.0, 0.98, 0.92]) - blue) * smoothstep(y, -0.1, 0.5)[..., None]
    meet = rng.uniform(0.35, 0.65)  # where the street ends
    for side in (-1, 1):
        near = side * (x - meet)
        for start in np.sort(rng.uniform(0.03, 0.4, 2)):
            roof = 0.42 - rng.uniform(0.5, 1.1) * (near - start) - 0.15 * start - rng.uniform(0.0, 0.2)
            house = (near > start) & (y > roof)
            _fill(canvas, house, _pick_colour(rng, HOUSES) * rng.uniform(0.5, 1.1))
            step = 0.055 + 0.12 * np.clip(near, 0, 1)
            panes = (np.mod(near / step * 1.1, 1) < 0.5) & (np.mod((y - roof) / step * 0.8, 1) > 0.5)
            _fill(canvas, house & panes & (y - roof > 0.03), _pick_colour(rng, ((0.06, 0.07, 0.09), (0.25, 0.3, 0.36))))
    ground = 0.62 + 0.25 * np.abs(x - meet)
    _fill(canvas, y > ground, (0.34, 0.33, 0.31))
    _fill(canvas, y > 0.63 + 0.7 * np.abs(x - meet), (0.15, 0.15, 0.16))
    for _ in range(rng.integers(1, 4)):
        left, size = rng.uniform(-0.1, 1), rng.uniform(0.1, 0.2)
        _fill(canvas, _box(x, y, left, 0.7 - 0.3 * size, size * 1.6, 0.6 * size), _pick_colour(rng, BOOKS) * 1.5)
        _fill(canvas, _box(x, y, left + 0.02, 0.7 - 0.2 * size, 0.02, 0.02), (2.5, 2.2, 1.6))
    return _defocus(canvas, rng.uniform(2.5, 4.5))


def _books(x, y, rng) -> np.ndarray:
    """Shelves of books."""
    wood = _pick_colour(rng, ((0.20, 0.10, 0.045), (0.07, 0.04, 0.025), (0.6, 0.57, 0.52)))
    canvas = np.ones((*x.shape, 3)) * wood * 0.3
    shelf, tall = rng.uniform(-0.1, 0.05), rng.uniform(0.26, 0.34)
    while shelf < 1:
        edge = -0.05
        while edge < 1:
            wide, high = rng.uniform(0.025, 0.06), tall * rng.uniform(0.62, 0.88)
            if rng.random() < 0.92:
                spine = _box(x, y, edge, shelf + tall - high, wide * 0.94, high)
                round_ = 0.6 + 0.5 * np.sin(np.pi * np.clip((x - edge) / wide, 0, 1))
                _fill(canvas, spine, _pick_colour(rng, BOOKS) * rng.uniform(0.5, 1.2) * round_[..., None])
                _fill(canvas, spine & (np.abs(y - shelf - tall + 0.75 * high) < 0.015), (0.5, 0.42, 0.25))
            edge += wide
        _fill(canvas, _box(x, y, -0.1, shelf + tall, 1.2, 0.025), wood * 1.2)
        shelf += tall + 0.025
    return _defocus(canvas * (1.2 - 0.6 * np.abs(x - rng.random()))[..., None], rng.uniform(1.2, 2.6))


def _night(x, y, rng) -> np.ndarray:
    """A street at night: lamps out of focus over dark houses and a wet road."""
    canvas = np.ones((*x.shape, 3)) * np.array([0.012, 0.013, 0.028]) * (1.6 - y)[..., None]
    for _ in range(5):
        house = _box(x, y, rng.uniform(-0.2, 1), rng.uniform(0.05, 0.45), rng.uniform(0.15, 0.4), 1)
        _fill(canvas, house, np.array([0.03, 0.025, 0.025]) * rng.uniform(0.4, 1.3))
    canvas = _defocus(canvas, 3)
    for _ in range(rng.integers(12, 30)):
        across, down = rng.random(), rng.uniform(0.15, 0.7)
        radius = rng.uniform(0.015, 0.045)
        disc = 1 - smoothstep(np.hypot(x - across, y - down), radius * 0.85, radius * 1.05)
        lamp = _pick_colour(rng, ((1, 0.65, 0.28), (1, 0.85, 0.6), (0.9, 0.15, 0.08), (0.3, 0.7, 0.45), (0.5, 0.65, 1)))
        strength = rng.uniform(0.1, 0.7)
        mirrored = 0.2 * np.exp(-(((x - across) / radius) ** 2)) * np.exp(-(((y - 1.5 + down) / 0.2) ** 2)) * (y > 0.72)
        canvas += (disc + mirrored)[..., None] * lamp * strength
    return canvas


PLACES = {"foliage": _foliage, "window": _window, "wall": _wall, "street": _street, "books": _books, "night": _night}


def render_place(kind: str, rng: np.random.Generator) -> np.ndarray:
    """The place `kind` (a key of PLACES), randomly mirrored."""
    y, x = (np.mgrid[:PLACE_SIZE, :PLACE_SIZE] + 0.5) / PLACE_SIZE
    canvas = PLACES[kind](x, y, rng)
    return gaussian_filter(canvas[:, :: rng.choice((-1, 1))], (0.6, 0.6, 0))


def render_background(background: Background, size: int, rng: np.random.Generator) -> np.ndarray:
    """The background as linear light [size, size, 3]."""
    canvas = render_place(background.kind, rng) if background.kind in PLACES else _studio_wall(background, rng)
    canvas = np.clip(canvas, 0.003, 3).astype(np.float32)
    bands = (Image.fromarray(canvas[..., c]).resize((size, size), Image.Resampling.BICUBIC) for c in range(3))
    return np.stack([np.asarray(band) for band in bands], -1).clip(0)


def _studio_wall(background: Background, rng: np.random.Generator) -> np.ndarray:
    """A plain wall, one with a gradient, or mottled cloth."""
    canvas = np.ones((PLACE_SIZE, PLACE_SIZE, 3)) * background.colour
    if background.kind != "plain":
        y, x = np.mgrid[:PLACE_SIZE, :PLACE_SIZE] / PLACE_SIZE
        away = np.hypot(x - rng.uniform(0.3, 0.7), y - rng.uniform(0.3, 0.6))
        canvas = canvas * (1.25 - 1.1 * away)[..., None]
    if background.kind == "mottled":
        cloth = 0.12 * noise_texture(rng, (PLACE_SIZE, PLACE_SIZE), 12) + 0.05 * noise_texture(
            rng, (PLACE_SIZE, PLACE_SIZE), 4
        )
        canvas = canvas * (1 + cloth)[..., None]
    return canvas
