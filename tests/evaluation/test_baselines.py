"""Baselines: scored by the same code as detectors, once per dataset, and never from a cache that does not fit."""

import json
import shutil

import numpy as np
import pytest

from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import scored_by_mean
from wsdl.evaluation import baselines as module
from wsdl.evaluation.baselines import BASELINES, baseline_rows, predict_baseline, row_kind, row_label, run_label
from wsdl.evaluation.evaluate import metrics_rows
from wsdl.evaluation.forensics import FORENSIC_BASELINES
from wsdl.evaluation.scoring import metrics_row, score_images


@pytest.fixture
def data(dataset, tmp_path) -> Dataset:
    """A copy of the dataset, so that its cache is this test's own."""
    return Dataset(shutil.copytree(dataset, tmp_path / "data", ignore=shutil.ignore_patterns("baselines-*")))


@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """The baselines that were scored since the start of the test."""
    methods, score = [], module._score_baseline
    monkeypatch.setattr(module, "_score_baseline", lambda *words: methods.append(words[0]) or score(*words))
    return methods


def cache_files(data: Dataset) -> list:
    return sorted(data.cache_folder.glob("baselines-*.json"))


def test_rows_are_scored_like_a_detector(data):
    rows = {row["method"]: row for row in metrics_rows(baseline_rows(data, seed=7), "dolos")}
    assert list(rows) == list(BASELINES)
    assert {row["seed"] for row in rows.values()} == {7}
    for name, method in FORENSIC_BASELINES.items():
        table = score_images(data, lambda index, m=method: scored_by_mean(np.stack([m(data.images[i]) for i in index])))
        wanted = metrics_row([table])
        assert {key: rows[f"forensic: {name}"][key] for key in wanted} == wanted


def test_baselines_are_scored_once_per_dataset(data, scored):
    first = baseline_rows(data, seed=0)
    assert scored == list(BASELINES)
    assert baseline_rows(Dataset(data.folder), seed=0) == first
    assert scored == list(BASELINES)
    assert [row | {"seed": 0} for row in baseline_rows(data, seed=5)] == first
    assert len(baseline_rows(data, 0, ("free",))) > len(first)
    assert len(cache_files(data)) == 2


def change_number(text: str) -> str:
    stored = json.loads(text)
    stored["rows"][0]["value"] = 0.75
    return json.dumps(stored)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],  # cut short
        lambda text: "[]",
        change_number,
        lambda text: json.dumps(json.loads(text) | {"version": 0}),
        lambda text: json.dumps(json.loads(text) | {"data": "another manifest"}),
    ],
)
def test_a_corrupt_or_stale_cache_is_computed_again(data, scored, damage):
    first = baseline_rows(data, seed=0)
    (path,) = cache_files(data)
    intact = path.read_text()
    path.write_text(damage(intact))
    scored.clear()
    assert baseline_rows(data, seed=0) == first
    assert scored == list(BASELINES)
    assert path.read_text() == intact


def test_no_cache_is_needed_where_none_can_be_written(data, monkeypatch):
    first = baseline_rows(data, seed=0)
    for path in cache_files(data):
        path.unlink()

    def refuse(path, value):
        raise module.WsdlError(f"{path}: cannot be written")

    monkeypatch.setattr(module, "write_json", refuse)
    assert baseline_rows(data, seed=0) == first


def test_trivial_baselines_ignore_the_image(data):
    index = data.select("partial", "test").index.to_numpy()
    before = [predict_baseline(method, data, index) for method in BASELINES[:4]]
    data.images = np.zeros_like(data.images)
    for method, prediction in zip(BASELINES, before, strict=False):
        assert np.array_equal(predict_baseline(method, data, index).maps, prediction.maps)


@pytest.mark.parametrize(
    ("name", "label"),
    [("patches, a, seed 0", "Patches, setup A, seed 0"), ("patches-mil, b", "Patches-MIL, setup B"),
     ("grad-cam c", "Grad-CAM, setup C"), ("setup b, seed 1", "Setup B, seed 1"), ("attention", "Attention"),
     ("patches, b (lama)", "Patches, setup B (lama)"), ("patches, all", "Patches, all"),
     ("runs/patches-a", "runs/patches-a"),
     ("patches of hair", "patches of hair"), ("setup-b", "setup-b"), ("mine", "mine"), ("", "")],
)  # fmt: skip
def test_a_run_has_one_name_in_figures_and_tables(name, label):
    assert run_label(name) == label
    assert run_label(label) == label


def test_rows_have_a_kind_and_a_label():
    labels = [row_label(method) for method in ("patches", *BASELINES)]
    assert labels == ["patches", "baseline: all-fake", "baseline: all-real", "baseline: random",
                      "baseline: centre prior", "baseline: ELA", "baseline: noise residual"]  # fmt: skip
    kinds = [row_kind(method) for method in ("grad-cam", *BASELINES)]
    assert kinds == ["detector", *["trivial"] * 4, *["forensic"] * 2]
