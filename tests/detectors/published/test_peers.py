"""MantraNet, PSCC-Net and TruFor: files of weights, input conventions, networks where imdlbenco is installed.

HiFi-Net, which needs no package, is in test_hifinet.py."""

import sys
from zipfile import ZipFile

import numpy as np
import pytest
import torch
import torch.nn as nn

from wsdl.core.io import WsdlError
from wsdl.detectors.published import find_published, load_published, random_method
from wsdl.detectors.published.peers import MAX_PIXELS, PEERS, PeerMethod, as_tensor, build_network, find_tensors

IMAGE = np.random.default_rng(0).integers(0, 256, (80, 70, 3), np.uint8)
COLOURS = np.array([[[255, 0, 51], [0, 102, 255]]], np.uint8)  # [1, 2, 3]
NAMES = "mantranet", "psccnet", "trufor"


class Tiny(nn.Module):
    """Stands for a network, with a tensor in each part of PSCC-Net."""

    def __init__(self):
        super().__init__()
        self.FENet, self.SegNet, self.ClsNet = (nn.Linear(2, 2) for _ in range(3))


def write_parts(folder, network=None):
    """The three files of PSCC-Net with the tensors of `network`, as saved from DataParallel."""
    folder.mkdir(exist_ok=True)
    for file, (prefix, _) in PEERS["psccnet"].files.items():
        state = getattr(network or Tiny(), prefix[:-1]).state_dict()
        torch.save({f"module.{name}": value for name, value in state.items()}, folder / file)
    return folder


def installed(name: str):
    """The method with random weights; skips where imdlbenco is not installed."""
    pytest.importorskip("IMDLBenCo", reason="imdlbenco is not installed (extra peers)")
    torch.manual_seed(0)
    return random_method(name)


@pytest.fixture
def tiny(monkeypatch):
    """PSCC-Net with the network Tiny; its map is the red channel of the input, its score that of the first pixel."""
    peer = PEERS["psccnet"]
    seen = []

    def run(network, x):
        seen.append(x)
        return x[:, 0].clamp(0, 1), x[:, 0, 0, 0]

    monkeypatch.setitem(PEERS, "psccnet", type(peer)(peer.title, peer.files, peer.to_input, Tiny, run, peer.licence))
    return seen


@pytest.mark.parametrize(
    ("name", "low", "fifth", "high"),
    [("mantranet", -1, -0.6, 1), ("psccnet", 0, 0.2, 1), ("trufor", 0, 51 / 256, 255 / 256)],
)
def test_the_range_of_the_input(name, low, fifth, high):
    x = PEERS[name].to_input(as_tensor(COLOURS))
    assert x[0, :, 0, 0].tolist() == pytest.approx([high, low, fifth])


def test_the_order_is_red_first_and_channels_first():
    x = as_tensor(COLOURS)
    assert (x.shape, x.dtype) == ((1, 3, 1, 2), torch.float32)
    assert x[0, :, 0].tolist() == [[255, 0], [0, 102], [51, 255]]


