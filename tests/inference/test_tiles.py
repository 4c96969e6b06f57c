"""Maps at native resolution: equal to those of one pass, whatever the tiles."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wsdl
from wsdl.core.device import to_unit
from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.detectors import build_detector, load_detector
from wsdl.inference import tiles
from wsdl.inference.tiles import predict_tiles


@pytest.fixture(
    scope="module", params=[("patches", {}), ("patches-mil", {}), ("patches-mil", {"last_block": "block2"})]
)
def network(request):
    method, options = request.param
    torch.manual_seed(0)
    return build_detector(method, "b", input_size=128, **options).eval()


def whole(network, pixels):
    with torch.no_grad():
        maps, scores = network.predict_batch(to_unit(pixels[None], torch.device("cpu")))
    return maps.numpy(), scores.numpy()


@pytest.mark.parametrize("size", [(64, 64), (200, 333), (129, 130), (65, 515), (195, 128)])
def test_tiles_give_the_map_of_one_pass(network, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    maps, scores = whole(network, pixels)
    found = predict_tiles(network, pixels, tile=64)
    assert found.maps.shape == maps.shape
    np.testing.assert_allclose(found.maps, maps, atol=1e-5)  # at the borders of tiles, too
    np.testing.assert_allclose(found.scores, scores, atol=1e-5)


def test_one_tile_is_in_memory_at_a_time(network, monkeypatch):
    seen = []
    original = type(network).predict_batch
    monkeypatch.setattr(network, "predict_batch", lambda x: (seen.append(x.shape), original(network, x))[1], False)
    predict_tiles(network, np.zeros((500, 900, 3), np.uint8), tile=128)
    assert max(max(shape[2:]) for shape in seen) <= 128 + 2 * tiles.OVERLAP
    assert {shape[0] for shape in seen} == {1}


def test_methods_that_need_a_square_are_refused():
    with pytest.raises(WsdlError, match="cannot predict at native resolution; use patches or patches-mil"):
        predict_tiles(torch.nn.Identity(), np.zeros((64, 64, 3), np.uint8))


def test_a_native_detector_gets_images_as_they_are(run_folder, tmp_path, no_parser):
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    config = read_json(run / "config.json")
    write_json(run / "config.json", {**config, "settings": {**config["settings"], "resolution": "native"}})
    image = np.random.default_rng(0).integers(0, 256, (150, 260, 3), np.uint8)
    image[:75] = np.asarray(Image.fromarray(image[:75]).resize((26, 8)).resize((260, 75)))
    native, resized = wsdl.localize(image, run), wsdl.localize(image, run_folder)
    expected = predict_tiles(load_detector(run), image)
    assert native.score == float(expected.scores[0])
    assert native.map.shape == (150, 260)
    assert native.analysed.all()
    assert native.warnings == []  # nothing was resized
    assert any("distorted" in warning for warning in resized.warnings)
    assert not np.allclose(native.map, resized.map, atol=0.01)
    small = wsdl.localize(image[:20, :20], run)  # too small: enlarged, with a warning
    assert any("enlarged" in warning for warning in small.warnings)
