"""Pluralistic image completion (Zheng et al. 2019): a conditional VAE that fills one hole in several ways.

Two encoders look at a face. The prior sees it with the hole and says what could be there, as a normal distribution of
a code z. The posterior sees the truth and says which code it was. In training the painter gets the posterior's code
and must paint the truth (the code is worth listening to), and the prior learns to foresee the posterior. Afterwards
codes are drawn from the prior: another code, another filling.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.generators.diffusion.schedule import noise_like
from wsdl.generators.inpainting.encoder_decoder import Down, Up
from wsdl.generators.inpainting.ffc import norm

CODE_SIZE = 32  # numbers in z
FREE_NATS = 0.1  # nats of each number of z that cost nothing (see `kl_loss`)
KL_WEIGHT = 0.05  # of the KL in nats, beside the mean error of pictures in [-1, 1]
PRIOR_ERROR_WEIGHT = 0.3  # weight of the mean error where the prior's codes paint
COLOUR_WEIGHT = 0.7  # weight of `colour_error` there
_COLOUR_PATCH = 8  # pixels a side, over which colours are averaged

Normal = tuple[torch.Tensor, torch.Tensor]  # mean and log of the deviation, each [n, CODE]


def normal_kl(posterior: Normal, prior: Normal) -> torch.Tensor:
    """KL(posterior || prior) of two diagonal normals, in nats: [n, CODE]."""
    (m, log_s), (m0, log_s0) = posterior, prior
    return log_s0 - log_s + ((2 * log_s).exp() + (m - m0).square()) / (2 * (2 * log_s0).exp()) - 0.5


def kl_loss(posterior: Normal, prior: Normal, free: float = FREE_NATS) -> torch.Tensor:
    """The KL summed over z, where each number of z has `free` nats for nothing (Kingma et al. 2016).

    This is the guard against posterior collapse. Left to itself, the KL is cheapest when the code says nothing, and
    the painter then learns not to listen: all fillings are the same. Below `free` nats there is nothing to gain.
    """
    return normal_kl(posterior, prior).mean(dim=0).clamp(min=free).sum()


def colour_error(apart: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
    """The mean error in the holes of colours averaged over COARSE x COARSE pixels; apart [n, 3, S, S], 0 elsewhere.

    A filling may be another than the truth in its detail. Its colours on the whole may not: the critic, which sees
    small patches, would let a cheek take on the blue of the wall beside it.
    """
    painted = F.avg_pool2d(holes, _COLOUR_PATCH).sum().clamp(min=_COLOUR_PATCH**-2)
    return F.avg_pool2d(apart, _COLOUR_PATCH).abs().sum() / (apart.shape[1] * painted)


def sample_code(normal: Normal, noise: torch.Tensor) -> torch.Tensor:
    """A code from `normal`, by noise [n, CODE]: differentiable in both numbers."""
    return normal[0] + normal[1].exp() * noise


class CodeBlock(nn.Module):
    """Two convolutions around a shortcut; the code shifts and scales what is between them."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Sequential(norm(width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), norm(width))
        self.code = nn.Linear(CODE_SIZE, 2 * width)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        scale, offset = self.code(z)[..., None, None].chunk(2, dim=1)
        return x + self.second(self.first(x) * (1 + scale) + offset)


class CodeDistribution(nn.Module):
    """Features at S/8 [n, width, s, s] -> the normal distribution of z, within sane bounds."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width // 2, 4, stride=2, padding=1), nn.SiLU())
        self.head = nn.Linear(width // 2, 2 * CODE_SIZE)

    def forward(self, features: torch.Tensor) -> Normal:
        mean, log_deviation = self.head(self.body(features).mean(dim=(2, 3))).float().chunk(2, dim=1)
        return mean, log_deviation.clamp(-6, 3)


class Pluralistic(nn.Module):
    """The small network. Prior and painter share the way down of the picture with its hole."""

    def __init__(self, width: int = 192, blocks: int = 3):
        super().__init__()
        self.down, self.up = Down(4, width), Up(width)
        self.prior = CodeDistribution(width)
        self.truth, self.posterior = Down(4, width // 2), CodeDistribution(width // 2)
        self.blocks = nn.ModuleList(CodeBlock(width) for _ in range(blocks))

    def forward(self, known: torch.Tensor, holes: torch.Tensor, noise: torch.Tensor, truth: torch.Tensor | None = None):
        """Painted pictures [n, 3, S, S] and the two distributions (posterior, prior).

        known [n, 3, S, S] in [-1, 1], 0 in its holes [n, 1, S, S] (1 = paint); noise [n, CODE]. With `truth`, the
        whole pictures, the first half of the batch (rounded up) is painted from the posterior's codes and the rest
        from the prior's: so both ways of painting are trained for the price of one. Without it, all from the prior's.
        """
        features = self.down(torch.cat([known, holes], dim=1))
        prior, posterior = self.prior(features[-1]), None
        z = sample_code(prior, noise)
        if truth is not None:
            posterior = self.posterior(self.truth(torch.cat([truth, holes], dim=1))[-1])
            told = posterior_count(len(z))
            z = torch.cat([sample_code(posterior, noise)[:told], z[told:]])
        x = features[-1]
        for block in self.blocks:
            x = block(x, z)
        return self.up(x, features), posterior, prior

    def paint(self, known: torch.Tensor, holes: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """One filling a picture, its code drawn from the prior by its own seed."""
        noise, _ = noise_like((CODE_SIZE,), seeds)
        return self(known, holes, noise.to(known.device))[0]


def posterior_count(n: int) -> int:
    """How many pictures of a batch of n are painted from the truth's code."""
    return (n + 1) // 2
