"""Fast Fourier convolution (Chi et al. 2020), the block that LaMa is made of (Suvorov et al. 2022).

A 3x3 convolution depends on neighbouring pixels. A 1x1 convolution *of the spectrum* depends on all pixels, since
every frequency is a sum over them; so the receptive field of one layer spans a large hole. The channels are split:
local ones are convolved as usual, global ones also pass through the spectrum.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

GLOBAL_SHARE = 0.75  # of the channels, as in LaMa
GROUPS = 8  # of the normalisation; with LaMa's batch norm an image would depend on its batch in training


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels)


def spectral(x: torch.Tensor, weight: torch.Tensor, between=lambda spectrum: spectrum) -> torch.Tensor:
    """x [n, C, H, W] -> rfft2 -> `weight` [2 C, 2 C] across real and imaginary parts -> `between` -> irfft2.

    The spectrum is [n, 2 C, H, W // 2 + 1]: C real parts, then C imaginary ones. norm="ortho" keeps the scale of
    values. In float32, since half-precision transforms do not support every size.
    """
    height, width = x.shape[-2:]
    with torch.autocast(x.device.type, enabled=False):
        spectrum = torch.fft.rfft2(x.float(), norm="ortho")
        parts = torch.cat([spectrum.real, spectrum.imag], dim=1)
        real, imaginary = between(F.conv2d(parts, weight.float()[..., None, None])).chunk(2, dim=1)
        return torch.fft.irfft2(torch.complex(real, imaginary), s=(height, width), norm="ortho")


class SpectralTransform(nn.Module):
    """The global path: 1x1 convolution to half the channels, residual spectral convolution, 1x1 convolution back."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.enter = nn.Sequential(nn.Conv2d(channels, half, 1, bias=False), group_norm(half), nn.SiLU())
        self.weight = nn.Parameter(torch.randn(2 * half, 2 * half) / (2 * half) ** 0.5)
        self.between = nn.Sequential(group_norm(2 * half), nn.SiLU())
        self.leave = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = self.enter(x)
        return self.leave(inside + spectral(inside, self.weight, self.between))


class FFC(nn.Module):
    """One fast Fourier convolution [n, C, H, W] -> [n, C, H, W]: local and global channels, with paths between them."""

    def __init__(self, channels: int):
        super().__init__()
        self.far = round(channels * GLOBAL_SHARE)
        self.near = channels - self.far
        self.to_near = nn.Conv2d(channels, self.near, 3, padding=1, padding_mode="reflect", bias=False)
        self.near_to_far = nn.Conv2d(self.near, self.far, 3, padding=1, padding_mode="reflect", bias=False)
        self.far_to_far = SpectralTransform(self.far)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        near, far = x.split([self.near, self.far], dim=1)
        return torch.cat([self.to_near(x), self.near_to_far(near) + self.far_to_far(far)], dim=1)


class FFCBlock(nn.Module):
    """A residual block of two fast Fourier convolutions; `channels` must be a multiple of 64."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(FFC(channels), group_norm(channels), nn.SiLU(), FFC(channels), group_norm(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)
