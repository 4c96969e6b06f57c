"""Places behind a snapshot, painted sharp and then put out of focus: linear light [SIDE, SIDE, 3], seen from the front.

`x` and `y` run from 0 to 1, right and down.
"""

import numpy as np
from scipy.ndimage import convolve, gaussian_filter

from wsdl.faces.geometry import noise, ramp

SIDE = 128  # pixels they are painted at
WALLPAINTS = (0.62, 0.56, 0.46), (0.55, 0.57, 0.58), (0.40, 0.46, 0.42), (0.66, 0.62, 0.58), (0.35, 0.42, 0.50)
HOUSES = (0.50, 0.30, 0.22), (0.55, 0.48, 0.38), (0.42, 0.42, 0.44), (0.62, 0.58, 0.50), (0.30, 0.22, 0.18)
FRAMES = (0.05, 0.03, 0.02), (0.45, 0.33, 0.12), (0.8, 0.8, 0.78)
BOOKS = ((0.35, 0.06, 0.05), (0.06, 0.12, 0.25), (0.08, 0.18, 0.10), (0.45, 0.36, 0.22), (0.05, 0.05, 0.06),
         (0.55, 0.50, 0.42), (0.40, 0.20, 0.05))  # fmt: skip


def one_of(rng, choices) -> np.ndarray:
    """One of the colours `choices`, a little changed."""
    return np.array(choices[rng.integers(len(choices))]) * rng.uniform(0.85, 1.15, 3)


def fill(painted: np.ndarray, where: np.ndarray, colour) -> None:
    """Paint `colour` where `where` [SIDE, SIDE] is true (or as opaque as it says), in place."""
    painted += where[..., None] * (np.asarray(colour) - painted)


def within(x, y, left: float, top: float, wide: float, tall: float) -> np.ndarray:
    return (x > left) & (x < left + wide) & (y > top) & (y < top + tall)


def defocus(painted: np.ndarray, radius: float) -> np.ndarray:
    """As a lens with a round opening shows what is not in focus: lamps become discs. radius: pixels."""
    reach = int(np.ceil(radius))
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1)
    return np.stack([convolve(painted[..., c], disc / disc.sum(), mode="nearest") for c in range(3)], -1)


def foliage(x, y, rng) -> np.ndarray:
    """Trees over a lawn; the sky shines through the leaves."""
    dark, light = np.array([0.020, 0.035, 0.012]), np.array([0.16, 0.24, 0.06]) * rng.uniform(0.7, 1.3)
    leaves = ramp(0.7 * noise(rng, x.shape, 7) + 0.6 * noise(rng, x.shape, 2.5), -1.2, 1.6)
    painted = dark + (light - dark) * leaves[..., None]
    gaps = noise(rng, x.shape, 1.6) + 0.7 * noise(rng, x.shape, 14) - 2.6 * y
    fill(painted, ramp(gaps, 0.9, 1.6), np.array([1.0, 1.1, 1.05]) * rng.uniform(0.8, 1.8))
    for _ in range(rng.integers(0, 4)):
        away = np.abs(x - rng.random() - 0.1 * (y - 0.5) * rng.normal())
        fill(painted, away < rng.uniform(0.015, 0.04), (0.05, 0.035, 0.025))
    lawn = np.array([0.12, 0.18, 0.045]) * rng.uniform(0.7, 1.3) * (0.75 + 0.25 * noise(rng, x.shape, 9))[..., None]
    fill(painted, ramp(y + 0.02 * noise(rng, x.shape, 5), 0.66, 0.72), lawn)
    return defocus(painted, rng.uniform(3, 6.5))


