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
from wsdl.detectors.pretrained import find_detector, pretrained_names, stored_metrics, training_summary
from wsdl.detectors.published import PUBLISHED, load_published
from wsdl.evaluation.metrics import THRESHOLD, binary
from wsdl.inference.face_crop import FaceCrop, crop_face, crop_whole, map_to_image
from wsdl.inference.image_input import InputImage, from_memory, open_image
from wsdl.inference.localization import Localization
from wsdl.inference.published import PublishedLocalizer
from wsdl.inference.reference import NO_REFERENCE, REFERENCE_FILE, read_reference
from wsdl.inference.statistics import ImageProperties, image_statistics
from wsdl.inference.tiles import MIN_NATIVE, predict_tiles
from wsdl.parsing.align import NoFaceError
from wsdl.parsing.models import BUNDLED_PARSER, load_parser

MAX_ASPECT = 1.25  # longer side over shorter; above it, resizing to a square distorts visibly
RENDERS_WARNING = (
    "The detector was trained on rendered portraits only; on photographs such detectors were no better than chance."
)


def localize(
    image,  # a path, a PIL image, or uint8 [H, W, 3]
    detector: str | Path = "",  # a pretrained detector by name, or a run of `train` by path; "" as in choose_detector
    parser: str | Path = "",  # finds the face: as in load_parser; "" is the pretrained one, where there is one
    weights: str | Path = "",  # of a published method, such as detector="noiseprint": the folder of its weights
) -> Localization:
    """The map, the score and the warnings for one image of any size.

    The face is found, cropped and aligned as in training; the map is then placed back into the image. Without a parser
    or a face, the whole image is resized to the detector's square, and a warning says so.
    Raises WsdlError where the image cannot be opened or the detector does not exist.
    """
    given = open_image(image) if isinstance(image, str | Path) else from_memory(image)
    detector = detector or (choose_detector(given, parser) if not str(weights) else "")
    return load_localizer(detector, parser, weights)(given)


def choose_detector(given: InputImage, parser: str | Path = "") -> str:
    """The name of the pretrained detector for an image: one that was calibrated with images like it.

    Of several DEFAULT_DETECTOR, else that with the highest IoU. Where there is none, DEFAULT_DETECTOR, which then gives
    no verdict.
    """
    faces = find_parser(parser)

    def key(name: str) -> tuple:
        return name != DEFAULT_DETECTOR, -((stored_metrics(find_detector(name)) or {}).get("iou") or 0)

    for name in sorted(pretrained_names(), key=key):
        folder = find_detector(name)
        reference = read_reference(folder)
        if reference and not reference.no_verdict(find_crop(given, faces, *input_of(folder)).properties):
            return name
    return DEFAULT_DETECTOR


def load_localizer(detector: str | Path, parser: str | Path = "", weights: str | Path = ""):
    """A Localizer, cached as long as its weights stay the same; a PublishedLocalizer where `detector` names a method.

    weights: the folder of the weights of a published method.
    """
    if str(weights) or str(detector) in PUBLISHED:
        return PublishedLocalizer(load_published(str(detector), weights))
    folder, faces = find_detector(detector), find_parser(parser)
    files = [folder / name for name in (MODEL_FILE, REFERENCE_FILE)]
    changed = tuple(path.stat().st_mtime_ns for path in files if path.is_file())
    return _load(str(detector), folder, changed, faces)


@lru_cache(maxsize=2)
def _load(name: str, folder: Path, _: tuple, parser) -> "Localizer":
    side, native = input_of(folder)
    return Localizer(name, load_detector(folder), parser, side, folder, native)


def find_parser(parser: str | Path):
    """The face parser, as in load_parser, cached; None where none is asked for and none is bundled."""
    if not isinstance(parser, str | Path):
        raise WsdlError(f"parser is {parser!r}, but must be a text or a path: a run of `train-parser`, or a SegFormer.")
    if not str(parser) and not (BUNDLED_PARSER / MODEL_FILE).is_file():
        return None
    return _load_parser(str(parser) or str(BUNDLED_PARSER))


