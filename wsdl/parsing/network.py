"""The parsing network, a plain U-Net with less than a million parameters, and mirroring of its classes."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.io import WsdlError
from wsdl.data.masks import CLASSES

PARSER_WIDTHS = (16, 32, 48, 64, 96, 160)  # channels at each level, from full resolution to 1/32: 0.95 M parameters
_GROUP = 8  # channels per normalisation group

# Mirroring exchanges left and right: class c becomes MIRRORED[c].
_OTHER_SIDE = {name: name.replace("left", "right") if "left" in name else name.replace("right", "left")
               for name in CLASSES}  # fmt: skip
MIRRORED = torch.tensor([CLASSES.index(_OTHER_SIDE[name]) for name in CLASSES])


class FaceUNet(nn.Module):
    """Images [n, 3, S, S] in [-1, 1] -> logits [n, 19, S, S] of the CelebAMask-HQ classes.

    Left and right are separate classes; the receptive field of the lowest level covers the face, so the network can
    separate them. Group normalisation does not depend on the statistics of the training renders. In the decoder,
    channels are reduced before upsampling and added to the skip connection instead of concatenated, because
    convolutions at full resolution take most of the time.
    """

    def __init__(self, widths: tuple[int, ...] = PARSER_WIDTHS):
        super().__init__()
        self.step = 2 ** (len(widths) - 1)  # the side S must be a multiple of it
        self.down = nn.ModuleList([_conv_block(3, widths[0])])
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in zip(widths[1:], widths[:-1], strict=True):
            self.down.append(_conv_block(narrow, wide))
            self.narrow.insert(0, nn.Conv2d(wide, narrow, 1))
            self.up.insert(0, _conv_block(narrow, narrow))
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[-1] % self.step or images.shape[-2] % self.step:
            raise WsdlError(f"size: is {images.shape[-1]} px, but the parser needs a multiple of {self.step}.")
        x, skips = self.down[0](images), []
        for down in self.down[1:]:
            skips.append(x)
            x = down(F.max_pool2d(x, 2))
        for narrow, up in zip(self.narrow, self.up, strict=True):
            x = up(F.interpolate(narrow(x), scale_factor=2, mode="bilinear", align_corners=False) + skips.pop())
        return self.head(x)


def _conv_block(before: int, after: int) -> nn.Sequential:
    """Two 3x3 convolutions with group normalisation and SiLU."""
    layers = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, 3, padding=1, bias=False),
            nn.GroupNorm(after // _GROUP, after),
            nn.SiLU(),
        ]
    return nn.Sequential(*layers)


def mirror_labels(labels: torch.Tensor) -> torch.Tensor:
    """Mirror label maps [..., H, W]: flipped, with left and right classes exchanged."""
    return MIRRORED.to(labels.device)[labels.flip(-1).long()].to(labels.dtype)


def mirror_logits(logits: torch.Tensor) -> torch.Tensor:
    """Mirror logits [n, 19, H, W], with left and right classes exchanged."""
    return logits.flip(-1)[:, MIRRORED.to(logits.device)]
