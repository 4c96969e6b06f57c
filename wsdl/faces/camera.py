"""The camera: where it stands, framed as FFHQ and CelebA-HQ are, and what lens and sensor make of the light."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve, gaussian_filter

from wsdl.faces.extra import mi
from wsdl.faces.geometry import unit
from wsdl.faces.identity import Camera, Pose

# Parts of the frame, right and up, that move the eyes to where CelebA-HQ has them (not quite in the middle).
SHIFT = np.array([-0.008, 0.007])


@dataclass
class View:
    """Where the camera stands: position [3], front [3] (from the face to it), mitsuba's sensor without film."""

    position: np.ndarray
    front: np.ndarray
    sensor: dict


def frame(eyes, mouth: np.ndarray, pose: Pose, distance: float) -> View:
    """Frame a face by its eyes (two centres [3], left first) and mouth [3], as the aligned data sets do.

    The crop is centred a little below the eyes, its side follows the distances of eyes and mouth, roll is removed.
    """
    middle = 0.5 * (eyes[0] + eyes[1])
    yaw, pitch = np.radians(pose.yaw), np.radians(pose.pitch)
    front = np.array([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    position = middle + distance * front
    side = unit(np.cross(-front, [0, 0, 1.0]))
    up = np.cross(side, -front)

    def project(point):
        return np.array([(point - position) @ side, (point - position) @ up]) / ((point - position) @ -front) * distance

    left, right, lips = project(eyes[0]), project(eyes[1]), project(mouth)
    apart, down = left - right, lips - 0.5 * (left + right)
    axis = unit(apart + np.array([-down[1], down[0]]))
    half = max(np.linalg.norm(apart) * 2.04, np.linalg.norm(down) * 1.85)
    centre = 0.5 * (left + right) + 0.1 * down + 2 * half * SHIFT
    roll = np.radians(pose.roll) + np.arctan2(axis[1], axis[0])
    sensor = {
        "type": "perspective",
        "fov": float(2 * np.degrees(np.arctan(half / distance))),
        "to_world": mi.ScalarTransform4f().look_at(
            origin=position.tolist(),
            target=(middle + centre[0] * side + centre[1] * up).tolist(),
            up=(up * np.cos(roll) - side * np.sin(roll)).tolist(),
        ),
    }
    return View(position, front, sensor)


def expose(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """uint8 [H, W, 3] from linear light: lens blur, noise on a Bayer mosaic, demosaicing, tone curve, sharpening."""
    seen = gaussian_filter(light, (camera.blur, camera.blur, 0)) * camera.white_balance
    colour = demosaic(seen, camera, rng) / camera.white_balance
    colour = np.clip(colour, 0, None)
    colour = 1.02 * colour / (1 + 0.18 * colour)
    bright = 1.055 * np.maximum(colour, 1e-6) ** (1 / 2.4 * camera.gamma) - 0.055
    tone = np.clip(np.where(colour < 0.0031308, 12.92 * colour, bright), 0, 1)
    tone = tone + camera.contrast * (tone * tone * (3 - 2 * tone) - tone)
    tone = tone + camera.sharpening * (tone - gaussian_filter(tone, (0.8, 0.8, 0)))
    return (np.clip(tone, 0, 1) * 255 + 0.5).astype(np.uint8)


def demosaic(seen: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """One colour a pixel with shot and read noise, the other two from its neighbours: [H, W, 3]."""
    y, x = np.mgrid[: seen.shape[0], : seen.shape[1]]
    mosaic = np.stack([(y % 2 == 0) & (x % 2 == 0), (y + x) % 2 == 1, (y % 2 == 1) & (x % 2 == 1)], -1)
    raw = np.clip((seen * mosaic).sum(-1), 0, 4)
    raw = rng.poisson(raw * camera.full_well) / camera.full_well + rng.normal(0, camera.read_noise, raw.shape)
    raw = np.minimum(raw, 1.6)
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], float)
    channels = (mosaic[..., c].astype(float) for c in range(3))
    return np.stack([convolve(raw * own, kernel) / convolve(own, kernel) for own in channels], -1)
