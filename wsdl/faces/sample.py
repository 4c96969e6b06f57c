"""Draw an `Identity` at random: the person, and the pose, camera, light and background of a studio or a snapshot."""

import numpy as np

from wsdl.faces.geometry import smoothstep
from wsdl.faces.identity import Background, Beard, Camera, Clothes, Eyes, Glasses, Hair, Identity, Light, Pose, Skin
from wsdl.faces.sample_shape import sample_expression, sample_local, sample_shape

RENDER_STYLES = ("studio", "snapshot")
SKIN_TONES = np.array(
    [[0.64, 0.40, 0.295], [0.57, 0.335, 0.225], [0.47, 0.265, 0.165], [0.38, 0.20, 0.115], [0.235, 0.115, 0.062],
     [0.115, 0.055, 0.032]]
)  # fmt: skip
HAIR_COLOURS = {
    "black": (0.014, 0.011, 0.010),
    "dark": (0.035, 0.02, 0.012),
    "brown": (0.085, 0.045, 0.022),
    "light": (0.20, 0.112, 0.055),
    "blond": (0.47, 0.30, 0.15),
    "red": (0.24, 0.075, 0.025),
    "grey": (0.30, 0.29, 0.28),
    "white": (0.60, 0.59, 0.57),
}
IRIS_COLOURS = np.array(
    [[0.022, 0.010, 0.005], [0.05, 0.022, 0.009], [0.11, 0.062, 0.02], [0.075, 0.095, 0.045], [0.06, 0.115, 0.20],
     [0.12, 0.16, 0.20]]
)  # fmt: skip
LIPSTICK_COLOURS = (0.42, 0.07, 0.075), (0.45, 0.16, 0.15), (0.36, 0.09, 0.10), (0.50, 0.22, 0.19)
FRAME_COLOURS = (0.01, 0.01, 0.01), (0.06, 0.025, 0.01), (0.35, 0.33, 0.3), (0.45, 0.3, 0.12), (0.1, 0.01, 0.02)
FABRIC_COLOURS = ((0.5, 0.5, 0.5), (0.02, 0.03, 0.08), (0.35, 0.03, 0.04), (0.05, 0.12, 0.25), (0.7, 0.68, 0.64),
           (0.03, 0.03, 0.03), (0.1, 0.2, 0.12), (0.5, 0.35, 0.1), (0.45, 0.2, 0.25))  # fmt: skip


class Dice:
    """A random generator with short names for common draws."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.uniform, self.normal = self.rng.uniform, self.rng.normal

    def pick(self, *choices):
        """One of `choices`, with equal probability."""
        return choices[self.rng.integers(len(choices))]

    def weigh(self, choices, weights):
        """One of `choices`, in proportion to `weights`."""
        weights = np.asarray(weights, float)
        return choices[self.rng.choice(len(weights), p=weights / weights.sum())]

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability


def sample_identity(seed: int, style: str, local_changes: list[str]) -> Identity:
    """The identity of `seed`. style: studio or snapshot; local_changes: the names of anny's local changes."""
    dice = Dice(seed)
    female = dice.chance(0.5)
    origin = dice.rng.dirichlet([0.5, 0.5, 0.6])  # anny's african, asian, caucasian
    dark = float(np.clip(origin @ [4.3, 1.7, 0.5] + dice.normal(0, 0.5), 0, 5))
    age = float(np.clip(dice.rng.beta(1.2, 2.4) * 0.34 + 0.64, 0.64, 0.95))
    old = float(smoothstep(age, 0.74, 0.95))
    shape = sample_shape(dice, female, age, origin)
    local = sample_local(dice, local_changes, female, shape["weight"])
    actions = sample_expression(dice)
    skin = sample_skin(dice, female, dark, old)
    hair, name = sample_hair(dice, female, dark, old, origin)
    beard = sample_beard(dice, female)
    eyes = sample_eyes(dice, female, skin, name)
    glasses = sample_glasses(dice)
    clothes = sample_clothes(dice, female)
    pose, camera, light, background = (
        sample(dice, style == "snapshot") for sample in (sample_pose, sample_camera, sample_light, sample_background)
    )
    fine = int(dice.rng.integers(2**31))
    return Identity(
        fine, style, shape, local, actions, skin, hair, beard, eyes, glasses, clothes, pose, light, camera, background
    )


