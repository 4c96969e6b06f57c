"""The figures of a report: faces, training curves, maps of all runs, best and worst cases; and the explorer."""

from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from wsdl import plots
from wsdl.core.html import html_figure, render_template
from wsdl.core.progress import print_problem
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.manifest import has_unknown_mask
from wsdl.evaluation.baselines import run_label
from wsdl.report.collect import RunRecord, leave_out
from wsdl.report.predictions import (
    ShownPredictions,
    label_runs,
    select_cases,
    select_examples,
    select_for_explorer,
)

FACES = 32  # in a contact sheet
MAX_COLUMNS = 6  # maps side by side in one figure
MAX_LINES = 6  # curves in one panel
NO_HIT = 0.005  # an IoU that is printed as 0.00
INTERVALS = (
    "Mean IoU of each detector with its 95 % interval over source faces. The grey band is the interval of the best "
    "baseline, which ignores the image: a detector whose interval overlaps it is not shown to beat it."
)
MAPS = (
    "One test fake of each component, the first by file name, not selected by result: the image, its inpainted region, "
    "and the map of each run. The outline is the true mask; all maps share one scale."
)
CURVES = (
    "Loss on training and validation images against the number of images processed. Setups A and B are trained on "
    "labels, setup C on masks, so compare curves of one setup only."
)
CASES = (
    "Test fakes with the lowest and the highest IoU, each of another face; among equals the larger mask first. These "
    "are selected by result."
)
GRAD_CAM = (
    "In setups A and B, a map of Grad-CAM is scaled to its own minimum and maximum, as in the paper, here and in the "
    "tables: unless it is empty, some patch is 1, also in a real image. Only the image score says whether an image "
    "looks fake."
)


def faces_figure(dataset: Dataset, folder: Path) -> Markup:
    """A sheet of the first real faces; only these are read, not the whole dataset."""
    real = dataset.select("real").sort_values("source_id").head(FACES)
    if real.empty:
        return Markup()
    sheet = plots.contact_sheet(np.stack([read_image(dataset.folder / path) for path in real.path]), scale=1)
    path = plots.save_figure(sheet, folder / f"faces-{_slug(dataset.info['name'])}.jpg")
    return html_figure(path, f"{dataset.info['name']}: real faces, the first by name.")


def intervals_figure(rows: pd.DataFrame, folder: Path) -> Markup:
    """The score of every detector next to the best baseline."""
    return html_figure(plots.save_figure(plots.score_intervals(rows), folder / "standings.png"), INTERVALS)


def curves_section(runs: list[RunRecord], folder: Path, problem: Callable) -> Markup:
    """Training curves of all runs, failed ones included."""
    shown = []
    for name, (lines, figure) in curve_figures(runs, problem).items():
        with leave_out(problem, f"training curves of {name}"):
            path = plots.save_figure(figure, folder / f"training-{_slug(name)}.png")
            shown.append(html_figure(path, f"{run_label(name)}: loss of {'; '.join(lines)}."))
    return _section("", CURVES, shown)


def curve_figures(runs: list[RunRecord], problem: Callable = print_problem) -> dict[str, tuple[list[str], Figure]]:
    """Name -> (labels of its lines, figure): one per method and source, of runs with two validations at least."""
    figures, families = {}, {}
    for run in runs:
        if len(run.stats) > 1:
            families.setdefault(_curve_family(run), []).append(run)
    for name, family in families.items():
        for part, some in enumerate(split_runs(family, MAX_LINES, lambda run: run.config.get("setup", ""))):
            validated = any(_validation_loss(row) is not None for run in some for row in run.stats)
            keys = ("loss", "validation") if validated else ("loss",)
            labelled = label_runs(some) if some[0].is_detector else {run.name: run for run in some}
            lines = shorten_labels({label: _curve(run) for label, run in labelled.items()})
            with leave_out(problem, f"training curves of {name}"):
                figures[_numbered(name, part)] = list(lines), plots.training_curves(lines, keys)
    return figures


def _curve(run: RunRecord) -> list[dict]:
    """The rows of stats.jsonl, with the validation loss under one name."""
    return [row | {"validation": _validation_loss(row)} for row in run.stats]


def _validation_loss(row: dict) -> float | None:
    """The validation loss, also where it selects no checkpoint: cut and paste teaches more than labels measure."""
    return row.get("validation", row.get("label_validation"))


def _curve_family(run: RunRecord) -> str:
    if run.is_detector:
        return f"{run.config['method']}, {run.config['source']}" if "source" in run.config else run.config["method"]
    return run.name


def maps_section(shown: ShownPredictions, folder: Path, problem: Callable) -> Markup:
    """For each method: one test fake of each component and the map of each run."""
    parts = []
    for name, (labels, figure) in map_figures(shown).items():
        with leave_out(problem, f"maps of {name}"):
            path = plots.save_figure(figure, folder / f"maps-{_slug(name)}-{_slug(shown.name)}.png")
            parts.append(html_figure(path, f"{run_label(name)} on {shown.name}: maps of {'; '.join(labels)}."))
    return _section(f"One fake of each component, {shown.name}", MAPS, parts)


