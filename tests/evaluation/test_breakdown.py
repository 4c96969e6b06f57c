"""Numbers by component, by area, by threshold and by probability: against sums done by hand and scikit-learn."""

import numpy as np
import pytest
from factories import scored_images
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction
from wsdl.evaluation.breakdown import by_area, by_component, compare_runs, partial_fakes, predict_rows, worst_and_best
from wsdl.evaluation.calibration import (
    THRESHOLDS,
    calibration_error,
    calibration_tables,
    iou_curve,
    reliability_sums,
    reliability_table,
    threshold_table,
)
from wsdl.evaluation.metrics import bootstrap, iou_and_pbca


def test_components_are_means_with_intervals_in_the_papers_order():
    fakes = partial_fakes([scored_images()])
    table = by_component(fakes).set_index("component")
    assert list(table.index) == ["skin", "hair", "eyes", "all"]
    assert table.n["all"] == 40
    for name, part in fakes.groupby("component"):
        assert table.value[name] == pytest.approx(part.iou.mean())
        assert table.area[name] == pytest.approx(part.area.mean())
        ends = bootstrap(part.iou.to_numpy(), part.source_id.to_numpy())
        assert (table.low[name], table.high[name]) == pytest.approx(ends)
    assert by_component(fakes, "pbca").value.iloc[-1] == pytest.approx(fakes.pbca.mean())


def test_one_face_gives_no_interval():
    fakes = partial_fakes([scored_images()]).head(2).assign(component="nose")
    row = by_component(fakes).iloc[0]
    assert np.isnan([row.low, row.high]).all()
    assert row.n == 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_bins_of_area_contain_every_image_once(seed, bins):
    fakes = partial_fakes([scored_images(seed)])
    table = by_area(fakes, bins)
    assert table.n.sum() == len(fakes)
    assert (table.least <= table.middle).all()
    assert (table.middle <= table.most).all()
    assert (table.least.iloc[1:].to_numpy() > table.most.iloc[:-1].to_numpy()).all()
    assert (table.value * table.n).sum() / len(fakes) == pytest.approx(fakes.iou.mean())
    assert table.n.max() - table.n.min() <= 1


def test_masks_of_one_size_are_one_bin():
    assert len(by_area(partial_fakes([scored_images()]).assign(area=0.2))) == 1


def test_seeds_are_averaged_per_image():
    one, two = scored_images(0), scored_images(1).sample(frac=1, random_state=0)
    both = partial_fakes([one, two]).set_index("path")
    by_path = [table.set_index("path") for table in (one, two)]
    assert both.iou["007.png"] == pytest.approx((by_path[0].iou["007.png"] + by_path[1].iou["007.png"]) / 2)
    with pytest.raises(ValueError, match="different"):
        partial_fakes([one, two.iloc[1:]])


def test_runs_are_compared_under_their_names(tmp_path):
    scored_images().to_csv(tmp_path / "pictures.csv", index=False)
    table = compare_runs({"b": [tmp_path], "c": [scored_images(1)]})
    assert list(table.columns[:2]) == ["who", "component"]
    assert table[table.who == "b"].value.tolist() == pytest.approx(by_component(partial_fakes([scored_images()])).value)
    assert set(compare_runs({"b": [tmp_path]}, by_area, bins=3).columns) >= {"who", "middle", "low"}


def test_worst_and_best_are_of_different_faces_large_masks_first():
    fakes = partial_fakes([scored_images()])
    fakes.loc[:9, "iou"] = 0.0
    worst, easiest = worst_and_best(fakes, 4)
    for side in (worst, easiest):
        assert side.source_id.nunique() == len(side) == 4
    assert (worst.iou == 0).all()
    assert worst.area.is_monotonic_decreasing
    assert easiest.iou.is_monotonic_decreasing
    assert easiest.iou.iloc[0] == fakes.iou.max()


def test_predict_rows_keeps_the_order_of_the_rows(dataset):
    data = Dataset(dataset)
    rows = data.select("partial", "test").iloc[::-1].head(3)

    def predict(images):
        return Prediction(np.stack([image[::8, ::8, 0] / 255 for image in images]), np.zeros(len(images)))

    seen = predict_rows(data, predict, rows)
    for k, i in enumerate(rows.index):
        assert np.array_equal(seen["images"][k], data.images[i])
        assert np.array_equal(seen["masks"][k], data.masks[i])
    assert seen["maps"].shape == seen["masks"].shape


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_curve_is_the_papers_iou_at_each_threshold(seed):
    rng = np.random.default_rng(seed)
    mask = (rng.random((12, 12)) < 0.3).astype(np.uint8)
    map_ = np.round(rng.random((12, 12)) * 16).astype(np.float32) / 16  # 0.25, 0.5, 0.75 exactly
    curve = iou_curve(map_, mask)
    for k in (0, 25, 40, 50, 75, 99, 100):
        assert curve[k] == pytest.approx(iou_and_pbca(map_, mask, THRESHOLDS[k])[0])


def test_thresholds_have_a_band_over_faces():
    rng = np.random.default_rng(0)
    curves, faces = rng.random((30, 101)), np.arange(30) // 3
    table = threshold_table(curves, faces)
    assert table.iou.to_numpy() == pytest.approx(curves.mean(axis=0))
    assert (table.low[50], table.high[50]) == pytest.approx(bootstrap(curves[:, 50], faces))


def test_reliability_equals_scikit_learn_on_pixels():
    rng = np.random.default_rng(1)
    map_, mask = rng.random((40, 40)), rng.random((40, 40)) < 0.4
    table = reliability_table(reliability_sums(map_, mask, 10))
    inpainted, probability = calibration_curve(mask.ravel(), map_.ravel(), n_bins=10)
    assert table.inpainted.to_numpy() == pytest.approx(inpainted)
    assert table.probability.to_numpy() == pytest.approx(probability)
    assert table.n.sum() == 1600


def test_the_target_of_a_patch_is_its_inpainted_fraction():
    mask = np.zeros((8, 8), np.uint8)
    mask[:4, :2] = 1  # half of the upper left of four cells
    table = reliability_table(reliability_sums(np.array([[0.5, 0.1], [0.1, 1.0]]), mask, 10))
    assert table.inpainted[5] == 0.5
    assert table.inpainted[1] == 0
    assert table.n.tolist() == [0, 2, 0, 0, 0, 1, 0, 0, 0, 1]
    assert np.isnan(table.inpainted[0])
    assert calibration_error(table) == pytest.approx((0 + 2 * 0.1 + 1.0) / 4)


def test_one_pass_over_a_dataset_gives_both_tables(dataset, monkeypatch):
    data, sizes = Dataset(dataset), []
    monkeypatch.setattr("wsdl.evaluation.calibration._BATCH_SIZE", 2)

    def predict(images):
        sizes.append(len(images))
        return Prediction(np.full((len(images), 4, 4), 0.75, np.float32), np.zeros(len(images)))

    thresholds, reliability = calibration_tables(data, predict)
    index = data.select("partial", "test").index
    area = data.masks[index].mean()
    assert max(sizes) <= 2
    assert thresholds.iou[50] == pytest.approx(area)  # 0.75 everywhere is all-fake below it and all-real above
    assert thresholds.iou[80] == 0
    assert reliability.inpainted[7] == pytest.approx(area, abs=1e-6)
    assert reliability.n[7] == 16 * len(index)
    assert calibration_error(reliability) == pytest.approx(0.75 - area, abs=1e-5)
