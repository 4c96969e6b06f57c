"""Masks and component label maps: reading, writing, and the choice of a region to inpaint.

In memory a mask is H x W with **1 = fake**. On disk it follows the Dolos download: 255 = real, 0 = fake.
Only `read_mask`, `read_white_mask` and `write_mask` convert.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from wsdl.core.io import WsdlError, atomic
from wsdl.core.progress import print_stderr
from wsdl.data.decode import check_upright, decode, exif_orientation, opened

# CelebAMask-HQ numbering of the label maps.
CLASSES = ("background", "skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow", "left ear",
           "right ear", "mouth inside", "upper lip", "lower lip", "hair", "hat", "earring", "necklace", "neck",
           "cloth")  # fmt: skip

# The six regions that the paper inpaints (section 3), as classes of the label map.
COMPONENTS = {"skin": (1,), "hair": (13,), "eyes": (4, 5), "mouth": (10, 11, 12), "nose": (2,), "glasses": (3,)}

# The paper dilates small components by 1-15 px at 256 px; it does not list them. Skin and hair are large already.
SMALL_COMPONENTS = ("eyes", "mouth", "nose", "glasses")
DARK, LIGHT = 64, 192  # red values below and from which on a blurred mask is near 0 or 255
LOSSY_FORMATS = ("JPEG", "MPO")  # WebP and AVIF are never grey
MIN_AREA = 0.001  # a component below this fraction of the image (16 px at 128 x 128) counts as absent


def read_mask(path: Path) -> np.ndarray:
    """The mask file at `path` as uint8 [H, W], 1 = fake: "red channel != 255" (official code).

    A mask has the red value 255 and one darker value, or is 255 or 0 everywhere. Where compression or resizing blurred
    the two, or real pixels have a value a little below 255, values below 128 are fake, and the first such mask of a
    folder is reported on stderr. WsdlError for anything else.
    """
    decoded = decode(path)
    check_upright(path, decoded.orientation)
    red = np.asarray(decoded.image)[..., 0]
    counts = np.bincount(red.ravel(), minlength=256)
    values = np.flatnonzero(counts).tolist()
    if values in ([0], [255]) or (len(values) == 2 and values[0] < LIGHT and values[1] == 255):
        return (red != 255).astype(np.uint8)
    dark, between, light = counts[:DARK].sum(), counts[DARK:LIGHT].sum(), counts[LIGHT:].sum()
    if min(dark, light) <= between:  # not two peaks with a valley between them
        raise WsdlError(
            f"{path}: is not a mask; its red values go from {values[0]} to {values[-1]}, but must be in two groups, "
            f"near 255 (real) and near 0 (fake)."
        )
    real_value = values[-1] if len(values) <= 2 and values[-1] >= LIGHT else 255
    _report_inexact(path, "is not two-valued (compressed or resized?)" if real_value == 255 else
                    f"has {real_value} for real pixels, which should be 255")  # fmt: skip
    return (red < 128).astype(np.uint8)


def read_white_mask(path: Path) -> np.ndarray:
    """The mask file at `path`, in which 255 is fake and 0 real, as uint8 [H, W], 1 = fake. WsdlError for other values.

    This is the convention of most benchmarks of inpainting, and not that of the Dolos download.
    """
    decoded = decode(path)
    check_upright(path, decoded.orientation)
    pixels = np.asarray(decoded.image)
    values = np.unique(pixels)
    if not np.isin(values, (0, 255)).all() or (pixels != pixels[..., :1]).any():
        raise WsdlError(f"{path}: is not a mask of 0 and 255; its values go from {values[0]} to {values[-1]}.")
    return (pixels[..., 0] == 255).astype(np.uint8)


_reported: set[Path] = set()  # folders


def _report_inexact(path: Path, what: str) -> None:
    if path.parent in _reported:
        return
    _reported.add(path.parent)
    print_stderr(f"{path}: {what}; here and in other such masks of this folder, red values below 128 count as fake.")


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write `mask` [H, W], 1 = fake, as an RGB PNG with 255 = real and 0 = fake."""
    grey = np.where(mask, 0, 255).astype(np.uint8)
    with atomic(path) as temporary:
        Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(temporary, "PNG")


def read_label_map(path: Path) -> np.ndarray:
    """A component label map as uint8 [H, W] in CelebAMask-HQ numbering. WsdlError for an unknown class."""
    with opened(path) as image:
        check_upright(path, exif_orientation(image))
        if image.mode not in ("P", "L"):
            raise WsdlError(
                f"{path}: has mode {image.mode}, but a component mask is a palette or grey image "
                f"of class numbers 0-{len(CLASSES) - 1}."
            )
        if image.format in LOSSY_FORMATS:
            raise WsdlError(f"{path}: is a {image.format}, which changes class numbers; save component masks as PNG.")
        labels = np.asarray(image)
    if labels.max() >= len(CLASSES):
        raise WsdlError(
            f"{path}: has the unknown class {labels.max()}; CelebAMask-HQ classes are 0-{len(CLASSES) - 1}."
        )
    return labels


def component_mask(labels: np.ndarray, component: str) -> np.ndarray:
    """The mask of `component` in `labels` [H, W]: bool [H, W]."""
    return np.isin(labels, COMPONENTS[component])


def visible_components(labels: np.ndarray) -> list[str]:
    """The components that occur in `labels` [H, W], in the order of COMPONENTS."""
    return [name for name in COMPONENTS if component_mask(labels, name).mean() >= MIN_AREA]


def dilate(mask: np.ndarray, radius: float) -> np.ndarray:
    """Grow `mask` [H, W] by a disc of `radius` pixels: bool [H, W]. An empty mask stays empty."""
    if not mask.any():  # the distance transform needs a pixel to measure from
        return np.zeros(mask.shape, bool)
    return distance_transform_edt(~mask.astype(bool)) <= radius


def random_region(labels: np.ndarray, component: str, rng: np.random.Generator) -> np.ndarray:
    """The region to inpaint for one partial fake: uint8 [H, W], 1 = fake (paper, section 3).

    Small components are dilated by a random 1-15 px at 256 px, proportionally at other sizes.
    """
    mask = component_mask(labels, component)
    if component in SMALL_COMPONENTS:
        mask = dilate(mask, rng.integers(1, 16) * labels.shape[0] / 256)
    return mask.astype(np.uint8)
