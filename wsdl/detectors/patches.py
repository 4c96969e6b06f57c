"""Patches (Chai et al. 2020; section 3 of the paper): a truncated network classifies every patch on its own.

The network is Xception up to block2. Each output has a receptive field of 43 px, so a decision can only use evidence
inside its patch. The map is the grid of patch probabilities, the image score their mean.
"""

from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.detectors.base import Detector
from wsdl.detectors.resize import central_pixels, inpainted_fractions
from wsdl.detectors.xception import stretch, xception


class Patches(Detector):
    """191,330 parameters; input S x S -> map about S/8 x S/8 (37 x 37 at 299)."""

    def __init__(self, input_size: int = 299, has_masks: bool = False, as_published: bool = False):
        super().__init__(input_size, has_masks, as_published)
        self.lanczos = as_published and not has_masks
        if as_published:
            self.loss_masks = partial(self.loss_masks, cells=central_pixels)
        self.features = stretch(xception(as_published), "conv1", "block2")
        self.head = nn.Conv2d(256, 2, kernel_size=1)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, 3, S, S] -> logits [n, 2, h, w], class 1 = fake."""
        return self.head(self.features(x))

    @staticmethod
    def loss_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Setups A and B: the target of every patch is the label [n] of its image, right or wrong."""
        n, _, h, w = logits.shape
        return F.cross_entropy(logits, labels.view(n, 1, 1).expand(n, h, w))

    @staticmethod
    def loss_masks(logits: torch.Tensor, masks: torch.Tensor, cells=inpainted_fractions) -> torch.Tensor:
        """Setup C: the target of a patch is the fraction of its cell that is inpainted in masks [n, H, W].

        A fraction keeps the border in place when the map is upsampled. The paper's target is the pixel at the centre
        of the cell (`cells=central_pixels`), which moves the border by up to half a cell. Lesson 05 measures it.
        """
        fraction = cells(masks, logits.shape[-2:])  # [n, 1, h, w] in [0, 1]
        return F.cross_entropy(logits, torch.cat([1 - fraction, fraction], dim=1))

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Patch probabilities [n, h, w] and their means [n]."""
        maps = self.logits(x).float().softmax(dim=1)[:, 1]
        return maps, self.pool(maps)

    @staticmethod
    def pool(maps: torch.Tensor) -> torch.Tensor:
        """The image scores [n] of maps [n, h, w] of any size."""
        return maps.mean(dim=(1, 2))
