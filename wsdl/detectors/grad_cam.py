"""Grad-CAM (Selvaraju et al. 2017, as in the paper, section 3): a classifier of pictures is asked where it looked.

Xception learns real or fake from image labels. Afterwards each channel of block11 is weighted by how much the class
"fake" would gain from it, and the weighted sum, where positive, is the map. In setup C there is nothing to ask
afterwards: block11 and a 1 x 1 convolution learn the mask itself (FCN).
"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.detectors.base import Detector
from wsdl.detectors.patches import Patches
from wsdl.detectors.xception import stretch, xception


class GradCam(Detector):
    """Input S x S -> map about S/16 x S/16 (19 x 19 at 299, 8 x 8 at 128)."""

    def __init__(self, setup: str, input_size: int = 299):
        super().__init__(setup, input_size)
        network = xception()
        self.trunk = stretch(network, "conv1", "block11")
        self.head = nn.Conv2d(728, 2, kernel_size=1) if setup == "c" else stretch(network, "block12", "fc")

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, 3, S, S] -> logits [n, 2], in setup C [n, 2, h, w]; class 1 = fake."""
        return self.head(self.trunk(x))

    @staticmethod
    def loss_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Setups A and B: the network answers for the whole picture [n]."""
        return F.cross_entropy(logits, labels)

    loss_masks = staticmethod(Patches.loss_masks)  # setup C: a cell is told which part of it is painted

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps [n, h, w] and scores [n]: P(fake) of the picture, in setup C the mean of the map.

        (The paper ranks by the logit of "fake" alone; the probability asks the other logit too.)
        """
        if self.setup == "c":
            maps = self.logits(x).float().softmax(dim=1)[:, 1]
            return maps, maps.mean(dim=(1, 2))
        cams, logits = self.cam(x)
        return squash(cams), logits.softmax(dim=1)[:, 1]

    def cam(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Grad-CAM [n, h, w] >= 0 as its authors define it, not normalised, and the logits [n, 2].

        The gradient is needed no deeper than block11's output: the trunk runs without one.
        """
        with torch.no_grad():
            features = self.trunk(x)  # [n, 728, h, w]
        with torch.enable_grad():
            logits = self.head(features.requires_grad_()).float()
            (slope,) = torch.autograd.grad(logits[:, 1].sum(), features)
        gain = slope.float().mean(dim=(2, 3), keepdim=True)  # [n, 728, 1, 1]
        return F.relu((gain * features.detach().float()).sum(dim=1)), logits.detach()

    def paper_maps(self, maps: np.ndarray) -> np.ndarray:
        """The maps that the paper scores: in setup C they are probabilities and stay."""
        return maps if self.setup == "c" else paper_maps(maps)


def squash(cams: torch.Tensor) -> torch.Tensor:
    """CAM [n, h, w] >= 0 -> map in [0, 1): x / (1 + x), where x = CAM times the number of cells.

    A map must lie in [0, 1], and a CAM has no upper end. Dividing by the picture's own maximum (see `paper_maps`)
    would put a 1 into every picture, real ones too. This curve knows nothing of the picture: 0 stays 0, and equal
    evidence is an equal value in every picture. x is about what the logit of "fake" would gain if all cells were like
    this one (exactly, where only a mean over cells and a linear layer follow); the map is 0.5 where that gain is 1.
    """
    x = cams * (cams.shape[1] * cams.shape[2])
    return x / (1 + x)


def paper_maps(maps: np.ndarray) -> np.ndarray:
    """The paper's maps out of `squash`ed ones [n, h, w]: each CAM divided by its own maximum; all zero stays zero.

    So every picture has a 1 somewhere, and "> 0.5" means "more than half of this picture's strongest cell".
    """
    maps = np.minimum(maps.astype(np.float64), 1 - 2.0**-24)  # the largest float32 below 1
    cams = maps / (1 - maps)
    largest = cams.max(axis=(1, 2), keepdims=True)
    return np.divide(cams, largest, out=np.zeros_like(cams), where=largest > 0).astype(np.float32)
