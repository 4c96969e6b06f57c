"""The noise extractor of TruFor, with its published weights in the network that is run, against onnxruntime."""

import os

import numpy as np
import pytest
import torch
import torch.nn as nn

from wsdl.detectors.published import random_method
from wsdl.detectors.published.peers import PEERS, as_tensor


def test_the_extractor_agrees_with_onnxruntime():
    path = os.environ.get("WSDL_TRUFOR_EXTRACTOR", "")
    if not path:
        pytest.skip("WSDL_TRUFOR_EXTRACTOR: name the file noiseprint_pp.onnx to run this")
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("IMDLBenCo", reason="imdlbenco is not installed (extra peers)")
    extractor = random_method("trufor").network.dncnn
    load_folded(extractor, onnx.load(path))
    image = np.random.default_rng(0).integers(0, 256, (96, 80, 3), np.uint8)
    x = PEERS["trufor"].to_input(as_tensor(image))
    (expected,) = runtime.InferenceSession(path).run(None, {"image": x.numpy()})
    with torch.no_grad():
        assert extractor(x).numpy() == pytest.approx(expected, abs=2e-4)  # of values up to 1.6


def load_folded(network: nn.Sequential, model) -> None:
    """Give `network` the convolutions of an ONNX model, into which its batch normalisation was folded."""
    from onnx import numpy_helper

    tensors = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in model.graph.initializer}
    folded = iter([node.input[1:] for node in model.graph.node if node.op_type == "Conv"])
    norms = {i: layer for i, layer in enumerate(network) if isinstance(layer, nn.BatchNorm2d)}
    for i, layer in enumerate(network):
        if not isinstance(layer, nn.Conv2d):
            continue
        weight, bias = next(folded)
        layer.weight.data = tensors[weight]
        if (norm := norms.get(i + 1)) is None:
            layer.bias.data = tensors[bias]
            continue
        nn.init.ones_(norm.weight)
        norm.bias.data = tensors[bias]
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
    assert next(folded, None) is None
