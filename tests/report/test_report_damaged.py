"""Damaged runs, notebooks and datasets beside good ones: all that is good is shown, what is damaged is named."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from browser import open_chromium
from factories_report import PageReader
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import write_json, write_text
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.evaluation.tables import results_by_job
from wsdl.report.site import build_site

EVIL = '"><img src=x onerror="window.hurt = 1"><script>window.hurt = 1</script>'
# What is damaged in a copy of a good run: name of the file, its content.
DAMAGES = {
    "empty-run": ("run.json", b""),
    "list-run": ("run.json", b"[]"),
    "evil-status": ("run.json", json.dumps({"status": EVIL}).encode()),
    "long-time": ("run.json", b'{"status": "done", "seconds": "long"}'),
    "empty-config": ("config.json", b""),
    "list-config": ("config.json", b"[]"),
    "garbage-stats": ("stats.jsonl", b"garbage\n"),
    "text-stats": ("stats.jsonl", b'{"images": 1, "loss": "a"}\n'),
    "empty-metrics": ("metrics.json", b""),
    "list-metrics": ("metrics.json", b"[]"),
    "empty-pictures": (PER_IMAGE_FILE, b""),
    "binary-pictures": (PER_IMAGE_FILE, bytes(range(256))),
}


@pytest.fixture(scope="module")
def mixed(reported, tmp_path_factory):
    """The good study with a damaged copy of a run for each of DAMAGES, and further damaged things."""
    study = Path(shutil.copytree(reported.folder, tmp_path_factory.mktemp("mixed") / "study"))
    for name, (file, content) in DAMAGES.items():
        home = shutil.copytree(study / "runs" / "patches-c-s1", study / "runs" / name)
        config = json.loads((home / "config.json").read_text())
        write_json(home / "config.json", config | {"seed": 7})  # so that it is no copy of a good run
        (home / file).write_bytes(content)
    shutil.copytree(study / "runs" / "patches-c-s1", study / "runs" / "twice")
    (study / "runs" / "patches-a-s0" / "model.safetensors").write_bytes(b"cut")
    write_text(study / "grid.json", '{"foreign": 1}')
    write_text(study / "study.json", "garbage")
    write_text(study / "broken.ipynb", '{"cells": 5}')
    write_text(study / "lessons" / "02.run.json", "[]")
    write_json(study / "lessons" / "03.run.json", {"status": "failed", "title": EVIL, "question": EVIL, "error": EVIL})
    write_json(study / "more" / "dataset.json", {"name": "x", "size": EVIL})
    write_text(study / "more" / "manifest.csv", "")
    evil = study / "javascript:window.hurt=1"
    cells = [new_markdown_cell(f"# {EVIL}"), new_code_cell("1", execution_count=1)]
    evil.mkdir()
    nbformat.write(new_notebook(cells=cells), evil / "x.ipynb")
    out = study.parent / "site"
    words = ["report", "site", "--runs", str(study), "--out", str(out)]
    return study, out, CliRunner().invoke(app, words, catch_exceptions=False)


def test_every_damaged_thing_is_named_in_page_and_on_stderr(mixed):
    _, out, result = mixed
    assert result.exit_code == 0
    text = (out / "index.html").read_text(encoding="utf-8")
    banners = [line for line in text.splitlines() if line.startswith('<p class="banner">')]
    places = [*(f"runs/{name}/{file}: " for name, (file, _) in DAMAGES.items()), "grid.json: ", "study.json: ",
              "broken.ipynb: ", "02.run.json: ", "more/dataset.json: ", "patches-a-s0/model.safetensors: ",
              "is the same training with the same seed"]  # fmt: skip
    for place in places:
        assert any(place in line for line in banners), place
        assert any(place in line and "wsdl: " in line for line in result.stderr.splitlines()), place


def test_the_good_runs_are_in_every_section(mixed, reported):
    study, out, _ = mixed
    text = (out / "index.html").read_text(encoding="utf-8")
    rows = [row[:2] for row in PageReader(text).rows if row[:1] == ["Patches"]]
    assert ["Patches", "A"] in rows
    assert ["Patches", "C"] in rows
    here, before = results_by_job(study, lambda problem: None), results_by_job(reported.folder)
    assert here[here.setup == "a"].iou.tolist() == before[before.setup == "a"].iou.tolist()
    names = {path.name for path in (out / "figures").iterdir()}
    assert {"standings.png", "faces-made-up.jpg", "training-patches-made-up.png"} <= names
    assert any(name.startswith("maps-patches") for name in names)
    assert 'class="wsdl-inlined"' in text


def test_hostile_texts_and_links_run_no_script(mixed):
    _, out, _ = mixed
    with open_chromium() as chrome:
        page = chrome.new_context(offline=True).new_page()
        page.goto((out / "index.html").as_uri())
        page.wait_for_selector(".wsdl-explorer[data-ready]", state="attached")
        assert page.evaluate("window.hurt === undefined && !document.querySelector('img[src=x]')")
        links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.protocol)")
        assert set(links) == {"file:"}
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hurt = 1\">')")
        (hostile,) = (out / "javascript:window.hurt=1").glob("*.html")
        assert page.evaluate("new Promise(done => setTimeout(() => done(window.hurt), 200))") is None
        page.goto(hostile.as_uri())
        assert page.evaluate("new Promise(done => setTimeout(() => done(window.hurt), 200))") is None


def test_a_table_is_complete_or_the_exit_code_is_1(mixed, reported):
    study, _, _ = mixed
    for folder, code in ((reported.folder, 0), (study, 1)):
        result = CliRunner().invoke(app, ["report", "table", "--runs", str(folder)], catch_exceptions=False)
        assert (result.exit_code, result.stdout[:14]) == (code, "source,method,")


def test_names_that_are_no_utf8_are_shown_with_question_marks(tmp_path):
    folder = tmp_path / "study" / "\udcff"
    folder.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_code_cell("1", execution_count=1)]), folder / "x.ipynb")
    write_text(folder / "run.json", '{"status": "failed"}')
    text = build_site(tmp_path / "study", tmp_path / "site").read_text(encoding="utf-8")
    assert 'href="%FF/x.html"' in text
    assert "?: no reason recorded" in text
