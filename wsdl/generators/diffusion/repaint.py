"""RePaint (Lugmayr et al. 2022): inpainting with an unconditional diffusion model, on pixels or latents.

At each step the known pixels, noised to that step, are joined with the generated ones; the joint image is noised
again and denoised several times ("resampling"), which harmonises the two.
"""

from collections.abc import Callable

import torch
from diffusers import RePaintScheduler

from wsdl.core.io import WsdlError
from wsdl.generators.diffusion.schedule import PIXEL_SCHEDULE, noise_like

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


def repaint_calls(T: int, jump_length: int, resamplings: int) -> int:  # noqa: N803 (the paper's letter)
    """Network calls per image. The paper's T = 250, jump_length = 10, resamplings = 10 takes 2,410."""
    order = repaint_scheduler(T, jump_length, resamplings).timesteps.tolist()
    return sum(t < before for before, t in zip([order[0] + 1, *order], order, strict=False))


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
    order = steps.timesteps.tolist()
    last = order[0] + 1
    for t in order:
        if t < last:
            x = steps.step(noise(x, t), t, x, known, keep, generator=sources).prev_sample
            if on_step:
                on_step(t, x)
        else:
            x = steps.undo_step(x, last, generator=sources)
        last = t
    return x
