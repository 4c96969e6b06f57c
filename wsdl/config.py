"""Profiles: how much of everything. `quick` fits two CPU cores, `full` is the paper on GPUs.

A profile is plain data: print it, save it, change a value in a JSON file (`--profile my.json`). Unknown names and
wrong types are refused with the list of valid ones.
"""

from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from wsdl.core.io import WsdlError, read_json

BUNDLED_SOURCES = "studio", "snapshot"  # rendered portraits that came with wsdl, with fakes and a generator
SOURCES = (*BUNDLED_SOURCES, "photos", "made-up")  # made-up: drawings, for tests


@dataclass(frozen=True)
class Setup:
    """What training may see in one setup (paper, section 4)."""

    name: str
    fakes: str  # the kind of fakes, as the manifest calls it: full or partial
    has_reals: bool  # real images are trained on
    has_masks: bool  # masks are trained on; otherwise image labels alone
    description: str


SETUPS = {
    "a": Setup("a", "full", has_reals=True, has_masks=False, description="image labels, full fakes"),
    "b": Setup("b", "partial", has_reals=True, has_masks=False, description="image labels, partial fakes"),
    "c": Setup("c", "partial", has_reals=False, has_masks=True, description="masks, partial fakes, no reals"),
}
DEFAULT_GENERATORS = ("repaint-p2",)  # whose partial fakes detectors see unless others are named
# All paint into the same masks. Of Repaint-LDM the variant whose known pixels are pasted back: the decoder's traces
# all over the picture would be found without looking at the paint.
GENERATORS = *DEFAULT_GENERATORS, "repaint-ldm-clean", "lama", "pluralistic"


@dataclass(frozen=True)
class P2Training:
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

    @property
    def schedule(self) -> dict[str, int]:
        """What RePaint takes of these: T, jump_length, resamplings."""
        return {"T": self.T, "jump_length": self.jump_length, "resamplings": self.resamplings}


METHODS = "patches", "grad-cam", "attention"
EXTRA_GENERATORS = "repaint-ldm", "lama", "pluralistic"  # generators beside P2


def method_order(method: str) -> int:
    """Where `method` stands in lists and tables: as in METHODS, anything else after them."""
    return METHODS.index(method) if method in METHODS else len(METHODS)


def check_method(method: str) -> str:
    """`method` itself, if there is one of that name."""
    if method not in METHODS:
        raise WsdlError(f"--method: is '{method}', but must be one of {', '.join(METHODS)}.")
    return method


def check_methods(methods: tuple[str, ...]) -> tuple[str, ...]:
    """`methods` themselves, if there are any, all of them exist and none comes twice."""
    if not methods or len(set(methods)) < len(methods) or not set(methods) <= set(METHODS):
        given = ",".join(methods)
        raise WsdlError(f"--methods: is '{given}', but must be some of {', '.join(METHODS)}, each once.")
    return methods


@dataclass(frozen=True)
class Training:
    """Training of a detector. Each method below states what differs from this."""

    input_size: int = 128  # side that pictures are resized to; the paper's 299 gives maps of 37 x 37 or 19 x 19
    images: int = 2_000  # pictures to see, setups A and B
    images_c: int = 9_000  # pictures to see, setup C
    batch: int = 8  # setups A and B
    batch_c: int = 4  # setup C
    rate: float = 1e-3  # Adam, setups A and B
    rate_c: float = 1e-3  # setup C
    check_every: int = 1_000  # pictures between validations
    ema_decay: float = 0.0  # of the moving average of the weights that is judged and kept; 0: the last weights
    augment: float = 0.0  # part of the pictures that are treated before they are seen (`wsdl.data.corruptions`)
    start: str = "scratch"  # or xavier (setups A and B), imagenet (where its weights are here), or a file of weights

    def amounts(self, setup: str) -> tuple[int, int, float]:
        """Pictures to see, pictures a step, and learning rate in one setup."""
        return (self.images_c, self.batch_c, self.rate_c) if setup == "c" else (self.images, self.batch, self.rate)


@dataclass(frozen=True)
class PatchesTraining(Training):
    """The small one. After a few thousand pictures its weights still swing from check to check; their average less."""

    ema_decay: float = 0.995


# A picture costs the whole Xception 3 times what it costs Patches. Two cores get fewer pictures, not smaller ones:
# the traces of a generator are fine, and shrinking wipes them out. From scratch, small batches and a large rate.
@dataclass(frozen=True)
class GradCamTraining(Training):
    images: int = 3_000
    images_c: int = 6_000  # its map comes from deeper than that of Attention, and learns more slowly
    batch_c: int = 8
    ema_decay: float = 0.98
    start: str = "imagenet"


@dataclass(frozen=True)
class AttentionTraining(Training):
    images: int = 3_000
    images_c: int = 4_000
    batch_c: int = 8
    ema_decay: float = 0.98
    start: str = "imagenet"  # the paper: the weights of FFD, which saw the masks of other fakes; name their file here


