"""Convert arrays to mitsuba objects: meshes, ribbons for hair, materials, colours and bitmaps."""

import numpy as np

from wsdl.faces.extra import mi
from wsdl.faces.geometry import unit

VERTEX_COLOURS = {"type": "mesh_attribute", "name": "vertex_color"}  # as a colour: the vertex colours given to `mesh`


def rgb(colour) -> dict:
    """A reflectance from three linear values 0-1."""
    return {"type": "rgb", "value": [float(value) for value in np.clip(colour, 0, 1)]}


def bitmap(pixels: np.ndarray) -> dict:
    """A texture of linear values [H, W, channels]."""
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(pixels, np.float32)), "raw": True}


def material(colour: dict, roughness=0.4, specular: float = 0.5, **more):
    """A two-sided surface of the principled (Disney) model."""
    surface = {"type": "principled", "base_color": colour, "roughness": roughness, "specular": specular, **more}
    return mi.load_dict({"type": "twosided", "surface": surface})


def matte(colour: dict):
    """A two-sided diffuse surface."""
    return mi.load_dict({"type": "twosided", "surface": {"type": "diffuse", "reflectance": colour}})


def mesh(name: str, vertices, faces, normals, surface, uv=None, colours=None):
    """A mitsuba mesh; uv [V, 2] in 0-1 and colours [V, 3] in 0-1 (linear) belong to vertices."""
    properties = mi.Properties()
    properties["surface"] = surface
    shape = mi.Mesh(
        name,
        len(vertices),
        len(faces),
        has_vertex_normals=True,
        has_vertex_texcoords=uv is not None,
        props=properties,
    )
    if colours is not None:
        shape.add_attribute("vertex_color", 3, colours.astype(np.float32).ravel())
    values = mi.traverse(shape)
    values["vertex_positions"] = vertices.astype(np.float32).ravel()
    values["faces"] = faces.astype(np.uint32).ravel()
    values["vertex_normals"] = normals.astype(np.float32).ravel()
    if uv is not None:
        values["vertex_texcoords"] = uv.astype(np.float32).ravel()
    values.update()
    return shape


def ribbons(name: str, strands: np.ndarray, radius, camera: np.ndarray, surface, colours):
    """Strands [N, K, 3] as ribbons that face the `camera` [3], with normals like those of a tube.

    radius in metres and colours are per strand and point, or broadcast to that. (Mitsuba's own curve shapes sometimes
    crash the scalar renderer; ribbons do not.)
    """
    count, points = strands.shape[:2]
    along = unit(np.gradient(strands, axis=1))
    side = unit(np.cross(along, unit(camera - strands)))
    front = np.cross(side, along)
    half = np.broadcast_to(radius, (count, points))[..., None] * side
    vertices = np.stack([strands - half, strands + half], 2).reshape(-1, 3)
    normals = np.stack([front - 0.9 * side, front + 0.9 * side], 2).reshape(-1, 3)
    i = (np.arange(count)[:, None] * points + np.arange(points - 1)[None]).ravel() * 2
    faces = np.concatenate([np.stack([i, i + 1, i + 3], 1), np.stack([i, i + 3, i + 2], 1)])
    colours = np.repeat(np.broadcast_to(colours, (count, points, 3))[:, :, None], 2, 2).reshape(-1, 3)
    return mesh(name, vertices, faces, unit(normals), surface, colours=np.clip(colours, 0.003, 0.9))
