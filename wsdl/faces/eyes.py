"""Eyeballs with a painted iris, eyelashes and the hairs of the brows."""

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.faces.extra import mi
from wsdl.faces.geometry import ramp, triangles, unit
from wsdl.faces.identity import Eyes
from wsdl.faces.rig import Rig
from wsdl.faces.shapes import PAINTED, mesh

IRIS_RADIUS = 0.0064  # metres
AROUND = 64  # vertices of one circle of latitude
LATITUDES = np.concatenate(
    [np.linspace(0, 40, 34), np.linspace(43, 180, 30)]
)  # degrees from the gaze: finer on the iris


def eyeball(name: str, centre: np.ndarray, radius: float, gaze: np.ndarray, eyes: Eyes, rng: np.random.Generator):
    """A sphere around `centre` [3] that looks along `gaze` [3]."""
    from_gaze, around = np.meshgrid(
        np.radians(LATITUDES), np.linspace(0, 2 * np.pi, AROUND, endpoint=False), indexing="ij"
    )
    gaze = unit(gaze)
    side = unit(np.cross(gaze, [0, 0, 1.0]))
    circle = np.cos(around)[..., None] * side + np.sin(around)[..., None] * np.cross(side, gaze)
    outward = np.cos(from_gaze)[..., None] * gaze + np.sin(from_gaze)[..., None] * circle
    outward = outward.reshape(-1, 3)
    i, j = np.meshgrid(np.arange(len(LATITUDES) - 1), np.arange(AROUND), indexing="ij")
    one, two = i * AROUND + j, i * AROUND + (j + 1) % AROUND
    faces = triangles(np.stack([one, one + AROUND, two + AROUND, two], -1).reshape(-1, 4))
    colours = paint_eye(np.degrees(from_gaze), radius, eyes, rng)
    wet = mi.load_dict({"type": "principled", "base_color": PAINTED, "roughness": 0.06, "specular": 0.55})
    return mesh(name, centre + radius * outward, faces, outward, wet, colours=colours)


def paint_eye(angle: np.ndarray, radius: float, eyes: Eyes, rng: np.random.Generator) -> np.ndarray:
    """Colours [V, 3] by `angle` from the gaze in degrees: pupil, streaked iris, dark rim, white."""
    limit = np.degrees(np.arcsin(min(0.9, IRIS_RADIUS / radius)))
    streaks = gaussian_filter(rng.standard_normal(AROUND), 1, mode="wrap")
    streaks = 1 + 0.25 * streaks[None] / (streaks.std() + 1e-6)
    bright = np.interp(angle, [eyes.pupil, limit * 0.55, limit], [1.5, 1.15, 0.55])
    iris = 0.62 * eyes.iris * (streaks * bright)[..., None]
    white = np.array([0.66, 0.63, 0.61]) - np.array([0.0, 0.10, 0.12]) * ramp(angle, 40, 75)[..., None]
    colour = iris + (white - iris) * ramp(angle, limit - 1.2, limit + 2.2)[..., None]
    return (colour * ramp(angle, eyes.pupil - 1, eyes.pupil + 1)[..., None] + 0.004).reshape(-1, 3)


def brow_hairs(vertices: np.ndarray, rig: Rig, rng: np.random.Generator) -> np.ndarray:
    """Strands [N, 3, 3] of both brows, in the order of `rig.brow_side`."""
    roots, out = rig.roots(vertices, rig.brow)
    along, side = rig.brow_along[:, None], rig.brow_side[:, None]
    grow = np.concatenate([side * (0.6 + 0.6 * along), 0.0 * along, 0.75 - 1.15 * along], 1)
    grow = grow + 0.14 * rng.standard_normal(roots.shape)
    grow = unit(grow - (grow * out).sum(1, keepdims=True) * out) + 0.12 * out
    length = 0.0072 * np.exp(rng.normal(0, 0.2, len(roots)))[:, None] * (1 - 0.35 * along)
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
