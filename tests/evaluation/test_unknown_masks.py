"""Two folders of images, by the command line: train setups A and B, evaluate without masks or with a few, report."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import run_command
from PIL import Image
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError
from wsdl.core.records import read_metrics
from wsdl.data.dataset import Dataset
from wsdl.data.masks import write_mask
from wsdl.evaluation.breakdown import partial_fakes, read_per_image
from wsdl.evaluation.label_thresholds import score_thresholds
from wsdl.evaluation.tables import results_by_job, results_to_markdown
from wsdl.report.results import compare_with_baselines, results_section
from wsdl.report.site import build_site

PROFILE = {
    "name": "tiny",
    "patches": {"input_size": 32, "images": 32, "batch": 8, "check_every": 32},
}
FAKES = 20


def draw(number: int, edited: bool) -> Image.Image:
    """A smooth random image; edited: noise in a square."""
    rng = np.random.default_rng([number, edited])
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    pixels = np.array(small.resize((40, 40), Image.Resampling.BICUBIC))
    if edited:
        pixels[10:30, 10:30] = rng.integers(0, 256, (20, 20, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The folders real, fake and masks (of all fakes), and a profile."""
    place = tmp_path_factory.mktemp("two-folders")
    for folder in ("real", "fake", "masks"):
        (place / folder).mkdir()
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 1
    for i in range(FAKES):
        draw(i, False).save(place / "real" / f"r{i:02d}.jpg", quality=95)
        draw(i, True).save(place / "fake" / f"f{i:02d}.png")
        write_mask(place / "masks" / f"f{i:02d}.png", mask)
    (place / "tiny.json").write_text(json.dumps(PROFILE))
    return place


def trained(place: Path, name: str, setup: str, *words) -> Path:
    """PLACE/NAME/data and PLACE/NAME/run by the commands of the README; returns PLACE/NAME."""
    home = place / name
    if not home.exists():
        data, run = home / "data", home / "run"
        run_command("data", "prepare", "--real", place / "real", *words, "--size", 32, "--out", data)
        run_command("train", "--setup", setup, "--data", data, "--profile", place / "tiny.json", "--out", run)
    return home


@pytest.fixture(scope="module")
def full(place) -> Path:
    return trained(place, "a", "a", "--full", place / "fake")


@pytest.fixture(scope="module")
def partial(place) -> Path:
    return trained(place, "b", "b", "--partial", place / "fake")


@pytest.fixture(scope="module")
def some_masks(place, partial) -> Path:
    """`partial` with the mask of one of its two test fakes, and of some others; and its run."""
    few = place / "few"
    few.mkdir()
    tested = Dataset(partial / "data").select("partial", "test").path
    for path in [*sorted((place / "masks").iterdir())[::2], place / "masks" / Path(tested.iloc[0]).name]:
        if path.name != Path(tested.iloc[1]).name:
            shutil.copy(path, few)
    home = place / "some"
    words = ("--real", place / "real", "--partial", place / "fake", "--masks", few)
    run_command("data", "prepare", *words, "--size", 32, "--out", home / "data")
    shutil.copytree(partial / "run", home / "run")
    return home


def evaluated(home: Path) -> dict:
    """The detector's row of the table that `evaluate` prints, and as `said` what it prints to stderr."""
    result = CliRunner().invoke(app, ["evaluate", str(home / "run"), "--data", str(home / "data")])
    assert result.exit_code == 0, result.output
    return next(csv.DictReader(io.StringIO(result.stdout))) | {"said": result.stderr}


@pytest.mark.parametrize("name", ["full", "partial"])
def test_without_masks_there_is_ap_and_marked_area(name, request):
    home = request.getfixturevalue(name)
    row = evaluated(home)
    assert row["iou"] == row["pbca"] == "" and float(row["ap"]) >= 0  # noqa: PT018
    assert (row["n"], row["n_masks"]) == ("2", "0")
    assert all(0 <= float(row[name]) <= 1 for name in ("marked_real", "marked_fake", "any_real", "any_fake"))
    assert "IoU and PBCA need masks" in row["said"]
    images = read_per_image(home / "run")
    assert images.iou.isna().all()
    assert np.isclose(images.marked[images.kind != "real"].mean(), float(row["marked_fake"]), atol=1e-6)


def test_iou_is_over_the_fakes_with_a_mask(some_masks):
    row = evaluated(some_masks)
    images = read_per_image(some_masks / "run")
    known = images[images.area.notna() & (images.kind == "partial")]
    assert (len(known), row["n_masks"], row["n"]) == (1, "1", "2")
    assert float(row["iou"]) == pytest.approx(known.iou.mean(), abs=1e-6)
    assert "a known mask: AP and statistics of the maps are over all" in row["said"]
    assert len(partial_fakes([some_masks / "run"])) == len(known)


def test_with_all_masks_the_numbers_are_the_usual_ones(place, partial):
    home = place / "all"
    words = ("--real", place / "real", "--partial", place / "fake", "--masks", place / "masks")
    run_command("data", "prepare", *words, "--size", 32, "--out", home / "data")
    shutil.copytree(partial / "run", home / "run")
    for old in ("metrics.json", "pictures.csv"):
        (home / "run" / old).unlink(missing_ok=True)
    row = evaluated(home)
    assert "n_masks" not in row and "marked_fake" not in row  # noqa: PT018
    assert float(row["iou"]) >= 0


def test_other_presets_and_thresholds_say_that_they_need_masks(partial):
    for preset in ("all", "pooled"):
        with pytest.raises(WsdlError, match="the other presets need masks"):
            run_command("evaluate", partial / "run", "--data", partial / "data", "--preset", preset)
    with pytest.raises(WsdlError, match="no partial fake in test whose mask is known"):
        score_thresholds(partial / "run", partial / "data")


def test_presets_work_where_some_masks_are_known(some_masks):
    printed = run_command("evaluate", some_masks / "run", "--data", some_masks / "data", "--preset", "all")
    table = pd.read_csv(io.StringIO(printed))
    assert {"dolos", "maps", "pooled", "benco", "free"} <= set(table.preset)


def test_robustness_works_without_masks(partial):
    printed = run_command("evaluate", partial / "run", "--data", partial / "data", "--robustness")
    table = pd.read_csv(io.StringIO(printed))
    assert table.ap.notna().all()
    assert table.iou.isna().all()


@pytest.mark.parametrize("name", ["full", "partial", "some_masks"])
def test_tables_and_report_are_written(name, request, tmp_path):
    home = request.getfixturevalue(name)
    evaluated(home)
    assert read_metrics(home / "run")["rows"][0]["n"] == 2
    rows = results_by_job(home)
    text = results_to_markdown(rows)
    assert ("no masks" in text) == (name != "some_masks")
    assert "2 (0 with a mask)" in text if name != "some_masks" else "with a mask)" in text
    assert "with a mask)" in str(results_section(rows))
    compare_with_baselines(rows)
    page = build_site(home, tmp_path / "site").read_text()
    assert "cannot be shown" not in page
    assert "Not shown." not in page
