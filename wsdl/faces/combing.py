"""Hair styles: the way each kind of hair sets out from its roots, and how it behaves."""

from dataclasses import dataclass

import numpy as np

from wsdl.faces.geometry import ramp
from wsdl.faces.identity import Hair

HANGING = "medium", "long", "curly"  # these fall past the face
POINTS = {"buzz": 3, "short": 5, "afro": 8, "back": 8, "medium": 9, "long": 13, "curly": 13}


@dataclass
class Style:
    """direction [N, 3] and length [N] (metres) are per root; the rest is for all strands."""

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
    )  # factors that turn the course at each step: less than 1 in x and y hangs straighter
    knot: np.ndarray | None = None  # where all strands are gathered


def style_of(hair: Hair, roots, eye: np.ndarray, rng: np.random.Generator) -> Style:
    """The style of `hair` at `roots` (hair.Roots); eye [3] is the point between the eyes."""
    if hair.kind in HANGING:
        return hanging(hair, roots, rng)
    if hair.kind == "back":
        return gathered(roots, eye)
    return {"buzz": buzz, "short": short, "afro": afro}[hair.kind](hair, roots, rng)


def buzz(hair: Hair, roots, rng) -> Style:
    direction = 0.7 * roots.normal + 0.5 * roots.along_skin(roots.directions(0, -0.5, -0.5))
    return Style(direction, np.full(roots.count, rng.uniform(0.004, 0.009)), POINTS["buzz"])


def afro(hair: Hair, roots, rng) -> Style:
    length = (0.025 + 0.05 * hair.length) * (0.5 + 0.5 * roots.top)
    return Style(roots.normal, length, POINTS["afro"], mess=0.3, curl=0.0045, wavelength=0.014)


def gathered(roots, eye: np.ndarray) -> Style:
    """Combed back into a knot behind the head."""
    knot = np.array([0, roots.position[:, 1].max() + 0.01, eye[2] + 0.03])
    gap = knot - roots.position
    length = np.linalg.norm(gap, axis=1) * 1.15
    direction = roots.along_skin(gap) + 0.12 * roots.normal
    return Style(direction, length, POINTS["back"], volume=0.003, mess=0.08, knot=knot)


def short(hair: Hair, roots, rng) -> Style:
    """Short at the sides and longer on top, combed to a side, forward, back or up."""
    x, up = roots.template[:, 0], hair.comb == "up"
    # Long hair only on the middle of the top: beside it, it would stand out over the ears.
    top = roots.top**2 * (1 - 0.7 * ramp(np.abs(x), 0.035, 0.07))
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


def hanging(hair: Hair, roots, rng) -> Style:
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
