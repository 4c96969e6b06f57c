"""`bench repaint`: the numbers are those of `data judge`; calls are counted; fakes are made once."""

import io
import shutil

import numpy as np
import pandas as pd
import pytest
from helpers import images_in, run_command

from wsdl.benchmarks.repaint import COST_COLUMNS, bench_repaint, parse_schedule
from wsdl.core.io import WsdlError
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.fakes.quality import fake_quality
from wsdl.generators.write_fakes import generate_partial

SCHEDULES = ("4/2/2", "4/2/1")


@pytest.fixture(scope="module")
def result(faces, p2, tmp_path_factory):
    out = tmp_path_factory.mktemp("repaint")
    return bench_repaint(faces, p2, out, SCHEDULES, count=6, batch=3), out


def test_rows_are_in_order_of_counted_calls(result):
    table, out = result
    assert tuple(table.columns) == COST_COLUMNS
    assert table.schedule.tolist() == ["4/2/1", "4/2/2"]
    assert table.calls.tolist() == [4, 6]
    assert (pd.read_csv(out / "repaint.csv").schedule == table.schedule).all()
    assert read_image(out / "repaint.png").std() > 10


def test_the_sheet_has_a_row_of_fakes_for_each_schedule(result):
    sheets = [Dataset(result[1] / name) for name in ("4-2-1", "4-2-2")]
    fakes = np.concatenate([one.images[list(one.select(kind="partial").index)] for one in sheets])
    titles = ["4/2/1"] * 6 + ["4/2/2"] * 6
    assert np.array_equal(read_image(result[1] / "repaint-faces.png"), np.asarray(contact_sheet(fakes, titles, 6)))


def test_sharpness_is_that_of_data_judge(result, faces, p2, tmp_path):
    table = result[0]
    both = shutil.copytree(faces, tmp_path / "both", ignore=shutil.ignore_patterns(".cache"))
    generate_partial("repaint-p2", both, both, p2, 6, 0, batch=3, T=4, jump_length=2, resamplings=2)
    judged = fake_quality(both).set_index("generator").loc["repaint-p2"]
    row = table.set_index("schedule").loc["4/2/2"]
    for column in ("n", "sharpness", "sharpness_low", "sharpness_high"):
        assert row[column] == pytest.approx(judged[column], rel=1e-5)


def test_schedules_are_compared_on_the_same_regions(result):
    table, out = result
    first, last = (Dataset(out / name) for name in ("4-2-1", "4-2-2"))
    assert first.table.path.tolist() == last.table.path.tolist()
    assert np.array_equal(first.masks[first.table.index], last.masks[last.table.index])
    assert table[["against_most", "against_most_low", "against_most_high"]].iloc[-1].tolist() == [1, 1, 1]
    assert table.against_most.iloc[0] == pytest.approx(table.sharpness.iloc[0] / table.sharpness.iloc[1])


def test_the_command_keeps_fakes_that_exist(result, faces, p2):
    table, out = result
    before = images_in(out)
    words = ("--data", str(faces), "--weights", str(p2), "--schedules", ",".join(SCHEDULES), "--count", "6")
    printed = pd.read_csv(io.StringIO(run_command("bench", "repaint", "--out", str(out), "--batch", "3", *words)))
    assert printed.sharpness.tolist() == pytest.approx(table.sharpness.tolist(), rel=1e-3)
    assert {name: data for name, data in images_in(out).items() if "fake" in name} == {
        name: data for name, data in before.items() if "fake" in name
    }


@pytest.mark.parametrize("text", ["50", "50/5", "50/5/x", "0/5/3", "50/-5/3"])
def test_a_wrong_schedule_is_named(text):
    with pytest.raises(WsdlError, match=f"has '{text}', but must have T/jump_length/resamplings"):
        parse_schedule(text)


def test_schedules_with_different_numbers_of_fakes_are_not_compared(result, faces, p2):
    with pytest.raises(WsdlError, match=r"4-2-1: has 6 fakes, but --count is 4; give that count, or a new --out"):
        bench_repaint(faces, p2, result[1], SCHEDULES, count=4, batch=3)
