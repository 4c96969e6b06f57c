"""Thresholds from image labels: hand-made maps as oracles, the choice, and what it must never see."""

import shutil

import numpy as np
import pytest
from factories import add_lama
from helpers import run_command

from wsdl.core.io import WsdlError, read_json
from wsdl.data.dataset import Dataset
from wsdl.detectors import load_detector
from wsdl.evaluation.evaluate import evaluate
from wsdl.evaluation.label_thresholds import (
    CHOSEN,
    RULES,
    choose_rule,
    image_accuracy,
    label_thresholds,
    prior_corrected,
    score_thresholds,
    thresholds_table,
    validation_thresholds,
)


def maps(n: int, background: float, region: float = 0.0, side: int = 20) -> np.ndarray:
    """[n, side, side]: `background`, and 4 x 4 patches of `region` where that is given."""
    made = np.full((n, side, side), background, np.float32)
    if region:
        made[:, 3:7, 3:7] = region
    return made


def rule(table, name: str) -> float:
    return table.set_index("rule").threshold[name]


def test_half_stays_where_labels_do_not_contradict_it():
    table = label_thresholds(maps(5, 0.01), maps(5, 0.01, 0.9))
    assert list(table.rule) == list(RULES)
    assert rule(table, CHOSEN) == 0.5
    assert table.accuracy.iloc[0] == 1


def test_maps_that_are_low_on_the_whole_get_a_lower_one():
    """No fake reaches 0.5; no patch of a real image exceeds .01: "real 100 %" tells all images apart."""
    real, fake = maps(5, 0.001), maps(5, 0.001, 0.2)
    real[:, 0, 0] = 0.01  # one patch of 400
    table = label_thresholds(real, fake)
    assert image_accuracy(real, fake, 0.5) == 0.5
    assert rule(table, CHOSEN) == pytest.approx(0.01)


def test_maps_that_are_high_on_the_whole_get_a_higher_one():
    table = label_thresholds(maps(5, 0.6), maps(5, 0.6, 0.9))
    assert 0.6 <= rule(table, CHOSEN) < 0.9


def test_quantiles_are_of_the_patches_of_real_images():
    real = np.linspace(0, 1, 1001)[None, :, None].astype(np.float32)
    table = label_thresholds(real, maps(1, 0.5))
    quantiles = [rule(table, f"real {q} %") for q in (100, 99.8, 99.5, 99)]
    assert quantiles == pytest.approx([1, 0.998, 0.995, 0.99], abs=1e-6)


def test_prior_correction_undoes_labels_on_every_patch():
    """An eighth of each fake is inpainted, and as many images are real: p0 = (7/8) / (1 + 7/8)."""
    p0 = (7 / 8) / (1 + 7 / 8)
    t = prior_corrected(maps(3, p0))
    q = (t - p0) / (1 - p0)  # the probability that a patch at the threshold is inpainted
    assert q == pytest.approx(0.5)
    assert prior_corrected(maps(3, 0.0)) == 0.5


def test_of_equal_rules_the_first_is_chosen():
    assert choose_rule({"a": 0.9, "b": 1.0, "c": 1.0}) == "b"


def test_a_patch_at_the_threshold_is_real():
    assert image_accuracy(maps(1, 0.5), maps(1, 0.5, 0.6), 0.5) == 1


# --- a run ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "run")


@pytest.mark.slow
def test_at_half_it_is_the_iou_of_metrics_json(run, dataset):
    result = score_thresholds(run, dataset)
    row = evaluate(run, dataset)["rows"][0]
    table = thresholds_table([result]).set_index("rule")
    assert [table.iou["0.5"], table.low["0.5"], table.high["0.5"]] == [row["iou"], row["iou_low"], row["iou_high"]]
    assert table.n["0.5"] == row["n"]
    assert read_json(run / "thresholds.json") == result
    assert thresholds_table([result, result]).equals(thresholds_table([result]))
    printed = run_command("evaluate", run, "--data", dataset, "--thresholds")
    assert printed.startswith("rule,threshold,accuracy,iou,low,high,n\n0.5,0.5,")


@pytest.mark.slow
def test_thresholds_see_no_mask_and_no_test_image(run_folder, dataset, monkeypatch):
    detector, images = load_detector(run_folder), Dataset.images.func
    before = validation_thresholds(detector, Dataset(dataset), {"setup": "b"})
    test = Dataset(dataset).select(split="test").index

    def without_test(data):
        blackened = np.array(images(data))
        blackened[test] = 0
        return blackened

    monkeypatch.setattr(Dataset, "images", property(without_test))
    monkeypatch.setattr(Dataset, "masks", property(lambda data: pytest.fail("a mask was read")))
    assert validation_thresholds(detector, Dataset(dataset), {"setup": "b"}).equals(before)


@pytest.mark.slow
def test_other_data_gets_the_thresholds_of_home(run, dataset, tmp_path):
    """Tests on other data use the validation split of the data that the detector was trained on."""
    home = Dataset(dataset)
    elsewhere = score_thresholds(run, dataset, ("repaint-p2",), validation=home, into=tmp_path)
    assert elsewhere["rules"] == score_thresholds(run, dataset)["rules"]


@pytest.mark.slow
def test_validation_fakes_are_by_the_generators_of_training(run_folder, dataset, tmp_path):
    detector, folder = load_detector(run_folder), shutil.copytree(dataset, tmp_path / "data")
    alone = validation_thresholds(detector, Dataset(folder), {"setup": "b"})
    add_lama(folder)
    config = {"setup": "b", "generator": "repaint-p2"}
    assert validation_thresholds(detector, Dataset(folder), config).equals(alone)
    assert validation_thresholds(detector, Dataset(folder, ("lama",)), config).threshold[0] == 0.5  # it has no others


def test_a_dataset_without_validation_images_is_refused(run_folder, dataset, monkeypatch):
    data = Dataset(dataset)
    monkeypatch.setattr(data, "select", lambda kind, split: Dataset.select(data, kind, split).iloc[:0])
    with pytest.raises(WsdlError, match="thresholds need real images and fakes of setup b in valid"):
        validation_thresholds(load_detector(run_folder), data, {"setup": "b"})
