"""The audit detects injected shortcuts, and only those."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from wsdl.core.io import WsdlError, sha256
from wsdl.data.audit import (
    FILE_FEATURES,
    MASK_MARGIN,
    audit_dataset,
    block_grid,
    log_spectrum,
    measure_pixels,
    weighted_auc,
)
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import write_manifest
from wsdl.data.masks import dilate, random_region, write_mask
from wsdl.data.prepare import prepare_dataset

FORMAT, SIZE, OWN_BYTES, BYTES, COLOURS, SPECTRUM, GRID = (
    *FILE_FEATURES,
    "colour means outside the mask",
    "spectrum outside the mask",
    "8-pixel grid outside the mask",
)


def build(made_up, folder: Path, change=lambda pixels: pixels, suffix: str = ".png") -> Path:
    """A dataset at 64 px: each face with an inpainted nose; `change` is applied to the fake."""
    prepare_dataset(*made_up, folder, size=64, seed=0, source="made-up")
    data = Dataset(folder)
    rows = [data.table]
    for index, face in data.table.iterrows():
        rng = np.random.default_rng(index)
        mask = random_region(data.labels(face), "nose", rng)
        noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        path, mask_path = (
            Path("fake/repaint-p2", what, face.split, face.source_id + end)
            for what, end in (("images", suffix), ("masks", ".png"))
        )
        pixels = change(np.where(mask[..., None] == 1, noise, data.images[index]).astype(np.uint8))
        write_mask(folder / mask_path, mask)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".png":
            write_image(folder / path, pixels)
        else:
            Image.fromarray(pixels).save(folder / path, quality=95)
        row = {**face, "path": str(path), "mask": str(mask_path), "kind": "partial", "generator": "repaint-p2"}
        rows.append(pd.DataFrame([{**row, "area": mask.mean(), "sha256": sha256(folder / path)}]))
    write_manifest(folder, pd.concat(rows), data.info)
    return folder


def caught(table: pd.DataFrame) -> set[str]:
    return set(table.feature[table.verdict != "ok"]) - {BYTES}


def jpeg(pixels: np.ndarray) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def test_a_clean_dataset_passes(made_up, tmp_path):
    """The fakes have noise inside the masks and equal the real image outside."""
    table = audit_dataset(build(made_up, tmp_path))
    assert table.columns.tolist() == ["feature", "auc", "low", "high", "verdict"]
    assert caught(table) == set()
    assert table.set_index("feature").auc.drop(BYTES).to_numpy() == pytest.approx(0.5)
    assert table.set_index("feature").auc[BYTES] > 0.6  # noise compresses badly, as the name of the row states


@pytest.mark.parametrize(
    ("change", "suffix", "expected"),
    [
        (lambda p: (p.astype(int) + 6).clip(0, 255).astype(np.uint8), ".png", {COLOURS}),
        (lambda p: p, ".jpg", {FORMAT, OWN_BYTES}),
        (lambda p: gaussian_filter(p, (0.6, 0.6, 0)), ".png", {SPECTRUM}),
        (jpeg, ".png", {SPECTRUM, GRID}),
    ],
    ids=["brighter", "another format", "blurred", "was a JPEG once"],
)
def test_an_injected_shortcut_is_caught(made_up, tmp_path, change, suffix, expected):
    table = audit_dataset(build(made_up, tmp_path, change, suffix))
    assert expected <= caught(table)


def test_the_same_seed_gives_the_same_table(made_up, tmp_path):
    folder = build(made_up, tmp_path, jpeg)
    assert audit_dataset(folder, seed=3, max_fakes=12).equals(audit_dataset(folder, seed=3, max_fakes=12))


def test_full_fakes_are_compared_as_files(dataset):
    table = audit_dataset(dataset, kind="full")
    assert table.feature.tolist() == list(FILE_FEATURES)
    assert caught(table) == set()


def test_a_dataset_without_fakes_or_reals_is_refused(faces, dataset):
    with pytest.raises(WsdlError, match=r"0 partial fakes by 'repaint-p2'.*24 real"):
        audit_dataset(faces)
    with pytest.raises(WsdlError, match="0 partial fakes by 'lama'"):
        audit_dataset(dataset, "lama")


def test_auc_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    fake = rng.integers(0, 2, 80)
    scores = rng.integers(0, 9, 80) + fake  # with ties
    assert weighted_auc(scores, fake) == pytest.approx(roc_auc_score(fake, scores))
    weights = rng.integers(0, 4, 80)
    assert weighted_auc(scores, fake, weights) == pytest.approx(roc_auc_score(fake, scores, sample_weight=weights))


def test_inpainted_pixels_do_not_influence_the_measures_outside():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    inpainted = np.where(mask[..., None], 0, pixels).astype(np.uint8)
    outside = ~dilate(mask, MASK_MARGIN)
    assert measure_pixels(pixels, outside) == measure_pixels(inpainted, outside)


def test_the_spectrum_separates_octaves():
    x = np.indices((64, 64))[1]
    everywhere = np.ones((64, 64), bool)
    waves = [np.sin(2 * np.pi * x / period) * 50 + 120 for period in (2.5, 6, 12)]
    bands = [log_spectrum(np.repeat(wave[..., None], 3, axis=2), everywhere) for wave in waves]
    assert [int(np.argmax(band)) for band in bands] == [0, 1, 2]


def test_the_grid_shows_jpeg_blocks():
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(120, 400, (64, 64)), 4)
    pixels = np.repeat(smooth.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=10)
    blocky = np.asarray(Image.open(file))
    everywhere = np.ones((64, 64), bool)
    assert min(block_grid(blocky, everywhere)) > max(block_grid(pixels, everywhere)) + 0.3


def test_a_grid_is_measured_at_its_own_period():
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 110, (64, 64, 3)).astype(np.uint8)
    printed = pixels + 40 * ((np.arange(64) // 4 + np.arange(64)[:, None] // 4) % 2)[..., None].astype(np.uint8)
    everywhere = np.ones((64, 64), bool)
    assert max(np.abs(block_grid(pixels, everywhere, period=4))) < 0.2
    assert min(block_grid(printed, everywhere, period=4)) > 1
