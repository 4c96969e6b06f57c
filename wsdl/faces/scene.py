"""Build the mitsuba scene of one identity: shapes with their classes, camera and lights."""

from dataclasses import dataclass, field

import numpy as np

from wsdl.faces import template
from wsdl.faces.camera import View, frame_face
from wsdl.faces.facial_hair import beard_strands, brow_strands, lash_strands
from wsdl.faces.geometry import drop_unused_vertices, split_quads, unit, vertex_normals
from wsdl.faces.hair import GUIDES, grow_hair
from wsdl.faces.identity import Identity, paleness
from wsdl.faces.light import light_direction, make_lights
from wsdl.faces.parts import Lids, clothes_mesh, fabric_colours, glasses_wires, make_eyeball
from wsdl.faces.rig import Rig, turn_shoulders
from wsdl.faces.shapes import VERTEX_COLOURS, bitmap, material, matte, mesh, rgb, ribbons
from wsdl.faces.skin import hair_root, skin_texture

CLASS_FROM_TEXTURE = 255  # marks the head, where the class is read from the texture maps of rig and hair
MOUTH_PARTS = {  # parts of the mouth: colour, displacement
    "upper-teeth": ((0.86, 0.80, 0.70), (0, -0.003, -0.005)),
    "lower-teeth": ((0.78, 0.72, 0.62), (0, -0.001, 0.001)),
    "tongue": ((0.4, 0.14, 0.12), (0, 0.004, -0.002)),
}


@dataclass
class Scene:
    """shapes and lights: dictionaries for mitsuba; classes: the class of each shape by name."""

    view: View
    lights: dict
    cover: np.ndarray  # opacity of hair in the head's texture
    shapes: dict = field(default_factory=dict)
    classes: dict = field(default_factory=dict)
    lenses: list = field(default_factory=list)  # outlines of glasses

    def add(self, name: str, shape, label: int) -> None:
        self.shapes[name], self.classes[name] = shape, label


def build_scene(rig: Rig, person: Identity, rng: np.random.Generator) -> Scene:
    """The scene of one identity; rng draws its fine detail."""
    vertices = turn_shoulders(rig.vertices(person.shape, person.local, person.actions), rig, person.pose)
    outward = vertex_normals(vertices, rig.skin)
    eyes = [vertices[rig.group(f"helper-{side}-eye")].mean(0) for side in "lr"]
    middle = 0.5 * (eyes[0] + eyes[1])
    view = frame_face(eyes, vertices[rig.lip_vertices].mean(0), person.pose, person.camera.distance)
    colour, rough, cover = skin_texture(rig, person, rng)
    scene = Scene(view, {}, cover)
    _add_skin(scene, rig, person, vertices, outward, colour, rough)
    _add_eyes(scene, rig, person, vertices, eyes, rng)
    _add_mouth(scene, rig, vertices)
    _add_hair(scene, rig, person, vertices, outward, middle, rng)
    _add_clothes(scene, rig, person, vertices)
    if person.glasses:
        _add_glasses(scene, rig, person, vertices, eyes)
    scene.lights = make_lights(person, middle, view.front, rng)
    return scene


def _add_skin(scene: Scene, rig: Rig, person: Identity, vertices, outward, colour, rough) -> None:
    look = {"specular": 0.5, "flatness": 0.6}
    surfaces = {
        "head": (material(bitmap(colour), bitmap(rough), **look), CLASS_FROM_TEXTURE),
        "body": (material(rgb(person.skin.tone), 0.5, **look), template.NECK),
        "cavity": (material(rgb((0.16, 0.035, 0.03)), 0.4, **look), template.MOUTH),
    }
    for name, (surface, label) in surfaces.items():
        numbers, faces, uv = rig.parts[name]
        scene.add(name, mesh(name, vertices[numbers], faces, outward[numbers], surface, uv), label)


def _add_eyes(scene: Scene, rig: Rig, person: Identity, vertices, eyes, rng) -> None:
    """Eyeballs that look mostly towards the camera, partly straight ahead."""
    aside, up = np.radians(person.eyes.gaze)
    key = light_direction(scene.view.front, person.light.azimuth, person.light.elevation)
    mirrored = 0.47 * (unit(key + scene.view.front) - scene.view.front)  # a cornea is more curved than this eyeball
    gaze = 0.75 * unit(scene.view.front + np.array([aside, 0, up])) + 0.25 * np.array([0, -1, 0])
    for side, centre, label in zip("lr", eyes, (template.LEFT_EYE, template.RIGHT_EYE), strict=True):
        radius = np.median(np.linalg.norm(vertices[rig.group(f"helper-{side}-eye")] - centre, axis=1))
        upper, lower = (np.unique(rig.lashes[f"{side}-eyelashes-{row}"][:, :2]) for row in (2, 1))
        lids = Lids(vertices[upper], vertices[lower])
        shape = make_eyeball(f"eye-{side}", centre, radius, gaze, mirrored, lids, person.eyes, rng)
        scene.add(f"eye-{side}", shape, label)


