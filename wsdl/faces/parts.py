"""Eyeballs, clothes and glasses: the parts of a scene that are not the head."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.faces.geometry import clip_mesh, drop_unused_vertices, smoothstep, split_quads, unit, vertex_normals
from wsdl.faces.identity import Clothes, Eyes, Glasses
from wsdl.faces.rig import Rig
from wsdl.faces.shapes import VERTEX_COLOURS, material, mesh

IRIS_RADIUS = 0.0063  # metres
MERIDIANS = 64  # vertices per circle of latitude
# Degrees from the gaze direction; finer on the iris, which ends at about 22.
LATITUDES = np.concatenate([np.linspace(0, 30, 46), np.linspace(33, 180, 34)])
CATCH_LIGHT = 0.0009  # metres, radius


@dataclass
class Lids:
    """Margins of the upper and lower lid of one eye [N, 3], in metres, from the nose outwards."""

    upper: np.ndarray
    lower: np.ndarray

    def below_upper(self, points: np.ndarray) -> np.ndarray:
        """Distance of `points` [..., 3] below the margin of the upper lid."""
        return _height_at(points[..., 0], self.upper) - points[..., 2]

    def above_lower(self, points: np.ndarray) -> np.ndarray:
        """Distance of `points` [..., 3] above the margin of the lower lid."""
        return points[..., 2] - _height_at(points[..., 0], self.lower)

    def from_corner(self, points: np.ndarray) -> np.ndarray:
        """Distance of `points` [..., 3] to the nearer corner of the eye, in the frontal plane."""
        ends = np.sort(self.upper[:, 0])[[0, -1]]
        return np.minimum(points[..., 0] - ends[0], ends[1] - points[..., 0])


def _height_at(x: np.ndarray, line: np.ndarray) -> np.ndarray:
    """The height of `line` [N, 3] at `x`."""
    order = np.argsort(line[:, 0])
    return np.interp(x, line[order, 0], line[order, 2])


def make_eyeball(name: str, centre: np.ndarray, radius: float, gaze, mirrored, lids: Lids, eyes: Eyes, rng):
    """An eyeball at `centre` [3] that looks along `gaze` [3], with a catch light in the direction `mirrored`."""
    from_gaze, around = np.meshgrid(
        np.radians(LATITUDES), np.linspace(0, 2 * np.pi, MERIDIANS, endpoint=False), indexing="ij"
    )
    gaze = unit(gaze)
    side = unit(np.cross(gaze, [0, 0, 1.0]))
    circle = np.cos(around)[..., None] * side + np.sin(around)[..., None] * np.cross(side, gaze)
    outward = np.cos(from_gaze)[..., None] * gaze + np.sin(from_gaze)[..., None] * circle
    points = centre + radius * outward
    colours = eye_colours(radius * np.sin(from_gaze), points, lids, eyes, rng)
    # The cornea reflects the light about halfway between light and camera: inside the iris.
    spot = centre + radius * unit(gaze + np.clip(mirrored, -0.17, 0.17))
    glint = 1 - smoothstep(np.linalg.norm(points - spot, axis=-1), 0.6 * CATCH_LIGHT, CATCH_LIGHT)
    colours += (0.7 * glint * (lids.below_upper(points) > 0.0012))[..., None] * (1 - colours)
    i, j = np.meshgrid(np.arange(len(LATITUDES) - 1), np.arange(MERIDIANS), indexing="ij")
    one, two = i * MERIDIANS + j, i * MERIDIANS + (j + 1) % MERIDIANS
    faces = split_quads(np.stack([one, one + MERIDIANS, two + MERIDIANS, two], -1).reshape(-1, 4))
    wet = material(VERTEX_COLOURS, 0.25, 0.25)
    vertices, normals, colours = (array.reshape(-1, 3) for array in (points, outward, colours))
    return mesh(name, vertices, faces, normals, wet, colours=colours)


def eye_colours(out: np.ndarray, points: np.ndarray, lids: Lids, eyes: Eyes, rng: np.random.Generator) -> np.ndarray:
    """Colours [..., 3] of `points` that lie `out` metres from the axis of the gaze: pupil, streaked iris, dark rim,
    white; all darker below the upper lid, and red in the corners."""
    place = out / IRIS_RADIUS
    streaks = gaussian_filter(rng.standard_normal(MERIDIANS), 1, mode="wrap")
    streaks = 1 + 0.2 * streaks[None] / (streaks.std() + 1e-6)
    bright = np.interp(place, [eyes.pupil, 0.6, 0.8, 1.0], [1.3, 1.05, 0.85, 0.15])
    iris = eyes.iris * (streaks * bright)[..., None]
    iris = iris * smoothstep(place, eyes.pupil - 0.06, eyes.pupil + 0.06)[..., None] + 0.002
    red = 1 - smoothstep(lids.from_corner(points), 0.0005, 0.0035)
    white = eyes.white * (1 - red[..., None] * np.array([0.05, 0.35, 0.35]))
    colour = iris + (white - iris) * smoothstep(place, 0.94, 1.12)[..., None]
    shade = 0.3 + 0.7 * smoothstep(lids.below_upper(points), -0.0005, 0.005)
    shade = shade * (0.75 + 0.25 * smoothstep(lids.above_lower(points), 0, 0.002))
    return colour * shade[..., None]


NECKLINES = {"crew": (0.30, 0.010), "v": (0.30, 0.008), "wide": (0.45, -0.045), "turtle": (0.12, 0.03)}  # slope, height


def clothes_mesh(vertices: np.ndarray, rig: Rig, clothes: Clothes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of the clothes: the suit of the base mesh, inflated and cut open at the neck."""
    faces = split_quads(rig.faces["helper-tights"])
    faces = faces[rig.template[faces][:, :, 2].mean(1) > 0.25]
    height = drop_unused_vertices(rig.template, faces)[0][:, 2]
    worn, faces = drop_unused_vertices(vertices, faces)
    thick = 0.004 + 0.006 * (1 - smoothstep(height, 0.50, 0.57))
    worn = worn + vertex_normals(worn, faces) * thick[:, None]
    x, y, z = (worn - vertices[rig.faces["joint-neck"]].reshape(-1, 3).mean(0)).T
    slope, lift = NECKLINES[clothes.neck]
    above = z - lift - slope * y
    if clothes.neck == "v":
        above = np.maximum(above, np.where(y < 0, (z + 0.15) * 0.45 - np.abs(x), -1))
    return clip_mesh(worn, faces, above)


