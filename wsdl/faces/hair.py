"""Hair: some hundred guide strands grow over the head, thousands of children follow them.

Guides start along a combing direction (`combing.py`), fall under gravity, slide over the head and leave the face free.
"""

import numpy as np
from scipy.spatial import cKDTree

from wsdl.faces.combing import HANGING, Style, style_of
from wsdl.faces.geometry import ramp, unit
from wsdl.faces.identity import Hair
from wsdl.faces.rig import Rig
from wsdl.faces.template import azimuth, own_hair_line

COUNT = {"buzz": 5000, "short": 6000, "medium": 6000, "long": 6500, "afro": 5500, "curly": 4500, "back": 5000}
RADIUS = {"buzz": 0.0005, "short": 0.0007, "afro": 0.0006}  # metres; 0.00075 otherwise
GUIDES = 300


class Roots:
    """Where hair grows on one person: positions and normals [N, 3], and the same on the template."""

    def __init__(self, vertices: np.ndarray, rig: Rig, hair: Hair, rng: np.random.Generator):
        above = own_hair_line(rig.scalp_above, rig.scalp_positions, hair)
        above = above + 0.003 * rng.standard_normal(len(above))
        kept = np.where(above > 0)[0][: COUNT[hair.kind]]
        self.count = len(kept)
        self.template, self.above = rig.scalp_positions[kept], above[kept]
        self.position, self.normal = rig.roots(vertices, (rig.scalp[0][kept], rig.scalp[1][kept]))
        self.top = ramp(self.template[:, 2], 0.715, 0.775)  # 1 on top of the head, 0 at the sides
        self.side = np.where(self.template[:, 0] > hair.part, 1.0, -1.0)
        self.bang = hair.bangs & (azimuth(self.template) < 50) & (self.above < 0.035)

    def along_skin(self, direction: np.ndarray) -> np.ndarray:
        """`direction` [N, 3] turned into the skin at each root, at length 1."""
        return unit(direction - (direction * self.normal).sum(1, keepdims=True) * self.normal)

    def directions(self, x, y, z) -> np.ndarray:
        """[N, 3] from numbers or arrays [N]."""
        return np.stack([np.broadcast_to(np.asarray(part, float), self.count) for part in (x, y, z)], 1)


class Head:
    """The solid that hair may not enter."""

    def __init__(self, points: np.ndarray, normals: np.ndarray):
        self.points, self.normals, self.tree = points, normals, cKDTree(points)

    def push(self, points: np.ndarray, layer: np.ndarray) -> np.ndarray:
        """`points` [N, 3] moved out to at least `layer` [N] metres over the skin."""
        distance, nearest = self.tree.query(points)
        normal = self.normals[nearest]
        height = ((points - self.points[nearest]) * normal).sum(1)
        return points + np.where((height < layer) & (distance < 0.04), layer - height, 0)[:, None] * normal


def grow(vertices, normals, rig: Rig, hair: Hair, rng: np.random.Generator, eye: np.ndarray):
    """Strands [N, K, 3], radii [N, K] in metres and the lock [N] (below GUIDES) of each; None for a bald head.

    eye [3]: the point between the eyes.
    """
    if hair.kind == "bald":
        return None
    roots = Roots(vertices, rig, hair, rng)
    style = style_of(hair, roots, eye, rng)
    head = Head(vertices[rig.solid], normals[rig.solid])
    length = style.length * np.exp(rng.normal(0, 0.12, roots.count))
    layer = 0.0015 + style.volume * rng.random(roots.count) * (0.4 + 0.6 * roots.top)
    guides = grow_guides(roots, style, hair.kind, length, layer, head, eye, rng)
    strands, nearest = follow(roots, style, hair.kind, length, guides, rng)
    if style.curl:
        strands = curl(strands, roots, style, hair.kind, length, nearest, rng)
    free = strands[:, 1:].reshape(-1, 3)
    strands[:, 1:] = head.push(free, np.full(len(free), 0.0012)).reshape(roots.count, -1, 3)
    along = np.linspace(0, 1, strands.shape[1])[None]
    thick = np.exp(rng.normal(0, 0.15, (roots.count, 1)))
    return strands, RADIUS.get(hair.kind, 0.00075) * (1 - 0.65 * along**2) * thick, nearest[:, 0]


