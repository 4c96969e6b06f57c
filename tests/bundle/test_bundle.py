"""The bundle: unpacked datasets equal the packed ones to the pixel; others are refused."""

import json
import shutil
import time
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from factories import declare_cc0, finished_p2_run
from helpers import images_in
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.bundle import unpack as unpacking
from wsdl.bundle.archive import (
    crop_region,
    decode_image,
    decode_label_map,
    encode_image,
    encode_label_map,
    list_contents,
    paste_region,
)
from wsdl.bundle.pack import halve_run, pack_style
from wsdl.bundle.unpack import copy_dataset, unpack_dataset, unpack_p2
from wsdl.core.io import WsdlError, sha256
from wsdl.core.run import MODEL_FILE
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.masks import read_mask
from wsdl.generators.diffusion.weights import load_unet, unet_fingerprint
from wsdl.generators.write_fakes import generate_full, generate_partial


@pytest.fixture
def copy(free, tmp_path) -> Path:
    return shutil.copytree(free, tmp_path / "copy")


# --- round trip ---------------------------------------------------------------------------------------------------


def test_unpacked_files_equal_the_packed_ones(free, archive, tmp_path):
    found = unpack_dataset("studio", archive, tmp_path)
    assert images_in(found) == images_in(free)  # real, full, partial, masks and label maps, by the same encoder
    assert len(images_in(found)) == 24 + 24 + 8 + 16 + 16
    for name in ("manifest.csv", "dataset.json", "recipe.json"):
        assert (found / name).read_bytes() == (free / name).read_bytes()
    assert check_dataset(found) == []
    assert [sha256(found / row.path) for row in Dataset(free).table.itertuples()] == Dataset(
        free
    ).table.sha256.to_list()


def test_the_same_input_packs_to_the_same_bytes(free, p2, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 2e9)  # another day
    moved = shutil.copytree(free, tmp_path / "elsewhere" / free.name)
    pack_style("studio", moved, p2, tmp_path / "again.zip")
    assert sha256(tmp_path / "again.zip") == sha256(archive)
    assert str(tmp_path).encode() not in (tmp_path / "again.zip").read_bytes()


def test_the_manifest_lists_the_members_and_how_they_were_made(archive, free):
    with ZipFile(archive) as bundle:
        about = json.loads(bundle.read("manifest.json"))
        names = set(bundle.namelist()) - {"manifest.json"}
    assert (about["format"], about["licence"], about["version"]) == (1, "CC0-1.0", "0.1.0")
    assert about["command"] == "python -m wsdl data bundle --style studio --data data --p2 p2 --out studio.zip"
    assert about["style"] == "studio"
    assert about["dataset"] == Dataset(free).info
    assert names == set(about["files"])
    assert {name.split("/")[0] for name in names} == {"manifest.csv", "recipe.json", "real", "components", "fake", "p2"}


def test_of_a_partial_fake_only_the_region_is_stored(archive, free):
    data = Dataset(free)
    with ZipFile(archive) as bundle:
        boxes = json.loads(bundle.read("manifest.json"))["boxes"]
        for row in data.select("partial").itertuples():
            mask = read_mask(free / row.mask)
            member = bundle.read(row.path.replace(".png", ".webp"))
            region = decode_image(member, row.path, "RGBA")
            rows, columns = np.nonzero(mask)
            assert region.shape[:2] == (np.ptp(rows) + 1, np.ptp(columns) + 1)
            assert boxes[row.path] == [columns.min(), rows.min()]
            assert not region[region[..., 3] == 0].any()  # nothing of the real face is kept twice
            assert len(member) < len(encode_image(read_image(free / row.path)))
        assert len(boxes) == 16
        assert not [name for name in bundle.namelist() if "masks/" in name]


MASKS = st.integers(1, 12).flatmap(lambda s: arrays(np.uint8, (s, s), elements=st.integers(0, 1)).filter(np.any))


@settings(max_examples=60, deadline=None)
@given(mask=MASKS, seed=st.integers(0, 1000), colours=st.sampled_from([1, 2, 256]))
def test_any_region_is_cropped_and_pasted_without_loss(mask, seed, colours):
    face, noise = np.random.default_rng(seed).integers(0, colours, (2, *mask.shape, 3), np.uint8)
    fake = np.where(mask[..., None] == 1, noise, face)
    region, at = crop_region(fake, mask)
    composed, found = paste_region(face, decode_image(encode_image(region), "region", "RGBA"), at)
    assert np.array_equal(composed, fake)
    assert np.array_equal(found, mask)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("corner", [(0, 0), (4, 7), (7, 7), None])
def test_regions_of_one_pixel_and_of_the_full_image(corner):
    rng = np.random.default_rng(0)
    face, fake = rng.integers(0, 256, (2, 8, 8, 3), np.uint8)
    mask = np.full((8, 8), corner is None, np.uint8)
    if corner:
        mask[corner] = 1
    region, at = crop_region(fake, mask)
    assert region.shape == ((1, 1, 4) if corner else (8, 8, 4))
    composed, found = paste_region(face, decode_image(encode_image(region), "region", "RGBA"), at)
    assert np.array_equal(composed, np.where(mask[..., None] == 1, fake, face))
    assert np.array_equal(found, mask)