@dataclass(frozen=True)
class Profile:
    """Everything that decides how long a study takes and how good it can get."""

    name: str = "quick"
    purpose: str = "two CPU cores, ten minutes on the bundled faces"
    size: int = 128  # side of every picture in pixels
    faces: int = 240  # faces to draw where the source is made-up
    p2_weights: str = ""  # a run folder, diffusers folder or hub id; "" trains the small P2 model
    further: tuple[str, ...] = ()  # generators beside P2 to train where none come with the faces: an hour each
    further_images: int = 40_000  # pictures that each of them sees
    methods: tuple[str, ...] = ("patches",)  # the detectors of a study; the other two cost three times as much
    generator: P2Training = field(default_factory=P2Training)
    fakes: Fakes = field(default_factory=Fakes)
    patches: PatchesTraining = field(default_factory=PatchesTraining)
    grad_cam: GradCamTraining = field(default_factory=GradCamTraining)
    attention: AttentionTraining = field(default_factory=AttentionTraining)

    def training(self, method: str) -> Training:
        """The settings of one method. WsdlError for a method that does not exist."""
        return getattr(self, check_method(method).replace("-", "_"))


# The paper's size (section 4); a preset states only what differs from the defaults.
_FULL = {
    "name": "full",
    "purpose": "the paper's size: one GPU, days",
    "size": 256,
    "p2_weights": "google/ddpm-ema-celebahq-256",
    "methods": METHODS,
    "fakes": {
        "full": 10_000,
        "partial": 41_500,
        "ddim_steps": 250,
        "T": 250,
        "jump_length": 10,
        "resamplings": 10,
        "batch": 32,
    },
    "patches": {
        "input_size": 299,
        "images": 3_200_000,
        "images_c": 400_000,
        "batch": 64,
        "batch_c": 16,
        "check_every": 32_000,
        "ema_decay": 0.0,
        "start": "xavier",
    },
    "grad_cam": {
        "input_size": 299,
        "images": 1_600_000,
        "images_c": 400_000,
        "batch": 32,
        "batch_c": 16,
        "check_every": 16_000,
        "ema_decay": 0.0,
    },
    "attention": {
        "input_size": 299,
        "images": 120_000,
        "images_c": 120_000,
        "batch": 16,
        "batch_c": 16,
        "rate": 1e-4,
        "rate_c": 3e-4,
        "check_every": 8_000,
        "ema_decay": 0.0,
    },
}
PRESETS = {"quick": {}, "full": _FULL}


def load_profile(name: str) -> Profile:
    """The profile `quick` or `full`, or a JSON file with what differs from `quick` (lists stand for tuples)."""
    if name not in PRESETS and not Path(name).is_file():
        raise WsdlError(f"{name}: no such profile; choose quick, full, or a JSON file.")
    profile = apply_changes(Profile(), PRESETS[name] if name in PRESETS else read_json(Path(name)), name)
    if unknown := sorted(set(profile.further) - set(EXTRA_GENERATORS)):
        raise WsdlError(f"{name}: further names '{unknown[0]}', but must be some of {', '.join(EXTRA_GENERATORS)}.")
    return replace(profile, methods=check_methods(profile.methods))


def apply_changes(base, changes: dict, where: str):
    """`base` (a frozen dataclass) with `changes`, checked; `where` names their origin in messages."""
    valid = [setting.name for setting in fields(base)]
    if not isinstance(changes, dict):
        raise WsdlError(f"{where}: is {changes!r}, but must be settings: {', '.join(valid)}.")
    checked = {}
    for key, value in changes.items():
        if key not in valid:
            raise WsdlError(f"{where}: unknown setting '{key}'; valid are {', '.join(valid)}.")
        old = getattr(base, key)
        checked[key] = (
            apply_changes(old, value, f"{where}: {key}") if is_dataclass(old) else _check_type(old, value, where, key)
        )
    return replace(base, **checked)


def _check_type(old, value, where: str, key: str):
    """`value` if it is of the type of `old` (an int may stand for a float, a list for a tuple)."""
    kind = type(old[0]) if isinstance(old, tuple) and old else str
    if isinstance(old, tuple) and isinstance(value, list | tuple) and all(type(v) is kind for v in value):
        return tuple(value)
    if isinstance(old, float) and type(value) is int:
        return float(value)
    if type(value) is not type(old):
        raise WsdlError(f"{where}: {key} is {value!r}, but must be of type {type(old).__name__}.")
    return value


def profile_to_dict(profile: Profile) -> dict:
    return asdict(profile)


def complete_profile(stored: dict, where: str) -> dict:
    """A profile that an earlier version wrote down, with the default of each setting that it did not have yet."""
    return profile_to_dict(apply_changes(Profile(), stored, where))