def _add_mouth(scene: Scene, rig: Rig, vertices) -> None:
    for name, (colour, move) in MOUTH_PARTS.items():
        points, faces = drop_unused_vertices(vertices, split_quads(rig.faces[f"helper-{name}"]))
        shape = mesh(name, points + move, faces, vertex_normals(points, faces), material(rgb(colour), 0.25))
        scene.add(name, shape, template.MOUTH)


def _add_hair(scene: Scene, rig: Rig, person: Identity, vertices, outward, middle, rng) -> None:
    colour, camera = person.hair.colour, scene.view.position
    grown = grow_hair(vertices, outward, rig, person.hair, rng, middle)
    if grown is not None:
        strands, radius, locks = grown
        lighter = np.linspace(0.75, 1.2, strands.shape[1])[None, :, None]  # from root to tip
        pale = paleness(colour)  # grey and white hair would be noisy otherwise
        uneven = rng.normal(0, 0.1, GUIDES)[locks] + rng.normal(0, 0.12 - 0.06 * pale, len(strands))
        shades = colour * lighter * np.exp(uneven)[:, None, None]
        shiny = material(VERTEX_COLOURS, 0.45, 0.2 - 0.14 * pale)
        scene.add("hair", ribbons("hair", strands, radius, camera, shiny, shades), template.HAIR)
    _add_facial_hair(scene, rig, person, vertices, rng)


def _add_facial_hair(scene: Scene, rig: Rig, person: Identity, vertices, rng) -> None:
    """Beard, brows and lashes."""
    colour, camera = person.hair.colour, scene.view.position
    grown = beard_strands(vertices, rig, person.beard, rng)
    if grown is not None:
        shades = colour * min(1, 0.3 / colour.max()) * np.exp(rng.normal(0, 0.15, (len(grown), 1, 1)))
        radius = np.array([[0.00042, 0.0004, 0.00035, 0.0002]])
        scene.add("beard", ribbons("beard", grown, radius, camera, matte(VERTEX_COLOURS), shades), template.SKIN)
    brows = brow_strands(vertices, rig, person.hair.brow_wide, rng)
    strips = {
        name: lash_strands(
            vertices,
            strip,
            person.eyes.lash * (0.5 if name.endswith("1") else 0.9),
            1 if name.endswith("1") else 5,
            rng,
        )
        for name, strip in rig.lashes.items()
    }
    kept = rng.random(len(brows)) < 0.2 + 0.5 * person.hair.brow
    shade = hair_root(colour) + 0.06 * person.skin.tone
    for side, sign, label in (("l", 1, template.LEFT_BROW), ("r", -1, template.RIGHT_BROW)):
        own = brows[kept & (rig.brow_side == sign)]
        radius = np.array([[0.0003, 0.00026, 0.0001]])
        scene.add(f"brow-{side}", ribbons(f"brow-{side}", own, radius, camera, matte(VERTEX_COLOURS), shade), label)
    for name, strands in strips.items():
        radius = np.array([[0.0004, 0.0003, 0.00012]])
        shape = ribbons(name, strands, radius, camera, matte(VERTEX_COLOURS), np.minimum(colour, 0.03))
        scene.add(name, shape, template.LEFT_EYE if name.startswith("l") else template.RIGHT_EYE)


def _add_clothes(scene: Scene, rig: Rig, person: Identity, vertices) -> None:
    points, faces = clothes_mesh(vertices, rig, person.clothes)
    colours = fabric_colours(points, person.clothes)
    shape = mesh("cloth", points, faces, vertex_normals(points, faces), matte(VERTEX_COLOURS), colours=colours)
    scene.add("cloth", shape, template.CLOTH)


def _add_glasses(scene: Scene, rig: Rig, person: Identity, vertices, eyes) -> None:
    tubes, scene.lenses = glasses_wires(vertices, rig, person.glasses, eyes)
    surface = material(VERTEX_COLOURS, 0.25)
    for i, tube in enumerate(tubes):
        shape = ribbons(
            f"wire-{i}", tube[None], person.glasses.radius, scene.view.position, surface, person.glasses.colour
        )
        scene.add(f"wire-{i}", shape, template.GLASSES)
