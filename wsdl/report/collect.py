"""What lies in a folder: runs, however they ended, executed notebooks, and datasets."""

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
class Found:
    """A run and what it tells of itself; what it does not tell is empty."""

    folder: Path
    name: str  # the folder's path below the one that was searched
    config: dict  # config.json
    about: dict  # run.json
    stats: list  # stats.jsonl
    status: str  # one of STATES
    note: str  # why it failed, or how far it is

    @property
    def is_detector(self) -> bool:
        return "method" in self.config and "setup" in self.config

    @property
    def is_evaluated(self) -> bool:
        return self.is_detector and all((self.folder / name).exists() for name in ("metrics.json", PER_IMAGE_FILE))

    @property
    def data(self) -> str:
        """The sha256 of the manifest that the run was tested on, or trained on."""
        path = self.folder / "metrics.json"
        return read_json(path).get("data", "") if path.exists() else self.config.get("data", "")


@dataclass(frozen=True)
class Lesson:
    """An executed notebook. `page` is where it lies, or for a notebook without one the notebook itself; or None."""

    report: dict  # NAME.run.json, or its like
    page: Path | None


def runs(folder: Path) -> list[Found]:
    """Every run in `folder` (an absolute path), at any depth, and every job of a grid, begun or not, by method."""
    jobs = jobs_of_grids(folder)
    begun = {path.parent for path in folder.rglob("run.json")}
    those = [run(home, folder, jobs.get(home)) for home in {*begun, *jobs}]
    return sorted(those, key=lambda one: (one.folder.parent, method_order(one.config.get("method", "")), one.name))


def run(home: Path, folder: Path, known: tuple[str, str] | None) -> Found:
    """The run in `home`; `known` is how a grid says that it stands."""
    config, about = (read_json(home / f) if (home / f).exists() else {} for f in ("config.json", "run.json"))
    stats = read_stats(home)
    status, note = known or (about["status"], about.get("error", ""))
    if status in ("stopped", "running") and stats and config.get("images"):
        note = f"{min(1, stats[-1]['images'] / config['images']):.0%} of its pictures seen"
    return Found(home, str(home.relative_to(folder)), config, about, stats, status, "" if status == "done" else note)


def jobs_of_grids(folder: Path) -> dict[Path, tuple[str, str]]:
    """Run folders of the grids in `folder`, and how each stands: only a grid's logs know why a run failed."""
    grids = [load_grid(path.parent) for path in sorted(folder.rglob("grid.json"))]
    return {grid.run_folder(job): job_state(grid, job) for grid in grids for job in grid.jobs}


def lessons(folder: Path) -> list[Lesson]:
    """Every executed notebook in `folder`: those the runner vouches for, then those it knows nothing of."""
    reports = sorted(folder.rglob("*.run.json"))
    known = [Lesson(read_json(path), existing(path.with_name(f"{name_of(path)}.html"))) for path in reports]
    vouched = {path.with_name(f"{name_of(path)}.ipynb") for path in reports}
    others = [path for path in sorted(folder.rglob("*.ipynb")) if path not in vouched and is_executed(path)]
    return known + [Lesson({"notebook": path.name, "title": path.stem, "status": "no record"}, path) for path in others]


def name_of(report: Path) -> str:
    return report.name.removesuffix(".run.json")


def existing(path: Path) -> Path | None:
    return path if path.exists() else None


def is_executed(notebook: Path) -> bool:
    if ".ipynb_checkpoints" in notebook.parts:
        return False
    return any(cell.get("execution_count") for cell in nbformat.read(notebook, 4).cells)


def datasets(folders: list[Path], problem: Callable) -> dict[str, Dataset]:
    """The datasets in `folders`, at any depth, by the sha256 of their manifests; problem(sentence) for a broken one."""
    found = {}
    for path in (path for folder in folders for path in sorted(Path(folder).rglob("dataset.json"))):
        if not (path.parent / "manifest.csv").exists():
            continue
        try:
            data = Dataset(path.parent)
            found.setdefault(data.info["manifest_sha256"], data)
        except WsdlError as error:
            problem(str(error))
    return found