def test_images_enter_one_by_one_and_are_not_resized(tiny, tmp_path):
    found = PeerMethod("psccnet", write_parts(tmp_path)).predict(np.stack([IMAGE, IMAGE[::-1]]))
    assert [tuple(x.shape) for x in tiny] == [(1, 3, 80, 70)] * 2
    assert found.maps[0] == pytest.approx(IMAGE[:, :, 0] / 255)
    assert found.scores == pytest.approx([IMAGE[0, 0, 0] / 255, IMAGE[-1, 0, 0] / 255])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("height", "width"), [(63, 80), (MAX_PIXELS // 1024 + 1, 1024)])
def test_the_size_of_an_image_is_limited(tmp_path, height, width):
    image = np.broadcast_to(np.zeros((1, 1, 1, 3), np.uint8), (1, height, width, 3))
    with pytest.raises(WsdlError, match=rf"image: is {width}x{height}, but PSCC-Net needs at least 64 px"):
        PeerMethod("psccnet", write_parts(tmp_path)).predict(image)


@pytest.mark.usefixtures("tiny")
def test_parts_are_found_in_a_folder_each_as_unpacked(tmp_path):
    for file in list(write_parts(tmp_path / "flat").iterdir()):
        (tmp_path / "each" / f"{file.stem}_checkpoint").mkdir(parents=True)
        file.rename(tmp_path / "each" / f"{file.stem}_checkpoint" / file.name)
    assert set(find_tensors("psccnet", tmp_path / "each")) == set(Tiny().state_dict())
    assert load_published("psccnet", tmp_path / "each").name == "psccnet"


@pytest.mark.usefixtures("tiny")
def test_a_checkpoint_of_imdlbenco_is_read(tmp_path):
    network, path = Tiny(), tmp_path / "checkpoint-9.pth"
    torch.save({"model": network.state_dict() | {"weights": torch.ones(2)}, "epoch": 9}, path)
    given = load_published("psccnet", path).network.state_dict()
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in given.items())
    torch.save({"model": {f"model.{name}": value for name, value in network.state_dict().items()}}, path)
    assert set(find_tensors("trufor", path)) == set(network.state_dict())  # its wrapper adds "model."


@pytest.mark.parametrize("name", [b"numpy._core", b"numpy.core"])  # of NumPy 2 and 1
def test_a_checkpoint_with_numbers_of_numpy_is_read(tmp_path, name):
    numbers = {"best_value": np.float64(0.5), "epoch": np.int64(81), "best_key": "F1"}
    torch.save({"state_dict": Tiny().state_dict(), **numbers}, tmp_path / "new.pth")
    with ZipFile(tmp_path / "new.pth") as read, ZipFile(tmp_path / "trufor.pth.tar", "w") as written:
        for member in read.namelist():
            written.writestr(member, read.read(member).replace(b"numpy._core", name))
    assert set(find_tensors("trufor", tmp_path)) == set(Tiny().state_dict())


def test_a_missing_part_is_named(tmp_path):
    folder = write_parts(tmp_path / "heads")
    (folder / "HRNet.pth").unlink()
    words = r"heads: lacks HRNet\.pth \(the backbone\); give the published weights of PSCC-Net: HRNet\.pth .*, NLC"
    with pytest.raises(WsdlError, match=words):
        load_published("psccnet", folder)
    torch.save(Tiny().SegNet.state_dict(), tmp_path / "one.pth")
    with pytest.raises(WsdlError, match=r"one\.pth: lacks the backbone and the head of the maps and the head of the"):
        load_published("psccnet", tmp_path / "one.pth")


@pytest.mark.parametrize(("name", "file"), [("mantranet", "MantraNetv4.pt"), ("trufor", "trufor.pth.tar")])
def test_no_file_is_one_sentence(tmp_path, name, file):
    with pytest.raises(WsdlError, match=rf"lacks {file} \(the network\); give the published weights of"):
        load_published(name, tmp_path)
    with pytest.raises(WsdlError, match="nowhere: no such folder"):
        load_published(name, "nowhere")


@pytest.mark.usefixtures("tiny")
def test_other_shapes_are_one_sentence(tmp_path):
    network = Tiny()
    network.ClsNet = nn.Linear(2, 3)
    words = r"ClsNet\.weight has the shape \(3, 2\), not \(2, 2\); give the published weights of PSCC-Net\.$"
    with pytest.raises(WsdlError, match=words):
        load_published("psccnet", write_parts(tmp_path, network))


def test_a_pickle_that_would_run_code_is_one_sentence(tmp_path):
    folder = write_parts(tmp_path)
    torch.save(Tiny(), folder / "HRNet.pth")
    with pytest.raises(WsdlError, match=r"HRNet\.pth: .*does not hold tensors and plain values alone.*; give the publ"):
        load_published("psccnet", folder)


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "IMDLBenCo", None)
    with pytest.raises(WsdlError, match=r"trufor: needs imdlbenco, which cannot be imported \(.*\); run: pip install"):
        build_network("trufor")


