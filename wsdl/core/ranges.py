"""Valid values of settings, most of them ranges of numbers: the same for profiles, the command line and Python.

The upper limits are far beyond what is useful. They refuse a typing error at once that would fill memory or disk.
"""

import math
from numbers import Integral, Real

from wsdl.core.io import WsdlError

SIZES = 8, 4096  # side of an image in pixels
COUNTS = 1, 10_000_000  # images to make
BATCHES = 1, 4096  # images in memory together
AMOUNTS = 1, 10**12  # training images, repetitions included
SEEDS = -(2**63), 2**63 - 1  # those of PyTorch
SAMPLERS = "ddim", "ddpm"  # of a diffusion model
_STEPS = 1, 1000  # of a diffusion model: it has no more
_WIDTHS = 1, 8192  # channels of a layer
_WHOLE = {
    **dict.fromkeys(("images", "images_c", "further_images", "check_every"), AMOUNTS),
    **dict.fromkeys(("batch", "batch_c"), BATCHES),
    **dict.fromkeys(("size", "input_size"), SIZES),
    **dict.fromkeys(("count", "faces"), COUNTS),
    **dict.fromkeys(("full", "partial"), (0, COUNTS[1])),
    **dict.fromkeys(("label_images", "warm_up_images", "check_every_c"), (0, AMOUNTS[1])),
    **dict.fromkeys(("ddim_steps", "steps", "T", "jump_length", "resamplings"), _STEPS),
    **dict.fromkeys(("latents", "width"), _WIDTHS),
    "patch": (1, 64),
    "pieces": (1, 100),
    "seed": SEEDS,
}
_FRACTIONS = ("augment", "rate_decay", "decoys", "quantile", "margin", "pseudo_labels", "pseudo_from", "decided_from")
_AT_LEAST_0 = ("rate", "rate_c", "discriminator_rate", "gamma", "kl", "guidance")


class CheckedSettings:
    """Base of settings dataclasses: WsdlError where a number is out of range or not finite."""

    def __post_init__(self):
        check_ranges(**vars(self))


def check_ranges(**numbers) -> None:
    """WsdlError where one of the settings is out of range or not finite; other names are not checked."""
    for name, value in numbers.items():
        if problem := _out_of_range(name, value):
            raise WsdlError(f"{name} is {value!r}, but must be {problem}.")


def _out_of_range(name: str, value) -> str:
    """The valid values of `name` where `value` is none of them, else ""."""
    if name in _WHOLE and not _is_whole(value, *_WHOLE[name]):
        return "a whole number from {:,} to {:,}".format(*_WHOLE[name])
    if name in _AT_LEAST_0 and not (_is_real(value) and value >= 0):
        return "a finite number of at least 0"
    if name in _FRACTIONS and not (_is_real(value) and 0 <= value <= 1):
        return "from 0 to 1"
    if name == "ema_decay" and not (_is_real(value) and 0 <= value < 1):
        return "from 0 to below 1"
    if name == "sampler" and value not in SAMPLERS:
        return " or ".join(SAMPLERS)
    if name in ("channels", "widths") and not (value and all(_is_whole(width, *_WIDTHS) for width in value)):
        return "one or more whole numbers from {:,} to {:,}".format(*_WIDTHS)
    return ""


def _is_whole(value, low: int, high: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= value <= high


def _is_real(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
