"""The conditions in which a detector is measured on single images: as they are, compressed, resized."""

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.data.images import list_images
from wsdl.inference.image_input import InputImage, open_image

AS_IS = "as is"
MIN_IMAGES = 10  # of which fractions are given


def list_conditions(jpeg: list[int], resize: list[float]) -> dict[str, Callable[[InputImage], InputImage]]:
    """Name of each condition -> the function that brings an image into it: JPEG qualities, factors of the sides."""
    conditions = {AS_IS: _as_is} | {f"JPEG {quality}": partial(_compressed, quality=quality) for quality in jpeg}
    return conditions | {f"resized to {factor:.0%}": partial(_resized, factor=factor) for factor in resize}


def evenly_spaced(folder: Path, limit: int) -> Iterator[Path]:
    """The images in a folder, or `limit` of them (0: all), with a progress bar. WsdlError for less than MIN_IMAGES."""
    paths = list(list_images(folder).values())
    if limit:
        paths = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, limit).round().astype(int))]
    if len(paths) < MIN_IMAGES:
        raise WsdlError(f"{folder}: has {len(paths)} images, but a measurement needs {MIN_IMAGES}; give more.")
    with progress_bar(len(paths), f"measuring {folder.name}") as progress:
        for path in paths:
            yield path
            progress.update()


def _as_is(given: InputImage) -> InputImage:
    return given


def _compressed(given: InputImage, quality: int) -> InputImage:
    buffer = io.BytesIO()
    given.image.save(buffer, "JPEG", quality=quality)
    return open_image(buffer.getvalue(), "a compressed copy")


def _resized(given: InputImage, factor: float) -> InputImage:
    size = [max(1, round(factor * side)) for side in given.image.size]
    return InputImage(given.image.resize(size, Image.Resampling.BICUBIC), quality=given.quality)
