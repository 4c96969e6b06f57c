"""`wsdl.explore`: the widget. All drawing is done in the browser; Python keeps the choices and the arrays."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from wsdl.core.io import WsdlError
from wsdl.evaluation.metrics import THRESHOLD, upsample
from wsdl.explorer import assets, encode
from wsdl.explorer.checks import Pictures, checked

MODES = ("overlay", "wipe", "side", "maps")
ORDERS = ("given", "score-down", "score-up", "iou-down", "iou-up", "component")


def explore(
    images,  # uint8 [n, H, W, 3]
    maps,  # name -> float [n, h, w] in [0, 1], 1 = fake; or one such array
    masks=None,  # [n, H, W], 1 = fake; zeros for a real picture
    scores=None,  # n numbers, higher = more fake; or name of a map -> n numbers
    labels=None,  # n words, such as "real" and "partial fake"
    components=None,  # n names of the repainted region
    names=None,  # n names of the pictures
    threshold: float = THRESHOLD,  # a pixel is called fake where the map is strictly above; the paper's .5
) -> "Explorer":
    """Look at pictures and their maps: a Jupyter widget that blends, outlines and measures in the browser.

    Maps of another size are brought to that of the pictures as in the metrics (BICUBIC, clipped), and never normalised.
    IoU and F1 follow the threshold and are those of wsdl.metrics. `.view()` gives a still picture, `.to_html(path)` a
    page that works offline. WsdlError where the arguments do not fit.
    """
    return Explorer(checked(images, maps, masks, scores, labels, components, names), threshold)


class Explorer(anywidget.AnyWidget):
    """Choices are traits: set one here and the browser follows; choose there and it is set here."""

    _esm = assets.script("widget.js")
    _css = assets.style()
    _data = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(0, help="Which picture, counted from 0 as given.").tag(sync=True)
    threshold = traitlets.Float(THRESHOLD, help="A pixel is called fake above it; steps of .005.").tag(sync=True)
    map = traitlets.Unicode(help="Name of the map on show.").tag(sync=True)
    opacity = traitlets.Float(0.5, help="Of the map over the picture, 0 to 1.").tag(sync=True)
    colours = traitlets.Unicode(encode.PALETTES[0], help="The colour map.").tag(sync=True)
    grey = traitlets.Bool(True, help="Is the picture grey under the map, so that every colour is the map's?").tag(
        sync=True
    )
    truth = traitlets.Bool(True, help="Is the true mask outlined?").tag(sync=True)
    mode = traitlets.Unicode(MODES[0], help="overlay, wipe, side (by side) or (all) maps.").tag(sync=True)
    order = traitlets.Unicode(ORDERS[0], help=", ".join(ORDERS)).tag(sync=True)

    def __init__(self, pictures: Pictures, threshold: float = THRESHOLD):
        self.pictures = pictures
        shape = pictures.images.shape[1:3]
        self._maps = [
            (name, [encode.packed(encode.levels(upsample(map_, shape))) for map_ in maps])
            for name, maps in pictures.maps.items()
        ]
        super().__init__(_data=self.data(encode.png), map=next(iter(pictures.maps)), threshold=threshold)

    def data(self, picture) -> dict:
        """All that the browser is given, bytes as bytes; `picture` turns uint8 [H, W, 3] into an image file."""
        given = self.pictures
        return {
            "size": list(given.images.shape[1:3]),
            "pictures": [picture(image) for image in given.images],
            "maps": self._maps,
            "masks": [] if given.masks is None else [encode.packed(mask) for mask in given.masks],
            "scores": given.scores,
            "labels": given.labels,
            "components": given.components,
            "names": given.names,
            "palettes": encode.palettes(),
        }

    def choices(self) -> dict:
        """The traits that a page starts with."""
        names = ("selected", "threshold", "map", "opacity", "colours", "grey", "truth", "mode", "order")
        return {name: getattr(self, name) for name in names}

    def to_html(self, path: str | Path, title: str = "Heat-map explorer") -> Path:
        """Write one HTML file with everything inside, which needs no network, and return its path."""
        from wsdl.explorer.page import write

        return write(self, Path(path), title)

    def view(self):
        """What is chosen now as a PIL image: the picture, the map over it with its outline, the colour bar."""
        from wsdl.explorer.still import still

        return still(self)

    def __repr__(self) -> str:
        return f"<Explorer of {len(self.pictures.images)} pictures under {', '.join(self.pictures.maps)}>"

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and a still picture for where no widget can be shown: GitHub, nbconvert, print.

        A JPEG: notebooks are kept in git, and as PNG it would be four times as large.
        """
        bundle = super()._repr_mimebundle_(**kwargs)
        buffer = BytesIO()
        self.view().save(buffer, "JPEG", quality=88, subsampling=0, optimize=True)
        bundle[0]["image/jpeg"] = b64encode(buffer.getvalue()).decode()
        return bundle

    def current_map(self) -> np.ndarray:
        """The map on show at the size of its picture: float32 [H, W], as the metrics see it."""
        return upsample(self.pictures.maps[self.map][self.selected], self.pictures.images.shape[1:3])

    @traitlets.validate("selected")
    def _selected(self, proposal):
        if not 0 <= proposal.value < len(self.pictures.images):
            last = len(self.pictures.images) - 1
            raise WsdlError(f"selected is {proposal.value}, but the pictures are numbered 0 to {last}.")
        return proposal.value

    @traitlets.validate("threshold", "opacity")
    def _share(self, proposal):
        if not 0 <= proposal.value <= 1:
            raise WsdlError(f"{proposal.trait.name} is {proposal.value}, but lies between 0 and 1.")
        return round(proposal.value * encode.STEPS) / encode.STEPS

    @traitlets.validate("map", "colours", "mode", "order")
    def _word(self, proposal):
        given = self.pictures
        possible = {"score": given.scores, "iou": given.masks is not None, "component": given.components, "given": True}
        orders = tuple(order for order in ORDERS if possible[order.split("-")[0]])
        valid = {"map": tuple(given.maps), "colours": encode.PALETTES, "mode": MODES, "order": orders}
        if proposal.value not in (words := valid[proposal.trait.name]):
            raise WsdlError(f"{proposal.trait.name} is '{proposal.value}', but is one of {', '.join(words)}.")
        return proposal.value
