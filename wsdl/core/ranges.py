"""Valid ranges of the numbers in settings, the same for profiles, the command line and Python."""

import math

from wsdl.core.io import WsdlError

_LOWEST = {  # of whole numbers
    **dict.fromkeys(("images", "images_c", "further_images", "batch", "batch_c", "check_every", "faces"), 1),
    **dict.fromkeys(("ddim_steps", "T", "jump_length", "resamplings", "patch", "latents", "width"), 1),
    **dict.fromkeys(("size", "input_size"), 8),
    **dict.fromkeys(("full", "partial"), 0),
}
_AT_LEAST_0 = ("rate", "rate_c", "discriminator_rate", "gamma", "kl")


class CheckedSettings:
    """Base of settings dataclasses: WsdlError where a number is out of range or not finite."""

    def __post_init__(self):
        for name, value in vars(self).items():
            if problem := _out_of_range(name, value):
                raise WsdlError(f"{name} is {value!r}, but must be {problem}.")


def _out_of_range(name: str, value) -> str:
    """The valid values of `name` where `value` is none of them, else ""."""
    if name in _LOWEST and not value >= _LOWEST[name]:
        return f"at least {_LOWEST[name]}"
    if name in _AT_LEAST_0 and not (value >= 0 and math.isfinite(value)):
        return "a finite number of at least 0"
    if name == "augment" and not 0 <= value <= 1:
        return "from 0 to 1"
    if name == "ema_decay" and not 0 <= value < 1:
        return "from 0 to below 1"
    if name in ("channels", "widths") and not (value and min(value) >= 1):
        return "one or more whole numbers of at least 1"
    return ""
