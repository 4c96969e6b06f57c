"""Latent RePaint against RePaint on pixels, known pixels, and training."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from factories import REPAINT_STEPS, SIZE, tiny_unet
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.device import to_uint8
from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.data.dataset import Dataset
from wsdl.generators.diffusion.autoencoder import Autoencoder, Codec
from wsdl.generators.diffusion.ldm import RepaintLDM, latent_masks, ldm_fingerprint, ldm_image_size, load_ldm
from wsdl.generators.diffusion.p2 import P2
from wsdl.generators.diffusion.schedule import LATENT_SCHEDULE, PIXEL_SCHEDULE
from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining, train_autoencoder
from wsdl.generators.diffusion.train_ldm import LDMTraining, encode_with_mirrors, latent_batch, train_ldm
from wsdl.generators.diffusion.unet import FullUNet, SmallUNet

TRAINING = {"images": 16, "widths": (16, 32), "batch": 4, "check_every": 8}


class Same(torch.nn.Module):
    """An autoencoder whose latents are the image."""

    def encode(self, x):
        return SimpleNamespace(latents=x)

    def decode(self, latents):
        return SimpleNamespace(sample=latents)


def same_codec() -> Codec:
    return Codec(Same(), 1, [0.0] * 3, 1.0)


def small_vae(factor: int = 2) -> Codec:
    """An untrained autoencoder with latents of 3 channels."""
    torch.manual_seed(1)
    widths = (8,) * (factor.bit_length())
    return Codec(Autoencoder(widths, latents=3).vae, factor, [0.1, 0.0, -0.1], 0.8)


def latent_model(clean: bool) -> RepaintLDM:
    return RepaintLDM(FullUNet(tiny_unet(size=SIZE // 2)), small_vae(), SIZE, clean)


def small_net() -> SmallUNet:
    torch.manual_seed(2)
    return SmallUNet(SIZE, (16,), 4)


# --- RePaint in latent space ------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", [lambda: FullUNet(tiny_unet()), small_net])
def test_with_an_identity_autoencoder_it_is_repaint_on_pixels(net, images, masks):
    pixels = P2(net(), SIZE)
    raw, clean = (RepaintLDM(net(), same_codec(), SIZE, clean, PIXEL_SCHEDULE) for clean in (False, True))
    seeds = [1, 2, 3]
    expected = pixels.inpaint(images, masks, seeds, **REPAINT_STEPS)
    assert np.array_equal(clean.inpaint(images, masks, seeds, **REPAINT_STEPS), expected)
    assert np.array_equal(raw.inpaint(images, masks, seeds, **REPAINT_STEPS)[masks == 1], expected[masks == 1])


def test_clean_keeps_known_pixels_and_raw_changes_them(images, masks):
    raw, clean = (latent_model(clean).inpaint(images, masks, [1, 2, 3], **REPAINT_STEPS) for clean in (False, True))
    assert raw.dtype == clean.dtype == np.uint8
    assert np.array_equal(clean[masks == 0], images[masks == 0])
    assert (raw[masks == 0] != images[masks == 0]).mean() > 0.5
    assert np.array_equal(clean[masks == 1], raw[masks == 1])


def test_raw_is_the_round_trip_where_nothing_is_inpainted(images, masks):
    codec = small_vae()
    raw = latent_model(clean=False).inpaint(images[2:], masks[2:], [3], **REPAINT_STEPS)
    assert np.abs(raw.astype(int) - codec.decode(codec.encode(images[2:]))).max() <= 1


def test_the_seed_decides_and_neighbours_do_not(images, masks):
    model, steps = latent_model(clean=False), []
    together = model.inpaint(images, masks, [1, 2, 3], on_step=lambda t, x: steps.append(x.shape), **REPAINT_STEPS)
    assert np.array_equal(together, model.inpaint(images, masks, [1, 2, 3], **REPAINT_STEPS))
    alone = model.inpaint(images[1:2], masks[1:2], [2], **REPAINT_STEPS)
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1
    other = model.inpaint(images[1:2], masks[1:2], [9], **REPAINT_STEPS)
    assert (alone != other)[masks[1:2] == 1].mean() > 0.5
    assert set(steps) == {(3, *model.shape)}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.sampled_from([1, 2, 4]))
def test_a_latent_position_is_inpainted_if_any_of_its_pixels_is(seed, factor):
    masks = (np.random.default_rng(seed).random((2, 8, 8)) < 0.1).astype(np.uint8)
    expected = masks.reshape(2, 8 // factor, factor, 8 // factor, factor).max(axis=(2, 4))
    assert np.array_equal(latent_masks(masks, factor)[:, 0].numpy(), expected)


@pytest.mark.parametrize(("noising", "level"), [(LATENT_SCHEDULE, 3.0), (PIXEL_SCHEDULE, 1.0)])
def test_latents_are_not_clipped_as_pixels_are(noising, level):
    class Knows(torch.nn.Module):
        predicts, patch = "x0", 1

        def forward(self, x_t, t, moved):
            return torch.full_like(x_t, 3.0)

    model = RepaintLDM(Knows(), Codec(Same(), 1, [0.0] * 3, 0.1), SIZE, noising=noising)
    grey, everywhere = np.zeros((1, SIZE, SIZE, 3), np.uint8), np.ones((1, SIZE, SIZE), np.uint8)
    expected = to_uint8(torch.full((1, 3, 1, 1), level * 0.1))[0, 0, 0]
    torch.testing.assert_close(model.draw([0], 5), torch.full((1, 3, SIZE, SIZE), level), rtol=1e-3, atol=0)
    assert (model.inpaint(grey, everywhere, [0], **REPAINT_STEPS) == expected).all()


# --- training ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def autoencoder(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoder") / "run"
    train_autoencoder(faces, folder, AutoencoderTraining(images=16, widths=(8, 8, 8), batch=8))
    return folder


def test_a_batch_of_latents_is_that_of_the_images(faces):
    images, codec = Dataset(faces).images[:6], small_vae()
    latents = encode_with_mirrors(codec, images)
    seen = set()
    for step in range(6):
        x0, t, noise, moved = latent_batch(latents, 3, 2, 0, step)
        assert x0.shape == noise.shape == (3, 3, 16, 16)
        assert t.shape == (3,)
        still = x0.roll((-moved[0], -moved[1]), (2, 3))
        for one in still:
            found = (latents - one).abs().amax(dim=(2, 3, 4))
            seen.add(tuple(torch.nonzero(found == 0)[0].tolist()))
    assert {way for way, _ in seen} == {0, 1}
    mirrored = codec.encode(images[4:5, :, ::-1])
    torch.testing.assert_close(latents[1, 4:5], mirrored, atol=1e-5, rtol=0)
    assert not torch.allclose(latents[1, 4], latents[0, 4].flip(-1), atol=1e-2)


def test_a_run_is_complete_in_itself(faces, autoencoder, tmp_path):
    run, mine = tmp_path / "run", shutil.copytree(autoencoder, tmp_path / "autoencoder")
    trained = train_ldm(faces, mine, run, LDMTraining(**TRAINING))
    shutil.rmtree(mine)
    loaded = load_ldm(run)
    assert (loaded.size, loaded.shape, loaded.clean) == (32, (4, 8, 8), False)
    assert np.array_equal(loaded.sample(2, 0, steps=3), trained.sample(2, 0, steps=3))
    assert ldm_image_size(run) == 32
    other = shutil.copytree(run, tmp_path / "other")
    assert ldm_fingerprint(other) == ldm_fingerprint(run)
    weights = other / "autoencoder" / MODEL_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert ldm_fingerprint(other) != ldm_fingerprint(run)


def test_training_refuses_what_does_not_fit(faces, autoencoder, tmp_path):
    with pytest.raises(WsdlError, match=r"32 px.*multiple of 64"):
        train_ldm(faces, autoencoder, tmp_path / "deep", LDMTraining(images=4, widths=(16,) * 5))
    with pytest.raises(WsdlError, match="autoencoder"):
        train_ldm(faces, tmp_path, tmp_path / "run", LDMTraining(images=4))
    train_ldm(faces, autoencoder, tmp_path / "run", LDMTraining(**{**TRAINING, "images": 4}))
    train_autoencoder(faces, tmp_path / "other", AutoencoderTraining(images=8, widths=(8, 8, 8), batch=8), seed=1)
    with pytest.raises(WsdlError, match="autoencoder = "):
        train_ldm(faces, tmp_path / "other", tmp_path / "run", LDMTraining(**TRAINING))
    write_json(tmp_path / "run" / "config.json", {**read_json(tmp_path / "run" / "config.json"), "widths": [32]})
    with pytest.raises(WsdlError, match=r"model\.safetensors: does not fit"):
        load_ldm(tmp_path / "run")


@pytest.mark.slow
def test_both_trainings_as_commands(faces, tmp_path):
    first = ["train-generator", "autoencoder", "--data", faces, "--out", tmp_path / "vae", "--images", 8]
    second = ["train-generator", "ldm", "--data", faces, "--autoencoder", tmp_path / "vae", "--out", tmp_path / "ldm"]
    for words in (first, [*second, "--images", 16, "--seed", 4]):
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert (load_ldm(tmp_path / "ldm").shape, read_json(tmp_path / "ldm" / "config.json")["seed"]) == ((4, 8, 8), 4)
