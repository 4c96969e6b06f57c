"""Parameters of one rendered face. Lengths are in metres, angles in degrees, colours linear RGB reflectances 0-1."""

from dataclasses import dataclass

import numpy as np

from wsdl.faces.geometry import smoothstep


@dataclass
class Skin:
    tone: np.ndarray  # colour
    dark: float  # 0 (palest) to 5 (darkest)
    red: float  # blood in cheeks, nose and ears, 0-1
    freckles: float  # 0-1
    old: float  # 0 (young) to 1
    blotch: float  # unevenness, about 1
    makeup: float  # 0-1
    lip: np.ndarray | None  # colour of lipstick
    redlips: float  # redness of lips without makeup, about 1
    gloss: float  # roughness of the surface, 0-1


@dataclass
class Hair:
    kind: str  # bald, buzz, short, medium, long, curly, afro or back
    colour: np.ndarray
    part: float  # x of the parting
    bangs: bool
    recede: float  # 0-1
    line: float  # height of the hair line above the usual, metres
    jag: float  # phase of the irregular hair line
    length: float  # 0-1 within the kind
    wave: float  # 0-1
    comb: str  # short hair: side, forward, back or up
    brow: float  # strength of the brows, 0-1
    brow_wide: float  # their thickness, about 1
    volume: float  # 0-1


@dataclass
class Beard:
    kind: str  # none, stubble, moustache, goatee or full
    strength: float  # density, 0-1
    length: float  # 0-1 within the kind


@dataclass
class Eyes:
    iris: np.ndarray  # colour
    white: np.ndarray  # colour
    gaze: tuple[float, float]  # horizontal and vertical
    pupil: float  # radius, fraction of the iris
    lash: float  # length, 0-1


@dataclass
class Glasses:
    width: float  # half
    height: float  # half
    power: float  # 2 round, 4 nearly square
    radius: float  # of the wire
    colour: np.ndarray
    drop: float  # below the eyes


@dataclass
class Clothes:
    colour: np.ndarray
    second: np.ndarray  # colour of the pattern
    pattern: str  # plain, stripes or checks
    neck: str  # crew, v, turtle or wide
    frequency: float


@dataclass
class Pose:
    yaw: float
    pitch: float
    roll: float
    turn: float  # of the shoulders relative to the head
    lean: float  # of the shoulders relative to the head


@dataclass
class Light:
    azimuth: float  # of the key light, 0 at the camera
    elevation: float
    size: float
    key: float  # strength
    warmth: np.ndarray  # colour of the key light
    fill: float
    rim: float  # light from behind
    sky: np.ndarray
    ground: np.ndarray


@dataclass
class Camera:
    distance: float
    blur: float  # of the lens, pixels
    read_noise: float  # standard deviation, fraction of white
    full_well: float  # electrons at white: fewer means more noise
    sharpening: float
    white_balance: np.ndarray
    exposure: float  # stops relative to automatic exposure
    gamma: float
    contrast: float


@dataclass
class Background:
    kind: str  # studio: plain, gradient, mottled; snapshot: foliage, window, wall, street, books, night
    colour: np.ndarray


@dataclass
class Identity:
    """One person in one photograph. shape, local, actions are anny's phenotypes, local changes and facial actions.

    seed draws fine detail: pores, strands, noise.
    """

    seed: int
    style: str  # studio or snapshot
    shape: dict[str, float]
    local: dict[str, float]
    actions: dict[str, float]
    skin: Skin
    hair: Hair
    beard: Beard
    eyes: Eyes
    glasses: Glasses | None
    clothes: Clothes
    pose: Pose
    light: Light
    camera: Camera
    background: Background


def paleness(hair: np.ndarray) -> float:
    """Paleness of a hair colour, 0-1: strands of pale hair are hard to render without noise."""
    return float(smoothstep(hair.mean(), 0.1, 0.4))
