"""P2 diffusion (Choi et al. 2022): loss, sampling of full fakes by DDIM or DDPM, and inpainting by RePaint."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from wsdl.core.device import autocast, pick_device, to_uint8, to_unit
from wsdl.core.io import seed_for
from wsdl.generators.diffusion.repaint import repaint
from wsdl.generators.diffusion.schedule import (
    PIXEL_SCHEDULE,
    add_noise,
    alphas_bar,
    noise_from_x0,
    noise_like,
    p2_weight,
)
from wsdl.generators.diffusion.weights import load_unet


def p2_loss(
    model, x0: torch.Tensor, t: torch.Tensor, noise: torch.Tensor, predicts: str, gamma: float = 1.0, moved=(0, 0)
) -> torch.Tensor:
    """P2-weighted squared error of the prediction, a scalar.

    x0 and noise [n, C, S, S], t [n]; predicts: "x0" or "noise"; moved: how far x0 is shifted down and right.
    """
    abar = alphas_bar().to(x0.device)[t]
    predicted = model(add_noise(x0, noise, abar), t, moved).float()
    error = (predicted - (x0 if predicts == "x0" else noise)).square().mean(dim=(1, 2, 3))
    return (p2_weight(abar, predicts, gamma) * error).mean()


def shift(t: int, patch: int) -> tuple[int, int]:
    """Pixels down and right (0 .. patch - 1, wrapping around) by which the image is shifted at step t."""
    return divmod(seed_for("shift", t) % patch**2, patch)


_SAMPLERS = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}


class Denoiser:
    """A trained denoising network of pixels or latents, with its noise schedule."""

    def __init__(self, model: torch.nn.Module, shape: tuple[int, int, int], noising: dict):
        self.model = model.to(pick_device(), memory_format=torch.channels_last).eval()
        self.shape = shape  # of one x_t: (C, S, S)
        self.noising = noising  # as in `wsdl.generators.diffusion.schedule`
        self.abar = alphas_bar().to(pick_device())  # of wsdl's own networks, which predict x0

    @torch.no_grad()
    def noise(self, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """The predicted noise in x_t [n, C, S, S] at step t, also of a network that predicts x0.

        A network that works on patches gets the image shifted by a few pixels, by another offset at each step, so
        that traces of its patch grid average out over the steps.
        """
        steps = torch.full((len(x_t),), int(t), device=x_t.device)
        move = down, right = shift(int(t), self.model.patch)
        moved = x_t.roll((down, right), dims=(2, 3)).contiguous(memory_format=torch.channels_last)
        with autocast(x_t.device):
            predicted = self.model(moved, steps, move).float().roll((-down, -right), dims=(2, 3))
        if self.model.predicts == "noise":
            return predicted
        x0 = predicted.clamp(-1, 1) if self.noising["clip_sample"] else predicted
        return noise_from_x0(x_t, x0, self.abar[steps])

    def draw(
        self, seeds: list[int], steps: int, on_step: Callable | None = None, sampler: str = "ddim"
    ) -> torch.Tensor:
        """One x0 per seed, [n, C, S, S], in `steps` calls; on_step(t, x_t) after each.

        sampler: "ddim" (deterministic), or "ddpm" (ancestral: every step adds noise, as resampling in RePaint does).
        """
        scheduler = _SAMPLERS[sampler](**self.noising, timestep_spacing="trailing")
        scheduler.set_timesteps(steps)
        x, sources = noise_like(self.shape, seeds)
        x = x.to(pick_device())
        noise = {"generator": sources} if sampler == "ddpm" else {}
        for t in scheduler.timesteps:
            x = scheduler.step(self.noise(x, t), t, x, **noise).prev_sample
            if on_step:
                on_step(int(t), x)
        return x

    def rehearse(self, batch: int, size: int) -> None:
        """One network call on `batch` images, to time it. `size` is ignored: the network has one image size."""
        self.noise(torch.zeros(batch, *self.shape, device=self.abar.device), 0).cpu()


class P2(Denoiser):
    """A trained diffusion model of pixels as a generator: `sample` by DDIM or DDPM, `inpaint` by RePaint."""

    name = "p2"
    clean = True  # the original pixels are restored outside the mask

    def __init__(self, model: torch.nn.Module, size: int):
        super().__init__(model, (3, size, size), PIXEL_SCHEDULE)
        self.size = size

    def sample(
        self,
        n: int,
        seed: int,
        steps: int = 50,
        first: int = 0,
        on_step: Callable | None = None,
        sampler: str = "ddim",
    ) -> np.ndarray:
        """Images first .. first+n-1 of `seed`: uint8 [n, S, S, 3]; the arguments are those of `draw`."""
        return to_uint8(self.draw([seed_for(seed, "p2", first + i) for i in range(n)], steps, on_step, sampler))

    def inpaint(self, images: np.ndarray, masks: np.ndarray, seeds: list[int], **schedule) -> np.ndarray:
        """Inpaint uint8 images [n, S, S, 3] where masks [n, S, S] are 1; schedule: see `repaint`."""
        known = to_unit(images)
        holes = torch.as_tensor(masks).to(known.device)[:, None].float()
        inpainted = to_uint8(repaint(self.noise, known, holes, seeds, **schedule))
        return np.where(masks[..., None] == 1, inpainted, images)


def load_p2(weights: str | Path) -> P2:
    """A P2 generator from a run of `train-generator p2`, or a full-size one in diffusers' layout by path or hub id."""
    model, size = load_unet(weights)
    return P2(model, size)
