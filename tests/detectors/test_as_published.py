"""Profile `full` against the paper: each equal row of notebooks/differences.md, with values from its description."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
import timm
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

from wsdl.config import METHODS, OURS
from wsdl.data.dataset import Dataset
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch
from wsdl.detectors.initialization import init_xavier
from wsdl.detectors.xception import stretch
from wsdl.profiles import PRESETS, load_profile
from wsdl.training.detector import train_detector
from wsdl.training.examples import setup_examples, shuffled_batch

PAPERS = [method for method in METHODS if method != OURS]
BY_LANCZOS = {(method, setup) for method in ("patches", "grad-cam") for setup in "ab"}
BOTH = [(method, setup) for method in PAPERS for setup in "abc"]


@cache
def published(method: str, setup: str, side: int = 299):
    """A detector that no test changes."""
    torch.manual_seed(0)
    return build_detector(method, setup, side, as_published=True)


def resized(image: np.ndarray, side: int, how) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), how))


def test_only_full_is_as_published():
    for name in PRESETS:
        profile = load_profile(name)
        assert {profile.training(method).as_published for method in PAPERS} == {name == "full"}
        assert not hasattr(profile.training(OURS), "as_published")


@pytest.mark.parametrize(("method", "setup"), BOTH)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_images_are_resized_as_pillow_does(monkeypatch, method, setup, precision):
    """LANCZOS for Patches and Grad-CAM in setups A and B, else bilinear; from 256 to 299 px."""
    monkeypatch.setenv("WSDL_PRECISION", precision)
    images = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8)
    how = Image.Resampling.LANCZOS if (method, setup) in BY_LANCZOS else Image.Resampling.BILINEAR
    wanted = np.stack([resized(image, 299, how) for image in images])
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        x = published(method, setup).prepare(images)
    found = ((x + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(found - wanted).max() <= 1.01  # levels of 255
    assert np.abs(found - wanted).mean() < (0.01 if (method, setup) in BY_LANCZOS else 0.4)


def test_lanczos_keeps_high_frequencies_that_bilinear_loses():
    """From .25 to .43 cycles a pixel, where the traces of generators are."""
    image = np.random.default_rng(0).normal(127, 30, (1, 256, 256, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=3)

    def energy(detector) -> float:
        spectrum = np.abs(np.fft.fft2(detector.prepare(image)[0, 0].numpy())) ** 2
        y, x = np.meshgrid(*[np.fft.fftfreq(299) * 299 / 256] * 2, indexing="ij")
        return spectrum[(np.hypot(x, y) > 0.25) & (np.hypot(x, y) < 0.43)].sum()

    assert energy(published("attention", "a")) < 0.6 * energy(published("patches", "a"))


@pytest.mark.parametrize("method", ["patches", "grad-cam"])
def test_a_patch_learns_the_pixel_at_its_centre(method):
    masks = (torch.rand(2, 256, 256) > 0.7).to(torch.uint8)
    model = published(method, "c")
    side = 37 if method == "patches" else 19
    logits = torch.randn(2, 2, side, side)
    centre = ((np.arange(side) + 0.5) * 256 / side).astype(int)
    targets = masks[:, centre][:, :, centre].long()
    assert torch.allclose(model.loss_masks(logits, masks), F.cross_entropy(logits, targets))


def test_attention_learns_the_mask_resized_bilinearly():
    masks = (torch.rand(1, 256, 256) > 0.7).to(torch.uint8)
    wanted = resized(masks[0].numpy().astype(np.float32), 19, Image.Resampling.BILINEAR).copy()
    logits = torch.randn(1, 1, 19, 19)
    by_hand = F.binary_cross_entropy(logits.sigmoid()[0, 0], torch.from_numpy(wanted))
    assert torch.allclose(published("attention", "c").loss_masks(logits, masks), by_hand, atol=1e-6)


def test_the_head_of_grad_cam_in_setup_c_is_that_of_an_fcn():
    model = published("grad-cam", "c")
    assert sum(p.numel() for p in model.head.parameters()) == 728 * 182 * 9 + 2 * 182 + 182 * 2 + 2  # 1.19 M
    kinds = [type(layer) for layer in model.head]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Conv2d]
    assert (model.head[0].kernel_size, model.head[4].kernel_size) == ((3, 3), (1, 1))
    assert model.logits(torch.zeros(2, 3, 299, 299)).shape == (2, 2, 19, 19)


@pytest.mark.parametrize("method", ["grad-cam", "attention"])
def test_images_are_ranked_by_the_logit_of_fake(method):
    model = published(method, "a", 64).eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    with torch.no_grad():
        x = model.prepare(images)
        logits = model.logits(x) if method == "grad-cam" else model.classify(*model.attend(x))
    assert np.allclose(model.predict(images).scores, logits[:, 1], atol=1e-4)


@pytest.mark.parametrize("setup", "ac")
def test_patches_rank_images_by_their_mean(setup):
    prediction = published("patches", setup, 64).predict(np.zeros((2, 64, 64, 3), np.uint8))
    assert np.allclose(prediction.scores, prediction.maps.mean(axis=(1, 2)))


def test_batches_pass_over_all_images_in_random_order(dataset):
    data = setup_examples(Dataset(dataset), "b", "train")
    everything, size = len(data.real) + len(data.fake), 3
    first = [shuffled_batch(data, size, seed=0, step=step, flip=False) for step in range(everything)]  # three passes
    seen = Counter(image.numpy().tobytes() for batch in first for image in batch.images)
    assert set(seen.values()) == {3}
    assert sum(int(batch.labels.sum()) for batch in first) == 3 * len(data.fake)  # not half of them
    assert len({int(batch.labels.sum()) for batch in first}) > 1
    again = shuffled_batch(data, size, seed=0, step=4, flip=False)
    assert torch.equal(again.images, first[4].images)
    assert not torch.equal(shuffled_batch(data, size, seed=1, step=4, flip=False).images, first[4].images)


@pytest.mark.parametrize(("method", "setup"), [("patches", "a"), ("patches", "c"), ("attention", "a")])
def test_images_are_flipped_where_they_are_resized_by_lanczos(dataset, tmp_path, monkeypatch, method, setup):
    asked = []

    def drawn(data, size, seed, step, flip, augment):
        asked.append(flip)
        return shuffled_batch(data, size, seed, step, flip, augment)

    monkeypatch.setattr("wsdl.training.detector.shuffled_batch", drawn)
    tiny = {"input_size": 48, "images": 4, "images_c": 4, "batch": 4, "batch_c": 4, "start": "scratch"}
    settings = load_profile("full").training(method)
    settings = type(settings)(**{**vars(settings), **tiny})
    train_detector(method, setup, dataset, tmp_path / "run", seed=0, settings=settings)
    assert asked == [(method, setup) in BY_LANCZOS]


def test_half_of_the_images_are_flipped(dataset):
    data = setup_examples(Dataset(dataset), "c", "train")
    plain, flipped = (shuffled_batch(data, 400, seed=0, step=0, flip=flip) for flip in (False, True))
    same = (plain.images == flipped.images).flatten(1).all(dim=1)
    mirrored = (plain.images == flipped.images.flip(2)).flatten(1).all(dim=1)
    assert (same | mirrored).all()
    assert 0.4 < mirrored.float().mean() < 0.6
    assert torch.equal(plain.masks[mirrored], flipped.masks[mirrored].flip(2))


@pytest.mark.parametrize(("method", "setup"), BOTH)
def test_a_validation_every_500_steps(method, setup):
    settings = load_profile("full").training(method)
    images, batch, _ = settings.amounts(setup)
    assert settings.check_interval(setup) == 500 * batch
    candidates = {"attention": 15}.get(method, 50 if setup == "c" else 100)
    assert images / settings.check_interval(setup) == candidates


def test_patches_of_setups_a_and_b_begin_with_small_weights():
    model = build_detector("patches", "a", 299, as_published=True)
    init_xavier(model)
    layers = list(model.modules())
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 5000:
            inputs, outputs = layer.weight[0].numel(), layer.weight.shape[0] * layer.weight[0, 0].numel()
            assert float(layer.weight.detach().std()) == pytest.approx(0.02 * (2 / (inputs + outputs)) ** 0.5, rel=0.05)
    scales = torch.cat([layer.weight.detach() for layer in layers if isinstance(layer, nn.BatchNorm2d)])
    assert float(scales.mean()) == pytest.approx(1, abs=0.003)
    assert float(scales.std()) == pytest.approx(0.02, rel=0.1)
    assert all(not layer.bias.any() for layer in layers if getattr(layer, "bias", None) is not None)


def test_patches_of_setup_c_begin_as_timm_does():
    model = published("patches", "c")
    torch.manual_seed(0)
    network = timm.create_model("legacy_xception", pretrained=False, num_classes=2)
    theirs = stretch(network, "conv1", "block2").state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.features.state_dict().items())
    ours = build_detector("patches", "c", 299).features.state_dict()
    assert not torch.equal(ours["block2.rep.1.conv1.weight"], theirs["block2.rep.1.conv1.weight"])


def test_full_fakes_are_ancestral_samples_of_250_steps():
    fakes = load_profile("full").fakes
    assert (fakes.sampler, fakes.ddim_steps) == ("ddpm", 250)


@pytest.mark.parametrize("method", PAPERS)
@pytest.mark.parametrize("setup", "ac")
def test_every_published_weight_learns(method, setup):
    model = build_detector(method, setup, 64, as_published=True)
    masks = torch.randint(0, 2, (3, 32, 32), dtype=torch.uint8) if setup == "c" else None
    model(Batch(torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8), torch.tensor([0, 1, 1]), masks)).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_sizes_are_those_of_the_paper():
    assert sum(p.numel() for p in published("patches", "c").parameters()) == 191_330
    images = np.zeros((1, 256, 256, 3), np.uint8)
    sides = {"patches": 37, "attention": 19, "grad-cam": 19}
    assert {method: published(method, "c").predict(images).maps.shape[1] for method in PAPERS} == sides
