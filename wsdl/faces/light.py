"""Lights: key, fill and rim light in the studio; an environment map and a key light for a snapshot."""

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.faces.extra import mi
from wsdl.faces.geometry import smoothstep, unit
from wsdl.faces.identity import Identity, Light
from wsdl.faces.shapes import rgb


def make_lights(person: Identity, middle: np.ndarray, front: np.ndarray, rng: np.random.Generator) -> dict:
    """Mitsuba's emitters. middle [3]: the point between the eyes; front [3]: from there to the camera."""
    light, found = person.light, {}

    def key(size: float, strength: float) -> dict:
        return _panel(middle, front, light.azimuth, light.elevation, 2.6, size, strength * light.warmth)

    if person.style == "studio":
        found["key"] = key(2 * light.size, 1.2 * light.key / (light.size / 0.35) ** 2)
        if light.rim:
            behind = 180 - np.sign(light.azimuth) * 40
            found["rim"] = _panel(middle, front, behind, 35, 2.4, 0.4, light.rim * 4 * np.ones(3))
        found["fill"] = {"type": "constant", "radiance": rgb([light.fill] * 3)}
        return found
    surroundings = mi.Bitmap(_environment_map(light, rng))
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    found["surroundings"] = {"type": "envmap", "bitmap": surroundings, "to_world": upright}
    if light.key > 0.8:
        found["key"] = key(0.43, 2.2 * light.key)
    return found


def _panel(middle, front, azimuth: float, elevation: float, distance: float, size: float, radiance) -> dict:
    """A square area light that faces `middle`, farther away than any camera, so that it never hides the face."""
    towards = light_direction(front, azimuth, elevation)
    transform = mi.ScalarTransform4f()
    place = transform.look_at(origin=(middle + towards * distance).tolist(), target=middle.tolist(), up=[0, 0.1, 1])
    radiance = {"type": "rgb", "value": [float(value) for value in radiance]}
    return {
        "type": "rectangle",
        "to_world": place @ transform.scale(size),
        "emitter": {"type": "area", "radiance": radiance},
    }


def light_direction(front: np.ndarray, azimuth: float, elevation: float) -> np.ndarray:
    """Direction [3] from the face to a light; angles in degrees from `front` [3], the direction to the camera."""
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    side = unit(np.cross([0, 0, 1.0], front))
    return (front * np.cos(azimuth) + side * np.sin(azimuth)) * np.cos(elevation) + [0, 0, np.sin(elevation)]


def _environment_map(light: Light, rng: np.random.Generator) -> np.ndarray:
    """Environment map float32 [32, 64, 3] by latitude and longitude: sky over ground, with windows or lamps."""
    high, wide = 32, 64
    down = smoothstep(np.linspace(0, 1, high), 0.4, 0.6)[:, None, None]
    found = np.ones((high, wide, 1)) * (light.sky * (1 - down) + light.ground * down) * rng.uniform(0.25, 0.7)
    for _ in range(rng.integers(1, 4)):
        y, x, size = rng.integers(2, 15), rng.integers(0, wide), rng.integers(2, 8)
        window = np.zeros((high, wide))
        window[y : y + size // 2 + 1] = (np.arange(wide) - x) % wide < size
        found += gaussian_filter(window, 0.7, mode="wrap")[..., None] * rng.uniform(3, 12) * light.warmth
    return found.astype(np.float32)
