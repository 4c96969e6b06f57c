"""Render one face from a seed: image and label map.

`python -m wsdl.faces.render OUT STYLE SEED SIZE SAMPLES` renders the faces whose numbers arrive on stdin, as a child
process of `batch`. It prints "ready", then "done 7" when face 7 is written, mask first, so that an image always has its
mask; and "failed SENTENCE" on an error that the user can fix.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsdl.core.io import WsdlError, seed_for
from wsdl.data.images import write_image
from wsdl.faces import template
from wsdl.faces.background import render_background
from wsdl.faces.batch import face_file
from wsdl.faces.camera import bilateral_denoise, blend_blur, expose_image, remove_fireflies, subsurface_blur
from wsdl.faces.extra import mi
from wsdl.faces.identity import Identity, paleness
from wsdl.faces.parts import lens_mesh
from wsdl.faces.rig import Rig, load_rig
from wsdl.faces.sample import sample_identity
from wsdl.faces.scene import CLASS_FROM_TEXTURE, Scene, build_scene
from wsdl.faces.shapes import mesh

SAMPLES = 36  # light paths per pixel
RAYS = 3  # label rays per pixel, along each side
LUMINANCE = np.array([0.21, 0.72, 0.07])
GLARE = 0.6  # upper limit of the light that lenses reflect
SEE_THROUGH = (
    template.SKIN,
    template.NOSE,
    template.NECK,
    template.BACKGROUND,
)  # classes that become glasses behind a lens


@dataclass
class Hits:
    """Hits of the label rays: shape number (0 = none) and texture coordinates [H * RAYS, W * RAYS], and normals and
    colours averaged over each pixel, [H, W, 6]."""

    shape: np.ndarray
    uv: np.ndarray
    guide: np.ndarray


def render_face(seed: int, style: str, size: int = 128, samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """One face: uint8 pixels [size, size, 3] and label map [size, size] in CelebAMask-HQ numbering.

    style: studio or snapshot. Ears and beards count as skin; behind a lens, skin counts as glasses while eyes and
    brows keep their class. Nose and lips are delimited on the template head.
    """
    head = load_rig()
    person = sample_identity(seed, style, head.model.local_change_labels)
    return render_identity(head, person, size, samples)


def render_identity(head: Rig, person: Identity, size: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of one `person`, as in `render_face`."""
    rng = np.random.default_rng(person.seed)
    scene = build_scene(head, person, rng)
    path = {"type": "path", "max_depth": 4, "rr_depth": 3, "hide_emitters": True}
    world = mi.load_dict({"type": "scene", "integrator": path, **scene.lights, **scene.shapes})
    sensor = mi.load_dict({**scene.view.sensor, **_film(size, "gaussian", samples)})
    light = np.array(mi.render(world, sensor=sensor, seed=person.seed % 65536, spp=samples))
    light, alpha = light[..., :3], light[..., 3:4]
    hits = _cast_label_rays(world, scene, size)
    rays = _classify_rays(head, person, scene, [shape.id() for shape in world.shapes()], hits)
    if scene.lenses:
        light, rays = _add_lenses(scene, light, rays)
    labels = _majority_class(rays, size)
    light = bilateral_denoise(light, hits.guide, labels)
    light = subsurface_blur(light, hits.guide, labels)
    light = remove_fireflies(light, labels == template.HAIR)
    pale = paleness(person.hair.colour)
    light = blend_blur(light, labels == template.HAIR, 0.3 + 0.45 * pale, 0.8 + 0.5 * pale)
    light = light * _exposure_factor(light, labels, person)
    light = light + (1 - np.clip(alpha, 0, 1)) * render_background(person.background, size, rng)
    return expose_image(light, person.camera, rng), labels


def _film(size: int, filter_: str, samples: int) -> dict:
    """Film and sampler of a sensor. (The `multijitter` sampler crashed the scalar renderer.)"""
    film_ = {
        "type": "hdrfilm",
        "width": size,
        "height": size,
        "rfilter": {"type": filter_},
        "pixel_format": "rgba",
        "component_format": "float32",
    }
    return {"film": film_, "sampler": {"type": "independent", "sample_count": samples}}


