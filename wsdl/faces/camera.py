"""The camera: its position (framing as in FFHQ and CelebA-HQ), denoising of the path-traced light, lens and sensor."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, convolve, distance_transform_edt, gaussian_filter, median_filter

from wsdl.faces import template
from wsdl.faces.extra import mi
from wsdl.faces.geometry import unit
from wsdl.faces.identity import Camera, Pose

# Fractions of the frame, right and up, that move the eyes to their position in CelebA-HQ.
EYE_SHIFT = np.array([-0.008, 0.007])


@dataclass
class View:
    """Camera position [3], front [3] (direction from the face to the camera), and mitsuba's sensor without film."""

    position: np.ndarray
    front: np.ndarray
    sensor: dict


def frame_face(eyes, mouth: np.ndarray, pose: Pose, distance: float) -> View:
    """Frame a face by its eyes (two centres [3], left first) and mouth [3], as the aligned datasets do.

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
    centre = 0.5 * (left + right) + 0.1 * down + 2 * half * EYE_SHIFT
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


def expose_image(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """uint8 [H, W, 3] from linear light: lens blur, noise on a Bayer mosaic, demosaicing, tone curve, sharpening."""
    seen = gaussian_filter(light, (camera.blur, camera.blur, 0)) * camera.white_balance
    colour = _demosaic(seen, camera, rng) / camera.white_balance
    colour = np.clip(colour, 0, None)
    colour = 1.02 * colour / (1 + 0.18 * colour)
    bright = 1.055 * np.maximum(colour, 1e-6) ** (1 / 2.4 * camera.gamma) - 0.055
    tone = np.clip(np.where(colour < 0.0031308, 12.92 * colour, bright), 0, 1)
    tone = tone + camera.contrast * (tone * tone * (3 - 2 * tone) - tone)
    tone = tone + camera.sharpening * (tone - gaussian_filter(tone, (0.8, 0.8, 0)))
    return (np.clip(tone, 0, 1) * 255 + 0.5).astype(np.uint8)


def _demosaic(seen: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """One colour per pixel with shot and read noise, the other two interpolated from neighbours: [H, W, 3]."""
    y, x = np.mgrid[: seen.shape[0], : seen.shape[1]]
    mosaic = np.stack([(y % 2 == 0) & (x % 2 == 0), (y + x) % 2 == 1, (y % 2 == 1) & (x % 2 == 1)], -1)
    raw = np.clip((seen * mosaic).sum(-1), 0, 4)
    raw = rng.poisson(raw * camera.full_well) / camera.full_well + rng.normal(0, camera.read_noise, raw.shape)
    raw = np.minimum(raw, 1.6)
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], float)
    channels = (mosaic[..., c].astype(float) for c in range(3))
    return np.stack([convolve(raw * own, kernel) / convolve(own, kernel) for own in channels], -1)


# Smooth surfaces; hair, eyes and glasses are too fine to average.
SMOOTH = (template.SKIN, template.NOSE, template.NECK, template.LEFT_BROW, template.RIGHT_BROW, template.MOUTH,
          template.UPPER_LIP, template.LOWER_LIP, template.CLOTH)  # fmt: skip
SKINS = template.SKIN, template.NOSE, template.NECK, template.LEFT_BROW, template.RIGHT_BROW
SCATTER = np.array([0.010, 0.005, 0.003])  # scattering distance of red, green and blue light, fractions of the frame
MOUTH = template.MOUTH, template.UPPER_LIP, template.LOWER_LIP


def bilateral_denoise(light: np.ndarray, guide: np.ndarray, labels: np.ndarray, reach: int = 2) -> np.ndarray:
    """Joint bilateral filter of light / colour [H, W, 3], guided by normals; guide [H, W, 6]: normals, colours."""
    normals, colours = guide[..., :3], guide[..., 3:6] + 0.02
    fall = light / colours
    if (labels > 0).any():
        fall = np.minimum(fall, 3 * np.median(fall[labels > 0]) + 1e-6)
    smooth, mouth = np.isin(labels, SMOOTH).astype(float), np.isin(labels, MOUTH)
    total, weights = np.zeros_like(light), np.zeros((*labels.shape, 1))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            shift = (dy, dx)
            bend = ((normals - np.roll(normals, shift, (0, 1))) ** 2).sum(-1)
            weight = np.exp(-bend / 0.03 - (dx * dx + dy * dy) / 3.5) * smooth * np.roll(smooth, shift, (0, 1))
            weight = weight * (mouth == np.roll(mouth, shift, (0, 1))) + 1e-9 * (shift == (0, 0))
            total += weight[..., None] * np.roll(fall, shift, (0, 1))
            weights += weight[..., None]
    return np.where(smooth[..., None] > 0, total / weights * colours, light)


def remove_fireflies(light: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Limit pixels of `light` [H, W, 3] `where` [H, W] is hair to little more than the brightness around them."""
    if not where.any():
        return light
    bright = light.mean(-1)
    nearest = distance_transform_edt(~where, return_distances=False, return_indices=True)
    limit = 1.7 * median_filter(bright[tuple(nearest)], 5) + 0.1 * np.median(bright[where])
    factor = np.where(where, np.minimum(1, limit / (bright + 1e-9)), 1)
    return light * factor[..., None]


def subsurface_blur(light: np.ndarray, guide: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Subsurface scattering of `light` [H, W, 3] in skin: red spreads farthest, so shadows get soft, warm borders."""
    colours = guide[..., 3:6] + 0.02
    # Not at the border of the skin, where colours are mixed with those of hair or background.
    inside = binary_erosion(np.isin(labels, SKINS), np.ones((3, 3)), border_value=1).astype(float)
    fall, spread = light / colours * inside[..., None], SCATTER * len(light)
    soft = [gaussian_filter(fall[..., c], spread[c]) / (gaussian_filter(inside, spread[c]) + 1e-6) for c in range(3)]
    return np.where(inside[..., None] > 0, np.stack(soft, -1) * colours, light)


def blend_blur(light: np.ndarray, where: np.ndarray, amount: float, spread: float) -> np.ndarray:
    """Blend `light` [H, W, 3] by `amount` (0-1) with its blur over `spread` pixels, `where` [H, W] is true."""
    inside = where.astype(float)
    weight = gaussian_filter(inside, spread) + 1e-9
    blurred = gaussian_filter(light * inside[..., None], (spread, spread, 0)) / weight[..., None]
    return light + amount * inside[..., None] * (blurred - light)
