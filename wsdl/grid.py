"""Many runs: which cells a grid has, how each stands, what it costs, and what all say together.

A grid is a plain list of cells. Cells that train on one source share one dataset, whatever their seed:
OUT/grid.json what was asked · OUT/SOURCE a study (data, p2, runs/NAME) · OUT/logs/NAME.log · OUT/results.csv
"""

import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from wsdl.evaluate import PICTURES
from wsdl.files import WsdlError, atomic, read_json
from wsdl.locks import hold, holder
from wsdl.profiles import METHODS, Profile, build, load_profile, to_dict
from wsdl.runs import claim, is_done, read_stats
from wsdl.study import Study

SETUPS = tuple("abc")
DATA_SEED = 0  # the seeds of a grid are of training alone
BEGUN = "---"  # how a line of a log starts that says that a process was started; so far it has said nothing itself
MISSING = "missing"  # the column of `collect` with the seeds that are not done


@dataclass(frozen=True)
class Cell:
    """One training and its scores."""

    method: str
    setup: str
    train_source: str
    seed: int


def table2(source: str, seeds: tuple[int, ...]) -> list[Cell]:
    """The paper's Table 2: every method in every setup, trained and tested on one source."""
    return [Cell(method, setup, source, seed) for seed in seeds for method in METHODS for setup in SETUPS]


GRIDS = {"table2": table2}


@dataclass(frozen=True)
class Grid:
    """Cells and what they share. `images` and `masks` are the folders of the source photos."""

    out: Path
    cells: tuple[Cell, ...]
    profile: Profile
    images: str = ""
    masks: str = ""

    def study(self, cell: Cell) -> Study:
        source = cell.train_source
        folder = self.out / source
        return Study(folder, self.profile, source, self.images, self.masks, cell.seed, data_seed=DATA_SEED)

    def run_folder(self, cell: Cell) -> Path:
        return self.study(cell).run_folder(cell.method, cell.setup)

    def name(self, cell: Cell) -> str:
        return self.run_folder(cell).name

    def log(self, cell: Cell) -> Path:
        return self.out / "logs" / f"{self.name(cell)}.log"

    def lock(self, cell: Cell) -> Path:
        return self.log(cell).with_suffix(".lock")


def default_out(name: str) -> Path:
    return Path("out") / f"grid-{Path(name).stem}"


def make(
    name: str,  # one of GRIDS, or a JSON or TOML file with a list `cells`
    out: Path,
    profile: str = "quick",
    source: str = "studio",  # where a cell of a file does not say another
    images: str = "",
    masks: str = "",
    seeds: tuple[int, ...] = (0,),  # each cell runs with each, where a cell of a file does not say its own
) -> Grid:
    """The grid called `name`; nothing is written. WsdlError for a cell that cannot be."""
    if name in GRIDS:
        cells = GRIDS[name](source, seeds)
    elif Path(name).is_file():
        cells = read_cells(Path(name), source, seeds)
    else:
        raise WsdlError(f"{name}: no such grid; choose {', '.join(GRIDS)}, or a JSON or TOML file with a list `cells`.")
    images, masks = (str(Path(path).resolve()) if path else "" for path in (images, masks))
    grid = Grid(Path(out).resolve(), tuple(dict.fromkeys(cells)), load_profile(profile), images, masks)
    for cell in grid.cells:
        grid.study(cell)  # refuses a source that does not exist
    return grid


