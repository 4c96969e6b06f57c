"""Draw the shape of a head and its facial expression: anny's phenotypes, local changes and facial actions."""

import numpy as np

# Local changes that vary between faces; EXCLUDED ones look unnatural, move the eyes or break the hair line.
VARIED = ("head-", "cheek", "chin", "forehead", "mouth", "nose", "eyebrows", "l-ear-", "l-eye-", "l-cheek", "neck-")
EXCLUDED = ("trans-out", "angle-out", "neck-trans", "neck-double", "ear-wing", "ear-flap", "ear-trans", "head-trans",
              "laugh", "push", "eyebrows-trans-forward", "nose-compression", "nose-septum", "eye-trans",
              "head-angle", "mouth-trans-forward", "chin-jaw-drop", "prognathism")  # fmt: skip
DEVIATION = 0.2  # standard deviation of a change; clipped at LARGEST from its mean
LARGEST = 0.45
NARROWER = {"eye": 0.55, "eyebrows": 0.6, "head-": 0.55, "neck": 0.6, "head-age": 0.3, "forehead": 0.7, "mouth": 0.8}
# Mean of a change, and the offset added for women and subtracted for men. Without these, cheeks are hollow, brows
# high, noses wide and necks thick compared with the photographs of CelebA-HQ.
MEANS = {
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
    """anny's phenotypes. origin: shares of african, asian and caucasian."""
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
        if not name.startswith(VARIED) or any(word in name for word in EXCLUDED):
            continue
        part = name.removeprefix("l-")
        spread = DEVIATION * min((factor for start, factor in NARROWER.items() if part.startswith(start)), default=1)
        middle, sex = MEANS.get(part, (0.0, 0.0))
        middle += sex if female else -sex
        local[name] = middle + float(np.clip(dice.normal(0, spread), -LARGEST, LARGEST))
        if name.startswith("l-"):
            local["r-" + part] = local[name]
    local["head-fat-incr"] += weight - 0.55  # anny's weight leaves the head as it is
    return local


EXPRESSIONS = {"laugh": 0.4, "smile": 0.32, "calm": 0.2, "talk": 0.05, "pout": 0.03}


def sample_expression(dice) -> dict[str, float]:
    """anny's facial actions, 0-1: most faces smile, some are calm, few talk, wink or pout."""
    kind = dice.weigh(list(EXPRESSIONS), list(EXPRESSIONS.values()))
    actions = {"laugh": _laugh, "smile": _smile, "calm": _calm, "talk": _talk, "pout": _pout}[kind](dice)
    blink = dice.uniform(0.4, 1) if dice.chance(0.02) else dice.uniform(0.02, 0.09)
    for side in ("Left", "Right"):
        actions["eyeBlink" + side] = blink
    lift = max(0.0, dice.normal(0, 0.2))
    actions["browInnerUp"] = lift + 0.08
    actions |= _both_sides(dice, "browOuterUp", 0.7 * lift)
    return {name: float(np.clip(value, 0, 1)) for name, value in actions.items()}


def _both_sides(dice, name: str, size: float) -> dict[str, float]:
    """An action on both sides, slightly asymmetric."""
    return {name + side: size * dice.uniform(0.92, 1) for side in ("Left", "Right")}


def _laugh(dice) -> dict[str, float]:
    """A smile that shows the upper and sometimes the lower teeth."""
    wide = dice.uniform(0.7, 1)
    return (
        _both_sides(dice, "mouthSmile", wide)
        | _both_sides(dice, "mouthStretch", wide * dice.uniform(0.15, 0.45))
        | _both_sides(dice, "mouthUpperUp", wide * dice.uniform(0.4, 0.7))
        | _both_sides(dice, "mouthLowerDown", wide * dice.uniform(0.3, 0.6))
        | _both_sides(dice, "cheekSquint", 0.7 * wide)
        | _both_sides(dice, "eyeSquint", wide * dice.uniform(0.05, 0.25))
        | {"jawOpen": dice.uniform(0.05, 0.2)}
    )


def _smile(dice) -> dict[str, float]:
    """A smile with closed lips."""
    wide = dice.uniform(0.3, 0.75)
    return (
        _both_sides(dice, "mouthSmile", wide)
        | _both_sides(dice, "mouthStretch", wide * dice.uniform(0, 0.5))
        | _both_sides(dice, "cheekSquint", 0.5 * wide)
        | _both_sides(dice, "eyeSquint", wide * dice.uniform(0.0, 0.2))
    )


def _calm(dice) -> dict[str, float]:
    """A neutral face, with the corners of the mouth slightly up so that it does not look sad."""
    return _both_sides(dice, "mouthSmile", dice.uniform(0.08, 0.25)) | _both_sides(
        dice, "eyeSquint", dice.uniform(0, 0.1)
    )


def _talk(dice) -> dict[str, float]:
    return _both_sides(dice, "mouthSmile", dice.uniform(0.1, 0.5)) | {"jawOpen": dice.uniform(0.1, 0.3)}


def _pout(dice) -> dict[str, float]:
    return {"mouthPucker": dice.uniform(0.15, 0.45)} | _both_sides(dice, "mouthSmile", 0.15)
