"""One offline page about everything in a folder: a study, a grid, or any runs. It names what is missing."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from markupsafe import Markup

import wsdl
from wsdl.core.html import error_banner, page_style, relative_link, render_template, write_page
from wsdl.core.io import WsdlError, atomic
from wsdl.core.progress import format_duration, print_problem, progress_bar
from wsdl.data.dataset import Dataset
from wsdl.report import facts, figures
from wsdl.report.collect import (
    STATES,
    Lesson,
    RunRecord,
    find_datasets,
    find_lessons,
    find_runs,
    leave_out,
    missing_lessons,
)
from wsdl.report.predictions import ShownPredictions, predict_shown
from wsdl.report.results import compare_with_baselines, compare_with_masks, results_section, robustness_section


def build_site(runs: Path, out: Path, data: list[Path] | None = None) -> Path:
    """Write OUT/index.html about everything in `runs`, and return its path.

    The page contains everything it shows. Its figures are also written to OUT/figures, and pages of executed notebooks
    to OUT at their path within `runs`. data: folders with further datasets. What is damaged is named in the page and on
    stderr, and the rest is shown. Raises WsdlError where nothing is found.
    """
    folder, out, problems = Path(runs).resolve(), Path(out).resolve(), _Problems()
    if not folder.is_dir():
        raise WsdlError(f"{runs}: no such folder; give one with runs, such as that of a demo or a grid.")
    records, lessons = find_runs(folder, problems.add), find_lessons(folder, problems.add)
    problems.print_damaged(records)
    datasets = find_datasets([folder, *(data or [])], problems.add)
    if not (records or lessons or datasets):
        raise WsdlError(f"{runs}: contains no run, no executed notebook and no dataset; there is nothing to report.")
    rows = _results(folder, records, problems.add)
    tested = [run for run in records if run.is_evaluated]
    shown = _predictions(tested, datasets, problems.add)
    drawn = out / "figures"
    makers = {
        "Results": lambda: _results_section(rows, drawn, problems.add),
        "Robustness": lambda: _robustness_section(folder, problems.add),
        "Images": lambda: _images_section(tested, shown, drawn, problems.add),
        "Explorer": lambda: _join(figures.explorer_section(each) for each in shown),
        "Training": lambda: figures.curves_section(records, drawn, problems.add),
        "Lessons": lambda: _lessons_section(folder, out, lessons, problems.add),
        "Runs": lambda: facts.run_table(records),
        "Data and licences": lambda: _data_section(list(datasets.values()), drawn, problems.add),
        "Parameters and versions": lambda: (
            facts.parameter_tables(folder, records, problems.add) + facts.environment_table(records)
        ),
    }
    sections = {}
    for title, make in makers.items():
        with leave_out(problems.add, f"section {title}"):
            sections[title] = make()
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
        banners=_banners(records, lessons, problems.messages),
        sections={title: content for title, content in sections.items() if content},
        version=wsdl.__version__,
    )
    write_page(out / "index.html", page)
    return out / "index.html"


class _Problems:
    """What cannot be shown, and why: each is printed to stderr once and is in the page once."""

    def __init__(self):
        self.messages, self._printed = [], set()

    def add(self, message: str) -> None:
        if not any(message in printed for printed in self._printed):
            self.messages.append(message)
            self._print(message)

    def print_damaged(self, runs: list[RunRecord]) -> None:
        """Print the reasons of damaged runs, which have a banner of their own in the page."""
        for run in runs:
            if run.status == "damaged":
                self._print(run.note)

    def _print(self, message: str) -> None:
        self._printed.add(message)
        print_problem(message)


def _join(parts) -> Markup:
    return Markup().join(parts)


def _results(folder: Path, runs: list[RunRecord], problem: Callable) -> pd.DataFrame | None:
    """The rows of `evaluation.tables.results_by_job`; None where no run can be in it."""
    from wsdl.evaluation.tables import results_by_job

    if any(run.is_evaluated for run in runs):
        with leave_out(problem, "results"):
            return results_by_job(folder, problem)
    return None


def _results_section(rows: pd.DataFrame | None, drawn: Path, problem: Callable) -> Markup:
    if rows is None:
        return Markup("<p>No run was evaluated.</p>")
    figure = Markup()
    with leave_out(problem, "figure of the results"):
        figure = figures.intervals_figure(rows, drawn)
    return figure + results_section(rows)


def _robustness_section(folder: Path, problem: Callable) -> Markup:
    """The scores on corrupted images of the runs that have some."""
    from wsdl.evaluation.robustness_table import find_robustness, robustness_table

    runs = find_robustness(folder)
    return robustness_section(robustness_table(runs, problem)) if runs else Markup()


def _predictions(tested: list[RunRecord], datasets: dict[str, Dataset], problem: Callable) -> list[ShownPredictions]:
    """Predictions of the tested runs, for each dataset that was found."""
    shown = []
    for sha in dict.fromkeys(run.data for run in tested):
        runs = [run for run in tested if run.data == sha]
        names = ", ".join(run.name for run in runs)
        if sha not in datasets:
            problem(f"Maps of {names}: their dataset was not found; give its folder with --data.")
            continue
        with leave_out(problem, f"maps of {names}"):
            shown.append(predict_shown(datasets[sha], runs, problem))
    return [each for each in shown if each.runs]


def _images_section(tested: list[RunRecord], shown: list[ShownPredictions], drawn: Path, problem: Callable) -> Markup:
    parts = []
    for each in shown:
        for draw in (figures.maps_section, figures.cases_section):
            with leave_out(problem, f"images of {each.name}"):
                parts.append(draw(each, drawn, problem))
    maps = _join(parts)
    return maps + figures.grad_cam_note(tested) if maps else maps


def _data_section(datasets: list[Dataset], drawn: Path, problem: Callable) -> Markup:
    parts = []
    for dataset in datasets:
        for make in (facts.dataset_facts, lambda data: figures.faces_figure(data, drawn)):
            with leave_out(problem, f"dataset {dataset.folder}"):
                parts.append(make(dataset))
    return _join([*parts, facts.licence_table(datasets)])


def _summary(runs: list[RunRecord], lessons: list[Lesson], datasets: dict, rows: pd.DataFrame | None) -> list[str]:
    """How many runs, datasets and notebooks there are, and which detectors exceed the baselines."""
    states = [run.status for run in runs]
    counts = [f"{states.count(status)} {status}" for status in STATES if status in states]
    counts = counts if len(counts) > 1 else [f"all {states[0]}"] if counts else []
    seeds = sorted({run.config["seed"] for run in runs if run.is_detector and run.config.get("seed") is not None})
    names = dict.fromkeys(str(dataset.info["name"]) for dataset in datasets.values())
    trained = f"{len(runs)} runs: {', '.join(counts)}; seeds of detectors: {', '.join(map(str, seeds)) or 'none'}."
    return [
        trained if runs else "No run.",
        f"Data: {', '.join(names) or 'not found'}. Executed notebooks: {len(lessons)}.",
        *(compare_with_baselines(rows) + compare_with_masks(runs) if rows is not None else []),
    ]


def _banners(runs: list[RunRecord], lessons: list[Lesson], problems: list[str]) -> list[Markup]:
    """A banner for everything that failed, was stopped or cannot be shown."""
    banners = [
        error_banner(lesson.report.get("error", f"{lesson.report['title']}: no reason recorded"))
        for lesson in lessons
        if lesson.report["status"] == "failed"
    ]
    headings = {"failed": "This run failed.", "stopped": "This run was stopped.", "damaged": "This run is damaged."}
    for run in runs:
        if run.status in headings:
            banners.append(error_banner(f"{run.name}: {run.note or 'no reason recorded'}", headings[run.status]))
    return banners + [error_banner(problem, "Not shown.") for problem in problems]


def _lessons_section(folder: Path, out: Path, lessons: list[Lesson], problem: Callable) -> Markup:
    """Each lesson with a link to its page, its status and its question."""
    if not lessons:
        return Markup("<p>No lesson was run.</p>")
    rows = []
    progress = progress_bar(len(lessons), "pages of notebooks", "notebook")
    for lesson in lessons:
        seconds = lesson.report.get("seconds")
        row = {
            "title": lesson.report["title"],
            "link": "",
            "status": lesson.report["status"],
            "time": format_duration(seconds) if seconds else "",
            "question": lesson.report.get("question", ""),
        }
        rows.append(row)
        if lesson.page:
            with leave_out(problem, str(lesson.page)):
                row["link"] = _page_of(folder, out, lesson.page)
        progress.update()
    progress.close()
    missing = missing_lessons(lessons)
    return render_template("report/templates/lessons.html.j2", lessons=rows, missing=missing)


def _page_of(folder: Path, out: Path, given: Path) -> str:
    """The link to the page of a notebook in OUT: already there, copied, or converted from the notebook."""
    from wsdl.notebooks import to_html

    path = given.relative_to(folder).with_suffix(".html")
    if given.suffix == ".ipynb":
        to_html(given, out / path)
    elif out / path != given:
        with atomic(out / path) as temporary:
            temporary.write_bytes(given.read_bytes())
    return relative_link(path)
