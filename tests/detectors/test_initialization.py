"""Where Xception starts from: files of weights, ImageNet's cache, and what does not fit."""

import pytest
import torch
from factories import published_patches
from safetensors.torch import load_file, save_file

from wsdl.config import Training
from wsdl.core.io import WsdlError, read_json
from wsdl.demo import run_demo
from wsdl.detectors import build_detector
from wsdl.detectors import initialization as start
from wsdl.detectors.attention import Attention
from wsdl.detectors.grad_cam import GradCam
from wsdl.detectors.patches import Patches
from wsdl.detectors.xception import LAYERS, xception
from wsdl.profiles import load_profile
from wsdl.training.detector import train_detector

SIDE = 64  # Xception makes 4 x 4 cells of it


def published(**changes) -> dict:
    """Weights as ImageNet's file holds them: a thousand classes."""
    torch.manual_seed(5)
    named = {name: t.clone() for name, t in xception().state_dict().items()}
    return named | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)} | changes


@pytest.mark.parametrize("setup", "bc")
@pytest.mark.parametrize("method", ["grad-cam", "attention"])
def test_initial_weights_fill_all_but_the_last_layer(tmp_path, method, setup):
    given = published()
    save_file(given, tmp_path / "imagenet.safetensors")
    model = build_detector(method, setup, SIDE)
    start.load_initial_weights(model, tmp_path / "imagenet.safetensors")
    own = {name.split(".", 1)[1]: t for name, t in model.state_dict().items() if not name.startswith("map.")}
    same = {name for name, t in own.items() if name in given and torch.equal(t, given[name])}
    assert {name for name in own if name.split(".")[0] in LAYERS[:-1]} <= same
    assert "fc.weight" not in same


def test_the_weights_of_ffd_fill_the_map_too(tmp_path):
    given = published(
        **{"map.c.c.weight": torch.randn(728, 1, 3, 3), "map.c.pointwise.weight": torch.randn(1, 728, 1, 1)}
    )
    theirs = {name: t for name, t in given.items() if not name.startswith("fc.")} | {"last_linear.bias": torch.ones(2)}
    theirs = {  # their names of timm's layers
        name.replace(".conv1.weight", ".c.weight").replace("skipbn.", "skip_bn."): t for name, t in theirs.items()
    }
    assert "block1.rep.0.c.weight" in theirs
    torch.save({"net": theirs, "optim": {"state": {}}}, tmp_path / "000001.tar")
    model = Attention(SIDE)
    start.load_initial_weights(model, tmp_path / "000001.tar")
    assert torch.equal(model.map.conv1.weight, given["map.c.c.weight"])
    assert torch.equal(model.map.pointwise.weight, given["map.c.pointwise.weight"])
    assert torch.equal(model.before.block1.skipbn.weight, given["block1.skipbn.weight"])


@pytest.mark.parametrize("method", ["grad-cam", "attention", "patches", "patches-mil"])
def test_a_patch_detector_fills_the_layers_that_it_has(method):
    path, name = start.find_initial_weights("patches-mil-b-studio", has_masks=False)
    assert name.startswith("patches-mil-b-studio ")
    model = build_detector(method, "b", SIDE)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    start.load_initial_weights(model, path)
    given = {n.removeprefix("features."): t for n, t in load_file(path).items() if n.startswith("features.")}
    for name, tensor in model.state_dict().items():
        _, _, of = name.partition(".")
        if tensor.ndim:
            wanted = before[name] if "map" in name else given.get(of, before[name])
            if method == "patches-mil" and name.startswith("head."):
                wanted = load_file(path)[name]
            assert torch.equal(tensor, wanted), name


@pytest.mark.parametrize("method", [Attention, GradCam, Patches])
def test_a_run_of_the_same_method_fills_everything(tmp_path, method):
    torch.manual_seed(7)
    given, model = method(SIDE), method(SIDE)
    save_file(given.state_dict(), tmp_path / "run.safetensors")
    start.load_initial_weights(model, tmp_path / "run.safetensors")
    theirs = given.state_dict()
    assert [name for name, t in model.state_dict().items() if not torch.equal(t, theirs[name])] == []


def test_published_weights_are_a_start_with_their_head(tmp_path):
    given, model = Patches(SIDE), Patches(SIDE)
    torch.save(published_patches(given), tmp_path / "patches.pth")
    start.load_initial_weights(model, tmp_path / "patches.pth")
    assert torch.equal(model.head.weight, given.head.weight)
    assert torch.equal(model.features.conv1.weight, given.features.conv1.weight)
    grad_cam = GradCam(SIDE, has_masks=True)
    untouched = grad_cam.head.weight.clone()
    start.load_initial_weights(grad_cam, tmp_path / "patches.pth")
    assert torch.equal(grad_cam.trunk.conv1.weight, given.features.conv1.weight)
    assert torch.equal(grad_cam.head.weight, untouched)  # has 728 inputs, not 256


