"""Training detectors: what each setup may see, the losses, and which model is saved."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from factories import add_ddpm
from safetensors.torch import load_file

from wsdl.config import METHODS, Training
from wsdl.core.io import WsdlError
from wsdl.core.run import is_done, read_stats
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import write_manifest
from wsdl.detectors import load_detector
from wsdl.detectors.base import Batch
from wsdl.detectors.patches import Patches
from wsdl.training.detector import train_detector
from wsdl.training.examples import draw_batch, setup_examples

TINY = Training(input_size=48, images=96, images_c=96, batch=8, batch_c=8, check_every=32)
ROOT = Path(__file__).parents[2]


class NoMasks(Dataset):
    """A dataset whose masks explode when anybody looks."""

    @property
    def masks(self):
        raise AssertionError("a weak setup looked at masks")


def test_weak_setups_cannot_see_a_mask(dataset):
    data = NoMasks(dataset)
    for setup in "ab":
        seen = setup_examples(data, setup, "train")
        assert seen.masks is None
        batch = draw_batch(seen, 8, seed=0, step=0)
        assert batch.masks is None
        assert batch.labels.sum() == 4  # half real, half fake
    with pytest.raises(AssertionError, match="looked at masks"):
        setup_examples(data, "c", "train")


@pytest.mark.parametrize("setup", "ab")
@pytest.mark.parametrize("method", METHODS)
def test_training_and_selection_of_weak_setups_read_no_mask(dataset, tmp_path, monkeypatch, method, setup):
    monkeypatch.setattr("wsdl.training.detector.Dataset", NoMasks)
    train_detector(method, setup, dataset, tmp_path / "run", seed=0, settings=replace(TINY, images=16))
    assert is_done(tmp_path / "run")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_weights(dataset, tmp_path, method):
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        train_detector(method, "c", dataset, tmp_path / name, seed, replace(TINY, images_c=16))
    one, same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "same", "other"))
    assert one == same
    assert one != other


def resident_memory() -> int:
    """Memory of this process in bytes, files that it has mapped included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_the_memory_of_training_does_not_grow_with_the_set(tmp_path, monkeypatch):
    """64 MB of decoded images and masks, all of them read."""
    monkeypatch.setattr(Dataset, "_image", lambda self, row: np.full((64, 64, 3), row.Index % 256, np.uint8))
    monkeypatch.setattr(Dataset, "_mask", lambda self, row: np.full((64, 64), row.Index % 2, np.uint8))
    table = pd.DataFrame({"path": [f"fake/x/images/train/{i:04d}.png" for i in range(4000)], "mask": "m.png",
                          "kind": "partial", "generator": "x", "component": "", "area": 0.5, "source_id": "",
                          "split": "train", "sha256": ""})  # fmt: skip
    (tmp_path / "data").mkdir()
    write_manifest(tmp_path / "data", table, {"name": "x", "size": 64})
    dataset = Dataset(tmp_path / "data")
    before = resident_memory()
    examples = setup_examples(dataset, "c", "train")
    for step in range(0, 4000, 50):
        batch = examples.batch(np.arange(step, step + 50))
        assert batch.images[7].unique().tolist() == [(step + 7) % 256]
        assert resident_memory() - before < 16e6


def test_labels_are_looked_up_and_not_searched(dataset, monkeypatch):
    """Searching all fakes in each step takes longer with each fake."""
    data = Dataset(dataset)
    examples = setup_examples(data, "b", "train")
    monkeypatch.setattr(np, "isin", lambda *_: pytest.fail("searched"))
    chosen = np.concatenate([examples.fake[:3], examples.real[:4], examples.fake[2:5]])
    batch = examples.batch(chosen)
    assert batch.labels.tolist() == [1] * 3 + [0] * 4 + [1] * 3
    assert batch.labels.dtype == torch.int64


@pytest.mark.parametrize("setup", "bc")
def test_each_setup_has_its_own_learning_rate_and_images(dataset, tmp_path, monkeypatch, setup):
    asked = {}
    monkeypatch.setattr("wsdl.training.detector.fit", lambda *_, **settings: asked.update(settings))
    settings = Training(input_size=48, images=32, images_c=64, batch=8, batch_c=4, rate=0.1, rate_c=0.2)
    train_detector("patches", setup, dataset, tmp_path / "run", seed=0, settings=settings)
    wanted = (32, 8, 0.1) if setup == "b" else (64, 4, 0.2)
    assert (asked["images"], asked["batch"], asked["rate"]) == wanted


