"""Noiseprint (Cozzolino and Verdoliva, 2018): the trace of a camera, and where an image holds that of another."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from wsdl.core.device import pick_device
from wsdl.core.io import WsdlError
from wsdl.detectors.prediction import Prediction
from wsdl.detectors.published.dncnn import QUALITIES, build_dncnn, extract, load_dncnn, nearest_quality, to_grey
from wsdl.detectors.published.splicebuster import outlying_map

MIN_SIDE = 64  # pixels; smaller images have too few windows


class Noiseprint:
    """The published networks in a folder, one per JPEG quality, each read when first needed; None: random weights.

    Nothing is learned from fakes: a map marks the rarer of two kinds of traces in its own image, whatever made them.
    """

    name = "noiseprint"
    note = (
        "Noiseprint compares the traces of cameras within one image: it always marks some part, also of an unaltered "
        "image, and the score is only the gain of two kinds of traces over one."
    )
    licence = "GRIP-UNINA: research and other use without profit"

    def __init__(self, folder: Path | None):
        def find(quality: int):
            return load_dncnn(folder, quality) if folder else build_dncnn().to(pick_device()).eval()

        self.network = lru_cache(maxsize=len(QUALITIES))(find)
        self.network(QUALITIES[-1])  # an error about the folder comes before all images

    def predict(self, images: np.ndarray, qualities: list[float] | None = None) -> Prediction:
        """Maps [n, H/8, W/8] and scores of uint8 images [n, H, W, 3], at their own resolution.

        qualities: JPEG quality of each file (100: lossless, NaN: not known), which chooses the network; default
        lossless. WsdlError where a side is below MIN_SIDE, or the weights for a quality are missing or not those.
        """
        qualities = [100.0] * len(images) if qualities is None else qualities
        found = [self._predict_one(*each) for each in zip(images, qualities, strict=True)]
        return Prediction(np.stack([map_ for map_, _ in found]), np.array([score for _, score in found], np.float32))

    def _predict_one(self, image: np.ndarray, quality: float) -> tuple[np.ndarray, float]:
        if min(image.shape[:2]) < MIN_SIDE:
            size = "{1}x{0}".format(*image.shape)
            raise WsdlError(f"image: is {size}, but Noiseprint needs at least {MIN_SIDE} px a side.")
        grey = to_grey(image)
        return outlying_map(extract(self.network(nearest_quality(quality)), grey), grey)
