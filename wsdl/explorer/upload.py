"""`wsdl.upload`: localise inpainting in an image of your own with several detectors, in a notebook."""

from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.detectors.pretrained import describe_choices, pretrained_names
from wsdl.explorer.encode import STEPS, map_levels
from wsdl.explorer.static_files import bundle_script, bundle_style
from wsdl.explorer.still import display_with_still, still_name
from wsdl.explorer.widget import Explorer, explore
from wsdl.inference.image_input import InputImage, from_memory, open_image
from wsdl.inference.localize import Localization, load_localizer
from wsdl.inference.render import visible_box

SIDE = 512  # pixels, the longer side of the image in the explorer: about its size on screen
MAX_BYTES = 100_000_000  # of a file
KEPT = ("threshold", "opacity", "colours", "grey", "mode")  # choices that are kept when the image changes


def upload(
    detectors=None,  # a pretrained name or a run folder, a list of them, or name -> one; None: all pretrained
    parser: str | Path = "",  # finds the face: as in wsdl.localize
) -> "Upload":
    """A drop zone for one image; its maps are shown below, with the warnings of `wsdl.localize`.

    Everything runs in the kernel of the notebook; nothing is sent elsewhere or written. `.localize(path)` does the same
    from Python. Raises WsdlError where a detector does not exist.
    """
    return Upload(detectors, parser)


class Panel(anywidget.AnyWidget):
    """The part above the explorer. Python sets `shown`; the browser sends files in parts, and clicks."""

    _esm = bundle_script("upload.js", ("dom",))
    _css = bundle_style()
    shown = traitlets.Dict().tag(sync=True)
    _still = traitlets.Unicode().tag(sync=True)  # name of its still image in a saved notebook


