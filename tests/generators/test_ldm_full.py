"""Full-size latent diffusion in diffusers' layout, on a tiny folder that diffusers saved."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, VQModel
from diffusers.pipelines.deprecated.latent_diffusion_uncond import LDMPipeline
from factories import REPAINT_STEPS, SIZE, tiny_unet

from wsdl.core.io import WsdlError, read_json, seed_for, write_json
from wsdl.generators.diffusion.ldm import ldm_fingerprint, ldm_image_size, load_ldm

COMPVIS = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "clip_sample": False}


def save_full(folder, channels: int = 3, **scale):
    torch.manual_seed(3)
    vae = VQModel(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=channels,
        num_vq_embeddings=32,
        norm_num_groups=4,
        **scale,
    )
    vae.quantize.embedding.weight.data.normal_()  # they begin almost alike
    vae.save_pretrained(folder / "vqvae")
    tiny_unet(size=SIZE // 4).save_pretrained(folder / "unet")
    if not scale:  # as published: no scale is written down
        config = read_json(folder / "vqvae" / "config.json")
        del config["scaling_factor"]
        write_json(folder / "vqvae" / "config.json", config)
    return folder


def test_a_full_size_model_samples_as_diffusers_pipeline(tmp_path):
    model = load_ldm(save_full(tmp_path, scaling_factor=0.5))
    assert model.size == ldm_image_size(tmp_path) == SIZE
    assert model.noising == COMPVIS
    pipeline = LDMPipeline(
        VQModel.from_pretrained(tmp_path / "vqvae"),
        tiny_unet(size=SIZE // 4),
        DDIMScheduler(**COMPVIS, timestep_spacing="trailing"),
    )
    pipeline.set_progress_bar_config(disable=True)
    source = torch.Generator().manual_seed(seed_for(5, "ldm", 0))
    expected = pipeline(generator=source, num_inference_steps=4, output_type="np").images[0]
    ours = model.sample(1, seed=5, steps=4)[0]
    assert np.abs(ours - expected * 255).max() <= 0.51  # rounding to uint8, no more
    assert ours.std() > 1


def test_a_full_size_model_says_its_schedule_and_its_scale(tmp_path, images, masks):
    save_full(tmp_path)
    assert load_ldm(tmp_path).codec.scale == 1.0
    DDIMScheduler(beta_start=0.01, beta_end=0.03, clip_sample=True).save_pretrained(tmp_path / "scheduler")
    model = load_ldm(tmp_path, clean=True)
    assert model.noising == {"beta_start": 0.01, "beta_end": 0.03, "beta_schedule": "linear", "clip_sample": True}
    inpainted = model.inpaint(images, masks, [1, 2, 3], **REPAINT_STEPS)
    assert np.array_equal(inpainted[masks == 0], images[masks == 0])
    assert (inpainted[masks == 1] != images[masks == 1]).mean() > 0.9


def test_models_that_cannot_be_used_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match=r"missing: .*hub id"):
        load_ldm(tmp_path / "missing")
    whole = save_full(tmp_path / "whole")
    mixed = save_full(tmp_path / "mixed", channels=4)
    with pytest.raises(WsdlError, match=r"unet .*3 channels.*vqvae .*4"):
        load_ldm(mixed)
    weights = next((whole / "unet").glob("*.safetensors"))
    weights.write_bytes(b"cut short")
    with pytest.raises(WsdlError, match=r"^\S*whole: [^\n]*latent diffusion[^\n]*$"):
        load_ldm(whole)
    shutil.rmtree(whole / "vqvae")
    for ask in (load_ldm, ldm_image_size, ldm_fingerprint):
        with pytest.raises(WsdlError, match=r"whole: .*vqvae"):
            ask(whole)
