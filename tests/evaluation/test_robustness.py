"""Corruptions against PIL and torchvision; scores under corruptions; training with corruptions."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import run_command
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchvision.transforms import v2

from wsdl import plots
from wsdl.config import PatchesTraining
from wsdl.core.io import read_json
from wsdl.data.corruptions import CORRUPTIONS, compress_jpeg, corrupt_fraction, gaussian_blur, gaussian_noise, rescale
from wsdl.data.dataset import Dataset
from wsdl.evaluation.baselines import TRIVIAL_BASELINES
from wsdl.evaluation.evaluate import evaluate
from wsdl.evaluation.robustness import ROBUSTNESS_COLUMNS, robustness
from wsdl.training.detector import train_detector
from wsdl.training.examples import draw_batch, setup_examples

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
IMAGE = np.stack([gaussian_filter(RNG.normal(0, 1, (64, 48)), 1.5) for _ in range(3)], -1)
IMAGE = (128 + 220 * IMAGE).clip(0, 255).astype(np.uint8)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [95, 50])
def test_jpeg_equals_torchvisions(quality):
    stored = v2.functional.jpeg(as_tensor(IMAGE), quality).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(compress_jpeg(IMAGE, quality, RNG).astype(int), stored, atol=3)  # two codecs round apart


def test_a_worse_jpeg_is_further_from_the_image_and_smaller():
    apart = [np.abs(compress_jpeg(IMAGE, q, RNG).astype(int) - IMAGE).mean() for q in CORRUPTIONS["JPEG"].levels]
    assert apart == sorted(apart)
    sizes = []
    for quality in (95, 50):
        buffer = io.BytesIO()
        Image.fromarray(IMAGE).save(buffer, "JPEG", quality=quality)
        sizes.append(buffer.tell())
    assert sizes[1] < sizes[0]


def test_down_and_upsampling_equals_torchvisions():
    small = v2.functional.resize(as_tensor(IMAGE), [32, 24], v2.InterpolationMode.BICUBIC, antialias=True)
    back = v2.functional.resize(small, [64, 48], v2.InterpolationMode.BICUBIC, antialias=True)
    np.testing.assert_allclose(rescale(IMAGE, 0.5, RNG).astype(int), back.permute(1, 2, 0).numpy(), atol=2)
    np.testing.assert_array_equal(rescale(IMAGE, 1, RNG), IMAGE)


@pytest.mark.parametrize("sigma", [0.7, 2])
def test_blur_is_a_gaussian_away_from_the_edge(sigma):
    true = gaussian_filter(IMAGE.astype(float), (sigma, sigma, 0))[12:-12, 12:-12]
    found = gaussian_blur(IMAGE, sigma, RNG)[12:-12, 12:-12]
    assert np.abs(found - true).mean() < 0.05 * np.abs(IMAGE[12:-12, 12:-12] - true).mean() + 0.6


def test_noise_has_its_standard_deviation_and_zero_mean():
    grey = np.full((200, 200, 3), 128, np.uint8)
    added = gaussian_noise(grey, 8, np.random.default_rng(1)).astype(float) - 128
    assert added.std() == pytest.approx(8, rel=0.02)
    assert abs(added.mean()) < 0.1


def test_about_the_given_fraction_is_corrupted():
    images = np.repeat(IMAGE[None], 200, axis=0)
    corrupted = corrupt_fraction(images, 0.25, np.random.default_rng(0))
    changed = (corrupted != images).any(axis=(1, 2, 3))
    assert 30 < changed.sum() < 70
    assert (images == IMAGE).all()


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory):
    """Two detectors in setup C, trained without and with corrupted images."""
    folder = tmp_path_factory.mktemp("runs")
    for part in (0.0, 0.5):
        settings = PatchesTraining(
            48, images_c=960, batch_c=8, check_every=480, ema_decay=0.9, rate_c=3e-3, augment=part
        )
        train_detector("patches", "c", dataset, folder / f"{part:g}", 0, settings)
    return folder


def test_the_table_starts_with_clean_rows_and_ends_with_baselines(runs, dataset):
    table, plain = robustness(runs / "0", dataset), evaluate(runs / "0", dataset)["rows"]
    assert tuple(table.columns) == ROBUSTNESS_COLUMNS
    assert table.iloc[0][["iou", "pbca", "ap"]].to_dict() == {key: plain[0][key] for key in ("iou", "pbca", "ap")}
    levels = table[table.treatment == "JPEG"].level
    assert list(levels) == list(CORRUPTIONS["JPEG"].levels)
    assert list(table[table.treatment == "control"].method) == [f"control: {name}" for name in TRIVIAL_BASELINES]
    blurred = table[table.treatment == "blur"].iou.to_numpy()
    assert blurred[-1] < blurred[0]


def test_stored_results_are_loaded(runs, dataset, monkeypatch):
    first = robustness(runs / "0", dataset)
    monkeypatch.setattr("wsdl.evaluation.robustness.score_images", None)  # would be called
    pd.testing.assert_frame_equal(robustness(runs / "0", dataset), first)


def test_training_with_corruptions_repairs_blur(runs, dataset):
    """The stand-ins' checkerboard is wiped out for a detector that never saw a blurred one."""
    plain, corrupted = (robustness(runs / part, dataset).query("treatment == 'blur'").iou for part in ("0", "0.5"))
    assert corrupted.iloc[-1] > plain.iloc[-1] + 0.02
    assert read_json(runs / "0.5" / "config.json")["settings"]["augment"] == 0.5


def test_a_batch_is_corrupted_only_on_request_and_reproducibly(dataset):
    data = setup_examples(Dataset(dataset), "c", "train")
    plain, again, corrupted = draw_batch(data, 8, 0, 3), draw_batch(data, 8, 0, 3, 1.0), draw_batch(data, 8, 0, 3, 1.0)
    assert torch.equal(again.images, corrupted.images)
    assert torch.equal(plain.masks, corrupted.masks)
    assert not torch.equal(plain.images, corrupted.images)
    assert corrupted.images.dtype == torch.uint8


def test_the_command_prints_the_table_and_draws_the_curves(runs, dataset):
    printed = run_command("evaluate", runs / "0", "--data", dataset, "--robustness")
    assert printed.startswith("treatment,level,unit,method")
    assert printed.count("\nJPEG,") == 7
    assert (runs / "0" / "robustness.png").exists()
    tables = {name: robustness(runs / name, dataset) for name in ("0", "0.5")}
    axes = plots.robustness_curves(tables).axes
    assert [ax.get_title() for ax in axes] == list(CORRUPTIONS)
    assert len(axes[0].lines) == 3  # two detectors and the baseline
