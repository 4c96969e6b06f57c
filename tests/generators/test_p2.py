"""The P2 networks, weights and sampler, against diffusers and against themselves."""

import numpy as np
import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler
from factories import SIZE, p2_run, tiny_unet

from wsdl.core.io import WsdlError, seed_for, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.generators.diffusion import schedule
from wsdl.generators.diffusion.p2 import P2, load_p2, shift
from wsdl.generators.diffusion.train_p2 import p2_batch
from wsdl.generators.diffusion.unet import FullUNet, SmallUNet
from wsdl.generators.diffusion.weights import unet_fingerprint, unet_image_size

# --- networks and weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "channels", "patch"), [(32, (16, 32), 4), (16, (16,), 2)])
def test_small_unet_keeps_the_shape(size, channels, patch):
    x = torch.randn(2, 3, size, size)
    assert SmallUNet(size, channels, patch)(x, torch.tensor([0, 999])).shape == x.shape


def test_small_unet_refuses_a_size_that_does_not_fit():
    with pytest.raises(WsdlError, match=r"^size.* 36 px.*multiple of 8\b"):
        SmallUNet(36, (16, 32), 4)


def test_full_unet_takes_the_first_three_of_six_channels():
    """P2's own networks predict a variance too: channels 3-5."""
    unet = tiny_unet(out_channels=6)
    x, t = torch.randn(2, 3, SIZE, SIZE), torch.tensor([3, 700])
    with torch.no_grad():
        assert torch.equal(FullUNet(unet)(x, t), unet(x, t).sample[:, :3])


@pytest.mark.parametrize("kind", ["safetensors", "bin", "pipeline"])
def test_full_size_weights_load_by_path(tmp_path, kind):
    unet = tiny_unet(out_channels=6)
    unet.save_pretrained(tmp_path / ("unet" if kind == "pipeline" else ""), safe_serialization=kind != "bin")
    p2 = load_p2(tmp_path)
    assert p2.size == unet_image_size(tmp_path) == SIZE
    assert np.array_equal(p2.sample(2, seed=1, steps=3), P2(FullUNet(unet), SIZE).sample(2, seed=1, steps=3))


def test_a_run_loads_with_its_weights(tmp_path):
    p2 = load_p2(p2_run(tmp_path / "p2"))
    torch.manual_seed(0)
    assert p2.size == SIZE
    assert all(
        torch.equal(*pair) for pair in zip(p2.model.parameters(), SmallUNet(16, (16,)).parameters(), strict=True)
    )


def test_fingerprint_tells_weights_apart_but_not_places(tmp_path):
    one, other = (p2_run(tmp_path / f"run{seed}", seed=seed) for seed in (0, 1))
    assert unet_fingerprint(one) == unet_fingerprint(p2_run(tmp_path / "copy", seed=0)) != unet_fingerprint(other)
    for name in ("a", "b"):
        tiny_unet().save_pretrained(tmp_path / name)
    tiny_unet(6).save_pretrained(tmp_path / "six")
    assert unet_fingerprint(tmp_path / "a") == unet_fingerprint(tmp_path / "b") != unet_fingerprint(tmp_path / "six")
    assert unet_fingerprint("google/ddpm-ema-celebahq-256") == "google/ddpm-ema-celebahq-256"


def test_weights_that_cannot_be_used_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match=r"missing: .*hub id"):
        load_p2(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WsdlError, match=r"empty: .*weights"):
        load_p2(tmp_path / "empty")
    run = p2_run(tmp_path / "old")
    write_json(run / "config.json", {"size": SIZE, "channels": [32], "patch": 4})
    with pytest.raises(WsdlError, match=r"^\S*old/model\.safetensors: does not fit the network[^\n]*train it"):
        load_p2(run)
    (run / MODEL_FILE).write_bytes(b"cut short")
    with pytest.raises(WsdlError, match=r"model\.safetensors: is no valid file of weights"):
        load_p2(run)


# --- sampling ---------------------------------------------------------------------------------------------------


