"""Grids: lists of jobs, their folders, and the state of each job.

Jobs that train on one source share one dataset, whatever their seed:
OUT/grid.json what was asked · OUT/SOURCE a study (data, p2, runs/NAME) · OUT/logs/NAME.log · OUT/results.csv
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from wsdl.config import BUNDLED_SOURCES, GRID_GENERATORS, SOURCES, USER_SOURCES, Fakes, Profile
from wsdl.core.io import WsdlError
from wsdl.core.locks import hold_folder, hold_lock, lock_holder, was_killed
from wsdl.core.processes import last_log_line
from wsdl.core.ranges import check_ranges
from wsdl.core.records import read_about, read_config, read_metrics, read_object
from wsdl.core.run import PER_IMAGE_FILE, is_done, read_stats, write_or_check_config
from wsdl.core.settings import apply_changes
from wsdl.evaluation.evaluate import evaluate, has_all_rows
from wsdl.experiments.given_study import GivenStudy, given_source
from wsdl.experiments.jobs import Job, grid_jobs, job_from_dict, job_to_dict, parse_test
from wsdl.experiments.study import Study
from wsdl.experiments.study_checks import PROFILE_LABELS
from wsdl.profiles import complete_profile, load_profile, profile_to_dict
from wsdl.training.examples import decode_examples

DATA_SEED = 0  # of faces and fakes; the seeds of a grid are those of training
LOG_MARK = "---"  # first characters of the log line that a start writes; a log that ends with it has no output yet


@dataclass(frozen=True)
class Grid:
    """Jobs and their shared settings. `images` and `masks` are the folders of the source photos; `data` a dataset."""

    out: Path
    jobs: tuple[Job, ...]
    profile: Profile
    images: str = ""
    masks: str = ""
    data: str = ""  # all jobs are trained and tested on this folder, which is made elsewhere

    def study(self, job: Job) -> Study:
        """The study in which `job` is trained, with the settings of its variant."""
        changes = {job.method.replace("-", "_"): dict(job.settings)} if job.settings else {}
        profile = apply_changes(self.profile, changes, f"variant {job.variant}")
        return self.at(job.train_source, job.seed, profile, job.variant)

    def at(self, source: str, seed: int = DATA_SEED, profile: Profile | None = None, variant: str = "") -> Study:
        """The study of one source."""
        profile = profile or self.profile
        if self.data:
            return GivenStudy(self.out / source, self.data, profile, seed, DATA_SEED, variant)
        if source in BUNDLED_SOURCES and self.has_photos:  # the profile's weights are for the photos, not the bundle
            profile = replace(profile, p2_weights="", fakes=Fakes(sampler=profile.fakes.sampler))
        return Study(self.out / source, profile, source, self.images, self.masks, seed, DATA_SEED, variant)

    @property
    def has_photos(self) -> bool:
        return any(set(job.needs()) & set(USER_SOURCES) for job in self.jobs)

    def run_folder(self, job: Job) -> Path:
        return self.study(job).run_folder(job.method, job.setup, job.own_generators)

    def test_folders(self, job: Job) -> dict[str, Path]:
        """SOURCE/GENERATOR -> folder of metrics.json of each test of `job`: the run itself, then folders inside it."""
        own = f"{job.train_source}/{'+'.join(job.own_generators)}"
        tests = [parse_test(test) for test in job.tests]
        folders = {"/".join(test): self.run_folder(job) / "on" / "-".join(test) for test in tests}
        return {own: self.run_folder(job)} | folders

    def name(self, job: Job) -> str:
        return self.run_folder(job).name

    def log(self, job: Job) -> Path:
        return self.out / "logs" / f"{self.name(job)}.log"

    def lock(self, job: Job) -> Path:
        return self.log(job).with_suffix(".lock")


def default_grid_folder(name: str) -> Path:
    return Path("out") / f"grid-{Path(name).stem}"


def make_grid(
    name: str,
    out: Path,
    profile: str = "quick",
    source: str = "studio",
    images: str = "",
    masks: str = "",
    seeds: tuple[int, ...] = (0,),
    generators: tuple[str, ...] = GRID_GENERATORS,
    data: str = "",
) -> Grid:
    """The grid `name` (see `wsdl.experiments.jobs.grid_jobs`); writes nothing. WsdlError for an unknown source."""
    source = given_source(data) if data else source
    for seed in seeds:
        check_ranges(seed=seed)
    photos = source if source in USER_SOURCES else "photos"
    jobs = grid_jobs(name, source, seeds, photos if images else "", generators)
    folders = (str(Path(path).resolve()) if path else "" for path in (images, masks, data))
    grid = Grid(Path(out).resolve(), tuple(dict.fromkeys(jobs)), load_profile(profile), *folders)
    _merge_jobs(grid, grid.jobs)  # raises where two variants have one name
    for job in grid.jobs:
        for needed in job.needs():
            grid.at(needed)  # raises for an unknown source, or another than that of `data`
    return grid


def write_grid(grid: Grid) -> None:
    """Write OUT/grid.json, jobs of earlier calls first; the tests of a job are those of the last call.

    WsdlError where the earlier calls had another profile, other photographs or other settings of a variant, unless they
    did not get as far as faces.
    """
    with hold_folder(grid.out):
        _write_grid(grid)


def _write_grid(grid: Grid) -> None:
    path = grid.out / "grid.json"
    old = load_grid(grid.out).jobs if path.exists() else ()
    begun = any([*grid.out.glob("*/data/manifest.csv"), *grid.out.glob("*/runs/*/model.safetensors")])
    if not begun:  # nothing was trained with the settings of earlier calls
        old = [job for job in old if grid.name(job) not in map(grid.name, grid.jobs)]
    jobs = _merge_jobs(grid, (*old, *grid.jobs))
    asked = {"profile": profile_to_dict(grid.profile), "images": grid.images, "masks": grid.masks,
             "cells": [job_to_dict(job) for job in jobs], **({"data": grid.data} if grid.data else {})}  # fmt: skip

    def complete(written: dict) -> dict:
        return written | {"profile": complete_profile(written["profile"], f"{path}: profile")}

    write_or_check_config(path, asked, growing=("cells", *PROFILE_LABELS), understood=complete, begun=begun)


def _merge_jobs(grid: Grid, jobs: tuple[Job, ...]) -> list[Job]:
    """`jobs` with every run once, as the last of them says. WsdlError where two runs of one name differ in settings."""
    merged = {}
    for job in jobs:
        other = merged.get(grid.name(job), job)
        if other.settings != job.settings:
            raise WsdlError(
                f"{grid.out}: has two variants '{job.variant}', one with {dict(other.settings)}, one with "
                f"{dict(job.settings)}; give them two names, or choose another --out."
            )
        merged[grid.name(job)] = job
    return list(merged.values())


def load_grid(out: Path) -> Grid:
    """The grid in `out`. WsdlError where there is none."""
    path = Path(out) / "grid.json"
    if not path.exists():
        raise WsdlError(f"{out}: holds no grid; begin one with `python -m wsdl grid run`.")
    kinds = {"cells": list, "profile": dict, "images": str, "masks": str}
    written = read_object(path, kinds | {"data": str}, needed=tuple(kinds))
    sources = None if written.get("data") else SOURCES
    jobs = tuple(job_from_dict(job, f"{path}: cells", Job("", "", "", 0), sources) for job in written["cells"])
    profile = apply_changes(Profile(), written["profile"], f"{path}: profile")
    return Grid(Path(out).resolve(), jobs, profile, written["images"], written["masks"], written.get("data", ""))


def run_job(grid: Grid, job: Job) -> dict:
    """Train and score one job in this process, from its last checkpoint; return its row of metrics.json.

    Makes the data first if missing. WsdlError where another process runs it.
    """
    with hold_lock(grid.lock(job)):
        prepare_data(grid, [job])
        result = grid.study(job).scores(job.method, job.setup, job.own_generators)
        for test, folder in list(grid.test_folders(job).items())[1:]:
            source, generator = parse_test(test)
            evaluate(grid.run_folder(job), grid.at(source).data, generators=(generator,), into=folder)
        return result["rows"][0]


def prepare_data(grid: Grid, jobs: list[Job]) -> None:
    """Make and decode the faces and fakes that `jobs` need, one process at a time.

    WsdlError where a generator has no fakes: they neither come with wsdl nor are made by the study.
    """
    needed: dict[str, tuple[str, ...]] = {}
    for source, generators in (need for job in jobs for need in job.needs().items()):
        needed[source] = tuple(dict.fromkeys((*needed.get(source, ()), *generators)))
    for source, generators in needed.items():
        with hold_lock(grid.out / source / "data.lock", wait=True):
            dataset = grid.at(source).fakes_by(generators)
            dataset.decode(dataset.select(split="test"))
            for job in (job for job in jobs if job.train_source == source):
                decode_examples(dataset.folder, job.setup, grid.study(job).trained_on(job.setup, job.own_generators))


def is_finished(grid: Grid, job: Job) -> bool:
    """Whether a job is trained and all its tests are scored, with the baselines of this version."""
    return is_done(grid.run_folder(job)) and all(map(_is_scored, grid.test_folders(job).values()))


def _is_scored(folder: Path) -> bool:
    exists = all((folder / name).exists() for name in ("metrics.json", PER_IMAGE_FILE))
    return exists and has_all_rows(read_metrics(folder)["rows"])


def job_state(grid: Grid, job: Job) -> tuple[str, str]:
    """The state of a job, and a note: waiting, running (percent), stopped (percent), failed (why), done (seconds).

    A job whose files cannot be read is damaged (why).
    """
    try:
        return _job_state(grid, job)
    except WsdlError as error:
        return "damaged", str(error)


def _job_state(grid: Grid, job: Job) -> tuple[str, str]:
    folder = grid.run_folder(job)
    if is_finished(grid, job):
        return "done", f"{read_about(folder).get('seconds', 0):.0f} s"
    if lock_holder(grid.lock(job)):
        return "running", _percent(folder)
    if was_killed(grid.lock(job)):
        return "stopped", _percent(folder)
    if grid.log(job).exists() and not (last := last_log_line(grid.log(job))).startswith(LOG_MARK):
        return "failed", last
    return "waiting", ""


def _percent(folder: Path) -> str:
    """How much of its training a run had completed at its last checkpoint."""
    stats = read_stats(folder)
    part = stats[-1]["images"] / (read_config(folder).get("images") or math.inf) if stats else 0
    return f"{min(100, 100 * part):.0f} %"


def grid_status(out: Path) -> pd.DataFrame:
    """The state of every job of the grid in `out`: one row each."""
    grid = load_grid(out)
    states = [job_state(grid, job) for job in grid.jobs]
    table = pd.DataFrame([vars(replace(job, settings=())) for job in grid.jobs])
    table = table.map(lambda value: " ".join(value) if isinstance(value, tuple) else value)
    table = table.loc[:, (table != "").any()]  # most grids name no generators, further tests or variants
    return table.assign(state=[state for state, _ in states], note=[note for _, note in states])
