"""`wsdl.explore`: the widget. The browser draws; Python holds the choices and the arrays."""

from base64 import b64encode
from io import BytesIO
from numbers import Real
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from wsdl.core.io import WsdlError
from wsdl.evaluation.metrics import THRESHOLD, upsample
from wsdl.explorer import encode
from wsdl.explorer.inputs import ExplorerInputs, check_inputs
from wsdl.explorer.static_files import bundle_script, bundle_style
from wsdl.explorer.still import display_with_still, still_name

MODES = ("overlay", "wipe", "side", "maps")
ORDERS = ("given", "score-down", "score-up", "iou-down", "iou-up", "component")


def explore(
    images,  # uint8 [n, H, W, 3]
    maps,  # name -> float [n, h, w] in [0, 1], 1 = fake; or one such array
    masks=None,  # [n, H, W], 1 = fake; zeros for a real image
    scores=None,  # n numbers, higher = more fake; or name of a map -> n numbers
    labels=None,  # n labels, such as "real" and "partial fake"
    components=None,  # n names of the inpainted component
    names=None,  # n names of the images
    threshold: float = THRESHOLD,  # a pixel is fake where the map is strictly above; the paper's 0.5
    areas=None,  # name of a map -> [n, 201], the fraction above 0, .005 ... 1; else that of the pixels shown
) -> "Explorer":
    """Explore images and their maps in a Jupyter widget that blends, outlines and measures in the browser.

    Maps of another size are resized to that of the images as in the metrics (BICUBIC, clipped), and never normalised.
    IoU and F1 follow the threshold and equal those of wsdl.metrics. `.view()` returns a static image, `.to_html(path)`
    writes a page that works offline. Raises WsdlError where the arguments do not fit.
    """
    if not isinstance(threshold, Real):
        raise WsdlError(f"threshold is {threshold!r}, but must be a number between 0 and 1.")
    return Explorer(check_inputs(images, maps, masks, scores, labels, components, names, areas), threshold)


class Explorer(anywidget.AnyWidget):
    """The widget. Its choices are traits, kept equal in Python and in the browser."""

    _esm = bundle_script("widget.js")
    _css = bundle_style()
    _data = traitlets.Dict().tag(sync=True)
    _still = traitlets.Unicode().tag(sync=True)  # name of its still image in a saved notebook
    selected = traitlets.Int(0, help="Index of the image shown, in the order given.").tag(sync=True)
    threshold = traitlets.Float(THRESHOLD, help="A pixel is fake above it; steps of .005.").tag(sync=True)
    map = traitlets.Unicode(help="Name of the map shown.").tag(sync=True)
    opacity = traitlets.Float(0.5, help="Of the map over the image, 0 to 1.").tag(sync=True)
    colours = traitlets.Unicode(encode.PALETTES[0], help="The colour map.").tag(sync=True)
    grey = traitlets.Bool(True, help="Show the image in grey, so that all colour comes from the map.").tag(sync=True)
    truth = traitlets.Bool(True, help="Outline the true mask.").tag(sync=True)
    mode = traitlets.Unicode(MODES[0], help="overlay, wipe, side (by side) or (all) maps.").tag(sync=True)
    order = traitlets.Unicode(ORDERS[0], help=", ".join(ORDERS)).tag(sync=True)

    def __init__(self, inputs: ExplorerInputs, threshold: float = THRESHOLD):
        self.inputs = inputs
        shape = inputs.images.shape[1:3]
        self._maps = [
            (name, [encode.pack_plane(encode.map_levels(upsample(map_, shape))) for map_ in maps])
            for name, maps in inputs.maps.items()
        ]
        super().__init__(
            _data=self.data(encode.png), _still=still_name(), map=next(iter(inputs.maps)), threshold=threshold
        )

    def data(self, encode_image) -> dict:
        """Everything sent to the browser, arrays as bytes; encode_image(uint8 [H, W, 3]) gives an image file."""
        inputs = self.inputs
        return {
            "size": list(inputs.images.shape[1:3]),
            "images": [encode_image(image) for image in inputs.images],
            "maps": self._maps,
            "masks": [] if inputs.masks is None else [encode.pack_plane(mask) for mask in inputs.masks],
            "scores": inputs.scores,
            "areas": inputs.areas,
            "labels": inputs.labels,
            "components": inputs.components,
            "names": inputs.names,
            "palettes": encode.colour_tables(),
        }

    def choices(self) -> dict:
        """The traits that a page starts with."""
        names = ("selected", "threshold", "map", "opacity", "colours", "grey", "truth", "mode", "order")
        return {name: getattr(self, name) for name in names}

    def to_html(self, path: str | Path, title: str = "Heat-map explorer") -> Path:
        """Write one HTML file that contains everything and needs no network; returns its path."""
        from wsdl.explorer.page import write_page

        return write_page(self, Path(path), title)

    def view(self):
        """The current view as a PIL image: the image, the map over it with its outline, the colour bar.

        With `mode = "maps"`: all maps side by side.
        """
        from wsdl.explorer.static_view import static_view

        return static_view(self)

    def __repr__(self) -> str:
        return f"<Explorer of {len(self.inputs.images)} images with maps {', '.join(self.inputs.maps)}>"

    def _ipython_display_(self):
        display_with_still(self, self._still)

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and a static image for where no widget can be shown: GitHub, nbconvert, print.

        A JPEG: notebooks are kept in git, and a PNG would be four times as large.
        """
        bundle = super()._repr_mimebundle_(**kwargs)
        buffer = BytesIO()
        self.view().save(buffer, "JPEG", quality=88, subsampling=0, optimize=True)
        bundle[0]["image/jpeg"] = b64encode(buffer.getvalue()).decode()
        return bundle

    def current_map(self) -> np.ndarray:
        """The map shown, at the size of its image: float32 [H, W], as in the metrics."""
        return self.map_named(self.map)

    def map_named(self, name: str) -> np.ndarray:
        """The map `name` of the current image, at the size of the image: float32 [H, W]."""
        return upsample(self.inputs.maps[name][self.selected], self.inputs.images.shape[1:3])

    @traitlets.validate("selected")
    def _check_selected(self, proposal):
        last = len(self.inputs.images) - 1
        if not 0 <= proposal.value <= last:
            raise WsdlError(f"selected is {proposal.value}, but must be from 0 to {last}.")
        return proposal.value

    @traitlets.validate("threshold", "opacity")
    def _check_fraction(self, proposal):
        if not 0 <= proposal.value <= 1:
            raise WsdlError(f"{proposal.trait.name} is {proposal.value}, but must be between 0 and 1.")
        return round(proposal.value * encode.STEPS) / encode.STEPS

    @traitlets.validate("map", "colours", "mode", "order")
    def _check_choice(self, proposal):
        inputs = self.inputs
        needed = {
            "score": inputs.scores,
            "iou": inputs.masks is not None,
            "component": inputs.components,
            "given": True,
        }
        orders = tuple(order for order in ORDERS if needed[order.split("-")[0]])
        valid = {"map": tuple(inputs.maps), "colours": encode.PALETTES, "mode": MODES, "order": orders}
        if proposal.value not in (values := valid[proposal.trait.name]):
            raise WsdlError(f"{proposal.trait.name} is '{proposal.value}', but must be one of {', '.join(values)}.")
        return proposal.value
