"""Attention (Dang et al. 2020, as in the paper, section 3): the network draws a map and must look through it.

In the middle of Xception, after block7, one convolution draws the map; the features are multiplied by it before they go
on. What the map hides the classifier cannot use, so image labels alone teach it where to open. In setup C the map
learns the mask, and what comes after it is not there.
"""

import torch
import torch.nn.functional as F
from timm.models.xception import SeparableConv2d

from wsdl.detectors.base import Batch, Detector
from wsdl.detectors.xception import stretch, xception


class Attention(Detector):
    """Input S x S -> map about S/16 x S/16 (19 x 19 at 299, 8 x 8 at 128)."""

    def __init__(self, setup: str, input_size: int = 299):
        super().__init__(setup, input_size)
        network = xception()
        self.before = stretch(network, "conv1", "block7")
        self.map = SeparableConv2d(728, 1, kernel_size=3, padding=1)
        if setup != "c":
            self.after = stretch(network, "block8", "fc")

    def attend(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x [n, 3, S, S] -> features [n, 728, h, w] and the map's logits [n, 1, h, w]."""
        features = self.before(x)
        return features, self.map(features)

    def classify(self, features: torch.Tensor, map_logits: torch.Tensor) -> torch.Tensor:
        """Logits [n, 2] of what the map lets through; class 1 = fake."""
        return self.after(features * map_logits.sigmoid())

    def loss(self, batch: Batch) -> torch.Tensor:
        x = self.prepare(batch.images)
        features, map_logits = self.attend(x)
        if self.setup == "c":
            return self.loss_masks(map_logits.float(), batch.masks.to(x.device))
        logits = self.classify(features, map_logits).float()
        return self.loss_labels(logits, map_logits.float(), batch.labels.to(x.device))

    @staticmethod
    def loss_labels(logits, map_logits, labels: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        """Setups A and B: the picture is told its label [n], and so is the strongest cell, `weight` (lambda) times.

        A real picture has no fake cell and a fake has one at least; nothing says how many.
        """
        strongest = map_logits.flatten(1).amax(dim=1)
        return F.cross_entropy(logits, labels) + weight * F.binary_cross_entropy_with_logits(strongest, labels.float())

    @staticmethod
    def loss_masks(map_logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Setup C: a cell is told which part of it is painted in masks [n, H, W]."""
        part = F.interpolate(masks[:, None].float(), map_logits.shape[-2:], mode="area")  # [n, 1, h, w] in [0, 1]
        return F.binary_cross_entropy_with_logits(map_logits, part)

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps [n, h, w] and scores [n]: P(fake) of the picture, in setup C the mean of the map."""
        features, map_logits = self.attend(x)
        maps = map_logits[:, 0].float().sigmoid()
        if self.setup == "c":
            return maps, maps.mean(dim=(1, 2))
        return maps, self.classify(features, map_logits).float().softmax(dim=1)[:, 1]
