"""Sharpness of inpainted regions against the number of network calls of RePaint."""

import pandas as pd
from matplotlib.figure import Figure

from wsdl.plots.scores import BASELINE_COLOUR
from wsdl.plots.style import PALETTE, new_figure, styled


@styled
def sharpness_against_calls(table: pd.DataFrame) -> Figure:
    """Sharpness for each schedule of `bench repaint`, with 95 % intervals over source faces; dashed: real regions."""
    chart, ax = new_figure(1, 1, (7, 4.2))
    errors = (table.sharpness - table.sharpness_low, table.sharpness_high - table.sharpness)
    ax.errorbar(table.calls, table.sharpness, yerr=errors, fmt="o", color=PALETTE[0], capsize=3)
    ax.axhline(1, color=BASELINE_COLOUR, linestyle="--")
    ax.set(xscale="log", xlabel="network calls for each image", ylabel="sharpness, real = 1")
    ax.set(ylim=(0, 1.1 * max(1, table.sharpness_high.max())))
    ticks = [10**power for power in range(1, 5) if table.calls.min() <= 10**power <= table.calls.max()]
    ax.set_xticks(ticks, [f"{calls:,}" for calls in ticks])
    ax.minorticks_off()
    ax.margins(x=0.15)  # room for the labels at both ends
    for i, row in enumerate(table.to_dict("records")):
        # Above and below in turn: schedules with almost as many calls stand close together.
        height, offset = (row["sharpness_high"], 4) if i % 2 == 0 else (row["sharpness_low"], -14)
        label = f"{row['schedule']}: {row['calls']:,}"
        ax.annotate(label, (row["calls"], height), (0, offset), textcoords="offset points", ha="center")
    return chart
