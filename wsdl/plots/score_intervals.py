"""Scores of all detectors with their intervals, next to the best baseline."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from wsdl.evaluation.baselines import row_kind, run_label
from wsdl.plots.scores import BASELINE_COLOUR
from wsdl.plots.style import PALETTE, SCORE_LABELS, new_figure, styled

TICK = 0.16  # half the height of the tick of one seed
COLOURS = dict(zip("abc", PALETTE, strict=False))  # of setups


@styled
def score_intervals(rows: pd.DataFrame, score: str = "iou") -> Figure:
    """Mean and 95 % interval over source faces of each detector, one panel per source.

    rows: from `evaluation.tables.results_by_job`. Thin ticks are the lowest and the highest seed. The grey band is the
    interval of the best baseline of the source; a detector whose interval overlaps it is not shown to beat it.
    """
    tested_on = rows.source.str.partition(" (")[0]
    trained = rows.method.map(row_kind) == "detector"
    places = [home for home in dict.fromkeys(tested_on) if trained[tested_on == home].any()]
    counts = [int((trained & (tested_on == home)).sum()) for home in places]
    size = (6.2, sum(0.36 * n for n in counts) + 0.9 * len(counts) + 0.9)
    chart, axes = new_figure(len(places), 1, size, sharex=True, squeeze=False, height_ratios=[n + 0.6 for n in counts])
    for ax, home in zip(axes[:, 0], places, strict=True):
        _panel(ax, rows[trained & (tested_on == home)], rows[~trained & (tested_on == home)], score)
        if len(places) > 1:
            ax.set_title(home, loc="left", fontweight="bold")
    axes[-1, 0].set_xlabel(f"{SCORE_LABELS[score]}, %")
    shown = [setup for setup in COLOURS if setup in set(rows.setup)]
    guides = [Line2D([], [], marker="o", color=COLOURS[setup], label=f"Setup {setup.upper()}") for setup in shown]
    if (rows[f"{score}_least"] < rows[f"{score}_most"]).any():
        guides.append(
            Line2D([], [], marker="|", linestyle="", markersize=11, color="#333333", label="lowest and highest seed")
        )
    guides.append(Line2D([], [], color=BASELINE_COLOUR, linewidth=8, alpha=0.35, label="best baseline"))
    chart.legend(handles=guides, loc="outside upper left", ncols=3, handlelength=1.4, columnspacing=1.5)
    return chart


def _panel(ax, rows: pd.DataFrame, baselines: pd.DataFrame, score: str) -> None:
    names = [
        run_label(f"{row.method}, {row.setup} {row.source.partition(' ')[2]}").strip() for row in rows.itertuples()
    ]
    for y, row in enumerate(rows.to_dict("records")):
        if pd.isna(row[score]):  # no mask is known
            continue
        value, low, high, least, most = (100 * row[score + end] for end in ("", "_low", "_high", "_least", "_most"))
        colour = COLOURS.get(row["setup"], BASELINE_COLOUR)
        ax.hlines(y, low, high, color=colour, linewidth=3, alpha=0.55)
        ax.plot(value, y, "o", color=colour, markersize=8, clip_on=False, zorder=3)
        if least != most:
            ax.vlines([least, most], y - TICK, y + TICK, color=colour, linewidth=1.4)
        ax.text(1.1, y, f"{value:.1f}", va="center", ha="right", transform=ax.get_yaxis_transform())
    trivial = baselines[baselines.method.map(row_kind) == "trivial"]
    if trivial[score].notna().any():
        best = trivial.loc[trivial[score].idxmax()]
        low, high = 100 * best[f"{score}_low"], 100 * best[f"{score}_high"]
        ax.axvspan(low, max(high, low + 0.4), color=BASELINE_COLOUR, alpha=0.3, linewidth=0, zorder=0)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(-2, 100), ylim=(len(names) - 0.4, -0.6))
    ax.tick_params(axis="y", length=0)
