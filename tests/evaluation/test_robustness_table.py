"""IoU and AP of many runs on clean and corrupted images: one table for the commands and the report."""

import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from factories_report import PageReader
from helpers import run_command
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError, read_json, sha256, write_json
from wsdl.data.corruptions import CORRUPTIONS
from wsdl.evaluation.robustness_table import (
    CONDITIONS,
    TABLE_COLUMNS,
    find_robustness,
    robustness_table,
    robustness_to_markdown,
)
from wsdl.report.site import build_site

MODEL = "model.safetensors"


def stored_row(kind: str, level: float | None, iou: float, method: str = "patches") -> dict:
    numbers = {"iou": iou, "iou_low": iou - 0.1, "iou_high": iou + 0.1, "ap": 0.9, "ap_low": 0.8, "ap_high": 1.0}
    return {
        "treatment": kind,
        "level": level,
        "method": method,
        "setup": "c",
        "seed": 0,
        **numbers,
        "pbca": 0.5,
        "n": 7,
    }


def all_rows() -> list[dict]:
    """Clean .9, then .01 less for every level of every corruption, and two baselines."""
    levels = [(kind, level) for kind, corruption in CORRUPTIONS.items() for level in corruption.levels]
    corrupted = [stored_row(kind, level, 0.88 - 0.01 * i) for i, (kind, level) in enumerate(levels)]
    trivial = [
        stored_row("control", None, iou, f"control: {name}") for name, iou in (("random", 0.2), ("all-fake", 0.3))
    ]
    return [stored_row("none", None, 0.9), *corrupted, *trivial]


def scored_run(run_folder: Path, folder: Path, rows: list[dict], **config) -> Path:
    shutil.copytree(run_folder, folder)
    write_json(folder / "config.json", read_json(folder / "config.json") | config)
    write_json(folder / "robustness.json", {"model": sha256(folder / MODEL), "data": "d", "levels": {}, "rows": rows})
    return folder


@pytest.fixture
def runs(run_folder, tmp_path) -> Path:
    """Two runs with scores of corrupted images, one without."""
    folder = tmp_path / "runs"
    scored_run(run_folder, folder / "b", all_rows(), seed=1)
    older = [row for row in all_rows() if row["level"] != 75]
    scored_run(run_folder, folder / "a", older)
    shutil.copytree(run_folder, folder / "plain")
    return folder


def test_corrupted_images_stand_beside_clean_ones(runs):
    table = robustness_table(find_robustness(runs))
    assert tuple(table.columns) == TABLE_COLUMNS
    b = table[table.run == "b"].set_index("condition")
    assert list(b.index) == list(CONDITIONS)
    for condition, (kind, level) in CONDITIONS.items():
        row = next(row for row in all_rows() if (row["treatment"], row["level"]) == (kind, level))
        assert b.loc[condition, ["iou", "iou_low", "ap_high"]].tolist() == [row["iou"], row["iou_low"], 1.0]
    assert set(b.seed) == {1}


def test_every_condition_is_a_level_that_is_scored():
    for kind, level in list(CONDITIONS.values())[1:]:
        assert level in CORRUPTIONS[kind].levels


def test_a_run_of_an_earlier_version_lacks_a_condition(runs):
    lines = robustness_to_markdown(robustness_table(find_robustness(runs))).splitlines()
    assert lines[0] == "| run | score | clean | JPEG 90 | JPEG 75 | resize 0.5 | noise 4 |"
    cells = [line.strip("| ").split(" | ") for line in lines[2:]]
    assert [row[:2] for row in cells[:4]] == [["a", "IoU"], ["a", "AP"], ["b", "IoU"], ["b", "AP"]]
    assert cells[0][2:5] == ["90.0 (80.0 to 100.0)", "87.0 (77.0 to 97.0)", ""]
    assert cells[2][4] == "85.0 (75.0 to 95.0)"


def test_baselines_come_last_with_the_same_numbers_everywhere(runs):
    table = robustness_table(find_robustness(runs))
    baselines = table[table.run == ""]
    assert list(baselines.index) == list(range(len(table) - 10, len(table)))
    assert list(baselines.iou) == [0.2] * 5 + [0.3] * 5
    assert (
        robustness_to_markdown(table)
        .splitlines()[-2]
        .startswith("| baseline: all-fake | IoU | 30.0 (20.0 to 40.0) | 30")
    )


def test_results_of_another_model_are_left_out(runs):
    (runs / "b" / MODEL).write_bytes(b"other")
    problems = []
    table = robustness_table(find_robustness(runs), problems.append)
    assert set(table.run) == {"a", ""}
    path = runs / "b" / "robustness.json"
    assert problems == [f"{path}: was made with another {MODEL}; run `evaluate --robustness` again."]


@pytest.mark.parametrize("rows", [["text"], [{"treatment": "none", "method": "patches", "n": "7"}], "text"])
def test_damaged_results_are_named(runs, rows):
    for name in "ab":
        path = runs / name / "robustness.json"
        write_json(path, read_json(path) | {"rows": rows})
    problems = []
    with pytest.raises(WsdlError, match="no run has scores of corrupted images"):
        robustness_table(find_robustness(runs), problems.append)
    assert [problem.split(":")[0] for problem in problems] == [str(runs / name / "robustness.json") for name in "ab"]


def test_the_table_command_prints_both_formats(runs):
    words = "report", "table", "--runs", runs, "--robustness"
    table = robustness_table(find_robustness(runs))
    pd.testing.assert_frame_equal(
        pd.read_csv(io.StringIO(run_command(*words)), keep_default_na=False).astype(str), table.astype(str)
    )
    assert run_command(*words, "--format", "md").strip() == robustness_to_markdown(table)
    (runs / "b" / MODEL).write_bytes(b"other")
    assert CliRunner().invoke(app, [str(word) for word in words]).exit_code == 1


def test_the_report_has_the_table(runs, tmp_path):
    page = PageReader(build_site(runs, tmp_path / "site").read_text(encoding="utf-8"))
    rows = [row for row in page.rows if row]
    start = next(i for i, row in enumerate(rows) if row[:2] == ["run", "%"])
    assert rows[start][2:] == list(CONDITIONS)
    assert rows[start + 1][:4] == ["a", "IoU", "90.0 (80.0 to 100.0)", "87.0 (77.0 to 97.0)"]
    assert rows[start + 1][4] == "\N{EN DASH}"
    assert [row[0] for row in rows[start + 5 : start + 9]] == ["baseline: random"] * 2 + ["baseline: all-fake"] * 2


def test_a_report_without_such_scores_has_no_such_section(runs, tmp_path):
    for name in "ab":
        (runs / name / "robustness.json").unlink()
    assert "Robustness" not in build_site(runs, tmp_path / "site").read_text(encoding="utf-8")
