"""The report site: its numbers, failed runs, links, and that it loads nothing."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from factories_report import PageReader
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError, read_json, write_json, write_text
from wsdl.core.run import PER_IMAGE_FILE, Run, record_outcome
from wsdl.data.dataset import Dataset
from wsdl.evaluation.baselines import BASELINES, row_label, run_label
from wsdl.evaluation.tables import RESULT_SCORES, format_score, results_by_job
from wsdl.experiments.grid import make_grid, write_grid
from wsdl.report.site import build_site

DASH, NBSP = "\N{EN DASH}", "\N{NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def page(reported) -> PageReader:
    return PageReader(reported.text)


def test_the_numbers_are_those_of_the_table(reported, page):
    rows = results_by_job(reported.folder).to_dict("records")
    start = next(i for i, row in enumerate(page.rows) if row[:2] == ["method", "setup"])
    shown = [row for row in page.rows[start + 1 :] if row][: len(rows)]
    for row, cells in zip(rows, shown, strict=True):
        assert cells[:2] == [run_label(row_label(row["method"])), row["setup"].upper() or DASH]
        assert cells[2:5] == [format_score(row, score) for score in RESULT_SCORES]
        assert cells[5:] == [row["seeds"] or DASH, str(row["n"])]
    assert [cells[5] for cells in shown][:2] == ["0", "0 1"]
    assert [cells[0] for cells in shown[2:]] == [row_label(name) for name in BASELINES]
    assert reported.text.count('<tr class="shaded"') == len(BASELINES)


def test_failed_and_stopped_runs_are_shown_with_their_error(reported, page):
    said = "ValueError: the &lt;third&gt; batch cannot be drawn"
    assert f"This run failed.</strong> runs/broken: {said}" in reported.text
    assert "This run was stopped.</strong> runs/halted: at 25% of its images" in reported.text
    assert "5 runs: 3 done, 1 failed, 1 stopped; seeds of detectors: 0, 1, 5." in reported.text
    row = next(row for row in page.rows if row and row[0] == "runs/broken")
    assert row[1] == "failedValueError: the <third> batch cannot be drawn"


def test_executed_notebooks_are_linked_and_all_links_exist(reported, page):
    pages = [link for link in page.links if not link.startswith("#")]
    assert pages == ["lessons/01_toy.html", "by_hand.html"]
    assert all((reported.out / link).is_file() for link in pages)
    assert (reported.out / pages[0]).read_text() == "<p>the page of the toy</p>"
    assert "By hand" in (reported.out / pages[1]).read_text()
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert "results" in anchors
    assert set(anchors) <= set(page.ids)


def test_nothing_is_loaded_from_elsewhere(page):
    assert len(page.loaded) > 4
    assert [what for what in page.loaded if not str(what).startswith("data:")] == []


def test_it_shows_versions_parameters_and_data(reported):
    info = Dataset(reported.folder / "data").info
    about = read_json(reported.folder / "runs" / "patches-a-s0" / "run.json")
    wanted = [info["manifest_sha256"], info["made_by"]["command"], f"{info['size']}{NBSP}px", f"check_every{NBSP}32"]
    wanted += [f"{name}{NBSP}{number}" for name, number in about["versions"].items()]
    for fact in (*wanted, about["hardware"], about["git"], "Apache-2.0", "<td>licence</td>"):
        assert fact in reported.text, fact


def test_maps_of_each_run_are_drawn(reported):
    names = {path.name for path in (reported.out / "figures").iterdir()}
    assert {name for name in names if name.startswith("maps")} == {"maps-patches-made-up.png"}
    assert "training-patches-made-up.png" in names
    assert reported.text.count("<figure>") == len(names)


def test_embedded_figures_are_smaller_than_their_files(reported, page):
    files = [path.stat().st_size for path in (reported.out / "figures").iterdir()]
    inside = [what for what in page.loaded if str(what).startswith("data:image/webp")]
    assert len(inside) == len(files)
    assert sum(map(len, inside)) < sum(files)


def test_cases_are_drawn_per_job_and_runs_without_hits_are_named(reported, tmp_path):
    study = Path(shutil.copytree(reported.folder, tmp_path / "study"))
    for setup, iou in (("a", 0.0), ("c", 0.5)):
        path = study / "runs" / f"patches-{setup}-s0" / PER_IMAGE_FILE
        pd.read_csv(path).assign(iou=iou).to_csv(path, index=False)
    text = build_site(study, study).read_text(encoding="utf-8")
    assert "No cases of Patches, setup A, seed 0: IoU is below 0.005 on every test fake." in text
    names = {path.name for path in (study / "figures").iterdir()}
    assert {name for name in names if name.startswith("cases")} == {
        "cases-patches-c-seed-0-made-up.png"  # seed 1 is the same cell
    }


def test_the_explorer_contains_the_map_of_every_run(reported):
    text = reported.text.split('<script type="application/json">')[1].split("</script>")[0]
    data = json.loads(text)["_data"]
    assert [name for name, _ in data["maps"]] == [
        "Patches, setup A, seed 0",
        "Patches, setup C, seed 0",
        "Patches, setup C, seed 1",
    ]
    assert set(data["labels"]) == {"partial fake", "real"}
    assert len(data["images"]) == len(data["masks"]) > 3


def test_the_same_call_gives_the_same_bytes(reported, tmp_path):
    assert build_site(reported.folder, tmp_path / "again").read_text(encoding="utf-8") == reported.text


def test_missing_data_is_reported_and_found_with_the_option(reported, tmp_path):
    shutil.copytree(reported.folder / "runs", tmp_path / "runs")
    words = ["report", "site", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "site")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.stdout == f"{tmp_path / 'site' / 'index.html'}\n"
    text = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "their dataset was not found; give its folder with --data" in text
    assert "wsdl-inlined" not in text
    CliRunner().invoke(app, [*words, "--data", str(reported.folder)], catch_exceptions=False)
    assert 'class="wsdl-inlined"' in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


def test_a_run_without_weights_is_in_the_table_but_has_no_maps(reported, tmp_path):
    shutil.copytree(reported.folder, tmp_path / "study")
    (tmp_path / "study" / "runs" / "patches-a-s0" / "model.safetensors").unlink()
    text = build_site(tmp_path / "study", tmp_path / "study").read_text(encoding="utf-8")
    assert "runs/patches-a-s0: its maps cannot be shown" in text
    assert "Patches,\N{NO-BREAK SPACE}setup\N{NO-BREAK SPACE}A:\N{NO-BREAK SPACE}" in text  # in the summary
    assert "cases-patches-a" not in {path.name[:15] for path in (tmp_path / "study" / "figures").iterdir()}


def test_a_grid_shows_why_a_job_failed_and_which_are_waiting(tmp_path):
    grid = make_grid("table2", tmp_path / "grid", source="made-up")
    write_grid(grid)
    write_text(grid.log(grid.jobs[1]), "--- begun\nTraceback\nwsdl: no room <left>\n")
    text = build_site(tmp_path / "grid", tmp_path / "site").read_text(encoding="utf-8")
    assert f"made-up/runs/{grid.name(grid.jobs[1])}: wsdl: no room &lt;left&gt;" in text
    assert f"{len(grid.jobs)} runs: 1 failed, {len(grid.jobs) - 1} waiting" in text
    assert "No run was evaluated." in text


def test_all_values_are_escaped_and_links_are_encoded(tmp_path):
    lesson = {"status": "failed", "seconds": 1.0, "notebook": "01_x.ipynb", "title": "<b>", "question": "a<b",
              "error": "<script>"}  # fmt: skip
    write_json(tmp_path / "lessons" / "01_x.run.json", lesson)
    write_json(tmp_path / "run" / "run.json", {"status": "failed", "error": "<i>", "hardware": "<u>"})
    write_json(tmp_path / "lessons" / "02 #<x>&.run.json", {"status": "done", "title": "odd", "question": ""})
    write_text(tmp_path / "lessons" / "02 #<x>&.html", "<p>odd</p>")
    text = build_site(tmp_path, tmp_path).read_text(encoding="utf-8")
    assert not [tag for tag in ("<b>", "a<b", "<script>", "<i>", "<u>") if tag in text]
    assert "&lt;u&gt;" in text
    assert 'href="lessons/02%20%23%3Cx%3E%26.html"' in text


def test_a_dataset_alone_is_reported_without_being_decoded(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "data", ignore=shutil.ignore_patterns(".cache"))
    text = build_site(tmp_path / "data", tmp_path / "site").read_text(encoding="utf-8")
    assert "made-up: real faces, the first by name." in text
    assert "No run.</li>" in text
    assert not (tmp_path / "data" / ".cache").exists()


@pytest.mark.parametrize(("name", "words"), [("none", "no such folder"), (".", "nothing to report")])
def test_a_folder_without_anything_to_report_is_an_error(tmp_path, name, words):
    with pytest.raises(WsdlError, match=words):
        build_site(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), {"status": "stopped"}), (OSError("full"), {"error": "OSError: full"})]
)
def test_the_error_that_ends_a_training_is_recorded_and_raised(tmp_path, error, status):
    @record_outcome
    def work(run):
        raise error

    with pytest.raises(type(error)):
        work(Run(tmp_path / "run", {}))
    said = read_json(tmp_path / "run" / "run.json")
    assert status.items() <= said.items()
    assert said["status"] in ("failed", "stopped")
