"""The network of Noiseprint: published tensors, tiles, the choice by JPEG quality, and the real weights."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from factories_published import noiseprint_tensors, write_noiseprint_weights

from wsdl.core.io import WsdlError
from wsdl.detectors.published.dncnn import (
    build_dncnn,
    extract,
    load_dncnn,
    nearest_quality,
    published_shapes,
    to_grey,
)

GREY = np.random.default_rng(0).random((90, 70), np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_noiseprint_weights(tmp_path_factory.mktemp("noiseprint"))


def as_described(tensors: dict, grey: np.ndarray) -> np.ndarray:
    """The network layer by layer: convolution, normalisation, bias, ReLU."""
    x = torch.from_numpy(grey)[None, None]
    for i in range(17):
        t = {name.partition(f"conv_layers.{i}.")[2]: value for name, value in tensors.items()}
        x = F.conv2d(x, t["0.weight"], t.get("0.bias"), padding=1)
        if 0 < i < 16:
            x = F.batch_norm(x, t["1.moving_mean"], t["1.moving_variance"], t["1.gamma"], t["2.bias"], eps=1e-5)
        if i < 16:
            x = x.relu()
    return x[0, 0].numpy()


def test_published_names_shapes_and_sizes():
    shapes = published_shapes()
    assert len(shapes) == 79
    assert sum(np.prod(shape) for name, shape in shapes.items()) == 558_017
    assert sum(p.numel() for p in build_dncnn().parameters()) == sum(
        np.prod(shape) for name, shape in shapes.items() if name.endswith(("weight", "bias"))
    )


def test_the_noiseprint_is_that_of_the_layers(folder):
    found = extract(load_dncnn(folder, 101), GREY)
    assert found == pytest.approx(as_described(noiseprint_tensors(101), GREY), abs=1e-4)
    assert found.std() > 0.01


def test_tiles_give_the_noiseprint_of_the_whole(folder):
    network = load_dncnn(folder, 101)
    assert extract(network, GREY, tile=24) == pytest.approx(extract(network, GREY), abs=1e-5)


@pytest.mark.parametrize(
    ("quality", "network"), [(100, 101), (float("nan"), 101), (97, 95), (30, 60), (76, 75), (78, 80), (99, 101)]
)
def test_the_quality_of_the_file_chooses_the_network(quality, network):
    assert nearest_quality(quality) == network


def test_grey_is_luma_between_0_and_1():
    image = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert to_grey(image)[0] == pytest.approx([1, 0.299, 0.587, 0.114], abs=1e-6)
    assert to_grey(image).dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conv_layers.3.1.gamma": None}, r"conv_layers\.3\.1\.gamma is missing"),
        ({"conv_layers.17.0.weight": torch.zeros(1)}, r"conv_layers\.17\.0\.weight is unknown"),
        ({"conv_layers.16.0.bias": torch.zeros(2)}, r"conv_layers\.16\.0\.bias has the shape \(2,\), not \(1,\)"),
        (
            {"conv_layers.16.0.bias": torch.tensor([torch.nan])},
            r"conv_layers\.16\.0\.bias holds NaN or infinite values",
        ),
    ],
)
def test_other_tensors_are_one_sentence(tmp_path, changes, words):
    given = {name: t for name, t in (noiseprint_tensors() | changes).items() if t is not None}
    torch.save(given, tmp_path / "model_qf101.pth")
    with pytest.raises(WsdlError, match=rf"model_qf101\.pth: {words}; give the published weights of Noiseprint\."):
        load_dncnn(tmp_path, 101)


def test_other_files_are_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match=r"model_qf75\.pth: no such file; give the folder of .*--weights"):
        load_dncnn(tmp_path, 75)
    torch.save(build_dncnn(), tmp_path / "model_qf75.pth")  # a pickled module could run code
    with pytest.raises(WsdlError, match=r"model_qf75\.pth: .*does not hold tensors and plain values alone.*; give the"):
        load_dncnn(tmp_path, 75)
    torch.save([1], tmp_path / "model_qf75.pth")
    with pytest.raises(WsdlError, match=r"model_qf75\.pth: holds no tensors by name; give the"):
        load_dncnn(tmp_path, 75)


def test_real_weights_agree_with_onnxruntime():
    weights = os.environ.get("WSDL_NOISEPRINT_WEIGHTS", "")
    if not weights:
        pytest.skip("WSDL_NOISEPRINT_WEIGHTS: name the folder of the published weights of Noiseprint to run this")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(Path(weights) / "model_qf101.onnx")
    (expected,) = session.run(None, {session.get_inputs()[0].name: GREY[None, None]})
    assert extract(load_dncnn(Path(weights), 101), GREY) == pytest.approx(expected.reshape(GREY.shape), abs=2e-5)
