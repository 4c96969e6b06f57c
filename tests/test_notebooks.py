"""Notebooks as programs, and the committed series."""

import ast
import base64
import inspect
import json
import re
import sys
from io import BytesIO
from itertools import pairwise
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from wsdl import notebooks
from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.demo import run_lessons
from wsdl.generators.diffusion import schedule
from wsdl.report.site import build_site

LESSONS = sorted(notebooks.LESSONS_FOLDER.glob("[01]*.ipynb"))
PARAMETERS = ("out", "profile", "source", "images", "masks")  # and seed
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def make(path, *code):
    cells = [
        new_markdown_cell("# 99 A toy\n\n**Question:** does it run?\n\n[next](98_other.ipynb)"),
        new_code_cell("seed: int = 0  # of nothing\nout: str = ''", metadata={"tags": ["parameters"]}),
        *map(new_code_cell, code),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": notebooks.KERNELSPEC}), path)
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A toy notebook that was run, and the page made of it."""
    folder = tmp_path_factory.mktemp("good")
    toy = make(folder / "99_toy.ipynb", "import sys, os, wsdl", "print(sys.executable, os.getcwd(), seed * 2)\nseed")
    return toy, notebooks.run_notebook(toy, folder / "out", {"seed": 21})


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """The folder of a toy notebook whose fourth cell raises, and the error message."""
    folder = tmp_path_factory.mktemp("bad")
    toy = make(folder / "99_toy.ipynb", "before = 'this ran'\nbefore", "1 / 0\n# no", "print('after')")
    with pytest.raises(WsdlError) as error:
        notebooks.run_notebook(toy, folder / "out" / "lessons", {})
    return folder / "out", str(error.value)


def test_a_failed_lesson_stops_no_other_and_is_named(tmp_path, monkeypatch, capfd):
    """Each runs in a process of its own; the second call runs only the one that failed."""
    lessons = [make(tmp_path / "98_bad.ipynb", "1 / 0"), make(tmp_path / "99_good.ipynb", "print(seed)")]
    for lesson in lessons:
        book = nbformat.read(lesson, 4)
        book.cells[1].source = "seed: int = 0\n" + "\n".join(f"{name}: str = ''" for name in PARAMETERS)
        nbformat.write(book, lesson)
    monkeypatch.setattr(notebooks, "lesson_notebooks", lambda long: lessons)
    study = SimpleNamespace(out=tmp_path / "out", source="made-up", images="", masks="", seed=7)
    assert run_lessons(study) is False
    assert "98_bad.ipynb: cell 3 (`1 / 0`) failed: ZeroDivisionError: division by zero" in capfd.readouterr().err
    states = {lesson.stem: read_json(study.out / "lessons" / f"{lesson.stem}.run.json")["status"] for lesson in lessons}
    assert states == {"98_bad": "failed", "99_good": "done"}
    assert "7" in (study.out / "lessons/99_good.html").read_text(encoding="utf-8")
    assert run_lessons(study) is False
    assert "lessons to run: 1, 1 at a time" in capfd.readouterr().err


def test_lessons_that_train_are_started_first():
    lessons = notebooks.lesson_notebooks(long=True)
    started = [lesson.stem for lesson in notebooks.slowest_first(lessons)]
    assert started[:2] == ["04_setup_b", "07_generalisation"]
    assert started[-1] == "09_explore"
    assert sorted(started) == [lesson.stem for lesson in lessons]


def test_an_unknown_parameter_is_refused(tmp_path):
    toy = make(tmp_path / "toy.ipynb")
    with pytest.raises(WsdlError, match=r"'sede'.*seed, out") as error:
        notebooks.run_notebook(toy, tmp_path / "out", {"sede": 1})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_parameter_that_is_no_plain_value_is_refused(tmp_path):
    with pytest.raises(WsdlError, match="no plain value"):
        notebooks.run_notebook(make(tmp_path / "toy.ipynb"), tmp_path / "out", {"out": tmp_path})


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"cells": 5, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}']
)
def test_a_broken_notebook_is_refused_in_one_sentence(tmp_path, content):
    toy = tmp_path / "toy.ipynb"
    toy.write_text(content)
    with pytest.raises(WsdlError, match=r"toy.ipynb: is no valid Jupyter notebook \(.+\)\.$") as error:
        notebooks.run_notebook(toy, tmp_path / "out", {"seed": 1})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WsdlError, match=r"toy.run.json: cannot be written"):
        notebooks.run_notebook(make(tmp_path / "toy.ipynb"), tmp_path / "out", {"seed": 1})


def test_a_user_without_a_home_folder_gets_one_sentence(tmp_path, monkeypatch):
    def no_entry(uid):
        raise KeyError(uid)

    toy = make(tmp_path / "toy.ipynb")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    for work in (notebooks.to_html, lambda *paths: notebooks.run_notebook(*paths, {})):
        with pytest.raises(WsdlError, match="HOME: is not set"):
            work(toy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_uses_this_python_and_the_parameters(good):
    toy, page = good
    book = nbformat.read(page.with_suffix(".ipynb"), 4)
    assert book.cells[-1].outputs[0].text == f"{sys.executable} {toy.parent} 42\n"
    status = read_json(page.with_name("99_toy.run.json"))
    assert status["status"] == "done"
    assert status["parameters"] == {"seed": 21}
    assert (status["title"], status["question"]) == ("99 A toy", "does it run?")


@pytest.fixture
def other_kernel(tmp_path, monkeypatch):
    """The name of a second kernel of this Python, which sets an environment variable."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Another", "language": "python", "env": {"WHICH": "the other"}}
    write_json(tmp_path / "kernels" / "other" / "kernel.json", spec)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return "other"


