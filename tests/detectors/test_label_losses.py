"""Losses from image labels: values by hand, gradients, and what each of them asks of the patches of a fake."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, softplus

from wsdl.detectors.label_losses import (
    LABEL_LOSSES,
    every_patch_loss,
    linear_softmax_loss,
    log_sum_exp_loss,
    max_loss,
    mean_loss,
    multi_k_loss,
    noisy_or_loss,
    positive_unlabelled_loss,
    top_k_loss,
    top_mean,
)

POOLED = sorted(set(LABEL_LOSSES) - {"every-patch", "mean", "positive-unlabelled"})


@pytest.fixture
def logits():
    return torch.randn(6, 10, 20, generator=torch.Generator().manual_seed(0)) * 2


LABELS = torch.tensor([0, 1, 0, 1, 1, 0])


@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_a_perfect_map_costs_nothing_and_its_opposite_much(name):
    found = torch.full((2, 10, 10), -20.0)
    found[1, :4, :3] = 20.0  # 12 % of the fake
    loss = LABEL_LOSSES[name]
    if name not in ("every-patch", "mean"):  # they want the whole fake to be marked
        assert loss(found, torch.tensor([0, 1])) < 0.05
    assert loss(found, torch.tensor([1, 0])) > 0.5


@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_gradients_are_finite_for_extreme_logits(name, logits):
    for scale in (0, 1, 50):
        x = (logits * scale).requires_grad_()
        LABEL_LOSSES[name](x, LABELS).backward()
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", POOLED)
def test_the_real_part_of_a_fake_hardly_counts(name):
    """The gradient of a fake falls on its highest patches, whereas the loss on every patch pulls at all of them."""
    x = torch.full((1, 20, 20), -6.0)
    x[0, :3, :3] = 2.0
    x.requires_grad_()
    LABEL_LOSSES[name](x, torch.tensor([1])).backward()
    highest, rest = x.grad[0, :3, :3].abs().sum(), x.grad.abs().sum()
    assert highest / rest > 0.4
    y = x.detach().requires_grad_()
    every_patch_loss(y, torch.tensor([1])).backward()
    assert y.grad[0, :3, :3].abs().sum() / y.grad.abs().sum() < 0.1


@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_the_place_of_a_patch_does_not_matter(name, logits):
    moved = logits.flatten(1)[:, torch.randperm(200)].reshape(6, 10, 20)
    torch.testing.assert_close(LABEL_LOSSES[name](moved, LABELS), LABEL_LOSSES[name](logits, LABELS))


def test_losses_against_their_definitions(logits):
    y, flat = LABELS.float(), logits.flatten(1)
    bce = binary_cross_entropy_with_logits
    expected = {
        every_patch_loss: bce(flat, y[:, None].expand(6, 200)),
        max_loss: bce(flat.max(dim=1).values, y),
        mean_loss: bce(flat.mean(dim=1), y),
        top_k_loss: bce(flat.sort(dim=1).values[:, -10:].mean(dim=1), y),
        log_sum_exp_loss: bce((4 * flat).exp().mean(dim=1).log() / 4, y),
    }
    for loss, value in expected.items():
        torch.testing.assert_close(loss(logits, LABELS), value)
    ks = [flat.sort(dim=1).values[:, -k:].mean(dim=1) for k in (1, 2, 4, 10, 20)]
    torch.testing.assert_close(multi_k_loss(logits, LABELS), sum(bce(k, y) for k in ks) / 5)


def test_probabilities_against_their_definitions(logits):
    y, p = LABELS.float(), logits.flatten(1).sigmoid()
    linear = (p * p).sum(dim=1) / p.sum(dim=1)
    torch.testing.assert_close(linear_softmax_loss(logits, LABELS), binary_cross_entropy(linear, y))
    mild = logits.double() / 8  # a product of 200 probabilities
    fake = 1 - (1 - mild.flatten(1).sigmoid()).prod(dim=1) ** (1 / (0.05 * 200))
    torch.testing.assert_close(noisy_or_loss(mild, LABELS), binary_cross_entropy(fake, y.double()))


def test_nnpu_is_never_below_zero_and_knows_the_prior():
    half = torch.full((2, 10, 10), -12.0)
    half[1, 0] = 12.0  # 10 % of the fake: the assumed prior
    assert positive_unlabelled_loss(half, torch.tensor([0, 1])) == pytest.approx(0, abs=0.02)
    all_fake = torch.full((2, 10, 10), 12.0)
    all_fake[0] = -12.0
    # every patch of the fake is called fake: the part that the prior calls real is not charged twice
    assert positive_unlabelled_loss(all_fake, torch.tensor([0, 1])) < 0.05
    assert positive_unlabelled_loss(-all_fake, torch.tensor([0, 1])) > float(softplus(torch.tensor(5.0)))


def test_top_mean_takes_at_least_one_patch():
    values = torch.tensor([[[1.0, 3.0], [2.0, 0.0]]])
    assert top_mean(values, 1e-9) == 3
    assert top_mean(values, 0.5) == 2.5
    assert math.isclose(top_mean(values, 1.0), 1.5)
