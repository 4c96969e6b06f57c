"""The spectral path of a fast Fourier convolution, against transforms written as matrices."""

import numpy as np
import pytest
import torch

from wsdl.generators.inpainting.ffc import FFC, FFCBlock, spectral
from wsdl.generators.inpainting.lama import LaMa

SHAPES = [(8, 8), (6, 10), (5, 7), (7, 4)]  # the last frequency of an even width is special


def dft(n: int, sign: int) -> np.ndarray:
    """The orthonormal Fourier matrix [n, n]."""
    k = np.arange(n)
    return np.exp(sign * 2j * np.pi * np.outer(k, k) / n) / np.sqrt(n)


def by_matrices(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What `spectral` does to x [C, H, W], in the open."""
    channels, height, width = x.shape
    kept = width // 2 + 1
    spectrum = dft(height, -1) @ x @ dft(width, -1)[:, :kept]
    parts = np.einsum("oc,chw->ohw", weight, np.concatenate([spectrum.real, spectrum.imag]))
    columns = dft(height, 1) @ (parts[:channels] + 1j * parts[channels:])
    twice = np.full(
        kept, 2.0
    )  # a real signal has each frequency twice, but the constant, and the last of an even width
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    return (columns @ (twice[:, None] * dft(width, 1)[:kept])).real


@pytest.mark.parametrize("shape", SHAPES)
def test_identity_weights_give_back_the_input(shape):
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(spectral(x, torch.eye(6)), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_random_weights_do_what_fourier_matrices_do(shape):
    source = torch.Generator().manual_seed(1)
    x, weight = torch.randn(1, 3, *shape, generator=source), torch.randn(6, 6, generator=source)
    expected = by_matrices(x[0].double().numpy(), weight.double().numpy())
    np.testing.assert_allclose(spectral(x, weight)[0].numpy(), expected, rtol=0, atol=1e-4)


def test_the_spectrum_sees_the_whole_image_in_one_layer():
    """A crossing of real and imaginary parts moves what is in one corner to the other side of the image."""
    x, weight = torch.zeros(1, 1, 16, 16), torch.tensor([[1.0, 0.0], [0.0, -1.0]])  # the conjugate: a half turn
    x[0, 0, 2, 3] = 1
    turned = spectral(x, weight)
    assert turned[0, 0, 14, 13] == pytest.approx(1, abs=1e-5)
    assert turned.abs().sum() == pytest.approx(1, abs=1e-3)


def test_local_and_global_channels_hear_each_other():
    torch.manual_seed(0)
    layer = FFC(64)
    assert (layer.near, layer.far) == (16, 48)
    x = torch.randn(1, 64, 8, 8, requires_grad=True)
    for part in layer(x).split([16, 48], dim=1):
        (slope,) = torch.autograd.grad(part.square().sum(), x, retain_graph=True)
        assert (slope.abs().amax(dim=(0, 2, 3)) > 0).all()


def test_in_half_precision_the_spectrum_stays_in_float32():
    block, x = FFCBlock(64), torch.randn(1, 64, 6, 6)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert spectral(x.bfloat16(), torch.eye(128).bfloat16()).dtype == torch.float32
        assert block(x).isfinite().all()


def test_every_weight_of_lama_takes_part():
    torch.manual_seed(0)
    network = LaMa(64, 1)
    network(torch.randn(2, 3, 16, 16), torch.ones(2, 1, 16, 16)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())
