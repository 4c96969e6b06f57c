"""Grad-CAM (Selvaraju et al. 2017; section 3 of the paper): a localisation map from an image classifier.

Xception learns real or fake from image labels. The channels of block11 are then weighted by the gradient of the logit
"fake". The positive part of their weighted sum, minus its minimum, over its maximum, enlarged to the size of the input,
is the map: the one that is scored, shown and returned everywhere. Setup C needs no gradient: block11 and a small head
learn the mask itself (FCN).
"""

from functools import partial

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.io import WsdlError
from wsdl.detectors.base import Detector
from wsdl.detectors.patches import Patches
from wsdl.detectors.resize import central_pixels
from wsdl.detectors.xception import stretch, xception

RELATIVE = (
    "A Grad-CAM map is scaled to its own minimum and maximum: unless it is empty, some patch is 1, also in a real "
    "image; only the score says whether the image looks fake."
)


class GradCam(Detector):
    """Input S x S -> patches about S/16 x S/16 (19 x 19 at 299, 8 x 8 at 128); in A and B enlarged to a map S x S."""

    def __init__(self, input_size: int = 299, has_masks: bool = False, as_published: bool = False):
        super().__init__(input_size, has_masks, as_published)
        self.note = "" if has_masks else RELATIVE
        self.lanczos = as_published and not has_masks
        if as_published:
            self.loss_masks = partial(self.loss_masks, cells=central_pixels)
        self.normalise = scale_to_unit
        network = xception(as_published)
        self.trunk = stretch(network, "conv1", "block11")
        self.head = _fcn_head(as_published) if has_masks else stretch(network, "block12", "fc")

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, 3, S, S] -> logits [n, 2], in setup C [n, 2, h, w]; class 1 = fake."""
        return self.head(self.trunk(x))

    @staticmethod
    def loss_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Setups A and B: one classification loss per image with label [n]."""
        return F.cross_entropy(logits, labels)

    loss_masks = staticmethod(Patches.loss_masks)  # setup C: the target of a patch is its inpainted fraction

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps [n, S, S] and scores [n]: P(fake) of the image. In setup C maps [n, h, w], and their means.

        The paper ranks images by the logit of "fake"; the probability also depends on the logit of "real".
        """
        if self.has_masks:
            maps = self.logits(x).float().softmax(dim=1)[:, 1]
            return maps, maps.mean(dim=(1, 2))
        cams, logits = self.cam(x)
        maps = F.interpolate(self.normalise(cams)[:, None], x.shape[-2:], mode="bilinear")[:, 0]
        return maps, (logits if self.as_published else logits.softmax(dim=1))[:, 1]

    def cam(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Grad-CAM [n, h, w] >= 0 as published, not normalised, and the logits [n, 2].

        Only the head needs a gradient, so the trunk runs without one.
        """
        with torch.no_grad():
            features = self.trunk(x)  # [n, 728, h, w]
        with torch.enable_grad():
            logits = self.head(features.requires_grad_()).float()
            (gradient,) = torch.autograd.grad(logits[:, 1].sum(), features)
        weights = gradient.float().mean(dim=(2, 3), keepdim=True)  # [n, 728, 1, 1]
        return F.relu((weights * features.detach().float()).sum(dim=1)), logits.detach()


def grad_cam_of(model: nn.Module, layer: nn.Module, x: torch.Tensor, target: int = 1) -> np.ndarray:
    """Grad-CAM of any classifier: maps float32 [n, h, w] in [0, 1] for its output `target`, by `scale_to_unit`.

    x: a batch as `model` takes it; it returns logits [n, classes], and `layer`, a part of it such as its last block,
    returns features [n, channels, h, w]. The model is run in evaluation mode and left as it was, without hooks or
    gradients. WsdlError where the layer is not used, or returns something else.
    """
    kept = []

    def keep(module, inputs, features):
        kept.append(features.detach().requires_grad_())  # layers before this one need no gradient
        return kept[-1]

    hook, was_training = layer.register_forward_hook(keep), model.training
    try:
        with torch.enable_grad():
            logits = model.eval()(x)
            if len(kept) != 1 or kept[0].ndim != 4 or logits.ndim != 2:
                raise WsdlError(
                    "grad_cam_of: layer must run once and return [n, channels, h, w], and model [n, classes]."
                )
            (gradient,) = torch.autograd.grad(logits[:, target].sum(), kept[0])
    finally:
        hook.remove()
        model.train(was_training)
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # [n, channels, 1, 1]
    return scale_to_unit(F.relu((weights * kept[0].detach()).sum(dim=1))).float().cpu().numpy()


def scale_to_unit(cams: torch.Tensor) -> torch.Tensor:
    """CAM [n, h, w] -> [0, 1], as in the paper: minus its own minimum, then over its own maximum; constant ones are 0.

    "> 0.5" means "more than half of the strongest patch of this image". A map that is not empty contains a 1, also in a
    real image: it says where an image looks most like a fake, not whether it does. That is for the score to say.
    """
    above = cams - cams.amin(dim=(1, 2), keepdim=True)
    largest = above.amax(dim=(1, 2), keepdim=True)
    return torch.where(largest > 0, above / largest, above)


def squash(cams: torch.Tensor) -> torch.Tensor:
    """CAM [n, h, w] >= 0 -> map in [0, 1): x / (1 + x), where x = CAM times the number of patches.

    A variant, for comparison (lesson 06). It does not depend on the rest of the image: equal evidence gives an equal
    value in every image, and a real image may have an empty map. x is about the gain of the logit "fake" if all patches
    were like this one (exactly so before global average pooling and a linear layer); the map is 0.5 where it is 1.
    """
    x = cams * (cams.shape[1] * cams.shape[2])
    return x / (1 + x)


def _fcn_head(as_published: bool) -> nn.Module:
    """Features [n, 728, h, w] of block11 -> logits [n, 2, h, w]: one 1 x 1 convolution of 1,458 parameters.

    as_published: that of a fully convolutional network (3 x 3 convolution, normalisation, dropout, 1 x 1), 1.19 M. It
    sees the neighbours of a patch, but needs more images than `quick` has.
    """
    if not as_published:
        return nn.Conv2d(728, 2, kernel_size=1)
    from torchvision.models.segmentation.fcn import FCNHead

    return FCNHead(728, 2)
