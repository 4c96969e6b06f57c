"""Figures: return types, the scale of maps, font sizes, file sizes."""

import io

import numpy as np
import pandas as pd
import pytest
from factories_report import PageReader
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from wsdl import plots
from wsdl.data.masks import CLASSES
from wsdl.evaluation.metrics import upsample
from wsdl.generators.diffusion.schedule import alphas_bar, p2_weight, plain_weight
from wsdl.plots import charts
from wsdl.plots.style import figure_to_image

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
MASKS = np.zeros((3, 32, 32), np.uint8)
MASKS[:, 8:20, 10:25] = 1
FAKES = np.where(MASKS[..., None] == 1, PICTURES // 2, PICTURES)
MAPS = RNG.random((3, 8, 8)).astype(np.float32)
STATS = [{"images": 100 * i, "loss": 1 / i, "validation": 1.2 / i if i % 2 else None} for i in range(1, 8)]
TABLE = pd.DataFrame(
    {
        "method": ["patches", "control: all-real", "all-fake", "forensic: ela"],
        "setup": ["b", "-", "-", "-"],
        "iou": [0.377, 0.0, 0.19, 0.045],
        "iou_low": [0.35, 0.0, np.nan, 0.037],
        "iou_high": [0.402, 0.0, np.nan, 0.053],
        "ap": [np.nan, 0.5, 0.5, 0.407],
        "seed": [0, 0, 1, 0],
    }
)
ABAR = alphas_bar()
WEIGHTS = {"plain": plain_weight(ABAR, "x0"), "P2": p2_weight(ABAR, "x0")}
FIGURES = {
    "overlay": lambda: plots.map_overlay(PICTURES[0], MAPS[0]),
    "strip": lambda: plots.before_and_after(PICTURES, FAKES, MASKS, MAPS, rows=["hair", "skin", "nose"]),
    "strip, one face, no map": lambda: plots.before_and_after(PICTURES[:1], FAKES[:1], MASKS[:1]),
    "maps": lambda: plots.map_grid(FAKES, MASKS, {"patches": MAPS, "centre prior": MAPS * 0}),
    "maps, one face": lambda: plots.map_grid(FAKES[:1], MASKS[:1], {"patches": MAPS[:1]}),
    "curves": lambda: plots.training_curves(STATS),
    "curves of runs": lambda: plots.training_curves({"a": STATS, "b": STATS}),
    "table": lambda: plots.results_table(TABLE),
    "schedule": lambda: plots.noise_schedule(ABAR, WEIGHTS),
    "histogram": lambda: plots.patch_histogram({"real": MAPS[0], "fake": MAPS[1]}, lines={"corrected": 0.62}),
}


def scales(chart):
    """(vmin, vmax) of every image drawn in the colours of maps, colour bars included."""
    return [image.get_clim() for ax in chart.axes for image in ax.images if image.get_cmap().name == plots.MAP_COLOURS]


def bars(chart):
    return [ax for ax in chart.axes if ax.get_label() == "<colorbar>"]


def texts(chart):
    return [text.get_text() for text in chart.findobj(Text)]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_legible_and_displayed_once(name):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    chart = FIGURES[name]()
    assert isinstance(chart, Figure)
    shown = figure_to_image(chart)
    assert bool(chart._repr_html_()) or Image.open(io.BytesIO(chart._repr_png_())).format == "PNG"
    assert 250 < shown.width <= 1200
    small = [(t.get_text(), t.get_fontsize()) for t in chart.findobj(Text) if t.get_text() and t.get_fontsize() < 11]
    assert small == []
    assert plt.get_fignums() == before  # pyplot would show the figure a second time


@pytest.mark.parametrize("name", [name for name in FIGURES if name.startswith(("overlay", "maps", "strip"))])
def test_maps_share_the_scale_from_0_to_1(name):
    chart = FIGURES[name]()
    assert set(scales(chart)) <= {(0, 1)}
    with_map = name != "strip, one face, no map"
    assert bool(scales(chart)) == with_map
    if with_map:
        low, high = bars(chart)[-1].get_xlim() if "strip" in name else bars(chart)[-1].get_ylim()
        assert (low, high) == (0, 1)


@pytest.mark.parametrize("level", [0.0, 0.3, 0.5, 1.0])
def test_a_constant_map_is_not_normalised(level):
    chart = plots.map_overlay(PICTURES[0], np.full((8, 8), level))
    assert scales(chart) == [(0, 1)]
    assert bars(chart)[0].get_ylim() == (0, 1)
    assert len(chart.axes[0].collections) == 0  # no border where nothing, or everything, is fake


def test_map_overlay_draws_the_scored_map_and_its_outline():
    chart, axes = plots.new_figure(1, 2)
    assert plots.map_overlay(PICTURES[0], MAPS[0], ax=axes[1]) is chart
    assert not axes[0].images
    grey, heat = axes[1].images
    assert np.array_equal(heat.get_array(), upsample(MAPS[0], (32, 32)))
    assert grey.get_array().shape == (32, 32)
    (contour,) = axes[1].collections
    assert contour.levels.tolist() == [0.5]
    assert axes[1].get_xlim() == (-0.5, 31.5)


def test_before_and_after_shows_the_difference_on_a_fixed_scale():
    chart = plots.before_and_after(PICTURES, FAKES, MASKS, gain=5)
    (shown,) = chart.axes[2].images
    assert np.allclose(shown.get_array(), np.abs(PICTURES[0].astype(int) - FAKES[0]).mean(axis=-1))
    assert shown.get_clim() == (0, 51)
    assert "difference, 5 x" in texts(chart)


def test_map_grid_has_faces_by_detectors_and_one_colour_bar():
    chart = plots.map_grid(FAKES, MASKS, {"patches": MAPS, "grad-cam": MAPS}, rows=["hair", "skin", "nose"])
    assert len(chart.axes) == 3 * 4 + 1
    assert len(bars(chart)) == 1
    assert {"Patches", "Grad-CAM", "hair", "skin", "nose"} <= set(texts(chart))
    with pytest.raises(ValueError, match="shorter"):
        plots.map_grid(FAKES, MASKS, {"patches": MAPS}, rows=["hair"])


def test_titles_of_maps_are_broken_at_the_comma_where_one_is_too_long():
    chart = plots.map_grid(FAKES, MASKS, {"patches, a": MAPS, "grad-cam, c": MAPS, "round 1": MAPS})
    titles = [ax.get_title() for ax in chart.axes[:5]]
    assert titles == ["image", "inpainted", "Patches,\nsetup A", "Grad-CAM,\nsetup C", "round 1"]
    chart = plots.map_grid(FAKES, MASKS, {"patches, a": MAPS, "every patch, learned": MAPS[:3]})
    assert [ax.get_title() for ax in chart.axes[2:4]] == ["Patches,\nsetup A", "every patch,\nlearned"]


def test_contact_sheet_places_images_and_keeps_their_pixels():
    sheet = plots.contact_sheet(PICTURES, columns=2, scale=2)
    assert isinstance(sheet, Image.Image)
    assert sheet.size == (2 * 64 + 6, 2 * 64 + 6)
    pixels = np.asarray(sheet)
    assert np.array_equal(pixels[:64:2, :64:2], PICTURES[0])
    assert np.array_equal(pixels[70::2, :64:2], PICTURES[2])
    assert (pixels[70:, 70:] == 255).all()  # the fourth place stays white
    assert plots.contact_sheet(PICTURES).width == 3 * 32 * 4 + 2 * 6


def test_contact_sheet_titles_are_above_and_cut_to_width():
    plain, titled = (
        plots.contact_sheet(PICTURES),
        plots.contact_sheet(PICTURES, ["real", "", "a title far too long for its image"]),
    )
    head = titled.height - plain.height
    pixels = np.asarray(titled)
    assert head > 12
    assert np.array_equal(pixels[head:, :128], np.asarray(plain)[:, :128])
    assert (pixels[:head, :128] < 100).any()
    assert (pixels[:head, 128:268] == 255).all()


def test_label_map_gives_each_component_its_own_colour():
    labels = np.arange(len(CLASSES), dtype=np.uint8)[None]
    colours = plots.label_map(labels)
    assert colours.shape == (1, len(CLASSES), 3)
    assert colours.dtype == np.uint8
    named = {name: tuple(colours[0, CLASSES.index(name)]) for name in ("skin", "nose", "glasses", "hair")}
    assert len({*named.values(), tuple(colours[0, 4]), tuple(colours[0, 11]), tuple(colours[0, 0])}) == 7
    assert np.array_equal(colours[0, 4], colours[0, 5])  # both eyes
    assert np.array_equal(colours[0, 17], colours[0, 18])  # neck and cloth are "other"
    _, ax = plots.new_figure()
    plots.component_legend(ax)
    legend = {t.get_text(): p for t, p in zip(ax.get_legend().texts, ax.get_legend().get_patches(), strict=True)}
    for name, colour in named.items():
        assert np.allclose(legend[name].get_facecolor()[:3], np.array(colour) / 255, atol=0.01)


def test_real_and_fake_colours_differ_with_colour_blindness():
    from colorsys import rgb_to_hls

    real, fake = to_rgb(plots.REAL), to_rgb(plots.FAKE)
    assert real[2] - fake[2] > 0.5  # blue against orange-red: the pair that no common colour blindness merges
    assert abs(rgb_to_hls(*real)[0] - rgb_to_hls(*fake)[0]) > 0.3


def test_training_curves_skip_missing_values_and_separate_labels():
    ax = plots.training_curves(STATS).axes[0]
    assert [len(line.get_xdata()) for line in ax.lines] == [7, 4]
    assert ax.get_xlabel() == "images processed"
    labels = {text.get_text(): text for text in ax.texts}
    assert set(labels) == {"loss", "validation"}
    assert labels["validation"].get_position()[1] - labels["loss"].get_position()[1] > 0.08
    assert [labels[line].get_color() for line in ("loss", "validation")] == [line.get_color() for line in ax.lines]


def test_no_label_lies_below_the_axis():
    ends = {str(n): (0.001 * n, "black") for n in range(4)} | {"top": (1.0, "black")}
    _, ax = plots.new_figure()
    ax.set_ylim(0, 1)
    charts._label_ends(ax, ends)
    heights = sorted(text.get_position()[1] for text in ax.texts)
    assert heights[0] > 0
    assert min(np.diff(heights)) > 0.9 * charts.LABEL_HEIGHT


def test_training_curves_of_several_runs_have_a_panel_per_key():
    chart = plots.training_curves({"a": STATS, "b": STATS[:3]}, keys=("loss", "validation"))
    assert [ax.get_title(loc="left") for ax in chart.axes] == ["loss", "validation"]
    assert [len(ax.lines) for ax in chart.axes] == [2, 2]


def test_a_run_has_one_colour_in_all_panels():
    """Also where the runs before it have no values in one of them."""
    chart = plots.training_curves({"a": [{"images": 1, "loss": 1.0}], "b": STATS[:3]}, keys=("loss", "validation"))
    colours = [{line.get_label(): line.get_color() for line in ax.lines} for ax in chart.axes]
    assert colours[0]["b"] == colours[1]["b"]
    assert set(colours[1]) == {"b"}


def test_training_curves_with_long_names_use_a_legend():
    chart = plots.training_curves({"patches-c-repaint-p2-studio-s0-matched": STATS, "b": STATS[:3]})
    assert [len(ax.texts) for ax in chart.axes] == [0, 0]
    names = [text.get_text() for text in chart.legends[0].get_texts()]
    assert names == ["patches-c-repaint-p2-studio-s0-matched", "b"]


def test_results_table_shows_percent_and_shades_baselines():
    chart = plots.results_table(TABLE)
    shown = texts(chart)
    assert "37.7 (35.0 to 40.2)" in shown
    assert "19.0" in shown  # no interval known
    assert {"IoU %", "AP %", "50.0", "-"} <= set(shown)
    assert not any("iou_low" in text for text in shown)
    shaded = [patch.get_y() for patch in chart.findobj(lambda artist: artist.get_gid() == "shaded")]
    assert shaded == [2, 3, 4]


def test_a_notebook_shows_a_results_table_as_text():
    chart = plots.results_table(TABLE)
    assert chart._repr_png_() is None
    shown = PageReader(chart._repr_html_()).rows
    assert "37.7 (35.0 to 40.2)" in [cell for row in shown for cell in row]
    assert len([row for row in shown if row]) == 1 + len(TABLE)
    assert chart._repr_html_().count('<tr class="shaded" style="background-color: ') == 3  # JupyterLab lacks our style
    curves = plots.training_curves([{"images": 1, "loss": 1.0, "validation": 1.0}])
    assert curves._repr_html_() is None
    assert curves._repr_png_()


def test_noise_schedule_draws_signal_noise_and_weights():
    left, right = plots.noise_schedule(ABAR, WEIGHTS).axes
    signal, noise = (line.get_ydata() for line in left.lines)
    assert np.allclose(signal**2 + noise**2, 1)
    assert signal[0] > 0.99
    assert right.get_yscale() == "log"
    assert np.allclose(right.lines[1].get_ydata(), ABAR)  # P2 on the error of x0, gamma = k = 1
    linear = plots.noise_schedule(ABAR, {"plain": plain_weight(ABAR, "noise"), "P2": p2_weight(ABAR, "noise")})
    assert linear.axes[1].get_yscale() == "linear"


def test_patch_histogram_counts_fractions_and_marks_the_threshold():
    values = {"fake patches": np.full((2, 5, 5), 0.9), "real patches": np.full(10, 0.1)}
    ax = plots.patch_histogram(values, threshold=0.5, lines={"corrected": 0.62}, bins=10).axes[0]
    outlines = {patch.get_label(): patch for patch in ax.patches if not patch.get_label().startswith("_")}
    assert [sum(outlines[name].get_data().values) for name in values] == pytest.approx([1, 1])
    assert outlines["fake patches"].get_edgecolor()[:3] == to_rgb(plots.FAKE)
    assert outlines["real patches"].get_edgecolor()[:3] == to_rgb(plots.REAL)
    assert {round(line.get_segments()[0][0, 0], 2) for line in ax.collections} == {0.5, 0.62}
    assert {"threshold 0.5", "corrected"} == {text.get_text() for text in ax.texts}


def test_a_table_names_baselines_in_words():
    texts = {text.get_text() for text in FIGURES["table"]().findobj(Text)}
    assert {"baseline: all-real", "baseline: ELA"} <= texts
    assert not any(text.startswith(("control", "forensic")) for text in texts)