def window(x, y, rng) -> np.ndarray:
    """A room: daylight falls through a window with bars and curtains."""
    painted = np.ones((*x.shape, 3)) * one_of(rng, WALLPAINTS) * rng.uniform(0.35, 0.7)
    left, top = rng.uniform(-0.25, 0.6), rng.uniform(-0.1, 0.12)
    wide, tall = rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.8)
    beside, over = np.maximum(left - x, x - left - wide), np.maximum(top - y, y - top - tall)
    near = np.hypot(np.maximum(0, beside), np.maximum(0, over))
    painted = painted * (0.75 + 0.8 * np.exp(-near / 0.25))[..., None]
    pane = within(x, y, left, top, wide, tall)
    outside = np.array([1.0, 1.08, 1.15]) * (1.25 - 0.5 * ramp(y, top, top + tall))[..., None]
    fill(outside, ramp(y - 0.05 * noise(rng, x.shape, 8), top + 0.55 * tall, top + 0.7 * tall), (0.35, 0.45, 0.25))
    fill(painted, within(x, y, left - 0.025, top - 0.025, wide + 0.05, tall + 0.05), (0.7, 0.68, 0.64))
    painted = np.where(pane[..., None], outside, painted)
    bars = (np.abs(x - left - wide / 2) < 0.012) | (np.abs(y - top - tall * 0.4) < 0.01)
    fill(painted, pane & bars, (0.6, 0.58, 0.55))
    if rng.random() < 0.6:
        folds = 0.8 + 0.2 * np.sin(x * rng.uniform(90, 140))
        cloth = one_of(rng, WALLPAINTS)[None, None] * folds[..., None] * 1.1
        edge = left + wide * rng.uniform(0.75, 0.9)
        fill(painted, within(x, y, edge, -0.1, 0.25, 1.2), cloth)
    return defocus(painted, rng.uniform(2, 4))


def wall(x, y, rng) -> np.ndarray:
    """A painted wall with one or two framed pictures, lit from a side."""
    painted = np.ones((*x.shape, 3)) * one_of(rng, WALLPAINTS) * (1.1 - 0.5 * np.abs(x - rng.random()))[..., None]
    for side in rng.permutation(2)[: rng.integers(1, 3)]:
        wide, tall = rng.uniform(0.2, 0.32), rng.uniform(0.25, 0.4)
        left, top = (rng.uniform(-0.08, 0.08) if side == 0 else rng.uniform(0.72, 0.85)), rng.uniform(0.02, 0.25)
        fill(painted, within(x, y, left + 0.012, top + 0.015, wide, tall), painted * 0.6)  # shadow
        fill(painted, within(x, y, left, top, wide, tall), one_of(rng, FRAMES))
        fill(painted, within(x, y, left + 0.02, top + 0.02, wide - 0.04, tall - 0.04), (0.75, 0.73, 0.68))
        inner = within(x, y, left + 0.05, top + 0.05, wide - 0.1, tall - 0.1)
        fill(painted, inner, one_of(rng, HOUSES))
        fill(painted, inner * ramp(noise(rng, x.shape, 6), -0.5, 0.5), one_of(rng, WALLPAINTS))
    if rng.random() < 0.5:
        skirting = rng.uniform(0.8, 0.9)
        fill(painted, y > skirting, one_of(rng, ((0.16, 0.09, 0.05), (0.45, 0.4, 0.35), (0.1, 0.12, 0.16))))
    return defocus(painted, rng.uniform(1.2, 2.8))


def street(x, y, rng) -> np.ndarray:
    """Houses with rows of windows to both sides of a street below the sky; cars."""
    blue = np.array([0.45, 0.62, 0.95]) * rng.uniform(0.8, 1.2)
    painted = blue + (np.array([1.0, 0.98, 0.92]) - blue) * ramp(y, -0.1, 0.5)[..., None]
    meet = rng.uniform(0.35, 0.65)  # where the street ends
    for side in (-1, 1):
        near = side * (x - meet)
        for start in np.sort(rng.uniform(0.03, 0.4, 2)):
            roof = 0.42 - rng.uniform(0.5, 1.1) * (near - start) - 0.15 * start - rng.uniform(0.0, 0.2)
            house = (near > start) & (y > roof)
            fill(painted, house, one_of(rng, HOUSES) * rng.uniform(0.5, 1.1))
            step = 0.055 + 0.12 * np.clip(near, 0, 1)
            panes = (np.mod(near / step * 1.1, 1) < 0.5) & (np.mod((y - roof) / step * 0.8, 1) > 0.5)
            fill(painted, house & panes & (y - roof > 0.03), one_of(rng, ((0.06, 0.07, 0.09), (0.25, 0.3, 0.36))))
    ground = 0.62 + 0.25 * np.abs(x - meet)
    fill(painted, y > ground, (0.34, 0.33, 0.31))
    fill(painted, y > 0.63 + 0.7 * np.abs(x - meet), (0.15, 0.15, 0.16))
    for _ in range(rng.integers(1, 4)):
        left, size = rng.uniform(-0.1, 1), rng.uniform(0.1, 0.2)
        fill(painted, within(x, y, left, 0.7 - 0.3 * size, size * 1.6, 0.6 * size), one_of(rng, BOOKS) * 1.5)
        fill(painted, within(x, y, left + 0.02, 0.7 - 0.2 * size, 0.02, 0.02), (2.5, 2.2, 1.6))
    return defocus(painted, rng.uniform(2.5, 4.5))


