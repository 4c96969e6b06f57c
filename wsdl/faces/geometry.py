"""Geometry on NumPy arrays: vertices [V, 3] in metres, triangles [F, 3] of vertex numbers, and smooth noise."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` [..., 3] scaled to length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-12)


def smoothstep(x, start: float, end: float):
    """0 below `start`, 1 above `end`, smooth (3t^2 - 2t^3) in between."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def split_quads(faces: np.ndarray) -> np.ndarray:
    """Split quads [F, 4] into triangles [2F, 3]; triangles are returned unchanged."""
    return np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]) if faces.shape[1] == 4 else faces


def drop_unused_vertices(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that `faces` use, and the faces renumbered."""
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [V, 3]: the area-weighted mean of the triangles around each vertex."""
    across = np.cross(
        vertices[faces[:, 1]] - vertices[faces[:, 0]],
        vertices[faces[:, 2]] - vertices[faces[:, 0]],
    )
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, faces[:, corner], across)
    return unit(total)


def clip_mesh(vertices: np.ndarray, faces: np.ndarray, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a mesh where `field` [V] is negative; triangles on the border are cut."""
    negative = field[faces] < 0
    inside = faces[negative.all(1)]
    turned = []  # border triangles, turned so that they begin with a negative corner and end with a positive one
    for k in range(3):
        order = np.roll(faces, -k, 1)
        turned.append(order[(field[order[:, 0]] < 0) & (field[order[:, 2]] >= 0)])
    border = np.concatenate(turned)
    one, two = border[field[border[:, 1]] >= 0], border[field[border[:, 1]] < 0]  # negative corners

    def between(a, b):
        return vertices[a] + (vertices[b] - vertices[a]) * (field[a] / (field[a] - field[b]))[:, None]

    added = [
        between(one[:, 0], one[:, 1]),
        between(one[:, 0], one[:, 2]),
        between(two[:, 1], two[:, 2]),
        between(two[:, 0], two[:, 2]),
    ]
    i = len(vertices) + np.arange(len(one))
    j = len(vertices) + 2 * len(one) + np.arange(len(two))
    faces = [
        inside,
        np.stack([one[:, 0], i, i + len(one)], 1),
        np.stack([two[:, 0], two[:, 1], j], 1),
        np.stack([two[:, 0], j, j + len(two)], 1),
    ]
    return np.concatenate([vertices, *added]), np.concatenate(faces)


def noise_texture(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> np.ndarray:
    """Smooth noise of `shape` with blobs of about `scale` pixels, mean about 0, deviation 1."""
    step = max(1, int(scale / 2))  # coarse noise is made small and enlarged
    small = rng.standard_normal((shape[0] // step + 2, shape[1] // step + 2)).astype(np.float32)
    small = gaussian_filter(small, scale / step)
    large = np.asarray(Image.fromarray(small).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return large / large.std()