def map_figures(shown: ShownPredictions) -> dict[str, tuple[list[str], Figure]]:
    """Name -> (labels of its columns, figure): one per method, or several where its runs are many."""
    rows, figures, methods = select_examples(shown.dataset), {}, {}
    if rows.empty:  # no mask is known
        return {}
    images, masks = shown.dataset.images[rows.index], shown.dataset.masks[rows.index]
    for label, run in shown.runs.items():
        methods.setdefault(run.config["method"], []).append(label)
    for method, labels in methods.items():
        for part, some in enumerate(split_runs(labels, MAX_COLUMNS, lambda label: shown.runs[label].config["setup"])):
            maps = shorten_labels({label: shown.maps_of(label, rows.index) for label in some})
            figure = plots.map_grid(images, masks, maps, rows=list(rows.component))
            figures[_numbered(method, part)] = list(maps), figure
    return figures


def cases_section(shown: ShownPredictions, folder: Path, problem: Callable) -> Markup:
    """For each run of the lowest seed: its worst and best test fakes; runs without a hit are only named."""
    parts, missed = [], []
    if select_examples(shown.dataset).empty:  # no mask is known
        return Markup()
    for label, run in shown.runs.items():
        if run.config["seed"] != min(_seeds_of_job(run, shown)):
            continue
        with leave_out(problem, f"cases of {label}"):
            figure = case_figure(shown, label)
            if not figure:
                missed.append(label)
                continue
            path = plots.save_figure(figure, folder / f"cases-{_slug(label.lower())}-{_slug(shown.name)}.png")
            parts.append(html_figure(path, f"{label}: worst and best cases on {shown.name}."))
    if missed:
        sentence = f"No cases of {'; '.join(missed)}: IoU is below {NO_HIT} on every test fake."
        parts.append(Markup("<p>{}</p>").format(sentence))
    return _section(f"Worst and best cases, {shown.name}", CASES, parts)


def case_figure(shown: ShownPredictions, label: str) -> Figure | None:
    """The worst and the best test fakes of one run; None where it hit none."""
    worst, best = select_cases(shown.dataset, shown.runs[label])
    if best.iou.max() < NO_HIT:
        return None
    sides = []
    for rows in (worst, best):
        arrays = {"images": shown.dataset.images[rows.index], "masks": shown.dataset.masks[rows.index]}
        sides.append({**arrays, "maps": shown.maps_of(label, rows.index), "notes": plots.case_notes(rows)})
    return plots.case_gallery(*sides)


def _seeds_of_job(run: RunRecord, shown: ShownPredictions) -> list[int]:
    """The seeds of the runs that differ from `run` only by seed."""
    same = {**run.config, "seed": 0}
    return [other.config["seed"] for other in shown.runs.values() if {**other.config, "seed": 0} == same]


def explorer_section(shown: ShownPredictions) -> Markup:
    """An explorer of a few test images with the map of every run; the page must have its style and script."""
    from wsdl.explorer import explore
    from wsdl.explorer.page import inline_explorer

    rows = select_for_explorer(shown.dataset, len(shown.runs))
    explorer = explore(
        shown.dataset.images[rows.index],
        {label: shown.maps_of(label, rows.index) for label in shown.runs},
        None if has_unknown_mask(rows).any() or (rows.kind == "full").any() else shown.dataset.masks[rows.index],
        scores={label: [shown.scores[label][i] for i in rows.index] for label in shown.runs},
        labels=["real" if kind == "real" else f"{kind} fake" for kind in rows.kind],
        components=list(rows.component),
        names=[Path(path).stem for path in rows.path],
    )
    supervised = [label for label, run in shown.runs.items() if run.config["setup"] == "c"]
    explorer.map = next(iter(supervised), explorer.map)  # maps of the weak setups are often black: no good start
    page = render_template(
        "report/templates/explorer.html.j2", count=len(rows), dataset=shown.name, explorer=inline_explorer(explorer)
    )
    return page + grad_cam_note(shown.runs.values())


def grad_cam_note(runs: Iterable[RunRecord]) -> Markup:
    """What a reader of the maps of `runs` must know, where Grad-CAM in setup a or b is among them."""
    if any(run.config["method"] == "grad-cam" and run.config["setup"] != "c" for run in runs):
        return Markup('<p class="small">{}</p>').format(GRAD_CAM)
    return Markup()


def _section(title: str, text: str, parts: list[Markup]) -> Markup:
    """Figures of one kind below their title and description; empty where there are none."""
    if not parts:
        return Markup()
    heading = Markup("<h3>{}</h3>").format(title) if title else ""
    return Markup('{}<p class="small">{}</p>{}').format(heading, text, Markup().join(parts))


def shorten_labels(labelled: dict) -> dict:
    """Labels without the method if all share it: "Patches, setup A, seed 0" becomes "Setup A, seed 0"."""
    methods = {label.split(", ")[0] for label in labelled if ", setup " in label}
    if len(methods) != 1:
        return labelled
    return {f"S{label.split(', s', 1)[1]}" if ", setup " in label else label: value
            for label, value in labelled.items()}  # fmt: skip


def split_runs(items: list, most: int, setup: Callable) -> list[list]:
    """`items` as one list if there are at most `most`; otherwise by setup, in lists of at most `most`."""
    if len(items) <= most:
        return [items]
    groups = [list(group) for _, group in groupby(sorted(items, key=setup), key=setup)]
    return [group[i : i + most] for group in groups for i in range(0, len(group), most)]


def _numbered(name: str, part: int) -> str:
    return f"{name} ({part + 1})" if part else name


def _slug(name: str) -> str:
    return "-".join(name.replace(", setup ", " ").translate(str.maketrans("/,()", "    ")).split())
