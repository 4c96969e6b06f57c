"""Paint made as sharp as what it replaced, and nothing else touched."""

import shutil

import numpy as np
import pytest
from factories import add_lama
from helpers import run_command
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from wsdl.core.io import WsdlError, sha256
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.manifest import write_manifest
from wsdl.fakes.quality import erode_mask, fake_quality, relative_sharpness
from wsdl.fakes.sharpness import _shifted_noise, match_sharpness, match_sharpness_dataset

RNG = np.random.default_rng(0)
SIDE = 48
SLOPE = np.linspace(60, 180, SIDE)[:, None, None] * np.ones((1, SIDE, 3))


def noisy(sigma: float) -> np.ndarray:
    return (SLOPE + np.random.default_rng(1).normal(0, sigma, SLOPE.shape)).round().clip(0, 255).astype(np.uint8)


def mask_of(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


MASK = mask_of(12, 12, 24, 20)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0, 12.0])
def test_smooth_regions_get_noise_and_rough_ones_are_blurred(sigma):
    real = noisy(4)
    fake = np.where(MASK[..., None] == 1, noisy(sigma), real)
    before, after = (
        relative_sharpness(x, real, erode_mask(MASK)) for x in (fake, match_sharpness(fake, real, MASK, RNG))
    )
    assert abs(before - 1) > 0.2
    assert after == pytest.approx(1, abs=0.03)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 28), st.integers(1, 28), st.floats(0, 9))
def test_nothing_outside_the_mask_changes(top, left, height, width, sigma):
    mask, real = mask_of(top, left, height, width), noisy(3)
    fake = np.where(mask[..., None] == 1, noisy(sigma), real)
    found = match_sharpness(fake, real, mask, np.random.default_rng(0))
    assert found.dtype == np.uint8
    assert np.array_equal(found[mask == 0], fake[mask == 0])


def test_the_colours_of_the_region_stay():
    real = noisy(4)
    fake = np.where(MASK[..., None] == 1, (SLOPE * 0.5).astype(np.uint8), real)
    found = match_sharpness(fake, real, MASK, RNG)
    gap = gaussian_filter(found.astype(float) - fake, (3, 3, 0))[20:28, 20:26]
    assert np.abs(gap).max() < 2


def test_grain_is_the_noise_of_the_image_and_not_what_it_shows():
    """Its strength is that of the noise, and it is nowhere near where it came from: an edge would come along."""
    image = noisy(4)
    found = _shifted_noise(image, RNG)
    plain = image - SLOPE
    assert found.std() == pytest.approx(plain.std(), rel=0.2)
    assert abs(np.corrcoef(found.ravel(), plain.ravel())[0, 1]) < 0.1
    assert _shifted_noise(SLOPE.astype(np.uint8), RNG).std() < 0.4


@pytest.fixture(scope="module")
def matched(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("matched") / "data"
    assert run_command("data", "match", dataset, "--out", out) == ""
    return out


def test_a_dataset_is_matched_and_is_a_dataset(dataset, matched):
    assert check_dataset(matched) == []
    assert fake_quality(dataset).sharpness[0] > 1.2  # the stand-in's chequerboard
    assert fake_quality(matched).sharpness[0] == pytest.approx(
        1, abs=0.15
    )  # whole grey levels, in regions of one colour
    before, after = Dataset(dataset), Dataset(matched)
    assert list(before.table.path) == list(after.table.path)
    others = before.table[before.table.kind != "partial"]
    assert all(sha256(matched / path) == sha for path, sha in zip(others.path, others.sha256, strict=True))
    assert np.array_equal(before.masks, after.masks)
    face = after.select(kind="real").iloc[0]
    assert np.array_equal(after.labels(face), before.labels(face))
    assert after.info["made_by"][-1]["command"] == "python -m wsdl data match --seed 0"


def test_it_resumes_and_the_same_seed_gives_the_same_bytes(dataset, matched, tmp_path):
    half = shutil.copytree(matched, tmp_path / "half")
    for name in ("manifest.csv", "dataset.json"):
        (half / name).unlink()
    fakes = Dataset(matched).select(kind="partial")
    kept, lost = half / fakes.path.iloc[0], half / fakes.path.iloc[1]
    old = kept.stat().st_mtime_ns
    lost.unlink()
    run_command("data", "match", dataset, "--out", half)
    assert kept.stat().st_mtime_ns == old
    assert (half / "manifest.csv").read_bytes() == (matched / "manifest.csv").read_bytes()
    with pytest.raises(WsdlError, match=r"seed.* 0.* 1"):
        match_sharpness_dataset(dataset, half, seed=1)


def test_added_and_changed_fakes_are_matched_again(dataset, matched, tmp_path):
    data, out = shutil.copytree(dataset, tmp_path / "data"), shutil.copytree(matched, tmp_path / "out")
    first, second = Dataset(data).select(kind="partial").path.iloc[:2]
    add_lama(data)
    table, info = Dataset(data).table, Dataset(data).info
    write_image(data / first, 255 - read_image(data / first))
    table.loc[table.path == first, "sha256"] = sha256(data / first)
    write_manifest(data, table[table.path != second], info)
    before = {path: (out / path).stat().st_mtime_ns for path in Dataset(out).table.path}
    match_sharpness_dataset(data, out)
    assert check_dataset(out) == []  # nothing is left of the one that is gone
    assert set(Dataset(out).generators) == {"lama", "repaint-p2"}
    after = {path: (out / path).stat().st_mtime_ns for path in before if (out / path).exists()}
    assert {path for path in before if after.get(path) != before[path]} == {first, second}
    assert not np.array_equal(read_image(out / first), read_image(matched / first))


def test_other_faces_are_refused_and_nothing_is_deleted(dataset, matched, tmp_path):
    out, fewer = shutil.copytree(matched, tmp_path / "out"), shutil.copytree(dataset, tmp_path / "fewer")
    data = Dataset(fewer)
    gone = data.select(kind="real").source_id.iloc[0]
    write_manifest(fewer, data.table[data.table.source_id != gone], data.info)
    with pytest.raises(WsdlError, match="matched = "):
        match_sharpness_dataset(fewer, out)
    assert check_dataset(out) == []


def test_another_seed_moves_the_grain(dataset):
    data = Dataset(dataset)
    row = data.select(kind="partial").iloc[0]
    fake, real = read_image(dataset / row.path), data.images[data.source_index(data.table.loc[[row.name]])[0]]
    smooth = np.where(data.masks[row.name][..., None] == 1, gaussian_filter(fake, (2, 2, 0)), fake)
    one, two, again = (match_sharpness(smooth, real, data.masks[row.name], np.random.default_rng(s)) for s in (0, 1, 0))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, two)


def test_there_must_be_fakes(faces, tmp_path):
    with pytest.raises(WsdlError, match="no partial fakes"):
        match_sharpness_dataset(faces, tmp_path / "out")
