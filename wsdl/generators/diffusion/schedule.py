"""Noise schedule and loss weights of P2 ("perception prioritized" training, Choi et al. 2022).

Notation: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, SNR_t = abar_t / (1 - abar_t), t = 0 .. steps-1.
"""

import torch

# Keyword arguments of diffusers' schedulers. Pixels are in [-1, 1], so a predicted x0 may be clipped; latents are
# unbounded.
PIXEL_SCHEDULE = {"beta_start": 1e-4, "beta_end": 0.02, "clip_sample": True}
LATENT_SCHEDULE = {**PIXEL_SCHEDULE, "clip_sample": False}


def alphas_bar(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> torch.Tensor:
    """abar_t of the linear schedule: float32 [steps], from almost 1 (clean) to almost 0 (noise)."""
    return torch.cumprod(1 - torch.linspace(first, last, steps, dtype=torch.float32), dim=0)


def noise_like(shape: tuple[int, ...], seeds: list[int]) -> tuple[torch.Tensor, list[torch.Generator]]:
    """Initial noise [n, *shape] and one CPU generator per image, so that an image does not depend on its batch."""
    sources = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([torch.randn(shape, generator=source) for source in sources]), sources


def snr(abar: torch.Tensor) -> torch.Tensor:
    """Signal-to-noise ratio abar / (1 - abar)."""
    return abar / (1 - abar)


def plain_weight(abar: torch.Tensor, predicts: str) -> torch.Tensor:
    """Weight of the plain DDPM loss: 1 on the squared error of the noise, hence SNR on that of x0."""
    return torch.ones_like(abar) if predicts == "noise" else snr(abar)


def p2_weight(abar: torch.Tensor, predicts: str, gamma: float = 1.0, k: float = 1.0) -> torch.Tensor:
    """P2: the plain weight times 1 / (k + SNR)^gamma, which plays down the almost clean steps.

    With gamma = k = 1 the weight on the error of x0 is SNR / (1 + SNR), which is just abar.
    """
    return plain_weight(abar, predicts) / (k + snr(abar)) ** gamma


def add_noise(x0: torch.Tensor, noise: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    """x_t from x0 and noise [n, C, H, W] and abar_t [n]."""
    abar = abar.view(-1, 1, 1, 1)
    return abar.sqrt() * x0 + (1 - abar).sqrt() * noise


def add_noise_between(x_s: torch.Tensor, abar_s: float, abar_t: float, sources: list[torch.Generator]) -> torch.Tensor:
    """x_t drawn from q(x_t | x_s), s < t: x_s [n, C, H, W] with noise from one generator per image added."""
    noise = torch.stack([torch.randn(x_s.shape[1:], generator=source) for source in sources])
    kept = abar_t / abar_s
    return kept**0.5 * x_s + (1 - kept) ** 0.5 * noise.to(x_s)


def noise_from_x0(x_t: torch.Tensor, x0: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    """The noise that turns x0 into x_t at abar_t [n]."""
    abar = abar.view(-1, 1, 1, 1)
    return (x_t - abar.sqrt() * x0) / (1 - abar).sqrt()


def x0_from_noise(x_t: torch.Tensor, noise: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    """The clean image x0 of x_t, given its noise, at abar_t [n]."""
    abar = abar.view(-1, 1, 1, 1)
    return (x_t - (1 - abar).sqrt() * noise) / abar.sqrt()
