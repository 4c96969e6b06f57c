"""Pluralistic image completion (Zheng et al. 2019): a conditional VAE with several results for one mask.

The prior encodes the image with its hole as a normal distribution of a latent code z, the posterior encodes the
complete image. In training the decoder reconstructs the image from a code of the posterior, and the KL divergence
brings the prior close to the posterior. At inference codes are sampled from the prior: another code, another result.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.generators.diffusion.schedule import noise_like
from wsdl.generators.inpainting.encoder_decoder import Down, Up
from wsdl.generators.inpainting.ffc import group_norm

CODE_SIZE = 32  # dimensions of z
FREE_NATS = 0.1  # nats per dimension of z without cost (see `kl_loss`)
KL_WEIGHT = 0.05  # of the KL in nats, against the mean error of pixels in [-1, 1]
PRIOR_ERROR_WEIGHT = 0.3  # weight of the mean error of images from codes of the prior
COLOUR_WEIGHT = 0.7  # weight of `colour_error` of these images
_COLOUR_PATCH = 8  # side in pixels of the squares over which colours are averaged

Normal = tuple[torch.Tensor, torch.Tensor]  # mean and log standard deviation, each [n, CODE_SIZE]


def normal_kl(posterior: Normal, prior: Normal) -> torch.Tensor:
    """KL(posterior || prior) of two diagonal normals, in nats: [n, CODE_SIZE]."""
    (m, log_s), (m0, log_s0) = posterior, prior
    return log_s0 - log_s + ((2 * log_s).exp() + (m - m0).square()) / (2 * (2 * log_s0).exp()) - 0.5


def kl_loss(posterior: Normal, prior: Normal, free: float = FREE_NATS) -> torch.Tensor:
    """The KL summed over z, with `free` nats per dimension of z without cost (Kingma et al. 2016).

    This prevents posterior collapse. The plain KL is lowest when the code carries no information; the decoder then
    ignores it and all results are the same. Below `free` nats there is no gradient.
    """
    return normal_kl(posterior, prior).mean(dim=0).clamp(min=free).sum()


def colour_error(difference: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
    """Mean error in the holes of colours averaged over 8 x 8 pixels; difference [n, 3, S, S], 0 outside the holes.

    A result sampled from the prior may differ from the original in detail, but not in its colours. The discriminator
    does not enforce that: a patch of cheek in the blue of the background looks real to it.
    """
    area = F.avg_pool2d(holes, _COLOUR_PATCH).sum().clamp(min=_COLOUR_PATCH**-2)
    return F.avg_pool2d(difference, _COLOUR_PATCH).abs().sum() / (difference.shape[1] * area)


def sample_code(normal: Normal, noise: torch.Tensor) -> torch.Tensor:
    """A code sampled from `normal` by standard normal noise [n, CODE_SIZE]; differentiable in its parameters."""
    return normal[0] + normal[1].exp() * noise


class CodeBlock(nn.Module):
    """A residual block of two convolutions; the code scales and shifts the features between them."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Sequential(
            group_norm(width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), group_norm(width)
        )
        self.code = nn.Linear(CODE_SIZE, 2 * width)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        scale, offset = self.code(z)[..., None, None].chunk(2, dim=1)
        return x + self.second(self.first(x) * (1 + scale) + offset)


class CodeDistribution(nn.Module):
    """Features at S/8 [n, width, s, s] -> the normal distribution of z, with bounded log standard deviation."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width // 2, 4, stride=2, padding=1), nn.SiLU())
        self.head = nn.Linear(width // 2, 2 * CODE_SIZE)

    def forward(self, features: torch.Tensor) -> Normal:
        mean, log_deviation = self.head(self.body(features).mean(dim=(2, 3))).float().chunk(2, dim=1)
        return mean, log_deviation.clamp(-6, 3)


class Pluralistic(nn.Module):
    """The small network. Prior and decoder share the encoder of the image with its hole."""

    def __init__(self, width: int, blocks: int = 3):
        super().__init__()
        self.down, self.up = Down(4, width), Up(width)
        self.prior = CodeDistribution(width)
        self.truth, self.posterior = Down(4, width // 2), CodeDistribution(width // 2)
        self.blocks = nn.ModuleList(CodeBlock(width) for _ in range(blocks))

    def forward(self, known: torch.Tensor, holes: torch.Tensor, noise: torch.Tensor, truth: torch.Tensor | None = None):
        """Inpainted images [n, 3, S, S], and the distributions posterior (None without `truth`) and prior.

        known [n, 3, S, S] in [-1, 1], 0 where holes [n, 1, S, S] are 1; noise [n, CODE_SIZE]; truth: the complete
        images. With `truth` the first half of the batch (rounded up) is decoded from codes of the posterior and the
        rest from codes of the prior, so that one pass trains both; without it all are from the prior.
        """
        features = self.down(torch.cat([known, holes], dim=1))
        prior, posterior = self.prior(features[-1]), None
        z = sample_code(prior, noise)
        if truth is not None:
            posterior = self.posterior(self.truth(torch.cat([truth, holes], dim=1))[-1])
            half = posterior_count(len(z))
            z = torch.cat([sample_code(posterior, noise)[:half], z[half:]])
        x = features[-1]
        for block in self.blocks:
            x = block(x, z)
        return self.up(x, features), posterior, prior

    def inpaint(self, known: torch.Tensor, holes: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """One result per image; its code is sampled from the prior with its own seed."""
        noise, _ = noise_like((CODE_SIZE,), seeds)
        return self(known, holes, noise.to(known.device))[0]


def posterior_count(n: int) -> int:
    """How many images of a batch of n are decoded from codes of the posterior."""
    return (n + 1) // 2
