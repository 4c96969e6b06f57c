"""The figures of a report: faces, training curves, maps side by side, best and worst cases; and the explorer."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from wsdl import plots
from wsdl.core.html import figure, text
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.report.collect import Found
from wsdl.report.predictions import Looks, cases, examples, explored, labelled

SHEET = 32  # faces in a contact sheet
COLUMNS = 6  # maps side by side, before another figure begins
LINES = 6  # curves in one panel
STANDINGS = (
    "Mean IoU of each detector, with its 95 % interval over source faces. The grey band is the interval of the best "
    "control, which looks at no picture: where a detector's interval meets it, nothing is shown to have been learned."
)
NOTHING = 0.005  # an IoU that is printed as 0.00
MAPS = (
    "One test fake of each component, the first by file name, not chosen by how it turned out: the picture, where it "
    "was painted, and the map of each run. The outline is the true mask; all maps share one scale."
)
CURVES = (
    "Loss on training pictures and on validation pictures, against the pictures seen. Setups a and b are judged by "
    "labels, setup c by masks, so only curves of one setup compare."
)
CASES = (
    "Test fakes with the lowest and the highest IoU, each of another face; among equals the larger mask first. These "
    "are chosen by how they turned out."
)
GRAD_CAM = (
    "Grad-CAM in setups a and b is scored, as in the paper, on maps divided by their own maximum; its maps here are "
    "those before that division, so that they share the scale of all others."
)


def faces(dataset: Dataset, folder: Path) -> str:
    """A sheet of the first real faces, read one by one: a large dataset is not decoded for it."""
    real = dataset.select("real").sort_values("source_id").head(SHEET)
    if real.empty:
        return ""
    sheet = plots.contact_sheet(np.stack([read_image(dataset.folder / path) for path in real.path]), scale=1)
    path = plots.save_figure(sheet, folder / f"faces-{slug(dataset.info['name'])}.jpg")
    return figure(path, f"{dataset.info['name']}: real faces, the first by name.")


def standings(rows: pd.DataFrame, folder: Path) -> str:
    """Where every detector stands beside the best control, as a figure."""
    return figure(plots.save_figure(plots.score_intervals(rows), folder / "standings.png"), STANDINGS)


def curves(runs: list[Found], folder: Path) -> str:
    """Training curves, failed runs too, as far as they came."""
    shown = []
    for name, (lines, chart) in curve_sheets(runs).items():
        path = plots.save_figure(chart, folder / f"training-{slug(name)}.png")
        shown.append(figure(path, f"{name}: loss of {', '.join(lines)}."))
    return with_words("", CURVES, shown)


def curve_sheets(runs: list[Found]) -> dict[str, tuple[list[str], Figure]]:
    """A figure a method (and source), of the runs with two checks at least: name -> its lines, figure."""
    sheets, families = {}, {}
    for run in runs:
        if len(run.stats) > 1:
            families.setdefault(family(run), []).append(run)
    for name, group in families.items():
        for part, some in enumerate(parts(group, LINES, lambda run: run.config.get("setup", ""))):
            validated = any("validation" in row for run in some for row in run.stats)
            keys = ("loss", "validation") if validated else ("loss",)
            lines = short({k: run.stats for k, run in labelled_any(some).items()})
            sheets[numbered(name, part)] = list(lines), plots.training_curves(lines, keys)
    return sheets


def family(run: Found) -> str:
    """What shares a figure of curves."""
    if run.is_detector:
        return f"{run.config['method']}, {run.config['source']}" if "source" in run.config else run.config["method"]
    return run.name


def labelled_any(runs: list[Found]) -> dict[str, Found]:
    return labelled(runs) if runs[0].is_detector else {run.name: run for run in runs}


def maps(looks: Looks, folder: Path) -> str:
    """For each method: one test fake of each component and the map of each run."""
    shown = []
    for name, (labels, chart) in map_sheets(looks).items():
        path = plots.save_figure(chart, folder / f"maps-{slug(name)}-{slug(looks.name)}.png")
        shown.append(figure(path, f"{name} on {looks.name}: maps of {', '.join(labels)}."))
    return with_words(f"One fake of each component, {looks.name}", MAPS, shown)


def map_sheets(looks: Looks) -> dict[str, tuple[list[str], Figure]]:
    """A figure a method, or several where its runs are many: name -> its columns of maps, figure."""
    rows, sheets = examples(looks.dataset), {}
    pictures, masks = looks.dataset.images[rows.index], looks.dataset.masks[rows.index]
    for method, labels in by_method(looks).items():
        for part, some in enumerate(parts(labels, COLUMNS, lambda label: looks.runs[label].config["setup"])):
            found = short({label: looks.of(label, rows.index) for label in some})
            chart = plots.map_grid(pictures, masks, found, rows=list(rows.component))
            sheets[numbered(method, part)] = list(found), chart
    return sheets


def best_and_worst(looks: Looks, folder: Path) -> str:
    """For each run of the lowest seed: its worst and its easiest test fakes; those that hit none are only named."""
    shown, missed = [], []
    for label, run in looks.runs.items():
        if run.config["seed"] != min(seeds_beside(run, looks)):
            continue
        chart = case_sheet(looks, label)
        if not chart:
            missed.append(label)
            continue
        path = plots.save_figure(chart, folder / f"cases-{slug(label)}-{slug(looks.name)}.png")
        shown.append(figure(path, f"{label}: worst and easiest on {looks.name}."))
    if missed:
        shown.append(f"<p>No case to show of {text('; '.join(missed))}: IoU is below {NOTHING} on every test fake.</p>")
    return with_words(f"Worst and easiest cases, {looks.name}", CASES, shown)


def case_sheet(looks: Looks, label: str) -> Figure | None:
    """The worst and the easiest test fakes of one run; None where it hit none."""
    worst, easiest = cases(looks.dataset, looks.runs[label])
    if easiest.iou.max() < NOTHING:
        return None
    sides = []
    for rows in (worst, easiest):
        arrays = {"pictures": looks.dataset.images[rows.index], "masks": looks.dataset.masks[rows.index]}
        sides.append({**arrays, "maps": looks.of(label, rows.index), "notes": plots.case_notes(rows)})
    return plots.case_gallery(*sides)


def with_words(title: str, words: str, shown: list[str]) -> str:
    """Figures of one kind under what they are; nothing where there are none."""
    heading = f"<h3>{text(title)}</h3>" if title else ""
    return f'{heading}<p class="small">{words}</p>{"".join(shown)}' if shown else ""


def seeds_beside(run: Found, looks: Looks) -> list[int]:
    """The seeds of the runs that differ from `run` in nothing else."""
    alone = {**run.config, "seed": 0}
    return [other.config["seed"] for other in looks.runs.values() if {**other.config, "seed": 0} == alone]


def explorer(looks: Looks) -> str:
    """The explorer of a few test pictures with the map of every run; the page must have its style and script."""
    from wsdl.explorer import explore
    from wsdl.explorer.page import inlined

    rows = explored(looks.dataset, len(looks.runs))
    made = explore(
        looks.dataset.images[rows.index],
        {label: looks.of(label, rows.index) for label in looks.runs},
        looks.dataset.masks[rows.index],
        scores={label: [looks.scores[label][i] for i in rows.index] for label in looks.runs},
        labels=["partial fake" if kind == "partial" else "real" for kind in rows.kind],
        components=list(rows.component),
        names=[Path(path).stem for path in rows.path],
    )
    shown_masks = [label for label, run in looks.runs.items() if run.config["setup"] == "c"]
    made.map = next(iter(shown_masks), made.map)  # the map of a weak setup is often black: nothing to begin with
    about = (
        f"{len(rows)} test pictures of {text(looks.name)} and the map of every run: the first by name, "
        "each fake of another face."
    )
    return (
        f'<p>{about}</p><div class="screen">{inlined(made)}</div>'
        '<p class="small paper">On a screen, an explorer of these pictures stands here.</p>'
    )


def by_method(looks: Looks) -> dict[str, list[str]]:
    methods = {}
    for label, run in looks.runs.items():
        methods.setdefault(run.config["method"], []).append(label)
    return methods


def short(labelled: dict) -> dict:
    """Labels that all begin with the same method, without it: "a, seed 0" as "setup a, seed 0"."""
    heads = {label.split(", ")[0] for label in labelled}
    if len(heads) > 1 or not all(", " in label for label in labelled):
        return labelled
    return {f"setup {label.split(', ', 1)[1]}": value for label, value in labelled.items()}


def parts(items: list, most: int, setup: Callable) -> list[list]:
    """`items`, sorted by setup: all of them if there are at most `most`; else setup by setup, in parts of `most`."""
    if len(items) <= most:
        return [items]
    groups = [list(group) for _, group in groupby(sorted(items, key=setup), key=setup)]
    return [group[i : i + most] for group in groups for i in range(0, len(group), most)]


def numbered(name: str, part: int) -> str:
    return f"{name} ({part + 1})" if part else name


def slug(name: str) -> str:
    return "-".join(name.translate(str.maketrans("/,()", "    ")).split())
