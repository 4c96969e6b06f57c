"""Drawn portraits with component masks, so that every lesson runs without a download (source "made-up").

Framing follows CelebA-HQ (eyes at 0.385, 0.481 and 0.627, 0.483 of the frame), and the low-level statistics those of a
camera: smooth shading, strands, pores, slight blur, sensor noise.
"""

from pathlib import Path

import numpy as np

from wsdl.core.io import seed_for
from wsdl.core.locks import one_writer
from wsdl.core.progress import progress_bar
from wsdl.core.ranges import check_ranges
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.images import write_image
from wsdl.data.masks import CLASSES
from wsdl.faces.canvas import Canvas

SKIN = ((255, 224, 200), (245, 205, 175), (228, 184, 145), (205, 150, 110), (160, 108, 76), (115, 75, 54))
HAIR = ((24, 20, 20), (52, 34, 25), (88, 56, 34), (130, 82, 44), (196, 152, 90), (150, 62, 34), (150, 146, 142))
IRIS = ((70, 44, 26), (96, 66, 34), (90, 110, 70), (84, 122, 150), (120, 136, 140))
LIPS = ((196, 110, 104), (178, 84, 84), (206, 70, 84), (150, 70, 66))


@one_writer("out")
def draw_faces(out: Path, count: int, seed: int = 0, size: int = 128) -> tuple[Path, Path]:
    """Draw `count` faces into out/images and their label maps (CelebAMask-HQ classes) into out/masks.

    size is the side in pixels. A repeated call draws only missing faces; face i depends on seed, size and i alone.
    """
    check_ranges(count=count, size=size)
    images, masks = Path(out) / "images", Path(out) / "masks"
    recipe = {"seed": seed, "size": size, "count": count}
    write_or_check_config(Path(out) / "recipe.json", recipe, growing=("count",), begun=holds_images(out))
    progress = progress_bar(count, "drawing faces")
    for i in range(count):
        name = f"{i:04d}.png"
        if not ((images / name).exists() and (masks / name).exists()):
            pixels, labels = draw_face(seed_for(seed, "face", i), size)
            write_image(masks / name, labels)
            write_image(images / name, pixels)
        progress.update()
    progress.close()
    return images, masks


