"""Quality of inpainted regions against the number of network calls of RePaint."""

import pandas as pd
from matplotlib.figure import Figure

from wsdl.plots.scores import BASELINE_COLOUR
from wsdl.plots.style import PALETTE, new_figure, styled


@styled
def quality_against_calls(table: pd.DataFrame) -> Figure:
    """Sharpness and distance for each schedule of `bench repaint`; dashed: the level of real regions.

    Bars are 95 % intervals over source faces. The distance has none; its level of real regions is that of real from
    real with as many fakes.
    """
    chart, (left, right) = new_figure(1, 2, (11, 4.2))
    errors = (table.sharpness - table.sharpness_low, table.sharpness_high - table.sharpness)
    left.errorbar(table.calls, table.sharpness, yerr=errors, fmt="o-", color=PALETTE[0], capsize=3)
    left.axhline(1, color=BASELINE_COLOUR, linestyle="--")
    left.set(ylabel="sharpness, real = 1", ylim=(0, 1.1))
    right.plot(table.calls, table.distance, "o-", color=PALETTE[0])
    right.axhline(table.floor.iloc[0], color=BASELINE_COLOUR, linestyle="--")
    right.set(ylabel="Fréchet distance from real", ylim=(0, None))
    for ax, column in ((left, "sharpness_high"), (right, "distance")):
        ax.set(xscale="log", xlabel="network calls for each image")
        ax.set_xticks(table.calls, [f"{calls:,}" for calls in table.calls], rotation=45)
        ax.minorticks_off()
        for row in table.to_dict("records"):
            ax.annotate(row["schedule"], (row["calls"], row[column]), (0, 6), textcoords="offset points", ha="center")
    return chart