def fabric_colours(vertices: np.ndarray, clothes: Clothes) -> np.ndarray:
    """The colour [V, 3] of each vertex of the clothes."""
    across, up = np.sin(vertices[:, [0, 2]] * clothes.frequency * 6).T > 0
    second = {"plain": np.zeros_like(up), "stripes": up, "checks": across ^ up}[clothes.pattern]
    return np.clip(np.where(second[:, None], clothes.second, clothes.colour), 0.01, 0.85)


RIM_POINTS = 40  # points of a rim


def glasses_wires(vertices: np.ndarray, rig: Rig, glasses: Glasses, eyes) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Centre lines of the frame ([K, 3] each) and outlines of both lenses ([RIM_POINTS, 3] each)."""
    lash = np.concatenate([vertices[np.unique(strip)] for strip in rig.lashes.values()])
    front = lash[:, 1].min() - 0.006
    tubes, lenses = [], []
    for centre, side in zip(eyes, (1, -1), strict=True):
        rim = _rim(centre, side, front, glasses)
        tubes.append(rim)
        lenses.append(rim[:-1])
        tubes += _temple(vertices[rig.solid], centre, side, front, glasses)
    half = eyes[0][0] - glasses.width + 0.003
    x = np.linspace(-1, 1, 9) * half
    z = eyes[0][2] - glasses.drop + 0.004 + 0.003 * (1 - (x / half) ** 2)
    tubes.append(np.stack([x, front - 0.003 + 9 * x**2, z], 1))
    return tubes, lenses


def _rim(centre: np.ndarray, side: int, front: float, glasses: Glasses) -> np.ndarray:
    """The closed rim [RIM_POINTS + 1, 3] around an eye: between an ellipse and a rectangle."""
    around = np.linspace(0, 2 * np.pi, RIM_POINTS + 1)
    wide, tall = (np.sign(f) * np.abs(f) ** (2 / glasses.power) for f in (np.cos(around), np.sin(around)))
    x = centre[0] + side * (0.001 + wide * glasses.width)
    return np.stack([x, front + 3.2 * x**2 - 0.0015, centre[2] - glasses.drop + tall * glasses.height], 1)


def _temple(solid: np.ndarray, centre: np.ndarray, side: int, front: float, glasses: Glasses) -> list[np.ndarray]:
    """Centre lines of one temple, from the rim to the ear, and its hinge."""
    x = centre[0] + side * glasses.width
    hinge = np.array([x + side * 0.002, front + 3.2 * x**2, centre[2] + 0.006])
    level = np.abs(solid[:, 2] - centre[2]) < 0.01
    ear = np.array([side * np.abs(solid[level][:, 0]).max() * 0.97, centre[1] + 0.085, centre[2] + 0.008])
    bend = hinge + np.array([side * 0.008, 0.012, 0.0])
    return [np.linspace(0, 1, 8)[:, None] * (ear - bend) + bend, np.stack([hinge, 0.5 * (hinge + bend), bend])]


def lens_mesh(lenses: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles and normals of both lenses; normals as of curved glass."""
    fan = np.array([[0, i, i + 1] for i in range(1, RIM_POINTS - 1)])
    vertices = np.concatenate(lenses)
    middles = np.repeat([lens.mean(0) for lens in lenses], RIM_POINTS, 0)
    normals = unit(np.array([0, -1.0, 0]) + (vertices - middles) * [6, 0, 6])
    return vertices, np.concatenate([fan + i * RIM_POINTS for i in range(len(lenses))]), normals
