"""PSCC-Net in setup C: its loss by hand, refused setups, the missing package, a training that is loaded again."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from factories_published import SmallPsccNet

from wsdl.config import ALL_METHODS, METHODS, PsccNetTraining
from wsdl.core.io import WsdlError
from wsdl.core.run import read_stats
from wsdl.data.dataset import Dataset
from wsdl.detectors import build_detector, load_detector
from wsdl.detectors.base import Batch
from wsdl.detectors.psccnet import PsccNet, balanced_loss
from wsdl.detectors.published.peers import PEERS, psccnet_logits
from wsdl.profiles import PRESETS, load_profile
from wsdl.training.detector import train_detector

SIDE = 32
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8))
MASKS = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
MASKS[:, :8, :16] = 1
TINY = PsccNetTraining(input_size=SIDE, images_c=16, batch_c=8, check_every=8)


@pytest.fixture
def small(monkeypatch):
    """The method with a small network of the same parts: imdlbenco is not needed."""
    monkeypatch.setitem(PEERS, "psccnet", replace(PEERS["psccnet"], build=SmallPsccNet))


def installed() -> PsccNet:
    pytest.importorskip("IMDLBenCo", reason="imdlbenco is not installed (extra peers)")
    torch.manual_seed(0)
    return PsccNet(SIDE)


def test_inpainted_and_real_pixels_count_half_each():
    logits = torch.tensor([[[[0.0, 2.0, -1.0, 3.0]]]])
    target = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]])
    fake = np.log1p(np.exp(-0.0))
    real = np.mean([np.log1p(np.exp(value)) for value in (2.0, -1.0, 3.0)])
    assert float(balanced_loss(logits, target)) == pytest.approx((fake + real) / 2, abs=1e-6)
    plain = F.binary_cross_entropy_with_logits(logits, torch.zeros_like(target))
    assert torch.equal(balanced_loss(logits, torch.zeros_like(target)), plain)


def test_the_loss_adds_the_scales_each_with_its_own_mask():
    masks = torch.zeros(1, 4, 4, dtype=torch.uint8)
    masks[0, :2, :2] = 1  # one cell of 2 x 2
    masks[0, 2, 2] = 1  # a quarter of another: real
    maps = [torch.randn(1, 1, 4, 4), torch.randn(1, 1, 2, 2)]
    coarse = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    by_hand = balanced_loss(maps[0], masks[:, None].float()) + balanced_loss(maps[1], coarse)
    assert torch.allclose(PsccNet.loss_masks(maps, masks), by_hand)


@pytest.mark.usefixtures("small")
def test_the_loss_of_a_batch_is_that_of_four_maps_and_the_label():
    model, labels = PsccNet(SIDE).eval(), torch.ones(3, dtype=torch.int64)
    features = model.features(model.prepare(IMAGES))
    maps = psccnet_logits(model.network, features)
    assert [tuple(logits.shape) for logits in maps] == [(3, 1, SIDE // 2**i, SIDE // 2**i) for i in range(4)]
    expected = model.loss_masks(maps, MASKS) + F.cross_entropy(model.network.ClsNet(features), labels)
    assert torch.allclose(model(Batch(IMAGES, labels, MASKS)), expected)


@pytest.mark.usefixtures("small")
def test_the_network_takes_values_from_0_to_1():
    model, seen = PsccNet(SIDE), []
    model.network.FENet.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    model.predict(np.stack([np.zeros((SIDE, SIDE, 3), np.uint8), np.full((SIDE, SIDE, 3), 255, np.uint8)]))
    assert (seen[0][0].unique().tolist(), seen[0][1].unique().tolist()) == ([0], [1])


@pytest.mark.usefixtures("small")
def test_a_map_multiplies_the_features_of_the_next_finer_scale():
    network = SmallPsccNet(SIDE)
    for name, bias in (("getmask4", -100.0), ("getmask3", 3.0)):
        head = getattr(network.SegNet, name).conv
        torch.nn.init.zeros_(head.weight) if name == "getmask4" else torch.nn.init.ones_(head.weight)
        torch.nn.init.constant_(head.bias, bias)
    features = network.FENet(torch.rand(1, 3, SIDE, SIDE))
    maps = psccnet_logits(network, features)
    assert torch.allclose(maps[2], torch.full_like(maps[2], 3.0))  # a map of zeros: features are not seen, nor -100


@pytest.mark.parametrize("setup", "ab")
def test_setups_without_masks_are_refused(setup, dataset, tmp_path):
    with pytest.raises(WsdlError, match=r"^psccnet: learns from masks, which setups a and b .*; train it with --setup"):
        train_detector("psccnet", setup, dataset, tmp_path / "run", 0, TINY)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_side_that_the_scales_do_not_divide_is_refused():
    with pytest.raises(WsdlError, match=r"psccnet: input_size is 100, but must be a multiple of 8\."):
        PsccNet(100)


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "IMDLBenCo", None)
    with pytest.raises(WsdlError, match=r"^psccnet: needs imdlbenco, which cannot be imported .*; run: pip install"):
        build_detector("psccnet", "c", SIDE)


@pytest.mark.usefixtures("small")
def test_a_run_is_trained_and_loaded_again(dataset, tmp_path):
    train_detector("psccnet", "c", dataset, tmp_path / "run", 0, TINY)
    assert [line["images"] for line in read_stats(tmp_path / "run")] == [8, 16]
    images = Dataset(dataset).images[:2]
    found = load_detector(tmp_path / "run").predict(images)
    assert (found.maps.shape, found.maps.dtype) == ((2, SIDE, SIDE), np.float32)
    assert 0 <= found.maps.min() < found.maps.max() <= 1
    assert found.scores == pytest.approx(found.maps.mean(axis=(1, 2)), abs=1e-6)


def test_every_weight_of_the_real_network_learns():
    model = installed().train()
    assert sum(p.numel() for p in model.parameters()) == 3_667_942
    model(Batch(IMAGES, torch.ones(3, dtype=torch.int64), MASKS)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_signals_of_the_real_network_keep_their_size_at_the_start():
    model, deviations = installed().train(), []
    for layer in model.network.FENet.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, __, y: deviations.append(float(y.detach().std())))
    model.features(model.prepare(IMAGES))
    assert min(deviations) > 0.1
    assert max(deviations) < 10


def test_studies_and_tables_do_not_train_it():
    assert "psccnet" in ALL_METHODS
    assert "psccnet" not in METHODS
    assert all("psccnet" not in load_profile(name).methods for name in PRESETS)
    assert load_profile("full").training("psccnet").input_size == 256
