"""Localise inpainted regions in one image: a map, a score, and warnings about how far to trust them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from wsdl.config import BUNDLED_SOURCES, DEFAULT_DETECTOR
from wsdl.core.io import WsdlError
from wsdl.core.records import read_config
from wsdl.core.run import MODEL_FILE
from wsdl.detectors import load_detector
from wsdl.detectors.pretrained import find_detector, stored_metrics, training_summary
from wsdl.evaluation.metrics import THRESHOLD, binary
from wsdl.inference.face_crop import FaceCrop, crop_face, crop_whole, map_to_image
from wsdl.inference.image_input import InputImage, from_memory, open_image
from wsdl.parsing.align import NoFaceError
from wsdl.parsing.models import BUNDLED_PARSER, load_parser

MAX_ASPECT = 1.25  # longer side over shorter; above it, resizing to a square distorts visibly
RENDERS_WARNING = (
    "The detector was trained on rendered portraits only; on photographs such detectors were no better than chance."
)


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
    file: str  # how the image was stored, such as "JPEG, quality about 75"; "" for arrays
    warnings: list[str]  # reasons to trust this less, one sentence each
    image: Image.Image  # upright, RGB

    def to_dict(self) -> dict:
        """Everything but the arrays, ready for JSON. The keys are those of the JSON lines of `localize`."""
        return {
            "score": round(self.score, 6),
            "marked": round(self.marked, 6),
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


def localize(
    image,  # a path, a PIL image, or uint8 [H, W, 3]
    detector: str | Path = DEFAULT_DETECTOR,  # a pretrained detector by name, or a run of `train` by path
    parser: str | Path = "",  # finds the face: as in load_parser; "" is the pretrained one, where there is one
) -> Localization:
    """The map, the score and the warnings for one image of any size.

    The face is found, cropped and aligned as in training; the map is then placed back into the image. Without a parser
    or a face, the whole image is resized to the detector's square, and a warning says so.
    Raises WsdlError where the image cannot be opened or the detector does not exist.
    """
    return load_localizer(detector, parser)(open_image(image) if isinstance(image, str | Path) else from_memory(image))


def load_localizer(detector: str | Path = DEFAULT_DETECTOR, parser: str | Path = "") -> "Localizer":
    """A Localizer, cached as long as its weights stay the same."""
    if not isinstance(parser, str | Path):
        raise WsdlError(f"parser is {parser!r}, but must be a text or a path: a run of `train-parser`, or a SegFormer.")
    folder = find_detector(detector)
    return _load(str(detector), folder, (folder / MODEL_FILE).stat().st_mtime_ns, str(parser))


@lru_cache(maxsize=2)
def _load(name: str, folder: Path, _: int, parser: str) -> "Localizer":
    network = load_detector(folder)
    config = read_config(folder)
    face_parser = load_parser(parser) if parser or (BUNDLED_PARSER / MODEL_FILE).is_file() else None
    return Localizer(name, network, face_parser, config.get("size") or network.input_size, folder)


class Localizer:
    """A detector and a face parser, loaded once. Each image is processed alone, so results do not depend on others."""

    def __init__(self, name: str, network, parser, size: int, folder: Path | None = None):
        self.name, self.network, self.parser, self.size = name, network, parser, size
        self.trained_on = training_summary(folder) if folder else {}
        self.measured = stored_metrics(folder) if folder else None
        renders = self.trained_on.get("source") in BUNDLED_SOURCES
        self.warnings = [*filter(None, [RENDERS_WARNING if renders else "", network.note])]

    def __call__(self, given: InputImage) -> Localization:
        key = (self.parser.fingerprint if self.parser else "", self.size)
        if key not in given.crops:
            given.crops[key] = self.crop(given.image)
        crop, warnings = given.crops[key]
        prediction = self.network.predict(crop.square[None])
        map_, analysed = map_to_image(prediction.maps[0], crop)
        return Localization(
            map=map_,
            analysed=analysed,
            corners=crop.corners,
            score=float(prediction.scores[0]),
            marked=float(binary(map_, THRESHOLD).sum() / max(1, analysed.sum())),
            threshold=THRESHOLD,
            detector=self.name,
            trained_on=self.trained_on,
            measured=self.measured,
            file=given.file,
            warnings=[*given.warnings, *self.warnings, *warnings],
            image=given.image,
        )

    def crop(self, image: Image.Image) -> tuple[FaceCrop, list[str]]:
        """The square of `image` that the detector is given, and the warnings that result."""
        crop, why = None, "No face parser is installed"
        if self.parser:
            try:
                crop = crop_face(image, self.parser, self.size)
            except NoFaceError as error:
                why = f"No face was found ({error})"
        warnings, size = [], f"{image.width}x{image.height}"
        if crop is None:
            crop = crop_whole(image, self.size)
            warnings.append(f"{why}, so the whole image was analysed as if it were framed like a portrait.")
            if max(image.size) > MAX_ASPECT * min(image.size):
                warnings.append(f"The image is {size} and was resized to a square: shapes are distorted.")
        if crop.side < 0.99 * self.size:
            what = f"The face is {crop.side:.0f} px wide" if crop.to_image else f"The image is {size}"
            warnings.append(f"{what} and was enlarged to the {self.size} px of training: detail is missing.")
        return crop, warnings