def test_training_retains_freed_memory(dataset, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("wsdl.training.loop.retain_freed_memory", lambda: asked.append(True))
    train_detector("patches", "a", dataset, tmp_path / "run", seed=0, settings=replace(TINY, images=8))
    assert asked


def test_the_ema_is_saved_where_the_profile_sets_one(dataset, tmp_path):
    for name, decay in (("last", 0.0), ("average", 0.9)):
        train_detector(
            "patches", "c", dataset, tmp_path / name, seed=0, settings=replace(TINY, images_c=32, ema_decay=decay)
        )
    raw, kept = (load_file(tmp_path / name / "model.safetensors") for name in ("last", "average"))
    trained = torch.load(tmp_path / "average" / "trainer.pt", weights_only=True)["model"]
    assert all(torch.equal(trained[name], raw[name]) for name in raw)  # the training itself is the same
    assert not torch.equal(kept["head.weight"], raw["head.weight"])


@pytest.mark.parametrize(("setup", "small"), [("b", True), ("c", False)])
def test_the_papers_initialisation_is_for_image_labels_only(dataset, tmp_path, monkeypatch, setup, small):
    begun = []
    monkeypatch.setattr("wsdl.training.detector.fit", lambda run, model, *_, **more: begun.append(model))
    train_detector("patches", setup, dataset, tmp_path / "run", seed=0, settings=replace(TINY, start="xavier"))
    layer = begun[0].features.block2.rep[1].conv1.weight  # a depthwise convolution: fan in 9, fan out 9
    assert (layer.std() < 0.02) == small


def test_setups_use_the_images_of_the_paper(dataset):
    data = Dataset(dataset)
    kinds = {setup: set(data.table.loc[draw_all(data, setup)].kind) for setup in "abc"}
    assert kinds == {"a": {"real", "full"}, "b": {"real", "partial"}, "c": {"partial"}}
    assert set(data.table.loc[draw_all(data, "b")].split) == {"train"}


def test_setup_a_trains_on_one_sampler(dataset, tmp_path):
    both = shutil.copytree(dataset, tmp_path / "both")
    add_ddpm(both)

    def used(*generators: str, setup: str = "a") -> set[str]:
        data = Dataset(both, generators)
        examples = [setup_examples(data, setup, split) for split in ("train", "valid")]
        return {name for some in examples for name in data.table.generator.loc[some.fake]}

    assert used() == used("p2-ddpm") == used("repaint-p2") == {"p2-ddpm"}
    assert used("p2") == used("p2", "repaint-p2") == {"p2"}
    assert used(setup="b") == used("p2", "repaint-p2", setup="b") == {"repaint-p2"}
    with pytest.raises(WsdlError, match="0 fake images in train for setup b"):
        used("p2-ddpm", setup="b")
    with pytest.raises(WsdlError, match=r"has no full fakes by 'p2-ddpm'; .*generate p2 --sampler ddpm"):
        Dataset(dataset, ("p2-ddpm",))


def draw_all(data, setup):
    seen = setup_examples(data, setup, "train")
    return np.concatenate([seen.real, seen.fake])


def test_a_batch_pairs_each_image_with_its_label_and_mask(dataset):
    data = Dataset(dataset)
    seen = setup_examples(data, "c", "train")
    chosen = seen.fake[[1, 0, 1]]
    batch = seen.batch(chosen)
    assert np.array_equal(batch.images.numpy(), data.images[chosen])
    assert np.array_equal(batch.masks.numpy(), data.masks[chosen])
    weak = setup_examples(data, "b", "train")
    chosen = np.array([weak.fake[0], weak.real[0]])
    mirrored = weak.batch(chosen, np.array([True, False]))
    assert mirrored.labels.tolist() == [1, 0]
    assert np.array_equal(mirrored.images.numpy()[0], data.images[chosen[0]][:, ::-1])
    assert np.array_equal(mirrored.images.numpy()[1], data.images[chosen[1]])


def test_a_flipped_image_keeps_its_mask(dataset):
    data = Dataset(dataset)
    masked = setup_examples(data, "c", "train")
    chosen = masked.fake[:2]
    mirrored = masked.batch(chosen, np.array([True, False]))
    for array, known in ((mirrored.images, data.images), (mirrored.masks, data.masks)):
        assert np.array_equal(array.numpy()[0], known[chosen[0]][:, ::-1])
        assert np.array_equal(array.numpy()[1], known[chosen[1]])


def test_unknown_setup_or_method_and_missing_fakes_are_refused(dataset, faces, tmp_path):
    with pytest.raises(WsdlError, match="--setup: is 'd', but must be one of a "):
        setup_examples(Dataset(dataset), "d", "train")
    with pytest.raises(WsdlError, match="0 fake images in train for setup b; make fakes"):
        setup_examples(Dataset(faces), "b", "train")
    with pytest.raises(WsdlError, match=r"--method.*'magic'"):
        train_detector("magic", "a", dataset, tmp_path / "run", seed=0, settings=TINY)


def test_patches_is_the_truncated_xception():
    model = Patches(299)
    assert sum(p.numel() for p in model.parameters()) == 191_330  # PAPER.md
    assert model.logits(torch.zeros(1, 3, 299, 299)).shape == (1, 2, 37, 37)


def test_a_patch_sees_43_pixels_and_no_more():
    model = Patches(299).double().eval()
    x = torch.randn(1, 3, 299, 299, dtype=torch.double, requires_grad=True)
    with torch.no_grad():  # positive weights, so that no influence cancels out
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.fill_(1.0 / layer.weight[0].numel())
    model.logits(x)[0, 1, 18, 18].backward()
    seen = x.grad[0].abs().sum(0).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).max() in range(31, 44)


