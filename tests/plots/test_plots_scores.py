"""Figures of scores draw the values of their tables."""

import io

import numpy as np
import pandas as pd
import pytest
from factories import scored_images
from matplotlib.text import Text
from PIL import Image

from wsdl import plots
from wsdl.evaluation.breakdown import by_area, by_component, compare_runs, partial_fakes, worst_and_best
from wsdl.evaluation.calibration import iou_curve, reliability_sums, reliability_table, threshold_table

RNG = np.random.default_rng(0)
CELLS = {"Setup B": partial_fakes([scored_images(0)]), "Setup C": partial_fakes([scored_images(1)])}
TABLE = compare_runs({name: [fakes] for name, fakes in CELLS.items()})
MASKS = np.zeros((5, 32, 32), np.uint8)
MASKS[:, 8:20, 10:25] = 1
MAPS = np.clip(0.4 * MASKS + 0.6 * RNG.random((5, 32, 32)), 0, 1).astype(np.float32)
CURVE = threshold_table(np.array([iou_curve(*pair) for pair in zip(MAPS, MASKS, strict=True)]), np.arange(5))
RELIABLE = reliability_table(sum(reliability_sums(*pair, 10) for pair in zip(MAPS, MASKS, strict=True)))
PICTURES = RNG.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def standing(source: str, method: str, setup: str, iou: float, seeds: str = "0", spread: float = 0) -> dict:
    row = {"source": source, "method": method, "setup": setup, "seeds": seeds}
    for score in ("iou", "pbca", "ap"):
        row |= {score: iou, f"{score}_low": iou - 0.05, f"{score}_high": iou + 0.05}
        row |= {f"{score}_least": iou - spread, f"{score}_most": iou + spread}
    return row


STANDING = pd.DataFrame(
    [
        standing("studio", "patches", "a", 0.3, "0 1", 0.02),
        standing("studio (lama)", "patches", "c", 0.8),
        standing("snapshot", "patches", "a", 0.2),
        standing("studio", "control: all-fake", "", 0.1),
        standing("studio", "control: centre-prior", "", 0.18),
        standing("studio", "forensic: ela", "", 0.6),
        standing("snapshot", "control: all-fake", "", 0.12),
    ]
)


def cases(n: int = 3) -> list[dict]:
    return [
        {"images": PICTURES[:n], "masks": MASKS[:n], "maps": MAPS[:n], "notes": plots.case_notes(rows)}
        for rows in worst_and_best(CELLS["Setup B"], n)
    ]


FIGURES = {
    "components": lambda: plots.component_scores(TABLE),
    "components of one": lambda: plots.component_scores(TABLE[TABLE.who == "Setup B"]),
    "areas": lambda: plots.area_scores(CELLS),
    "areas of one": lambda: plots.area_scores({"Setup B": CELLS["Setup B"]}),
    "thresholds": lambda: plots.threshold_curves({"setup b": CURVE, "setup c": CURVE}, baseline=0.19),
    "reliability": lambda: plots.reliability_diagram({"setup b": RELIABLE, "setup c": RELIABLE}),
    "reliability of one": lambda: plots.reliability_diagram({"setup b": RELIABLE}),
    "gallery": lambda: plots.case_gallery(*cases()),
    "standings": lambda: plots.score_intervals(STANDING),
    "standings of one": lambda: plots.score_intervals(STANDING[STANDING.source == "snapshot"]),
    "gallery of one": lambda: plots.case_gallery(*cases(1)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_legible_and_fit_the_page(name):
    chart = FIGURES[name]()
    shown = Image.open(io.BytesIO(chart._repr_png_()))
    assert 250 < shown.width <= 1200
    assert [t.get_text() for t in chart.findobj(Text) if t.get_text() and t.get_fontsize() < 11] == []


LOSS = pd.DataFrame({"treatment": ["none", "JPEG"], "level": [0, 90], "unit": ["", "quality"], "iou": [0.8, 0.2],
                     "iou_low": [0.7, 0.1], "iou_high": [0.9, 0.3]})  # fmt: skip


@pytest.mark.parametrize("draw", [*list(FIGURES.values())[:5], lambda: plots.robustness_curves({"patches, c": LOSS})])
def test_scores_are_in_percent(draw):
    chart = draw()
    chart.canvas.draw()
    ax = chart.axes[0]
    assert "%" in ax.get_ylabel()
    assert {"0", "100"} <= {label.get_text() for label in ax.get_yticklabels()}


def test_component_scores_shows_values_intervals_and_baseline():
    ax = plots.component_scores(TABLE).axes[0]
    for name, line in zip(CELLS, ax.lines, strict=False):
        part = by_component(CELLS[name])
        assert line.get_ydata() == pytest.approx(part.value.to_numpy())
    intervals = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()])
    assert intervals == pytest.approx(by_component(CELLS["Setup B"])[["low", "high"]].to_numpy())
    assert {text.get_text() for text in ax.get_legend().texts} == {*CELLS, "all-fake"}
    assert ax.get_xticklabels()[0].get_text() == "skin\n14"
    assert {text.get_text() for text in plots.component_scores(TABLE, "PBCA").axes[0].get_legend().texts} == set(CELLS)


