"""All presets of the same maps in one pass: control rows by arithmetic, agreement with `evaluate`, nothing held."""

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from wsdl.config import PatchesTraining as Settings
from wsdl.core.io import WsdlError, write_json
from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction
from wsdl.evaluation import definitions as module
from wsdl.evaluation import evaluate as scoring
from wsdl.evaluation.definitions import COLUMNS, definitions, measure, side_by_side, summarise, table_of, wide
from wsdl.evaluation.evaluate import BASELINES, evaluate
from wsdl.evaluation.metrics import upsample
from wsdl.evaluation.pixels import STEPS
from wsdl.evaluation.protocols import PROTOCOLS
from wsdl.evaluation.tables import results_by_job
from wsdl.training.detector import train

TINY = Settings(input_size=48, images=64, images_c=64, batch=8, batch_c=8, check_every=32)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "patches-c"
    train("patches", "c", dataset, folder, seed=0, settings=TINY)
    return folder


@pytest.fixture(scope="module")
def tidy(run, dataset):
    return definitions(run, dataset)


def value(tidy, method, preset, measure):
    chosen = (tidy.method == method) & (tidy.preset == preset) & (tidy.measure == measure)
    return tidy[chosen].value.item()


def test_every_preset_has_the_detector_and_all_that_stands_beside(tidy):
    assert tuple(tidy.columns) == COLUMNS
    for _, part in tidy.groupby("method"):
        assert set(part.preset) == set(PROTOCOLS)
    assert list(dict.fromkeys(tidy.method)) == ["patches", *BASELINES]
    known = tidy[tidy.low.notna() & (tidy.measure != "ap")]  # AP is no mean: resamples of few faces can lie above it
    assert ((known.low <= known.value + 1e-6) & (known.value <= known.high + 1e-6)).all()
    without = tidy[tidy.low.isna()]
    assert set(without.preset) == {"pooled"}
    assert set(without.measure) == {"pixel_ap", "pixel_auc"}


def test_controls_by_arithmetic(tidy, dataset):
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
    for control in (fake, nothing, "control: centre-prior"):
        auc = value(tidy, control, "pooled", "pixel_auc"), value(tidy, control, "free", "pixel_auc")
        assert auc == (0.5, 0.5) if control != "control: centre-prior" else min(auc) > 0.5


def test_a_detector_that_knows_the_masks_is_perfect_where_a_preset_allows_it(dataset):
    data = Dataset(dataset)

    def know_all(index):
        maps = np.asarray(data.masks[index], np.float32)
        return Prediction(maps, maps.mean((1, 2)))

    rows = {(row["preset"], row["measure"]): row for row in summarise(*measure(data, know_all))}
    partial, real = data.select("partial", "test"), data.select("real", "test")
    for preset, name in (("dolos", "iou"), ("pooled", "iou"), ("pooled", "pixel_ap"), ("free", "pixel_auc")):
        assert rows[preset, name]["value"] == 1.0
    share = len(partial) / (len(partial) + len(real))
    assert rows["benco", "f1"]["value"] == pytest.approx(share, abs=1e-6)  # perfect on reals, and yet 0 there
    assert rows["benco", "f1"]["n"] == len(partial) + len(real)
    assert rows["trufor", "f1"]["value"] == pytest.approx(1 - rows["trufor", "vanished"]["value"], abs=2e-6)


def test_pooled_numbers_are_scikit_learns_of_all_pixels(run, dataset, tidy):
    from wsdl.detectors import load_detector

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


def test_evaluate_and_definitions_give_the_same_numbers(run, dataset, tidy):
    assert wide(tidy, "dolos") == evaluate(run, dataset)["rows"]
    pooled = evaluate(run, dataset, "pooled")
    assert json.loads((run / "metrics.json").read_text()) == pooled
    assert pooled["preset"] == "pooled"
    assert pooled["rows"] == wide(tidy, "pooled")
    with pytest.raises(WsdlError, match=r"'pooled'.*dolos"):
        results_by_job(run.parent)
    evaluate(run, dataset)
    assert "patches" in set(results_by_job(run.parent).method)


def test_it_is_computed_once_and_again_when_the_model_changes(run, dataset, tidy, monkeypatch):
    monkeypatch.setattr(module, "every_row", lambda *_: pytest.fail("scored again"))
    again = definitions(run, dataset)
    assert again.astype(object).where(again.notna(), None).equals(tidy.astype(object).where(tidy.notna(), None))
    assert len(table_of(run, dataset, "all")) == len(tidy)
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        definitions(run, dataset)
    (run / "model.safetensors").write_bytes(weights)


def test_a_table_of_a_version_that_had_fewer_rows_is_made_again(run, dataset, tidy):
    whole = json.loads((run / module.FILE).read_text())
    write_json(run / module.FILE, whole | {"rows": [r for r in whole["rows"] if "forensic" not in r["method"]]})
    assert len(definitions(run, dataset)) == len(tidy)
    assert json.loads((run / module.FILE).read_text()) == whole


def test_only_dolos_sees_what_the_paper_does_to_grad_cam_maps(dataset):
    data = Dataset(dataset)

    def faint(index):  # right, but never above 0.5
        maps = np.asarray(data.masks[index], np.float32) * 0.2
        return Prediction(maps, maps.mean((1, 2)))

    plain, _ = measure(data, faint)
    stretched, tally = measure(data, faint, paper=lambda maps: maps * 5)
    fakes = plain.kind == "partial"
    assert (plain["dolos.iou"][fakes] == 0).all()
    assert (stretched["dolos.iou"][fakes] == 1).all()
    others = [name for name in plain if "." in name and not name.startswith("dolos.")]
    assert plain[others].equals(stretched[others])
    assert tally.fake[round(0.2001 * STEPS) :].sum() == 0  # 0.2 stays 0.2


def test_one_batch_is_held_at_a_time(dataset, monkeypatch):
    monkeypatch.setattr(scoring, "BATCH", 2)
    sizes = []

    def watch(index):
        sizes.append(len(index))
        return Prediction(np.zeros((len(index), 4, 4), np.float32), np.zeros(len(index)))

    measure(Dataset(dataset), watch)
    assert max(sizes) == 2


def test_side_by_side_has_a_column_a_definition(tidy):
    shown = side_by_side(tidy)
    assert list(shown.columns[:4]) == ["dolos iou", "dolos pbca", "dolos ap", "pooled iou"]
    assert len(shown) == 1 + len(BASELINES)
    assert shown.notna().all(axis=None)


def test_an_unknown_preset_is_refused(run, dataset):
    with pytest.raises(WsdlError, match=r"--preset.*'mine'.*dolos.*pooled"):
        evaluate(run, dataset, "mine")
