"""Frozen features: the head alone learns, weights of the backbone come from a file, a run is loaded again."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

from wsdl.config import METHODS, FrozenTraining
from wsdl.core.io import WsdlError, read_json
from wsdl.core.weights import read_weights
from wsdl.data.dataset import Dataset
from wsdl.detectors import build_detector, load_detector
from wsdl.detectors.base import Batch
from wsdl.detectors.frozen import Frozen
from wsdl.detectors.label_losses import TOP, multi_k_loss, top_mean
from wsdl.training.detector import train_detector

SIDE = 64
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8))
LABELS = torch.tensor([0, 1, 0, 1])
TINY = FrozenTraining(input_size=SIDE, images=16, images_c=16, batch=8, batch_c=8, check_every=8)
LITE = "tf_efficientnet_lite0"


def backbone_file(folder, name: str = LITE, **options):
    """A file with random weights of the whole network, its classifier included."""
    torch.manual_seed(1)
    network = timm.create_model(name, **options)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.01 * torch.rand_like(tensor))  # statistics of normalisation, too
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors", network.eval()


@pytest.mark.parametrize("setup", "abc")
def test_a_step_changes_the_head_alone(setup):
    model = build_detector("frozen", setup, SIDE).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    masks = torch.randint(0, 2, (4, SIDE, SIDE), dtype=torch.uint8) if setup == "c" else None
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(Batch(IMAGES, LABELS, masks)).backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name.startswith("head.")}
    assert all(p.grad is not None for p in model.head.parameters())
    assert not any(p.requires_grad for p in model.backbone.parameters())


def test_features_are_those_of_timm_for_input_as_it_was_trained_with(tmp_path):
    path, network = backbone_file(tmp_path, "resnet18")  # ImageNet's mean and deviation, not 0.5
    model = Frozen(SIDE, backbone="resnet18", levels=(1, 2)).eval()
    model.load_backbone(path)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((IMAGES / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        fine, coarse = network.forward_intermediates(x, indices=[1, 2], intermediates_only=True)
    found = model.features(model.prepare(IMAGES))
    assert found.shape == (4, 64 + 128, 16, 16)
    assert torch.allclose(found[:, :64], fine, atol=1e-4)
    assert torch.allclose(found[:, 64:], torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear"), atol=1e-4)


def test_position_embeddings_are_resampled(tmp_path):
    name = "vit_tiny_patch16_224"
    path, network = backbone_file(tmp_path, name)
    model = Frozen(SIDE, backbone=name, levels=(-1,))
    model.load_backbone(path)
    expected = resample_abs_pos_embed(network.pos_embed, [4, 4], num_prefix_tokens=1)
    assert torch.allclose(model.backbone.pos_embed, expected)
    assert model.predict(IMAGES).maps.shape == (4, 4, 4)


def test_a_run_is_trained_from_a_file_and_loaded_without_it(dataset, tmp_path):
    path, _ = backbone_file(tmp_path)
    train_detector("frozen", "c", dataset, tmp_path / "run", 0, TINY, start=str(path))
    assert read_json(tmp_path / "run/config.json")["start"].startswith(f"{LITE}.safetensors ")
    given, saved = read_weights(path), read_weights(tmp_path / "run/model.safetensors")
    kept = [name for name in saved if name.startswith("backbone.") and saved[name].ndim]
    assert all(torch.equal(saved[name], given[name.removeprefix("backbone.")]) for name in kept)
    assert "backbone.conv_stem.weight" in kept
    assert not any("blocks.4" in name for name in kept)  # later levels are not used
    path.unlink()
    images = Dataset(dataset).images[:2]
    found = load_detector(tmp_path / "run").predict(images)
    assert found.maps.shape == (2, 16, 16)
    assert found.scores == pytest.approx(top_mean(torch.from_numpy(found.maps), TOP).numpy(), abs=1e-6)


def test_setup_b_learns_from_pooled_labels(dataset, tmp_path, capsys):
    model = build_detector("frozen", "b", SIDE)
    logits = model.logits(model.prepare(IMAGES))
    assert torch.equal(model.loss_labels(logits, LABELS), multi_k_loss(logits, LABELS))
    train_detector("frozen", "b", dataset, tmp_path / "run", 0, TINY)
    assert (
        "frozen: its backbone has random weights; give a file of published ones by --start" in capsys.readouterr().err
    )
    assert load_detector(tmp_path / "run").predict(IMAGES).maps.shape == (4, 16, 16)


def test_other_weights_are_one_sentence(tmp_path):
    path, _ = backbone_file(tmp_path, "resnet18")
    with pytest.raises(WsdlError, match=r"resnet18\.safetensors: does not fit, .*first: conv_stem\.weight\); give wei"):
        Frozen(SIDE).load_backbone(path)
    tensors = Frozen(SIDE).backbone.state_dict() | {"conv_stem.weight": torch.zeros(1)}
    torch.save(tensors, tmp_path / "shape.pth")
    with pytest.raises(
        WsdlError, match=r"shape\.pth: does not fit, 1 of .*first: conv_stem\.weight\); give weights of"
    ):
        Frozen(SIDE).load_backbone(tmp_path / "shape.pth")
    torch.save(timm.create_model("resnet18"), tmp_path / "code.pth")
    with pytest.raises(WsdlError, match=r"code\.pth: .*does not hold tensors and plain values alone.*give weights of"):
        Frozen(SIDE).load_backbone(tmp_path / "code.pth")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "resnet1"}, r"backbone is 'resnet1', but must be a network of timm"),
        ({"levels": (9,)}, r"backbone tf_efficientnet_lite0 has no levels \[9\] at input_size 64 \(.*\); set levels"),
        ({"levels": ()}, r"has no levels \[\] at input_size 64"),
        ({"backbone": "vit_tiny_patch16_224", "input_size": 8}, r"has no levels \[1, 2\] at input_size 8"),
        ({"label_loss": "mine"}, r"label_loss is 'mine', but must be one of every-patch"),
    ],
)
def test_settings_that_do_not_exist_are_one_sentence(options, words):
    with pytest.raises(WsdlError, match=words):
        Frozen(**{"input_size": SIDE, **options})


def test_studies_and_tables_do_not_train_it():
    assert "frozen" not in METHODS
