"""HiFi-Net (Guo et al., "Hierarchical fine-grained image forgery detection and localization", CVPR 2023).

Written from the paper, with the names of tensors, the constants and the input of the code of the authors (`HiFi_Net.py`
and `NLCDetection_api.py` there), for which there is no package. Their loss and training are not part of wsdl.
"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

from wsdl.detectors.published.hifinet_backbone import WIDTHS, HiFiBackbone

SIDE = 256  # pixels, of the input and of the maps
DISTANCE = 2.3  # from the centre of the real pixels, in the space of the features; those beyond it are fake
_FOLD = 4  # side of the squares of features that attention compares
# Forgery methods in levels, coarse to fine: for each class of a level, the class of the level above that it belongs to.
# In the code of the authors the last seven of 14 methods belong to the fifth of seven classes; their weights need that.
_PARENTS = (0, 1, 1, 2, 2), (0, 1, 1, 2, 2, 3, 4), (0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4)
_COARSEST = 3  # classes: real, wholly generated, edited in part


def to_hifinet_input(x: torch.Tensor) -> torch.Tensor:
    """Values 0 to 255 [1, 3, H, W] -> [0, 1] at SIDE x SIDE pixels, resized by Pillow as the authors do."""
    image = Image.fromarray(x[0].permute(1, 2, 0).byte().cpu().numpy())
    pixels = np.array(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).to(x.device).permute(2, 0, 1)[None].float() / 255


class HiFiNet(nn.Module):
    """Maps [n, H, W] and scores [n] in [0, 1] of images [n, 3, H, W] in [0, 1], with sides that are multiples of 8.

    Real pixels have features near a centre, which was measured after training. With the distance d from it the map is
    d / (d + DISTANCE): .5 where the authors separate real from fake. The score is 1 - the probability of "real".
    """

    def __init__(self):
        super().__init__()
        self.FENet, self.SegNet = HiFiBackbone(), HiFiHeads()
        self.register_buffer("center", torch.zeros(WIDTHS[0]))
        self.register_buffer("radius", torch.zeros(()))  # of the real pixels in training; only their loss needs it

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features, logits = self.SegNet(self.FENet(x), x)
        distance = (features - self.center[:, None, None]).norm(dim=1)
        return distance / (distance + DISTANCE), 1 - logits.softmax(1)[:, 0]


class HiFiHeads(nn.Module):
    """From the features of four scales and the image: features of each pixel [n, 18, H, W], logits of 14 classes."""

    def __init__(self):
        super().__init__()
        w1, w2, w3, w4 = WIDTHS
        self.getmask = _MaskHead(w1)
        self.branch_cls_level_1 = _ClassHead(w4 + w3 + w2 + w1 + 1, len(_PARENTS[2]))
        self.branch_cls_level_2 = _ClassHead(w4 + w3 + w2, len(_PARENTS[1]))
        self.branch_cls_level_3 = _ClassHead(w4 + w3, len(_PARENTS[0]))
        self.branch_cls_level_4 = _ClassHead(w4, _COARSEST)

    def forward(self, features: list[torch.Tensor], image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        of_pixels, of_mask = self.getmask(features[0], image)
        _, share = self.branch_cls_level_4(features[3])
        x = features[3]
        for level, parents in zip((3, 2, 1), _PARENTS, strict=True):
            finer = features[level - 1]
            x = torch.cat([_resize(x, finer), finer], dim=1)
            if level == 1:
                x = torch.cat([x, _resize(of_mask, finer)], dim=1)
            logits, own_share = getattr(self, f"branch_cls_level_{level}")(x)
            logits = logits * (1 + share[:, list(parents)])  # a likely coarse class favours its own finer ones
            share = own_share
        return of_pixels, logits


class _ClassHead(nn.Module):
    """Logits [n, K] of features, and the share [n, K] of each class: a softmax over those with positive logits."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        narrow = WIDTHS[0]
        self.branch_cls = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, narrow, 3, padding=1), nn.ReLU()
        )
        self.bn, self.fc = nn.BatchNorm1d(narrow), nn.Linear(narrow, classes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.fc(self.bn(self.branch_cls(x).mean(dim=(2, 3))))
        return logits, torch.where(logits > 0, logits, -9e15).softmax(1)  # finite: all of them may be negative


class _MaskHead(nn.Module):
    """Self-attention on the finest features; then a mask, and what partial convolutions see of the image through it."""

    def __init__(self, channels: int):
        super().__init__()
        folded = channels * _FOLD**2
        self.g, self.theta, self.phi = (nn.Conv2d(folded, folded, 1) for _ in range(3))
        self.W_s, self.gamma_s = nn.Conv2d(channels, channels, 1), nn.Parameter(torch.ones(1))
        self.getmask = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 3, padding=1))
        self.Pconv_1, self.Pconv_2, self.Pconv_3 = _PartialConv(3), _PartialConv(3), _PartialConv(1)

    def forward(self, x: torch.Tensor, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        n, channels, height, width = x.shape
        # The authors reshape instead of folding squares of pixels into channels; their weights need the same.
        folded = x.reshape(n, channels * _FOLD**2, height // _FOLD, width // _FOLD)
        query, key, value = (layer(folded).flatten(2).transpose(1, 2) for layer in (self.theta, self.phi, self.g))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        features = x + self.gamma_s * self.W_s(attended.transpose(1, 2).reshape(x.shape))
        weight = self.getmask(features).sigmoid().expand(-1, 3, -1, -1)
        seen, weight = self.Pconv_1(image * weight, weight)
        seen, weight = self.Pconv_2(seen, weight)
        return features, self.Pconv_3(seen, weight)[0]


class _PartialConv(nn.Module):
    """Convolution divided by the sum of the weights that it covers; 0 where that is 0. Returns where it is not, too."""

    def __init__(self, channels: int):
        super().__init__()
        self.input_conv = nn.Conv2d(3, channels, 3, stride=2)
        self.mask_conv = nn.Conv2d(3, channels, 3, stride=2, bias=False)
        nn.init.ones_(self.mask_conv.weight)

    def forward(self, x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        total, bias = self.mask_conv(weight), self.input_conv.bias[:, None, None]
        empty = total == 0
        made = (self.input_conv(x) - bias) / total.masked_fill(empty, 1) + bias
        return made.masked_fill(empty, 0), (~empty).float()


def _resize(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
