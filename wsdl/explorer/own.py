"""`wsdl.upload`: hand in a picture of your own, choose detectors, look at their maps and at how far to trust them."""

from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.detectors.pretrained import describe_choices, pretrained_names
from wsdl.explorer import assets
from wsdl.explorer.widget import Explorer, explore
from wsdl.inference.image_input import Picture, from_memory, open_any
from wsdl.inference.localize import Localization, load_localizer
from wsdl.inference.render import part, training

SIDE = 512  # pixels: the longer side of what is explored, about what is on the screen
MOST = 100_000_000  # bytes of a file
KEPT = ("threshold", "opacity", "colours", "grey", "mode")  # choices that outlive a picture


def upload(
    detectors=None,  # a shipped name or a run folder, a list of such, or name -> one; None: all that are shipped
    parser: str | Path = "",  # finds the face: as in wsdl.localize
) -> "Upload":
    """A place in a notebook to drop a picture into: its maps appear below, with the warnings of `wsdl.localize`.

    Everything happens in the kernel of the notebook. Nothing is fetched, nothing is sent on, nothing is written.
    `.judge(path)` does the same from Python. WsdlError where a detector is not there.
    """
    return Upload(detectors, parser)


class Panel(anywidget.AnyWidget):
    """What is seen above the explorer. Python decides what it shows; it sends files in parts, and clicks."""

    _esm = assets.script("own.js", ("dom",))
    _css = assets.style()
    shown = traitlets.Dict().tag(sync=True)


