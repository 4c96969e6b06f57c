"""One person as mitsuba shapes, each with its class, in front of a camera and lights."""

from dataclasses import dataclass, field

import numpy as np

from wsdl.faces import beard, clothes, glasses, hair, skin, template
from wsdl.faces.camera import View, frame
from wsdl.faces.eyes import Lids, eyeball
from wsdl.faces.geometry import compact, normals, triangles, unit
from wsdl.faces.identity import Identity, paleness
from wsdl.faces.lashes import brow_hairs, lashes
from wsdl.faces.light import direction, lights
from wsdl.faces.posture import turn_shoulders
from wsdl.faces.rig import Rig
from wsdl.faces.shapes import PAINTED, bitmap, material, matt, mesh, rgb, ribbons

PAINTED_HEAD = 255  # the class of a point on the head stands in the rig's and the hair's maps
MOUTHS = {  # parts of the mouth: colour, how far they are moved
    "upper-teeth": ((0.86, 0.80, 0.70), (0, -0.003, -0.005)),
    "lower-teeth": ((0.78, 0.72, 0.62), (0, -0.001, 0.001)),
    "tongue": ((0.4, 0.14, 0.12), (0, 0.004, -0.002)),
}


@dataclass
class Scene:
    """shapes and lights are what mitsuba loads; classes: the class of each shape by name."""

    view: View
    lights: dict
    cover: np.ndarray  # opacity of painted hair on the head's texture
    shapes: dict = field(default_factory=dict)
    classes: dict = field(default_factory=dict)
    lenses: list = field(default_factory=list)  # outlines of glasses

    def add(self, name: str, shape, label: int) -> None:
        self.shapes[name], self.classes[name] = shape, label


def build(rig: Rig, person: Identity, rng: np.random.Generator) -> Scene:
    """The scene of one photograph."""
    vertices = turn_shoulders(rig.vertices(person.shape, person.local, person.actions), rig, person.pose)
    outward = normals(vertices, rig.skin)
    eyes = [vertices[rig.group(f"helper-{side}-eye")].mean(0) for side in "lr"]
    middle = 0.5 * (eyes[0] + eyes[1])
    view = frame(eyes, vertices[rig.lip_vertices].mean(0), person.pose, person.camera.distance)
    colour, rough, cover = skin.paint(rig, person, rng)
    scene = Scene(view, {}, cover)
    add_skin(scene, rig, person, vertices, outward, colour, rough)
    add_eyes(scene, rig, person, vertices, eyes, rng)
    add_mouth(scene, rig, vertices)
    add_hair(scene, rig, person, vertices, outward, middle, rng)
    add_clothes(scene, rig, person, vertices)
    if person.glasses:
        add_glasses(scene, rig, person, vertices, eyes)
    scene.lights = lights(person, middle, view.front, rng)
    return scene


def add_skin(scene: Scene, rig: Rig, person: Identity, vertices, outward, colour, rough) -> None:
    look = {"specular": 0.5, "flatness": 0.6}
    surfaces = {
        "head": (material(bitmap(colour), bitmap(rough), **look), PAINTED_HEAD),
        "body": (material(rgb(person.skin.tone), 0.5, **look), template.NECK),
        "cavity": (material(rgb((0.16, 0.035, 0.03)), 0.4, **look), template.MOUTH),
    }
    for name, (surface, label) in surfaces.items():
        numbers, faces, uv = rig.parts[name]
        scene.add(name, mesh(name, vertices[numbers], faces, outward[numbers], surface, uv), label)


def add_eyes(scene: Scene, rig: Rig, person: Identity, vertices, eyes, rng) -> None:
    """Eyeballs that look towards the camera, as far as a head turned aside would."""
    aside, up = np.radians(person.eyes.gaze)
    key = direction(scene.view.front, person.light.azimuth, person.light.elevation)
    mirrored = 0.47 * (unit(key + scene.view.front) - scene.view.front)  # a cornea is rounder than our eyeball
    gaze = 0.75 * unit(scene.view.front + np.array([aside, 0, up])) + 0.25 * np.array([0, -1, 0])
    for side, centre, label in zip("lr", eyes, (template.LEFT_EYE, template.RIGHT_EYE), strict=True):
        radius = np.median(np.linalg.norm(vertices[rig.group(f"helper-{side}-eye")] - centre, axis=1))
        upper, lower = (np.unique(rig.lashes[f"{side}-eyelashes-{row}"][:, :2]) for row in (2, 1))
        lids = Lids(vertices[upper], vertices[lower])
        shape = eyeball(f"eye-{side}", centre, radius, gaze, mirrored, lids, person.eyes, rng)
        scene.add(f"eye-{side}", shape, label)


