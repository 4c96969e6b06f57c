"""Charts of numbers: training curves, results tables, noise schedules, histograms."""

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator

from wsdl.core.html import html_table
from wsdl.evaluation.baselines import TRIVIAL_BASELINES, row_kind, row_label, run_label
from wsdl.plots.style import FAKE, PALETTE, REAL, SCORE_LABELS, new_figure, styled

LABEL_HEIGHT = 0.085  # as a fraction of the height of the axes
SHORT_NAME = 24  # characters; longer names are written below the panels, not next to their lines
NOTE = "In brackets: 95 % interval over source faces. Shaded: baselines without training."


@styled
def training_curves(
    stats: list[dict] | dict[str, list[dict]], keys: tuple[str, ...] = ("loss", "validation")
) -> Figure:
    """Training curves against the number of images processed.

    stats: the rows of one run's stats.jsonl, or name -> rows for several runs. One run: all keys in one panel. Several:
    one panel per key, one line per run. Lines are labelled at their ends, or below the panels where a name is long.
    """
    if isinstance(stats, list):
        chart, ax = new_figure(size=(8, 4))
        _lines(ax, {key: (stats, key) for key in keys})
        return chart
    stats = {run_label(name): rows for name, rows in stats.items()}
    short = max(map(len, stats)) <= SHORT_NAME
    chart, axes = new_figure(1, len(keys), (5.5 * len(keys), 4 if short else 4 + 0.25 * len(stats)))
    for ax, key in zip(np.ravel(axes), keys, strict=True):
        _lines(ax, {name: (rows, key) for name, rows in stats.items()}, short)
        ax.set_title(key, loc="left")
    if not short:
        chart.legend(*np.ravel(axes)[0].get_legend_handles_labels(), loc="outside lower left")
    return chart


def _lines(ax: Axes, lines: dict[str, tuple[list[dict], str]], at_ends: bool = True) -> None:
    ends = {}
    for number, (name, (rows, key)) in enumerate(lines.items()):
        points = [(row["images"], row[key]) for row in rows if row.get(key) is not None]
        if not points:
            continue
        (line,) = ax.plot(*zip(*points, strict=True), color=PALETTE[number % len(PALETTE)], label=name)
        if len(points) == 1:
            line.set_marker("o")
        ends[name] = (points[-1][1], line.get_color())
    ax.set_xlabel("images processed")
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.margins(x=0.01)
    if at_ends:
        _label_ends(ax, ends)


@styled
def _label_ends(ax: Axes, ends: dict[str, tuple[float, str]]) -> None:
    """Write each name in its colour at the right edge, at its last value; names that would overlap are moved apart."""
    bottom, top = ax.get_ylim()
    names = sorted(ends, key=lambda name: ends[name][0])
    heights = [(ends[name][0] - bottom) / (top - bottom) for name in names]
    for _ in range(50):
        heights[:1] = [max(height, LABEL_HEIGHT / 2) for height in heights[:1]]  # not beside the labels of the x axis
        for low in range(len(names) - 1):
            apart = max(0, LABEL_HEIGHT - (heights[low + 1] - heights[low])) / 2
            heights[low], heights[low + 1] = heights[low] - apart, heights[low + 1] + apart
    for name, height in zip(names, heights, strict=True):
        ax.text(1.02, height, name, color=ends[name][1], transform=ax.transAxes, va="center")


@styled
def results_table(frame: pd.DataFrame, note: str = NOTE) -> Figure:
    """Results as a figure: columns of results.csv, with `iou`, `iou_low`, `iou_high` joined into "64.9 (61.0 to 68.3)".

    Rows of baselines are shaded; a missing value is a dash. A notebook displays the table itself, as HTML.
    """
    hidden = {f"{name}_{end}" for name in SCORE_LABELS for end in ("low", "high")}
    columns = [name for name in frame.columns if name not in hidden]
    cells = [[f"{SCORE_LABELS[name]} %" if name in SCORE_LABELS else name for name in columns]]
    cells += [[_score_text(row, name) for name in columns] for row in frame.to_dict("records")]
    left = [name not in SCORE_LABELS and not pd.api.types.is_numeric_dtype(frame[name]) for name in columns]
    baselines = [i for i, row in enumerate(frame.to_numpy()) if any(_is_baseline(str(text)) for text in row)]
    # An average character of 12 pt is about 0.105 inches wide.
    widths = np.array([max(len(line[j]) for line in cells) * 0.105 + 0.3 for j in range(len(columns))])
    starts, height = np.concatenate([[0], np.cumsum(widths)]), 0.36
    lines = len(cells) + bool(note)

    chart, ax = new_figure(size=(starts[-1], height * lines), layout="none")
    ax.set_position((0, 0, 1, 1))
    ax.axis("off")
    ax.set(xlim=(0, starts[-1]), ylim=(lines, 0))
    for i, line in enumerate(cells):
        if i - 1 in baselines:
            ax.add_patch(Rectangle((0, i), starts[-1], 1, color="#ECECEC", linewidth=0, gid="shaded"))
        for j, text in enumerate(line):
            x = starts[j] + 0.12 if left[j] else starts[j + 1] - 0.12
            weight = "normal" if i else "bold"
            ax.text(x, i + 0.52, text, ha="left" if left[j] else "right", va="center", fontsize=12, fontweight=weight)
    for y, width in ((0.02, 1.5), (1, 0.8), (len(cells), 1.5)):
        ax.plot([0, starts[-1]], [y, y], color="#333333", linewidth=width)
    if note:
        ax.text(0.12, len(cells) + 0.55, note, va="center", fontsize=11, color="#555555")
    numbers = tuple(j for j in range(len(columns)) if not left[j])
    table = html_table(cells[0], cells[1:], number=numbers, shaded=baselines)
    chart.html = table + Markup('<p class="small">{}</p>').format(note) if note else table
    return chart


