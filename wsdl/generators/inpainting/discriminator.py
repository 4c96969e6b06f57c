"""The patch discriminator of the inpainting networks: which patches of an image are inpainted?

Trained with the mean error alone, a network predicts the average of all plausible fillings, which is blurred and
easy to detect. The discriminator classifies patches of 38 px as real or inpainted, and the inpainting network is
trained to be classified as real, with the hinge loss and spectral normalisation of free-form inpainting (Yu et al.
2019). With equal weights of adversarial loss and mean error, short trainings give grids of strokes in wrong colours,
so the mean error dominates, and most in the first part of the training. A patch counts as inpainted if it overlaps the
mask; the discriminator does not see the mask.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm

ADVERSARIAL_WEIGHTS = 0.1, 0.3  # against the mean error of pixels in [-1, 1]: at first, and later
ADVERSARIAL_SWITCH = 20_000  # training images after which the second weight applies
PATCH_STRIDE = 8  # pixels between the patches of the discriminator's map


class Discriminator(nn.Module):
    """Images [n, 3, S, S] in [-1, 1] -> a map of logits [n, 1, S/8, S/8], high where a patch looks real.

    Spectral normalisation bounds the discriminator's Lipschitz constant.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in, channels_out in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
            conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)
            layers += [spectral_norm(conv), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(4 * width, 1, 3, padding=1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def adversarial_weight(images: int) -> float:
    """The weight of `adversarial_loss` after `images` training images."""
    return ADVERSARIAL_WEIGHTS[images >= ADVERSARIAL_SWITCH]


def hole_patches(masks: torch.Tensor) -> torch.Tensor:
    """Masks [n, 1, S, S] -> [n, 1, S/8, S/8], 1 for the patches whose centre square overlaps the mask, else 0."""
    return F.max_pool2d(masks, PATCH_STRIDE)


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of `values` where `mask` (broadcast) is 1; 0 where the mask is empty."""
    mask = mask.expand_as(values)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """Hinge loss: logits of real patches should be above 1, of inpainted ones below -1. All [n, 1, s, s]."""
    return F.relu(1 - real.float()).mean() + masked_mean(F.relu(1 + fake.float()), patches)


def adversarial_loss(fake: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """The negative mean logit of the inpainted patches: low where the discriminator classifies them as real."""
    return -masked_mean(fake.float(), patches)
