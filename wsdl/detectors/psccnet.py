"""PSCC-Net (Liu et al. 2022), trained in setup C: maps at four scales, each of which guides the next finer one.

The network is that of the package imdlbenco. The loss is that of its authors: at each scale the cross-entropy of the
pixels, where inpainted and real ones count half each, plus the cross-entropy of the image label.

What differs from the paper. The backbone starts from random weights with He initialisation instead of ImageNet's: the
standard deviation of 0.001 of its authors needs longer training, as does their low momentum of batch normalisation.
Setup C has no real images, so the label head is trained on fakes alone and its output is not used: the image score is
the mean of the map, as in the other methods in this setup.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.io import WsdlError
from wsdl.core.ranks import whole_batch
from wsdl.detectors.base import Batch, Detector
from wsdl.detectors.published.peers import build_network, psccnet_logits
from wsdl.detectors.resize import inpainted_fractions

STEP = 8  # pixels: the side of an output at the coarsest scale


class PsccNet(Detector):
    """3,667,942 parameters; input S x S, S a multiple of STEP -> map S x S.

    WsdlError in setups A and B, for another S, and where imdlbenco cannot be imported.
    """

    def __init__(self, input_size: int = 256, has_masks: bool = True):
        if not has_masks:
            raise WsdlError("psccnet: learns from masks, which setups a and b must not see; train it with --setup c.")
        if input_size % STEP:
            raise WsdlError(f"psccnet: input_size is {input_size}, but must be a multiple of {STEP}.")
        super().__init__(input_size, has_masks)
        self.network = build_network("psccnet", input_size)
        for layer in self.network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.1
        for layer in self.network.FENet.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """x [n, 3, S, S] in [-1, 1] -> features at four scales; the network takes values in [0, 1]."""
        return self.network.FENet((x + 1) / 2)

    def loss(self, batch: Batch) -> torch.Tensor:
        x, size = self.prepare(batch.images), len(batch.labels)
        features = self.features(x)
        maps = [whole_batch(logits.float(), size) for logits in psccnet_logits(self.network, features)]
        label_logits = whole_batch(self.network.ClsNet(features).float(), size)
        return self.loss_masks(maps, batch.masks.to(x.device)) + F.cross_entropy(
            label_logits, batch.labels.to(x.device)
        )

    @staticmethod
    def loss_masks(maps: list[torch.Tensor], masks: torch.Tensor) -> torch.Tensor:
        """The sum over all scales of the balanced loss of logits [n, 1, h, w], from masks [n, H, W].

        The target of an output is whether more than half of its cell is inpainted.
        """
        targets = [(inpainted_fractions(masks, logits.shape[-2:]) > 0.5).float() for logits in maps]
        return torch.stack([balanced_loss(*pair) for pair in zip(maps, targets, strict=True)]).sum()

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixel probabilities [n, S, S] at the finest scale, and their means [n]."""
        maps = psccnet_logits(self.network, self.features(x))[0][:, 0].float().sigmoid()
        return maps, maps.mean(dim=(1, 2))


def balanced_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits and a target in {0, 1} of the same shape: each class has half of the weight.

    Without any 1 in the batch it is the plain mean.
    """
    share = target.mean()
    weight = torch.where(target > 0, 0.5 / share, 0.5 / (1 - share)) if share > 0 else None
    return F.binary_cross_entropy_with_logits(logits, target, weight)