@pytest.mark.slow
def test_another_kernel_runs_and_is_named_in_the_output(other_kernel, tmp_path):
    toy = make(tmp_path / "99_toy.ipynb", "import os\nprint(os.environ['WHICH'])")
    page = notebooks.run_notebook(toy, tmp_path / "out", {}, kernel=other_kernel)
    book = nbformat.read(page.with_suffix(".ipynb"), 4)
    assert book.cells[-1].outputs[0].text == "the other\n"
    assert book.metadata.kernelspec == {"display_name": "Another", "language": "python", "name": "other"}


def test_an_unknown_kernel_is_refused(other_kernel, tmp_path):
    with pytest.raises(WsdlError, match=r"--kernel: Jupyter has no kernel 'othr'; it lists .*other"):
        notebooks.run_notebook(make(tmp_path / "toy.ipynb"), tmp_path / "out", {}, kernel="othr")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_page_is_one_offline_file_that_links_to_pages(good):
    text = good[1].read_text(encoding="utf-8")
    assert "# of nothing" not in text
    assert "seed = 21" not in text  # the cell that papermill injects
    assert 'href="98_other.html"' in text
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=.?(?!data:)\w", text)
    assert '<details class="code" open' in text


@pytest.mark.slow
def test_failed_run_says_which_cell_and_is_still_converted(bad):
    out, error = bad
    assert error.startswith("99_toy.ipynb: cell 4 (`1 / 0`) failed: ZeroDivisionError")
    assert "\n" not in error
    status = read_json(out / "lessons" / "99_toy.run.json")
    assert (status["status"], status["error"]) == ("failed", error)
    page = (out / "lessons" / "99_toy.html").read_text(encoding="utf-8")
    assert "This run failed." in page
    assert "this ran" in page
    assert "ZeroDivisionError" in page


@pytest.mark.slow
def test_a_dead_kernel_is_a_failure(tmp_path):
    toy = make(tmp_path / "99_toy.ipynb", "1", "import os\nos._exit(3)", "2")
    with pytest.raises(WsdlError, match=r"cell 4.*import os.*DeadKernelError"):
        notebooks.run_notebook(toy, tmp_path / "out", {})
    assert read_json(tmp_path / "out" / "99_toy.run.json")["status"] == "failed"


