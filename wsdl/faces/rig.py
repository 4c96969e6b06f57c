"""The parametric head of anny, and everything that depends on its topology only, built once per process (seconds).

The first call on a machine takes minutes: anny writes its model, 1.5 GB, to ~/.cache/anny.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from wsdl.core.io import WsdlError
from wsdl.faces import template
from wsdl.faces.extra import anny
from wsdl.faces.geometry import smoothstep, split_quads, unit
from wsdl.faces.identity import Pose

LEFT, RIGHT, TOP, BOTTOM = 0.62, 1.0, 0.14, 0.86  # part of the texture square that shows the head
TEXTURE = 1024  # pixels of the whole square
AVERAGE = {"age": 0.67, "gender": 0.5}
CANDIDATES = 40_000  # possible roots of scalp hair
BROW_HAIRS = 420
BEARD_HAIRS = 9000


@cache
def load_rig() -> "Rig":
    """The rig, built at the first call of the process."""
    return Rig()


class Rig:
    """anny's model with its parts, texture maps and hair roots.

    parts: for head, cavity (inside of the mouth) and body (vertex numbers, triangles, texture coordinates).
    width, height: of the head's texture in pixels; positions [height, width, 3]: its texels on the template.
    lips, lids, face, ears, lash_line [height, width]: opacity of these regions, 0-1; classes: class of each texel.
    """

    def __init__(self):
        from anny.models.model_data import TopologyConfig
        from anny.paths import get_anny_cache_path
        from anny.utils.obj_utils import load_obj_file

        torch.set_num_threads(1)  # for the same sums on every machine
        # All 19,158 vertices are kept: teeth, tongue, lashes, and the suit that becomes clothes.
        topology = TopologyConfig(base_mesh="makehuman", nudity_edits=False, remove_unattached_vertices=False)
        everything = dict.fromkeys(("local_changes", "facial_actions", "phenotypes"), "all")
        try:
            self.model = anny.Anny(topology=topology, **everything).float()
        except SafetensorError as error:
            raise WsdlError(f"{get_anny_cache_path()}: is damaged ({error}); delete this folder.") from None
        self.data = Path(anny.__file__).parent / "data" / "mpfb2"
        _, texture, groups = load_obj_file(str(self.data / "3dobjs/base.obj"))
        self.faces = {name: group["face_vertex_indices"].numpy() for name, group in groups.items()}
        self.template = self._template()
        self._split(texture.numpy().astype(np.float32), groups["body"]["face_texture_coordinate_indices"].numpy())
        self._find_lashes()
        self._build_maps()
        rng = np.random.default_rng(0)
        self._place_scalp_hair(rng)
        self._place_brow_hair(rng)
        self._place_beard_hair(rng)

    def vertices(self, shape: dict, local: dict, actions: dict) -> np.ndarray:
        """Vertices [19158, 3] in metres for phenotypes, local changes and facial actions (0-1 or -1-1)."""
        pose = torch.eye(4)[None, None].repeat(1, self.model.bone_count, 1, 1)
        found = self.model(
            pose_parameters=pose, phenotype_kwargs=shape, local_changes_kwargs=local, facial_actions=actions
        )
        return found["vertices"][0].detach().numpy().astype(np.float64)

    def group(self, name: str) -> np.ndarray:
        """The vertex numbers of a group of the base mesh."""
        return np.unique(self.faces[name])

    def roots(self, vertices: np.ndarray, place: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Positions and normals [N, 3] of hair roots `place` (triangle, barycentric) on this person's skin."""
        face, weights = place
        corners = vertices[self.skin[face]]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return np.einsum("nk,nkd->nd", weights, corners), unit(across)

    def texel(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) in the texture of coordinates [..., 2]."""
        columns = np.clip((uv[..., 0] * self.width).astype(int), 0, self.width - 1)
        rows = np.clip((uv[..., 1] * self.height).astype(int), 0, self.height - 1)
        return rows, columns

    def _template(self) -> np.ndarray:
        raw = self.vertices(AVERAGE, {}, {})
        eyes = np.array([raw[self.group(f"helper-{side}-eye")].mean(0) for side in "lr"])
        return (raw - eyes.mean(0)) * (0.0614 / np.linalg.norm(eyes[0] - eyes[1])) + [0, -0.113, 0.701]

    def _split(self, texture: np.ndarray, corners: np.ndarray) -> None:
        """Split into head, mouth cavity and body, which are separate in the texture: seam vertices occur twice."""
        faces, corners = split_quads(self.faces["body"]), split_quads(corners)
        above = self.template[faces][:, :, 2].min(1) > 0.33
        self.skin, corners = faces[above], corners[above]
        u, v = texture[corners].mean(1).T
        head = (u > 0.625) & (v > 0.13) & (v < 0.87)
        cavity = ~head & (v < 0.12)
        self.parts = {}
        for name, where in (("head", head), ("cavity", cavity), ("body", ~head & ~cavity)):
            pairs = np.stack([self.skin[where].ravel(), corners[where].ravel()], 1)
            pairs, inverse = np.unique(pairs, axis=0, return_inverse=True)
            u, v = texture[pairs[:, 1]].T
            uv = np.stack([(u - LEFT) / (RIGHT - LEFT), (1 - v - TOP) / (BOTTOM - TOP)], 1)  # mitsuba's v points down
            self.parts[name] = pairs[:, 0], inverse.reshape(-1, 3), uv

    def _build_maps(self) -> None:
        self.width, self.height = int(TEXTURE * (RIGHT - LEFT)), int(TEXTURE * (BOTTOM - TOP))
        numbers, _, uv = self.parts["head"]
        self.positions = self._spread(uv, self.template[numbers]).astype(np.float32)
        self.lips, self.lids, self.face, self.ears = (self._map(n) for n in ("lips", "eyelids", "face", "ears"))
        self.lip_vertices = numbers[self.lips[self.texel(uv)] > 0.5]
        # The lower lip is the part that moves down with the jaw.
        opened = self.vertices(AVERAGE, {}, {"jawOpen": 1.0})[:, 2] - self.vertices(AVERAGE, {}, {})[:, 2]
        lower = self._spread(uv, opened[numbers]) < 0.5 * opened[self.lip_vertices].min()
        self.classes = template.texel_classes(self.positions, self.lips, lower)
        self.lash_line = self._lash_line()
        self.above_hair_line = template.above_hair_line(self.positions)

    def _lash_line(self) -> np.ndarray:
        """Where lashes meet the lids: 1 at the upper and 0.5 at the lower, [height, width]."""
        total = np.zeros((self.height, self.width), np.float32)
        for name, strip in self.lashes.items():
            away = cKDTree(self.template[np.unique(strip[:, :2])]).query(self.positions, distance_upper_bound=0.004)[0]
            total += np.exp(-((away / 0.0011) ** 2)) * (0.5 if name.endswith("1") else 1)
        return total

    def _spread(self, uv: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values at the head's vertices, interpolated to its texels [height, width, ...]."""
        grid = np.meshgrid((np.arange(self.width) + 0.5) / self.width, (np.arange(self.height) + 0.5) / self.height)
        inside = LinearNDInterpolator(uv, values)(*grid)
        return np.where(np.isnan(inside), NearestNDInterpolator(uv, values)(*grid), inside)

    def _map(self, name: str) -> np.ndarray:
        """A region map by the MakeHuman community, cropped to the head: 0-1 [height, width]."""
        with Image.open(self.data / "textures" / f"mpfb_{name}.jpg") as image:
            square = image.convert("L").resize((TEXTURE, TEXTURE), Image.Resampling.LANCZOS)
        rows, columns = int(TEXTURE * TOP), int(TEXTURE * LEFT)
        part = np.asarray(square, np.float32)[rows : rows + self.height, columns : columns + self.width]
        return gaussian_filter(part / 255, 0.7)

    def _place_scalp_hair(self, rng: np.random.Generator) -> None:
        corners = self.template[self.skin]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        middle = corners.mean(1)
        ear = template.on_ear(middle)
        scalp = area * ((template.above_hair_line(middle) > -0.015) & ~ear & (middle[:, 2] > 0.6))
        self.scalp, self.scalp_positions = self._draw_roots(scalp, CANDIDATES, rng)
        self.scalp_above = template.above_hair_line(self.scalp_positions)
        self.solid = np.unique(self.skin[(middle[:, 2] > 0.40) & ~ear])  # what hair may not enter

    def _place_beard_hair(self, rng: np.random.Generator) -> None:
        corners = self.template[self.skin]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        x, y, z = corners.mean(1).T
        chin = (z > 0.565) & (z < 0.70) & (y < -0.03) & (np.abs(x) < 0.08) & (y < 0.9 * np.abs(x) - 0.06)
        chin &= ~np.isin(self.skin, self.lip_vertices).any(1) & np.isin(self.skin, self.parts["head"][0]).all(1)
        self.chin, self.chin_positions = self._draw_roots(area * chin, BEARD_HAIRS, rng)

    def _draw_roots(self, weights: np.ndarray, count: int, rng: np.random.Generator):
        """`count` places on the skin, each triangle as often as `weights` say, and where they are on the template."""
        face = rng.choice(len(self.skin), count, p=weights / weights.sum())
        place = face, rng.dirichlet([1, 1, 1], count)
        return place, np.einsum("nk,nkd->nd", place[1], self.template[self.skin[face]])

    def _place_brow_hair(self, rng: np.random.Generator) -> None:
        """Draw roots in the frontal plane, then find them on the triangles of the forehead."""
        self.brow_along = rng.uniform(-0.02, 1.0, BROW_HAIRS)
        self.brow_side = np.sign(rng.standard_normal(BROW_HAIRS))
        offset = rng.uniform(-1, 1, BROW_HAIRS)
        height = template.brow_middle(self.brow_along)
        half = np.interp(self.brow_along, [0, 0.2, 0.6, 1], [0.0028, 0.0034, 0.0028, 0.0008])
        x = self.brow_side * (template.BROW_START + template.BROW_LENGTH * self.brow_along)
        points = np.stack([x, height + offset * half], 1)
        corners = self.template[self.skin]
        middle = corners.mean(1)
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 1] < 0
        near = np.where((middle[:, 1] < -0.06) & (np.abs(middle[:, 2] - 0.72) < 0.03) & facing)[0]
        a, b, c = (corners[near][:, k][:, [0, 2]] for k in range(3))
        one, two, to = b - a, c - a, points[:, None] - a[None]
        area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
        second = (to[..., 0] * two[:, 1] - to[..., 1] * two[:, 0]) / area
        third = (one[:, 0] * to[..., 1] - one[:, 1] * to[..., 0]) / area
        weights = np.stack([1 - second - third, second, third], -1)
        best = weights.min(-1).argmax(1)
        self.brow = near[best], weights[np.arange(BROW_HAIRS), best]

    def _find_lashes(self) -> None:
        """The four strips of eyelashes: the corners of each quad, from the lid to the tip."""
        lid = cKDTree(self.template[np.unique(self.skin)])
        self.lashes = {}
        for name in ("l-eyelashes-1", "l-eyelashes-2", "r-eyelashes-1", "r-eyelashes-2"):
            faces = self.faces[f"helper-{name}"]
            order = np.argsort(lid.query(self.template[faces])[0], 1)
            self.lashes[name] = np.take_along_axis(faces, order, 1)


def turn_shoulders(vertices: np.ndarray, rig: Rig, pose: Pose) -> np.ndarray:
    """`vertices` [V, 3] with everything below the neck turned by `pose.turn` and leaned by `pose.lean` degrees.

    The head stays, since hair and camera follow its axes; the neck twists smoothly.
    """
    below = 1 - smoothstep(rig.template[:, 2] - 0.2 * (rig.template[:, 1] + 0.1), 0.49, 0.58)
    joint = vertices[rig.faces["joint-neck"]].reshape(-1, 3).mean(0)
    x, y, z = (vertices - joint).T
    turn, lean = np.radians(pose.turn) * below, np.radians(pose.lean) * below
    x, z = x * np.cos(lean) - z * np.sin(lean), x * np.sin(lean) + z * np.cos(lean)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.stack([x, y, z], 1) + joint
