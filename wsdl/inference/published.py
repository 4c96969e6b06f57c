"""`localize` with a published method: the whole image at its own resolution, and no verdict."""

import numpy as np

from wsdl.evaluation.metrics import THRESHOLD, binary, upsample
from wsdl.inference.image_input import InputImage
from wsdl.inference.localization import Localization
from wsdl.inference.reference import Verdict
from wsdl.inference.statistics import ImageProperties, image_statistics

NO_VERDICT = Verdict(None, "no verdict: for published methods there is no reference of unaltered images")


class PublishedLocalizer:
    """A method of `wsdl.detectors.published`, called like a Localizer."""

    def __init__(self, method):
        self.method = method

    def __call__(self, given: InputImage) -> Localization:
        pixels = np.asarray(given.image)
        height, width = pixels.shape[:2]
        prediction = self.method.predict(pixels[None], [given.quality])
        map_ = upsample(prediction.maps[0], (height, width))
        return Localization(
            map=map_,
            analysed=np.ones((height, width), bool),
            corners=np.array([[0, 0], [width, 0], [width, height], [0, height]], float),
            score=float(prediction.scores[0]),
            marked=float(binary(map_, THRESHOLD).mean()),
            threshold=THRESHOLD,
            detector=self.method.name,
            trained_on={},
            measured=None,
            verdict=NO_VERDICT,
            file=given.file,
            properties=ImageProperties(False, min(width, height), given.quality, image_statistics(pixels)),
            warnings=[*given.warnings, self.method.note],
            image=given.image,
        )
