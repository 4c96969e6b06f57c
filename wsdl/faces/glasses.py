"""Glasses: rims, bridge and temples as thin tubes, and lenses that mirror a little."""

import numpy as np

from wsdl.faces.geometry import unit
from wsdl.faces.identity import Glasses
from wsdl.faces.rig import Rig

RIM = 40  # points of a rim


def wires(vertices: np.ndarray, rig: Rig, glasses: Glasses, eyes) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Courses of the tubes ([K, 3] each) and the outlines of both lenses ([RIM, 3] each). eyes: two centres [3]."""
    lash = np.concatenate([vertices[np.unique(strip)] for strip in rig.lashes.values()])
    front = lash[:, 1].min() - 0.006
    tubes, lenses = [], []
    for centre, side in zip(eyes, (1, -1), strict=True):
        rim = outline(centre, side, front, glasses)
        tubes.append(rim)
        lenses.append(rim[:-1])
        tubes += temple(vertices[rig.solid], centre, side, front, glasses)
    half = eyes[0][0] - glasses.width + 0.003
    x = np.linspace(-1, 1, 9) * half
    z = eyes[0][2] - glasses.drop + 0.004 + 0.003 * (1 - (x / half) ** 2)
    tubes.append(np.stack([x, front - 0.003 + 9 * x**2, z], 1))
    return tubes, lenses


def outline(centre: np.ndarray, side: int, front: float, glasses: Glasses) -> np.ndarray:
    """The closed rim [RIM + 1, 3] around an eye: between an ellipse and a rectangle."""
    around = np.linspace(0, 2 * np.pi, RIM + 1)
    wide, tall = (np.sign(f) * np.abs(f) ** (2 / glasses.power) for f in (np.cos(around), np.sin(around)))
    x = centre[0] + side * (0.001 + wide * glasses.width)
    return np.stack([x, front + 3.2 * x**2 - 0.0015, centre[2] - glasses.drop + tall * glasses.height], 1)


def temple(solid: np.ndarray, centre: np.ndarray, side: int, front: float, glasses: Glasses) -> list[np.ndarray]:
    """The piece from the rim to the ear, and the hinge."""
    x = centre[0] + side * glasses.width
    hinge = np.array([x + side * 0.002, front + 3.2 * x**2, centre[2] + 0.006])
    level = np.abs(solid[:, 2] - centre[2]) < 0.01
    ear = np.array([side * np.abs(solid[level][:, 0]).max() * 0.97, centre[1] + 0.085, centre[2] + 0.008])
    bend = hinge + np.array([side * 0.008, 0.012, 0.0])
    return [np.linspace(0, 1, 8)[:, None] * (ear - bend) + bend, np.stack([hinge, 0.5 * (hinge + bend), bend])]


def lens_mesh(lenses: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles and normals of both lenses; the normals are those of curved glass."""
    fan = np.array([[0, i, i + 1] for i in range(1, RIM - 1)])
    vertices = np.concatenate(lenses)
    middles = np.repeat([lens.mean(0) for lens in lenses], RIM, 0)
    normals = unit(np.array([0, -1.0, 0]) + (vertices - middles) * [6, 0, 6])
    return vertices, np.concatenate([fan + i * RIM for i in range(len(lenses))]), normals
