"""Attention (Dang et al. 2020; section 3 of the paper): the map is an attention layer inside the classifier.

After block7 of Xception one convolution predicts a map, and the features are multiplied by it. The classifier cannot
use what the map suppresses, so image labels alone train the map. In setup C the map is trained on the mask and the
layers behind it are left out.
"""

from functools import partial

import torch
import torch.nn.functional as F
from timm.models.xception import SeparableConv2d

from wsdl.core.ranks import whole_batch
from wsdl.detectors.base import Batch, Detector
from wsdl.detectors.resize import bilinear_fractions, inpainted_fractions
from wsdl.detectors.xception import stretch, xception


class Attention(Detector):
    """Input S x S -> map about S/16 x S/16 (19 x 19 at 299, 8 x 8 at 128)."""

    def __init__(self, input_size: int = 299, has_masks: bool = False, as_published: bool = False):
        super().__init__(input_size, has_masks, as_published)
        if as_published:
            self.loss_masks = partial(self.loss_masks, cells=bilinear_fractions)
        network = xception(as_published)
        self.before = stretch(network, "conv1", "block7")
        self.map = SeparableConv2d(728, 1, kernel_size=3, padding=1)
        if not has_masks:
            self.after = stretch(network, "block8", "fc")

    def attend(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x [n, 3, S, S] -> features [n, 728, h, w] and the map's logits [n, 1, h, w]."""
        features = self.before(x)
        return features, self.map(features)

    def classify(self, features: torch.Tensor, map_logits: torch.Tensor) -> torch.Tensor:
        """Image logits [n, 2] from the features weighted by the map; class 1 = fake."""
        return self.after(features * map_logits.sigmoid())

    def loss(self, batch: Batch) -> torch.Tensor:
        x, size = self.prepare(batch.images), len(batch.labels)
        features, map_logits = self.attend(x)
        maps = whole_batch(map_logits.float(), size)
        if self.has_masks:
            return self.loss_masks(maps, batch.masks.to(x.device))
        logits = whole_batch(self.classify(features, map_logits).float(), size)
        return self.loss_labels(logits, maps, batch.labels.to(x.device))

    @staticmethod
    def loss_labels(logits, map_logits, labels: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        """Setups A and B: the label [n] is the target of the image and, times `weight` (lambda), of the map's maximum.

        A real image has no fake patch and a fake has at least one; the number of fake patches is not supervised.
        """
        maximum = map_logits.flatten(1).amax(dim=1)
        return F.cross_entropy(logits, labels) + weight * F.binary_cross_entropy_with_logits(maximum, labels.float())

    @staticmethod
    def loss_masks(map_logits: torch.Tensor, masks: torch.Tensor, cells=inpainted_fractions) -> torch.Tensor:
        """Setup C: the target of a patch is the fraction of its cell that is inpainted in masks [n, H, W]."""
        fraction = cells(masks, map_logits.shape[-2:])  # [n, 1, h, w] in [0, 1]
        return F.binary_cross_entropy_with_logits(map_logits, fraction)

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps [n, h, w] and scores [n]: P(fake) of the image (as published: its logit), in setup C the map's mean."""
        features, map_logits = self.attend(x)
        maps = map_logits[:, 0].float().sigmoid()
        if self.has_masks:
            return maps, maps.mean(dim=(1, 2))
        logits = self.classify(features, map_logits).float()
        return maps, (logits if self.as_published else logits.softmax(dim=1))[:, 1]
