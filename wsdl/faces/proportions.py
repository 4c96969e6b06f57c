"""The shape of a head: ordinary people around a healthy middle, women and men apart."""

import numpy as np

# Local changes that vary from face to face, and those that look ill, move the eyes or break the hair line.
VARIED = ("head-", "cheek", "chin", "forehead", "mouth", "nose", "eyebrows", "l-ear-", "l-eye-", "l-cheek", "neck-")
LEFT_ALONE = ("trans-out", "angle-out", "neck-trans", "neck-double", "ear-wing", "ear-flap", "ear-trans", "head-trans",
              "laugh", "push", "eyebrows-trans-forward", "nose-compression", "nose-septum", "eye-trans",
              "head-angle", "mouth-trans-forward", "chin-jaw-drop", "prognathism")  # fmt: skip
SPREAD = 0.2  # standard deviation of a change; at most FARTHEST from its middle
FARTHEST = 0.45
NARROWER = {"eye": 0.55, "eyebrows": 0.6, "head-": 0.55, "neck": 0.6, "head-age": 0.3, "forehead": 0.7, "mouth": 0.8}
# The middle of a change, and what is added for women and taken away for men. Without these, cheeks are hollow, brows
# high, noses wide and necks thick beside the photographs of CelebA-HQ.
MIDDLE = {
    "head-fat-incr": (0.05, -0.02),
    "cheek-volume-incr": (0.3, 0.08),
    "cheek-inner-incr": (0.15, 0.0),
    "cheek-bones-incr": (0.05, 0.08),
    "chin-bones-incr": (0.0, -0.28),
    "chin-width-incr": (0.0, -0.32),
    "chin-height-incr": (0.2, -0.1),
    "chin-prominent-incr": (0.1, -0.05),
    "eye-scale-incr": (0.4, 0.1),
    "eye-height2-incr": (0.35, 0.08),
    "eyebrows-trans-up": (-0.15, 0.15),
    "eyebrows-angle-up": (0.1, 0.05),
    "forehead-nubian-incr": (0.0, 0.15),
    "head-age-incr": (-0.1, 0.0),
    "mouth-lowerlip-volume-incr": (0.05, 0.12),
    "mouth-upperlip-volume-incr": (0.05, 0.15),
    "mouth-angles-up": (0.2, 0.0),
    "mouth-scale-horiz-incr": (0.1, 0.0),
    "neck-scale-horiz-incr": (-0.3, -0.12),
    "nose-scale-vert-incr": (-0.2, -0.1),
    "nose-scale-horiz-incr": (-0.1, -0.08),
    "nose-volume-incr": (-0.1, -0.12),
    "nose-width1-incr": (-0.1, -0.08),
    "nose-hump-incr": (0.0, -0.1),
    "nose-point-up": (0.05, 0.1),
}


def sample_shape(dice, female: bool, age: float, origin: np.ndarray) -> dict[str, float]:
    """anny's phenotypes; origin: shares of african, asian and caucasian."""
    shape = {
        "gender": float(np.clip(dice.normal(0.97 if female else 0.05, 0.06), 0, 1)),
        "age": age,
        "muscle": dice.uniform(0.4, 0.65),
        "weight": float(np.clip(dice.normal(0.55, 0.13), 0.3, 0.9)),
        "height": 0.5,
        "proportions": dice.uniform(0.6, 0.9),
    }
    return shape | dict(zip(("african", "asian", "caucasian"), origin, strict=True))


def sample_local(dice, names: list[str], female: bool, weight: float) -> dict[str, float]:
    """Small changes of head, cheeks, chin, mouth, nose, ears and eyes, the same on both sides: about -0.6 to 0.6."""
    local = {}
    for name in names:
        if not name.startswith(VARIED) or any(word in name for word in LEFT_ALONE):
            continue
        part = name.removeprefix("l-")
        spread = SPREAD * min((factor for start, factor in NARROWER.items() if part.startswith(start)), default=1)
        middle, sex = MIDDLE.get(part, (0.0, 0.0))
        middle += sex if female else -sex
        local[name] = middle + float(np.clip(dice.normal(0, spread), -FARTHEST, FARTHEST))
        if name.startswith("l-"):
            local["r-" + part] = local[name]
    local["head-fat-incr"] += weight - 0.55  # anny's weight leaves the head as it is
    return local