def test_area_scores_has_a_dot_per_image_and_binned_means():
    axes = plots.area_scores(CELLS, bins=5).axes
    for ax, (name, fakes) in zip(axes, CELLS.items(), strict=True):
        baseline, dots, means = ax.lines
        assert ax.get_title(loc="left") == name
        assert ax.get_xscale() == "log"
        assert np.array_equal(baseline.get_xdata(), baseline.get_ydata())  # all-fake: IoU is the area
        assert dots.get_xydata() == pytest.approx(fakes[["area", "iou"]].to_numpy())
        assert means.get_ydata() == pytest.approx(by_area(fakes, 5).value.to_numpy())


def test_threshold_curves_marks_one_half():
    ax = plots.threshold_curves({"setup b": CURVE}).axes[0]
    dot = ax.lines[-1]
    assert dot.get_xdata() == [0.5]
    assert dot.get_ydata()[0] == pytest.approx(CURVE.iou[50])


def test_reliability_diagram_shows_diagonal_bins_and_counts():
    above, below = plots.reliability_diagram({"setup b": RELIABLE}).axes
    diagonal, dots = above.lines
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    full = RELIABLE[RELIABLE.n > 0]
    assert dots.get_xydata() == pytest.approx(full[["probability", "inpainted"]].to_numpy())
    assert [bar.get_height() for bar in below.patches] == list(RELIABLE.n)


def test_case_gallery_shows_both_sides_on_one_scale_with_iou():
    chart = plots.case_gallery(*cases())
    maps = [ax.images[0] for ax in chart.axes if ax.images and ax.images[0].get_cmap().name == plots.MAP_COLOURS]
    assert len(maps) == 6
    assert {image.get_clim() for image in maps} == {(0, 1)}
    said = [text.get_text() for text in chart.findobj(Text)]
    worst, easiest = worst_and_best(CELLS["Setup B"], 3)
    assert {"worst", "best", "image", "inpainted", "map"} <= set(said)
    assert set(plots.case_notes(worst)) | set(plots.case_notes(easiest)) <= set(said)
    assert plots.case_notes(worst)[0] == f"{worst.component.iloc[0]}\nIoU {100 * worst.iou.iloc[0]:.0f} %"


def test_score_intervals_shows_means_intervals_seeds_and_baselines():
    studio, snapshot = plots.score_intervals(STANDING, "ap").axes
    assert [label.get_text() for label in studio.get_yticklabels()] == ["Patches, setup A", "Patches, setup C (lama)"]
    assert [line.get_xdata()[0] for line in studio.lines] == pytest.approx([30, 80])
    first, ticks, second = (np.array(lines.get_segments())[:, :, 0] for lines in studio.collections)
    assert (first.ravel(), second.ravel()) == (pytest.approx([25, 35]), pytest.approx([75, 85]))
    assert sorted(set(ticks.ravel())) == pytest.approx([28, 32])
    bands = (
        [ax.patches[0].get_x() for ax in (studio, snapshot)],
        [ax.patches[0].get_width() for ax in (studio, snapshot)],
    )
    assert bands == (pytest.approx([13, 7]), pytest.approx([10, 10]))
