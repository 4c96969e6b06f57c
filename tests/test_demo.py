"""The demo in miniature: one command from nothing to a report; a second one finds everything done."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from wsdl.core.io import read_json, write_json
from wsdl.data.check import check_dataset
from wsdl.evaluation.baselines import BASELINES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def demo(out: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "wsdl", "demo", "--source", "made-up", "--out", str(out)]
    command += ["--profile", str(ROOT / "tests/miniature.json")]
    return subprocess.run([*command, *words], capture_output=True, text=True, cwd=ROOT, check=False)


def files(folder: Path) -> dict[str, float]:
    """What took work to make, with the time it was written; tables and figures are redrawn at each call."""
    made = (path for part in ("data", "p2", "runs", "lessons") for path in (folder / part).rglob("*"))
    return {str(path.relative_to(folder)): path.stat().st_mtime for path in made if path.is_file()}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    result = demo(out)
    assert result.returncode == 0, result.stderr[-3000:]
    return out, result


def test_the_demo_says_the_plan_and_ends_in_a_report(study):
    out, result = study
    assert result.stdout.strip() == str(out / "index.html")
    assert re.search(r"generator +\d+ s +train P2 on", result.stderr)
    assert (out / "index.html").stat().st_size > 5000


def test_the_table_has_a_row_a_setup_with_intervals_and_controls(study):
    table = pd.read_csv(study[0] / "results.csv")
    assert list(table.setup[:3]) == ["a", "b", "c"]
    assert list(table.method[table.setup.isna()]) == list(BASELINES)
    assert (table.ap_low <= table.ap_high).all()  # AP is no mean: of few faces it can lie outside its resamples
    for name in ("iou", "pbca"):
        assert (table[f"{name}_low"] <= table[name] + 1e-9).all()
        assert (table[name] <= table[f"{name}_high"] + 1e-9).all()


def test_every_lesson_ran(study):
    reports = sorted((study[0] / "lessons").glob("*.run.json"))
    assert len(reports) == 8
    assert {read_json(path)["status"] for path in reports} == {"done"}
    pages = [path.with_name(path.name.replace(".run.json", ".html")) for path in reports]
    assert not any("jupyter.widget" in page.read_text(encoding="utf-8") for page in pages)
    assert (study[0] / "lessons" / "explorer.html").exists()


def test_the_dataset_passes_its_own_check(study):
    assert check_dataset(study[0] / "data") == []


def test_a_second_call_does_only_what_is_missing(study):
    out, _ = study
    before = files(out)
    victim = next((out / "data/fake/repaint-p2/images").rglob("*.png"))
    content = victim.read_bytes()
    victim.unlink()
    again = demo(out)
    assert again.returncode == 0, again.stderr[-3000:]
    assert victim.read_bytes() == content
    after = files(out)
    changed = {name for name in before if after[name] != before[name]}
    rewritten = {"data/manifest.csv", "data/dataset.json", "data/recipe.json", "data/fake/repaint-p2/recipe.json"}
    rewritten |= {"data/fake/p2-ddpm/recipe.json"}  # claims and manifests are rewritten with the same content
    made = str(victim.relative_to(out))
    assert changed <= rewritten | {made, made.replace("images", "masks")}


def test_other_settings_are_refused(study):
    refused = demo(study[0], "--seed", "1")
    assert refused.returncode == 1
    assert "this study was begun with seed 0, not 1" in refused.stderr


@pytest.fixture(scope="module")
def checkout(study, tmp_path_factory):
    """A checkout of the repository whose out/demo is the finished study."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "wsdl", root / "wsdl", ignore=shutil.ignore_patterns("assets", "__pycache__"))
    (root / "wsdl/assets").symlink_to(ROOT / "wsdl/assets")
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "out").mkdir()
    (root / "out/demo").symlink_to(study[0])
    return root


@pytest.mark.parametrize("lesson", ["00_first_look", "05_setup_c"])
def test_a_lesson_opens_the_study_of_the_demo_and_trains_nothing(study, checkout, lesson):
    before = {name: time for name, time in files(study[0]).items() if not name.startswith("lessons")}
    command = [sys.executable, "-m", "papermill", f"notebooks/{lesson}.ipynb", "run.ipynb", "--no-progress-bar"]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    result = subprocess.run(command, capture_output=True, text=True, cwd=checkout, env=environment, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    text = (checkout / "run.ipynb").read_text(encoding="utf-8")
    assert "profile miniature (" in text
    assert "source made-up, seed 0" in text
    assert before == {name: time for name, time in files(study[0]).items() if not name.startswith("lessons")}
    assert {path.name for path in checkout.iterdir()} == {"wsdl", "notebooks", "pyproject.toml", "out", "run.ipynb"}


def test_a_lesson_refuses_another_profile(study, checkout):
    write_json(checkout.parent / "few.json", read_json(ROOT / "tests/miniature.json") | {"patches": {"images_c": 400}})
    words = ["-p", "out", str(study[0]), "-p", "profile", str(checkout.parent / "few.json"), "--no-progress-bar"]
    command = [sys.executable, "-m", "papermill", "notebooks/05_setup_c.ipynb", str(checkout.parent / "few.ipynb")]
    result = subprocess.run([*command, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 1
    assert "this study was begun with" in result.stderr


def test_the_long_lessons_run_with_every_generator(study):
    out, _ = study
    words = ["--source", "made-up", "--profile", str(out / "profile.json"), "--out", str(out)]
    command = [sys.executable, "-m", "wsdl", "notebooks", "run", "--long", *words]
    others = {path: path.stat().st_mtime for path in (out / "lessons").glob("0[1-6]_*")}
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    found = read_json(out / "lessons" / "07_generalisation.json")
    assert found["generators"] == ["repaint-p2", "repaint-ldm-clean", "lama", "pluralistic"]
    assert len(found["matrix"]) == 4 * 4 + 4  # every pair, and the best baseline of each test
    raw, clean = read_json(out / "lessons" / "08_background.json")["altered"].values()
    assert raw > clean == 0
    rows = read_json(out / "lessons" / "10_your_own_folders.json")["iou"]
    assert len(rows) == 7  # three detectors, four baselines
    assert read_json(out / "lessons" / "11_published_methods.json")["given"] == []
    assert others == {path: path.stat().st_mtime for path in others}  # not run again
    assert len(others) >= 18


@pytest.mark.skipif("WSDL_PHOTOS" not in os.environ, reason="WSDL_PHOTOS names no folder with images/ and masks/")
def test_the_demo_on_photographs(tmp_path):
    photos = Path(os.environ["WSDL_PHOTOS"])
    words = ("--source", "photos", "--images", str(photos / "images"), "--masks", str(photos / "masks"))
    result = demo(tmp_path / "out", *words)
    assert result.returncode == 0, result.stderr[-3000:]
    assert set(pd.read_csv(tmp_path / "out/results.csv").setup.dropna()) == {"a", "b", "c"}
