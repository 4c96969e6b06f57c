"""`bench repaint`: quality of inpainted regions against the number of network calls of RePaint."""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, atomic
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.fakes.quality import MeasuredRegions, geometric_mean, measure_regions
from wsdl.generators.diffusion.repaint import check_noise_levels, repaint_calls
from wsdl.generators.write_fakes import generate_partial

SCHEDULES = ("50/5/1", "50/5/3", "100/10/3", "100/10/10", "250/10/1", "250/10/10")  # T/jump_length/resamplings
COST_COLUMNS = ("schedule", "calls", "n", "sharpness", "sharpness_low", "sharpness_high", "against_most",
                "against_most_low", "against_most_high")  # fmt: skip
_SHOWN = 8  # fakes of each schedule in the sheet


def bench_repaint(
    data: Path,  # the dataset whose faces are inpainted
    weights: str | Path,  # a P2 model
    out: Path,  # gets the fakes of each schedule in a folder of its own, repaint.csv, repaint.png, repaint-faces.png
    schedules: tuple[str, ...] = SCHEDULES,
    count: int = 64,  # fakes of each schedule
    seed: int = 0,
    batch: int = 8,
) -> pd.DataFrame:
    """One row per schedule, by increasing calls, with the columns COST_COLUMNS; all inpaint the same regions.

    calls: of the network, for each image. sharpness is that of `wsdl.fakes.quality.fake_quality`; the Fréchet distance
    needs hundreds of fakes and is left out. against_most: sharpness divided by that of the schedule with the most
    calls, the geometric mean over fakes with a paired 95 % interval over source faces. Fakes that exist are not made
    again. WsdlError for a schedule that is not T/jump_length/resamplings, and where one has more than `count` fakes
    already.
    """
    parts = sorted({parse_schedule(text) for text in schedules}, key=lambda part: (repaint_calls(*part), part))
    faces, measured, ids, shown = Dataset(data), {}, None, []
    for part in parts:
        folder = Path(out) / _name(part).replace("/", "-")
        settings = dict(zip(("T", "jump_length", "resamplings"), part, strict=True))
        generate_partial("repaint-p2", data, folder, weights, count, seed, batch=batch, **settings)
        dataset = Dataset(folder)
        fakes = dataset.select(kind="partial")
        if len(fakes) != count:
            raise WsdlError(
                f"{folder}: has {len(fakes)} fakes, but --count is {count}; give that count, or a new --out."
            )
        measured[part], ids = measure_regions(dataset, fakes, faces, f"comparing {_name(part)}"), fakes.source_id
        shown.append(dataset.images[list(fakes.index[:_SHOWN])])
    most = measured[parts[-1]].sharpness
    table = pd.DataFrame([_row(part, measured[part], most, ids) for part in parts], columns=COST_COLUMNS)
    _write(table, np.concatenate(shown), Path(out))
    return table


def parse_schedule(text: str, option: str = "--schedules") -> tuple[int, int, int]:
    """(T, jump_length, resamplings) of a text such as "50/5/3". WsdlError, which names the option, for other text."""
    numbers = text.split("/")
    if len(numbers) != 3 or not all(number.isdecimal() and int(number) for number in numbers):
        raise WsdlError(f"{option}: has '{text}', but must have T/jump_length/resamplings, such as 50/5/3.")
    part = tuple(map(int, numbers))
    check_noise_levels(part[0])
    return part


def _name(part: tuple[int, int, int]) -> str:
    return "/".join(map(str, part))


def _row(part: tuple[int, int, int], measured: MeasuredRegions, most: np.ndarray, ids: pd.Series) -> dict:
    relative = dict(zip(COST_COLUMNS[6:9], geometric_mean(measured.sharpness / most, ids), strict=True))
    absolute = dict(zip(COST_COLUMNS[3:6], geometric_mean(measured.sharpness, ids), strict=True))
    return {"schedule": _name(part), "calls": repaint_calls(*part), "n": len(ids), **absolute, **relative}


def _write(table: pd.DataFrame, shown: np.ndarray, out: Path) -> None:
    """The table, its figure, and a sheet with a row of `shown` for each schedule."""
    from wsdl.plots.repaint_cost import sharpness_against_calls
    from wsdl.plots.style import save_figure

    with atomic(out / "repaint.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    save_figure(sharpness_against_calls(table), out / "repaint.png")
    each = len(shown) // len(table)
    titles = [schedule for schedule in table.schedule for _ in range(each)]
    with atomic(out / "repaint-faces.png") as temporary:
        contact_sheet(shown, titles, each).save(temporary, "PNG")