class Upload(ipywidgets.VBox):
    """A Panel, and below it an Explorer once there are results."""

    def __init__(self, detectors=None, parser: str | Path = ""):
        self.parser = parser
        self.detectors, self.chosen = {}, []  # name -> Localizer; the names in use
        self.input: InputImage | None = None
        self.name = ""  # of the image
        self.results: dict[str, Localization] = {}  # by name of the detector
        self.explorer: Explorer | None = None
        self.problem = ""
        self._received = bytearray()
        self.panel = Panel(_still=still_name())
        super().__init__([self.panel])
        given = pretrained_names() if detectors is None else detectors
        given = [given] if isinstance(given, str | Path) else given
        if not isinstance(given, dict | list | tuple):
            raise WsdlError(f"detectors is {given!r}, but must be a name, a run folder, a list of these, or None.")
        for name, detector in given.items() if isinstance(given, dict) else (("", one) for one in given):
            self.add(detector, str(name))
        self.panel.on_msg(lambda _, content, buffers: self._handle_message(content, buffers))
        self._show()

    def add(self, detector: str | Path, name: str = "") -> None:
        """Add a detector and use it at once. Raises WsdlError where it does not exist."""
        localizer = load_localizer(detector, self.parser)
        name = name or Path(detector).name
        name = str(detector) if name in self.detectors else name
        self.detectors[name] = localizer
        self.chosen = [one for one in self.detectors if one in {*self.chosen, name}]

    def localize(self, image, name: str = "") -> dict[str, Localization]:
        """Apply the chosen detectors to one image and show the results: name of the detector -> result.

        image: a path, the bytes of a file, a PIL image or uint8 [H, W, 3]. Raises WsdlError where it cannot be opened
        or no detector is chosen.
        """
        self.problem = ""
        try:
            self._open(image, name)
        finally:
            self._show()
        return self.results

    def _open(self, image, name: str) -> None:
        self.input, self.name, self.results = None, "", {}
        name = name or (Path(image).name if isinstance(image, str | Path) else "image")
        if isinstance(image, bytes):
            self.input = open_image(image, name)
        else:
            self.input = open_image(image) if isinstance(image, str | Path) else from_memory(image)
        self.name = name
        self._localize()

    def _localize(self) -> None:
        self.results = {}
        if not self.input:
            return
        if not self.detectors:
            raise WsdlError(f"{self.name}: no detector is available; {describe_choices(pretrained_names())}.")
        if not self.chosen:
            raise WsdlError(f"{self.name}: no detector is chosen; choose at least one.")
        self.results = {name: self.detectors[name](self.input) for name in self.chosen}

    def _handle_message(self, content: dict, buffers: list) -> None:
        """Handle a message from the browser. Errors are shown in the panel, since the kernel's log is not visible."""
        self.problem = ""
        actions = {"part": self._receive, "choose": self._choose, "add": self._add}
        try:
            if actions[content["do"]](content, buffers) == "more":
                return
        except WsdlError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"{content.get('name', 'This')}: could not be analysed ({type(error).__name__}: {error})."
        self._show()

    def _receive(self, content: dict, buffers: list) -> str | None:
        """A part of a file, `at` its first byte: "more" until all `size` bytes have arrived."""
        name, at, size = content["name"], content["at"], content["size"]
        if at == 0:
            self.input, self.name, self.results, self._received = None, "", {}, bytearray()
        if size > MAX_BYTES:
            limit = MAX_BYTES // 10**6
            raise WsdlError(f"{name}: has {size / 1e6:.0f} MB; the limit is {limit} MB, so make it smaller.")
        self._received += buffers[0]
        if len(self._received) < size:
            return "more"
        data, self._received = bytes(self._received), bytearray()
        self._open(data, name)

    def _choose(self, content: dict, _) -> None:
        chosen = {*self.chosen} ^ {content["name"]}
        self.chosen = [name for name in self.detectors if name in chosen]
        self._localize()

    def _add(self, content: dict, _) -> None:
        self.add(content["name"])
        self._localize()

    def _show(self) -> None:
        old, self.explorer = self.explorer, None
        if self.results:
            self.explorer = explore(**_explorer_arguments(self.results, self.name))
            for choice in KEPT if old else ():
                setattr(self.explorer, choice, getattr(old, choice))
            if old and old.map in self.results:
                self.explorer.map = old.map
        self.children = [self.panel, self.explorer] if self.explorer else [self.panel]
        if old:
            old.close()
        warnings = [warning for result in self.results.values() for warning in result.warnings]
        none = "" if self.detectors else f"No detector is available: {describe_choices(pretrained_names())}."
        self.panel.shown = {
            "detectors": [{"name": name, "chosen": name in self.chosen} for name in self.detectors],
            "none": none,
            "problem": self.problem,
            "name": self.name,
            "results": _result_texts(self.results),
            "warnings": list(dict.fromkeys(warnings)),
            "limit": MAX_BYTES,
            "turn": self.panel.shown.get("turn", 0) + 1,  # so that an equal answer is a change, too
        }

    def _ipython_display_(self):
        display_with_still(self, self.panel._still)

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and a static image for where no widget can be shown."""
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"] = "A drop zone for an image: run this cell in Jupyter."
        if self.explorer:
            bundle["image/jpeg"] = self.explorer._repr_mimebundle_()[0]["image/jpeg"]
        return bundle


def _explorer_arguments(results: dict[str, Localization], name: str) -> dict:
    """The arguments of `explore` for the results of one image: its visible part, at most SIDE px."""
    first = next(iter(results.values()))
    left, top, right, bottom = box = visible_box(first)
    scale = min(1, SIDE / max(right - left, bottom - top))
    size = [max(1, round(scale * length)) for length in (right - left, bottom - top)]
    image = first.image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3)
    maps = {}
    for detector, result in results.items():
        part = Image.fromarray(result.map[top:bottom, left:right])
        maps[detector] = np.clip(part.resize(size, Image.Resampling.BILINEAR), 0, 1)[None]
    scores = {detector: [result.score] for detector, result in results.items()}
    areas = {detector: [_marked_fractions(result)] for detector, result in results.items()}
    return {"images": [np.asarray(image)], "maps": maps, "scores": scores, "areas": areas, "names": [name]}


def _marked_fractions(result: Localization) -> np.ndarray:
    """The fraction of the analysed pixels above each threshold of the slider: [STEPS + 1].

    The explorer shows a part of the image, reduced, so counting the pixels shown would give another number.
    """
    levels = np.bincount(map_levels(result.map[result.analysed]), minlength=STEPS + 2)
    above = levels[::-1].cumsum()[::-1][1:]
    return above / max(1, result.analysed.sum())


def _result_texts(results: dict[str, Localization]) -> list[dict]:
    """The name of each detector and its result in words, without the warnings."""
    return [
        {"name": name, "lines": [line for line in result.lines() if line not in result.warnings]}
        for name, result in results.items()
    ]
