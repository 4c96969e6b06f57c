"""P2 diffusion: the loss, the sampler, and the generator that paints whole faces or one region."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler

from wsdl.device import autocast, pick_device, to_pictures, to_unit
from wsdl.files import seed_for
from wsdl.generators.repaint import repaint
from wsdl.generators.schedule import add_noise, alphas_bar, noise_from_x0, noise_like, p2_weight
from wsdl.generators.weights import load_unet


def p2_loss(
    model, x0: torch.Tensor, t: torch.Tensor, noise: torch.Tensor, predicts: str, gamma: float = 1.0, moved=(0, 0)
):
    """The P2-weighted squared error of what the network predicts, averaged over (moved) pictures [n, 3, S, S]."""
    abar = alphas_bar().to(x0.device)[t]
    predicted = model(add_noise(x0, noise, abar), t, moved).float()
    error = (predicted - (x0 if predicts == "x0" else noise)).square().mean(dim=(1, 2, 3))
    return (p2_weight(abar, predicts, gamma) * error).mean()


def shift(t: int, patch: int) -> tuple[int, int]:
    """How many pixels down and right (0 .. patch - 1, wrapping around) the picture is moved at step t."""
    return divmod(seed_for("shift", t) % patch**2, patch)


class P2:
    """A trained diffusion model as a generator: `sample` by DDIM, `inpaint` by RePaint."""

    name = "p2"
    clean = True  # pixels outside the mask are copied back exactly

    def __init__(self, model: torch.nn.Module, size: int):
        self.model = model.to(pick_device(), memory_format=torch.channels_last).eval()
        self.size = size
        self.abar = alphas_bar().to(pick_device())

    @torch.no_grad()
    def noise(self, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """The noise that the network sees in x_t [n, 3, S, S] at step t, whatever it was trained to predict.

        A network that works on patches sees the picture moved by a few pixels, another way at each step, so that the
        grid of its patches never falls on the same pixels and averages out over the steps.
        """
        steps = torch.full((len(x_t),), int(t), device=x_t.device)
        move = down, right = shift(int(t), self.model.patch)
        moved = x_t.roll((down, right), dims=(2, 3)).contiguous(memory_format=torch.channels_last)
        with autocast(x_t.device):
            predicted = self.model(moved, steps, move).float().roll((-down, -right), dims=(2, 3))
        if self.model.predicts == "noise":
            return predicted
        return noise_from_x0(x_t, predicted.clamp(-1, 1), self.abar[steps])

    def sample(self, n: int, seed: int, steps: int = 50, first: int = 0, on_step: Callable | None = None) -> np.ndarray:
        """Pictures first .. first+n-1 of `seed` by DDIM (deterministic) in `steps` calls: uint8 [n, S, S, 3].

        on_step(t, x_t) is called after each network call.
        """
        scheduler = DDIMScheduler(beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing")
        scheduler.set_timesteps(steps)
        seeds = [seed_for(seed, "p2", first + i) for i in range(n)]
        x, _ = noise_like((3, self.size, self.size), seeds)
        x = x.to(pick_device())
        for t in scheduler.timesteps:
            x = scheduler.step(self.noise(x, t), t, x).prev_sample
            if on_step:
                on_step(int(t), x)
        return to_pictures(x)

    def inpaint(self, images: np.ndarray, masks: np.ndarray, seeds: list[int], **schedule) -> np.ndarray:
        """Paint where masks [n, S, S] are 1 into uint8 images [n, S, S, 3]; schedule: see `repaint`."""
        known = to_unit(images)
        holes = torch.as_tensor(masks).to(known.device)[:, None].float()
        painted = to_pictures(repaint(self.noise, known, holes, seeds, **schedule))
        return np.where(masks[..., None] == 1, painted, images)

    def rehearse(self, batch: int, size: int) -> None:
        """One call of the network, to see how long it takes."""
        self.noise(torch.zeros(batch, 3, size, size, device=self.abar.device), 0).cpu()


def load_p2(weights: str | Path) -> P2:
    """A P2 generator from a run of `train-generator p2`, or a full-size one in diffusers' layout by path or hub id."""
    model, size = load_unet(weights)
    return P2(model, size)
