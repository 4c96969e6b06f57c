"""90_report, the notebook template of a report, on complete and on damaged folders of runs."""

import json
import re
import shutil

import nbformat
import pytest

from wsdl import notebooks
from wsdl.core.io import read_json, write_json
from wsdl.evaluation.tables import format_score, results_by_job

pytestmark = pytest.mark.slow

FORM = notebooks.LESSONS_FOLDER / f"{notebooks.REPORT}.ipynb"


@pytest.fixture(scope="module")
def damaged(reported, tmp_path_factory):
    """The output of the report for runs with one altered number and a dataset with one extra image.

    Beside the text: the folder of the runs, and that of the page.
    """
    place = tmp_path_factory.mktemp("damaged")
    folder, out = place / "study", place / "site"
    shutil.copytree(reported.folder, folder)
    path = folder / "runs" / "patches-a-s0" / "metrics.json"
    metrics = read_json(path)
    metrics["rows"][0]["pbca"] += 0.1
    write_json(path, metrics)
    picture = next((folder / "data" / "real" / "test").glob("*.png"))
    shutil.copy(picture, picture.with_name("stranger.png"))
    page = notebooks.run_notebook(FORM, place / "run", {"runs": str(folder), "out": str(out)})
    return said(page.with_suffix(".ipynb")), folder, out


def said(notebook) -> str:
    """All text that the cells of an executed notebook print or display."""
    outputs = [output for cell in nbformat.read(notebook, 4).cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    parts = [output.get("text", "") for output in outputs]
    return "\n".join([*parts, *(data.get("text/html", data.get("text/markdown", "")) for data in shown)])


def test_it_lists_failed_and_stopped_runs(damaged):
    assert re.search(r"runs/broken.*?failed.*?the &lt;third&gt; batch cannot be drawn", damaged[0], re.S)
    assert re.search(r"runs/halted.*?stopped.*?25%", damaged[0], re.S)


def test_its_numbers_are_those_of_the_table(damaged):
    text, folder, _ = damaged
    for row in results_by_job(folder).to_dict("records"):
        assert f"| {format_score(row, 'iou')} |" in text


def test_it_finds_metrics_that_differ_from_the_weights(damaged):
    (apart,) = re.findall(r"runs/patches-a-s0: largest difference from the stored metrics ([\d.]+) points", damaged[0])
    assert float(apart) == pytest.approx(10, abs=0.1)


def test_it_finds_an_image_missing_from_the_manifest(damaged):
    assert re.search(r"faults: 1 .*stranger\.png: is not in the manifest", damaged[0])


def test_it_writes_the_same_page_as_the_command(damaged, reported):
    text, _, out = damaged
    assert "index.html: " in text
    sections = re.findall(r"<h2>.*?</h2>", (out / "index.html").read_text(encoding="utf-8"))
    assert sections == re.findall(r"<h2>.*?</h2>", reported.text)


def test_the_committed_report_is_tidy_and_was_run(tmp_path):
    copy = tmp_path / FORM.name
    copy.write_bytes(FORM.read_bytes())
    notebooks.tidy_notebook(copy)
    assert copy.read_bytes() == FORM.read_bytes()
    assert FORM.stat().st_size <= 1_000_000
    outputs = [output for cell in nbformat.read(FORM, 4).cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert "0.0000 points" in json.dumps(outputs)


def test_its_parameters_are_runs_out_and_data():
    tagged = [cell for cell in nbformat.read(FORM, 4).cells if "parameters" in cell.metadata.get("tags", [])]
    assert [line.split(":")[0] for line in tagged[0].source.splitlines()] == ["runs", "out", "data"]
    words = "\n".join(cell.source for cell in nbformat.read(FORM, 4).cells if cell.cell_type == "markdown")
    headings = {name.replace(" ", "-") for name in re.findall(r"^## (.+)$", words, re.M)}
    assert set(re.findall(r"\(#(.+?)\)", words)) <= headings