def test_a_region_is_not_empty_and_within_its_face():
    face = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="empty mask"):
        crop_region(face, np.zeros((8, 8), np.uint8))
    for at in ((-1, 0), (0, -1), (6, 0), (0, 6)):
        with pytest.raises(ValueError, match=f"3x3.* {at[0]},{at[1]}.* 8x8"):
            paste_region(face, np.full((3, 3, 4), 255, np.uint8), at)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 18)))
def test_label_maps_are_stored_without_loss(labels):
    assert np.array_equal(decode_label_map(encode_label_map(labels), "labels"), labels)


def test_faces_without_label_maps_can_be_packed(copy, p2, tmp_path):
    shutil.rmtree(copy / "components")
    pack_style("snapshot", copy, p2, tmp_path / "b.zip")
    assert images_in(unpack_dataset("snapshot", tmp_path / "b.zip", tmp_path / "cache")) == images_in(copy)


# --- generators ---------------------------------------------------------------------------------------------------


def test_the_weights_are_fp16_and_load_as_they_are(archive, p2, tmp_path):
    run = unpack_p2("studio", archive, tmp_path)
    assert {value.dtype for value in load_file(run / MODEL_FILE).values()} == {torch.float16}
    for name in ("config.json", "run.json"):
        assert (run / name).read_bytes() == (p2 / name).read_bytes()
    assert unet_fingerprint(run) == sha256(run / MODEL_FILE) != unet_fingerprint(p2)
    (ours, size), (theirs, _) = load_unet(run), load_unet(p2)
    assert size == 32
    assert {value.dtype for value in ours.parameters()} == {torch.float32}
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value.half().float())
    x, t = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([10, 900])
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t), theirs(x, t), rtol=0, atol=2e-3)
        assert theirs(x, t).std() > 0.02  # far more than what is tolerated


def test_fakes_made_with_fp16_weights_are_reproduced_from_the_bundle(faces, p2, tmp_path):
    """The fakes of the bundle are reproducible from its faces, its weights and the seeds in its recipes."""
    data, half = declare_cc0(shutil.copytree(faces, tmp_path / "data")), tmp_path / "half"
    halve_run(p2, half)
    full, partial = {"steps": 1, "batch": 2}, {"T": 4, "jump_length": 1, "resamplings": 1, "batch": 2}
    generate_full(data, half, 2, 0, **full)
    generate_partial("repaint-p2", data, data, half, 2, 0, **partial)
    pack_style("studio", data, half, tmp_path / "b.zip")

    again = tmp_path / "again"
    copy_dataset(again, "studio", archive=tmp_path / "b.zip", cache=tmp_path / "cache")
    run = unpack_p2("studio", tmp_path / "b.zip", tmp_path / "cache")
    assert unet_fingerprint(run) == unet_fingerprint(half)  # fp16 already: packed as it is
    made = images_in(again / "fake")
    assert len(made) == 2 + 2 + 2
    for path in (again / "fake").rglob("*.png"):
        path.unlink()
    generate_full(again, run, 2, 0, **full)
    generate_partial("repaint-p2", again, again, run, 2, 0, **partial)
    assert images_in(again / "fake") == made

    with pytest.raises(WsdlError, match="--out"):  # the recipes came along: no mixing of seeds
        generate_full(again, run, 2, 1, **full)
    other = finished_p2_run(tmp_path / "other", seed=1)
    with pytest.raises(WsdlError, match=r"p2/recipe.json: .*sha256 .*data halve"):
        pack_style("studio", data, other, tmp_path / "c.zip")


# --- commands -----------------------------------------------------------------------------------------------------


def run(*words) -> str:
    result = CliRunner().invoke(app, ["data", *(str(word) for word in words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands(free, p2, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "STYLE_ARCHIVES", tmp_path / "assets")
    out = tmp_path / "assets" / "studio.zip"
    printed = run("bundle", "--style", "studio", "--data", free, "--p2", p2, "--out", out).splitlines()
    assert sha256(out) == sha256(archive)
    assert printed[0].split()[:4] == ["style", "real", "full", "partial"]
    assert [line.split()[:4] for line in printed[1:]] == [["studio", "24", "8", "16"]]
    monkeypatch.setenv("WSDL_CACHE", str(tmp_path / "cache"))
    run("unpack", "studio", "--out", tmp_path / "mine")
    assert images_in(tmp_path / "mine") == images_in(free)
    run("halve", p2, "--out", tmp_path / "half")
    assert sha256(tmp_path / "half" / MODEL_FILE) == unet_fingerprint(unpack_p2("studio"))


def test_contents_add_up(archive):
    (row,) = list_contents(archive).to_dict("records")
    with ZipFile(archive) as bundle:
        size = {member.filename: member.file_size / 1e6 for member in bundle.infolist()}

    def total(*starts: str) -> float:
        return pytest.approx(sum(size[name] for name in size if name.startswith(starts)))

    assert (row["style"], row["real"], row["full"], row["partial"]) == ("studio", 24, 8, 16)
    assert row["real_MB"] == total("real/")
    assert row["labels_MB"] == total("components/")
    assert row["full_MB"] == total("fake/p2/")
    assert row["partial_MB"] == total("fake/repaint-p2/")
    assert row["p2_MB"] == total("p2/")
    assert row["tables_MB"] == total("manifest.csv", "recipe.json")
    assert row["all_MB"] == pytest.approx(archive.stat().st_size / 1e6)
    assert len(row) == 11
