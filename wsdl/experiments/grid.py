"""Many runs: which jobs a grid has, how each stands, what it costs, and what all say together.

A grid is a plain list of jobs. Jobs that train on one source share one dataset, whatever their seed:
OUT/grid.json what was asked · OUT/SOURCE a study (data, p2, runs/NAME) · OUT/logs/NAME.log · OUT/results.csv
"""

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from wsdl.config import (
    BUNDLED_SOURCES,
    GENERATORS,
    Fakes,
    Profile,
    apply_changes,
    complete_profile,
    load_profile,
    profile_to_dict,
)
from wsdl.core.io import WsdlError, read_json
from wsdl.core.locks import hold_lock, lock_holder
from wsdl.core.run import PER_IMAGE_FILE, is_done, read_stats, write_or_check_config
from wsdl.evaluation.evaluate import evaluate, has_all_rows
from wsdl.experiments.jobs import Job, grid_jobs, parse_test
from wsdl.experiments.study import Study

DATA_SEED = 0  # the seeds of a grid are of training alone
LOG_MARK = "---"  # how a line of a log starts that says that a process was started; so far it has said nothing itself


@dataclass(frozen=True)
class Grid:
    """Jobs and what they share. `images` and `masks` are the folders of the source photos."""

    out: Path
    jobs: tuple[Job, ...]
    profile: Profile
    images: str = ""
    masks: str = ""

    def study(self, job: Job) -> Study:
        return self.at(job.train_source, job.seed)

    def at(self, source: str, seed: int = DATA_SEED) -> Study:
        profile = self.profile
        if source in BUNDLED_SOURCES and self.has_photos:  # it says who paints into those, not into the bundle
            profile = replace(profile, p2_weights="", fakes=Fakes())
        return Study(self.out / source, profile, source, self.images, self.masks, seed, data_seed=DATA_SEED)

    @property
    def has_photos(self) -> bool:
        return any("photos" in job.needs() for job in self.jobs)

    def run_folder(self, job: Job) -> Path:
        return self.study(job).run_folder(job.method, job.setup, job.own)

    def tested(self, job: Job) -> dict[str, Path]:
        """Where the numbers of each test of `job` are: at home in the run itself, others in a folder of it."""
        home = f"{job.train_source}/{'+'.join(job.own)}"
        folders = {
            "/".join(parse_test(test)): self.run_folder(job) / "on" / "-".join(parse_test(test)) for test in job.tests
        }
        return {home: self.run_folder(job)} | folders

    def name(self, job: Job) -> str:
        return self.run_folder(job).name

    def log(self, job: Job) -> Path:
        return self.out / "logs" / f"{self.name(job)}.log"

    def lock(self, job: Job) -> Path:
        return self.log(job).with_suffix(".lock")


def default_out(name: str) -> Path:
    return Path("out") / f"grid-{Path(name).stem}"


def make_grid(
    name: str,
    out: Path,
    profile: str = "quick",
    source: str = "studio",
    images: str = "",
    masks: str = "",
    seeds: tuple[int, ...] = (0,),
    generators: tuple[str, ...] = GENERATORS,
) -> Grid:
    """The grid called `name` (see `wsdl.experiments.jobs.grid_jobs`); nothing is written."""
    jobs = grid_jobs(name, source, seeds, bool(images), generators)
    images, masks = (str(Path(path).resolve()) if path else "" for path in (images, masks))
    grid = Grid(Path(out).resolve(), tuple(dict.fromkeys(jobs)), load_profile(profile), images, masks)
    for job in grid.jobs:
        for source in job.needs():
            grid.at(source)  # refuses one that does not exist
    return grid


def write_grid(grid: Grid) -> None:
    """Write OUT/grid.json, jobs of earlier calls first. WsdlError if those had another profile or other pictures.

    What a run is tested on is what the last call says.
    """
    path = grid.out / "grid.json"
    old = load_grid(grid.out).jobs if path.exists() else ()
    jobs = [asdict(job) for job in {grid.name(job): job for job in (*old, *grid.jobs)}.values()]
    shared = {"profile": profile_to_dict(grid.profile), "images": grid.images, "masks": grid.masks}
    write_or_check_config(path, {**shared, "cells": jobs}, growing=("cells",),
          understood=lambda old: {**old, "profile": complete_profile(old["profile"], f"{path}: profile")})  # fmt: skip