def test_tidy_keeps_what_is_said_and_drops_traces_of_the_run(good, tmp_path):
    path = tmp_path / "toy.ipynb"
    book = nbformat.read(good[1].with_suffix(".ipynb"), 4)
    view = {notebooks.WIDGET: {"model_id": "x"}, "text/plain": "Slider()"}
    book.metadata["widgets"] = {"state": {}}
    book.cells[-1].outputs += [
        new_output("stream", name="stdout", text="one line, "),
        new_output("stream", name="stderr", text="50%"),
        new_output("stream", name="stdout", text="in two parts"),
        new_output("display_data", data=view),
        new_output("display_data", data={**view, "image/png": PIXEL}),
    ]
    nbformat.write(book, path)
    notebooks.tidy_notebook(path)
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert [cell.id for cell in book.cells] == ["c00", "c01", "c02", "c03"]  # the injected cell is gone
    assert book.cells[1].metadata == {"tags": ["parameters"]}
    assert [cell.execution_count for cell in book.cells[1:]] == [1, 2, 3]
    stdout, value, merged, image = book.cells[-1].outputs
    assert merged.text == "one line, in two parts"
    assert (stdout.name, value.data["text/plain"], value.execution_count) == ("stdout", "21", 3)
    assert image.data["image/png"].strip() == PIXEL
    assert notebooks.WIDGET not in path.read_text(encoding="utf-8")