def test_label_loss_is_the_mean_over_all_patches():
    logits, labels = torch.randn(3, 2, 4, 5), torch.tensor([0, 1, 1])
    by_hand = torch.stack([F.cross_entropy(logits[i].reshape(2, -1).T, labels[i].expand(20)) for i in range(3)]).mean()
    assert torch.allclose(Patches.loss_labels(logits, labels), by_hand)


def test_mask_loss_is_minimal_at_the_inpainted_fraction():
    masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
    masks[0, :4, :4] = 1  # one cell of a 2 x 2 map
    masks[0, 4:, :1] = 1  # a quarter of another
    part = torch.tensor([[[1.0, 0.0], [0.25, 0.0]]])
    right = torch.stack([1 - part, part], dim=1).clamp_min(1e-9).log()
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / 4  # no answer can do better: one of four cells is mixed
    assert Patches.loss_masks(right, masks) == pytest.approx(entropy, abs=1e-5)
    assert all(Patches.loss_masks(right + d * torch.randn_like(right), masks) > entropy for d in (0.1, 1.0))


def test_a_prediction_is_one_map_and_one_score_per_image():
    model = Patches(64)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    prediction = model.predict(images, batch=2)
    assert prediction.maps.shape[0] == 5
    assert prediction.maps.dtype == np.float32
    assert prediction.maps.min() >= 0
    assert prediction.maps.max() <= 1
    assert np.allclose(prediction.scores, prediction.maps.mean((1, 2)), atol=1e-6)
    assert np.allclose(model.predict(images[3:4]).maps[0], prediction.maps[3], atol=1e-5)


def test_loss_of_a_part_of_a_batch_matches_the_batch():
    torch.manual_seed(0)
    model = Patches(48).eval()
    images = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 0, 1])
    together = model(Batch(images, labels))
    parts = [model(Batch(images[i::2], labels[i::2])) for i in range(2)]  # as two processes would share it
    assert torch.allclose(together, torch.stack(parts).mean(), atol=1e-6)


def test_other_settings_do_not_continue_a_run(dataset, tmp_path):
    train_detector("patches", "a", dataset, tmp_path / "run", seed=0, settings=TINY)
    with pytest.raises(WsdlError, match=r"seed.* 0.* 1.*--out"):
        train_detector("patches", "a", dataset, tmp_path / "run", seed=1, settings=TINY)


def test_the_best_model_is_kept(dataset, tmp_path):
    train_detector("patches", "c", dataset, tmp_path / "run", seed=0, settings=TINY)
    stats = read_stats(tmp_path / "run")
    from wsdl.training.detector import validation_loss

    model = load_detector(tmp_path / "run")
    again = validation_loss(model, setup_examples(Dataset(dataset), "c", "valid"), 8)
    assert again == pytest.approx(min(line["validation"] for line in stats), abs=1e-5)