def _score_text(row: dict, name: str) -> str:
    value = row[name]
    if pd.isna(value):
        return "-"
    if name in SCORE_LABELS:
        low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
        between = "" if pd.isna(low) or pd.isna(high) else f" ({100 * low:.1f} to {100 * high:.1f})"
        return f"{100 * value:.1f}{between}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"
    return str(value).upper() if name == "setup" else run_label(row_label(str(value)))


def _is_baseline(text: str) -> bool:
    return row_kind(text) != "detector" or text in TRIVIAL_BASELINES


@styled
def noise_schedule(abar: np.ndarray, weights: dict[str, np.ndarray]) -> Figure:
    """Amplitudes of image and noise at each diffusion step, and the weight of the step in the loss.

    abar [T]: the fraction of the image's variance left at step t (wsdl.generators.diffusion.schedule.alphas_bar).
    weights: name -> [T], such as the plain weight and that of P2; on a logarithmic scale where they exceed 20.
    """
    abar = np.asarray(abar, dtype=float)
    chart, (left, right) = new_figure(1, 2, (11, 4))
    for values, name, colour in ((abar**0.5, "image", REAL), ((1 - abar) ** 0.5, "noise", FAKE)):
        left.plot(values, color=colour)
        x = int(0.12 * len(abar))
        left.text(x, values[x] + (0.05 if values[x] > 0.5 else -0.05), name, color=colour, va="center")
    left.set(xlabel="step t", ylabel="amplitude", title="Image and noise at step t", ylim=(0, 1.08))
    ends = {}
    for (name, weight), colour in zip(weights.items(), PALETTE[2:], strict=False):
        weight = np.asarray(weight, dtype=float)
        right.plot(weight, color=colour)
        ends[name] = (weight, colour)
    if max(weight.max() for weight, _ in ends.values()) > 20:
        right.set_yscale("log")
    right.set(xlabel="step t", ylabel="weight in the loss", title="Weight of step t")
    right.legend(handles=right.lines, labels=list(ends))
    return chart


@styled
def patch_histogram(
    values: dict[str, np.ndarray],  # name -> patch probabilities of any shape, in [0, 1]
    threshold: float = 0.5,
    lines: dict[str, float] | None = None,  # name -> position of a further vertical line
    bins: int = 50,
) -> Figure:
    """Histogram of patch probabilities, real against fake: the fraction of each group in each bin.

    Names that begin with "real" are blue, with "fake" orange-red. Patches right of the threshold are called fake.
    """
    chart, ax = new_figure(size=(9, 4.4))
    others = iter(PALETTE[2:])
    edges = np.linspace(0, 1, bins + 1)
    for name, numbers in values.items():
        fraction, _ = np.histogram(np.ravel(numbers), edges)
        fraction = fraction / max(1, np.size(numbers))
        colour = REAL if name.startswith("real") else FAKE if name.startswith("fake") else next(others)
        ax.stairs(fraction, edges, color=colour, alpha=0.25, fill=True)
        ax.stairs(fraction, edges, color=colour, linewidth=2, label=name)
    top = ax.get_ylim()[1]
    marks = sorted({f"threshold {threshold:g}": threshold, **(lines or {})}.items(), key=lambda mark: -mark[1])
    for i, (name, x) in enumerate(marks):  # each line ends at its name; names to the left are higher
        height = top * (1.02 + 0.1 * i)
        ax.vlines(x, 0, height + 0.07 * top, color="#333333", linewidth=1.5, linestyle="-" if x == threshold else "--")
        ax.text(x + 0.008, height, name, va="bottom")
    ax.set(xlim=(0, 1), ylim=(0, top * (1.02 + 0.1 * len(marks))), xlabel="probability of fake")
    ax.set_ylabel("fraction of patches")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(values))
    return chart