def draw_face(seed: int, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """One face: uint8 pixels [size, size, 3] and label map [size, size]. Drawn at twice the size, then reduced."""
    rng = np.random.default_rng(seed)
    canvas = Canvas(2 * size, rng)
    yaw, skin = rng.uniform(-1, 1), _pick_colour(rng, SKIN)
    hair, light = _pick_colour(rng, HAIR), rng.uniform(-0.7, 0.7)
    _draw_background(canvas, rng)
    strands = _draw_back_hair(canvas, rng, hair)
    _draw_body(canvas, rng, skin)
    face = _draw_head(canvas, rng, skin, yaw, light)
    _draw_nose(canvas, rng, skin, yaw, light)
    _draw_mouth(canvas, rng, skin, yaw)
    for side in (-1, 1):
        _draw_eye(canvas, side, skin, hair, yaw)
    _draw_front_hair(canvas, rng, face, strands)
    if rng.random() < 1 / 3:
        _draw_glasses(canvas, rng)
    return canvas.to_image(rng)


def _pick_colour(rng: np.random.Generator, palette) -> np.ndarray:
    """A colour near one of `palette`: brightness varies by a tenth, hue a little."""
    picked = np.float32(palette[rng.integers(len(palette))])
    return np.clip(picked * rng.normal(1, 0.1) * rng.normal(1, 0.02, 3), 8, 255).astype(np.float32)


def _muted_colour(rng: np.random.Generator) -> np.ndarray:
    """A random muted colour."""
    return rng.uniform(25, 225) + rng.normal(0, 22, 3)


def _draw_background(c: Canvas, rng) -> None:
    """Two colours in a gradient, out-of-focus lights, soft blotches."""
    one, two = _muted_colour(rng), _muted_colour(rng)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(0.5 + np.cos(angle) * c.x + np.sin(angle) * c.y + 0.12 * c.blotches(rng, 5), 0, 1)
    c.rgb[:] = one + ramp[..., None] * (two - one)
    for _ in range(rng.integers(0, 7)):
        disc = c.ellipse(*rng.uniform(-0.5, 0.5, 2), *[rng.uniform(0.03, 0.1)] * 2)
        c.draw(rng.uniform(0.1, 0.4) * c.soft(disc, 0.03), rng.uniform(120, 255, 3))


def _draw_back_hair(c: Canvas, rng, hair: np.ndarray) -> np.ndarray:
    """The hair behind the head; returns the colours of its strands [S, S, 3], which run from the parting outwards."""
    x, y = c.x - rng.uniform(-0.12, 0.12), c.y + 0.5
    radius, wave = np.hypot(x, y), rng.uniform(0, 0.05)
    angle = np.arctan2(x, y) + wave * np.sin(rng.uniform(15, 30) * radius) + 0.01 * c.blotches(rng, 12)
    knots = np.linspace(-np.pi, np.pi, 700)
    strands = sum(np.interp(angle, knots[::step], rng.normal(size=len(knots[::step]))) for step in (1, 3, 9))
    sheen = np.exp(-(((radius - rng.uniform(0.18, 0.3)) / 0.07) ** 2))
    brightness = 1 + 0.13 * strands + rng.uniform(0.2, 0.6) * sheen - 0.25 * np.clip(5 * c.y, 0, 1)
    colours = (hair * np.clip(brightness, 0.3, 2.2)[..., None] + 14 * sheen[..., None]).astype(np.float32)
    length, wide = rng.choice([0.05, 0.3, 0.6]), rng.uniform(0.31, 0.37)
    below = np.where(c.y < -0.05, c.ellipse(0, -0.05, wide, rng.uniform(0.36, 0.4)), np.abs(c.x) - wide - 0.06 * c.y)
    edge = np.maximum(below, c.y - length - 0.03 * np.cos(18 * c.x)) + 0.006 * strands
    c.draw(c.soft(edge, 0.02), 0.75 * colours, "hair")
    return colours


def _draw_body(c: Canvas, rng, skin: np.ndarray) -> None:
    """Neck with the shadow of the chin, and clothes."""
    c.draw(c.soft(np.maximum(np.abs(c.x) - 0.16 - 0.5 * np.maximum(c.y - 0.4, 0), 0.2 - c.y)), 0.85 * skin, "neck")
    c.shade(c.soft(c.ellipse(0, 0.3, 0.25, 0.18), 0.1) * (c.labels == CLASSES.index("neck")), (0.62, 0.55, 0.52))
    cloth = np.maximum(c.ellipse(0, 0.72, 0.62, 0.34, 2.5), -c.ellipse(0, 0.3, rng.uniform(0.14, 0.2), 0.17))
    folds = 1 + 0.09 * c.blotches(rng, 9) + 0.06 * np.sin(rng.uniform(60, 200) * (c.x + rng.uniform(-1, 1) * c.y))
    c.draw(c.soft(cloth), _muted_colour(rng) * folds[..., None], "cloth")


def _draw_head(c: Canvas, rng, skin: np.ndarray, yaw: float, light: float) -> np.ndarray:
    """Ears and the shaded oval of the face; returns its outline as a distance [S, S]."""
    wide, jaw, long = rng.uniform(0.245, 0.275), rng.uniform(0.12, 0.35), rng.uniform(0.4, 0.435)
    for side, ear in ((-1, "right ear"), (1, "left ear")):
        c.draw(c.soft(c.ellipse(side * (wide + 0.005), 0.06, 0.04, 0.085)), 0.85 * skin, ear)
        c.shade(c.spot(side * (wide + 0.018), 0.06, 0.015, 0.05), 0.7)
    x, y = c.x + 0.015 * yaw, c.y - 0.02
    t = y / np.where(y > 0, long - 0.02, 0.38)
    u = x / (wide * (1 - jaw * np.clip(t, 0, 1) ** 1.7))
    face = (np.hypot(u, t) - 1) * wide
    depth = np.sqrt(np.clip(1 - u**2 - 0.6 * t**2, 0, 1))
    lit = 0.58 + 0.5 * np.clip(0.85 * depth + light * u - 0.25 * t, 0, 1)
    pores = 0.012 * c.blotches(rng, c.side // 2) + 0.02 * c.blotches(rng, 10)
    c.draw(c.soft(face), skin * np.stack([lit**0.9, lit, lit**1.15], -1) * (1 + pores)[..., None], "skin")
    for side in (-1, 1):  # cheeks
        c.shade(c.spot(side * 0.14, 0.14, 0.07, 0.06), (1.03, *[rng.uniform(0.84, 0.95)] * 2))
    if rng.random() < 0.25:  # beard
        beard = c.soft(0.1 - c.y + 0.6 * (0.2 - np.abs(c.x)), 0.1) * c.soft(face, 0.04)
        c.shade(beard * (0.8 + 0.12 * c.blotches(rng, c.side // 2)).clip(0, 1), rng.uniform(0.5, 0.8))
    if rng.random() < 0.25:  # freckles
        c.shade(c.soft(1.9 - c.blotches(rng, c.side // 5), 0.5) * c.spot(0, 0.1, 0.2, 0.08), (0.8, 0.68, 0.6))
    return face


def _draw_nose(c: Canvas, rng, skin: np.ndarray, yaw: float, light: float) -> None:
    """Bridge, wings and nostrils."""
    c, wings, x0 = c.window(0, 0.09, 0.14, 0.16), rng.uniform(0.062, 0.085), 0.03 * yaw
    middle = x0 * np.clip(c.y / 0.15, 0, 1)
    half = np.interp(c.y, [-0.02, 0.05, 0.12, 0.155, 0.19], [0.022, 0.03, 0.7 * wings, wings, 0.3 * wings])
    inside = np.maximum(np.abs(c.x - middle) - half, np.maximum(-0.02 - c.y, c.y - 0.19))
    c.labels[inside < 0] = CLASSES.index("nose")
    ramp = np.clip((c.y + 0.05) / 0.15, 0, 1) * (c.y < 0.19)
    for side in (-1, 1):
        strength = 0.22 - 0.14 * side * np.sign(light)
        c.shade(strength * ramp * np.exp(-(((c.x - middle - side * half) / 0.016) ** 2)), (0.5, 0.42, 0.4))
        c.shade(c.spot(x0 + side * 0.4 * wings, 0.172, 0.016, 0.008), (0.35, 0.25, 0.22))
    c.shade(c.spot(x0, 0.195, 0.6 * wings, 0.012), (0.8, 0.74, 0.72))
    shine = c.spot(x0, 0.135, 0.022, 0.02) + 0.6 * ramp * np.exp(-(((c.x - middle) / 0.012) ** 2)) * (c.y < 0.12)
    c.draw(rng.uniform(0.15, 0.35) * np.clip(shine, 0, 1), np.minimum(skin * 1.25 + 20, 255))


def _draw_mouth(c: Canvas, rng, skin: np.ndarray, yaw: float) -> None:
    """Two lips along a smiling line; teeth where they part."""
    c = c.window(0, 0.27, 0.2, 0.1)
    x, wide = c.x - 0.02 * yaw, rng.uniform(0.085, 0.12)
    arch = 1 - (x / wide) ** 2
    y = c.y - 0.262 + rng.uniform(-0.005, 0.04) * (x / wide) ** 2
    gap, upper, lower = max(0, rng.uniform(-0.02, 0.025)), rng.uniform(0.014, 0.026), rng.uniform(0.02, 0.036)
    bow = upper * (1 - 0.3 * np.exp(-((x / 0.018) ** 2)))
    lips = 0.55 * _pick_colour(rng, LIPS) + 0.45 * skin * (0.9, 0.68, 0.66)
    crease = 1 + 0.06 * np.interp(x, np.linspace(-0.2, 0.2, 90), rng.normal(size=90))[..., None]
    c.draw(c.soft(np.maximum(-y - (gap + bow) * arch, y + gap * arch)), 0.82 * lips * crease, "upper lip")
    c.draw(c.soft(np.maximum(gap * arch - y, y - (gap + lower) * arch)), lips * crease, "lower lip")
    c.draw(0.3 * c.spot(0.02 * yaw, 0.262 + gap + 0.5 * lower, 0.03, 0.006), (255, 235, 230))
    c.shade(0.5 * c.soft(np.abs(y) - 0.002, 0.006) * (arch > -0.1), 0.35)
    if gap > 0.004:
        inside, teeth = np.abs(y) - gap * arch, 232 * (0.96 + 0.04 * np.cos(2 * np.pi * x / 0.022))
        c.draw(c.soft(inside), np.where((y < 0.5 * gap)[..., None], teeth[..., None], (84, 30, 32)), "mouth inside")
    c.shade(0.5 * c.spot(0.02 * yaw, 0.275 + gap + lower, 0.05, 0.012), (0.72, 0.66, 0.64))


def _draw_eye(c: Canvas, side: int, skin: np.ndarray, hair: np.ndarray, yaw: float) -> None:
    """One eye with its lid, and the brow. side: -1 is left in the image, the person's right eye."""
    pick = np.random.default_rng(int(1e6 * (skin[0] + hair[1])))  # both eyes alike
    wide, tall, tilt, gaze = pick.uniform([0.046, 0.016, -0.1, -0.012], [0.056, 0.026, 0.15, 0.012])
    iris, whose = _pick_colour(pick, IRIS), "left" if side > 0 else "right"
    c = c.window(side * 0.121, -0.03, 0.14, 0.11)
    x = c.x - side * 0.121
    y = c.y - 0.001 * side + tilt * side * x
    arch = 1 - (x / wide) ** 2
    c.shade(c.spot(side * 0.121, -0.02, 0.075, 0.035), (0.84, 0.78, 0.78))
    c.shade(0.5 * c.soft(np.abs(y + 1.7 * tall * arch) - 0.002, 0.008) * (arch > 0), (0.6, 0.5, 0.48))
    almond = np.maximum(-tall * arch - y, y - 0.6 * tall * arch)
    ball = np.hypot(x - gaze - 0.004 * yaw, y)
    fibres = np.interp(np.arctan2(y, x - gaze), np.linspace(-np.pi, np.pi, 40), pick.normal(1, 0.2, 40))
    eye = np.broadcast_to(np.float32((236, 230, 226)), c.rgb.shape).copy()
    eye += c.soft(ball - 0.021)[..., None] * (iris * (fibres * (0.7 + 22 * ball))[..., None] - eye)
    eye *= 1 - 0.93 * c.soft(ball - pick.uniform(0.008, 0.012))[..., None]
    eye += c.soft(np.hypot(x - gaze + 0.007, y + 0.007) - 0.0045)[..., None] * (250 - eye)
    eye *= (0.72 + 0.28 * np.clip((y + tall) / tall, 0, 1))[..., None]
    c.draw(c.soft(almond), eye, f"{whose} eye")
    c.shade(c.soft(np.abs(y + tall * arch) - pick.uniform(0.002, 0.005), 0.006) * (arch > -0.15), 0.25)
    bend = np.clip(1 - ((x - side * 0.01) / 0.09) ** 2, 0, 1)
    brow = np.abs(y + pick.uniform(0.055, 0.07) + 0.025 * bend) - pick.uniform(0.01, 0.017) * np.sqrt(bend)
    strokes = 0.8 + 0.12 * np.sin(300 * side * x + 200 * y)
    c.draw(strokes * c.soft(brow, 0.012) * (bend > 0), np.minimum(0.8 * hair, 120), f"{whose} brow")


def _draw_front_hair(c: Canvas, rng, face: np.ndarray, strands: np.ndarray) -> None:
    """The hair over the forehead, down to a hairline with a parting, and its shadow."""
    parting, high = rng.uniform(-0.13, 0.13), rng.uniform(0.2, 0.26)
    sweep = rng.uniform(0.3, 2.2) * np.abs(c.x - parting) ** 1.5 + rng.uniform(0, 1.5) * c.x**2
    ragged = 0.012 * (strands.mean(-1) / strands.mean() - 1) + 0.008 * c.blotches(rng, 24)
    line = np.maximum(c.y + high - np.minimum(sweep, high + 0.3 * np.abs(c.x)) - ragged, c.y - 0.08 + 6 * ragged)
    crown = np.maximum(c.ellipse(0, -0.05, 0.315, 0.385), line)
    c.shade(0.5 * c.soft(crown, 0.1) * c.soft(face), (0.6, 0.5, 0.46))
    c.draw(c.soft(crown, 0.012), strands, "hair")


def _draw_glasses(c: Canvas, rng) -> None:
    """Frame, lenses with a reflection (one pair in five is dark), bridge and temples. The label covers the lenses."""
    wide, tall, power = rng.uniform(0.08, 0.1), rng.uniform(0.055, 0.08), rng.uniform(2, 4)
    lens = np.minimum(*(c.ellipse(side * 0.121, 0.01, wide, tall, power) for side in (-1, 1)))
    bar_ = np.maximum(np.abs(c.y + 0.012) - 0.006, np.abs(c.x) - 0.27)
    frame = np.minimum(np.abs(lens) - rng.uniform(0.004, 0.009), np.where(lens < 0, 1, bar_))
    tint = rng.uniform(0.75, 0.92) if rng.random() < 0.2 else rng.uniform(0.03, 0.15)
    c.draw(tint * c.soft(lens), rng.uniform(20, 70, 3), "glasses")
    c.labels[lens < 0] = CLASSES.index("glasses")
    glare = 0.5 + 0.5 * np.sin(rng.uniform(14, 24) * (c.x + c.y) + rng.uniform(0, 6))
    c.draw(rng.uniform(0.05, 0.22) * c.soft(lens) * glare**3, (255, 255, 255))
    c.shade(0.3 * c.soft(frame - 0.004, 0.02), 0.6)
    c.draw(c.soft(frame), _pick_colour(rng, (*HAIR, (170, 40, 44), (40, 60, 110))), "glasses")
