"""Stable Diffusion as a generator, on a tiny one that diffusers saved: beside its own pipeline; what is refused."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from helpers import run_command
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from wsdl.core.io import WsdlError, read_json
from wsdl.data.dataset import Dataset
from wsdl.generators.diffusion.stable_diffusion import load_stable, stable_fingerprint
from wsdl.generators.write_fakes import generate_partial

SIDE = 32  # of the tiny model's images
STEPS = {"steps": 2, "prompt": "a face", "guidance": 3.0}
LAYER = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder of a Stable Diffusion for inpainting with random weights."""
    folder = tmp_path_factory.mktemp("stable") / "tiny"
    torch.manual_seed(0)
    blocks = {"block_out_channels": (8, 16), "norm_num_groups": 4}
    unet = UNet2DConditionModel(
        sample_size=SIDE // 2, in_channels=9, out_channels=4, layers_per_block=1, cross_attention_dim=16,
        attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **blocks,
    )  # fmt: skip
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        **blocks,
    )
    StableDiffusionInpaintPipeline(
        vae, *reader(folder.parent), unet, DDIMScheduler(), None, None, requires_safety_checker=False
    ).save_pretrained(folder)
    return folder


def reader(folder) -> tuple[CLIPTextModel, CLIPTokenizer]:
    """A reader of texts that knows single letters."""
    letters = [chr(code) for code in range(97, 123)]
    words = {
        name: i
        for i, name in enumerate([*letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"])
    }
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    config = CLIPTextConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1,
        bos_token_id=52, eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=8)
    return CLIPTextModel(config), tokenizer


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    """A LoRA that turns one layer of the tiny model upside down."""
    path = tmp_path_factory.mktemp("lora") / "face.safetensors"
    torch.manual_seed(1)
    save_file({f"{LAYER}.lora_A.weight": torch.randn(4, 16), f"{LAYER}.lora_B.weight": 9 * torch.randn(16, 4)}, path)
    return path


@pytest.fixture(scope="module")
def holes():
    rng = np.random.default_rng(0)
    masks = np.zeros((3, SIDE, SIDE), np.uint8)
    masks[:, 8:24, 10:20] = 1
    return rng.integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8), masks


def test_it_inpaints_as_diffusers_pipeline(tiny, holes):
    images, masks = holes
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(tiny, safety_checker=None, requires_safety_checker=False)
    expected = pipeline(
        prompt="a face", image=Image.fromarray(images[1]), mask_image=Image.fromarray(255 * masks[1]), height=SIDE,
        width=SIDE, num_inference_steps=2, guidance_scale=3.0, generator=torch.Generator().manual_seed(5),
    ).images[0]  # fmt: skip
    raw = load_stable(tiny).inpaint(images, masks, [4, 5, 6], **STEPS)
    assert np.abs(raw[1].astype(int) - np.asarray(expected)).max() <= 1  # a batch of three rounds otherwise than one
    clean = load_stable(tiny, clean=True).inpaint(images, masks, [4, 5, 6], **STEPS)
    np.testing.assert_array_equal(clean, np.where(masks[..., None] == 1, raw, images))
    assert (raw[masks == 0] != images[masks == 0]).mean() > 0.9


def test_seed_text_and_lora_decide_what_is_inpainted(tiny, lora, holes):
    images, masks = (each[:1] for each in holes)
    plain = load_stable(tiny)
    first = plain.inpaint(images, masks, [1], **STEPS)
    np.testing.assert_array_equal(first, plain.inpaint(images, masks, [1], **STEPS))
    for other in (
        plain.inpaint(images, masks, [2], **STEPS),
        plain.inpaint(images, masks, [1], **{**STEPS, "prompt": "zzz"}),
        load_stable(tiny, lora=lora).inpaint(images, masks, [1], **STEPS),
    ):
        assert (first != other).mean() > 0.01


def test_images_of_another_size_come_back_at_theirs(tiny):
    images, masks = np.full((1, 16, 16, 3), 90, np.uint8), np.zeros((1, 16, 16), np.uint8)
    masks[:, 4:12, 4:12] = 1
    seen = []
    inpainted = load_stable(tiny, clean=True).inpaint(images, masks, [0], **STEPS, on_step=lambda t, x: seen.append(t))
    assert (inpainted.shape, len(seen)) == (images.shape, 2)
    assert (inpainted[masks == 0] == 90).all()
    assert (inpainted[masks == 1] != 90).any()


def test_fakes_are_written_resumed_and_tell_what_made_them(tiny, lora, dataset, tmp_path):
    words = {"lora": lora, "batch": 2, **STEPS}
    generate_partial("sd-inpaint-clean", dataset, tmp_path / "a", tiny, 3, 0, **words)
    made = Dataset(tmp_path / "a")
    assert set(made.table.generator) == {"sd-inpaint-clean"}
    recipe = read_json(tmp_path / "a/fake/sd-inpaint-clean/recipe.json")
    assert recipe["weights"] == stable_fingerprint(tiny, lora) != stable_fingerprint(tiny)
    assert (recipe["prompt"], recipe["steps"], recipe["guidance"]) == ("a face", 2, 3.0)
    victim = tmp_path / "a" / made.table.path[1]
    content = victim.read_bytes()
    victim.unlink()
    generate_partial("sd-inpaint-clean", dataset, tmp_path / "a", tiny, 3, 0, **words)
    assert victim.read_bytes() == content
    with pytest.raises(WsdlError, match=r"prompt.*'a face'.*'a nose'"):
        generate_partial("sd-inpaint-clean", dataset, tmp_path / "a", tiny, 3, 0, **{**words, "prompt": "a nose"})


def test_the_command_inpaints(tiny, dataset, tmp_path):
    words = ["--data", str(dataset), "--weights", str(tiny), "--count", "1", "--steps", "1", "--batch", "1"]
    run_command("generate", "sd-inpaint", *words, "--out", str(tmp_path / "out"))
    assert list(Dataset(tmp_path / "out").table.generator) == ["sd-inpaint"]


def test_what_cannot_be_used_is_refused_in_one_sentence(tiny, lora, tmp_path, monkeypatch):
    with pytest.raises(WsdlError, match=r"missing: .*hub id"):
        load_stable(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WsdlError, match=r"^\S*empty: [^\n]*Stable Diffusion[^\n]*$"):
        load_stable(tmp_path / "empty")
    with pytest.raises(WsdlError, match=r"empty: .*\.safetensors.*run code"):
        stable_fingerprint(tmp_path / "empty")
    save_file({"unet.nothing.lora_A.weight": torch.zeros(4, 16), "unet.nothing.lora_B.weight": torch.zeros(16, 4)},
              tmp_path / "other.safetensors")  # fmt: skip
    with pytest.raises(WsdlError, match=r"other\.safetensors: [^\n]*LoRA[^\n]*$"):
        load_stable(tiny, lora=tmp_path / "other.safetensors")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(WsdlError, match=r"^sd-inpaint: .*transformers.*wsdl\[stable\]"):
        load_stable(tiny)


def test_weights_that_could_run_code_are_not_read(tiny, lora, tmp_path):
    mixed = shutil.copytree(tiny, tmp_path / "mixed")
    weights = next((mixed / "unet").glob("*.safetensors"))
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(WsdlError, match=r"mixed: .*Stable Diffusion"):
        load_stable(mixed)
    torch.save(load_file(lora), tmp_path / "face.bin")
    with pytest.raises(WsdlError, match=r"face\.bin: .*LoRA"):
        load_stable(tiny, lora=tmp_path / "face.bin")