def load_grid(out: Path) -> Grid:
    """The grid that was begun in `out`."""
    path = Path(out) / "grid.json"
    if not path.exists():
        raise WsdlError(f"{out}: holds no grid; begin one with `python -m wsdl grid run`.")
    said = read_json(path)
    jobs = tuple(apply_changes(Job("", "", "", 0), job, f"{path}: jobs") for job in said["cells"])
    profile = apply_changes(Profile(), said["profile"], f"{path}: profile")
    return Grid(Path(out).resolve(), jobs, profile, said["images"], said["masks"])


def run_job(grid: Grid, job: Job) -> dict:
    """Train and score one job in this process, from its last checkpoint on; its row of metrics.json.

    The data is made first if need be, by one process at a time. WsdlError where another process runs this job.
    A Slurm array does the same in a job of its own (the number is that of `grid plan`; the folder must be shared):
    sbatch --array=0-8 --gres=gpu:1 --wrap 'python -m wsdl grid run table2 --out DIR --only $SLURM_ARRAY_TASK_ID'
    """
    with hold_lock(grid.lock(job)):
        prepare_data(grid, [job])
        result = grid.study(job).scores(job.method, job.setup, job.own)
        for test in job.tests:
            source, generator = parse_test(test)
            folder = grid.tested(job)[f"{source}/{generator}"]
            evaluate(grid.run_folder(job), grid.at(source).out / "data", generators=(generator,), into=folder)
        return result["rows"][0]


def prepare_data(grid: Grid, jobs: list[Job]) -> None:
    """Faces and fakes of all that `jobs` need, decoded. Under a lock: writing a manifest is no work for two.

    WsdlError where there are no fakes of a generator that neither comes with wsdl nor is the study's own.
    """
    needed: dict[str, tuple[str, ...]] = {}
    for source, generators in (need for job in jobs for need in job.needs().items()):
        needed[source] = tuple(dict.fromkeys((*needed.get(source, ()), *generators)))
    for source, generators in needed.items():
        study = grid.at(source)
        with hold_lock(study.out / "data.lock", wait=True):
            dataset = study.fakes_by(generators)
            _ = dataset.images, dataset.masks  # decoded into the dataset's cache


def is_finished(grid: Grid, job: Job) -> bool:
    """Whether a job is trained and scored in all its tests, with the rows that this version has in a table."""
    return is_done(grid.run_folder(job)) and all(map(_is_scored, grid.tested(job).values()))


def _is_scored(folder: Path) -> bool:
    there = all((folder / name).exists() for name in ("metrics.json", PER_IMAGE_FILE))
    return there and has_all_rows(read_json(folder / "metrics.json")["rows"])


def job_state(grid: Grid, job: Job) -> tuple[str, str]:
    """How a job stands, and a note: waiting, running (percent), stopped (percent), failed (why), done (seconds)."""
    folder = grid.run_folder(job)
    if is_finished(grid, job):
        return "done", f"{read_json(folder / 'run.json')['seconds']:.0f} s"
    if lock_holder(grid.lock(job)):
        return "running", _percent(folder)
    if grid.lock(job).exists():  # left by a process that was killed
        return "stopped", _percent(folder)
    if grid.log(job).exists() and not (last := last_log_line(grid.log(job))).startswith(LOG_MARK):
        return "failed", last
    return "waiting", ""


def _percent(folder: Path) -> str:
    """How much of its training a run had behind it at its last checkpoint."""
    stats = read_stats(folder)
    part = stats[-1]["images"] / read_json(folder / "config.json")["images"] if stats else 0
    return f"{min(100, 100 * part):.0f} %"


def last_log_line(log: Path) -> str:
    lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace").strip())
    return lines[-1][max(0, lines[-1].find("wsdl: ")) :].strip()  # a progress bar may stand before an error


def grid_status(out: Path) -> pd.DataFrame:
    """How every job of the grid in `out` stands: a row each."""
    grid = load_grid(out)
    states = [job_state(grid, job) for job in grid.jobs]
    jobs = pd.DataFrame([{k: " ".join(v) if isinstance(v, tuple) else v for k, v in asdict(job).items()}
                          for job in grid.jobs])  # fmt: skip
    jobs = jobs.loc[:, (jobs != "").any()]  # most grids name no generators and no further tests
    return jobs.assign(state=[word for word, _ in states], note=[note for _, note in states])