def sample_skin(dice: Dice, female: bool, dark: float, old: float) -> Skin:
    lower = int(dark)
    part = dark - lower
    tone = SKIN_TONES[lower] * (1 - part) + SKIN_TONES[min(lower + 1, len(SKIN_TONES) - 1)] * part
    tone = tone * np.exp(dice.normal(0, 0.05, 3) * [0.5, 1, 1.2])
    made_up = female and dice.chance(0.55)
    return Skin(
        tone=tone,
        dark=dark,
        red=dice.uniform(0.3, 1.0),
        freckles=dice.uniform(0.3, 1) if dark < 1.5 and dice.chance(0.3) else 0.0,
        old=old,
        blotch=dice.uniform(0.4, 1.1),
        makeup=dice.uniform(0.3, 1) if made_up else 0.0,
        lip=np.array(dice.pick(*LIPSTICK_COLOURS)) if made_up else None,
        redlips=dice.uniform(0.85, 1.1) if female else dice.uniform(0.5, 0.85),
        gloss=dice.uniform(0.3, 0.48),
    )


def sample_hair(dice: Dice, female: bool, dark: float, old: float, origin: np.ndarray) -> tuple[Hair, str]:
    """Hair, and the name of its colour."""
    weights = [0.5, 0.3, 0.1, 0.04, 0, 0, 0, 0] if dark > 2.2 else [0.14, 0.2, 0.24, 0.16, 0.16, 0.08, 0, 0]
    colour = dice.weigh(
        list(HAIR_COLOURS),
        np.add(weights, np.array([0, 0, 0, 0, 0, 0, 0.5, 0.3]) * (1.2 if female else 2.4) * smoothstep(old, 0.4, 1)),
    )
    if origin[0] > 0.55:
        kinds = ("buzz", "short", "afro", "curly", "back", "long")
        weights = [0.1, 0.1, 0.3, 0.25, 0.2, 0.15] if female else [0.4, 0.15, 0.3, 0.08, 0, 0]
    else:
        kinds = ("buzz", "short", "medium", "long", "curly", "back")
        weights = [0.0, 0.07, 0.25, 0.42, 0.14, 0.14] if female else [0.18, 0.68, 0.06, 0.015, 0.055, 0.01]
    kind = dice.weigh(kinds, weights)
    if not female and dice.chance(0.06 + 0.2 * old):
        kind = "bald"
    hair = Hair(
        kind=kind,
        colour=np.array(HAIR_COLOURS[colour]) * np.exp(dice.normal(0, 0.15)),
        part=dice.pick(-1, 1) * dice.uniform(0.0, 0.035),
        bangs=kind in ("medium", "long", "curly") and dice.chance(0.35),
        recede=dice.uniform(0.2, 1) * old if not female else 0.0,
        line=dice.normal(-0.003, 0.004),
        jag=dice.uniform(0, 6),
        length=dice.uniform(0, 1),
        wave=dice.uniform(0, 1),
        comb=dice.pick("side", "side", "forward", "back", "up"),
        brow=dice.uniform(0.45, 0.9),
        brow_wide=dice.uniform(0.7, 1.05) if female else dice.uniform(0.95, 1.35),
        volume=dice.uniform(0.3, 1),
    )
    return hair, colour


def sample_beard(dice: Dice, female: bool) -> Beard:
    """Half of all men have no beard."""
    kinds = {"none": 0.5, "stubble": 0.24, "moustache": 0.04, "goatee": 0.08, "full": 0.14}
    kind = "none" if female else dice.weigh(list(kinds), list(kinds.values()))
    return Beard(kind, dice.uniform(0.2, 0.8) if kind == "stubble" else dice.uniform(0.65, 1), dice.uniform(0, 1))


