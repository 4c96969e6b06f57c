"""Patches (Chai et al. 2020, as in the paper, section 3): a small receptive field judges every patch by itself.

The network is Xception cut after block2: each of its outputs sees 43 px of the input and nothing else, so what it
learns must be visible in a patch. The map is the grid of patch probabilities, the score their mean.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.detectors.base import Detector
from wsdl.detectors.xception import stretch, xception


class Patches(Detector):
    """191,330 parameters; input S x S -> map about S/8 x S/8 (37 x 37 at 299)."""

    def __init__(self, setup: str, input_size: int = 299):
        super().__init__(setup, input_size)
        self.features = stretch(xception(), "conv1", "block2")
        self.head = nn.Conv2d(256, 2, kernel_size=1)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, 3, S, S] -> logits [n, 2, h, w], class 1 = fake."""
        return self.head(self.features(x))

    @staticmethod
    def loss_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Setups A and B: every patch is told the label of its picture [n], true or not."""
        n, _, h, w = logits.shape
        return F.cross_entropy(logits, labels.view(n, 1, 1).expand(n, h, w))

    @staticmethod
    def loss_masks(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Setup C: a patch is told which part of its cell is painted in masks [n, H, W].

        The paper does not say how a mask becomes cells. The part keeps the border where it is when the map is enlarged;
        a yes or no (more than half?) moves it to the next cell. Lesson 05 measures what that is worth.
        """
        part = F.interpolate(masks[:, None].float(), logits.shape[-2:], mode="area")  # [n, 1, h, w] in [0, 1]
        return F.cross_entropy(logits, torch.cat([1 - part, part], dim=1))

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Patch probabilities [n, h, w] and their means [n]."""
        maps = self.logits(x).float().softmax(dim=1)[:, 1]
        return maps, maps.mean(dim=(1, 2))