def add_mouth(scene: Scene, rig: Rig, vertices) -> None:
    for name, (colour, move) in MOUTHS.items():
        points, faces = compact(vertices, triangles(rig.faces[f"helper-{name}"]))
        shape = mesh(name, points + move, faces, normals(points, faces), material(rgb(colour), 0.25))
        scene.add(name, shape, template.MOUTH)


def add_hair(scene: Scene, rig: Rig, person: Identity, vertices, outward, middle, rng) -> None:
    colour, camera = person.hair.colour, scene.view.position
    grown = hair.grow(vertices, outward, rig, person.hair, rng, middle)
    if grown is not None:
        strands, radius, locks = grown
        lighter = np.linspace(0.75, 1.2, strands.shape[1])[None, :, None]  # from root to tip
        pale = paleness(colour)  # grey and white hair would be noisy
        uneven = rng.normal(0, 0.1, hair.GUIDES)[locks] + rng.normal(0, 0.12 - 0.06 * pale, len(strands))
        shades = colour * lighter * np.exp(uneven)[:, None, None]
        shiny = material(PAINTED, 0.45, 0.2 - 0.14 * pale)
        scene.add("hair", ribbons("hair", strands, radius, camera, shiny, shades), template.HAIR)
    add_small_hairs(scene, rig, person, vertices, rng)


def add_small_hairs(scene: Scene, rig: Rig, person: Identity, vertices, rng) -> None:
    """Beard, brows and lashes."""
    colour, camera = person.hair.colour, scene.view.position
    grown = beard.strands(vertices, rig, person.beard, rng)
    if grown is not None:
        shades = colour * min(1, 0.3 / colour.max()) * np.exp(rng.normal(0, 0.15, (len(grown), 1, 1)))
        radius = np.array([[0.00042, 0.0004, 0.00035, 0.0002]])
        scene.add("beard", ribbons("beard", grown, radius, camera, matt(PAINTED), shades), template.SKIN)
    brows = brow_hairs(vertices, rig, person.hair.brow_wide, rng)
    strips = {
        name: lashes(
            vertices,
            strip,
            person.eyes.lash * (0.5 if name.endswith("1") else 0.9),
            1 if name.endswith("1") else 5,
            rng,
        )
        for name, strip in rig.lashes.items()
    }
    kept = rng.random(len(brows)) < 0.2 + 0.5 * person.hair.brow
    shade = skin.hair_root(colour) + 0.06 * person.skin.tone
    for side, sign, label in (("l", 1, template.LEFT_BROW), ("r", -1, template.RIGHT_BROW)):
        own = brows[kept & (rig.brow_side == sign)]
        radius = np.array([[0.0003, 0.00026, 0.0001]])
        scene.add(f"brow-{side}", ribbons(f"brow-{side}", own, radius, camera, matt(PAINTED), shade), label)
    for name, strands in strips.items():
        radius = np.array([[0.0004, 0.0003, 0.00012]])
        shape = ribbons(name, strands, radius, camera, matt(PAINTED), np.minimum(colour, 0.03))
        scene.add(name, shape, template.LEFT_EYE if name.startswith("l") else template.RIGHT_EYE)


def add_clothes(scene: Scene, rig: Rig, person: Identity, vertices) -> None:
    points, faces = clothes.suit(vertices, rig, person.clothes)
    colours = clothes.fabric(points, person.clothes)
    shape = mesh("cloth", points, faces, normals(points, faces), matt(PAINTED), colours=colours)
    scene.add("cloth", shape, template.CLOTH)


def add_glasses(scene: Scene, rig: Rig, person: Identity, vertices, eyes) -> None:
    tubes, scene.lenses = glasses.wires(vertices, rig, person.glasses, eyes)
    surface = material(PAINTED, 0.25)
    for i, tube in enumerate(tubes):
        shape = ribbons(
            f"wire-{i}", tube[None], person.glasses.radius, scene.view.position, surface, person.glasses.colour
        )
        scene.add(f"wire-{i}", shape, template.GLASSES)