def test_a_package_that_needs_numpy_1_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "IMDLBenCo").mkdir()
    (tmp_path / "IMDLBenCo/__init__.py").write_text("import numpy\nnumpy.bool8\n")  # removed in NumPy 2
    for name in [name for name in sys.modules if name.startswith("IMDLBenCo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WsdlError, match=r"mantranet: needs imdlbenco, which cannot be imported \(.*bool8"):
        build_network("mantranet")
    monkeypatch.setattr(np, "__version__", "1.26.4")
    with pytest.raises(WsdlError, match=r"mantranet: NumPy is 1\.26\.4, .* run: pip install 'numpy>=2'"):
        build_network("mantranet")


@pytest.mark.usefixtures("tiny")
def test_methods_are_found_in_folders_of_their_name(tmp_path, capsys):
    write_parts(tmp_path / "psccnet")
    found = find_published(tmp_path)
    assert [name for name, method in found.items() if method] == ["psccnet"]
    said = capsys.readouterr().err
    assert "wsdl: psccnet: licence of its weights: MIT" in said
    assert f"wsdl: {tmp_path}: lacks MantraNetv4.pt" in said


def test_stdout_holds_no_words_of_the_package(capfd):
    installed("trufor")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_give_maps_and_scores(name):
    found = installed(name).predict(IMAGE[None])
    assert (found.maps.shape, found.maps.dtype) == ((1, 80, 70), np.float32)
    assert 0 <= found.maps.min() <= found.maps.max() <= 1
    assert found.maps.std() > 0
    assert 0 <= found.scores[0] <= 1


@pytest.mark.parametrize(("name", "n"), [("mantranet", 3_805_625), ("psccnet", 3_667_942), ("trufor", 68_697_421)])
def test_the_networks_have_the_published_size(name, n):
    assert sum(p.numel() for p in installed(name).network.parameters()) == n


@pytest.mark.parametrize("name", NAMES)
def test_saved_tensors_are_loaded_again(name, tmp_path):
    method = installed(name)
    torch.save({"state_dict": method.network.state_dict()}, tmp_path / "all.pth")
    assert np.array_equal(load_published(name, tmp_path / "all.pth").predict(IMAGE[None]).maps,
                          method.predict(IMAGE[None]).maps)  # fmt: skip


def of_imagenet(image: np.ndarray) -> torch.Tensor:
    """The input that the loaders of imdlbenco make."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((torch.from_numpy(image.copy()) / 255 - mean) / std).permute(2, 0, 1)[None]


def test_mantranet_agrees_with_imdlbenco():
    method = installed("mantranet")
    with torch.no_grad():
        expected = method.network(of_imagenet(IMAGE), torch.zeros(1, 1, 80, 70))["pred_mask"]
    assert method.predict(IMAGE[None]).maps[0] == pytest.approx(expected[0, 0].numpy(), abs=1e-4)


def test_psccnet_agrees_with_imdlbenco_where_its_maps_end_in_a_sigmoid():
    """They do in the code of its authors; in imdlbenco logits multiply the features of the next scale."""
    method, image = installed("psccnet"), np.resize(IMAGE, (256, 256, 3))
    for layer in method.network.FENet.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)  # else all maps are almost constant
    found, network = method.predict(image[None]), method.network
    for scale in range(1, 5):
        getattr(network.SegNet, f"getmask{scale}").getmask.append(nn.Sigmoid())
    with torch.no_grad():
        features = network.FENet(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
        maps, label = network.SegNet(features), network.ClsNet(features).softmax(1)
    assert found.maps[0] == pytest.approx(maps[0][0, 0].numpy(), abs=1e-5)
    assert found.scores[0] == pytest.approx(float(label[0, 1]), abs=1e-5)
