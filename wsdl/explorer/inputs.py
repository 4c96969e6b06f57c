"""Validation of the arguments of `explore`: each error names the argument, its value and what is expected."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wsdl.core.io import WsdlError
from wsdl.evaluation.metrics import ROUNDING


@dataclass(frozen=True)
class ExplorerInputs:
    """The validated arguments of `explore`."""

    images: np.ndarray  # uint8 [n, H, W, 3]
    maps: dict[str, np.ndarray]  # name -> float32 [n, h, w] in [0, 1], 1 = fake
    masks: np.ndarray | None  # uint8 [n, H, W], 1 = fake
    scores: dict[str, list[float]]  # name of a map -> n scores; only maps that have scores
    labels: list[str]  # n labels such as "real" or "partial fake", or empty
    components: list[str]  # n names of the inpainted component, or empty
    names: list[str]  # n names, or empty
    areas: dict[str, list[list[float]]]  # as in `explore`


def check_inputs(
    images, maps, masks=None, scores=None, labels=None, components=None, names=None, areas=None
) -> ExplorerInputs:
    """The arguments of `explore` in one form. Raises WsdlError where they do not fit."""
    images = _images(images)
    count, shape = len(images), images.shape[1:3]
    maps = {str(name): _map(array, name, count) for name, array in _by_name(maps).items()}
    return ExplorerInputs(
        images=images,
        maps=maps,
        masks=None if masks is None else _masks(masks, count, shape),
        scores=_scores(scores, list(maps), count),
        labels=_texts(labels, "labels", count),
        components=_texts(components, "components", count),
        names=_texts(names, "names", count),
        areas={name: np.asarray(values, float).tolist() for name, values in (areas or {}).items()},
    )


def _images(images) -> np.ndarray:
    array = _array(images, "images")
    if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8 or 0 in array.shape[1:]:
        raise WsdlError(
            f"images must be uint8 [n, H, W, 3], but are {array.dtype} of shape {array.shape}; "
            "put a single image into a list."
        )
    if not len(array):
        raise WsdlError("images is empty; give at least one image.")
    return array


def _by_name(maps) -> dict:
    maps = maps if isinstance(maps, dict) else {"map": maps}
    if not maps or not all(map(str, maps)):
        raise WsdlError(
            "maps is empty or has a map without a name; give named maps, such as {'setup A': array [n, h, w]}."
        )
    return maps


def _map(values, name, count: int) -> np.ndarray:
    array = _array(values, f"map '{name}'")
    if array.dtype.kind not in "fiub" or array.ndim != 3 or len(array) != count or 0 in array.shape:
        raise WsdlError(
            f"map '{name}' must be float [n, h, w] with n = {count}, the number of images, "
            f"but is {array.dtype} of shape {array.shape}."
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise WsdlError(f"map '{name}' contains NaN or infinity; values must be in [0, 1], 1 = fake.")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise WsdlError(
            f"map '{name}' has values from {low:.4g} to {high:.4g}, but they must be in [0, 1], 1 = fake; "
            "convert logits to probabilities first."
        )
    return array.astype(np.float32)


def _masks(masks, count: int, shape: tuple[int, int]) -> np.ndarray:
    array = _array(masks, "masks")
    if array.shape != (count, *shape):
        raise WsdlError(
            f"masks must be [n, H, W] like the images, {(count, *shape)}, but have shape {array.shape}; "
            "the mask of a real image is all zeros."
        )
    if array.dtype != bool and not ((array == 0) | (array == 1)).all():
        raise WsdlError(
            f"masks must contain only 0 (real) and 1 (fake), but have values from {array.min():.4g} to "
            f"{array.max():.4g}; read mask files with wsdl.data.masks.read_mask."
        )
    return array.astype(np.uint8)


def _scores(scores, maps: list[str], count: int) -> dict[str, list[float]]:
    """Scores by map; a plain list applies to every map."""
    if scores is None:
        return {}
    scores = scores if isinstance(scores, dict) else dict.fromkeys(maps, scores)
    if unknown := [str(name) for name in scores if str(name) not in maps]:
        raise WsdlError(f"scores names '{unknown[0]}', which is not a map; the maps are {', '.join(maps)}.")
    return {str(name): _numbers(values, f"scores of '{name}'", count) for name, values in scores.items()}


def _numbers(values, what: str, count: int) -> list[float]:
    array = _array(values, what)
    if array.shape != (count,) or array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise WsdlError(f"{what} must be {count} finite numbers, one for each image; higher = more fake.")
    return array.astype(float).tolist()


def _texts(values, what: str, count: int) -> list[str]:
    if values is None:
        return []
    if isinstance(values, str) or not isinstance(values, Iterable):
        values = [values]
    values = [str(value) for value in values]
    if len(values) != count:
        raise WsdlError(f"{what} must be {count} texts, one for each image, but there are {len(values)}.")
    return values


def _array(values, what: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise WsdlError(f"{what} cannot be converted to one array ({str(error).rstrip('.')}).") from None
