"""Evaluation: a perfect detector, the controls by arithmetic, intervals, and what decides that it is done already."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, jaccard_score

from wsdl.config import PatchesTraining as Settings
from wsdl.core.io import WsdlError, write_json
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.data.dataset import Dataset
from wsdl.detectors import load_detector
from wsdl.detectors.prediction import Prediction
from wsdl.evaluation import evaluate as module
from wsdl.evaluation.evaluate import BASELINES, METRICS_COLUMNS, evaluate, metrics_row, results_table, score_test_images
from wsdl.evaluation.forensics import FORENSIC_BASELINES, forensic_prediction
from wsdl.training.detector import train

TINY = Settings(input_size=48, images=64, images_c=64, batch=8, batch_c=8, check_every=32)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "patches-c"
    train("patches", "c", dataset, folder, seed=0, settings=TINY)
    return folder


def test_a_detector_that_knows_the_masks_scores_one(dataset):
    data = Dataset(dataset)

    def know_all(index):
        maps = np.asarray(data.masks[index], np.float32)
        return Prediction(maps, maps.mean((1, 2)))

    row = metrics_row([score_test_images(data, know_all)])
    assert row["iou"] == row["pbca"] == row["ap"] == 1.0
    assert (row["iou_low"], row["iou_high"]) == (1.0, 1.0)
    assert row["n"] == len(data.select("partial", "test"))


def test_controls_follow_from_the_mask_area(run, dataset):
    data = Dataset(dataset)
    rows = {row["method"]: row for row in evaluate(run, dataset)["rows"]}
    area = data.masks[data.select("partial", "test").index].mean()
    assert rows["control: all-fake"]["iou"] == pytest.approx(area, abs=1e-5)
    assert rows["control: all-real"]["pbca"] == pytest.approx(1 - area, abs=1e-5)
    assert rows["control: all-real"]["iou"] == 0
    assert rows["control: all-fake"]["ap"] == pytest.approx(0.5)


def test_rows_are_the_detector_four_controls_and_two_forensic_methods_scored_alike(run, dataset):
    data, rows = Dataset(dataset), evaluate(run, dataset)["rows"]
    names = ["control: all-fake", "control: all-real", "control: random", "control: centre-prior", "forensic: ela"]
    names.append("forensic: noise residual")
    assert [row["method"] for row in rows] == ["patches", *names]
    assert list(BASELINES) == names
    assert [row["setup"] for row in rows] == ["c"] + 6 * [""]
    for row, method in zip(rows[-2:], FORENSIC_BASELINES.values(), strict=True):
        wanted = metrics_row(
            [score_test_images(data, lambda index, method=method: forensic_prediction(method, data.images[index]))]
        )
        assert {name: row[name] for name in wanted} == wanted


def test_metrics_of_a_version_that_had_fewer_rows_are_scored_again(run, dataset):
    first = evaluate(run, dataset)
    write_json(run / "metrics.json", first | {"rows": first["rows"][:5]})
    assert evaluate(run, dataset) == first
    assert json.loads((run / "metrics.json").read_text()) == first


def test_the_row_of_a_detector_against_scikit_learn(run, dataset):
    data = Dataset(dataset)
    partial, real = data.select("partial", "test"), data.select("real", "test")
    model = load_detector(run)
    prediction = model.predict(data.images[partial.index])
    from PIL import Image

    ious = []
    for map_, mask in zip(prediction.maps, data.masks[partial.index], strict=True):
        whole = np.asarray(Image.fromarray(map_).resize(mask.shape[::-1], Image.Resampling.BICUBIC))
        ious.append(jaccard_score(mask.ravel(), (whole > 0.5).ravel(), zero_division=1.0))
    row = evaluate(run, dataset)["rows"][0]
    assert row["iou"] == pytest.approx(np.mean(ious), abs=1e-5)
    assert row["iou_low"] <= row["iou"] <= row["iou_high"]
    scores = np.concatenate([model.predict(data.images[real.index]).scores, prediction.scores])
    n = min(len(real), len(partial))
    if len(real) == len(partial) == n:  # then every balanced draw is the whole set
        labels = np.repeat([0, 1], n)
        assert row["ap"] == pytest.approx(average_precision_score(labels, scores), abs=1e-5)


def test_metrics_are_written_once_and_again_when_the_model_changes(run, dataset, monkeypatch):
    first = evaluate(run, dataset)
    assert json.loads((run / "metrics.json").read_text()) == first
    monkeypatch.setattr(module, "score_rows", lambda *_: pytest.fail("scored again"))
    assert evaluate(run, dataset) == first
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        evaluate(run, dataset)
    (run / "model.safetensors").write_bytes(weights)


def test_what_was_said_of_each_picture_stands_beside_the_numbers_and_comes_back(run, dataset):
    first = evaluate(run, dataset)
    pictures = pd.read_csv(run / PER_IMAGE_FILE)
    assert pictures.iou.mean() == pytest.approx(first["rows"][0]["iou"], abs=1e-5)
    assert list(pictures[pictures.kind == "real"].iou.isna().unique()) == [True]
    (run / PER_IMAGE_FILE).unlink()
    assert evaluate(run, dataset) == first
    pd.testing.assert_frame_equal(pd.read_csv(run / PER_IMAGE_FILE), pictures)


def test_scoring_holds_a_batch_at_a_time(dataset, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    sizes = []

    def watch(index):
        sizes.append(len(index))
        return Prediction(np.zeros((len(index), 4, 4), np.float32), np.zeros(len(index)))

    score_test_images(Dataset(dataset), watch)
    assert max(sizes) == 2


def test_a_table_has_what_stands_beside_once(run, dataset):
    result = evaluate(run, dataset)
    table = results_table([result, result])
    assert tuple(table.columns) == METRICS_COLUMNS
    assert list(table.method) == ["patches", "patches", *BASELINES]


def test_errors_are_one_sentence(run, dataset, faces, tmp_path):
    with pytest.raises(WsdlError, match=r"--preset.*'mine'.*dolos"):
        evaluate(run, dataset, preset="mine")
    with pytest.raises(WsdlError, match=r"0 partial .*test"):
        evaluate(run, faces)
    with pytest.raises(WsdlError, match=r"config\.json"):
        evaluate(tmp_path, dataset)


def test_scores_do_not_depend_on_the_batch(run, dataset):
    images = Dataset(dataset).images[:5]
    model = load_detector(run)
    with torch.no_grad():
        together, alone = model.predict(images).scores, model.predict(images, batch=1).scores
    assert np.allclose(together, alone, atol=1e-5)
