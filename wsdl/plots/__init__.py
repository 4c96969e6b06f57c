"""Figures that teach. Maps are always shown on the scale [0, 1] with a colour bar; blue is real, orange-red is fake.

Helpers return a figure (shown by a notebook where it is the last line of a cell) or a PIL image; `save` writes either.
"""

from wsdl.data.contact_sheet import contact_sheet
from wsdl.plots.charts import curves, histogram, schedule, table
from wsdl.plots.faces import component_legend, label_map, maps, overlay, strip
from wsdl.plots.scores import areas, case_notes, components, gallery, reliability, thresholds
from wsdl.plots.standings import standings
from wsdl.plots.style import FAKE, MAP_COLOURS, PALETTE, REAL, figure, save, to_image
from wsdl.plots.transfer import matrix, painters, robustness

__all__ = [
    "FAKE",
    "MAP_COLOURS",
    "PALETTE",
    "REAL",
    "areas",
    "case_notes",
    "component_legend",
    "components",
    "contact_sheet",
    "curves",
    "figure",
    "gallery",
    "histogram",
    "label_map",
    "maps",
    "matrix",
    "overlay",
    "painters",
    "reliability",
    "robustness",
    "save",
    "schedule",
    "standings",
    "strip",
    "table",
    "thresholds",
    "to_image",
]
