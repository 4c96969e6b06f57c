"""The hairs around the eyes: eyelashes and brows."""

import numpy as np

from wsdl.faces.geometry import unit
from wsdl.faces.rig import Rig


def brow_hairs(vertices: np.ndarray, rig: Rig, wide: float, rng: np.random.Generator) -> np.ndarray:
    """Strands [N, 3, 3] of both brows, in the order of `rig.brow_side`; wide: their thickness, about 1."""
    roots, out = rig.roots(vertices, rig.brow)
    along, side = rig.brow_along[:, None], rig.brow_side[:, None]
    grow = np.concatenate([side * (0.6 + 0.6 * along), 0.0 * along, 0.75 - 1.15 * along], 1)
    grow = grow + 0.14 * rng.standard_normal(roots.shape)
    grow = unit(grow - (grow * out).sum(1, keepdims=True) * out) + 0.12 * out
    length = 0.0062 * (0.5 + 0.5 * wide) * np.exp(rng.normal(0, 0.2, len(roots)))[:, None] * (1 - 0.35 * along)
    tips = roots + length * grow - 0.12 * length * out
    return np.stack([roots, roots + 0.5 * length * grow, tips], 1)


def lashes(vertices: np.ndarray, strip: np.ndarray, length: float, each: int, rng: np.random.Generator) -> np.ndarray:
    """Strands [N, 3, 3] on one strip of quads (corners from lid to tip), `each` on a quad; `length` in strips."""
    root, other, tip, last = np.moveaxis(vertices[strip], 1, 0)
    straight = np.linalg.norm(tip - root, axis=1) + np.linalg.norm(last - other, axis=1)
    crossed = np.linalg.norm(last - root, axis=1) + np.linalg.norm(tip - other, axis=1)
    swap = (crossed < straight)[:, None]
    tip, last = np.where(swap, last, tip), np.where(swap, tip, last)
    strands = []
    for _ in range(each):
        place = rng.random((len(strip), 1))
        start, end = root + place * (other - root), tip + place * (last - tip)
        end = start + (end - start) * length
        strands.append(np.stack([start, 0.5 * (start + end) + [0, -0.0008, 0], end], 1))
    return np.concatenate(strands)
