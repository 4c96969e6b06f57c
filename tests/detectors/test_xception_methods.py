"""Grad-CAM and Attention: against captum, against losses written out by hand, and without layers nobody needs."""

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from captum.attr import LayerGradCam
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsdl.config import METHODS, Training
from wsdl.core.io import read_json
from wsdl.data.dataset import Dataset
from wsdl.detectors import build_detector, load_detector
from wsdl.detectors.attention import Attention
from wsdl.detectors.base import Batch
from wsdl.detectors.grad_cam import GradCam, scale_to_unit, squash
from wsdl.detectors.patches import Patches
from wsdl.detectors.pretrained import PRETRAINED_FOLDER
from wsdl.detectors.xception import LAYERS, stretch, xception
from wsdl.training.detector import train_detector

SIDE = 64  # Xception makes 4 x 4 cells of it
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def grad_cam():
    torch.manual_seed(0)
    return settled(GradCam(SIDE))


@pytest.fixture(scope="module")
def attention():
    torch.manual_seed(0)
    return settled(Attention(SIDE))


def settled(model):
    """`model` in evaluation with running statistics of some images: with none, its activations fade to nothing."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # one batch is enough
    with torch.no_grad():
        model.train().logits(noise(8)) if isinstance(model, GradCam) else look(model.train(), noise(8))
    return model.eval()


def look(model, x):
    return model.classify(*model.attend(x))


def noise(n: int) -> torch.Tensor:
    return torch.rand(n, 3, SIDE, SIDE) * 2 - 1


def test_the_stretches_make_up_the_whole_network():
    network = xception().eval()
    x = noise(2)
    parts = nn.Sequential(stretch(network, "conv1", "block7"), stretch(network, "block8", "fc"))
    assert [name for name, _ in network.named_children()] == list(LAYERS)
    assert torch.equal(parts(x), network(x))


def test_signals_keep_their_size_at_the_start():
    """Else the running variances, which start at 1, need a hundred steps to come near the true ones."""
    network, variances = xception().train(), []
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(lambda _, x: variances.append(float(x[0].detach().var())))
    network(noise(4))
    assert len(variances) == 40
    assert min(variances) > 0.05
    assert max(variances) < 20


def test_the_cam_is_captums(grad_cam):
    x, largest = noise(3), []
    for _ in range(2):  # what speaks for one class speaks against the other
        cams, logits = grad_cam.cam(x)
        oracle = LayerGradCam(grad_cam.logits, grad_cam.trunk).attribute(x, target=1, relu_attributions=True)[:, 0]
        assert torch.allclose(cams, oracle, rtol=1e-4, atol=1e-5 * float(oracle.detach().max()))
        assert torch.allclose(logits, grad_cam.logits(x), atol=1e-5)
        largest.append(float(cams.max()))
        grad_cam.head.fc.weight.data.neg_()
    assert max(largest) > 0


def test_the_cam_needs_no_gradient_below_block11(grad_cam):
    seen = []
    hook = grad_cam.trunk.register_forward_hook(lambda module, x, y: seen.append(y.requires_grad))
    grad_cam.cam(noise(1))
    hook.remove()
    assert seen == [False]
    assert all(p.grad is None for p in grad_cam.parameters())


def test_cells_that_are_alike_are_scored_by_the_logit(grad_cam):
    model = GradCam(SIDE).eval()
    model.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(728, 2, bias=False))
    model.trunk = nn.Sequential(nn.Conv2d(3, 728, 1))
    x = torch.ones(1, 3, 4, 4) * torch.rand(1, 3, 1, 1)
    cams, logits = model.cam(x)
    gain = logits[0, 1].clamp_min(0)
    assert torch.allclose(squash(cams), gain / (1 + gain), atol=1e-6)


def test_no_evidence_gives_a_map_of_zeros_without_nan(grad_cam):
    model = GradCam(SIDE)
    nn.init.zeros_(model.head.fc.weight)
    maps = model.predict(IMAGES).maps
    assert np.array_equal(maps, np.zeros((3, SIDE, SIDE), np.float32))
    model.normalise = squash
    assert np.array_equal(model.predict(IMAGES).maps, maps)


@given(st.lists(st.floats(0, 1e4, width=32), min_size=8, max_size=8))
@settings(max_examples=200, deadline=None)
def test_a_cam_is_scaled_to_its_own_minimum_and_maximum(values):
    cams = torch.tensor(values).reshape(2, 2, 2)
    squashed = squash(cams).flatten()
    assert ((squashed >= 0) & (squashed <= 1)).all()
    order = cams.flatten().argsort()
    assert torch.equal(squashed[order].sort().values, squashed[order])
    for cam, map_ in zip(cams.numpy(), scale_to_unit(cams).numpy(), strict=True):
        above = cam - cam.min()
        assert np.array_equal(map_, above / above.max() if above.max() else above)
        assert map_.min() == 0
        assert map_.max() in (0, 1)


def test_squash_does_not_know_the_other_cells():
    cams = torch.rand(2, 4, 4)
    more = cams.clone()
    more[:, 0, 0] = 100.0
    assert torch.equal(squash(cams)[:, 1:], squash(more)[:, 1:])


def test_the_predicted_map_is_the_scaled_cam_at_the_size_of_the_input():
    model, cam = GradCam(SIDE).eval(), torch.rand(1, 4, 4) + 1
    model.cam = lambda x: (cam, torch.zeros(1, 2))
    scaled = (cam[0] - cam.min()) / (cam - cam.min()).max()
    by_pillow = Image.fromarray(scaled.numpy()).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    assert np.allclose(model.predict_batch(noise(1))[0][0], np.asarray(by_pillow), atol=1e-6)


def test_only_grad_cam_from_image_labels_carries_a_note(grad_cam, attention):
    assert "maximum" in grad_cam.note
    assert not any(other.note for other in (GradCam(SIDE, has_masks=True), attention, Patches(SIDE)))


def test_cut_networks_have_no_later_layers():
    for model, last in (
        (GradCam(SIDE, has_masks=True), "block11"),
        (Attention(SIDE, has_masks=True), "block7"),
        (Patches(SIDE, has_masks=True), None),
    ):
        later = LAYERS[LAYERS.index(last) + 1 :] if last else ()
        names = {part for name, _ in model.named_modules() for part in name.split(".")[1:2]}
        assert not names & set(later)
    full = sum(p.numel() for p in xception().parameters())
    assert sum(p.numel() for p in GradCam(SIDE).parameters()) == full
    assert sum(p.numel() for p in GradCam(SIDE, has_masks=True).parameters()) == trunk(11) + 2 * 728 + 2
    assert sum(p.numel() for p in Attention(SIDE).parameters()) == full + 9 * 728 + 728
    assert sum(p.numel() for p in Attention(SIDE, has_masks=True).parameters()) == trunk(7) + 9 * 728 + 728


def trunk(block: int) -> int:
    return sum(p.numel() for p in stretch(xception(), "conv1", f"block{block}").parameters())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("setup", "abc")
def test_every_weight_learns(method, setup):
    """A weight without a gradient would be dead, and would stop training on several GPUs."""
    model = build_detector(method, setup, SIDE)
    masks = torch.randint(0, 2, (3, 32, 32), dtype=torch.uint8) if setup == "c" else None
    model(Batch(torch.from_numpy(IMAGES), torch.tensor([0, 1, 1]), masks)).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("setup", "ac")
def test_a_prediction_is_one_map_and_one_score_per_image(method, setup):
    torch.manual_seed(0)
    model = build_detector(method, setup, SIDE)
    prediction = model.predict(IMAGES, batch=2)
    side = prediction.maps.shape[1]
    assert prediction.maps.shape == (3, side, side)
    assert (side == SIDE) == (method == "grad-cam" and setup == "a")
    assert prediction.maps.dtype == prediction.scores.dtype == np.float32
    assert ((prediction.maps >= 0) & (prediction.maps <= 1)).all()
    if method == "patches-mil":
        highest = np.sort(prediction.maps.reshape(3, -1), axis=1)[:, -round(0.05 * side * side) :]
        assert np.allclose(prediction.scores, highest.mean(axis=1), atol=1e-6)
    elif setup == "c" or method == "patches":
        assert np.allclose(prediction.scores, prediction.maps.mean((1, 2)), atol=1e-6)
    else:
        logits = model.logits if method == "grad-cam" else lambda x: look(model, x)
        with torch.no_grad():
            assert np.allclose(prediction.scores, logits(model.prepare(IMAGES)).softmax(1)[:, 1], atol=1e-5)
    assert np.allclose(model.predict(IMAGES[2:]).maps[0], prediction.maps[2], atol=1e-5)


def test_a_cpu_predicts_in_small_batches_and_retains_memory(monkeypatch):
    model, sizes, asked = build_detector("patches", "b", 48), [], []
    predict_batch = model.predict_batch
    monkeypatch.setattr(model, "predict_batch", lambda x: sizes.append(len(x)) or predict_batch(x))
    assert len(model.predict(np.zeros((20, 48, 48, 3), np.uint8)).maps) == 20
    assert sizes == [8, 8, 4]
    monkeypatch.setattr("wsdl.core.device.retain_freed_memory", lambda: asked.append(True))
    load_detector(PRETRAINED_FOLDER / "patches-c-studio")
    assert asked


def test_the_map_decides_what_the_classifier_sees(attention):
    x = noise(2)
    with torch.no_grad():
        features, map_logits = attention.attend(x)
        seen = attention.classify(features, map_logits)
        assert torch.allclose(seen, attention.after(features * torch.sigmoid(map_logits)))
        assert not torch.allclose(seen, attention.classify(features, -map_logits))
        shut = torch.full_like(map_logits, -torch.inf)
        assert torch.equal(attention.classify(features, shut)[:1], attention.classify(features.flip(0), shut)[:1])
        half = torch.zeros_like(map_logits)
        half[..., 2:] = -torch.inf  # the closed half does not matter
        other = features.clone()
        other[..., 2:] = features.flip(0)[..., 2:]
        assert torch.equal(attention.classify(features, half), attention.classify(other, half))
        assert not torch.allclose(seen, attention.classify(other, map_logits))


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_the_label_loss_of_attention_by_hand(weight):
    logits, map_logits, labels = torch.randn(4, 2), torch.randn(4, 1, 3, 3), torch.tensor([0, 1, 1, 0])
    strongest = map_logits.sigmoid().amax((1, 2, 3))
    by_hand = -torch.where(labels == 1, strongest.log(), (1 - strongest).log()).mean()
    loss = Attention.loss_labels(logits, map_logits, labels, weight)
    assert torch.allclose(loss, F.cross_entropy(logits, labels) + weight * by_hand, atol=1e-6)
    if weight == 1:
        assert torch.equal(loss, Attention.loss_labels(logits, map_logits, labels))  # the paper's lambda


def test_the_label_loss_of_grad_cam_is_image_cross_entropy():
    logits, labels = torch.randn(3, 2), torch.tensor([1, 0, 1])
    by_hand = -torch.stack([logits[i].log_softmax(0)[labels[i]] for i in range(3)]).mean()
    assert torch.allclose(GradCam.loss_labels(logits, labels), by_hand)


def test_the_mask_losses_by_hand():
    masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
    masks[0, :4, :4] = 1  # one cell of a 2 x 2 map
    masks[0, 4:, :1] = 1  # a quarter of another
    part = torch.tensor([[[1.0, 0.0], [0.25, 0.0]]])
    map_logits = torch.randn(1, 1, 2, 2)
    p = map_logits[:, 0].sigmoid()
    by_hand = -(part * p.log() + (1 - part) * (1 - p).log()).mean()
    assert torch.allclose(Attention.loss_masks(map_logits, masks), by_hand, atol=1e-6)
    two = torch.cat([torch.zeros_like(map_logits), map_logits], dim=1)  # two logits whose difference is the map's
    assert torch.allclose(GradCam.loss_masks(two, masks), by_hand, atol=1e-6)


@pytest.mark.parametrize("method", ["grad-cam", "attention"])
def test_a_trained_detector_is_loaded_with_its_layers(dataset, tmp_path, method):
    tiny = Training(input_size=48, images_c=16, batch_c=8, check_every=16)
    train_detector(method, "c", dataset, tmp_path / "run", seed=0, settings=tiny)
    config = read_json(tmp_path / "run" / "config.json")
    assert (config["method"], config["setup"], config["start"]) == (method, "c", "scratch")
    model = load_detector(tmp_path / "run")
    assert model.has_masks
    assert model.predict(Dataset(dataset).images[:2]).maps.shape == (2, 3, 3)
