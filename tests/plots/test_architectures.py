"""The figure of the networks: its receptive fields and strides are those of the networks themselves."""

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from wsdl import plots
from wsdl.detectors import build_detector
from wsdl.detectors.xception import stretch, xception
from wsdl.plots.architectures import METHODS, method_layers, receptive_field

LAST = {"Patches": "block2", "Grad-CAM": "block11", "Attention": "block7"}


def test_the_drawn_receptive_field_of_patches_is_measured():
    x = torch.randn(4, 3, 128, 128, requires_grad=True)
    logits = build_detector("patches", "a", 128).eval().logits(x)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[:, 1, middle, middle].sum(), x)
    measured = int((gradient.abs().sum(dim=(0, 1, 2)) > 0).sum())
    assert receptive_field(method_layers("Patches")) == (measured, 8)


@pytest.mark.parametrize("method", METHODS)
def test_the_drawn_stride_is_that_of_the_network(method):
    features = stretch(xception(), "conv1", LAST[method]).eval()
    with torch.no_grad():
        side = features(torch.zeros(1, 3, 299, 299)).shape[-1]
    assert side == {8: 37, 16: 19}[receptive_field(method_layers(method))[1]]


def test_the_figure_says_what_one_patch_sees():
    chart = plots.architectures(np.zeros((128, 128, 3), np.uint8))
    words = " ".join(text.get_text() for text in chart.findobj(Text))
    for said in ("43 px", "Patches", "Grad-CAM", "Attention", "the whole image"):
        assert said in words
    small = [text.get_text() for text in chart.findobj(Text) if text.get_text() and text.get_fontsize() < 11]
    assert small == []
