"""Many runs: which cells a grid has, how each stands, what it costs, and what all say together.

A grid is a plain list of cells. Cells that train on one source share one dataset, whatever their seed:
OUT/grid.json what was asked · OUT/SOURCE a study (data, p2, runs/NAME) · OUT/logs/NAME.log · OUT/results.csv
"""

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from wsdl.config import BUNDLED, GENERATORS, Fakes, Profile, build, completed, load_profile, to_dict
from wsdl.core.io import WsdlError, read_json
from wsdl.core.locks import hold, holder
from wsdl.core.run import PER_IMAGE_FILE, is_done, read_stats, write_or_check_config
from wsdl.evaluation.evaluate import evaluate, has_all
from wsdl.experiments.jobs import Cell, named, place
from wsdl.experiments.study import Study

DATA_SEED = 0  # the seeds of a grid are of training alone
BEGUN = "---"  # how a line of a log starts that says that a process was started; so far it has said nothing itself


@dataclass(frozen=True)
class Grid:
    """Cells and what they share. `images` and `masks` are the folders of the source photos."""

    out: Path
    cells: tuple[Cell, ...]
    profile: Profile
    images: str = ""
    masks: str = ""

    def study(self, cell: Cell) -> Study:
        return self.at(cell.train_source, cell.seed)

    def at(self, source: str, seed: int = DATA_SEED) -> Study:
        profile = self.profile
        if source in BUNDLED and self.has_photos:  # it says who paints into those, not into the bundle
            profile = replace(profile, p2_weights="", fakes=Fakes())
        return Study(self.out / source, profile, source, self.images, self.masks, seed, data_seed=DATA_SEED)

    @property
    def has_photos(self) -> bool:
        return any("photos" in cell.needs() for cell in self.cells)

    def run_folder(self, cell: Cell) -> Path:
        return self.study(cell).run_folder(cell.method, cell.setup, cell.own)

    def tested(self, cell: Cell) -> dict[str, Path]:
        """Where the numbers of each test of `cell` are: at home in the run itself, others in a folder of it."""
        home = f"{cell.train_source}/{'+'.join(cell.own)}"
        folders = {"/".join(place(test)): self.run_folder(cell) / "on" / "-".join(place(test)) for test in cell.tests}
        return {home: self.run_folder(cell)} | folders

    def name(self, cell: Cell) -> str:
        return self.run_folder(cell).name

    def log(self, cell: Cell) -> Path:
        return self.out / "logs" / f"{self.name(cell)}.log"

    def lock(self, cell: Cell) -> Path:
        return self.log(cell).with_suffix(".lock")


def default_out(name: str) -> Path:
    return Path("out") / f"grid-{Path(name).stem}"


def make(
    name: str,
    out: Path,
    profile: str = "quick",
    source: str = "studio",
    images: str = "",
    masks: str = "",
    seeds: tuple[int, ...] = (0,),
    generators: tuple[str, ...] = GENERATORS,
) -> Grid:
    """The grid `name` (see `wsdl.experiments.jobs.named`); nothing is written. WsdlError for a cell that cannot be."""
    cells = named(name, source, seeds, bool(images), generators)
    images, masks = (str(Path(path).resolve()) if path else "" for path in (images, masks))
    grid = Grid(Path(out).resolve(), tuple(dict.fromkeys(cells)), load_profile(profile), images, masks)
    for cell in grid.cells:
        for source in cell.needs():
            grid.at(source)  # refuses one that does not exist
    return grid


def record(grid: Grid) -> None:
    """Write OUT/grid.json, cells of earlier calls first. WsdlError if those had another profile or other pictures.

    What a run is tested on is what the last call says.
    """
    path = grid.out / "grid.json"
    old = load(grid.out).cells if path.exists() else ()
    cells = [asdict(cell) for cell in {grid.name(cell): cell for cell in (*old, *grid.cells)}.values()]
    shared = {"profile": to_dict(grid.profile), "images": grid.images, "masks": grid.masks}
    write_or_check_config(path, {**shared, "cells": cells}, growing=("cells",),
          understood=lambda said: {**said, "profile": completed(said["profile"], f"{path}: profile")})  # fmt: skip


