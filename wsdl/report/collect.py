"""Find the runs, executed notebooks and datasets in a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from wsdl.config import method_order
from wsdl.core.io import WsdlError, read_json
from wsdl.core.run import PER_IMAGE_FILE, read_stats
from wsdl.data.dataset import Dataset
from wsdl.experiments.grid import job_state, load_grid

STATES = ("done", "failed", "stopped", "running", "waiting")


@dataclass(frozen=True)
class RunRecord:
    """A run as its files describe it; empty where a file is missing."""

    folder: Path
    name: str  # the path of the folder below the one that was searched
    config: dict  # config.json
    about: dict  # run.json
    stats: list  # stats.jsonl
    status: str  # one of STATES
    note: str  # its error, or its progress

    @property
    def is_detector(self) -> bool:
        return "method" in self.config and "setup" in self.config

    @property
    def is_evaluated(self) -> bool:
        return self.is_detector and all((self.folder / name).exists() for name in ("metrics.json", PER_IMAGE_FILE))

    @property
    def data(self) -> str:
        """The sha256 of the manifest of its test set, or of its training set where it is not evaluated."""
        path = self.folder / "metrics.json"
        return read_json(path).get("data", "") if path.exists() else self.config.get("data", "")


@dataclass(frozen=True)
class Lesson:
    """An executed notebook."""

    report: dict  # NAME.run.json, or the same keys
    page: Path | None  # its HTML, or the notebook itself where it has none


def find_runs(folder: Path) -> list[RunRecord]:
    """All runs in `folder` (an absolute path), at any depth, and all jobs of grids, started or not, by method."""
    jobs = _grid_jobs(folder)
    started = {path.parent for path in folder.rglob("run.json")}
    runs = [_read_run(home, folder, jobs.get(home)) for home in {*started, *jobs}]
    return sorted(runs, key=lambda run: (run.folder.parent, method_order(run.config.get("method", "")), run.name))


def _read_run(home: Path, folder: Path, state: tuple[str, str] | None) -> RunRecord:
    """The run in `home`; `state` is its status and note in a grid."""
    config, about = (read_json(home / f) if (home / f).exists() else {} for f in ("config.json", "run.json"))
    stats = read_stats(home)
    status, note = state or (about["status"], about.get("error", ""))
    if status == "done":
        note = ""
    elif status in ("stopped", "running") and stats and config.get("images"):
        note = f"at {min(1, stats[-1]['images'] / config['images']):.0%} of its images"
    return RunRecord(home, str(home.relative_to(folder)), config, about, stats, status, note)


def _grid_jobs(folder: Path) -> dict[Path, tuple[str, str]]:
    """Run folders of the grids in `folder` with status and note: only the logs of a grid say why a job failed."""
    grids = [load_grid(path.parent) for path in sorted(folder.rglob("grid.json"))]
    return {grid.run_folder(job): job_state(grid, job) for grid in grids for job in grid.jobs}


def find_lessons(folder: Path) -> list[Lesson]:
    """All executed notebooks in `folder`: those with a record of the runner, then others."""
    lessons, recorded = [], set()
    for path in sorted(folder.rglob("*.run.json")):
        stem = path.name.removesuffix(".run.json")
        page = path.with_name(f"{stem}.html")
        lessons.append(Lesson(read_json(path), page if page.exists() else None))
        recorded.add(path.with_name(f"{stem}.ipynb"))
    for path in sorted(folder.rglob("*.ipynb")):
        if path not in recorded and _is_executed(path):
            lessons.append(Lesson({"notebook": path.name, "title": path.stem, "status": "no record"}, path))
    return lessons


def _is_executed(notebook: Path) -> bool:
    if ".ipynb_checkpoints" in notebook.parts:
        return False
    return any(cell.get("execution_count") for cell in nbformat.read(notebook, 4).cells)


def find_datasets(folders: list[Path], problem: Callable) -> dict[str, Dataset]:
    """The datasets in `folders`, at any depth, by the sha256 of their manifest; problem(message) for a broken one."""
    datasets = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("dataset.json")):
            if not (path.parent / "manifest.csv").exists():
                continue
            try:
                data = Dataset(path.parent)
                datasets.setdefault(data.info["manifest_sha256"], data)
            except WsdlError as error:
                problem(str(error))
    return datasets