def test_label_setups_never_start_from_a_run_with_masks(tmp_path):
    trained = start.find_initial_weights("patches-mil-c-studio", has_masks=True)[0]
    for given in ("patches-mil-c-studio", str(trained.parent), str(trained)):
        with pytest.raises(WsdlError, match="was trained with masks"):
            start.find_initial_weights(given, has_masks=False)


@pytest.mark.parametrize("setup", "ab")
def test_training_from_labels_refuses_weights_from_masks(dataset, tmp_path, setup):
    tiny = Training(input_size=48, images=8, batch=4, check_every=8, start="patches-mil-c-studio")
    with pytest.raises(WsdlError, match="was trained with masks"):
        train_detector("grad-cam", setup, dataset, tmp_path / "run", seed=0, settings=tiny)


def test_weights_that_do_not_fit_are_one_sentence(tmp_path):
    model = GradCam(SIDE, has_masks=True)
    save_file(published(**{"conv1.weight": torch.zeros(3, 3)}), tmp_path / "other.safetensors")
    with pytest.raises(WsdlError, match=r"does not fit.* 1 of \d+ .*conv1.weight"):
        start.load_initial_weights(model, tmp_path / "other.safetensors")
    save_file({"head.0.weight": torch.zeros(3, 3)}, tmp_path / "no_xception.safetensors")
    with pytest.raises(WsdlError, match="does not fit"):
        start.load_initial_weights(model, tmp_path / "no_xception.safetensors")
    for name in ("none.safetensors", "none.pth"):
        (tmp_path / name).write_text("not weights")
        with pytest.raises(WsdlError, match="is no valid file of "):
            start.load_initial_weights(model, tmp_path / name)
    with pytest.raises(WsdlError, match=r"nowhere: .*scratch, xavier, imagenet"):
        start.find_initial_weights("nowhere")


def test_imagenet_weights_are_used_if_cached_never_downloaded(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)  # would be called
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    tiny = Training(input_size=48, images=8, images_c=8, batch=4, batch_c=4, check_every=8, start="imagenet")
    train_detector("grad-cam", "c", dataset, tmp_path / "without", seed=0, settings=tiny)
    assert read_json(tmp_path / "without" / "config.json")["start"] == "scratch"
    assert "starting from scratch: no ImageNet weights found" in capsys.readouterr().err
    (tmp_path / "cache" / "checkpoints").mkdir(parents=True)
    torch.save(published(), tmp_path / "cache" / "checkpoints" / "xception-43020ad28.pth")
    train_detector("grad-cam", "c", dataset, tmp_path / "with", seed=0, settings=tiny)
    assert read_json(tmp_path / "with" / "config.json")["start"] == "imagenet"
    assert "starting from ImageNet weights: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "setup", "words"),
    [("grad-cam", "a", "imagenet.*xception-43020ad28.pth; download them with"), ("attention", "c", "ffd.*project-ffd")],
)
def test_full_refuses_to_train_without_its_weights(dataset, tmp_path, monkeypatch, method, setup, words):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    with pytest.raises(WsdlError, match=f"start is {words}.*`train --start FILE`, imagenet or scratch"):
        train_detector(method, setup, dataset, tmp_path / "run", 0, load_profile("full").training(method))
    assert not (tmp_path / "run").exists()


def test_a_demo_of_full_refuses_before_it_makes_fakes(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    with pytest.raises(WsdlError, match="start is imagenet, but there are no such weights"):
        run_demo(tmp_path / "out", "full", "made-up", "", "", "", 0)
    assert not (tmp_path / "out" / "study.json").exists()


def test_weights_of_ffd_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    path = start.cached_weights("ffd")
    path.parent.mkdir()
    path.touch()
    assert start.find_initial_weights("ffd") == (path, "ffd")


def test_an_empty_file_in_the_cache_of_timm_is_one_sentence(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    (tmp_path / "cache" / "checkpoints").mkdir(parents=True)
    (tmp_path / "cache" / "checkpoints" / "xception-43020ad28.pth").touch()
    settings = Training(input_size=48, images=8, images_c=8, batch=4, batch_c=4, check_every=8, start="imagenet")
    with pytest.raises(WsdlError, match=r"xception-43020ad28\.pth: is no valid file of PyTorch \(.*\); delete it, or"):
        train_detector("grad-cam", "c", dataset, tmp_path / "run", seed=0, settings=settings)
    assert not (tmp_path / "run").exists()
