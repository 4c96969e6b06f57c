"""One page of everything that lies in a folder: a study, a grid, or any runs. What is missing is said, not hidden."""

import html
from pathlib import Path

import wsdl
from wsdl.core.html import banner, contents, page, section, text
from wsdl.core.io import WsdlError, atomic, write_text
from wsdl.core.progress import format_duration
from wsdl.data.dataset import Dataset
from wsdl.report import collect as found
from wsdl.report import facts, figures
from wsdl.report.collect import Found, Lesson
from wsdl.report.predictions import look
from wsdl.report.results import results, verdicts

TITLE = "Which pixels did a machine paint?"
ABOUT = (
    "<p>Detectors that learned only from “this picture is real” and “this picture is fake” (setups a and b) are "
    "asked where a face was repainted, and compared with ones that were shown the masks (setup c). After Țânțaru, "
    "Oneață and Oneață, “Weakly-supervised deepfake localization in diffusion-generated images”, WACV 2024.</p>"
)


def site(runs: Path, out: Path, data: list[Path] | None = None) -> Path:
    """Write OUT/index.html from what lies in `runs`, and return it.

    Everything it shows is inside the page; its figures also lie in OUT/figures, and the pages of executed notebooks in
    OUT where they lie in `runs`. data: folders with datasets that lie elsewhere. WsdlError where there is nothing.
    """
    folder, out, problems = Path(runs).resolve(), Path(out).resolve(), []
    if not folder.is_dir():
        raise WsdlError(f"{runs}: no such folder; give one with runs, such as a demo's or a grid's.")
    those, lessons = found.runs(folder), found.lessons(folder)
    datasets = found.datasets([folder, *(data or [])], problems.append)
    if not (those or lessons or datasets):
        raise WsdlError(f"{runs}: holds no run, no executed notebook and no dataset; there is nothing to report.")
    rows = table_of(folder, those)
    tested = [run for run in those if run.is_evaluated]
    looks = looks_at(tested, datasets, problems)
    drawn = out / "figures"
    maps = "".join(figures.maps(each, drawn) + figures.best_and_worst(each, drawn) for each in looks)
    sections = {
        "Results": "<p>No run was evaluated.</p>" if rows is None else figures.standings(rows, drawn) + results(rows),
        "Pictures": maps + camera(tested, maps),
        "Explorer": "".join(figures.explorer(each) for each in looks),
        "Training": figures.curves(those, drawn),
        "Lessons": lesson_list(folder, out, lessons),
        "Runs": facts.run_table(those),
        "Data and licences": "".join(facts.data(each) + figures.faces(each, drawn) for each in datasets.values())
        + facts.licences(list(datasets.values())),
        "What these numbers depend on": facts.parameters(folder, those) + facts.environment_section(those),
    }
    sections = {title: body for title, body in sections.items() if body}
    top = [f"<h1>{TITLE}</h1>", contents(list(sections)), ABOUT, summary(those, lessons, datasets, rows)]
    top += failures(those, lessons) + [banner(problem, "Not shown.") for problem in problems]
    body = "\n".join([*top, *(section(title, body) for title, body in sections.items())])
    write_text(out / "index.html", with_explorer(body) if looks else page("wsdl: report", body))
    return out / "index.html"


def table_of(folder: Path, runs: list[Found]):
    """The table of `wsdl.evaluation.tables`; None where no run was evaluated."""
    from wsdl.evaluation.tables import results_by_job

    return results_by_job(folder) if any(run.is_evaluated for run in runs) else None


def looks_at(tested: list[Found], datasets: dict[str, Dataset], problems: list[str]) -> list:
    """What the tested runs see, for each dataset that is here."""
    shown = []
    for sha in dict.fromkeys(run.data for run in tested):
        some = [run for run in tested if run.data == sha]
        if sha in datasets:
            shown.append(look(datasets[sha], some, problems.append))
        else:
            problems.append(f"Maps of {', '.join(run.name for run in some)}: their pictures are not here; give --data.")
    return [each for each in shown if each.runs]


def camera(tested: list[Found], maps: str) -> str:
    """A word about Grad-CAM where it is among the runs that are shown."""
    cams = any(run.config["method"] == "grad-cam" and run.config["setup"] != "c" for run in tested)
    return f'<p class="small">{figures.GRAD_CAM}</p>' if cams and maps else ""


def with_explorer(body: str) -> str:
    from wsdl.explorer import assets

    script = f'<script type="module">\n{assets.script("page.js")}\n</script>'
    return page("wsdl: report", body + script, assets.style())


def summary(runs: list[Found], lessons: list[Lesson], datasets: dict, rows) -> str:
    """In a few lines: how many of what, and whether the detectors beat the controls."""
    states = [run.status for run in runs]
    counts = [f"{states.count(status)} {status}" for status in found.STATES if status in states]
    counts = counts if len(counts) > 1 else [f"all {states[0]}"] if counts else []
    seeds = sorted({run.config["seed"] for run in runs if run.is_detector and "seed" in run.config})
    names = dict.fromkeys(str(dataset.info["name"]) for dataset in datasets.values())
    lines = [
        f"{len(runs)} runs: {', '.join(counts)}; seeds of detectors: {', '.join(map(str, seeds)) or 'none'}."
        if runs
        else "No run.",
        f"Data: {', '.join(names) or 'none here'}. Executed notebooks: {len(lessons)}.",
        *(verdicts(rows) if rows is not None else []),
    ]
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    note = (
        '<p class="small">Above and below are said only where the two 95&nbsp;% intervals do not meet. '
        f"Page by wsdl {wsdl.__version__}.</p>"
    )
    return section("Summary", f"<ul>{items}</ul>{note}")


def failures(runs: list[Found], lessons: list[Lesson]) -> list[str]:
    """A banner for everything that failed, with its error, and for every run that was stopped."""
    told = [banner(lesson.report["error"]) for lesson in lessons if lesson.report["status"] == "failed"]
    for run in runs:
        if run.status in ("failed", "stopped"):
            words = "This run failed." if run.status == "failed" else "This run was stopped."
            told.append(banner(f"{run.name}: {run.note or 'it left no word why'}", words))
    return told


def lesson_list(folder: Path, out: Path, lessons: list[Lesson]) -> str:
    """Each lesson: its title, linked where there is a page, how it went, and its question."""
    if not lessons:
        return "<p>No lesson was run.</p>"
    items = []
    for lesson in lessons:
        report, heading = lesson.report, html.escape(lesson.report["title"])
        if lesson.page:
            heading = f'<a href="{html.escape(page_in(folder, out, lesson.page))}">{heading}</a>'
        time = f", {format_duration(report['seconds'])}" if report.get("seconds") else ""
        status = f'<span class="small {report["status"]}">{text(report["status"])}{time}</span>'
        items.append(f"<li>{heading} {status}<br>{html.escape(report.get('question', ''))}</li>")
    return f'<ul class="lessons">{"".join(items)}</ul>'


def page_in(folder: Path, out: Path, given: Path) -> str:
    """The page of a notebook inside OUT, as a link: as it is, copied, or made where there was only the notebook."""
    from wsdl.notebooks import to_html

    place = given.relative_to(folder).with_suffix(".html")
    if given.suffix == ".ipynb":
        to_html(given, out / place)
    elif out / place != given:
        with atomic(out / place) as temporary:
            temporary.write_bytes(given.read_bytes())
    return place.as_posix()
