"""One offline page about everything in a folder: a study, a grid, or any runs. It names what is missing."""

from pathlib import Path

import pandas as pd
from markupsafe import Markup

import wsdl
from wsdl.core.html import error_banner, page_style, render_template
from wsdl.core.io import WsdlError, atomic, write_text
from wsdl.core.progress import format_duration
from wsdl.data.dataset import Dataset
from wsdl.report import facts, figures
from wsdl.report.collect import STATES, Lesson, RunRecord, find_datasets, find_lessons, find_runs
from wsdl.report.predictions import ShownPredictions, predict_shown
from wsdl.report.results import compare_with_baselines, results_section


def build_site(runs: Path, out: Path, data: list[Path] | None = None) -> Path:
    """Write OUT/index.html about everything in `runs`, and return its path.

    The page contains everything it shows. Its figures are also written to OUT/figures, and pages of executed notebooks
    to OUT at their path within `runs`. data: folders with further datasets. Raises WsdlError where nothing is found.
    """
    folder, out, problems = Path(runs).resolve(), Path(out).resolve(), []
    if not folder.is_dir():
        raise WsdlError(f"{runs}: no such folder; give one with runs, such as that of a demo or a grid.")
    records, lessons = find_runs(folder), find_lessons(folder)
    datasets = find_datasets([folder, *(data or [])], problems.append)
    if not (records or lessons or datasets):
        raise WsdlError(f"{runs}: contains no run, no executed notebook and no dataset; there is nothing to report.")
    rows = _results(folder, records)
    tested = [run for run in records if run.is_evaluated]
    shown = _predictions(tested, datasets, problems)
    drawn = out / "figures"
    sections = {
        "Results": _results_section(rows, drawn),
        "Images": _images_section(tested, shown, drawn),
        "Explorer": _join(figures.explorer_section(each) for each in shown),
        "Training": figures.curves_section(records, drawn),
        "Lessons": _lessons_section(folder, out, lessons),
        "Runs": facts.run_table(records),
        "Data and licences": _data_section(list(datasets.values()), drawn),
        "Parameters and versions": facts.parameter_tables(folder, records) + facts.environment_table(records),
    }
    style, script = page_style(), ""
    if shown:
        from wsdl.explorer.static_files import bundle_script, bundle_style

        style, script = style + Markup(bundle_style()), Markup(bundle_script("page.js"))
    page = render_template(
        "report/templates/report.html.j2",
        title="wsdl: report",
        style=style,
        script=script,
        summary=_summary(records, lessons, datasets, rows),
        banners=_banners(records, lessons, problems),
        sections={title: content for title, content in sections.items() if content},
        version=wsdl.__version__,
    )
    write_text(out / "index.html", page)
    return out / "index.html"


def _join(parts) -> Markup:
    return Markup().join(parts)


def _results(folder: Path, runs: list[RunRecord]) -> pd.DataFrame | None:
    """The rows of `evaluation.tables.results_by_job`; None where no run was evaluated."""
    from wsdl.evaluation.tables import results_by_job

    return results_by_job(folder) if any(run.is_evaluated for run in runs) else None


def _results_section(rows: pd.DataFrame | None, drawn: Path) -> Markup:
    if rows is None:
        return Markup("<p>No run was evaluated.</p>")
    return figures.intervals_figure(rows, drawn) + results_section(rows)


def _predictions(tested: list[RunRecord], datasets: dict[str, Dataset], problems: list) -> list[ShownPredictions]:
    """Predictions of the tested runs, for each dataset that was found."""
    shown = []
    for sha in dict.fromkeys(run.data for run in tested):
        runs = [run for run in tested if run.data == sha]
        if sha in datasets:
            shown.append(predict_shown(datasets[sha], runs, problems.append))
        else:
            names = ", ".join(run.name for run in runs)
            problems.append(f"Maps of {names}: their dataset was not found; give its folder with --data.")
    return [each for each in shown if each.runs]


def _images_section(tested: list[RunRecord], shown: list[ShownPredictions], drawn: Path) -> Markup:
    maps = _join(figures.maps_section(each, drawn) + figures.cases_section(each, drawn) for each in shown)
    if maps and any(run.config["method"] == "grad-cam" and run.config["setup"] != "c" for run in tested):
        maps += Markup('<p class="small">{}</p>').format(figures.GRAD_CAM)
    return maps


def _data_section(datasets: list[Dataset], drawn: Path) -> Markup:
    parts = [facts.dataset_facts(dataset) + figures.faces_figure(dataset, drawn) for dataset in datasets]
    return _join([*parts, facts.licence_table(datasets)])


def _summary(runs: list[RunRecord], lessons: list[Lesson], datasets: dict, rows: pd.DataFrame | None) -> list[str]:
    """How many runs, datasets and notebooks there are, and which detectors exceed the baselines."""
    states = [run.status for run in runs]
    counts = [f"{states.count(status)} {status}" for status in STATES if status in states]
    counts = counts if len(counts) > 1 else [f"all {states[0]}"] if counts else []
    seeds = sorted({run.config["seed"] for run in runs if run.is_detector and "seed" in run.config})
    names = dict.fromkeys(str(dataset.info["name"]) for dataset in datasets.values())
    trained = f"{len(runs)} runs: {', '.join(counts)}; seeds of detectors: {', '.join(map(str, seeds)) or 'none'}."
    return [
        trained if runs else "No run.",
        f"Data: {', '.join(names) or 'not found'}. Executed notebooks: {len(lessons)}.",
        *(compare_with_baselines(rows) if rows is not None else []),
    ]


def _banners(runs: list[RunRecord], lessons: list[Lesson], problems: list[str]) -> list[Markup]:
    """A banner for everything that failed, was stopped or cannot be shown."""
    banners = [error_banner(lesson.report["error"]) for lesson in lessons if lesson.report["status"] == "failed"]
    for run in runs:
        if run.status in ("failed", "stopped"):
            banners.append(error_banner(f"{run.name}: {run.note or 'no reason recorded'}", f"This run {_was(run)}."))
    return banners + [error_banner(problem, "Not shown.") for problem in problems]


def _was(run: RunRecord) -> str:
    return "failed" if run.status == "failed" else "was stopped"


def _lessons_section(folder: Path, out: Path, lessons: list[Lesson]) -> Markup:
    """Each lesson with a link to its page, its status and its question."""
    if not lessons:
        return Markup("<p>No lesson was run.</p>")
    rows = [
        {
            "title": lesson.report["title"],
            "link": _page_of(folder, out, lesson.page) if lesson.page else "",
            "status": lesson.report["status"],
            "time": format_duration(lesson.report["seconds"]) if lesson.report.get("seconds") else "",
            "question": lesson.report.get("question", ""),
        }
        for lesson in lessons
    ]
    return render_template("report/templates/lessons.html.j2", lessons=rows)


def _page_of(folder: Path, out: Path, given: Path) -> str:
    """The path in OUT of the page of a notebook: already there, copied, or converted from the notebook."""
    from wsdl.notebooks import to_html

    path = given.relative_to(folder).with_suffix(".html")
    if given.suffix == ".ipynb":
        to_html(given, out / path)
    elif out / path != given:
        with atomic(out / path) as temporary:
            temporary.write_bytes(given.read_bytes())
    return path.as_posix()