class Upload(ipywidgets.VBox):
    """A Panel, and an Explorer below it once there is something to look at."""

    def __init__(self, detectors=None, parser: str | Path = ""):
        self.parser = parser
        self.detectors, self.chosen = {}, []  # name -> Localizer; the names that judge
        self.picture: Picture | None = None
        self.name = ""  # of the picture
        self.results: dict[str, Localization] = {}  # by the name of the detector
        self.explorer: Explorer | None = None
        self.problem = ""
        self._parts = bytearray()
        self.panel = Panel()
        super().__init__([self.panel])
        given = pretrained_names() if detectors is None else detectors
        given = [given] if isinstance(given, str | Path) else given
        for name, detector in given.items() if isinstance(given, dict) else (("", one) for one in given):
            self.add(detector, name)
        self.panel.on_msg(lambda _, content, buffers: self._told(content, buffers))
        self._show()

    def add(self, detector: str | Path, name: str = "") -> None:
        """One more detector, chosen at once. WsdlError where it is not there."""
        name = name or Path(detector).name
        name = str(detector) if name in self.detectors else name
        self.detectors[name] = load_localizer(detector, self.parser)
        self.chosen = [one for one in self.detectors if one in {*self.chosen, name}]

    def judge(self, image, name: str = "") -> dict[str, Localization]:
        """What the chosen detectors say of a path, the bytes of a file, a PIL image or uint8 [H, W, 3]: name -> result.

        It is shown, too. WsdlError where the picture cannot be opened or no detector is chosen.
        """
        self.problem = ""
        try:
            self._take(image, name)
        finally:
            self._show()
        return self.results

    def _take(self, image, name: str) -> None:
        self.picture, self.name, self.results = None, "", {}
        name = name or (Path(image).name if isinstance(image, str | Path) else "picture")
        if isinstance(image, bytes):
            self.picture = open_any(image, name)
        else:
            self.picture = open_any(image) if isinstance(image, str | Path) else from_memory(image)
        self.name = name
        self._judge()

    def _judge(self) -> None:
        self.results = {}
        if not self.picture:
            return
        if not self.detectors:
            raise WsdlError(f"{self.name}: there is no detector to judge it; {describe_choices(pretrained_names())}.")
        if not self.chosen:
            raise WsdlError(f"{self.name}: no detector is chosen to judge it; choose at least one.")
        self.results = {name: self.detectors[name](self.picture) for name in self.chosen}

    def _told(self, content: dict, buffers: list) -> None:
        """A message from the browser. Whatever comes of it is said in a sentence: nobody reads a kernel's log."""
        self.problem = ""
        try:
            deed = {"part": self._part, "choose": self._choose, "add": self._add}[content["do"]]
            if deed(content, buffers) == "more":
                return
        except WsdlError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"{content.get('name', 'This')}: could not be judged ({type(error).__name__}: {error})."
        self._show()

    def _part(self, content: dict, buffers: list) -> str | None:
        """A part of a file, `at` its first byte: "more" until all `size` bytes are here."""
        name, at, size = content["name"], content["at"], content["size"]
        if at == 0:
            self.picture, self.name, self.results, self._parts = None, "", {}, bytearray()
        if size > MOST:
            raise WsdlError(f"{name}: has {size / 1e6:.0f} MB; {MOST // 10**6} MB are the most, so make it smaller.")
        self._parts += buffers[0]
        if len(self._parts) < size:
            return "more"
        data, self._parts = bytes(self._parts), bytearray()
        self._take(data, name)

    def _choose(self, content: dict, _) -> None:
        chosen = {*self.chosen} ^ {content["name"]}
        self.chosen = [name for name in self.detectors if name in chosen]
        self._judge()

    def _add(self, content: dict, _) -> None:
        self.add(content["name"])
        self._judge()

    def _show(self) -> None:
        old, self.explorer = self.explorer, None
        if self.results:
            self.explorer = explore(**explorable(self.results, self.name))
            for choice in KEPT if old else ():
                setattr(self.explorer, choice, getattr(old, choice))
            if old and old.map in self.results:
                self.explorer.map = old.map
        self.children = [self.panel, self.explorer] if self.explorer else [self.panel]
        if old:
            old.close()
        shared = [result.warnings for result in self.results.values()]
        self.panel.shown = {
            "detectors": [{"name": name, "chosen": name in self.chosen} for name in self.detectors],
            "none": "" if self.detectors else f"There is no detector yet: {describe_choices(pretrained_names())}.",
            "problem": self.problem,
            "name": self.name,
            "found": [{"name": name, **row(result)} for name, result in self.results.items()],
            "warnings": list(dict.fromkeys(warning for warnings in shared for warning in warnings)),
            "limit": MOST,
            "turn": self.panel.shown.get("turn", 0) + 1,  # an answer that says the same again is an answer
        }

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and a still picture for where no widget can be shown."""
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"] = "A place to drop a picture into: run this cell in Jupyter."
        if self.explorer:
            bundle["image/jpeg"] = self.explorer._repr_mimebundle_()[0]["image/jpeg"]
        return bundle


def explorable(results: dict[str, Localization], name: str) -> dict:
    """What `explore` takes of results for one picture: at most SIDE px of it, and only what is worth showing."""
    first = next(iter(results.values()))
    box = part(first)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(1, SIDE / max(width, height))
    size = [max(1, round(scale * length)) for length in (width, height)]
    small = first.image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3)
    left, top, right, bottom = box
    parts = {key: Image.fromarray(result.map[top:bottom, left:right]) for key, result in results.items()}
    maps = {key: np.clip(one.resize(size, Image.Resampling.BILINEAR), 0, 1)[None] for key, one in parts.items()}
    scores = {key: [result.score] for key, result in results.items()}
    return {"images": [np.asarray(small)], "maps": maps, "scores": scores, "names": [name]}


def row(result: Localization) -> dict:
    """What one detector says, in words."""
    return {
        "score": f"{result.score:.3f}",
        "painted": f"{result.painted:.1%}",
        "about": " · ".join([*training(result.trained_on), measured(result.measured)]),
    }


def measured(scores: dict | None) -> str:
    """How good a detector was on its own test set, in words."""
    if not scores or scores.get("iou") is None:
        return "never measured"
    low, high = scores.get("iou_low"), scores.get("iou_high")
    interval = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"IoU {100 * scores['iou']:.1f} %{interval} on its own test set"
