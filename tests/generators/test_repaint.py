"""RePaint against diffusers' own pipeline, and what must hold of any inpainting."""

import numpy as np
import pytest
import torch
from diffusers import RePaintScheduler
from diffusers.pipelines.deprecated.repaint import RePaintPipeline
from factories import REPAINT_STEPS, SIZE, tiny_unet

from wsdl.core.device import to_unit
from wsdl.core.io import WsdlError
from wsdl.generators.diffusion.p2 import P2
from wsdl.generators.diffusion.repaint import NOISE_LEVELS, repaint, repaint_calls, repaint_scheduler
from wsdl.generators.diffusion.schedule import add_noise_between, alphas_bar
from wsdl.generators.diffusion.unet import FullUNet


@pytest.fixture(scope="module")
def p2() -> P2:
    return P2(FullUNet(tiny_unet()), SIZE)


def test_the_paper_needs_2410_calls():
    assert repaint_calls(250, 10, 10) == 2410


@pytest.mark.parametrize("settings", [REPAINT_STEPS, {"T": 10, "jump_length": 10, "resamplings": 5}])
def test_calls_counts_what_repaint_does(p2, images, masks, settings):
    made, seen = [], []

    def noise(x, t):
        made.append(t)
        return torch.zeros_like(x)

    known, holes = to_unit(images[:1]), torch.tensor(masks[:1, None]).float()
    repaint(noise, known, holes, [0], **settings, on_step=lambda t, x: seen.append(t))
    assert len(made) == repaint_calls(**settings)
    assert seen == made


def test_without_jumps_repaint_is_diffusers_pipeline(p2, images, masks):
    known, holes = to_unit(images[:1]), torch.tensor(masks[:1, None]).float()
    pipeline = RePaintPipeline(p2.model.unet, RePaintScheduler(beta_start=1e-4, beta_end=0.02))
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        known,
        1 - holes,  # 0 = inpaint
        num_inference_steps=REPAINT_STEPS["T"],
        jump_length=REPAINT_STEPS["jump_length"],
        jump_n_sample=1,
        generator=torch.Generator().manual_seed(9),
        output_type="np",
    ).images[0]
    ours = repaint(p2.noise, known, holes, [9], **REPAINT_STEPS | {"resamplings": 1})[0]
    ours = (ours / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).max() < 1e-4
    assert ours.std() > 0.1  # not two grey images that agree


@pytest.mark.parametrize(("s", "t"), [(0, 80), (60, 80), (500, 520), (-20, 80)])
def test_a_jump_back_ends_at_the_noise_of_its_level(s, t):
    """A clean image noised to s and then to t, against the schedule: mean sqrt(abar_t) x0, variance 1 - abar_t."""
    abar = alphas_bar().double()
    at_s, at_t = float(abar[s]) if s >= 0 else 1.0, float(abar[t])
    x0 = torch.full((1, 1, 1000, 1000), 0.7)
    x_s = at_s**0.5 * x0 + (1 - at_s) ** 0.5 * torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    x_t = add_noise_between(x_s, at_s, at_t, [torch.Generator().manual_seed(1)])
    assert float(x_t.mean()) == pytest.approx(0.7 * at_t**0.5, abs=5e-3)
    assert float(x_t.var()) == pytest.approx(1 - at_t, rel=1e-2)


@pytest.mark.parametrize("settings", [{"T": 50, "jump_length": 5, "resamplings": 3}, REPAINT_STEPS])
def test_the_network_is_told_the_noise_that_it_sees(settings):
    """With the true noise as prediction, x_t is always sqrt(abar_t) x0 plus noise of variance 1 - abar_t."""
    abar, x0, seen = alphas_bar(), torch.full((1, 1, 256, 256), 0.3), []

    def true_noise(x, t):
        seen.append((t, float((x - abar[t].sqrt() * x0).square().mean() / (1 - abar[t]))))
        return (x - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()

    result = repaint(true_noise, x0, torch.ones(1, 1, 256, 256), [0], **settings)
    assert torch.allclose(result, x0, atol=1e-3)
    wrong = {t: round(ratio, 2) for t, ratio in seen[1:] if abs(ratio - 1) > 0.03}
    assert not wrong


def test_with_1000_levels_a_jump_back_is_diffusers_own():
    steps, x = repaint_scheduler(1000, 10, 2), torch.rand(1, 3, 8, 8)
    abar = alphas_bar()
    for t in (1, 7, 900):
        expected = steps.undo_step(x, t, generator=torch.Generator().manual_seed(t))
        ours = add_noise_between(x, float(abar[t - 1]), float(abar[t]), [torch.Generator().manual_seed(t)])
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-4)


def test_an_image_does_not_depend_on_its_neighbours(p2, images, masks):
    known, holes = to_unit(images), torch.tensor(masks[:, None]).float()
    together = repaint(p2.noise, known, holes, [1, 2, 3], **REPAINT_STEPS)
    for i in range(3):
        alone = repaint(p2.noise, known[i : i + 1], holes[i : i + 1], [i + 1], **REPAINT_STEPS)
        torch.testing.assert_close(together[i], alone[0], rtol=0, atol=1e-4)


def test_inpaint_inpaints_the_hole_and_only_the_hole(p2, images, masks):
    inpainted = p2.inpaint(images, masks, [1, 2, 3], **REPAINT_STEPS)
    assert inpainted.dtype == np.uint8
    assert np.array_equal(inpainted[masks == 0], images[masks == 0])
    assert (inpainted[masks == 1] != images[masks == 1]).mean() > 0.9


def test_known_pixels_are_restored_whatever_repaint_returns(p2, images, masks, monkeypatch):
    """RePaint in bf16, or with rounding, may change them a little."""
    monkeypatch.setattr("wsdl.generators.diffusion.p2.repaint", lambda noise, known, *rest, **more: known * 0)
    inpainted = p2.inpaint(images, masks, [1, 2, 3], **REPAINT_STEPS)
    assert np.array_equal(inpainted[masks == 0], images[masks == 0])
    assert (inpainted[masks == 1] == inpainted[masks == 1][0]).all()


def test_other_seeds_inpaint_something_else(p2, images, masks):
    one, same, other = (p2.inpaint(images[:1], masks[:1], [seed], **REPAINT_STEPS) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert (one != other).any(axis=-1)[masks[:1] == 1].mean() > 0.9


@pytest.mark.parametrize("levels", NOISE_LEVELS)
def test_the_first_step_of_every_allowed_t_is_noise(levels):
    first = repaint_scheduler(levels, 1, 1).timesteps[0]
    assert alphas_bar()[first].sqrt() < 0.06  # the share of the image in what the network sees first


@pytest.mark.parametrize(("levels", "nearest"), [(1, "4"), (3, "4"), (300, "250 or 500"), (501, "500 or 1000"),
                                                 (999, "500 or 1000"), (1001, "1000")])  # fmt: skip
def test_other_t_are_refused_with_the_nearest_right_ones(p2, images, masks, levels, nearest):
    settings = {"T": levels, "jump_length": 10, "resamplings": 1}
    with pytest.raises(WsdlError, match=f"^T is {levels}, but must divide 1000, .*choose {nearest}\\.$"):
        p2.inpaint(images, masks, [1, 2, 3], **settings)
