"""RePaint (Lugmayr et al. 2022): an unconditional diffusion model paints a hole so that it fits its surroundings.

The known pixels are noised to the current step, joined with what the model painted, and the joint picture is
noised again and repainted several times ("resampling"), until the two agree. Works in any space: pixels or latents.
"""

from collections.abc import Callable

import torch
from diffusers import RePaintScheduler

from wsdl.generators.diffusion.schedule import PIXEL_SCHEDULE, noise_like


def repaint_scheduler(T: int, jump_length: int, resamplings: int, noising: dict = PIXEL_SCHEDULE) -> RePaintScheduler:  # noqa: N803
    """The order of steps: T levels, going back `jump_length` levels, so that each stretch runs `resamplings` times."""
    steps = RePaintScheduler(**noising)
    steps.set_timesteps(T, jump_length, resamplings)
    return steps


def repaint_calls(T: int, jump_length: int, resamplings: int) -> int:  # noqa: N803 (the paper's letter)
    """Network calls a picture costs. The paper's T = 250, 10, 10 costs 2,410."""
    order = repaint_scheduler(T, jump_length, resamplings).timesteps.tolist()
    return sum(t < before for before, t in zip([order[0] + 1, *order], order, strict=False))


@torch.no_grad()
def repaint(
    noise: Callable,  # noise(x_t, t) -> the noise in x_t [n, C, H, W] at step t
    known: torch.Tensor,  # [n, C, H, W], the originals
    holes: torch.Tensor,  # [n, 1, H, W], 1 = paint
    seeds: list[int],  # one a picture: a picture does not depend on its batch
    *,
    noising: dict = PIXEL_SCHEDULE,  # the model's noise schedule: PIXELS, LATENTS, or what a full-size model says
    T: int = 250,  # noise levels  # noqa: N803
    jump_length: int = 10,  # levels to go back
    resamplings: int = 10,  # times each stretch is run
    on_step: Callable | None = None,  # on_step(t, x_t), called after each network call
) -> torch.Tensor:
    """The whole pictures [n, C, H, W]. The last step takes the known part from `known`, without noise: it comes back
    as it was, up to rounding. Where `known` is not pixels but latents, decoding alters it all the same.
    """
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
