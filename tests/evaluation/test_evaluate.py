"""Evaluation of a run: the rows against scikit-learn, and when stored results are loaded or computed again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

from wsdl.config import PatchesTraining
from wsdl.core.io import WsdlError, write_json
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import write_manifest
from wsdl.detectors import load_detector
from wsdl.evaluation import evaluate as module
from wsdl.evaluation.baselines import BASELINES
from wsdl.evaluation.evaluate import (
    METRICS_COLUMNS,
    PROTOCOL_COLUMNS,
    PROTOCOLS_FILE,
    evaluate,
    evaluate_protocols,
    evaluation_table,
    metrics_rows,
    protocols_side_by_side,
    scores_table,
)
from wsdl.evaluation.metrics import upsample
from wsdl.evaluation.protocols import PROTOCOLS
from wsdl.evaluation.tables import results_by_job
from wsdl.training.detector import train_detector

TINY = PatchesTraining(input_size=48, images=64, images_c=64, batch=8, batch_c=8, check_every=32)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "patches-c"
    train_detector("patches", "c", dataset, folder, seed=0, settings=TINY)
    return folder


@pytest.fixture(scope="module")
def tidy(run, dataset):
    return evaluate_protocols(run, dataset)


@pytest.fixture
def not_scored(monkeypatch):
    monkeypatch.setattr(module, "score_protocols", lambda *_: pytest.fail("scored again"))


def value(tidy, method, preset, measure):
    chosen = (tidy.method == method) & (tidy.preset == preset) & (tidy.measure == measure)
    return tidy[chosen].value.item()


def test_the_rows_are_the_detector_and_all_baselines(run, dataset):
    rows = evaluate(run, dataset)["rows"]
    names = ["control: all-fake", "control: all-real", "control: random", "control: centre-prior", "forensic: ela"]
    assert [row["method"] for row in rows] == ["patches", *names, "forensic: noise residual"]
    assert [row["setup"] for row in rows] == ["c"] + 6 * [""]
    assert {row["seed"] for row in rows} == {0}
    assert all(tuple(row) == METRICS_COLUMNS for row in rows)


def test_trivial_baselines_follow_from_the_mask_area(run, dataset):
    data = Dataset(dataset)
    rows = {row["method"]: row for row in evaluate(run, dataset)["rows"]}
    area = data.masks[data.select("partial", "test").index].mean()
    assert rows["control: all-fake"]["iou"] == pytest.approx(area, abs=1e-5)
    assert rows["control: all-real"]["pbca"] == pytest.approx(1 - area, abs=1e-5)
    assert rows["control: all-real"]["iou"] == 0
    assert rows["control: all-fake"]["ap"] == pytest.approx(0.5)


def test_metrics_with_fewer_rows_are_scored_again(run, dataset):
    first = evaluate(run, dataset)
    write_json(run / "metrics.json", first | {"rows": first["rows"][:5]})
    assert evaluate(run, dataset) == first
    assert json.loads((run / "metrics.json").read_text()) == first


def test_the_row_of_a_detector_against_scikit_learn(run, dataset):
    data = Dataset(dataset)
    partial, real = data.select("partial", "test"), data.select("real", "test")
    model = load_detector(run)
    prediction = model.predict(data.images[partial.index])
    ious = []
    for map_, mask in zip(prediction.maps, data.masks[partial.index], strict=True):
        full = np.asarray(Image.fromarray(map_).resize(mask.shape[::-1], Image.Resampling.BICUBIC))
        ious.append(jaccard_score(mask.ravel(), (full > 0.5).ravel(), zero_division=1.0))
    row = evaluate(run, dataset)["rows"][0]
    assert row["iou"] == pytest.approx(np.mean(ious), abs=1e-5)
    assert row["iou_low"] <= row["iou"] <= row["iou_high"]
    scores = np.concatenate([model.predict(data.images[real.index]).scores, prediction.scores])
    n = min(len(real), len(partial))
    if len(real) == len(partial) == n:  # then every balanced draw is the whole set
        labels = np.repeat([0, 1], n)
        assert row["ap"] == pytest.approx(average_precision_score(labels, scores), abs=1e-5)


def test_metrics_are_stored_until_the_model_changes(run, dataset, not_scored):
    first = evaluate(run, dataset)
    assert json.loads((run / "metrics.json").read_text()) == first
    assert evaluate(run, dataset) == first
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        evaluate(run, dataset)
    (run / "model.safetensors").write_bytes(weights)


def test_the_numbers_of_each_image_are_written_and_restored(run, dataset):
    first = evaluate(run, dataset)
    images = pd.read_csv(run / PER_IMAGE_FILE)
    assert images.iou.mean() == pytest.approx(first["rows"][0]["iou"], abs=1e-5)
    assert images[images.kind == "real"].iou.isna().all()
    (run / PER_IMAGE_FILE).unlink()
    assert evaluate(run, dataset) == first
    pd.testing.assert_frame_equal(pd.read_csv(run / PER_IMAGE_FILE), images)


def test_a_table_has_each_baseline_once(run, dataset):
    result = evaluate(run, dataset)
    table = scores_table([result, result])
    assert tuple(table.columns) == METRICS_COLUMNS
    assert list(table.method) == ["patches", "patches", *BASELINES]


def test_every_protocol_has_the_detector_and_all_baselines(tidy):
    assert tuple(tidy.columns) == PROTOCOL_COLUMNS
    for _, part in tidy.groupby("method"):
        assert set(part.preset) == set(PROTOCOLS)
    assert list(dict.fromkeys(tidy.method)) == ["patches", *BASELINES]
    known = tidy[tidy.low.notna() & (tidy.measure != "ap")]  # AP is no mean: resamples of few faces can lie above it
    assert ((known.low <= known.value + 1e-6) & (known.value <= known.high + 1e-6)).all()
    without = tidy[tidy.low.isna()]
    assert set(without.preset) == {"pooled"}
    assert set(without.measure) == {"pixel_ap", "pixel_auc"}


def test_trivial_baselines_under_every_protocol(tidy, dataset):
    data = Dataset(dataset)
    partial, real = data.select("partial", "test"), data.select("real", "test")
    areas = data.masks[partial.index].mean(axis=(1, 2))
    share = len(partial) / (len(partial) + len(real))
    fake, nothing = "control: all-fake", "control: all-real"
    assert value(tidy, fake, "dolos", "iou") == pytest.approx(areas.mean(), abs=2e-6)
    assert value(tidy, fake, "pooled", "iou") == pytest.approx(areas.mean(), abs=2e-6)
    assert value(tidy, nothing, "pooled", "accuracy") == pytest.approx(1 - areas.mean(), abs=2e-6)
    assert value(tidy, fake, "benco", "f1") == pytest.approx(share * (2 * areas / (1 + areas)).mean(), abs=2e-6)
    assert value(tidy, fake, "benco", "accuracy") == pytest.approx(share * areas.mean(), abs=2e-6)
    assert value(tidy, nothing, "benco", "f1") == 0
    assert value(tidy, nothing, "benco", "f1_double") == value(tidy, fake, "benco", "f1")
    for baseline in (fake, nothing, "control: centre-prior"):
        auc = value(tidy, baseline, "pooled", "pixel_auc"), value(tidy, baseline, "free", "pixel_auc")
        assert auc == (0.5, 0.5) if baseline != "control: centre-prior" else min(auc) > 0.5


def test_pooled_numbers_against_scikit_learn(run, dataset, tidy):
    data = Dataset(dataset)
    index = data.select("partial", "test").index
    masks = np.asarray(data.masks[index])
    maps = load_detector(run).predict(data.images[index]).maps
    full = np.array([upsample(map_, mask.shape) for map_, mask in zip(maps, masks, strict=True)])
    truth, values = masks.ravel(), full.ravel()
    assert value(tidy, "patches", "pooled", "f1") == pytest.approx(f1_score(truth, values > 0.5), abs=1e-5)
    tolerance = 2e-3  # an almost untrained map spans very little
    assert value(tidy, "patches", "pooled", "pixel_auc") == pytest.approx(roc_auc_score(truth, values), abs=tolerance)
    assert value(tidy, "patches", "pooled", "pixel_ap") == pytest.approx(
        average_precision_score(truth, values), abs=tolerance
    )


def test_one_preset_alone_has_the_numbers_of_all(run, dataset, tidy):
    rows = tidy.to_dict("records")
    assert metrics_rows(rows, "dolos") == evaluate(run, dataset)["rows"]
    pooled = evaluate(run, dataset, "pooled")
    assert json.loads((run / "metrics.json").read_text()) == pooled
    assert pooled["preset"] == "pooled"
    f1 = [row["f1"] for row in pooled["rows"]]
    assert f1 == [value(tidy, method, "pooled", "f1") for method in ("patches", *BASELINES)]
    assert pooled["rows"][0]["pixel_ap_low"] is None
    with pytest.raises(WsdlError, match="preset 'pooled', but the table is of dolos"):
        results_by_job(run.parent)
    evaluate(run, dataset)
    assert "patches" in set(results_by_job(run.parent).method)


def test_all_protocols_are_stored_until_the_model_changes(run, dataset, tidy, not_scored):
    pd.testing.assert_frame_equal(evaluate_protocols(run, dataset), tidy)
    assert len(evaluation_table(run, dataset, "all")) == len(tidy)
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        evaluate_protocols(run, dataset)
    (run / "model.safetensors").write_bytes(weights)


def test_grad_cam_is_scored_again_where_its_maps_were_others(run, dataset, tmp_path):
    """Earlier versions divided maps of Grad-CAM in setups A and B by their maximum, and did not enlarge them."""
    shutil.copytree(run, tmp_path / "run")
    plain = module.evaluation_inputs(run, Dataset(dataset))
    for method, setup, same in (("grad-cam", "b", False), ("grad-cam", "c", True), ("patches", "b", True)):
        write_json(tmp_path / "run" / "config.json", {"method": method, "setup": setup})
        assert (module.evaluation_inputs(tmp_path / "run", Dataset(dataset)) == plain) is same


def test_protocols_with_fewer_rows_are_scored_again(run, dataset, tidy):
    stored = json.loads((run / PROTOCOLS_FILE).read_text())
    write_json(run / PROTOCOLS_FILE, stored | {"rows": [r for r in stored["rows"] if "forensic" not in r["method"]]})
    assert len(evaluate_protocols(run, dataset)) == len(tidy)
    assert json.loads((run / PROTOCOLS_FILE).read_text()) == stored


def test_side_by_side_has_a_column_per_number(tidy):
    shown = protocols_side_by_side(tidy)
    assert list(shown.columns[:4]) == ["dolos iou", "dolos pbca", "dolos ap", "pooled iou"]
    assert len(shown) == 1 + len(BASELINES)
    assert shown.notna().all(axis=None)


def test_errors_are_one_sentence(run, dataset, faces, tmp_path):
    with pytest.raises(WsdlError, match="--preset: is 'mine', but must be dolos or pooled"):
        evaluate(run, dataset, preset="mine")
    with pytest.raises(WsdlError, match="0 partial images in test"):
        evaluate(run, faces)
    with pytest.raises(WsdlError, match=r"config\.json: no such file"):
        evaluate(tmp_path, dataset)


def test_scores_do_not_depend_on_the_batch(run, dataset):
    images = Dataset(dataset).images[:5]
    model = load_detector(run)
    with torch.no_grad():
        together, alone = model.predict(images).scores, model.predict(images, batch=1).scores
    assert np.allclose(together, alone, atol=1e-5)


def test_of_one_test_face_there_is_no_interval_and_the_reason_is_said(run, dataset, tmp_path, capsys):
    """As with 14 images: a tenth is one face."""
    data, copied = (Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in (dataset, run))
    table = Dataset(data).table
    face = table[(table.kind == "partial") & (table.split == "test")].source_id.iloc[0]
    write_manifest(data, table[(table.split != "test") | (table.source_id == face)], Dataset(data).info)
    result = evaluate(copied, data)
    assert f"{data}: has fakes of one test face only, so intervals are empty" in capsys.readouterr().err
    assert len(result["rows"]) == len(BASELINES) + 1
    for row in result["rows"]:
        assert all(row[name] is not None and row[f"{name}_low"] is None for name in ("iou", "pbca", "ap"))
    assert json.loads((copied / "metrics.json").read_text()) == result
    assert not (scores_table([result]).iou_low > 0).any()
    assert results_by_job(tmp_path).iou_low.isna().all()
    tidy = evaluate_protocols(copied, data)
    assert tidy.value.notna().all()
    assert tidy.low.isna().all()


def test_the_validation_split_has_a_folder_of_its_own(run, dataset, tmp_path):
    """Choices are made on it, and the test split is not touched: no file of the run changes."""
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    shutil.rmtree(copied / "valid", ignore_errors=True)
    evaluate(copied, dataset)  # caches the baselines of the test split
    before = {path.name: path.stat().st_mtime_ns for path in copied.iterdir()}
    result = evaluate(copied, dataset, split="valid")
    assert {path.name: path.stat().st_mtime_ns for path in copied.iterdir() if path.name != "valid"} == before
    rows = pd.read_csv(copied / "valid" / PER_IMAGE_FILE)
    data = Dataset(dataset)
    assert set(rows.path) == {path for kind in ("real", "partial") for path in data.select(kind, "valid").path}
    detector = load_detector(copied)
    fakes = data.select("partial", "valid")
    maps = detector.predict(data.images[fakes.index]).maps
    truth = data.masks[fakes.index] > 0
    marked = [upsample(map_, mask.shape) > 0.5 for map_, mask in zip(maps, truth, strict=True)]
    own = np.mean([jaccard_score(m.ravel(), t.ravel(), zero_division=0) for t, m in zip(truth, marked, strict=True)])
    assert result["rows"][0]["iou"] == pytest.approx(own, abs=1e-6)
    all_fake = next(row for row in result["rows"] if row["method"] == "control: all-fake")
    assert all_fake["iou"] == pytest.approx(truth.mean(), abs=1e-6)


def test_stored_results_of_the_validation_split_are_loaded(run, dataset, tmp_path, monkeypatch):
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    first = evaluate(copied, dataset, split="valid")
    monkeypatch.setattr(module, "score_protocols", lambda *_: pytest.fail("scored again"))
    assert evaluate(copied, dataset, split="valid") == first
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        evaluate(copied, dataset, into=copied / "valid")  # of the test split: not what is stored there


@pytest.mark.parametrize(("options", "message"), [
    ({"split": "train"}, "--split: is 'train', but must be test or valid"),
    ({"split": "valid", "preset": "benco"}, "--split valid: is scored with --preset dolos alone, not 'benco'"),
    ({"split": "valid", "preset": "all"}, "--split valid: is scored with --preset dolos alone, not 'all'"),
])  # fmt: skip
def test_other_splits_are_refused(run, dataset, options, message):
    with pytest.raises(WsdlError, match=message):
        evaluate(run, dataset, **options)
