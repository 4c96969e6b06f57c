"""Eyeballs: a painted iris and a white that lies in the shadow of the lids."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.faces.geometry import ramp, triangles, unit
from wsdl.faces.identity import Eyes
from wsdl.faces.shapes import PAINTED, material, mesh

IRIS_RADIUS = 0.0063  # metres
AROUND = 64  # vertices of one circle of latitude
# Degrees from the gaze: finer on the iris, which ends at about 22.
LATITUDES = np.concatenate([np.linspace(0, 30, 46), np.linspace(33, 180, 34)])
CATCH_LIGHT = 0.0009  # metres, radius


@dataclass
class Lids:
    """What surrounds one eye, in metres: margins of the upper and lower lid [N, 3] from the nose outwards."""

    upper: np.ndarray
    lower: np.ndarray

    def below_upper(self, points: np.ndarray) -> np.ndarray:
        """How far `points` [..., 3] lie below the margin of the upper lid."""
        return interpolate(points[..., 0], self.upper) - points[..., 2]

    def above_lower(self, points: np.ndarray) -> np.ndarray:
        return points[..., 2] - interpolate(points[..., 0], self.lower)

    def from_corner(self, points: np.ndarray) -> np.ndarray:
        """The distance of `points` to the nearer corner of the eye, seen from the front."""
        ends = np.sort(self.upper[:, 0])[[0, -1]]
        return np.minimum(points[..., 0] - ends[0], ends[1] - points[..., 0])


def interpolate(x: np.ndarray, line: np.ndarray) -> np.ndarray:
    """The height of `line` [N, 3] at `x`."""
    order = np.argsort(line[:, 0])
    return np.interp(x, line[order, 0], line[order, 2])


def eyeball(name: str, centre: np.ndarray, radius: float, gaze, mirrored, lids: Lids, eyes: Eyes, rng):
    """A sphere around `centre` [3] that looks along `gaze` [3] and mirrors a light that stands towards `mirrored`."""
    from_gaze, around = np.meshgrid(
        np.radians(LATITUDES), np.linspace(0, 2 * np.pi, AROUND, endpoint=False), indexing="ij"
    )
    gaze = unit(gaze)
    side = unit(np.cross(gaze, [0, 0, 1.0]))
    circle = np.cos(around)[..., None] * side + np.sin(around)[..., None] * np.cross(side, gaze)
    outward = np.cos(from_gaze)[..., None] * gaze + np.sin(from_gaze)[..., None] * circle
    points = centre + radius * outward
    colours = paint_eye(radius * np.sin(from_gaze), points, lids, eyes, rng)
    # The cornea mirrors the light about where its bulge stands half-way between light and camera: inside the iris.
    spot = centre + radius * unit(gaze + np.clip(mirrored, -0.17, 0.17))
    glint = 1 - ramp(np.linalg.norm(points - spot, axis=-1), 0.6 * CATCH_LIGHT, CATCH_LIGHT)
    colours += (0.7 * glint * (lids.below_upper(points) > 0.0012))[..., None] * (1 - colours)
    i, j = np.meshgrid(np.arange(len(LATITUDES) - 1), np.arange(AROUND), indexing="ij")
    one, two = i * AROUND + j, i * AROUND + (j + 1) % AROUND
    faces = triangles(np.stack([one, one + AROUND, two + AROUND, two], -1).reshape(-1, 4))
    wet = material(PAINTED, 0.25, 0.25)
    vertices, normals, colours = (array.reshape(-1, 3) for array in (points, outward, colours))
    return mesh(name, vertices, faces, normals, wet, colours=colours)


def paint_eye(out: np.ndarray, points: np.ndarray, lids: Lids, eyes: Eyes, rng: np.random.Generator) -> np.ndarray:
    """Colours [..., 3] of `points` that lie `out` metres from the axis of the gaze: pupil, streaked iris, dark rim,
    white; all darker below the upper lid, and red in the corners."""
    place = out / IRIS_RADIUS
    streaks = gaussian_filter(rng.standard_normal(AROUND), 1, mode="wrap")
    streaks = 1 + 0.2 * streaks[None] / (streaks.std() + 1e-6)
    bright = np.interp(place, [eyes.pupil, 0.6, 0.8, 1.0], [1.3, 1.05, 0.85, 0.15])
    iris = eyes.iris * (streaks * bright)[..., None]
    iris = iris * ramp(place, eyes.pupil - 0.06, eyes.pupil + 0.06)[..., None] + 0.002
    red = 1 - ramp(lids.from_corner(points), 0.0005, 0.0035)
    white = eyes.white * (1 - red[..., None] * np.array([0.05, 0.35, 0.35]))
    colour = iris + (white - iris) * ramp(place, 0.94, 1.12)[..., None]
    shade = 0.3 + 0.7 * ramp(lids.below_upper(points), -0.0005, 0.005)
    shade = shade * (0.75 + 0.25 * ramp(lids.above_lower(points), 0, 0.002))
    return colour * shade[..., None]
