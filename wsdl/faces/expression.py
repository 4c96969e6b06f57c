"""What a face does: most smile, with or without teeth; some are calm; few talk, wink or pout."""

import numpy as np

KINDS = {"laugh": 0.4, "smile": 0.32, "calm": 0.2, "talk": 0.05, "pout": 0.03}


def sample_expression(dice) -> dict[str, float]:
    """anny's facial actions, 0-1."""
    kind = dice.weigh(list(KINDS), list(KINDS.values()))
    actions = {"laugh": laugh, "smile": smile, "calm": calm, "talk": talk, "pout": pout}[kind](dice)
    blink = dice.uniform(0.4, 1) if dice.chance(0.02) else dice.uniform(0.02, 0.09)
    for side in ("Left", "Right"):
        actions["eyeBlink" + side] = blink
    lift = max(0.0, dice.normal(0, 0.2))
    actions["browInnerUp"] = lift + 0.08
    actions |= both(dice, "browOuterUp", 0.7 * lift)
    return {name: float(np.clip(value, 0, 1)) for name, value in actions.items()}


def both(dice, name: str, size: float) -> dict[str, float]:
    """An action of both sides; no face is quite even."""
    return {name + side: size * dice.uniform(0.92, 1) for side in ("Left", "Right")}


def laugh(dice) -> dict[str, float]:
    """A smile that shows the upper teeth, now and then some of the lower ones."""
    wide = dice.uniform(0.7, 1)
    return (
        both(dice, "mouthSmile", wide)
        | both(dice, "mouthStretch", wide * dice.uniform(0.15, 0.45))
        | both(dice, "mouthUpperUp", wide * dice.uniform(0.4, 0.7))
        | both(dice, "mouthLowerDown", wide * dice.uniform(0.3, 0.6))
        | both(dice, "cheekSquint", 0.7 * wide)
        | both(dice, "eyeSquint", wide * dice.uniform(0.05, 0.25))
        | {"jawOpen": dice.uniform(0.05, 0.2)}
    )


def smile(dice) -> dict[str, float]:
    """A smile with closed lips."""
    wide = dice.uniform(0.3, 0.75)
    return (
        both(dice, "mouthSmile", wide)
        | both(dice, "mouthStretch", wide * dice.uniform(0, 0.5))
        | both(dice, "cheekSquint", 0.5 * wide)
        | both(dice, "eyeSquint", wide * dice.uniform(0.0, 0.2))
    )


def calm(dice) -> dict[str, float]:
    """Next to nothing; the corners of the mouth a little up, or the face would look sad."""
    return both(dice, "mouthSmile", dice.uniform(0.08, 0.25)) | both(dice, "eyeSquint", dice.uniform(0, 0.1))


def talk(dice) -> dict[str, float]:
    return both(dice, "mouthSmile", dice.uniform(0.1, 0.5)) | {"jawOpen": dice.uniform(0.1, 0.3)}


def pout(dice) -> dict[str, float]:
    return {"mouthPucker": dice.uniform(0.15, 0.45)} | both(dice, "mouthSmile", 0.15)