def test_sample_is_that_of_diffusers_ddim_pipeline():
    unet, seed, steps = tiny_unet(), 3, 7
    scheduler = DDIMScheduler(beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing")
    pipeline = DDIMPipeline(unet, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    source = torch.Generator().manual_seed(seed_for(seed, "p2", 0))
    expected = pipeline(generator=source, num_inference_steps=steps, output_type="np").images[0]
    ours = P2(FullUNet(unet), SIZE).sample(1, seed, steps)[0]
    assert np.abs(ours - expected * 255).max() <= 0.51  # rounding to uint8, no more


def test_ddpm_is_that_of_diffusers_ddpm_pipeline():
    """The same noise at every step; DDPM differs from DDIM, and its images do not depend on their batch either."""
    unet, seed = tiny_unet(), seed_for(0, "p2", 0)
    pipeline = DDPMPipeline(unet, DDPMScheduler(**schedule.PIXEL_SCHEDULE, timestep_spacing="trailing"))
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(generator=torch.Generator().manual_seed(seed), num_inference_steps=5, output_type="np").images
    p2 = P2(FullUNet(unet), SIZE)
    ours = p2.sample(3, 0, 5, sampler="ddpm")
    assert np.abs(ours[0] / 255 - theirs[0]).max() < 2 / 255
    assert np.abs(ours[1:2].astype(int) - p2.sample(1, 0, 5, first=1, sampler="ddpm")).max() <= 1
    assert not np.array_equal(ours, p2.sample(3, 0, 5))


def test_a_sample_does_not_depend_on_its_batch():
    p2 = P2(FullUNet(tiny_unet()), SIZE)
    images = p2.sample(5, seed=1, steps=4)
    later = p2.sample(2, seed=1, steps=4, first=3)
    assert np.abs(images[3:].astype(int) - later).max() <= 1
    assert np.abs(images[0].astype(int) - images[1]).max() > 20
    assert np.array_equal(images, p2.sample(5, seed=1, steps=4))


def test_predicting_x0_samples_as_predicting_noise():
    """The same knowledge in both forms: every image is flat and mid-grey."""
    grey = torch.full((1, 3, SIZE, SIZE), 0.25)

    class Knows(torch.nn.Module):
        def __init__(self, predicts: str):
            super().__init__()
            self.predicts, self.abar, self.patch = predicts, schedule.alphas_bar(), 1

        def forward(self, x_t, t, moved):
            x0 = grey.expand_as(x_t)
            return x0 if self.predicts == "x0" else schedule.noise_from_x0(x_t, x0, self.abar[t])

    images = [P2(Knows(predicts), SIZE).sample(2, seed=0, steps=10) for predicts in ("x0", "noise")]
    assert np.array_equal(*images)
    assert (images[0] == round(1.25 * 127.5)).all()


class Prints(torch.nn.Module):
    """A network that knows the image (mid-grey) but prints the grid of its 4-pixel patches into it."""

    predicts, patch = "x0", 4

    def forward(self, x_t, t, moved):
        x0 = torch.zeros_like(x_t)
        x0[..., ::4] = 0.3
        return x0


def test_a_patch_network_sees_the_image_moved_and_answers_in_place():
    places = {shift(t, 4) for t in range(0, 1000, 5)}
    assert places == {(down, right) for down in range(4) for right in range(4)}
    assert shift(7, 1) == (0, 0)
    p2, x = P2(Prints(), SIZE), torch.zeros(1, 3, SIZE, SIZE)
    columns = set()
    for t in range(300, 320):
        x0 = schedule.x0_from_noise(x, p2.noise(x, t), p2.abar[[t]])
        printed = (x0[0, 0, 0] > 0.1).nonzero().flatten()
        assert (printed % 4 == (-shift(t, 4)[1]) % 4).all()
        columns |= set((printed % 4).tolist())
    assert columns == {0, 1, 2, 3}  # no column carries the grid at every step


def test_the_network_gets_the_shifted_frame():
    torch.manual_seed(0)
    net, x, t = SmallUNet(16, (16,)).eval(), torch.randn(1, 3, 16, 16), torch.tensor([500])
    frame = torch.zeros(16, 16)
    frame[[0, -1]] = frame[:, [0, -1]] = 1
    seen = []
    net.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0, -1]))
    answers = [net(x, t, moved) for moved in ((0, 0), (2, 3))]
    assert torch.equal(seen[0], frame)
    assert torch.equal(seen[1], frame.roll((2, 3), (0, 1)))
    assert not torch.equal(*answers)


def test_training_moves_the_frame_with_the_image():
    faces = np.zeros((1, 16, 16, 3), np.uint8)
    faces[:, [0, -1]] = faces[:, :, [0, -1]] = 255
    moves = set()
    for step in range(40):
        x0, _, _, moved = p2_batch(faces, 2, 4, 0, step)
        moves.add(moved)
        still = x0.roll((-moved[0], -moved[1]), (2, 3))
        assert (still[:, :, 0] == 1).all()
        assert (still[:, :, 1:-1, 1:-1] == -1).all()
    assert len(moves) > 10
