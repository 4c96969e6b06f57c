"""The table of runs: averages, intervals over faces, ranges over seeds, and refusals."""

import json

import numpy as np
import pandas as pd
import pytest

from wsdl.core.io import WsdlError, write_json
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.evaluation import tables as module
from wsdl.evaluation.scoring import metrics_row
from wsdl.evaluation.tables import RESULTS_COLUMNS, results_by_job, results_to_markdown


def image_scores(seed: int, faces: int = 12, offset: float = 0.0) -> pd.DataFrame:
    """What `score_images` gives, made up: one real and two partial fakes of each face."""
    rng = np.random.default_rng(seed)
    rows = []
    for face in range(faces):
        for kind in ("real", "partial", "partial"):
            found = np.nan if kind == "real" else np.clip(rng.uniform(0.2, 0.8) + offset, 0, 1)
            score = rng.uniform() + (kind == "partial")
            rows.append({"path": f"{len(rows)}.png", "kind": kind, "source_id": str(face), "score": score,
                         "iou": found, "pbca": found})  # fmt: skip
    return pd.DataFrame(rows).sort_values("kind", ascending=False, kind="stable")


def write_run(folder, table: pd.DataFrame, seed: int, setup: str = "c", **changes) -> None:
    """A run folder as `evaluate` leaves it."""
    folder.mkdir(parents=True)
    config = {"method": "patches", "setup": setup, "source": "studio", "seed": seed, "images": 64, **changes}
    who = {"method": "patches", "setup": setup, "seed": seed}
    baseline = {**metrics_row([table]), "method": "control: all-fake", "setup": "", "seed": seed}
    forensic = baseline | {"method": "forensic: ela"}
    write_json(folder / "config.json", config)
    table.to_csv(folder / PER_IMAGE_FILE, index=False)
    rows = [metrics_row([table]) | who, baseline, forensic]
    write_json(folder / "metrics.json", {"preset": "dolos", "model": "m", "data": "d", "rows": rows})


@pytest.fixture
def three(tmp_path):
    runs = {seed: image_scores(seed, offset=seed / 10) for seed in range(3)}
    for seed, images in runs.items():
        write_run(tmp_path / f"patches-c-s{seed}", images, seed)
    return tmp_path, runs


def test_three_seeds_are_one_row_of_means(three):
    folder, runs = three
    row = results_by_job(folder).iloc[0]
    alone = [metrics_row([images]) for images in runs.values()]
    assert tuple(results_by_job(folder).columns) == RESULTS_COLUMNS
    assert row.seeds == "0 1 2"
    for score in ("iou", "pbca", "ap"):
        values = [numbers[score] for numbers in alone]
        assert row[score] == pytest.approx(np.mean(values), abs=2e-6)
        assert (row[f"{score}_least"], row[f"{score}_most"]) == (min(values), max(values))
    assert row.n == 24


def test_the_interval_is_about_faces_not_about_training(three):
    """Seeds whose maps differ by noise of their own average it out: the interval must shrink, not stretch."""
    folder, runs = three
    row = results_by_job(folder).iloc[0]
    alone = metrics_row([runs[0]])
    assert row.iou_high - row.iou_low < alone["iou_high"] - alone["iou_low"]
    assert row.iou_low <= row.iou <= row.iou_high


def test_the_same_run_thrice_is_the_run(tmp_path):
    images = image_scores(5)
    for seed in range(3):
        write_run(tmp_path / str(seed), images, seed)
    row, alone = results_by_job(tmp_path).iloc[0], metrics_row([images])
    assert {key: row[key] for key in alone} == pytest.approx(alone, abs=2e-6)
    assert row.iou_least == row.iou_most == row.iou


def test_other_settings_are_another_row_baselines_come_once(three):
    folder, runs = three
    write_run(folder / "longer", runs[0], 0, images=128)
    write_run(folder / "b", runs[0], 0, setup="b")
    rows = results_by_job(folder)
    assert list(rows.seeds) == ["0", "0", "0 1 2", "", ""]
    assert list(rows.method) == ["patches"] * 3 + ["control: all-fake", "forensic: ela"]


def test_a_seed_that_is_there_twice_is_counted_once_and_named(three):
    folder, runs = three
    before, problems = results_by_job(folder), []
    write_run(folder / "again", runs[0], 0)
    pd.testing.assert_frame_equal(results_by_job(folder, problems.append), before)
    (problem,) = problems
    same = f"is the same training with the same seed as {folder / 'again'}; keep one."
    assert problem == f"{folder / 'patches-c-s0'}: {same}"


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(WsdlError, match="evaluated run"):
        results_by_job(tmp_path)


def test_markdown_has_interval_and_range(three):
    folder, _ = three
    lines = results_to_markdown(results_by_job(folder)).splitlines()
    row = results_by_job(folder).iloc[0]
    assert f"{100 * row.iou:.1f} ({100 * row.iou_low:.1f} to {100 * row.iou_high:.1f}) [" in lines[2]
    assert lines[3].startswith("| studio | baseline: all-fake |")
    assert "[" not in lines[3]  # a baseline has no seeds
    assert len({line.count("|") for line in lines}) == 1


def test_different_test_images_are_not_averaged(three, monkeypatch):
    """Runs tested on other data never meet in one row."""
    folder, _ = three
    path = folder / "patches-c-s2" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": "other"}))
    seen = []
    monkeypatch.setattr(module, "metrics_row", lambda runs: seen.append(len(runs)) or metrics_row(runs))
    results_by_job(folder)
    assert sorted(seen) == [1, 2]


def test_methods_are_in_their_own_order_not_alphabetical(tmp_path):
    for method in ("attention", "grad-cam", "patches"):
        write_run(tmp_path / method, image_scores(0), 0, method=method)
    assert list(results_by_job(tmp_path).method) == [
        "patches",
        "grad-cam",
        "attention",
        "control: all-fake",
        "forensic: ela",
    ]


def test_the_interval_of_ap_contains_the_lowest_ap():
    table = image_scores(0).drop_duplicates(["kind", "source_id"])
    row = metrics_row([table.assign(score=-(table.kind == "partial") - table.score / 100)])  # all fakes below the reals
    assert 0 < row["ap_low"] <= row["ap"] <= row["ap_high"] < 0.5
