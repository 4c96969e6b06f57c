"""Losses that train a patch detector from image labels alone: what the label of an image says about its patches.

Every loss is a function (logits [n, h, w] of "fake", labels [n] in {0, 1}) -> scalar, and stands in LABEL_LOSSES. All
but the first and the last pool the patches of an image to one logit and compare it with the label (multiple-instance
learning): a fake needs some fake patches, a real image has none.
"""

import math

import torch
import torch.nn.functional as F

from wsdl.core.io import WsdlError

TOP = 0.05  # fraction of the patches that `top_k_loss` and the image score use
_FRACTIONS = 0.005, 0.01, 0.02, 0.05, 0.1  # of `multi_k_loss`
_SHARPNESS = 4.0  # of log-sum-exp: 0 is the mean, infinity the maximum
_PRIOR = 0.1  # fraction of a fake that is inpainted, assumed by `positive_unlabelled_loss`


def every_patch_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Every patch has the label of its image (Chai et al. 2020; the paper, section 3)."""
    return _compare(logits, labels[:, None, None].expand_as(logits))


def max_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The highest patch has the label of the image (Andrews et al. 2002)."""
    return _compare(logits.flatten(1).amax(dim=1), labels)


def mean_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean logit has the label of the image: global average pooling (Zhou et al. 2016)."""
    return _compare(logits.mean(dim=(1, 2)), labels)


def top_k_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean of the highest 5 % of the logits has the label of the image (Durand et al. 2016)."""
    return _compare(top_mean(logits, TOP), labels)


def multi_k_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """`top_k_loss` averaged over several k, because the area of the inpainted region is unknown."""
    return torch.stack([_compare(top_mean(logits, fraction), labels) for fraction in _FRACTIONS]).mean()


def log_sum_exp_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A smooth maximum of the logits has the label of the image (Pinheiro & Collobert 2015)."""
    pooled = torch.logsumexp(_SHARPNESS * logits.flatten(1), dim=1) - math.log(logits[0].numel())
    return _compare(pooled / _SHARPNESS, labels)


def linear_softmax_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean probability, weighted by the probabilities themselves, is that of the image (Wang et al. 2019)."""
    p = logits.flatten(1).sigmoid()
    return _compare_probability(p.square().sum(dim=1) / p.sum(dim=1), labels)


def noisy_or_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """An image is real if all of its patches are, independently (Viola et al. 2005).

    The product over all patches saturates at once, so its geometric mean over 5 % of the patches is taken.
    """
    all_real = F.logsigmoid(-logits).flatten(1).mean(dim=1) / TOP  # log of the probability
    fake = -torch.expm1(all_real)
    return -(labels * fake.clamp(min=1e-6).log() + (1 - labels) * all_real).mean()


def attention_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean logit, weighted by a softmax of the logits over the patches (Ilse et al. 2018, without own weights)."""
    flat = logits.flatten(1)
    return _compare((flat.softmax(dim=1) * flat).sum(dim=1), labels)


def positive_unlabelled_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """nnPU (Kiryo et al. 2017), with patches of reals as the labelled class and those of fakes as the unlabelled one.

    A fraction 1 - prior of the patches of a fake is real; their loss is subtracted, but never below 0.
    """
    real, mixed = logits[labels == 0], logits[labels == 1]
    if not len(real) or not len(mixed):
        return every_patch_loss(logits, labels)
    share = 1 - _PRIOR
    as_real = share * F.softplus(real).mean()  # known real patches, loss of the label real
    as_fake = F.softplus(-mixed).mean() - share * F.softplus(-real).mean()
    return as_real + F.relu(as_fake)


def top_mean(values: torch.Tensor, fraction: float) -> torch.Tensor:
    """The mean of the highest `fraction` of each image's values [n, h, w], at least one of them: [n]."""
    flat = values.flatten(1)
    return flat.topk(max(1, round(fraction * flat.shape[1])), dim=1).values.mean(dim=1)


def _compare(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def _compare_probability(p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    p = p.clamp(1e-6, 1 - 1e-6)
    return -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()


LABEL_LOSSES = {
    "every-patch": every_patch_loss,
    "max": max_loss,
    "mean": mean_loss,
    "top-k": top_k_loss,
    "multi-k": multi_k_loss,
    "log-sum-exp": log_sum_exp_loss,
    "linear-softmax": linear_softmax_loss,
    "noisy-or": noisy_or_loss,
    "attention": attention_loss,
    "positive-unlabelled": positive_unlabelled_loss,
}


def find_label_loss(name: str):
    """The loss called `name`. WsdlError where there is none."""
    if name not in LABEL_LOSSES:
        raise WsdlError(f"label_loss is '{name}', but must be one of {', '.join(LABEL_LOSSES)}.")
    return LABEL_LOSSES[name]
