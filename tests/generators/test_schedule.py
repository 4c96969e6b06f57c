"""The P2 schedule and loss, against diffusers and against themselves."""

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdl.generators.diffusion import schedule
from wsdl.generators.diffusion.p2 import p2_loss


def test_alphas_bar_is_that_of_diffusers():
    expected = DDPMScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02).alphas_cumprod
    torch.testing.assert_close(schedule.alphas_bar(), expected, rtol=1e-6, atol=0)


def test_p2_weight_on_x0_with_gamma_and_k_one_is_abar():
    abar = schedule.alphas_bar()
    torch.testing.assert_close(schedule.p2_weight(abar, "x0", gamma=1.0, k=1.0), abar, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("predicts", ["x0", "noise"])
def test_gamma_zero_is_the_plain_weight(predicts):
    abar = schedule.alphas_bar()
    assert torch.equal(schedule.p2_weight(abar, predicts, gamma=0.0), schedule.plain_weight(abar, predicts))


def test_p2_weight_plays_down_the_almost_clean_steps():
    weight = schedule.p2_weight(schedule.alphas_bar(), "noise")
    assert (weight.diff() > 0).all()  # grows with t, that is with noise
    assert weight[0] < 0.001
    assert weight[-1] > 0.999


@settings(max_examples=30, deadline=None)
@given(t=st.integers(0, 999), seed=st.integers(0, 1000))
def test_noise_and_x0_are_each_others_inverse(t, seed):
    source = torch.Generator().manual_seed(seed)
    x0, noise = torch.randn(2, 1, 3, 4, 4, generator=source, dtype=torch.float64)
    abar = schedule.alphas_bar()[[t]].double()
    x_t = schedule.add_noise(x0, noise, abar)
    torch.testing.assert_close(schedule.noise_from_x0(x_t, x0, abar), noise)
    torch.testing.assert_close(schedule.x0_from_noise(x_t, noise, abar), x0)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_loss_is_the_same_in_terms_of_noise_and_of_x0(gamma):
    torch.manual_seed(0)
    x0, noise = torch.rand(4, 3, 8, 8) * 2 - 1, torch.randn(4, 3, 8, 8)
    t = torch.tensor([200, 500, 800, 990])
    guess = torch.rand(4, 3, 8, 8) * 2 - 1  # some prediction of x0
    abar = schedule.alphas_bar()[t]
    same_guess = schedule.noise_from_x0(schedule.add_noise(x0, noise, abar), guess, abar)
    losses = [
        p2_loss(lambda x, t, moved: guess, x0, t, noise, "x0", gamma),
        p2_loss(lambda x, t, moved: same_guess, x0, t, noise, "noise", gamma),
    ]
    torch.testing.assert_close(*losses, rtol=1e-3, atol=0)


def test_start_noise_does_not_depend_on_the_batch():
    together, _ = schedule.noise_like((3, 4, 4), [5, 6, 7])
    alone, _ = schedule.noise_like((3, 4, 4), [6])
    assert torch.equal(together[1], alone[0])
    assert not torch.equal(together[0], together[1])
