"""Xception, the backbone of all methods of the paper, cut into consecutive layers.

timm's `features_only` runs the whole network whatever `out_indices` is, so the network itself is cut.
"""

from collections import OrderedDict

import timm
import torch.nn as nn

LAYERS = ("conv1", "bn1", "act1", "conv2", "bn2", "act2", *(f"block{i}" for i in range(1, 13)),
          "conv3", "bn3", "act3", "conv4", "bn4", "act4", "global_pool", "fc")  # fmt: skip


def xception(as_published: bool = False) -> nn.Module:
    """timm's legacy_xception with two classes, untrained: 20.8 M parameters, stride 16 up to block11.

    timm's initialisation computes fan-in over all channels, but a depthwise filter sees one. Activations then shrink
    towards zero, and the running variances of batch normalisation (initially 1) are wrong for the first hundred steps.
    Unless `as_published`, the depthwise filters are initialised again, with the right fan-in.
    """
    network = timm.create_model("legacy_xception", pretrained=False, num_classes=2)
    if as_published:
        return network
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="linear")
    return network


def stretch(network: nn.Module, first: str, last: str) -> nn.Sequential:
    """The layers of `network` from `first` to `last`, both included, under their own names."""
    names = LAYERS[LAYERS.index(first) : LAYERS.index(last) + 1]
    return nn.Sequential(OrderedDict((name, getattr(network, name)) for name in names))