def load(out: Path) -> Grid:
    """The grid that was begun in `out`."""
    path = Path(out) / "grid.json"
    if not path.exists():
        raise WsdlError(f"{out}: holds no grid; begin one with `python -m wsdl grid run`.")
    said = read_json(path)
    cells = tuple(build(Cell("", "", "", 0), cell, f"{path}: cells") for cell in said["cells"])
    profile = build(Profile(), said["profile"], f"{path}: profile")
    return Grid(Path(out).resolve(), cells, profile, said["images"], said["masks"])


def run_cell(grid: Grid, cell: Cell) -> dict:
    """Train and score one cell in this process, from its last checkpoint on; its row of metrics.json.

    The data is made first if need be, by one process at a time. WsdlError where another process runs this cell.
    A Slurm array does the same in a job of its own (the number is that of `grid plan`; the folder must be shared):
    sbatch --array=0-8 --gres=gpu:1 --wrap 'python -m wsdl grid run table2 --out DIR --only $SLURM_ARRAY_TASK_ID'
    """
    with hold(grid.lock(cell)):
        make_data(grid, [cell])
        result = grid.study(cell).scores(cell.method, cell.setup, cell.own)
        for test in cell.tests:
            source, generator = place(test)
            folder = grid.tested(cell)[f"{source}/{generator}"]
            evaluate(grid.run_folder(cell), grid.at(source).out / "data", generators=(generator,), into=folder)
        return result["rows"][0]


def make_data(grid: Grid, cells: list[Cell]) -> None:
    """Faces and fakes of all that `cells` need, decoded. Under a lock: writing a manifest is no work for two.

    WsdlError where there are no fakes of a generator that neither comes with wsdl nor is the study's own.
    """
    needed: dict[str, tuple[str, ...]] = {}
    for source, generators in (need for cell in cells for need in cell.needs().items()):
        needed[source] = tuple(dict.fromkeys((*needed.get(source, ()), *generators)))
    for source, generators in needed.items():
        study = grid.at(source)
        with hold(study.out / "data.lock", wait=True):
            dataset = study.fakes_by(generators)
            _ = dataset.images, dataset.masks  # decoded into the dataset's cache


def is_finished(grid: Grid, cell: Cell) -> bool:
    """Whether a cell is trained and scored in all its tests, with the rows that this version has in a table."""
    return is_done(grid.run_folder(cell)) and all(map(is_scored, grid.tested(cell).values()))


def is_scored(folder: Path) -> bool:
    there = all((folder / name).exists() for name in ("metrics.json", PER_IMAGE_FILE))
    return there and has_all(read_json(folder / "metrics.json")["rows"])


def state(grid: Grid, cell: Cell) -> tuple[str, str]:
    """How a cell stands, and a note: waiting, running (percent), stopped (percent), failed (why), done (seconds)."""
    folder = grid.run_folder(cell)
    if is_finished(grid, cell):
        return "done", f"{read_json(folder / 'run.json')['seconds']:.0f} s"
    if holder(grid.lock(cell)):
        return "running", percent(folder)
    if grid.lock(cell).exists():  # left by a process that was killed
        return "stopped", percent(folder)
    if grid.log(cell).exists() and not (last := last_line(grid.log(cell))).startswith(BEGUN):
        return "failed", last
    return "waiting", ""


def percent(folder: Path) -> str:
    """How much of its training a run had behind it at its last checkpoint."""
    stats = read_stats(folder)
    part = stats[-1]["images"] / read_json(folder / "config.json")["images"] if stats else 0
    return f"{min(100, 100 * part):.0f} %"


def last_line(log: Path) -> str:
    lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace").strip())
    return lines[-1][max(0, lines[-1].find("wsdl: ")) :].strip()  # a progress bar may stand before an error


def status(out: Path) -> pd.DataFrame:
    """How every cell of the grid in `out` stands: a row each."""
    grid = load(out)
    states = [state(grid, cell) for cell in grid.cells]
    cells = pd.DataFrame([{k: " ".join(v) if isinstance(v, tuple) else v for k, v in asdict(cell).items()}
                          for cell in grid.cells])  # fmt: skip
    cells = cells.loc[:, (cells != "").any()]  # most grids name no generators and no further tests
    return cells.assign(state=[word for word, _ in states], note=[note for _, note in states])
