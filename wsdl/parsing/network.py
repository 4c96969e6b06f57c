"""The parsing network: a plain U-Net of less than a million parameters, and what a mirror does to its classes."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.io import WsdlError
from wsdl.data.masks import CLASSES

WIDTHS = (16, 32, 48, 64, 96, 160)  # channels at each level, from full resolution to 1/32: 0.95 M parameters
GROUP = 8  # channels that are normalised together

# A mirror turns left into right: class MIRRORED[c] is what class c becomes. It is its own inverse.
_OTHER_SIDE = {name: name.replace("left", "right") if "left" in name else name.replace("right", "left")
               for name in CLASSES}  # fmt: skip
MIRRORED = torch.tensor([CLASSES.index(_OTHER_SIDE[name]) for name in CLASSES])


class FaceUNet(nn.Module):
    """Pictures [n, 3, S, S] in [-1, 1] -> logits [n, 19, S, S] of the CelebAMask-HQ classes.

    Left and right are classes of their own: the lowest level sees the whole face, so the network can tell them apart.
    Groups, not batches, are normalised: a photograph is then normalised by itself, not by the statistics of renders.
    On the way up, levels are narrowed before they are enlarged and added to their skip, not stacked on it: most of the
    time of a U-Net goes into convolutions at full resolution.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS):
        super().__init__()
        self.step = 2 ** (len(widths) - 1)  # the side S must be a multiple of it
        self.down = nn.ModuleList([block(3, widths[0])])
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in zip(widths[1:], widths[:-1], strict=True):
            self.down.append(block(narrow, wide))
            self.narrow.insert(0, nn.Conv2d(wide, narrow, 1))
            self.up.insert(0, block(narrow, narrow))
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        if pictures.shape[-1] % self.step or pictures.shape[-2] % self.step:
            raise WsdlError(f"size: is {pictures.shape[-1]} px, but the parser needs a multiple of {self.step}.")
        x, skips = self.down[0](pictures), []
        for down in self.down[1:]:
            skips.append(x)
            x = down(F.max_pool2d(x, 2))
        for narrow, up in zip(self.narrow, self.up, strict=True):
            x = up(F.interpolate(narrow(x), scale_factor=2, mode="bilinear", align_corners=False) + skips.pop())
        return self.head(x)


def block(before: int, after: int) -> nn.Sequential:
    """Two 3x3 convolutions, each normalised in groups."""
    layers = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.GroupNorm(after // GROUP, after), nn.SiLU()]
    return nn.Sequential(*layers)


def mirror_labels(labels: torch.Tensor) -> torch.Tensor:
    """Label maps [..., H, W] as a mirror shows them: flipped, with left and right exchanged."""
    return MIRRORED.to(labels.device)[labels.flip(-1).long()].to(labels.dtype)


def mirror_logits(logits: torch.Tensor) -> torch.Tensor:
    """Logits [n, 19, H, W] as a mirror shows them."""
    return logits.flip(-1)[:, MIRRORED.to(logits.device)]
