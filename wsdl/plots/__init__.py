"""Figures: maps over images, score tables and charts.

Maps are always drawn on the scale [0, 1] with a colour bar; blue is real, orange-red is fake. A function returns a
figure, which a notebook displays where it is the last line of a cell, or a PIL image; `save_figure` writes either.
"""

from wsdl.data.contact_sheet import contact_sheet
from wsdl.plots.architectures import architectures
from wsdl.plots.charts import noise_schedule, patch_histogram, results_table, training_curves
from wsdl.plots.faces import before_and_after, component_legend, label_map, map_grid
from wsdl.plots.heatmap import map_overlay, tint_mask
from wsdl.plots.score_intervals import score_intervals
from wsdl.plots.scores import (
    area_scores,
    case_gallery,
    case_notes,
    component_scores,
    reliability_diagram,
    threshold_curves,
)
from wsdl.plots.style import FAKE, MAP_COLOURS, PALETTE, REAL, figure_to_image, in_percent, new_figure, save_figure
from wsdl.plots.transfer import generator_gallery, robustness_curves, transfer_matrix

__all__ = [
    "FAKE",
    "MAP_COLOURS",
    "PALETTE",
    "REAL",
    "architectures",
    "area_scores",
    "before_and_after",
    "case_gallery",
    "case_notes",
    "component_legend",
    "component_scores",
    "contact_sheet",
    "figure_to_image",
    "generator_gallery",
    "in_percent",
    "label_map",
    "map_grid",
    "map_overlay",
    "new_figure",
    "noise_schedule",
    "patch_histogram",
    "reliability_diagram",
    "results_table",
    "robustness_curves",
    "save_figure",
    "score_intervals",
    "threshold_curves",
    "tint_mask",
    "training_curves",
    "transfer_matrix",
]