def sample_eyes(dice: Dice, female: bool, skin: Skin, hair: str) -> Eyes:
    """The white of the eye is darker for dark skin, whose exposure would make it too bright."""
    lightest = 5 if skin.dark < 1.6 and hair != "black" else 1
    iris = IRIS_COLOURS[min(dice.rng.integers(0, 6), lightest)] * np.exp(dice.normal(0, 0.15, 3))
    white = np.array([0.40, 0.382, 0.372]) * min(1, float(skin.tone.mean()) / 0.35) ** 0.4
    gaze = dice.normal(0, 3), dice.normal(-1, 1.5)
    lash = (0.7, 1) if female else (0.4, 0.7)
    return Eyes(iris, white, gaze, pupil=dice.uniform(0.28, 0.42), lash=dice.uniform(*lash))


def sample_glasses(dice: Dice) -> Glasses | None:
    """One face in five has glasses."""
    if not dice.chance(0.2):
        return None
    return Glasses(
        width=dice.uniform(0.0235, 0.0275),
        height=dice.uniform(0.016, 0.0225),
        power=dice.uniform(2, 4),
        radius=dice.uniform(0.0006, 0.0018),
        colour=np.array(dice.pick(*FRAME_COLOURS)),
        drop=dice.uniform(0.001, 0.006),
    )


def sample_clothes(dice: Dice, female: bool) -> Clothes:
    colour = np.array(dice.pick(*FABRIC_COLOURS)) * dice.uniform(0.6, 1.2)
    return Clothes(
        colour=colour,
        second=np.clip(colour * dice.uniform(0.3, 2, 3), 0, 0.8),
        pattern=dice.pick("plain", "plain", "stripes", "checks"),
        neck=dice.pick("crew", "crew", "v", "turtle", "wide" if female else "crew"),
        frequency=dice.uniform(20, 60),
    )


STUDIO_BACKGROUNDS = "plain", "gradient", "mottled"
SNAPSHOT_PLACES = {
    "foliage": 5,
    "window": 4,
    "wall": 4,
    "street": 4,
    "books": 2,
    "night": 2,
}  # with relative frequencies
WALL_COLOURS = ((0.5, 0.5, 0.52), (0.12, 0.13, 0.15), (0.75, 0.75, 0.74), (0.12, 0.2, 0.33), (0.3, 0.22, 0.15),
         (0.22, 0.28, 0.24), (0.45, 0.25, 0.2), (0.25, 0.3, 0.4))  # fmt: skip
SKY_COLOURS = (0.8, 0.9, 1.1), (1, 0.95, 0.9), (0.9, 1.0, 0.85), (1.05, 0.9, 0.75)


def sample_pose(dice, snapshot: bool) -> Pose:
    return Pose(
        yaw=float(np.clip(dice.normal(0, 14 if snapshot else 12), -35, 35)),
        pitch=float(np.clip(dice.normal(0, 6), -14, 14)),
        roll=dice.normal(0, 2.0),
        turn=dice.normal(0, 12),
        lean=dice.normal(0, 3),
    )


def sample_camera(dice, snapshot: bool) -> Camera:
    """The camera of a snapshot is nearer, softer, noisier and sharpened more."""
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
        rim=_sample_rim(dice),
        sky=np.array(dice.pick(*SKY_COLOURS)),
        ground=np.array([0.5, 0.42, 0.35]) * dice.uniform(0.3, 1),
    )


def _sample_rim(dice) -> float:
    """Two in five photographs have a light from behind."""
    return dice.uniform(0, 1.5) if dice.chance(0.4) else 0.0


def sample_background(dice, snapshot: bool) -> Background:
    kind = dice.weigh(*zip(*SNAPSHOT_PLACES.items(), strict=True)) if snapshot else dice.pick(*STUDIO_BACKGROUNDS)
    return Background(kind, np.array(dice.pick(*WALL_COLOURS)) * dice.uniform(0.7, 1.25))
