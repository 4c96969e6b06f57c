"""Beards, brows and eyelashes: where they grow on the template head, and their strands."""

import numpy as np

from wsdl.faces.geometry import smoothstep, unit
from wsdl.faces.identity import Beard
from wsdl.faces.rig import Rig

BEARD_PARTS = {"none": (), "stubble": ("chin", "cheeks", "lip"), "moustache": ("lip",), "goatee": ("lip", "chin"),
         "full": ("lip", "chin", "cheeks")}  # fmt: skip
BEARD_LENGTHS = {"moustache": 0.009, "goatee": 0.014, "full": 0.016}  # metres


def beard_density(points: np.ndarray, kind: str) -> np.ndarray:
    """Density of a beard at template `points` [..., 3]: 0-1, with soft borders and free lips."""
    x, y, z = np.moveaxis(points, -1, 0)
    aside = np.abs(x)
    below_nose = smoothstep(z, 0.634, 0.638) * (1 - smoothstep(z, 0.648, 0.653)) * (1 - smoothstep(aside, 0.022, 0.032))
    middle = 1 - smoothstep(aside, 0.02, 0.031)
    top = np.interp(aside, [0, 0.024, 0.034, 0.05, 0.066, 0.075], [0.622, 0.628, 0.643, 0.652, 0.67, 0.70])
    low = smoothstep(z + 0.25 * (y + 0.1), 0.572, 0.592) * (1 - smoothstep(z, top - 0.007, top + 0.005))
    low = low * (
        1 - 0.75 * smoothstep(aside, 0.005, 0.009) * (1 - smoothstep(aside, 0.014, 0.02)) * smoothstep(z, 0.606, 0.616)
    )
    where = {"lip": below_nose, "chin": low * middle, "cheeks": low * (1 - middle)}
    total = np.zeros(z.shape)
    for part in BEARD_PARTS[kind]:
        total = total + where[part]
    return np.clip(total, 0, 1) * (y < -0.03)


def beard_opacity(rig: Rig, beard: Beard, grain: np.ndarray) -> np.ndarray:
    """Opacity [H, W] of roots below the skin and short hairs; grain: noise of standard deviation 1."""
    thick = 0.55 if beard.kind in BEARD_LENGTHS else 0.42
    opacity = beard.strength * thick * beard_density(rig.positions, beard.kind) * (1 + 0.1 * grain)
    return np.clip(opacity, 0, 0.75) * (1 - rig.lips)


def beard_strands(vertices: np.ndarray, rig: Rig, beard: Beard, rng: np.random.Generator) -> np.ndarray | None:
    """Strands [N, 4, 3] of a grown beard; None for stubble or no beard."""
    if beard.kind not in BEARD_LENGTHS:
        return None
    kept = rng.random(len(rig.chin_positions)) < beard.strength * beard_density(rig.chin_positions, beard.kind)
    face, weights = rig.chin
    roots, out = rig.roots(vertices, (face[kept], weights[kept]))
    on_lip = smoothstep(rig.chin_positions[kept][:, 2:], 0.632, 0.636) * (
        np.abs(rig.chin_positions[kept][:, :1]) < 0.03
    )
    aside = np.sign(roots[:, :1]) * (0.15 + 0.5 * on_lip)
    grow = np.concatenate([aside, np.full_like(aside, -0.25), np.full_like(aside, -1)], 1)
    grow = grow + 0.22 * rng.standard_normal(roots.shape)
    flat = unit(grow - (grow * out).sum(1, keepdims=True) * out)
    length = BEARD_LENGTHS[beard.kind] * (0.3 + 0.7 * beard.length) * rng.uniform(0.7, 1.1, (len(roots), 1))
    length = length * (1 - 0.45 * on_lip)
    along = np.linspace(0, 1, 4)[None, :, None]
    lift = 0.3 * (1 - on_lip)[:, None] + 0.12
    return roots[:, None] + length[:, None] * (along * flat[:, None] + lift * along * (1 - 0.6 * along) * out[:, None])


def brow_strands(vertices: np.ndarray, rig: Rig, wide: float, rng: np.random.Generator) -> np.ndarray:
    """Strands [N, 3, 3] of both brows, in the order of `rig.brow_side`; wide: their thickness, about 1."""
    roots, out = rig.roots(vertices, rig.brow)
    along, side = rig.brow_along[:, None], rig.brow_side[:, None]
    grow = np.concatenate([side * (0.6 + 0.6 * along), 0.0 * along, 0.75 - 1.15 * along], 1)
    grow = grow + 0.14 * rng.standard_normal(roots.shape)
    grow = unit(grow - (grow * out).sum(1, keepdims=True) * out) + 0.12 * out
    length = 0.0062 * (0.5 + 0.5 * wide) * np.exp(rng.normal(0, 0.2, len(roots)))[:, None] * (1 - 0.35 * along)
    tips = roots + length * grow - 0.12 * length * out
    return np.stack([roots, roots + 0.5 * length * grow, tips], 1)


def lash_strands(
    vertices: np.ndarray, strip: np.ndarray, length: float, each: int, rng: np.random.Generator
) -> np.ndarray:
    """Strands [N, 3, 3] on one strip of quads (corners from lid to tip), `each` per quad; length: 0-1 of the strip."""
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