def grow_guides(roots: Roots, style: Style, kind: str, length, layer, head: Head, eye, rng) -> np.ndarray:
    """The first GUIDES roots grown point by point: [G, K + 1, 3], relative to their roots."""
    g = np.arange(min(roots.count, GUIDES))
    hanging, side = kind in HANGING, roots.side[g]
    course = unit(style.direction[g] + style.mess * 0.6 * scattered(rng, (len(g), 3)))
    step = (length[g] / style.points)[:, None]
    points = [roots.position[g]]
    for k in range(style.points):
        fall = style.gravity * min(1, 0.4 + 0.2 * k) * (step / 0.014 if hanging else 1)
        course = unit((course + fall * np.array([0, 0, -1.0])) * style.spread)
        if style.knot is not None:
            course = unit(course + 0.8 * unit(style.knot - points[-1]))
        point = head.push(points[-1] + step * course, layer[g] * min(1, 0.3 + k / 3) + 0.004 * (hanging and k > 2))
        if hanging:
            point[:, 0] = beside_face(point, side, roots.bang[g], eye, kind)
        course = unit(point - points[-1])
        points.append(point)
    return np.stack(points, 1) - roots.position[g][:, None]


def beside_face(point: np.ndarray, side: np.ndarray, bang: np.ndarray, eye: np.ndarray, kind: str) -> np.ndarray:
    """The x [N] of guide points, drawn like a curtain to the sides of the face (all but bangs)."""
    x, y, z = point.T
    before = (y < eye[1] + 0.055) & (z < eye[2] + 0.05) & ~bang
    least = 0.058 + 0.12 * np.clip(eye[2] - 0.03 - z, 0, 0.05) * (kind != "medium")
    return np.where(before, x + 0.6 * (side * np.maximum(np.abs(x), least) - x), x)


def follow(roots: Roots, style: Style, kind: str, length, guides: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """Strands [N, K + 1, 3] mixed from the three nearest guides on the same side, and those guides [N, 3]."""
    features = np.concatenate([roots.position, 0.06 * roots.side[:, None], 0.1 * roots.bang[:, None]], 1)
    distance, nearest = cKDTree(features[: len(guides)]).query(features, 3)
    weights = 1 / (distance + 0.002) ** 2
    weights /= weights.sum(1, keepdims=True)
    scale = length / (weights * length[nearest]).sum(1)
    strands = roots.position[:, None] + np.einsum("nk,nkjd->njd", weights, guides[nearest]) * scale[:, None, None]
    astray = style.mess * (0.12 if kind in HANGING else 0.3) * np.minimum(length, 0.12)
    along = np.linspace(0, 1, style.points + 1)[None, :, None]
    lean = scattered(rng, (roots.count, 1, 3)) * astray[:, None, None]
    shake = rng.standard_normal((roots.count, style.points + 1, 3)) * 0.0006
    return strands + along * (lean + shake), nearest


def scattered(rng: np.random.Generator, shape: tuple) -> np.ndarray:
    """Normal numbers without the rare large ones: no single hair stands away from the others."""
    return np.clip(rng.standard_normal(shape), -1.6, 1.6)


def curl(strands, roots: Roots, style: Style, kind: str, length, nearest, rng) -> np.ndarray:
    """Strands wound around their course; all but short ones get twice the points first."""
    if kind != "short":
        halfway = 0.5 * (strands[:, 1:] + strands[:, :-1])
        finer = np.empty((len(strands), 2 * strands.shape[1] - 1, 3))
        finer[:, ::2], finer[:, 1::2] = strands, halfway
        strands = finer
    along = np.linspace(0, 1, strands.shape[1])[None]
    phase = (nearest[:, 0] * 2.4 + rng.normal(0, 0.5, roots.count))[:, None]
    phase = phase + 2 * np.pi * along * (length / style.wavelength)[:, None]
    across = unit(np.cross(roots.normal, [0.3, 0.2, 1.0]))[:, None]
    turn = np.cos(phase)[..., None] * across + np.sin(phase)[..., None] * np.array([0, 0.45, 0.72])
    return strands + style.curl * np.minimum(1, 4 * along)[..., None] * turn
