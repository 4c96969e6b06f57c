"""A study folder with runs and notebooks, good and broken, and the site made from it."""

import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import wsdl.training.pasting
from wsdl.config import Training
from wsdl.core.io import write_json, write_text
from wsdl.evaluation.evaluate import evaluate
from wsdl.report.site import build_site
from wsdl.training.detector import train_detector

TINY = Training(input_size=48, images=64, images_c=64, batch=8, batch_c=8, check_every=32)


RUNS = (("a", 0), ("c", 0), ("c", 1))


LESSON = {"status": "done", "seconds": 12.0, "notebook": "01_toy.ipynb", "title": "01 A toy", "question": "Does it?"}


@dataclass(frozen=True)
class ReportedStudy:
    folder: Path  # of the runs
    out: Path  # of the site
    text: str  # of its page


def make_report(dataset: Path, place: Path) -> ReportedStudy:
    folder, out = place / "study", place / "site"
    shutil.copytree(dataset, folder / "data")
    for setup, seed in RUNS:
        run = folder / "runs" / f"patches-{setup}-s{seed}"
        train_detector("patches", setup, folder / "data", run, seed, TINY)
        evaluate(run, folder / "data")
    add_broken_run(folder)
    write_json(folder / "runs" / "halted" / "config.json", {"method": "patches", "setup": "b", "seed": 5, "images": 64})
    write_json(folder / "runs" / "halted" / "run.json", {"status": "stopped"})
    write_text(folder / "runs" / "halted" / "stats.jsonl", '{"images": 16, "loss": 1.0}\n')
    write_json(folder / "lessons" / "01_toy.run.json", LESSON)
    write_text(folder / "lessons" / "01_toy.html", "<p>the page of the toy</p>")
    cells = [new_markdown_cell("# By hand"), new_code_cell("6 * 7", execution_count=1)]
    nbformat.write(new_notebook(cells=cells), folder / "by_hand.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), folder / "not_run.ipynb")
    return ReportedStudy(folder, out, build_site(folder, out).read_text(encoding="utf-8"))


def add_broken_run(folder: Path) -> None:
    """A training that fails at its third step."""

    def draw(*words):
        if words[3] == 2:
            raise ValueError("the <third> batch cannot be drawn")
        return real(*words)

    real = wsdl.training.pasting.draw_batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wsdl.training.pasting, "draw_batch", draw)
        with pytest.raises(ValueError, match="third"):
            train_detector("patches", "b", folder / "data", folder / "runs" / "broken", 0, TINY)


class PageReader(HTMLParser):
    """Tables as rows of texts, every link, and everything that a browser would load."""

    def __init__(self, text: str):
        super().__init__()
        self.rows, self.links, self.loaded, self.ids = [], [], [], []
        self.feed(text)
        self.loaded += re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.append(attrs.get("id"))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "a":
            self.links.append(attrs["href"])
        self.loaded += [attrs[name] for name in ("src", "srcset", "data", "poster", "action") if name in attrs]
        if tag == "link":
            self.loaded.append(attrs["href"])

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        if tag == "tr":
            self.rows.append([])  # what follows is no cell of it
