"""Saved figures: size limit, reproducible bytes, colours."""

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from scipy.ndimage import zoom

from wsdl import plots

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
MASKS = np.zeros((3, 32, 32), np.uint8)
MASKS[:, 8:20, 10:25] = 1
MAPS = RNG.random((3, 8, 8)).astype(np.float32)


def test_save_figure_keeps_small_figures_exact(tmp_path):
    sheet = plots.contact_sheet(PICTURES, scale=1)
    path = plots.save_figure(sheet, tmp_path / "new" / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(sheet))


@pytest.mark.parametrize("side", [300, 900])
def test_save_figure_limits_the_size_and_leaves_no_temporary_file(tmp_path, side):
    noise = Image.fromarray(RNG.integers(0, 256, (side, side, 3), dtype=np.uint8))
    path = plots.save_figure(noise, tmp_path / "noise.png")
    assert path.stat().st_size <= 200_000
    assert Image.open(path).width > 200
    assert [file.name for file in tmp_path.iterdir()] == ["noise.png"]


def test_save_figure_lowers_jpeg_quality_not_size(tmp_path):
    noise = Image.fromarray(RNG.integers(0, 256, (900, 900, 3), dtype=np.uint8))
    path = plots.save_figure(noise, tmp_path / "faces.jpg")
    assert path.stat().st_size <= 200_000
    assert (Image.open(path).format, Image.open(path).size) == ("JPEG", (900, 900))


def test_save_figure_keeps_map_colours_when_reducing_colours(tmp_path):
    smooth = zoom(np.random.default_rng(1).random((60, 60, 3)), (8, 8, 1), order=1)
    picture = np.clip(smooth * 255, 0, 255).astype(np.uint8)
    ramp = np.round(colormaps[plots.MAP_COLOURS](np.linspace(0, 1, 480))[:, :3] * 255).astype(np.uint8)
    picture[:20] = ramp
    picture[-60:], picture[-20:] = 250, 255
    saved = Image.open(plots.save_figure(Image.fromarray(picture), tmp_path / "figure.png"))
    assert saved.mode == "P"
    assert saved.size == (480, 480)
    pixels = np.asarray(saved.convert("RGB"))
    assert (pixels[-18:] == 255).mean() > 0.99
    bar = pixels[:20].reshape(20, 48, 10, 3).mean(axis=(0, 2))  # the eye mixes the dots
    assert np.abs(bar - ramp.reshape(48, 10, 3).mean(axis=1)).max() <= 6


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    first, second = (
        plots.save_figure(plots.map_grid(PICTURES, MASKS, {"patches": MAPS}), tmp_path / name).read_bytes()
        for name in ("a.png", "b.png")
    )
    assert first == second
