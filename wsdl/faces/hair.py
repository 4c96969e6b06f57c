"""Hair: styles (growth direction, length, behaviour), a few hundred guide strands, and thousands of strands along them.

Guides start in the direction of their style, fall under gravity, slide over the head and leave the face free.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from wsdl.faces.geometry import smoothstep, unit
from wsdl.faces.identity import Hair
from wsdl.faces.rig import Rig
from wsdl.faces.template import head_azimuth, own_hair_line

HANGING = "medium", "long", "curly"  # these fall past the face
POINTS = {"buzz": 3, "short": 5, "afro": 8, "back": 8, "medium": 9, "long": 13, "curly": 13}


@dataclass
class Style:
    """A hair style. direction [N, 3] and length [N] (metres) are per root; the rest is for all strands."""

    direction: np.ndarray
    length: np.ndarray
    points: int  # steps of a guide
    gravity: float = 0.0
    volume: float = 0.004  # metres between the lowest and the highest layer
    mess: float = 0.15
    curl: float = 0.0  # radius of curls
    wavelength: float = 0.03  # of curls
    spread: tuple = (
        1.0,
        1.0,
        1.0,
    )  # factors of the direction at each step: less than 1 in x and y hangs straighter
    knot: np.ndarray | None = None  # where all strands are gathered


def _style_of(hair: Hair, roots, eye: np.ndarray, rng: np.random.Generator) -> Style:
    """The style of `hair` at `roots` (`Roots`); eye [3] is the point between the eyes."""
    if hair.kind in HANGING:
        return _hanging(hair, roots, rng)
    if hair.kind == "back":
        return _gathered(roots, eye)
    return {"buzz": _buzz, "short": _short, "afro": _afro}[hair.kind](hair, roots, rng)


def _buzz(hair: Hair, roots, rng) -> Style:
    direction = 0.7 * roots.normal + 0.5 * roots.along_skin(roots.directions(0, -0.5, -0.5))
    return Style(direction, np.full(roots.count, rng.uniform(0.004, 0.009)), POINTS["buzz"])


def _afro(hair: Hair, roots, rng) -> Style:
    length = (0.025 + 0.05 * hair.length) * (0.5 + 0.5 * roots.top)
    return Style(roots.normal, length, POINTS["afro"], mess=0.3, curl=0.0045, wavelength=0.014)


def _gathered(roots, eye: np.ndarray) -> Style:
    """Combed back into a knot behind the head."""
    knot = np.array([0, roots.position[:, 1].max() + 0.01, eye[2] + 0.03])
    gap = knot - roots.position
    length = np.linalg.norm(gap, axis=1) * 1.15
    direction = roots.along_skin(gap) + 0.12 * roots.normal
    return Style(direction, length, POINTS["back"], volume=0.003, mess=0.08, knot=knot)


def _short(hair: Hair, roots, rng) -> Style:
    """Short at the sides and longer on top, combed to a side, forward, back or up."""
    x, up = roots.template[:, 0], hair.comb == "up"
    # Long hair only on the middle of the top: at the sides it would stand out over the ears.
    top = roots.top**2 * (1 - 0.7 * smoothstep(np.abs(x), 0.035, 0.07))
    length = (0.012 + 0.012 * hair.length) + (0.018 + 0.04 * hair.length) * top
    sign = np.sign(hair.part) or 1.0
    comb = {
        "side": (np.where(x * sign > -0.045, sign * 0.8, -sign * 0.5), -0.45, -0.1),
        "forward": (roots.side * 0.2, -1, -0.15),
        "back": (0.15 * roots.side, 0.9, 0.25),
        "up": (roots.side * 0.2, -0.2, 0.9),
    }[hair.comb]
    down = roots.directions(0, 0.35, -1) * (1 - top)[:, None]
    flat = roots.along_skin(roots.directions(*comb) * top[:, None] + down)
    lift = 0.06 + (0.9 if up else 0.35) * hair.volume * top
    return Style(
        0.8 * flat + roots.normal * lift[:, None],
        0.6 * length if up else length,
        POINTS["short"],
        gravity=0.04 if up else 0.34,
        volume=0.003 + 0.007 * hair.volume,
        mess=0.16,
        curl=0.004 * hair.wave if hair.wave > 0.6 else 0.0,
        spread=(0.85, 0.85, 1),
    )


def _hanging(hair: Hair, roots, rng) -> Style:
    """Medium, long and curly hair, parted, with or without bangs."""
    shortest, more = {"medium": (0.10, 0.08), "long": (0.22, 0.16), "curly": (0.10, 0.16)}[hair.kind]
    length = (shortest + more * hair.length) * (0.85 + 0.15 * roots.top)
    flat = roots.along_skin(roots.directions(roots.side, 0.15, -0.2 - 0.9 * (1 - roots.top)))
    direction = 0.9 * flat + roots.normal * (0.05 + 0.3 * hair.volume * roots.top)[:, None]
    style = Style(direction, length, POINTS[hair.kind], gravity=0.5, volume=0.003 + 0.008 * hair.volume, mess=0.1)
    style.spread = (0.72, 0.72, 1)
    if hair.kind == "curly":
        style.curl, style.wavelength = rng.uniform(0.004, 0.008), rng.uniform(0.022, 0.045)
        style.mess, style.gravity = 0.18, 0.35
    elif hair.wave > 0.5:
        style.curl, style.wavelength = 0.006 * hair.wave, 0.07
    if roots.bang.any():
        forward = roots.along_skin(roots.directions(roots.side * 0.15, -1, -0.25)) + 0.25 * roots.normal
        style.direction[roots.bang] = forward[roots.bang]
        style.length[roots.bang] = 0.052 + 0.7 * roots.above[roots.bang]
    return style


COUNT = {"buzz": 5000, "short": 6000, "medium": 6000, "long": 6500, "afro": 5500, "curly": 4500, "back": 5000}
RADIUS = {"buzz": 0.0005, "short": 0.0007, "afro": 0.0006}  # metres; 0.00075 otherwise
GUIDES = 300


class Roots:
    """Hair roots of one person: positions and normals [N, 3], and the same on the template."""

    def __init__(self, vertices: np.ndarray, rig: Rig, hair: Hair, rng: np.random.Generator):
        above = own_hair_line(rig.scalp_above, rig.scalp_positions, hair)
        above = above + 0.003 * rng.standard_normal(len(above))
        kept = np.where(above > 0)[0][: COUNT[hair.kind]]
        self.count = len(kept)
        self.template, self.above = rig.scalp_positions[kept], above[kept]
        self.position, self.normal = rig.roots(vertices, (rig.scalp[0][kept], rig.scalp[1][kept]))
        self.top = smoothstep(self.template[:, 2], 0.715, 0.775)  # 1 on top of the head, 0 at the sides
        self.side = np.where(self.template[:, 0] > hair.part, 1.0, -1.0)
        self.bang = hair.bangs & (head_azimuth(self.template) < 50) & (self.above < 0.035)

    def along_skin(self, direction: np.ndarray) -> np.ndarray:
        """`direction` [N, 3] projected onto the skin at each root, at length 1."""
        return unit(direction - (direction * self.normal).sum(1, keepdims=True) * self.normal)

    def directions(self, x, y, z) -> np.ndarray:
        """[N, 3] from numbers or arrays [N]."""
        return np.stack([np.broadcast_to(np.asarray(part, float), self.count) for part in (x, y, z)], 1)


class Head:
    """The solid head, which hair does not enter."""

    def __init__(self, points: np.ndarray, normals: np.ndarray):
        self.points, self.normals, self.tree = points, normals, cKDTree(points)

    def push(self, points: np.ndarray, layer: np.ndarray) -> np.ndarray:
        """`points` [N, 3] moved out to at least `layer` [N] metres over the skin."""
        distance, nearest = self.tree.query(points)
        normal = self.normals[nearest]
        height = ((points - self.points[nearest]) * normal).sum(1)
        return points + np.where((height < layer) & (distance < 0.04), layer - height, 0)[:, None] * normal


def grow_hair(vertices, normals, rig: Rig, hair: Hair, rng: np.random.Generator, eye: np.ndarray):
    """Strands [N, K, 3], radii [N, K] in metres and the guide [N] (below GUIDES) of each; None for a bald head.

    eye [3]: the point between the eyes.
    """
    if hair.kind == "bald":
        return None
    roots = Roots(vertices, rig, hair, rng)
    style = _style_of(hair, roots, eye, rng)
    head = Head(vertices[rig.solid], normals[rig.solid])
    length = style.length * np.exp(rng.normal(0, 0.12, roots.count))
    layer = 0.0015 + style.volume * rng.random(roots.count) * (0.4 + 0.6 * roots.top)
    guides = _grow_guides(roots, style, hair.kind, length, layer, head, eye, rng)
    strands, nearest = _follow_guides(roots, style, hair.kind, length, guides, rng)
    if style.curl:
        strands = _curl(strands, roots, style, hair.kind, length, nearest, rng)
    free = strands[:, 1:].reshape(-1, 3)
    strands[:, 1:] = head.push(free, np.full(len(free), 0.0012)).reshape(roots.count, -1, 3)
    along = np.linspace(0, 1, strands.shape[1])[None]
    thick = np.exp(rng.normal(0, 0.15, (roots.count, 1)))
    return strands, RADIUS.get(hair.kind, 0.00075) * (1 - 0.65 * along**2) * thick, nearest[:, 0]


def _grow_guides(roots: Roots, style: Style, kind: str, length, layer, head: Head, eye, rng) -> np.ndarray:
    """The first GUIDES roots grown point by point: [G, K + 1, 3], relative to their roots."""
    g = np.arange(min(roots.count, GUIDES))
    hanging, side = kind in HANGING, roots.side[g]
    course = unit(style.direction[g] + style.mess * 0.6 * _clipped_normal(rng, (len(g), 3)))
    step = (length[g] / style.points)[:, None]
    points = [roots.position[g]]
    for k in range(style.points):
        fall = style.gravity * min(1, 0.4 + 0.2 * k) * (step / 0.014 if hanging else 1)
        course = unit((course + fall * np.array([0, 0, -1.0])) * style.spread)
        if style.knot is not None:
            course = unit(course + 0.8 * unit(style.knot - points[-1]))
        point = head.push(points[-1] + step * course, layer[g] * min(1, 0.3 + k / 3) + 0.004 * (hanging and k > 2))
        if hanging:
            point[:, 0] = _beside_face(point, side, roots.bang[g], eye, kind)
        course = unit(point - points[-1])
        points.append(point)
    return np.stack(points, 1) - roots.position[g][:, None]


def _beside_face(point: np.ndarray, side: np.ndarray, bang: np.ndarray, eye: np.ndarray, kind: str) -> np.ndarray:
    """The x [N] of guide points, moved to the sides of the face (all but bangs)."""
    x, y, z = point.T
    before = (y < eye[1] + 0.055) & (z < eye[2] + 0.05) & ~bang
    least = 0.058 + 0.12 * np.clip(eye[2] - 0.03 - z, 0, 0.05) * (kind != "medium")
    return np.where(before, x + 0.6 * (side * np.maximum(np.abs(x), least) - x), x)


def _follow_guides(
    roots: Roots, style: Style, kind: str, length, guides: np.ndarray, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Strands [N, K + 1, 3] mixed from the three nearest guides on the same side, and those guides [N, 3]."""
    features = np.concatenate([roots.position, 0.06 * roots.side[:, None], 0.1 * roots.bang[:, None]], 1)
    distance, nearest = cKDTree(features[: len(guides)]).query(features, 3)
    weights = 1 / (distance + 0.002) ** 2
    weights /= weights.sum(1, keepdims=True)
    scale = length / (weights * length[nearest]).sum(1)
    strands = roots.position[:, None] + np.einsum("nk,nkjd->njd", weights, guides[nearest]) * scale[:, None, None]
    astray = style.mess * (0.12 if kind in HANGING else 0.3) * np.minimum(length, 0.12)
    along = np.linspace(0, 1, style.points + 1)[None, :, None]
    lean = _clipped_normal(rng, (roots.count, 1, 3)) * astray[:, None, None]
    shake = rng.standard_normal((roots.count, style.points + 1, 3)) * 0.0006
    return strands + along * (lean + shake), nearest


def _clipped_normal(rng: np.random.Generator, shape: tuple) -> np.ndarray:
    """Normal noise clipped at 1.6, so that no single hair stands away from the others."""
    return np.clip(rng.standard_normal(shape), -1.6, 1.6)


def _curl(strands, roots: Roots, style: Style, kind: str, length, nearest, rng) -> np.ndarray:
    """Wind strands around their course; all but short ones get twice the points first."""
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
