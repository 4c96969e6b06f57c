"""Runs of every generator in fp16: their files, loading, and that inpainting is visually the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import FEW_STEPS, fp16_run, untrained_run
from helpers import tree
from safetensors.torch import load_file

from wsdl.bundle.pack import halve_run
from wsdl.core.io import WsdlError, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.data.dataset import Dataset
from wsdl.generators.diffusion.ldm import ldm_fingerprint, load_ldm
from wsdl.generators.registry import load_generator


@pytest.mark.parametrize("name", ["lama", "pluralistic", "repaint-ldm-clean"])
def test_an_fp16_run_inpaints_the_same(name, faces, tmp_path):
    run = untrained_run(name, tmp_path / "run")
    small, data = fp16_run(run), Dataset(faces)
    kept = {path.relative_to(run) for path in run.rglob("*") if path.is_file()} - {Path("trainer.pt")}
    assert {path.relative_to(small) for path in small.rglob("*") if path.is_file()} == kept
    for path in small.rglob(MODEL_FILE):
        original = load_file(run / path.relative_to(small))
        for key, value in load_file(path).items():
            assert value.dtype == (torch.float16 if original[key].is_floating_point() else original[key].dtype), key
    images, masks = data.images[:4], np.zeros((4, 32, 32), np.uint8)
    masks[:, 8:20, 6:26] = 1
    inpainted = []
    for weights in (run, small):
        network, schedule = load_generator(name, weights), FEW_STEPS if "ldm" in name else {}
        inpainted.append(network.inpaint(images, masks, [1, 2, 3, 4], **schedule).astype(int))
    gap = np.abs(inpainted[0] - inpainted[1])
    assert gap.max() <= 2
    assert (inpainted[0] != images).any(axis=-1)[masks == 1].mean() > 0.5
    again = fp16_run(small)
    assert tree(again) == tree(small)  # fp16 already: as it is


def test_the_fingerprint_of_latent_diffusion_covers_both_networks(tmp_path):
    run = untrained_run("ldm", tmp_path / "run")
    one, two = ldm_fingerprint(run), ldm_fingerprint(fp16_run(run))
    assert one[:32] != two[:32]
    assert one[32:] != two[32:]
    assert load_ldm(fp16_run(run)).size == 32


def test_an_incomplete_run_is_refused(tmp_path):
    run = untrained_run("ldm", tmp_path / "run")
    for name in ("autoencoder/latents.json", "run.json"):
        broken = shutil.copytree(run, tmp_path / name.replace("/", "-"))
        (broken / name).unlink()
        with pytest.raises(WsdlError, match=f"{name}: .*train-generator"):
            halve_run(broken, tmp_path / "out")
    write_json(run / "run.json", {"status": "running"})
    with pytest.raises(WsdlError, match="not finished"):
        halve_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
