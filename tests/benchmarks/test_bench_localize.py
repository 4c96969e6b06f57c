"""`bench localize`: the numbers are those of `localize` and of the metrics; tables, files and refusals."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from factories_published import write_noiseprint_weights
from helpers import run_command
from PIL import Image
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner

import wsdl
from wsdl.__main__ import app
from wsdl.benchmarks.localize import ALL_SETS, COLUMNS, MEASURES, bench_localize, format_table, summarize
from wsdl.evaluation.baselines import BASELINES
from wsdl.evaluation.forensics import ela
from wsdl.evaluation.metrics import bootstrap

pytestmark = pytest.mark.usefixtures("no_parser")


@pytest.fixture(scope="module")
def triples(made_up, tmp_path_factory):
    """Five triples of drawn faces at 64 px, in two sets."""
    folder, rng = tmp_path_factory.mktemp("triples"), np.random.default_rng(0)
    for i, path in enumerate(sorted(made_up[0].iterdir())[:5]):
        real, mask = np.asarray(Image.open(path).convert("RGB")), np.zeros((64, 64), np.uint8)
        mask[10 + i : 40, 8 : 30 + 2 * i] = 255
        fake = np.where(mask[..., None] > 0, rng.integers(0, 256, real.shape, np.uint8), real)
        for part, pixels in (("real", real), ("fake", fake), ("mask", mask)):
            to = folder / ("one" if i < 3 else "two") / part / f"{i}.png"
            to.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(to)
    return folder


@pytest.fixture
def result(triples, run_folder):
    return bench_localize(triples, (str(run_folder),))


def test_numbers_of_an_image_are_those_of_localize(result, triples, run_folder):
    rows = result[1][result[1].method == str(run_folder)]
    assert len(rows) == 5
    row = rows[rows.name == "4"].iloc[0]
    real, fake = (wsdl.localize(triples / f"two/{part}/4.png", run_folder) for part in ("real", "fake"))
    mask = np.asarray(Image.open(triples / "two/mask/4.png")) == 255
    found = fake.map > fake.threshold
    assert row.iou == (found & mask).sum() / (found | mask).sum()
    assert row.pixel_ap == pytest.approx(average_precision_score(mask.ravel(), fake.map.ravel()))
    assert (row.score_real, row.score_fake) == (real.score, fake.score)
    assert (row.marked_real, row.marked_fake) == (real.marked, fake.marked)


def test_the_detectors_own_threshold_counts(triples, monkeypatch):
    def localizer(given):
        map_ = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
        return SimpleNamespace(map=map_, score=0.5, marked=0.2, analysed=map_ >= 0, threshold=0.8)

    monkeypatch.setattr("wsdl.benchmarks.localize.load_localizer", lambda name: localizer)
    rows = bench_localize(triples, ("mine",))[1]
    mask = np.asarray(Image.open(triples / "one/mask/0.png")) == 255
    marked = np.tile(np.linspace(0, 1, 64) > 0.8, (64, 1))
    assert rows.iou[0] == (marked & mask).sum() / (marked | mask).sum()


def test_baselines_see_the_image_as_it_is(result, triples):
    row = result[1][(result[1].method == "forensic: ela") & (result[1].name == "0")].iloc[0]
    map_ = ela(np.asarray(Image.open(triples / "one/fake/0.png")))
    assert (row.score_fake, row.marked_fake) == (pytest.approx(map_.mean()), (map_ > 0.5).mean())


def test_means_intervals_and_order_of_the_table(result, run_folder):
    table, images = result
    assert tuple(table.columns) == COLUMNS
    assert [(name, rows.n.iloc[0]) for name, rows in table.groupby("set", sort=False)] == [
        ("one", 3), ("two", 2), (ALL_SETS, 5)]  # fmt: skip
    for _, rows in table.groupby("set"):
        assert set(rows.method) == {str(run_folder), *BASELINES}
        assert rows.pixel_ap.is_monotonic_decreasing
    row = table[(table.set == ALL_SETS) & (table.method == str(run_folder))].iloc[0]
    of = images[images.method == str(run_folder)]
    low, high = bootstrap(of.iou.to_numpy(), np.arange(5))
    assert (row.iou, row.iou_low, row.iou_high) == pytest.approx((of.iou.mean(), low, high), abs=1e-6)
    labels, scores = np.repeat([0, 1], 5), pd.concat([of.score_real, of.score_fake])
    assert row.image_ap == pytest.approx(average_precision_score(labels, scores), abs=1e-6)
    all_fake = table[(table.set == "two") & (table.method == "control: all-fake")].iloc[0]
    assert all_fake.iou == all_fake.pixel_ap
    assert (all_fake.image_ap, all_fake.marked_real) == (0.5, 1)


def test_a_star_marks_what_is_above_chance(result, run_folder):
    images = result[1][result[1].method == str(run_folder)]
    area = np.linspace(0.1, 0.5, 5)
    images = images.assign(pixel_ap=area + 0.02, over_chance=0.02)  # area varies more than the gain
    row = summarize(images).iloc[-1]
    assert (row.over_chance_low, row.over_chance_high) == (0.02, 0.02)
    assert row.pixel_ap_low < 0.3 < row.pixel_ap_high
    assert "32.0 (20-44)*" in format_table(summarize(images)).splitlines()[-3]
    assert "*" not in format_table(summarize(images.assign(over_chance=-0.02))).rpartition("* above")[0]


def test_images_of_one_name_in_two_sets_are_resampled_apart(result):
    images = result[1].assign(name=result[1].name.replace({"3": "0"}))
    pd.testing.assert_frame_equal(summarize(images), result[0])


def test_the_printed_table_fits_100_columns(result):
    values = {"": 0.9987, "_low": 0.98, "_high": 1.0}
    wide = result[0].assign(**{measure + end: value for measure in MEASURES for end, value in values.items()})
    lines = format_table(wide.assign(method=BASELINES[-1])).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "one, n = 3"
    assert "99.9 (98-100)" in lines[2]


def test_the_command_writes_both_tables(triples, run_folder, tmp_path):
    out = tmp_path / "out"
    printed = run_command("bench", "localize", "--triples", triples, "--detector", run_folder, "--out", out)
    assert printed.rstrip() == format_table(pd.read_csv(out / "results.csv"))
    assert len(pd.read_csv(out / "images.csv")) == 5 * (1 + len(BASELINES))


def test_weights_add_the_published_methods(triples, run_folder, tmp_path):
    weights = write_noiseprint_weights(tmp_path, (101,))
    rows = bench_localize(triples, (str(run_folder),), weights)[1]
    assert set(rows.method) == {str(run_folder), "noiseprint", *BASELINES}
    row = rows[(rows.method == "noiseprint") & (rows.name == "4")].iloc[0]
    assert row.score_fake == wsdl.localize(triples / "two/fake/4.png", "noiseprint", weights=weights).score


def test_the_default_is_every_pretrained_detector(triples, run_folder, tmp_path, monkeypatch):
    (tmp_path / "mine").symlink_to(run_folder)
    monkeypatch.setattr("wsdl.detectors.pretrained.PRETRAINED_FOLDER", tmp_path)
    assert "mine" in set(bench_localize(triples)[0].method)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--triples", "nowhere"], "nowhere: no such folder."),
        (["--triples", "{triples}", "--detector", "nothing"], "nothing: no such detector"),
    ],
)
def test_refusals_are_one_sentence(triples, words, message):
    result = CliRunner().invoke(app, ["bench", "localize", *(word.format(triples=triples) for word in words)])
    assert result.exit_code == 1
    assert message in str(result.exception) + result.output
