"""Figures of generalisation: across sources and generators, under corruptions; and the traces of each generator."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wsdl.evaluation.baselines import run_label
from wsdl.plots.heatmap import outline
from wsdl.plots.style import DIFFERENCE_COLOURS, PALETTE, SCORE_LABELS, hide_axes, in_percent, new_figure, styled

MATRIX_COLOURS = "viridis"  # differs from that of maps


@styled
def transfer_matrix(panels: dict[str, pd.DataFrame], score: str = "iou") -> Figure:
    """Score in percent by training data (rows) and test data (columns), one heat map per panel.

    panels: title -> rows of `experiments.results.cross_matrix`. Each entry is the mean with its 95 % interval over
    source faces. Framed: trained and tested on the same data (setup A: on faces of the same source). The last row is
    the best baseline of each test set.
    """
    lines = {title: list(dict.fromkeys(rows.trained_on)) for title, rows in panels.items()}
    heads = {title: list(dict.fromkeys(rows.tested_on)) for title, rows in panels.items()}
    wide, high = (max(map(len, some.values())) for some in (heads, lines))
    chart, axes = new_figure(1, len(panels), ((1.35 * wide + 1.9) * len(panels) + 0.6, 0.75 * high + 1.5), sharey=False)
    for ax, (title, rows) in zip(np.ravel(axes), panels.items(), strict=True):
        shown = _heat(ax, rows, lines[title], heads[title], score)
        ax.set_title(run_label(title), loc="left")
    bar = chart.colorbar(shown, ax=axes, label=f"{SCORE_LABELS[score]}, %", ticks=[0, 25, 50, 75, 100], fraction=0.04)
    bar.outline.set_visible(False)
    return chart


def _heat(ax, rows: pd.DataFrame, lines: list[str], heads: list[str], score: str):
    values = np.full((len(lines), len(heads)), np.nan)
    for row in rows.to_dict("records"):
        i, j = lines.index(row["trained_on"]), heads.index(row["tested_on"])
        value, low, high = (100 * row[score + part] for part in ("", "_low", "_high"))
        values[i, j] = value
        colour = "white" if value < 52 else "#222222"  # viridis gets light towards its upper end
        ax.text(j, i - 0.12, f"{value:.1f}", ha="center", va="center", color=colour, fontweight="bold")
        ax.text(j, i + 0.24, f"{low:.0f} to {high:.0f}", ha="center", va="center", color=colour, fontsize=11)
        if row["trained_on"] in (row["tested_on"], f"{row['tested_on'].partition('/')[0]}/p2"):
            ax.add_patch(Rectangle((j - 0.46, i - 0.44), 0.92, 0.86, fill=False, edgecolor=colour, linewidth=2))
    shown = ax.imshow(values, cmap=MATRIX_COLOURS, vmin=0, vmax=100, aspect="auto")
    ax.set_xticks(range(len(heads)), _labels(heads, [*heads, *lines]))
    ax.set_yticks(range(len(lines)), _labels(lines, [*heads, *lines]))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="tested on", ylabel="trained on")
    for edge in np.arange(len(lines) - 1) + 0.5:
        ax.axhline(edge, color="white", linewidth=6 if edge > len(lines) - 2 else 1)
    return shown


def _labels(names: list[str], every: list[str]) -> list[str]:
    """`names` on short lines, without the source where all of `every` have the same."""
    sources = {name.partition("/")[0] for name in every if "/" in name}
    return [_wrap(name.partition("/")[2] or name if len(sources) == 1 else name) for name in names]


def _wrap(name: str) -> str:
    """ "studio/repaint-p2" on two lines."""
    return "\n".join(part for piece in name.split("/") for part in textwrap.wrap(piece, 14, break_on_hyphens=True))


@styled
def robustness_curves(tables: dict[str, pd.DataFrame], score: str = "iou") -> Figure:
    """Score against the strength of a corruption with 95 % bands, one panel per corruption, one line per name.

    tables: name -> table of `evaluation.robustness`. The leftmost point of each panel is the original image;
    the grey line is the best baseline.
    """
    first = next(iter(tables.values()))
    kinds = [kind for kind in dict.fromkeys(first.treatment) if kind not in ("none", "control")]
    chart, axes = new_figure(1, len(kinds), (3.2 * len(kinds) + 0.8, 3.9), sharey=True)
    for ax, kind in zip(np.ravel(axes), kinds, strict=True):
        for k, (name, table) in enumerate(tables.items()):
            rows = table[table.treatment.isin(["none", kind])]
            x, colour = np.arange(len(rows)), PALETTE[k % len(PALETTE)]
            ax.fill_between(x, rows[f"{score}_low"], rows[f"{score}_high"], color=colour, alpha=0.15, linewidth=0)
            ax.plot(x, rows[score], "o-", color=colour, label=run_label(name))
        baseline = first.loc[first.treatment == "control", score].max()
        ax.axhline(baseline, color="#777777", linewidth=1.6, label="best baseline", zorder=1)
        ax.set_xticks(x, ["none", *(f"{level:g}" for level in rows.level[1:])])
        ax.set(ylim=(0, 1.02), xlabel=rows.unit.iloc[-1], title=kind)
    np.ravel(axes)[0].set_ylabel(f"{SCORE_LABELS[score]}, %")
    in_percent(np.ravel(axes)[0].yaxis)
    handles, names = np.ravel(axes)[0].get_legend_handles_labels()
    chart.legend(handles, names, loc="outside upper left", ncols=len(names))
    return chart


@styled
def generator_gallery(
    real: np.ndarray,  # uint8 [S, S, 3]
    mask: np.ndarray,  # [S, S], 1 = inpainted
    fakes: dict[str, np.ndarray],  # generator -> uint8 [S, S, 3]
    spectra: dict[str, np.ndarray],  # "real" and each generator -> [S, S], from `wsdl.fakes.quality.spectrum`
    gain: int = 16,
) -> Figure:
    """Image, noise residual (amplified) and mean spectrum of residuals, one column per generator.

    The first column is the real face with the mask outlined. All residuals share one scale, as do all spectra.
    """
    from wsdl.evaluation.forensics import noise_of  # brings torch

    images = {"real": real, **fakes}
    chart, axes = new_figure(3, len(images), (1.9 * len(images) + 1.2, 6.2), "compressed", squeeze=False)
    logs = {name: np.log10(spectra[name] + 1e-3) for name in images}
    least, most = min(log.min() for log in logs.values()), max(log.max() for log in logs.values())
    for column, (name, image) in zip(axes.T, images.items(), strict=True):
        column[0].imshow(image)
        residual = noise_of(image.astype(np.float32).mean(axis=2))
        column[1].imshow(128 + gain * residual, cmap="gray", vmin=0, vmax=255)
        for ax in column[:2] if name == "real" else column[1:2]:
            outline(ax, mask)
        shown = column[2].imshow(logs[name], cmap=DIFFERENCE_COLOURS, vmin=max(least, most - 4), vmax=most)
        for ax in column:
            hide_axes(ax)
        column[0].set_title(_wrap(name))
    for ax, name in zip(axes[:, 0], ("image", f"residual, {gain} x", "spectrum"), strict=True):
        ax.set_ylabel(name)
    chart.colorbar(shown, ax=axes[2], label="log10 of power", shrink=0.9).outline.set_visible(False)
    return chart
