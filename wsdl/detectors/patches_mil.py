"""Patches-MIL: a patch detector that learns to localise from image labels (multiple-instance learning).

It differs from Patches in three ways. The loss pools the patches of an image before it compares them with the label
(`wsdl.detectors.label_losses`). Xception is cut after block1, so that a patch covers 15 % of the image side at 128 px,
as the paper's patches do at 299 px. And the grid of patches is twice as fine.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.io import WsdlError
from wsdl.detectors.base import Detector
from wsdl.detectors.label_losses import TOP, find_label_loss, top_mean
from wsdl.detectors.xception import stretch, xception

_CHANNELS = {"block1": 128, "block2": 256}  # of the output of a block of Xception


class PatchesMil(Detector):
    """88,545 parameters; input S x S -> map about S/4 x S/4 (30 x 30 at 128), receptive field 19 px.

    label_loss: a name in LABEL_LOSSES, used in setups A and B. last_block: where Xception is cut, block1, or block2 for
    input of the paper's size.
    """

    def __init__(
        self,
        input_size: int = 128,
        has_masks: bool = False,
        label_loss: str = "multi-k",
        last_block: str = "block1",
    ):
        super().__init__(input_size, has_masks)
        if last_block not in _CHANNELS:
            raise WsdlError(f"last_block is '{last_block}', but must be one of {', '.join(_CHANNELS)}.")
        self.label_loss = find_label_loss(label_loss)
        self.features = stretch(xception(), "conv1", last_block)
        self.head = nn.Sequential(
            nn.Conv2d(_CHANNELS[last_block], 256, kernel_size=1),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Conv2d(256, 1, kernel_size=1),
        )

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, 3, S, S] -> logits [n, h, w] of "fake"."""
        return self.head(self.features(x))[:, 0]

    def loss_labels(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Setups A and B: the loss called `label_loss`."""
        return self.label_loss(logits, labels)

    @staticmethod
    def loss_masks(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Setup C, and pasted pieces: the target of a patch is the fraction of it that is fake in masks [n, H, W].

        Pixels of another value than 0 and 1 have no target.
        """
        known, fake = (
            F.interpolate(part[:, None].float(), logits.shape[-2:], mode="area")[:, 0]
            for part in (masks < 2, masks == 1)
        )
        target = (fake / known.clamp(min=1e-6)).clamp(max=1)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return (known * loss).sum() / known.sum().clamp(min=1)

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Patch probabilities [n, h, w], and the mean of the highest 5 % of them [n]."""
        maps = self.logits(x).float().sigmoid()
        return maps, self.pool(maps)

    @staticmethod
    def pool(maps: torch.Tensor) -> torch.Tensor:
        """The image scores [n] of maps [n, h, w] of any size."""
        return top_mean(maps, TOP)
