"""From a seed to a photograph and its label map."""

from dataclasses import dataclass

import numpy as np

from wsdl.faces import template
from wsdl.faces.background import behind
from wsdl.faces.camera import expose
from wsdl.faces.denoise import calm, denoise, scatter, soften
from wsdl.faces.extra import mi
from wsdl.faces.glasses import lens_mesh
from wsdl.faces.identity import Identity, paleness
from wsdl.faces.rig import Rig, rig
from wsdl.faces.sample import sample_identity
from wsdl.faces.scene import PAINTED_HEAD, Scene, build
from wsdl.faces.shapes import mesh

SAMPLES = 36  # light paths a pixel
RAYS = 3  # label rays a pixel, along each side
LUMINANCE = np.array([0.21, 0.72, 0.07])
GLARE = 0.6  # a photographer turns the light until the lenses mirror no more than this
SEE_THROUGH = template.SKIN, template.NOSE, template.NECK, template.BACKGROUND  # what a lens takes over


@dataclass
class Hits:
    """What the label rays met, each array [H * RAYS, W * RAYS]: shape (0 = nothing), texture coordinates, and the
    normals and colours [H, W, 6] averaged over the pixels."""

    shape: np.ndarray
    uv: np.ndarray
    guide: np.ndarray


def render_face(seed: int, style: str, size: int = 128, samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """One face: uint8 pixels [size, size, 3] and label map [size, size] in CelebAMask-HQ numbering.

    style: studio or snapshot. Ears and beards count as skin; behind a lens, skin counts as glasses while eyes and
    brows keep their class. Nose and lips end where the template says so.
    """
    head = rig()
    person = sample_identity(seed, style, head.model.local_change_labels)
    return photograph(head, person, size, samples)


def photograph(head: Rig, person: Identity, size: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of one `person`, as in `render_face`."""
    rng = np.random.default_rng(person.seed)
    scene = build(head, person, rng)
    path = {"type": "path", "max_depth": 4, "rr_depth": 3, "hide_emitters": True}
    world = mi.load_dict({"type": "scene", "integrator": path, **scene.lights, **scene.shapes})
    sensor = mi.load_dict({**scene.view.sensor, **film(size, "gaussian", samples)})
    light = np.array(mi.render(world, sensor=sensor, seed=person.seed % 65536, spp=samples))
    light, alpha = light[..., :3], light[..., 3:4]
    hits = shoot(world, scene, size)
    rays = classify(head, person, scene, [shape.id() for shape in world.shapes()], hits)
    if scene.lenses:
        light, rays = look_through(scene, light, rays)
    labels = vote(rays, size)
    light = denoise(light, hits.guide, labels)
    light = scatter(light, hits.guide, labels)
    light = calm(light, labels == template.HAIR)
    pale = paleness(person.hair.colour)
    light = soften(light, labels == template.HAIR, 0.3 + 0.45 * pale, 0.8 + 0.5 * pale)
    light = light * brightness(light, labels, person)
    light = light + (1 - np.clip(alpha, 0, 1)) * behind(person.background, size, rng)
    return expose(light, person.camera, rng), labels


def film(size: int, filter_: str, samples: int) -> dict:
    """The part of a sensor that says how it samples. (The `multijitter` sampler crashed the scalar renderer.)"""
    film_ = {
        "type": "hdrfilm",
        "width": size,
        "height": size,
        "rfilter": {"type": filter_},
        "pixel_format": "rgba",
        "component_format": "float32",
    }
    return {"film": film_, "sampler": {"type": "independent", "sample_count": samples}}


def shoot(world, scene: Scene, size: int) -> Hits:
    """One ray through the middle of each of RAYS x RAYS cells of every pixel."""
    sensor = {**scene.view.sensor, **film(size * RAYS, "box", 1)}
    sensor["sampler"] = {"type": "stratified", "sample_count": 1, "jitter": False}
    wanted = mi.load_dict({"type": "aov", "aovs": "n:sh_normal,a:albedo,d:depth,s:shape_index,t:uv"})
    found = np.array(mi.render(world, sensor=mi.load_dict(sensor), integrator=wanted, spp=1))[..., -10:]
    guide = found[..., :6].reshape(size, RAYS, size, RAYS, 6).mean((1, 3))
    shape = np.where(found[..., 6] > 0, found[..., 7].round().astype(int), 0)
    return Hits(shape, found[..., 8:10], guide)


def classify(head: Rig, person: Identity, scene: Scene, names: list[str], hits: Hits) -> np.ndarray:
    """The class that each ray met: its shape's, or on the head that of the texel. names: of the world's shapes."""
    table = np.array([template.BACKGROUND] + [scene.classes.get(name, template.BACKGROUND) for name in names])
    found = table[np.clip(hits.shape, 0, len(names))]
    texel = head.texel(hits.uv)
    painted = template.with_brows(head.classes, head.positions, person.hair.brow_wide)[texel]
    if person.hair.kind != "bald":
        painted = np.where(scene.cover[texel] > 0.5, template.HAIR, painted)
    return np.where(found == PAINTED_HEAD, painted, found)


def look_through(scene: Scene, light: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay what the lenses mirror over `light`, and give skin behind them to the glasses."""
    size = len(light)
    mirror = mi.load_dict({"type": "twosided", "surface": {"type": "conductor", "material": "none"}})
    glass = mesh("lens", *lens_mesh(scene.lenses), mirror)
    path = {"type": "path", "max_depth": 2, "hide_emitters": True}
    world = mi.load_dict({"type": "scene", "integrator": path, **scene.lights, "lens": glass})
    sensor = mi.load_dict({**scene.view.sensor, **film(size, "gaussian", 8)})
    glare = np.minimum(np.array(mi.render(world, sensor=sensor, spp=8, seed=1))[..., :3], GLARE)
    number = 1 + [shape.id() for shape in world.shapes()].index("lens")
    lens = (shoot(world, scene, size).shape == number) & (rays != template.HAIR)
    part = lens.reshape(size, RAYS, size, RAYS).mean((1, 3))[..., None]
    rays = np.where(lens & np.isin(rays, SEE_THROUGH), template.GLASSES, rays)
    return light * (1 - 0.06 * part) + 0.045 * part * glare, rays


def vote(rays: np.ndarray, size: int) -> np.ndarray:
    """The class of most rays in each pixel: uint8 [size, size]."""
    cells = rays.reshape(size, RAYS, size, RAYS)
    votes = [(cells == label).sum((1, 3)) for label in range(template.CLOTH + 1)]
    return np.argmax(votes, 0).astype(np.uint8)


def brightness(light: np.ndarray, labels: np.ndarray, person: Identity) -> float:
    """The factor that exposes for the face: darker skin stays darker, but less than it is."""
    face = np.isin(labels, (template.SKIN, template.NOSE))
    seen = float((light[face] @ LUMINANCE).mean()) if face.any() else 0.3
    wanted = 0.36 * (float(person.skin.tone @ LUMINANCE) / 0.4) ** 0.55
    return wanted / (seen + 1e-4) * 2**person.camera.exposure
