"""The network of Noiseprint: a DnCNN of 17 layers that turns an image into the trace its camera left in it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn

from wsdl.core.device import pick_device
from wsdl.core.io import WsdlError
from wsdl.data.images import LUMA
from wsdl.detectors.published.files import check_tensors, read_tensors

QUALITIES = 60, 75, 80, 85, 90, 95, 101  # JPEG qualities of the published networks; 101: not compressed
LAYERS, WIDTH = 17, 64
RADIUS = LAYERS  # pixels to each side that an output depends on: one per layer
TILE = 512  # pixels, without the overlap
_EPSILON = 1e-5  # of the batch normalisation
_WANTED = "the published weights of Noiseprint"


def build_dncnn() -> nn.Sequential:
    """558,017 parameters as published: grey images [n, 1, H, W] in [0, 1] -> noiseprints of the same shape.

    Batch normalisation is part of the convolutions (see `load_dncnn`), so the network itself has only those and ReLU.
    """
    widths = [1, *[WIDTH] * (LAYERS - 1), 1]
    layers = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The names and shapes of the 79 tensors in a published file."""
    shapes = {"conv_layers.0.0.weight": (WIDTH, 1, 3, 3), "conv_layers.0.0.bias": (WIDTH,)}
    for i in range(1, LAYERS - 1):
        shapes[f"conv_layers.{i}.0.weight"] = (WIDTH, WIDTH, 3, 3)
        for name in ("1.gamma", "1.moving_mean", "1.moving_variance", "2.bias"):
            shapes[f"conv_layers.{i}.{name}"] = (WIDTH,)
    return shapes | {f"conv_layers.{LAYERS - 1}.0.weight": (1, WIDTH, 3, 3), f"conv_layers.{LAYERS - 1}.0.bias": (1,)}


def load_dncnn(folder: Path, quality: int) -> nn.Sequential:
    """The network for one of QUALITIES from FOLDER/model_qfQUALITY.pth, on the default device.

    WsdlError where the file is missing, would run code, or holds other tensors than the published ones.
    """
    path = Path(folder) / f"model_qf{quality}.pth"
    if not path.is_file():
        raise WsdlError(f"{path}: no such file; give the folder of {_WANTED} by --weights.")
    given = read_tensors(path, _WANTED)
    check_tensors(given, published_shapes(), path, _WANTED)
    network = build_dncnn()
    network.load_state_dict(_without_normalisation(given))
    return network.to(pick_device()).eval()


def _without_normalisation(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published tensors for `build_dncnn`: a convolution followed by a normalisation is one convolution."""
    weights = {}
    for i in range(LAYERS):
        weight, name = given[f"conv_layers.{i}.0.weight"].double(), f"conv_layers.{i}"
        if 0 < i < LAYERS - 1:
            scale = given[f"{name}.1.gamma"].double() / (given[f"{name}.1.moving_variance"].double() + _EPSILON).sqrt()
            weight = weight * scale.view(-1, 1, 1, 1)
            bias = given[f"{name}.2.bias"].double() - given[f"{name}.1.moving_mean"].double() * scale
        else:
            bias = given[f"{name}.0.bias"]
        weights |= {f"{2 * i}.weight": weight.float(), f"{2 * i}.bias": bias.float()}
    return weights


def nearest_quality(quality: float) -> int:
    """The one of QUALITIES whose network is meant for a JPEG of `quality`; 101 for lossless (100) and unknown (NaN)."""
    if np.isnan(quality):
        return QUALITIES[-1]
    return min(QUALITIES, key=lambda each: abs(each - quality))


def to_grey(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [H, W] in [0, 1], with the luma weights of JPEG."""
    return (image @ np.array(LUMA, np.float32) / 255).astype(np.float32)


@torch.no_grad()
def extract(network: nn.Sequential, grey: np.ndarray, tile: int = TILE) -> np.ndarray:
    """The noiseprint float32 [H, W] of a grey image, in tiles: equal to that of one pass, up to rounding."""
    height, width = grey.shape
    found = np.empty_like(grey)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            up, start = max(0, top - RADIUS), max(0, left - RADIUS)
            part = grey[up : top + tile + RADIUS, start : left + tile + RADIUS]
            result = network(torch.from_numpy(part)[None, None].to(pick_device()))[0, 0].cpu().numpy()
            inner = found[top : top + tile, left : left + tile]
            inner[:] = result[top - up :, left - start :][: inner.shape[0], : inner.shape[1]]
    return found