def test_a_page_leaves_out_widgets_without_an_image(tmp_path):
    view = {notebooks.WIDGET: {"model_id": "x"}, "text/plain": "GridBox(children=())"}
    outputs = [new_output("display_data", data=view), new_output("display_data", data={**view, "image/png": PIXEL})]
    cell = new_code_cell("boxes", outputs=outputs, execution_count=1)
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": notebooks.KERNELSPEC}), tmp_path / "a.ipynb")
    notebooks.to_html(tmp_path / "a.ipynb", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "GridBox" not in text
    assert text.count("data:image/png") == 1


def test_tidy_makes_large_pictures_lighter_once():
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    large = base64.b64encode(buffer.getvalue()).decode()
    lighter = notebooks.smaller_png(large)
    assert len(lighter) < 0.5 * len(large)
    assert Image.open(BytesIO(base64.b64decode(lighter))).size == (200, 200)
    assert notebooks.smaller_png(lighter) == lighter
    assert notebooks.smaller_png(PIXEL) == PIXEL


@pytest.mark.slow
def test_two_runs_tidied_are_the_same_bytes(good, tmp_path):
    toy, page = good
    again = notebooks.run_notebook(toy, tmp_path, {"seed": 21}).with_suffix(".ipynb")
    first = tmp_path / "first.ipynb"
    first.write_bytes(page.with_suffix(".ipynb").read_bytes())
    assert first.read_bytes() != again.read_bytes()
    notebooks.tidy_notebook(first)
    notebooks.tidy_notebook(again)
    assert first.read_bytes() == again.read_bytes()
    notebooks.tidy_notebook(again)
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.slow
def test_the_report_shows_failed_lessons(bad):
    out, error = bad
    text = build_site(out, out).read_text(encoding="utf-8")
    assert error in text
    assert 'href="lessons/99_toy.html"' in text
    assert "does it run?" in text


def test_series_is_complete_and_each_lesson_links_to_the_next():
    assert [path.name[:2] for path in LESSONS] == [
        "00",
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "09",
        "10",
        "11",
    ]
    short = [lesson for lesson in LESSONS if lesson.name[:2] not in ("07", "08", "10", "11")]  # too long for the demo
    assert (notebooks.lesson_notebooks(), notebooks.lesson_notebooks(long=True)) == (short, LESSONS)
    for lesson, following in pairwise(LESSONS):
        assert f"({following.name})" in nbformat.read(lesson, 4).cells[-1].source


def test_the_lesson_and_the_package_define_the_same_p2_weight():
    cells = [cell.source for cell in nbformat.read(notebooks.LESSONS_FOLDER / "02_making_fakes.ipynb", 4).cells]
    assert inspect.getsource(schedule.p2_weight).strip() in cells


def test_links_inside_a_lesson_lead_somewhere():
    for lesson in LESSONS:
        words = "\n".join(c.source for c in nbformat.read(lesson, 4).cells if c.cell_type == "markdown")
        headings = {name.replace(" ", "-") for name in re.findall(r"^## (.+)$", words, re.M)}
        anchors = re.findall(r"\(#(.+?)\)", words)
        assert anchors
        assert set(anchors) <= headings


@pytest.mark.parametrize("lesson", [*LESSONS, notebooks.LESSONS_FOLDER / "90_report.ipynb"], ids=lambda path: path.stem)
def test_names_that_a_lesson_imports_exist(lesson):
    code = "\n".join(cell.source for cell in nbformat.read(lesson, 4).cells if cell.cell_type == "code")
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(ast.unparse(node), {})


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_committed_lesson_is_tidy_and_was_run(lesson, tmp_path):
    copy = tmp_path / lesson.name
    copy.write_bytes(lesson.read_bytes())
    notebooks.tidy_notebook(copy)
    assert copy.read_bytes() == lesson.read_bytes()
    assert lesson.stat().st_size <= 1_000_000
    book = nbformat.read(lesson, 4)
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert f"{lesson.stem}: done" in json.dumps(outputs)


@pytest.mark.parametrize("path", sorted(notebooks.LESSONS_FOLDER.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_no_committed_notebook_has_traces_of_papermill(path):
    book = read_json(path)
    assert set(book["metadata"]) == {"kernelspec", "language_info"}
    assert not [cell for cell in book["cells"] if "papermill" in cell["metadata"]]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_committed_lesson_has_the_skeleton(lesson):
    cells = nbformat.read(lesson, 4).cells
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert notebooks.notebook_title(lesson).startswith(lesson.stem[:2])
    assert notebooks.pages.notebook_question(lesson).endswith("?")
    for heading in ("**Time:**", "## What you will learn", "## Baselines", "## Exercise", "## What we saw"):
        assert heading in words
    assert list(notebooks.run.check_parameters(lesson, {})) == []
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert [line.split(":")[0] for line in tagged[0].source.splitlines()] == [
        "out",
        "profile",
        "source",
        "images",
        "masks",
        "seed",
    ]
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert "wsdl.open_study(" in code[1]
    assert any(source.startswith(f'study.finish("{lesson.stem}"') for source in code[-2:])  # or the answer is last
    lengths = sorted(len(source.splitlines()) for source in code)
    assert lengths[len(lengths) // 2] <= 8


@pytest.mark.slow
def test_refresh_runs_in_a_copy_and_writes_no_local_path(tmp_path, monkeypatch):
    lessons, study = tmp_path / "lessons", tmp_path / "study"
    lessons.mkdir()
    write_json(study / "profile.json", {"name": "mine"})
    toy = make(
        lessons / "99_toy.ipynb",
        "import json, pathlib\njson.load(open(pathlib.Path(out, 'profile.json')))['name'], out",
    )
    toy.write_text(toy.read_text().replace("out: str = ''", "out: str = ''\\nprofile: str = ''\\nsource: str = ''"))
    monkeypatch.setattr(notebooks.run, "LESSONS_FOLDER", lessons)
    report = make(lessons / f"{notebooks.REPORT}.ipynb", "runs")
    report.write_text(report.read_text().replace("out: str = ''", "out: str = ''\\nruns: str = ''"))
    notebooks.refresh_lessons(study=study)
    assert nbformat.read(toy, 4).cells[-1].outputs[0].data["text/plain"] == "('mine', 'out/demo')"
    assert nbformat.read(report, 4).cells[-1].outputs[0].data["text/plain"] == "'out/demo'"


SOLUTIONS = sorted((notebooks.LESSONS_FOLDER / "solutions").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_run(solution, capsys):
    known = {}
    for cell in nbformat.read(solution, 4).cells:
        if cell.cell_type == "code":
            exec(cell.source, known)
    assert capsys.readouterr().out


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_belong_to_a_lesson_and_were_run(solution, tmp_path):
    lesson = nbformat.read(notebooks.LESSONS_FOLDER / solution.name, 4)
    exercises = next(cell.source for cell in lesson.cells if cell.source.startswith("## Exercises"))
    assert f"(solutions/{solution.name})" in exercises
    book = nbformat.read(solution, 4)
    words = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert re.findall(r"^## (\d)\.", words, re.M) == re.findall(r"^(\d)\. ", exercises, re.M)
    assert "Hint" in exercises
    assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code")
    copy = tmp_path / solution.name
    copy.write_bytes(solution.read_bytes())
    notebooks.tidy_notebook(copy)
    assert copy.read_bytes() == solution.read_bytes()