def _cast_label_rays(world, scene: Scene, size: int) -> Hits:
    """One ray through the middle of each of RAYS x RAYS cells of every pixel."""
    sensor = {**scene.view.sensor, **_film(size * RAYS, "box", 1)}
    sensor["sampler"] = {"type": "stratified", "sample_count": 1, "jitter": False}
    integrator = mi.load_dict({"type": "aov", "aovs": "n:sh_normal,a:albedo,d:depth,s:shape_index,t:uv"})
    found = np.array(mi.render(world, sensor=mi.load_dict(sensor), integrator=integrator, spp=1))[..., -10:]
    guide = found[..., :6].reshape(size, RAYS, size, RAYS, 6).mean((1, 3))
    shape = np.where(found[..., 6] > 0, found[..., 7].round().astype(int), 0)
    return Hits(shape, found[..., 8:10], guide)


def _classify_rays(head: Rig, person: Identity, scene: Scene, names: list[str], hits: Hits) -> np.ndarray:
    """The class of each ray: that of the shape hit, or on the head that of the texel. names: of the world's shapes."""
    table = np.array([template.BACKGROUND] + [scene.classes.get(name, template.BACKGROUND) for name in names])
    found = table[np.clip(hits.shape, 0, len(names))]
    texel = head.texel(hits.uv)
    on_head = template.add_brows(head.classes, head.positions, person.hair.brow_wide)[texel]
    if person.hair.kind != "bald":
        on_head = np.where(scene.cover[texel] > 0.5, template.HAIR, on_head)
    return np.where(found == CLASS_FROM_TEXTURE, on_head, found)


def _add_lenses(scene: Scene, light: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add reflections of the lenses to `light`, and label skin behind them as glasses."""
    size = len(light)
    mirror = mi.load_dict({"type": "twosided", "surface": {"type": "conductor", "material": "none"}})
    glass = mesh("lens", *lens_mesh(scene.lenses), mirror)
    path = {"type": "path", "max_depth": 2, "hide_emitters": True}
    world = mi.load_dict({"type": "scene", "integrator": path, **scene.lights, "lens": glass})
    sensor = mi.load_dict({**scene.view.sensor, **_film(size, "gaussian", 8)})
    glare = np.minimum(np.array(mi.render(world, sensor=sensor, spp=8, seed=1))[..., :3], GLARE)
    number = 1 + [shape.id() for shape in world.shapes()].index("lens")
    lens = (_cast_label_rays(world, scene, size).shape == number) & (rays != template.HAIR)
    part = lens.reshape(size, RAYS, size, RAYS).mean((1, 3))[..., None]
    rays = np.where(lens & np.isin(rays, SEE_THROUGH), template.GLASSES, rays)
    return light * (1 - 0.06 * part) + 0.045 * part * glare, rays


def _majority_class(rays: np.ndarray, size: int) -> np.ndarray:
    """The most frequent class of the rays in each pixel: uint8 [size, size]."""
    cells = rays.reshape(size, RAYS, size, RAYS)
    votes = [(cells == label).sum((1, 3)) for label in range(template.CLOTH + 1)]
    return np.argmax(votes, 0).astype(np.uint8)


def _exposure_factor(light: np.ndarray, labels: np.ndarray, person: Identity) -> float:
    """The exposure factor: bright skin is exposed to a fixed level, darker skin to a somewhat lower one."""
    face = np.isin(labels, (template.SKIN, template.NOSE))
    seen = float((light[face] @ LUMINANCE).mean()) if face.any() else 0.3
    wanted = 0.36 * (float(person.skin.tone @ LUMINANCE) / 0.4) ** 0.55
    return wanted / (seen + 1e-4) * 2**person.camera.exposure


def _serve_stdin(out: str, style: str, seed: str, size: str, samples: str) -> None:
    load_rig()  # takes some seconds
    print("ready", flush=True)
    for line in sys.stdin:
        i = int(line)
        pixels, labels = render_face(seed_for(seed, "render", style, i), style, int(size), int(samples))
        write_image(Path(out) / "masks" / face_file(i), labels)
        write_image(Path(out) / "images" / face_file(i), pixels)
        print(f"done {i}", flush=True)


if __name__ == "__main__":
    try:
        _serve_stdin(*sys.argv[1:])
    except WsdlError as error:  # e.g. a full disk: raised by the parent process
        print(f"failed {error}", flush=True)