_load_parser = lru_cache(maxsize=2)(load_parser)


def input_of(folder: Path) -> tuple[int, bool]:
    """The side of the squares that a detector was trained on, in pixels, and whether it predicts at native resolution.

    Such a detector has the setting `"resolution": "native"`: it is given images as they are instead of a face.
    """
    config = read_config(folder)
    settings = config.get("settings", {})
    return config.get("size") or settings["input_size"], settings.get("resolution") == "native"


class Localizer:
    """A detector and a face parser, loaded once. Each image is processed alone, so results do not depend on others."""

    def __init__(self, name: str, network, parser, size: int, folder: Path | None = None, native: bool = False):
        self.name, self.network, self.parser, self.size, self.native = name, network, parser, size, native
        self.trained_on = training_summary(folder) if folder else {}
        self.measured = stored_metrics(folder) if folder else None
        self.reference = read_reference(folder) if folder else None
        renders = self.trained_on.get("source") in BUNDLED_SOURCES
        self.warnings = [*filter(None, [RENDERS_WARNING if renders else "", network.note])]

    def __call__(self, given: InputImage) -> Localization:
        found = find_crop(given, self.parser, self.size, self.native)
        pixels = found.crop.square
        prediction = predict_tiles(self.network, pixels) if found.native else self.network.predict(pixels[None])
        map_, analysed = map_to_image(prediction.maps[0], found.crop)
        score, marked = float(prediction.scores[0]), float(binary(map_, THRESHOLD).sum() / max(1, analysed.sum()))
        verdict = self.reference.judge(score, marked, found.properties) if self.reference else NO_REFERENCE
        return Localization(
            map=map_,
            analysed=analysed,
            corners=found.crop.corners,
            score=score,
            marked=marked,
            threshold=THRESHOLD,
            detector=self.name,
            trained_on=self.trained_on,
            measured=self.measured,
            verdict=verdict,
            file=given.file,
            properties=found.properties,
            warnings=[*given.warnings, *self.warnings, *found.warnings],
            image=given.image,
        )


@dataclass(frozen=True)
class FoundCrop:
    """What a detector is given of an image: a square, or all of it at native resolution."""

    crop: FaceCrop
    native: bool
    properties: ImageProperties
    warnings: list[str]


def find_crop(given: InputImage, parser, size: int, native: bool = False) -> FoundCrop:
    """What a detector is given of an image; found once for all detectors of the same input."""
    native = native and min(given.image.size) >= MIN_NATIVE
    key = (parser.fingerprint if parser else "", size, native)
    if key not in given.crops:
        whole = FaceCrop(np.asarray(given.image), None, given.image.size)
        crop, warnings = (whole, []) if native else crop_image(given.image, parser, size)
        statistics = image_statistics(crop.square)
        properties = ImageProperties(crop.to_image is not None, crop.side, given.quality, statistics)
        given.crops[key] = FoundCrop(crop, native, properties, warnings)
    return given.crops[key]


def crop_image(image: Image.Image, parser, size: int) -> tuple[FaceCrop, list[str]]:
    """The face in an image, or all of it, and the warnings that result."""
    crop, why = None, "No face parser is installed"
    if parser:
        try:
            crop = crop_face(image, parser, size)
        except NoFaceError as error:
            why = f"No face was found ({error})"
    warnings, shape = [], f"{image.width}x{image.height}"
    if crop is None:
        crop = crop_whole(image, size)
        warnings.append(f"{why}, so the whole image was analysed as if it were framed like a portrait.")
        if max(image.size) > MAX_ASPECT * min(image.size):
            warnings.append(f"The image is {shape} and was resized to a square: shapes are distorted.")
    if crop.side < 0.99 * size:
        what = f"The face is {crop.side:.0f} px wide" if crop.to_image else f"The image is {shape}"
        warnings.append(f"{what} and was enlarged to the {size} px of training: detail is missing.")
    return crop, warnings
