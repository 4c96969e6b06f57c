"""Which pixels of one picture were painted by a generative model? A map, a score, and how far to trust them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from wsdl.config import BUNDLED_SOURCES, DEFAULT_DETECTOR
from wsdl.core.io import read_json
from wsdl.core.run import MODEL_FILE
from wsdl.detectors import load_detector
from wsdl.detectors.pretrained import find_detector, stored_metrics, training_summary
from wsdl.evaluation.metrics import THRESHOLD, binary
from wsdl.inference.face_crop import Frame, face, to_picture, whole
from wsdl.inference.image_input import Picture, from_memory, open_any
from wsdl.parsing.align import NoFaceError
from wsdl.parsing.models import SHIPPED, load_parser

FAR_FROM_SQUARE = 1.25  # longer side over shorter
RENDERS = (
    "The detector learned from rendered portraits alone; on photographs such detectors were no better than a guess."
)


@dataclass(frozen=True)
class Localization:
    """What a detector says of one picture."""

    map: np.ndarray  # float32 [H, W] in [0, 1], 1 = fake, in the frame of the upright picture; 0 where not judged
    judged: np.ndarray  # bool [H, W]: the part that the detector saw
    corners: np.ndarray  # [4, 2] (x, y): the square that it saw, in pixels of the picture
    score: float  # higher = more fake
    painted: float  # share of the judged pixels whose map is above the threshold
    threshold: float
    detector: str
    trained_on: dict  # method, setup, source, generator, images, seed
    measured: dict | None  # its IoU, PBCA and AP on its own test set
    warnings: list[str]  # why to trust this less: sentences
    image: Image.Image  # the picture, upright, RGB

    def facts(self) -> dict:
        """Everything but the arrays, ready for JSON."""
        return {
            "score": round(self.score, 6),
            "painted": round(self.painted, 6),
            "judged": round(float(self.judged.mean()), 6),
            "threshold": self.threshold,
            "detector": self.detector,
            "trained_on": self.trained_on,
            "measured": self.measured,
            "width": self.image.width,
            "height": self.image.height,
            "corners": self.corners.round(2).tolist(),
            "warnings": self.warnings,
        }

    def overlay(self) -> Image.Image:
        """The picture beside its map, with a colour bar."""
        from wsdl.inference.render import sheet

        return sheet(self)


def localize(
    image,  # a path, a PIL image, or uint8 [H, W, 3]
    detector: str | Path = DEFAULT_DETECTOR,  # a shipped detector by name, or a run of `train` by path
    parser: str | Path = "",  # finds the face: as in load_parser; "" is the shipped one, where there is one
) -> Localization:
    """The map, the score and the warnings for one picture of any size.

    The face is found, framed as in training, judged, and the map put back where it belongs. Without a parser or a
    face the whole picture is squeezed into the detector's square, and a warning says so.
    WsdlError where the picture cannot be opened or the detector is not there.
    """
    return load_localizer(detector, parser)(open_any(image) if isinstance(image, str | Path) else from_memory(image))


def load_localizer(detector: str | Path = DEFAULT_DETECTOR, parser: str | Path = "") -> "Localizer":
    """A Localizer, kept for the next call as long as its weights stay the same."""
    folder = find_detector(detector)
    return _load(str(detector), folder, (folder / MODEL_FILE).stat().st_mtime_ns, str(parser))


@lru_cache(maxsize=2)
def _load(name: str, folder: Path, _: int, parser: str) -> "Localizer":
    network = load_detector(folder)
    config = read_json(folder / "config.json")
    finder = load_parser(parser) if parser or (SHIPPED / MODEL_FILE).is_file() else None
    return Localizer(name, network, finder, config.get("size") or network.input_size, folder)


class Localizer:
    """A detector and a face parser, loaded once. Pictures are judged one by one, so none depends on its neighbours."""

    def __init__(self, name: str, network, parser, size: int, folder: Path | None = None):
        self.name, self.network, self.parser, self.size = name, network, parser, size
        self.trained_on = training_summary(folder) if folder else {}
        self.measured = stored_metrics(folder) if folder else None
        self.notes = [RENDERS] if self.trained_on.get("source") in BUNDLED_SOURCES else []

    def __call__(self, picture: Picture) -> Localization:
        sought = (self.parser.fingerprint if self.parser else "", self.size)
        if sought not in picture.frames:
            picture.frames[sought] = self.frame(picture.image)
        frame, notes = picture.frames[sought]
        prediction = self.network.predict(frame.square[None])
        map_, judged = to_picture(prediction.maps[0], frame)
        return Localization(
            map=map_,
            judged=judged,
            corners=frame.corners,
            score=float(prediction.scores[0]),
            painted=float(binary(map_, THRESHOLD).sum() / max(1, judged.sum())),
            threshold=THRESHOLD,
            detector=self.name,
            trained_on=self.trained_on,
            measured=self.measured,
            warnings=[*picture.warnings, *self.notes, *notes],
            image=picture.image,
        )

    def frame(self, image: Image.Image) -> tuple[Frame, list[str]]:
        """What the detector is shown of `image`, and the warnings that come with it."""
        try:
            frame, why = (face(image, self.parser, self.size), "") if self.parser else (None, "No face parser is here")
        except NoFaceError as error:
            frame, why = None, f"No face was found ({error})"
        notes = []
        if frame is None:
            frame = whole(image, self.size)
            notes.append(f"{why}, so the whole picture was judged as if it were framed like a portrait.")
            if max(image.size) > FAR_FROM_SQUARE * min(image.size):
                notes.append(f"It is {shape_of(image)} and was squeezed into a square: shapes are distorted.")
        if frame.side < 0.99 * self.size:
            small = f"The face fills {frame.side:.0f} px" if frame.back else f"It is {shape_of(image)}"
            notes.append(f"{small}, and was enlarged to the {self.size} px of training: detail is missing.")
        return frame, notes


def shape_of(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"
