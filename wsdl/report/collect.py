"""Find the runs, executed notebooks and datasets in a folder. A damaged one does not hide the others."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wsdl.config import method_order
from wsdl.core.io import WsdlError
from wsdl.core.progress import print_problem
from wsdl.core.records import check_object, read_about, read_config, read_object, read_stats
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.evaluation.tables import read_evaluated
from wsdl.experiments.grid import job_state, load_grid
from wsdl.notebooks import lesson_notebooks, notebook_title, read_notebook

STATES = ("done", "failed", "stopped", "running", "waiting", "damaged")
NO_RECORD = "no record"  # the status of a notebook that was not executed by the runner
_LESSON = {
    "status": str,
    "title": str,
    "question": str,
    "error": str,
    "seconds": float,
}  # of NAME.run.json


@contextmanager
def leave_out(problem: Callable[[str], object], what: str):
    """Run the block; where it fails, problem(message) says that `what` is left out, and the program goes on.

    This is the boundary that keeps one damaged file from taking the whole report, so it catches every error.
    """
    try:
        yield
    except WsdlError as error:
        problem(str(error))
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        problem(f"{what}: cannot be shown ({type(error).__name__}: {reason}).")


@dataclass(frozen=True)
class RunRecord:
    """A run as its files describe it; empty where a file is missing or damaged."""

    folder: Path
    name: str  # the path of the folder below the one that was searched
    config: dict  # config.json
    about: dict  # run.json
    stats: list  # stats.jsonl
    status: str  # one of STATES
    note: str  # its error, or its progress
    metrics: dict = field(default_factory=dict)  # metrics.json

    @property
    def is_detector(self) -> bool:
        return "method" in self.config and "setup" in self.config

    @property
    def is_evaluated(self) -> bool:
        return bool(self.metrics)

    @property
    def data(self) -> str:
        """The sha256 of the manifest of its test set, or of its training set where it is not evaluated."""
        return (self.metrics or self.config).get("data", "")


@dataclass(frozen=True)
class Lesson:
    """An executed notebook."""

    report: dict  # NAME.run.json, or the same keys
    page: Path | None  # its HTML, or the notebook itself where it has none


def find_runs(folder: Path, problem: Callable[[str], object] = print_problem) -> list[RunRecord]:
    """All runs in `folder` (an absolute path), at any depth, and all jobs of grids, started or not, by method.

    A run with a damaged file has the status "damaged" and says why; problem(message) for a grid that cannot be read.
    """
    jobs = _grid_jobs(folder, problem)
    started = {path.parent for path in folder.rglob("run.json")}
    runs = [_read_run(home, folder, jobs.get(home)) for home in {*started, *jobs}]
    return sorted(runs, key=lambda run: (run.folder.parent, method_order(run.config.get("method", "")), run.name))


def _read_run(home: Path, folder: Path, state: tuple[str, str] | None) -> RunRecord:
    """The run in `home`; `state` is its status and note in a grid."""
    parts, problems = {"config": {}, "about": {}, "stats": [], "metrics": {}}, []
    readers = {"config.json": read_config, "run.json": read_about, "stats.jsonl": read_stats}
    for part, (name, read) in zip(parts, readers.items(), strict=False):
        if (home / name).exists():
            with leave_out(problems.append, f"{home / name}"):
                parts[part] = read(home)
    is_detector = "method" in parts["config"] and "setup" in parts["config"]
    if is_detector and all((home / name).exists() for name in ("metrics.json", PER_IMAGE_FILE)):
        with leave_out(problems.append, f"{home / 'metrics.json'}"):
            parts["metrics"] = read_evaluated(home)[1]
    status, note = state or (parts["about"].get("status", "damaged"), parts["about"].get("error", ""))
    stats, wanted = parts["stats"], parts["config"].get("images")
    if problems:
        status, note = "damaged", " ".join(problems)
    elif status == "done":
        note = ""
    elif status in ("stopped", "running") and stats and wanted:
        note = f"at {min(1, stats[-1]['images'] / wanted):.0%} of its images"
    return RunRecord(home, str(home.relative_to(folder)), status=status, note=note, **parts)


def _grid_jobs(folder: Path, problem: Callable[[str], object]) -> dict[Path, tuple[str, str]]:
    """Run folders of the grids in `folder` with status and note: only the logs of a grid say why a job failed."""
    jobs = {}
    for path in sorted(folder.rglob("grid.json")):
        with leave_out(problem, str(path)):
            grid = load_grid(path.parent)
            jobs |= {grid.run_folder(job): job_state(grid, job) for job in grid.jobs}
    return jobs


def find_lessons(folder: Path, problem: Callable[[str], object] = print_problem) -> list[Lesson]:
    """All executed notebooks in `folder`: those with a record of the runner, then others. Damaged ones are left out."""
    lessons, recorded = [], set()
    for path in sorted(folder.rglob("*.run.json")):
        stem = path.name.removesuffix(".run.json")
        page = path.with_name(f"{stem}.html")
        with leave_out(problem, str(path)):
            lessons.append(Lesson({"title": stem, **_read_record(path)}, page if page.is_file() else None))
        recorded.add(path.with_name(f"{stem}.ipynb"))
    for path in sorted(folder.rglob("*.ipynb")):
        with leave_out(problem, str(path)):
            if path not in recorded and _is_executed(path):
                lessons.append(Lesson({"notebook": path.name, "title": path.stem, "status": NO_RECORD}, path))
    return lessons


def missing_lessons(lessons: list[Lesson]) -> list[str]:
    """Titles of the lessons of the series that were not run, where some were; [] outside a checkout."""
    run = {lesson.report.get("notebook") for lesson in lessons}
    try:
        series = lesson_notebooks(long=True)
    except WsdlError:  # an installed package has no lessons
        return []
    return (
        [notebook_title(path) for path in series if path.name not in run] if any(p.name in run for p in series) else []
    )


def _read_record(path: Path) -> dict:
    """NAME.run.json of a notebook. WsdlError where the runner did not write it so."""
    record = read_object(path, _LESSON, needed=("status",))
    if record["status"] not in ("running", "done", "failed"):
        raise WsdlError(f"{path}: status is {record['status']!r}, but must be running, done or failed.")
    return record


def _is_executed(notebook: Path) -> bool:
    if ".ipynb_checkpoints" in notebook.parts:
        return False
    return any(cell.get("execution_count") for cell in read_notebook(notebook).cells)


def find_datasets(folders: list[Path], problem: Callable) -> dict[str, Dataset]:
    """The datasets in `folders`, at any depth, by the sha256 of their manifest; problem(message) for a broken one."""
    datasets = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("dataset.json")):
            if not (path.parent / "manifest.csv").exists():
                continue
            with leave_out(problem, str(path)):
                data = Dataset(path.parent)
                check_object(data.info, {"name": str, "size": int}, ("name", "size"), str(path))
                datasets.setdefault(data.info["manifest_sha256"], data)
    return datasets
