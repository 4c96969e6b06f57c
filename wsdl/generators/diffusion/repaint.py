"""RePaint (Lugmayr et al. 2022): inpainting with an unconditional diffusion model, on pixels or latents.

At each step the known pixels, noised to that step, are joined with the generated ones; the joint image is noised
again and denoised several times ("resampling"), which harmonises the two.

Levels, their order and the step down are those of diffusers' `RePaintScheduler`. They differ from the authors' code
(github.com/andreas128/RePaint) in three ways. The step down is DDIM (eta 0): it adds no noise to the generated part;
new noise comes from the known part and from the jumps back. Theirs is DDPM. The highest of T levels is 1000 - 1000 / T,
so 996 for T = 250 and 980 for T = 50; theirs is 999. And the lowest level is resampled as well: its network call, after
which no noise is left, is made `resamplings` times (10 in the paper), theirs once.

The jump back differs from diffusers. It is one draw from q(x_t | x_s), the distribution of noising step by step.
`RePaintScheduler.undo_step` draws once per training step, and with the betas of later steps: it ends at the noise of a
level up to 1000 / T - 1 training steps above the one that the network is told. With T = 50 and jumps of 5 levels, the
network is told t = 80 (noise of standard deviation .265) and sees .321. At T = 1000 both are the same. The sharpness of
64 inpainted regions did not differ measurably.
"""

from collections.abc import Callable

import torch
from diffusers import RePaintScheduler

from wsdl.core.io import WsdlError
from wsdl.generators.diffusion.schedule import PIXEL_SCHEDULE, add_noise_between, noise_like

STEPS = 1000  # of the noise schedule that the networks were trained with
# Sampling begins with noise alone. The T steps of diffusers are 1000 // T apart: those of a T that divides 1000 reach
# up to where 6 % of the image are left at most (T = 4); those of T = 501 end where 28 % are.
NOISE_LEVELS = tuple(T for T in range(4, STEPS + 1) if STEPS % T == 0)


def check_noise_levels(T: int) -> None:  # noqa: N803 (the paper's letter)
    """WsdlError unless the highest of `T` noise levels is noise alone: T must be one of NOISE_LEVELS."""
    if T not in NOISE_LEVELS:
        below, above = [t for t in NOISE_LEVELS if t < T][-1:], [t for t in NOISE_LEVELS if t > T][:1]
        nearest = " or ".join(map(str, below + above))
        raise WsdlError(f"T is {T}, but must divide {STEPS}, so that inpainting begins with noise; choose {nearest}.")


def repaint_scheduler(T: int, jump_length: int, resamplings: int, noising: dict = PIXEL_SCHEDULE) -> RePaintScheduler:  # noqa: N803
    """The scheduler with T levels; jumps back of `jump_length` levels run each stretch `resamplings` times."""
    steps = RePaintScheduler(**noising)
    steps.set_timesteps(T, jump_length, resamplings)
    return steps


def network_steps(steps: RePaintScheduler) -> list[int]:
    """The t of each network call: the steps down. A step up only leads to a higher level."""
    order = steps.timesteps.tolist()
    return [t for before, t in zip([STEPS, *order], order, strict=False) if t < before]


def repaint_calls(T: int, jump_length: int, resamplings: int) -> int:  # noqa: N803 (the paper's letter)
    """Network calls per image. The paper's T = 250, jump_length = 10, resamplings = 10 takes 2,410."""
    return len(network_steps(repaint_scheduler(T, jump_length, resamplings)))


@torch.no_grad()
def repaint(
    noise: Callable,  # noise(x_t, t) -> the noise in x_t [n, C, H, W] at step t
    known: torch.Tensor,  # [n, C, H, W], the originals
    holes: torch.Tensor,  # [n, 1, H, W], 1 = inpaint
    seeds: list[int],  # one per image: an image does not depend on its batch
    *,
    noising: dict = PIXEL_SCHEDULE,  # the noise schedule of the model's training
    T: int = 250,  # noise levels  # noqa: N803
    jump_length: int = 10,  # levels to go back
    resamplings: int = 10,  # runs of each stretch
    on_step: Callable | None = None,  # on_step(t, x_t), called after each network call
) -> torch.Tensor:
    """Inpainted images [n, C, H, W]. The last step copies the known part from `known` without noise.

    So it is unchanged up to rounding; where `known` holds latents, decoding still alters the known pixels. WsdlError
    where T is none of NOISE_LEVELS.
    """
    check_noise_levels(T)
    steps = repaint_scheduler(T, jump_length, resamplings, noising)
    x, sources = noise_like(tuple(known.shape[1:]), seeds)
    x, keep = x.to(known.device), 1 - holes.to(known.dtype)  # the scheduler's mask is 1 = keep
    order = network_steps(steps)
    level = order[0]  # of the noise in x; below 0 there is none
    for t in order:
        if level < t:
            x = add_noise_between(x, _abar(steps, level), _abar(steps, t), sources)
        x = steps.step(noise(x, t), t, x, known, keep, generator=sources).prev_sample
        level = t - STEPS // T
        if on_step:
            on_step(t, x)
    return x


def _abar(steps: RePaintScheduler, level: int) -> float:
    return float(steps.alphas_cumprod[level]) if level >= 0 else 1.0
