"""Beards: where they grow on the template, the shade of their roots, and their hairs."""

import numpy as np

from wsdl.faces.geometry import ramp, unit
from wsdl.faces.identity import Beard
from wsdl.faces.rig import Rig

PARTS = {"none": (), "stubble": ("chin", "cheeks", "lip"), "moustache": ("lip",), "goatee": ("lip", "chin"),
         "full": ("lip", "chin", "cheeks")}  # fmt: skip
LONGEST = {"moustache": 0.009, "goatee": 0.014, "full": 0.016}  # metres


def grows(points: np.ndarray, kind: str) -> np.ndarray:
    """How densely a beard grows at template `points` [..., 3]: 0-1. It ends softly, and leaves the lips free."""
    x, y, z = np.moveaxis(points, -1, 0)
    aside = np.abs(x)
    below_nose = ramp(z, 0.634, 0.638) * (1 - ramp(z, 0.648, 0.653)) * (1 - ramp(aside, 0.022, 0.032))
    middle = 1 - ramp(aside, 0.02, 0.031)
    top = np.interp(aside, [0, 0.024, 0.034, 0.05, 0.066, 0.075], [0.622, 0.628, 0.643, 0.652, 0.67, 0.70])
    low = ramp(z + 0.25 * (y + 0.1), 0.572, 0.592) * (1 - ramp(z, top - 0.007, top + 0.005))
    low = low * (1 - 0.75 * ramp(aside, 0.005, 0.009) * (1 - ramp(aside, 0.014, 0.02)) * ramp(z, 0.606, 0.616))
    where = {"lip": below_nose, "chin": low * middle, "cheeks": low * (1 - middle)}
    total = np.zeros(z.shape)
    for part in PARTS[kind]:
        total = total + where[part]
    return np.clip(total, 0, 1) * (y < -0.03)


def shade(rig: Rig, beard: Beard, grain: np.ndarray) -> np.ndarray:
    """The opacity of roots below the skin and of short hairs [H, W]; grain: noise of deviation 1."""
    thick = 0.55 if beard.kind in LONGEST else 0.42
    opacity = beard.strength * thick * grows(rig.positions, beard.kind) * (1 + 0.1 * grain)
    return np.clip(opacity, 0, 0.75) * (1 - rig.lips)


def strands(vertices: np.ndarray, rig: Rig, beard: Beard, rng: np.random.Generator) -> np.ndarray | None:
    """Hairs [N, 4, 3] of a grown beard; None where there is only stubble, or nothing."""
    if beard.kind not in LONGEST:
        return None
    kept = rng.random(len(rig.chin_positions)) < beard.strength * grows(rig.chin_positions, beard.kind)
    face, weights = rig.chin
    roots, out = rig.roots(vertices, (face[kept], weights[kept]))
    on_lip = ramp(rig.chin_positions[kept][:, 2:], 0.632, 0.636) * (np.abs(rig.chin_positions[kept][:, :1]) < 0.03)
    aside = np.sign(roots[:, :1]) * (0.15 + 0.5 * on_lip)
    grow = np.concatenate([aside, np.full_like(aside, -0.25), np.full_like(aside, -1)], 1)
    grow = grow + 0.22 * rng.standard_normal(roots.shape)
    flat = unit(grow - (grow * out).sum(1, keepdims=True) * out)
    length = LONGEST[beard.kind] * (0.3 + 0.7 * beard.length) * rng.uniform(0.7, 1.1, (len(roots), 1))
    length = length * (1 - 0.45 * on_lip)
    along = np.linspace(0, 1, 4)[None, :, None]
    lift = 0.3 * (1 - on_lip)[:, None] + 0.12
    return roots[:, None] + length[:, None] * (along * flat[:, None] + lift * along * (1 - 0.6 * along) * out[:, None])
