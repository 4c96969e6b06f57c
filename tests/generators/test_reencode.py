"""`generate reencode`: regions that a tiny autoencoder encoded and decoded, with weights in the published layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import run_command
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError, read_json
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.masks import read_mask
from wsdl.generators.reencode import load_reencoder

WIDTH, LATENTS = 8, 4
BLOCKS = {"encoder": [1, *range(3, 6), *range(7, 10), *range(11, 14)],
          "decoder": [*range(3, 6), *range(8, 11), *range(13, 16), 18]}  # fmt: skip
POOLED = {"encoder": range(11, 14), "decoder": range(3, 6)}
CONVOLUTIONS = {"encoder": {0: (WIDTH, 3, True), 2: (WIDTH, WIDTH, False), 6: (WIDTH, WIDTH, False),
                            10: (WIDTH, WIDTH, False), 14: (LATENTS, WIDTH, True)},
                "decoder": {1: (WIDTH, LATENTS, True), 7: (WIDTH, WIDTH, False), 12: (WIDTH, WIDTH, False),
                            17: (WIDTH, WIDTH, False), 19: (3, WIDTH, True)}}  # fmt: skip


def published_tensors(part: str, pooled: bool, random: torch.Generator) -> dict[str, torch.Tensor]:
    """Random weights of one part, numbered as in the published files."""

    def convolution(name: str, out: int, inside: int, side: int, bias: bool = False) -> dict[str, torch.Tensor]:
        weight = torch.randn(out, inside, side, side, generator=random) / (inside * side**2) ** 0.5
        found = {f"{name}.weight": weight}
        return found | ({f"{name}.bias": torch.randn(out, generator=random) / 10} if bias else {})

    tensors = {}
    for number, (out, inside, bias) in CONVOLUTIONS[part].items():
        tensors |= convolution(f"{number}", out, inside, 3, bias)
    for number in BLOCKS[part]:
        for i in (0, 2, 4):
            tensors |= convolution(f"{number}.conv.{i}", WIDTH, WIDTH, 3, True)
        if pooled and number in POOLED[part]:
            tensors |= convolution(f"{number}.pool.0", 4 * WIDTH, WIDTH, 1)
            tensors |= {
                f"{number}.pool.1.{name}": torch.rand(4 * WIDTH, generator=random) for name in ("weight", "bias")
            }
            tensors |= convolution(f"{number}.pool.3", WIDTH, 4 * WIDTH, 1)
    return {name: value.half() for name, value in tensors.items()}


def write_autoencoder(folder: Path, pooled: bool = True) -> Path:
    folder.mkdir(parents=True)
    for seed, part in enumerate(BLOCKS):
        random = torch.Generator().manual_seed(seed)
        save_file(published_tensors(part, pooled, random), folder / f"tiny_{part}.safetensors")
    return folder


def run_by_hand(weights: dict[str, torch.Tensor], part: str, x: torch.Tensor) -> torch.Tensor:
    """One part, written out layer by layer from the numbers of its tensors."""
    w = {name: value.float() for name, value in weights.items()}
    for number in range(int(max(CONVOLUTIONS[part])) + 1):
        if number in BLOCKS[part]:
            if f"{number}.pool.0.weight" in w:
                pool = F.conv2d(x, w[f"{number}.pool.0.weight"])
                pool = F.group_norm(pool, 4, w[f"{number}.pool.1.weight"], w[f"{number}.pool.1.bias"]).relu()
                x = x + F.conv2d(pool, w[f"{number}.pool.3.weight"])
            y = x
            for i in (0, 2, 4):
                y = F.conv2d(
                    y.relu() if i else y, w[f"{number}.conv.{i}.weight"], w[f"{number}.conv.{i}.bias"], padding=1
                )
            x = (x + y).relu()
        elif number in CONVOLUTIONS[part]:
            stride = 2 if part == "encoder" and number in (2, 6, 10) else 1
            x = F.conv2d(x, w[f"{number}.weight"], w.get(f"{number}.bias"), stride, padding=1)
        elif number == 0:
            x = 3 * torch.tanh(x / 3)
        elif number == 2:
            x = x.relu()
        else:
            x = F.interpolate(x, scale_factor=2)
    return x


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory) -> Path:
    return write_autoencoder(tmp_path_factory.mktemp("autoencoder") / "tiny")


@pytest.mark.parametrize("pooled", [True, False])
def test_the_network_is_that_of_its_tensor_names(pooled, images, tmp_path):
    folder = write_autoencoder(tmp_path / "tiny", pooled)
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    for part in BLOCKS:
        x = run_by_hand(load_file(folder / f"tiny_{part}.safetensors"), part, x)
    expected = (255 * x).round().clamp(0, 255).permute(0, 2, 3, 1).numpy()
    found = load_reencoder(folder).round_trip(images)
    assert found.std() > 5
    np.testing.assert_allclose(found, expected, atol=1)  # rounding


def test_only_the_masked_region_is_taken(autoencoder, images, masks):
    network = load_reencoder(autoencoder)
    inpainted, decoded = network.inpaint(images, masks, [0, 0, 0]), network.round_trip(images)
    np.testing.assert_array_equal(inpainted[masks == 0], images[masks == 0])
    np.testing.assert_array_equal(inpainted[masks == 1], decoded[masks == 1])


def test_sides_need_not_be_multiples_of_eight(autoencoder, images):
    wide = np.concatenate([images, images[:, :, :5]], axis=2)[:, :13]
    assert load_reencoder(autoencoder).round_trip(wide).shape == wide.shape


def test_the_command_writes_fakes_with_masks_into_the_dataset(autoencoder, faces, tmp_path):
    data = Path(shutil.copytree(faces, tmp_path / "data"))
    command = ["generate", "reencode", "--autoencoder", autoencoder, "--data", data, "--count", 6]
    run_command(*command)
    dataset, network = Dataset(data), load_reencoder(autoencoder)
    fakes, real = dataset.select(generator="reencode"), dataset.select(kind="real").set_index("source_id")
    assert list(fakes.kind) == ["partial"] * 6
    for row in fakes.itertuples():
        face = read_image(data / real.loc[row.source_id].path)
        mask = read_mask(data / row.mask)
        assert mask.mean() == pytest.approx(row.area, abs=1e-6)
        np.testing.assert_array_equal(read_image(data / row.path), network.inpaint(face[None], mask[None], [0])[0])
    assert len(read_json(data / "fake/reencode/recipe.json")["weights"]) == 64
    run_command(*command)  # has them already
    other = write_autoencoder(tmp_path / "other", pooled=False)
    refused = CliRunner().invoke(app, [str(word) for word in [*command[:3], other, *command[4:]]])
    assert "weights" in str(refused.exception)


def without(name: str):
    return lambda weights: weights.pop(name)


def add(name: str, shape: tuple[int, ...], value: float = 0.0):
    return lambda weights: weights.update({name: torch.full(shape, value)})


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        ("encoder", without("14.weight"), "no convolutions 0.weight and 14.weight"),
        ("encoder", without("9.conv.2.bias"), "9.conv.2.bias"),
        ("decoder", without("4.pool.3.weight"), "4.pool.3.weight"),
        ("decoder", add("2.weight", (3,)), "2.weight"),
        ("decoder", add("first.weight", (3,)), "first"),
        ("decoder", add("1.weight", (WIDTH, 9, 3, 3)), "1.weight"),
        ("decoder", add("19.bias", (3,), np.nan), "19.bias holds NaN or infinite values"),
    ],
)
def test_wrong_and_missing_tensors_are_refused(part, change, reason, tmp_path):
    folder = write_autoencoder(tmp_path / "tiny")
    path = folder / f"tiny_{part}.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    with pytest.raises(WsdlError) as caught:
        load_reencoder(folder)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_damaged_files_are_named(tmp_path):
    folder = write_autoencoder(tmp_path / "tiny")
    path = folder / "tiny_decoder.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WsdlError, match=r"tiny_decoder.safetensors: is no valid file of weights .*; give that"):
        load_reencoder(folder)
    path.unlink()
    with pytest.raises(WsdlError, match=r"holds no files \*decoder.safetensors, but must hold one"):
        load_reencoder(folder)
