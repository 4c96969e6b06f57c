"""`Localization`: what `localize` says about one image."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsdl.inference.reference import Verdict
from wsdl.inference.statistics import ImageProperties


@dataclass(frozen=True)
class Localization:
    """The result of one detector for one image."""

    map: np.ndarray  # float32 [H, W] in [0, 1], 1 = fake, aligned with the upright image; 0 where not analysed
    analysed: np.ndarray  # bool [H, W]: the pixels inside the square that the detector was given
    corners: np.ndarray  # [4, 2] (x, y): that square, in pixels of the image
    score: float  # higher = more fake
    marked: float  # fraction of the analysed pixels whose map is above the threshold
    threshold: float
    detector: str
    trained_on: dict  # method, setup, source, generator, images, seed
    measured: dict | None  # IoU, PBCA and AP where it was evaluated, and `on`: which images these were
    verdict: Verdict  # an alarm or none, beside unaltered images of the same kind; or none, and why
    file: str  # how the image was stored, such as "JPEG, quality about 75"; "" for arrays
    properties: ImageProperties  # that the verdict depends on
    warnings: list[str]  # reasons to trust this less, one sentence each
    image: Image.Image  # upright, RGB

    def to_dict(self) -> dict:
        """Everything but the arrays, ready for JSON. The keys are those of the JSON lines of `localize`."""
        return {
            "score": round(self.score, 6),
            "marked": round(self.marked, 6),
            "verdict": self.verdict.to_dict(),
            "judged": round(float(self.analysed.mean()), 6),
            "threshold": self.threshold,
            "detector": self.detector,
            "trained_on": self.trained_on,
            "measured": self.measured,
            "width": self.image.width,
            "height": self.image.height,
            "corners": self.corners.round(2).tolist(),
            "file": self.file,
            "warnings": self.warnings,
            "summary": self.lines(),
        }

    def lines(self) -> list[str]:
        """The result in words, the most important first. Overlay, JSON, `print` and `wsdl.upload` show these."""
        from wsdl.inference.words import result_lines

        return result_lines(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def overlay(self) -> Image.Image:
        """The image next to its map, with a colour bar."""
        from wsdl.inference.render import render_overlay

        return render_overlay(self)
