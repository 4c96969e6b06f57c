"""Light: a key panel, fill and rim in the studio; sky, ground and windows around a snapshot."""

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl.faces.extra import mi
from wsdl.faces.geometry import ramp, unit
from wsdl.faces.identity import Identity, Light
from wsdl.faces.shapes import rgb


def lights(person: Identity, middle: np.ndarray, front: np.ndarray, rng: np.random.Generator) -> dict:
    """Mitsuba's emitters. middle [3]: the point between the eyes; front [3]: from there to the camera."""
    light, found = person.light, {}

    def key(size: float, strength: float) -> dict:
        return panel(middle, front, light.azimuth, light.elevation, 2.6, size, strength * light.warmth)

    if person.style == "studio":
        found["key"] = key(2 * light.size, 1.2 * light.key / (light.size / 0.35) ** 2)
        if light.rim:
            behind = 180 - np.sign(light.azimuth) * 40
            found["rim"] = panel(middle, front, behind, 35, 2.4, 0.4, light.rim * 4 * np.ones(3))
        found["fill"] = {"type": "constant", "radiance": rgb([light.fill] * 3)}
        return found
    surroundings = mi.Bitmap(surround(light, rng))
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    found["surroundings"] = {"type": "envmap", "bitmap": surroundings, "to_world": upright}
    if light.key > 0.8:
        found["key"] = key(0.43, 2.2 * light.key)
    return found


def panel(middle, front, azimuth: float, elevation: float, distance: float, size: float, radiance) -> dict:
    """A bright square that faces `middle`; farther than any camera, or it would stand between camera and face."""
    towards = direction(front, azimuth, elevation)
    transform = mi.ScalarTransform4f()
    place = transform.look_at(origin=(middle + towards * distance).tolist(), target=middle.tolist(), up=[0, 0.1, 1])
    radiance = {"type": "rgb", "value": [float(value) for value in radiance]}
    return {
        "type": "rectangle",
        "to_world": place @ transform.scale(size),
        "emitter": {"type": "area", "radiance": radiance},
    }


def direction(front: np.ndarray, azimuth: float, elevation: float) -> np.ndarray:
    """Where a light stands [3], seen from the face; `front` [3] points to the camera, degrees count from there."""
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    side = unit(np.cross([0, 0, 1.0], front))
    return (front * np.cos(azimuth) + side * np.sin(azimuth)) * np.cos(elevation) + [0, 0, np.sin(elevation)]


def surround(light: Light, rng: np.random.Generator) -> np.ndarray:
    """A small map of light by latitude and longitude: sky over ground, with windows or lamps. float32 [32, 64, 3]."""
    high, wide = 32, 64
    down = ramp(np.linspace(0, 1, high), 0.4, 0.6)[:, None, None]
    found = np.ones((high, wide, 1)) * (light.sky * (1 - down) + light.ground * down) * rng.uniform(0.25, 0.7)
    for _ in range(rng.integers(1, 4)):
        y, x, size = rng.integers(2, 15), rng.integers(0, wide), rng.integers(2, 8)
        window = np.zeros((high, wide))
        window[y : y + size // 2 + 1] = (np.arange(wide) - x) % wide < size
        found += gaussian_filter(window, 0.7, mode="wrap")[..., None] * rng.uniform(3, 12) * light.warmth
    return found.astype(np.float32)
