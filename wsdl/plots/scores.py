"""Figures of localisation scores: by component, mask area and threshold; calibration; single cases."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter

from wsdl.evaluation.baselines import run_label
from wsdl.evaluation.breakdown import by_area
from wsdl.evaluation.calibration import calibration_error
from wsdl.plots.heatmap import map_bar, show_map, tint_mask
from wsdl.plots.style import PALETTE, hide_axes, in_percent, new_figure, styled

BASELINE_COLOUR = "#777777"
GUIDE = "#333333"
CASE = 1.3  # inches, the side of one image in the gallery


@styled
def component_scores(table: pd.DataFrame, label: str = "IoU") -> Figure:
    """Score of each component with its 95 % interval, one colour per detector (`who`).

    table: from `evaluation.breakdown.compare_runs`. The grey bar is the mean area of the component's masks, which is
    the IoU of an all-fake map.
    """
    names, who = list(dict.fromkeys(table.component)), list(dict.fromkeys(table.who))
    chart, ax = new_figure(size=(max(6.5, 1.25 * len(names) + 1.5), 4.2))
    if "all" in names:
        ax.axvspan(len(names) - 1.5, len(names) - 0.5, color="#F1F1F1", linewidth=0)
    step = min(0.22, 0.7 / len(who))
    for k, one in enumerate(who):
        part = table[table.who == one].set_index("component").reindex(names)
        x = np.arange(len(names)) + (k - (len(who) - 1) / 2) * step
        ax.vlines(x, part.low, part.high, color=PALETTE[k % len(PALETTE)], linewidth=2.4, alpha=0.55)
        ax.plot(x, part.value, "o", color=PALETTE[k % len(PALETTE)], markersize=8, label=run_label(one))
    first = table.drop_duplicates("component").set_index("component").reindex(names)
    for x, area in enumerate(first.area if label == "IoU" else []):
        ax.hlines(area, x - 0.42, x + 0.42, color=BASELINE_COLOUR, linewidth=2, zorder=1)
    ax.set_xticks(range(len(names)), [f"{name}\n{n:,}" for name, n in zip(names, first.n, strict=True)])
    ax.set(xlim=(-0.6, len(names) - 0.5), ylim=(0, 1), ylabel=f"mean {label}, %, and 95 % interval")
    in_percent(ax.yaxis)
    ax.set_xlabel("component, number of test fakes")
    ax.tick_params(axis="x", length=0)
    guide = [Line2D([], [], color=BASELINE_COLOUR, label="all-fake")] if label == "IoU" else []
    _legend(ax, [*ax.get_legend_handles_labels()[0], *guide])
    return chart


@styled
def area_scores(fakes: dict[str, pd.DataFrame], bins: int = 6, score: str = "iou", label: str = "IoU") -> Figure:
    """Score against the area of the mask, a panel a name; `fakes` are from `wsdl.evaluation.breakdown.partial_fakes`.

    A pale dot is one image; the line joins the means of bins with about equal counts, with 95 % intervals over source
    faces. The grey curve is an all-fake map, whose IoU is the area.
    """
    chart, axes = new_figure(1, len(fakes), (max(6, 3.6 * len(fakes) + 0.6), 4), sharey=True)
    least = min(part.area.min() for part in fakes.values())
    grid = np.geomspace(least / 1.2, 1, 100)
    for k, (ax, (name, part)) in enumerate(zip(np.ravel(axes), fakes.items(), strict=True)):
        colour, binned = PALETTE[k % len(PALETTE)], by_area(part, bins, score)
        if score == "iou":
            ax.plot(grid, grid, color=BASELINE_COLOUR, linewidth=1.6)
        ax.plot(part.area, part[score], "o", color=colour, markersize=4, alpha=0.25, markeredgewidth=0)
        ax.vlines(binned.middle, binned.low, binned.high, color=colour, linewidth=2.6)
        ax.plot(binned.middle, binned.value, "o-", color=colour, markersize=7, markeredgecolor="white")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda area, _: f"{100 * area:g} %"))
        ax.minorticks_off()
        ax.set(xlim=(grid[0], 1), ylim=(0, 1.03))
        ax.set_title(run_label(name), loc="left", color=colour)
    chart.supxlabel("area of the mask, fraction of the image", fontsize=13)
    np.ravel(axes)[0].set_ylabel(f"{label}, %")
    in_percent(np.ravel(axes)[0].yaxis)
    if score == "iou":
        handle = Line2D([], [], color=BASELINE_COLOUR, label="all-fake")
        np.ravel(axes)[-1].legend(handles=[handle], loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)
    return chart


@styled
def threshold_curves(tables: dict[str, pd.DataFrame], baseline: float | None = None) -> Figure:
    """Mean IoU against the threshold, with 95 % bands; `tables`: name -> thresholds of `evaluation.calibration`.

    baseline: the mean area of the masks, drawn as the IoU of an all-fake map. A dot marks threshold 0.5.
    """
    chart, ax = new_figure(size=(8, 4.2))
    ax.axvline(0.5, color=GUIDE, linewidth=1)
    for k, (name, table) in enumerate(tables.items()):
        colour = PALETTE[k % len(PALETTE)]
        ax.fill_between(table.threshold, table.low, table.high, color=colour, alpha=0.15, linewidth=0)
        ax.plot(table.threshold, table.iou, color=colour, label=run_label(name))
        ax.plot([0.5], np.interp([0.5], table.threshold, table.iou), "o", color=colour, markersize=8)
    if baseline is not None:
        ax.axhline(baseline, color=BASELINE_COLOUR, linewidth=1.6, label="all-fake", zorder=1)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="threshold: fake where the map is above it", ylabel="mean IoU, %")
    in_percent(ax.yaxis)
    _legend(ax)
    return chart


@styled
def reliability_diagram(tables: dict[str, pd.DataFrame]) -> Figure:
    """Reliability diagrams of patch probabilities, one column per name; `tables`: those of `calibration`.

    Above: the fraction of fake pixels in the patches of each bin; a calibrated detector is on the diagonal. Below: the
    number of patches in each bin, on a logarithmic scale.
    """
    size = (max(5, 3.7 * len(tables) + 0.6), 5.2)
    chart, axes = new_figure(2, len(tables), size, sharex=True, sharey="row", height_ratios=(3, 1))
    most = max(table.n.max() for table in tables.values())
    for k, ((above, below), (name, table)) in enumerate(zip(np.reshape(axes, (2, -1)).T, tables.items(), strict=True)):
        colour, full = PALETTE[k % len(PALETTE)], table[table.n > 0]
        above.plot([0, 1], [0, 1], color=BASELINE_COLOUR, linewidth=1.6)
        above.vlines(full.probability, full.probability, full.inpainted, color=colour, linewidth=2, alpha=0.35)
        above.plot(full.probability, full.inpainted, "o-", color=colour, markersize=7, markeredgecolor="white")
        above.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        above.set_title(run_label(name), loc="left", color=colour)
        above.text(0.04, 0.95, f"calibration\nerror {calibration_error(table):.2f}", va="top", color=GUIDE)
        below.bar(table.least, table.n, width=table.most - table.least, align="edge", color=colour, alpha=0.5,
                  edgecolor="white")  # fmt: skip
        below.set(yscale="log", ylim=(0.8, 2 * most))
        below.yaxis.set_major_formatter(EngFormatter(sep=""))
        below.minorticks_off()
        in_percent(below.xaxis)
    first = np.reshape(axes, (2, -1))[:, 0]
    in_percent(first[0].yaxis)
    first[0].set_ylabel("fake pixels, %")
    first[1].set_ylabel("patches")
    chart.supxlabel("probability of fake, %", fontsize=13)
    return chart


@styled
def case_gallery(worst: dict[str, np.ndarray], best: dict[str, np.ndarray]) -> Figure:
    """Worst cases left, best cases right: the image, its inpainted region, and the map with its IoU below.

    Each side: `images`, `masks`, `maps` [n, H, W] from `breakdown.predict_rows`, and `notes`, n texts such as from
    `case_notes`. The white outline is the mask; all maps share one scale.
    """
    counts = [len(side["images"]) for side in (worst, best)]
    chart, axes = new_figure(
        3, sum(counts) + 1, (CASE * (sum(counts) + 0.3) + 1.2, CASE * 3 + 1.2), "compressed",
        width_ratios=[*[1] * counts[0], 0.25, *[1] * counts[1]],
    )  # fmt: skip
    for ax in axes[:, counts[0]]:
        ax.set_visible(False)
    for side, first, title in ((worst, 0, "worst"), (best, counts[0] + 1, "best")):
        for k, note in enumerate(side["notes"]):
            top, middle, bottom = axes[:, first + k]
            top.imshow(side["images"][k])
            middle.imshow(tint_mask(side["images"][k], side["masks"][k]))
            shown = show_map(bottom, side["maps"][k], side["masks"][k], line=0.8)
            for ax in (top, middle, bottom):
                hide_axes(ax)
            bottom.set_xlabel(note, fontsize=12)
        axes[0, first].set_title(title, loc="left", fontweight="bold")
    for ax, name in zip(axes[:, 0], ("image", "inpainted", "map"), strict=True):
        ax.set_ylabel(name)
    map_bar(shown, axes, shrink=0.7)
    return chart


def case_notes(rows: pd.DataFrame) -> list[str]:
    """Component and IoU of each row, as captions of the maps."""
    return [f"{row.component}\nIoU {100 * row.iou:.0f} %" for row in rows.itertuples()]


def _legend(ax: Axes, handles: list | None = None) -> None:
    handles = handles or ax.get_legend_handles_labels()[0]
    ax.legend(handles=handles, ncols=len(handles), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2,
              handlelength=1.4, columnspacing=1.5)  # fmt: skip
