"""How a face is photographed: pose, camera, light and background, drawn at random for a studio or a snapshot."""

import numpy as np

from wsdl.faces.identity import Background, Camera, Light, Pose

STUDIOS = "plain", "gradient", "mottled"
PLACES = {"foliage": 5, "window": 4, "wall": 4, "street": 4, "books": 2, "night": 2}  # and how often
WALLS = ((0.5, 0.5, 0.52), (0.12, 0.13, 0.15), (0.75, 0.75, 0.74), (0.12, 0.2, 0.33), (0.3, 0.22, 0.15),
         (0.22, 0.28, 0.24), (0.45, 0.25, 0.2), (0.25, 0.3, 0.4))  # fmt: skip
SKIES = (0.8, 0.9, 1.1), (1, 0.95, 0.9), (0.9, 1.0, 0.85), (1.05, 0.9, 0.75)


def sample_pose(dice, snapshot: bool) -> Pose:
    return Pose(
        yaw=float(np.clip(dice.normal(0, 14 if snapshot else 12), -35, 35)),
        pitch=float(np.clip(dice.normal(0, 6), -14, 14)),
        roll=dice.normal(0, 2.0),
        turn=dice.normal(0, 12),
        lean=dice.normal(0, 3),
    )


def sample_camera(dice, snapshot: bool) -> Camera:
    """A snapshot is nearer, softer, noisier and sharpened more."""
    return Camera(
        distance=dice.uniform(0.55, 1.2) if snapshot else dice.uniform(1.2, 2.2),
        blur=dice.uniform(0.45, 0.8) if snapshot else dice.uniform(0.35, 0.55),
        read_noise=dice.uniform(0.002, 0.006) if snapshot else dice.uniform(0.0008, 0.002),
        full_well=dice.uniform(900, 4000) if snapshot else dice.uniform(4000, 15000),
        sharpening=dice.uniform(0.5, 1.2) if snapshot else dice.uniform(0.3, 0.7),
        white_balance=np.exp(dice.normal(0, 0.05 if snapshot else 0.02, 3) * [1, 0.3, 1.0]),
        exposure=dice.normal(0, 0.16 if snapshot else 0.1),
        gamma=dice.uniform(0.92, 1.08),
        contrast=dice.uniform(0.2, 0.75),
    )


def sample_light(dice, snapshot: bool) -> Light:
    evening = (1, 0.86, 0.68) if snapshot else (1, 1, 1)
    warmth = np.array(dice.pick((1, 0.93, 0.84), (1, 0.97, 0.92), (0.95, 0.98, 1.0), evening))
    return Light(
        azimuth=dice.uniform(-75, 75),
        elevation=dice.uniform(5, 60),
        size=dice.uniform(0.12, 0.5),
        key=dice.uniform(0.0, 3) if snapshot else dice.uniform(2, 5),
        warmth=warmth,
        fill=dice.uniform(0.03, 0.16),
        rim=sample_rim(dice),
        sky=np.array(dice.pick(*SKIES)),
        ground=np.array([0.5, 0.42, 0.35]) * dice.uniform(0.3, 1),
    )


def sample_rim(dice) -> float:
    """Two in five have a light from behind."""
    return dice.uniform(0, 1.5) if dice.chance(0.4) else 0.0


def sample_background(dice, snapshot: bool) -> Background:
    kind = dice.weigh(*zip(*PLACES.items(), strict=True)) if snapshot else dice.pick(*STUDIOS)
    return Background(kind, np.array(dice.pick(*WALLS)) * dice.uniform(0.7, 1.25))