def read_cells(path: Path, source: str, seeds: tuple[int, ...]) -> list[Cell]:
    """The cells of a file {"cells": [{"method": "patches", "setup": "b", "train_source": "studio", "seed": 0}]}."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8")) if path.suffix == ".toml" else read_json(path)
    except tomllib.TOMLDecodeError as error:
        raise WsdlError(f"{path}: is not valid TOML ({error}).") from None
    if not isinstance(content, dict) or set(content) != {"cells"} or not isinstance(content["cells"], list):
        raise WsdlError(f"{path}: must hold one list, `cells`, and nothing else.")
    cells = []
    for number, entry in enumerate(content["cells"]):
        where = f"{path}: cell {number}"
        for seed in seeds:
            cell = build(Cell("", "", source, seed), entry, where)
            if cell.method not in METHODS or cell.setup not in SETUPS:
                raise WsdlError(
                    f"{where}: is {entry}, but must have a method ({', '.join(METHODS)}) and a setup (a, b or c)."
                )
            cells.append(cell)
    return cells


def record(grid: Grid) -> None:
    """Write OUT/grid.json, cells of earlier calls first. WsdlError if those had another profile or other pictures."""
    path = grid.out / "grid.json"
    old = load(grid.out).cells if path.exists() else ()
    cells = [asdict(cell) for cell in dict.fromkeys((*old, *grid.cells))]
    shared = {"profile": to_dict(grid.profile), "images": grid.images, "masks": grid.masks}
    claim(path, {**shared, "cells": cells}, growing=("cells",))


def load(out: Path) -> Grid:
    """The grid that was begun in `out`."""
    path = Path(out) / "grid.json"
    if not path.exists():
        raise WsdlError(f"{out}: holds no grid; begin one with `python -m wsdl grid run`.")
    said = read_json(path)
    cells = tuple(Cell(**cell) for cell in said["cells"])
    profile = build(Profile(), said["profile"], f"{path}: profile")
    return Grid(Path(out).resolve(), cells, profile, said["images"], said["masks"])


def run_cell(grid: Grid, cell: Cell) -> dict:
    """Train and score one cell in this process, from its last checkpoint on; its row of metrics.json.

    The data is made first if need be, by one process at a time. WsdlError where another process runs this cell.
    A Slurm array does the same in a job of its own (the number is that of `grid plan`; the folder must be shared):
    sbatch --array=0-8 --gres=gpu:1 --wrap 'python -m wsdl grid run table2 --out DIR --only $SLURM_ARRAY_TASK_ID'
    """
    study = grid.study(cell)
    with hold(grid.lock(cell)):
        make_data(study)
        return study.scores(cell.method, cell.setup)["rows"][0]


def make_data(study: Study) -> None:
    """Faces and fakes of `study`, decoded. Under a lock: writing a manifest is no work for two."""
    with hold(study.out / "data.lock", wait=True):
        dataset = study.fakes()
        _ = dataset.images, dataset.masks  # decoded into the dataset's cache


def is_finished(grid: Grid, cell: Cell) -> bool:
    folder = grid.run_folder(cell)
    return is_done(folder) and all((folder / name).exists() for name in ("metrics.json", PICTURES))


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
    return pd.DataFrame([asdict(cell) for cell in grid.cells]).assign(
        state=[word for word, _ in states], note=[note for _, note in states]
    )


def collect(out: Path) -> pd.DataFrame:
    """What the cells done so far say, and write it to OUT/results.csv: the columns of `wsdl.table`, and `missing`.

    A row for each source, method and setup with its seeds taken together, numbers in [0, 1]; then the controls once.
    `missing` names the seeds that are not done; where none is, the numbers are empty. WsdlError where nothing is done.
    """
    from wsdl.table import table

    grid = load(out)
    missing = {}
    for cell in grid.cells:
        left = missing.setdefault((cell.train_source, cell.method, cell.setup), [])
        left += [] if is_finished(grid, cell) else [str(cell.seed)]
    if not any(is_finished(grid, cell) for cell in grid.cells):
        raise WsdlError(f"{out}: no run of this grid is done yet; see `python -m wsdl grid status`.")
    rows = table(grid.out)
    control = rows.method.str.startswith("control:")
    keys = list(zip(rows.source, rows.method, rows.setup, strict=True))
    rows[MISSING] = [" ".join(missing.get(key, ())) for key in keys]
    absent = [dict(zip(("source", "method", "setup", "seeds", MISSING), (*key, "", " ".join(left)), strict=True))
              for key, left in missing.items() if key not in keys]  # fmt: skip
    parts = [part for part in (rows[~control], pd.DataFrame(absent), rows[control]) if len(part)]
    result = pd.concat(parts, ignore_index=True)[list(rows.columns)].astype({"n": "Int64"})
    with atomic(grid.out / "results.csv") as temporary:
        result.to_csv(temporary, index=False, lineterminator="\n")
    return result


def what_is_missing(rows: pd.DataFrame) -> list[str]:
    """The holes in a table by `collect`, in words."""
    return [f"{row.method} {row.setup} {row.source}: seed {row.missing}" for row in rows.itertuples() if row.missing]
