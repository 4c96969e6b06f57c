"""Profiles: how much of everything. `quick` fits two CPU cores, `full` is the paper on GPUs.

A profile is plain data: print it, save it, change a value in a JSON file (`--profile my.json`). Unknown names and
wrong types are refused with the list of valid ones.
"""

from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from wsdl.files import WsdlError, read_json


@dataclass(frozen=True)
class Generator:
    """Training of the small P2 model."""

    images: int = 100_000  # pictures to see
    channels: tuple[int, ...] = (80, 112, 160)  # U-Net width at each level
    patch: int = 4  # pixels unshuffled into channels
    batch: int = 16
    rate: float = 4e-4  # Adam
    ema_decay: float = 0.9995
    check_every: int = 8_000  # pictures between checkpoints


@dataclass(frozen=True)
class Fakes:
    """How many fakes, and the sampling that makes them: by default, what the bundle holds."""

    full: int = 160  # pictures wholly made by P2
    partial: int = 700  # pictures repainted in one region
    ddim_steps: int = 50  # network calls for a full fake
    T: int = 50  # RePaint: noise levels
    jump_length: int = 5  # RePaint: levels to go back
    resamplings: int = 3  # RePaint: runs of each stretch
    batch: int = 8  # pictures sampled together


@dataclass(frozen=True)
class Patches:
    """Training of the Patches detector."""

    input_size: int = 128  # side that pictures are resized to; the paper's 299 gives a 37 x 37 map
    images: int = 3_000  # pictures to see, setups A and B
    images_c: int = 6_000  # pictures to see, setup C
    batch: int = 32  # setups A and B
    batch_c: int = 16  # setup C
    rate: float = 1e-3
    check_every: int = 1_000  # pictures between validations


@dataclass(frozen=True)
class Profile:
    """Everything that decides how long a study takes and how good it can get."""

    name: str = "quick"
    purpose: str = "two CPU cores, ten minutes on the bundled faces"
    size: int = 128  # side of every picture in pixels
    faces: int = 240  # faces to draw where the source is made-up
    p2_weights: str = ""  # a run folder, diffusers folder or hub id; "" trains the small P2 model
    generator: Generator = field(default_factory=Generator)
    fakes: Fakes = field(default_factory=Fakes)
    patches: Patches = field(default_factory=Patches)


# The paper's size (section 4); a preset states only what differs from the defaults.
FULL = {
    "name": "full",
    "purpose": "the paper's size: one GPU, days",
    "size": 256,
    "p2_weights": "google/ddpm-ema-celebahq-256",
    "fakes": {
        "full": 10_000,
        "partial": 41_500,
        "ddim_steps": 250,
        "T": 250,
        "jump_length": 10,
        "resamplings": 10,
        "batch": 32,
    },
    "patches": {"input_size": 299, "images": 3_200_000, "images_c": 400_000, "batch": 64, "check_every": 32_000},
}
PRESETS = {"quick": {}, "full": FULL}


def load_profile(name: str) -> Profile:
    """The profile `quick` or `full`, or a JSON file with what differs from `quick` (lists stand for tuples)."""
    if name in PRESETS:
        return build(Profile(), PRESETS[name], name)
    if not Path(name).is_file():
        raise WsdlError(f"{name}: no such profile; choose quick, full, or a JSON file.")
    return build(Profile(), read_json(Path(name)), name)


def build(base, changes: dict, where: str):
    """`base` (a frozen dataclass) with `changes`, checked; `where` names their origin in messages."""
    valid = [setting.name for setting in fields(base)]
    if not isinstance(changes, dict):
        raise WsdlError(f"{where}: is {changes!r}, but must be settings: {', '.join(valid)}.")
    checked = {}
    for key, value in changes.items():
        if key not in valid:
            raise WsdlError(f"{where}: unknown setting '{key}'; valid are {', '.join(valid)}.")
        old = getattr(base, key)
        checked[key] = build(old, value, f"{where}: {key}") if is_dataclass(old) else same_type(old, value, where, key)
    return replace(base, **checked)


def same_type(old, value, where: str, key: str):
    """`value` if it is of the type of `old` (an int may stand for a float, a list for a tuple)."""
    if isinstance(old, tuple) and isinstance(value, list | tuple) and all(type(v) is type(old[0]) for v in value):
        return tuple(value)
    if isinstance(old, float) and type(value) is int:
        return float(value)
    if type(value) is not type(old):
        raise WsdlError(f"{where}: {key} is {value!r}, but must be of type {type(old).__name__}.")
    return value


def to_dict(profile: Profile) -> dict:
    return asdict(profile)
