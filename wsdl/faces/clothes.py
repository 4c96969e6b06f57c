"""Clothes: the suit of the base mesh, inflated a little and cut open at the neck."""

import numpy as np

from wsdl.faces.geometry import compact, cut, normals, ramp, triangles
from wsdl.faces.identity import Clothes
from wsdl.faces.rig import Rig

NECKS = {"crew": (0.30, 0.010), "v": (0.30, 0.008), "wide": (0.45, -0.045), "turtle": (0.12, 0.03)}  # slope, height


def suit(vertices: np.ndarray, rig: Rig, clothes: Clothes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of what is worn."""
    faces = triangles(rig.faces["helper-tights"])
    faces = faces[rig.template[faces][:, :, 2].mean(1) > 0.25]
    height = compact(rig.template, faces)[0][:, 2]
    worn, faces = compact(vertices, faces)
    thick = 0.004 + 0.006 * (1 - ramp(height, 0.50, 0.57))
    worn = worn + normals(worn, faces) * thick[:, None]
    x, y, z = (worn - vertices[rig.faces["joint-neck"]].reshape(-1, 3).mean(0)).T
    slope, lift = NECKS[clothes.neck]
    above = z - lift - slope * y
    if clothes.neck == "v":
        above = np.maximum(above, np.where(y < 0, (z + 0.15) * 0.45 - np.abs(x), -1))
    return cut(worn, faces, above)


def fabric(vertices: np.ndarray, clothes: Clothes) -> np.ndarray:
    """The colour [V, 3] of each vertex."""
    across, up = np.sin(vertices[:, [0, 2]] * clothes.frequency * 6).T > 0
    second = {"plain": np.zeros_like(up), "stripes": up, "checks": across ^ up}[clothes.pattern]
    return np.clip(np.where(second[:, None], clothes.second, clothes.colour), 0.01, 0.85)
