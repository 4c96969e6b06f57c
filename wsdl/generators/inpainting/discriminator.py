"""The critic that keeps inpainting sharp: which patches of this picture were painted?

With the mean error alone a network paints the average of all that could be there: a blur, which a detector would find
without knowing anything about forgery. The critic looks at patches of 38 px and tells real ones from painted ones; the
painter must please it. As in free-form inpainting (Yu et al. 2019): hinge loss and spectral normalisation. At their
equal weight of critic and mean error a short training paints grids of strokes in wrong colours: here the error leads
until colours and shapes are right, and what is fine comes last. A patch counts as painted only where it holds some of
the hole, and the critic is not told where that is: it learns to find it, as the detectors of this package do.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm

ADVERSARIAL_WEIGHTS = (
    0.1,
    0.3,
)  # weight of the critic's opinion beside the mean error of pictures in [-1, 1]: first, and later
ADVERSARIAL_SWITCH = 20_000  # pictures seen when the second weight begins
PATCH_STRIDE = 8  # pixels of the picture to a cell of the critic's map


class Discriminator(nn.Module):
    """Pictures [n, 3, S, S] in [-1, 1] -> a map [n, 1, S/8, S/8], high where it looks real.

    Spectral normalisation holds each layer's largest gain at 1, so that the critic cannot win by shouting.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        layers: list[nn.Module] = []
        for few, many in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [spectral_norm(nn.Conv2d(few, many, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(4 * width, 1, 3, padding=1)))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures)


def adversarial_weight(seen: int) -> float:
    """The weight of `pleasing_loss` after `seen` pictures."""
    return ADVERSARIAL_WEIGHTS[seen >= ADVERSARIAL_SWITCH]


def hole_patches(holes: torch.Tensor) -> torch.Tensor:
    """Holes [n, 1, S, S] -> the cells [n, 1, S/8, S/8] that hold any of the hole: 1, else 0."""
    return F.max_pool2d(holes, PATCH_STRIDE)


def masked_mean(values: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The mean of `values` over the cells or pixels where `where` (broadcast) is 1."""
    where = where.expand_as(values)
    return (values * where).sum() / where.sum().clamp(min=1)


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor, painted: torch.Tensor) -> torch.Tensor:
    """Hinge: real cells should be above 1, painted cells below -1. Maps and `painted` [n, 1, s, s]."""
    return F.relu(1 - real.float()).mean() + masked_mean(F.relu(1 + fake.float()), painted)


def adversarial_loss(fake: torch.Tensor, painted: torch.Tensor) -> torch.Tensor:
    """What the painter wants: that its cells look real."""
    return -masked_mean(fake.float(), painted)
