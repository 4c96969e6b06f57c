"""The pass over the test split: perfect maps, the maps of `dolos`, and memory."""

import numpy as np
import pytest

from wsdl.data.dataset import Dataset
from wsdl.detectors.prediction import Prediction
from wsdl.evaluation import scoring as module
from wsdl.evaluation.pixels import HISTOGRAM_STEPS, PixelHistogram
from wsdl.evaluation.protocols import EXTRA_PROTOCOLS
from wsdl.evaluation.scoring import metrics_row, score_images, score_protocols


def predict_masks(data: Dataset, scale: float = 1.0):
    """A `predict` whose maps are the masks, times `scale`."""

    def predict(index):
        maps = np.asarray(data.masks[index], np.float32) * scale
        return Prediction(maps, maps.mean((1, 2)))

    return predict


def test_perfect_maps_score_one(dataset):
    data = Dataset(dataset)
    row = metrics_row([score_images(data, predict_masks(data))])
    assert row["iou"] == row["pbca"] == row["ap"] == 1.0
    assert (row["iou_low"], row["iou_high"]) == (1.0, 1.0)
    assert row["n"] == len(data.select("partial", "test"))


def test_perfect_maps_under_every_protocol(dataset):
    data = Dataset(dataset)
    _, rows = score_protocols(data, predict_masks(data), EXTRA_PROTOCOLS)
    rows = {(row["preset"], row["measure"]): row for row in rows}
    partial, real = data.select("partial", "test"), data.select("real", "test")
    for preset, name in (("dolos", "iou"), ("pooled", "iou"), ("pooled", "pixel_ap"), ("free", "pixel_auc")):
        assert rows[preset, name]["value"] == 1.0
    share = len(partial) / (len(partial) + len(real))
    assert rows["benco", "f1"]["value"] == pytest.approx(share, abs=1e-6)  # perfect on reals, and yet 0 there
    assert rows["benco", "f1"]["n"] == len(partial) + len(real)
    assert rows["trufor", "f1"]["value"] == pytest.approx(1 - rows["trufor", "vanished"]["value"], abs=2e-6)


def test_extra_protocols_do_not_change_dolos(dataset):
    data = Dataset(dataset)
    predict = predict_masks(data, 0.7)
    alone, together = (score_protocols(data, predict, extra) for extra in ((), EXTRA_PROTOCOLS))
    assert together[0][alone[0].columns].equals(alone[0])
    assert together[1][:3] == alone[1]


def test_faint_maps_are_scored_as_they_are(dataset):
    data = Dataset(dataset)
    predict, pixels = predict_masks(data, 0.2), PixelHistogram()  # right, but never above 0.5
    table = score_images(data, predict, EXTRA_PROTOCOLS, pixels)
    assert (table.iou[table.kind == "partial"] == 0).all()
    assert pixels.fake[round(0.2001 * HISTOGRAM_STEPS) :].sum() == 0  # 0.2 stays 0.2


@pytest.mark.parametrize("extra", [(), EXTRA_PROTOCOLS])
def test_one_batch_is_held_at_a_time(dataset, monkeypatch, extra):
    monkeypatch.setattr(module, "_BATCH_SIZE", 2)
    sizes = []

    def predict(index):
        sizes.append(len(index))
        return Prediction(np.zeros((len(index), 4, 4), np.float32), np.zeros(len(index)))

    score_images(Dataset(dataset), predict, extra)
    assert max(sizes) == 2