def books(x, y, rng) -> np.ndarray:
    """Shelves of books."""
    wood = one_of(rng, ((0.20, 0.10, 0.045), (0.07, 0.04, 0.025), (0.6, 0.57, 0.52)))
    painted = np.ones((*x.shape, 3)) * wood * 0.3
    shelf, tall = rng.uniform(-0.1, 0.05), rng.uniform(0.26, 0.34)
    while shelf < 1:
        edge = -0.05
        while edge < 1:
            wide, high = rng.uniform(0.025, 0.06), tall * rng.uniform(0.62, 0.88)
            if rng.random() < 0.92:
                spine = within(x, y, edge, shelf + tall - high, wide * 0.94, high)
                round_ = 0.6 + 0.5 * np.sin(np.pi * np.clip((x - edge) / wide, 0, 1))
                fill(painted, spine, one_of(rng, BOOKS) * rng.uniform(0.5, 1.2) * round_[..., None])
                fill(painted, spine & (np.abs(y - shelf - tall + 0.75 * high) < 0.015), (0.5, 0.42, 0.25))
            edge += wide
        fill(painted, within(x, y, -0.1, shelf + tall, 1.2, 0.025), wood * 1.2)
        shelf += tall + 0.025
    return defocus(painted * (1.2 - 0.6 * np.abs(x - rng.random()))[..., None], rng.uniform(1.2, 2.6))


def night(x, y, rng) -> np.ndarray:
    """A street at night: lamps out of focus over dark houses and a wet road."""
    painted = np.ones((*x.shape, 3)) * np.array([0.012, 0.013, 0.028]) * (1.6 - y)[..., None]
    for _ in range(5):
        house = within(x, y, rng.uniform(-0.2, 1), rng.uniform(0.05, 0.45), rng.uniform(0.15, 0.4), 1)
        fill(painted, house, np.array([0.03, 0.025, 0.025]) * rng.uniform(0.4, 1.3))
    painted = defocus(painted, 3)
    for _ in range(rng.integers(12, 30)):
        across, down = rng.random(), rng.uniform(0.15, 0.7)
        radius = rng.uniform(0.015, 0.045)
        disc = 1 - ramp(np.hypot(x - across, y - down), radius * 0.85, radius * 1.05)
        lamp = one_of(rng, ((1, 0.65, 0.28), (1, 0.85, 0.6), (0.9, 0.15, 0.08), (0.3, 0.7, 0.45), (0.5, 0.65, 1)))
        strength = rng.uniform(0.1, 0.7)
        mirrored = 0.2 * np.exp(-(((x - across) / radius) ** 2)) * np.exp(-(((y - 1.5 + down) / 0.2) ** 2)) * (y > 0.72)
        painted += (disc + mirrored)[..., None] * lamp * strength
    return painted


PLACES = {"foliage": foliage, "window": window, "wall": wall, "street": street, "books": books, "night": night}


def scenery(kind: str, rng: np.random.Generator) -> np.ndarray:
    """The place `kind` (a key of PLACES), or its mirror image."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    painted = PLACES[kind](x, y, rng)
    return gaussian_filter(painted[:, :: rng.choice((-1, 1))], (0.6, 0.6, 0))
