"""The backbone of HiFi-Net (Guo et al., CVPR 2023): HRNet with a branch for high frequencies.

Blocks and stages are those of timm. Tensors have the names and shapes of the code of the authors.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.models.hrnet import HighResolutionModule
from timm.models.resnet import BasicBlock, Bottleneck

WIDTHS = 18, 36, 72, 144  # channels of the four scales
_STEM = 64  # channels of the two branches at full resolution
_BLURS = 2, 4, 8  # standard deviations in pixels, also the factors of resizing


class HiFiBackbone(nn.Module):
    """Features of RGB images [n, 3, H, W] in [0, 1]: four maps of WIDTHS channels, with sides 1, 1/2, 1/4 and 1/8."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = _conv(3, _STEM), nn.BatchNorm2d(_STEM)
        self.conv2, self.bn2 = _conv(_STEM, _STEM), nn.BatchNorm2d(_STEM)
        self.conv1fre, self.bn1fre = _conv(3, _STEM), nn.BatchNorm2d(_STEM)
        self.laplacian = Laplacian(_STEM)
        self.conv2fre, self.bn2fre = _conv(_STEM, _STEM), nn.BatchNorm2d(_STEM)
        self.conv_1x1_merge = nn.Sequential(
            nn.Conv2d(2 * _STEM, _STEM, 1, bias=False, groups=2), nn.BatchNorm2d(_STEM), nn.ReLU()
        )
        wide = Bottleneck.expansion * _STEM
        shortcut = nn.Sequential(nn.Conv2d(_STEM, wide, 1, bias=False), nn.BatchNorm2d(wide))
        self.layer1 = nn.Sequential(Bottleneck(_STEM, _STEM, downsample=shortcut), Bottleneck(wide, _STEM))
        self.transition1 = nn.ModuleList(_transition(wide, width, halvings) for halvings, width in enumerate(WIDTHS))
        self.stage2, self.stage3, self.stage4 = _stage(), _stage(), _stage()

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        colour = F.relu(self.bn1(self.conv1(x)))
        colour = F.relu(self.bn2(self.conv2(colour)))
        frequency = self.laplacian(F.relu(self.bn1fre(self.conv1fre(x))))
        frequency = F.relu(self.bn2fre(self.conv2fre(frequency)))
        x = self.layer1(self.conv_1x1_merge(torch.cat([colour, frequency], dim=1)))
        features = [transition(x) for transition in self.transition1]
        return self.stage4(self.stage3(self.stage2(features)))


class Laplacian(nn.Module):
    """What blurring and shrinking by 2, 4 and 8 removes from features [n, C, H, W], mixed by a 1x1 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.smoothing = nn.ModuleDict({f"scale-{blur}": _Gaussian(channels, blur) for blur in _BLURS})
        self.conv_1x1 = nn.Sequential(
            nn.Conv2d(channels * len(_BLURS), channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        removed = []
        for blur in _BLURS:
            small = F.interpolate(self.smoothing[f"scale-{blur}"](x), scale_factor=1 / blur, mode="bilinear")
            removed.append(x - F.interpolate(small, size=x.shape[2:], mode="bilinear"))
        return self.conv_1x1(torch.cat(removed, dim=1))


class _Gaussian(nn.Module):
    """Each channel convolved with a Gaussian of 3 x 3 pixels, without padding."""

    def __init__(self, channels: int, std: float):
        super().__init__()
        line = torch.exp(-torch.tensor([-1.0, 0.0, 1.0]).square() / (2 * std**2))
        kernel = line[:, None] * line / line.sum() ** 2
        self.register_buffer("weight", kernel.repeat(channels, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight, groups=len(self.weight))


def _conv(given: int, made: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(given, made, 3, stride, padding=1, bias=False)


def _transition(given: int, width: int, halvings: int) -> nn.Sequential:
    """To `width` channels: at the same size without halvings, else by that many convolutions of stride 2."""
    if halvings == 0:
        return nn.Sequential(_conv(given, width), nn.BatchNorm2d(width), nn.ReLU())
    widths = [given] * (halvings - 1) + [width]
    steps = [nn.Sequential(_conv(given, each, stride=2), nn.BatchNorm2d(each), nn.ReLU()) for each in widths]
    return nn.Sequential(*steps)


def _stage() -> nn.Sequential:
    """One module of HRNet, which exchanges features between the scales; list of four maps -> list of four maps."""
    module = HighResolutionModule(len(WIDTHS), BasicBlock, (2,) * len(WIDTHS), [*WIDTHS], WIDTHS, "SUM")
    for layer in module.modules():
        if isinstance(layer, nn.Upsample):  # as the authors resize; timm takes the nearest value
            layer.mode, layer.align_corners = "bilinear", True
    return nn.Sequential(module)
