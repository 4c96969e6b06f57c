"""Sharpness and distance of inpainted regions: known Gaussians, other implementations, known defects."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import run_command
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter
from torchmetrics.image.fid import _compute_fid

from wsdl.core.io import WsdlError, sha256
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.manifest import write_manifest
from wsdl.evaluation.forensics import noise_of
from wsdl.fakes.quality import (
    QUALITY_COLUMNS,
    RandomFeatures,
    erode_mask,
    fake_quality,
    frechet_distance,
    gaussian_distance,
    relative_sharpness,
    residual_spectrum,
)

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)


def gaussian(seed: int, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(d, d))
    return rng.normal(size=d), factor @ factor.T


def test_the_distance_of_gaussians_is_scipys_and_torchmetrics():
    (m1, c1), (m2, c2) = gaussian(1), gaussian(2)
    by_root = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert gaussian_distance((m1, c1), (m2, c2)) == pytest.approx(by_root, rel=1e-9)
    theirs = _compute_fid(*map(torch.from_numpy, (m1, c1, m2, c2)))
    assert gaussian_distance((m1, c1), (m2, c2)) == pytest.approx(theirs.item(), rel=1e-6)


def test_the_distance_of_gaussians_that_share_their_axes_is_known():
    """Of N(0, diag a²) and N(m, diag b²) it is |m|² + |a - b|²; of a Gaussian from itself 0."""
    a, b, m = np.array([1.0, 2, 3]), np.array([2.0, 2, 1]), np.array([0.5, -1, 0])
    found = gaussian_distance((np.zeros(3), np.diag(a**2)), (m, np.diag(b**2)))
    assert found == pytest.approx((m**2).sum() + ((a - b) ** 2).sum())
    assert gaussian_distance(gaussian(3), gaussian(3)) == pytest.approx(0, abs=1e-9)


def test_samples_come_near_the_distance_of_their_gaussians():
    a, b = RNG.normal(0, 2, (20_000, 3)), RNG.normal(1, 1, (20_000, 3))
    assert frechet_distance(a, b) == pytest.approx(3 * (1 + 1), rel=0.05)
    assert frechet_distance(b, b) == pytest.approx(0, abs=1e-9)
    assert np.isnan(frechet_distance(a[:1], b))


def test_a_feature_that_hardly_varies_does_not_outweigh_the_others():
    """One of spread 1e-6 that differs by a hundredth of a grey level: nothing that an image of 8 bits could show."""
    a, b = RNG.normal(0, 1, (2000, 3)), RNG.normal(1, 1, (2000, 3))
    quiet = RNG.normal(0, 1e-6, (2, 2000, 1))
    with_quiet = frechet_distance(np.hstack([a, quiet[0] + 0.01 / 127.5]), np.hstack([b, quiet[1]]))
    assert with_quiet == pytest.approx(frechet_distance(a, b), rel=1e-3)


def test_sharpness_is_a_ratio_inside_the_region_alone():
    inside = np.zeros((32, 32), bool)
    inside[8:24, 8:24] = True
    image = np.full((32, 32, 3), 100.0)
    image[::2] += 10  # lines: the Laplacian is 20 everywhere inside
    lines, weaker = image.astype(np.uint8), (100 + (image - 100) / 2).astype(np.uint8)
    assert relative_sharpness(lines, lines, inside) == 1
    assert relative_sharpness(weaker, lines, inside) == pytest.approx(0.5)
    assert relative_sharpness(np.where(inside[..., None], lines, NOISE), lines, erode_mask(inside)) == 1
    assert relative_sharpness(np.full_like(lines, 100), lines, inside) == pytest.approx(
        1 / 20
    )  # one grey level at least


def test_a_thin_mask_is_kept_whole():
    thin = np.zeros((16, 16), np.uint8)
    thin[4:7] = 1
    assert erode_mask(thin).sum() == thin.sum()
    assert erode_mask(np.ones((16, 16), np.uint8)).sum() == 12 * 12


def test_features_see_what_is_inside_the_mask_and_nothing_outside():
    network, mask = RandomFeatures(), np.zeros((1, 32, 32), bool)
    mask[:, :, :8] = True
    changed = NOISE.copy()
    changed[:, 24:] = 0
    first, second = (network.inside(image[None], mask) for image in (NOISE, changed))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (1, 112)
    assert np.abs(network.inside(NOISE[None], ~mask) - first).max() > 0.01
    np.testing.assert_array_equal(RandomFeatures().inside(NOISE[None], mask), first)  # the same network every time


def test_the_spectrum_peaks_where_the_pattern_repeats():
    image, mask = np.full((1, 32, 32, 3), 100, np.uint8), np.ones((1, 32, 32), np.uint8)
    image[:, :, ::4] += 6  # a line every 4 pixels: 8 times across
    power = residual_spectrum(image, mask)
    peaks = {tuple(at) for at in np.argwhere(power > 0.3 * power.max())}
    assert {(16, 16 - 8), (16, 16 + 8)} <= peaks
    taken = noise_of(image[0].astype(np.float32).mean(axis=2))[erode_mask(mask[0])]
    assert power.sum() / 32**2 == pytest.approx((taken**2).mean(), rel=1e-5)  # Parseval


@pytest.fixture(scope="module")
def judged(dataset, tmp_path_factory):
    """`dataset` with two more generators on the same masks: one that returns the face itself, one that blurs."""
    folder = shutil.copytree(dataset, tmp_path_factory.mktemp("judged") / "data")
    data, tables = Dataset(folder), []
    real = {row.source_id: read_image(folder / row.path) for row in data.select(kind="real").itertuples()}
    for name, work in (("perfect", lambda face: face), ("smooth", lambda face: gaussian_filter(face, (3, 3, 0)))):
        rows = data.select(kind="partial").copy()
        for i, row in rows.iterrows():
            path = row.path.replace("repaint-p2", name)
            face, mask = real[row.source_id], data.masks[i]
            write_image(folder / path, np.where(mask[..., None] == 1, work(face), face))
            rows.loc[i, ["path", "generator", "sha256"]] = [path, name, sha256(folder / path)]
        tables.append(rows)
    write_manifest(folder, pd.concat([data.table, *tables]), data.info)
    return folder


def test_a_perfect_region_is_as_sharp_and_as_near_as_real(judged):
    rows = fake_quality(judged).set_index("generator")
    perfect, smooth, loud = (rows.loc[name] for name in ("perfect", "smooth", "repaint-p2"))
    assert (perfect.sharpness, perfect.sharpness_low, perfect.sharpness_high) == (1, 1, 1)
    assert perfect.distance == perfect.floor
    assert smooth.sharpness_high < 0.8
    assert loud.sharpness_low > 1.2  # the stand-in's checkerboard
    assert smooth.distance > perfect.distance
    assert loud.distance > smooth.distance
    assert smooth.distance == pytest.approx(smooth.flat, rel=0.3)
    assert list(rows.n) == [16, 16, 16]


def test_of_one_face_there_is_no_interval_and_no_distance(dataset, tmp_path):
    folder = shutil.copytree(dataset, tmp_path / "data")
    table = Dataset(folder).table
    face = table[table.kind == "partial"].source_id.iloc[0]
    write_manifest(folder, table[table.source_id == face], Dataset(folder).info)
    row = fake_quality(folder).iloc[0]
    assert row.sharpness > 0
    assert row[["sharpness_low", "sharpness_high", "distance", "floor", "flat"]].isna().all()


def test_the_command_prints_a_row_a_generator(judged):
    lines = run_command("data", "judge", judged).splitlines()
    assert lines[0] == ",".join(QUALITY_COLUMNS)
    assert [line.split(",")[0] for line in lines[1:]] == ["perfect", "repaint-p2", "smooth"]


def test_there_must_be_fakes_and_their_faces(faces, dataset, tmp_path):
    with pytest.raises(WsdlError, match="has no partial fakes"):
        fake_quality(faces)
    folder = shutil.copytree(dataset, tmp_path / "data")
    table = Dataset(folder).table
    write_manifest(folder, table[table.kind != "real"], Dataset(folder).info)
    with pytest.raises(WsdlError, match="no real face"):
        fake_quality(folder)
