"""The explorer without a browser: validation, traits, encoding, pages."""

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from io import BytesIO

import nbformat
import numpy as np
import pytest
from factories_explorer import GIVEN, explorer_arrays, small_explorer
from matplotlib import colormaps
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from scipy.ndimage import gaussian_filter

import wsdl
from wsdl import notebooks
from wsdl.core.io import WsdlError
from wsdl.evaluation.metrics import binary, upsample
from wsdl.explorer import encode, explore, static_files, static_view


def test_explore_is_loaded_on_first_use():
    assert wsdl.explore is explore
    code = "import sys, wsdl; wsdl.__all__; print('anywidget' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


IMAGES, MAPS, MASKS = (explorer_arrays()[name] for name in ("images", "maps", "masks"))
FINE = MAPS["setup C"]
WRONG = {
    "a number as labels": ({"labels": 5}, "labels must be 4 texts, one for each image, but there are 1"),
    "a text as threshold": ({"threshold": "high"}, "threshold is 'high', but must be a number between 0 and 1"),
    "one picture without its set": ({"images": IMAGES[0]}, "images must be uint8 [n, H, W, 3], but are uint8 of shape"),
    "float pictures": ({"images": IMAGES / 255}, "images must be uint8 [n, H, W, 3], but are float64"),
    "pictures of two sizes": ({"images": [IMAGES[0], IMAGES[1][:9]]}, "images cannot be converted to one array"),
    "no picture": ({"images": IMAGES[:0]}, "images is empty"),
    "no map": ({"maps": {}}, "maps is empty"),
    "a map without a name": ({"maps": {"": FINE}}, "maps is empty or has a map without a name"),
    "too few maps": ({"maps": {"A": FINE[:3]}}, "map 'A' must be float [n, h, w] with n = 4"),
    "a flat map": ({"maps": FINE[0]}, "map 'map' must be float [n, h, w]"),
    "logits": ({"maps": {"A": FINE * 9 - 3}}, "map 'A' has values from -3 to 6, but they must be in [0, 1]"),
    "NaN": ({"maps": {"A": np.where(FINE > 0.9, np.nan, FINE)}}, "map 'A' contains NaN or infinity"),
    "files as masks": (
        {"masks": MASKS * 255},
        "masks must contain only 0 (real) and 1 (fake), but have values from 0 to 255",
    ),
    "NaN in masks": ({"masks": np.full(MASKS.shape, np.nan)}, "masks must contain only 0 (real) and 1 (fake)"),
    "masks of another size": ({"masks": MASKS[:, :8]}, "masks must be [n, H, W] like the images, (4, 32, 32)"),
    "too few scores": ({"scores": [1, 2]}, "scores of 'setup C' must be 4 finite numbers"),
    "scores that are NaN": ({"scores": {"10": [0, 1, 2, np.nan]}}, "scores of '10' must be 4 finite numbers"),
    "scores of nothing": ({"scores": {"D": [1] * 4}}, "scores names 'D', which is not a map; the maps are setup C, 10"),
    "too many labels": ({"labels": "real"}, "labels must be 4 texts, one for each image, but there are 1"),
    "a threshold in percent": ({"threshold": 50}, "threshold is 50.0, but must be between 0 and 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_raises_an_error_of_one_sentence(name):
    arguments, sentence = WRONG[name]
    with pytest.raises(WsdlError) as caught:
        small_explorer(**arguments)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_optional_arguments_can_be_omitted():
    bare = explore(IMAGES[:1], FINE[:1])
    assert bare.map == "map"
    assert bare.data(encode.png)["masks"] == []
    assert bare.view().width > 500


def test_choices_are_validated_traits():
    explorer = small_explorer()
    seen = []
    explorer.observe(lambda change: seen.append((change.name, change.new)), ["threshold", "selected"])
    explorer.threshold, explorer.selected = 0.3, 2
    assert seen == [("threshold", 0.3), ("selected", 2)]
    assert {"threshold", "selected", "map", "opacity"} <= set(explorer.keys)  # synced with the browser
    for name, value, words in (
        ("selected", 4, "selected is 4, but must be from 0 to 3."),
        ("map", "B", "map is 'B', but must be one of setup C, 10."),
        ("colours", "jet", "colours is 'jet', but must be one of magma, inferno, viridis, cividis."),
        ("mode", "split", "mode is 'split', but must be one of overlay, wipe, side, maps."),
        ("opacity", -1, "opacity is -1.0, but must be between 0 and 1."),
    ):
        with pytest.raises(WsdlError) as caught:
            setattr(explorer, name, value)
        assert str(caught.value) == words
    assert explorer.selected == 2


def test_orders_depend_on_the_data_given():
    bare = explore(IMAGES, FINE)
    with pytest.raises(WsdlError, match="order is 'iou-up', but must be one of given"):
        bare.order = "iou-up"
    small_explorer().order = "iou-up"


def test_a_notebook_without_widgets_shows_a_static_image():
    data, _ = small_explorer()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert Image.open(BytesIO(b64decode(data["image/jpeg"]))).width > 500
    assert len(data["image/jpeg"]) < 150_000
    assert data["text/plain"] == "<Explorer of 4 images with maps setup C, 10>"  # the same in every run: git keeps it


def test_html_of_a_notebook_shows_widgets_as_images_without_state(tmp_path):
    data, _ = small_explorer()._repr_mimebundle_()
    book = new_notebook(metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"x": {}}}}})
    book.cells = [new_markdown_cell("# A widget"), new_code_cell("1", outputs=[new_output("display_data", data=data)])]
    nbformat.write(book, tmp_path / "a.ipynb")
    notebooks.to_html(tmp_path / "a.ipynb", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in text
    assert "jupyter.widget" not in text


def test_a_message_from_the_browser_sets_the_trait():
    explorer = small_explorer()
    explorer.set_state({"threshold": 0.62, "selected": 1, "map": "10"})
    assert (explorer.threshold, explorer.selected, explorer.map) == (0.62, 1, "10")


def test_levels_threshold_exactly_as_the_metrics():
    close = np.float32(np.arange(201) / 200)
    values = np.concatenate([close, np.nextafter(close, np.float32(0)), np.nextafter(close, np.float32(1))])
    map_ = np.clip(np.concatenate([values, np.random.default_rng(0).random(1397, np.float32)]), 0, 1).reshape(40, 50)
    found = encode.map_levels(map_)
    for k in range(201):
        assert np.array_equal(found > k, binary(map_, k / 200)), k
    assert np.abs(encode.level_value(found) - map_).max() <= 0.5 / 200 + 1e-6


def test_packing_is_lossless():
    rng = np.random.default_rng(0)
    for plane in (rng.integers(0, 256, (9, 13)), rng.integers(0, 2, (13, 9)), np.full((1, 1), 200), np.zeros((5, 1))):
        plane = plane.astype(np.uint8)
        assert np.array_equal(encode.unpack_plane(encode.pack_plane(plane), plane.shape), plane)
    smooth = encode.map_levels(upsample(rng.random((16, 16)), (128, 128)))
    assert len(encode.pack_plane(smooth)) < smooth.size / 2


def test_the_colours_are_those_of_matplotlib():
    for name, table in encode.colour_tables().items():
        middle = (np.arange(1, 201) - 0.5) / 200
        wanted = colormaps[name]([0, *middle], bytes=True)[:, :3]
        assert np.array_equal(np.frombuffer(table, np.uint8).reshape(-1, 3), wanted)


def test_bundled_modules_have_no_name_clashes():
    bundle = static_files.bundle_script("widget.js")
    assert not re.search(r"^import ", bundle, re.M)
    assert re.findall(r"^export (\w+)", bundle, re.M) == ["default"]
    names = re.findall(r"^(?:async )?(?:const|let|class|function)\s+(\w+)", bundle, re.M)
    assert len(names) == len(set(names))
    modules = (f"{name}.js" for name in static_files.MODULES)
    assert {path.name for path in static_files.STATIC.glob("*.js")} == {*modules, "widget.js", "page.js", "upload.js"}
    assert "</script" not in bundle.lower()
    assert all(len(path.read_text().splitlines()) <= 250 for path in static_files.STATIC.iterdir())


def test_a_page_contains_everything_and_escapes_names(tmp_path):
    text = small_explorer().to_html(tmp_path / "page.html", title="A & <b>").read_text()
    assert "<title>A &amp; &lt;b&gt;</title>" in text
    assert "a<b>" not in text
    assert not re.search(r"""(?:src|href)=["'](?!data:)|url\(|@import|https?://|\bfetch\(""", text)
    facts = json.loads(re.search(r'application/json">(.*?)</script>', text, re.S).group(1))
    assert facts["_data"]["names"][0] == "a<b>"
    assert facts["threshold"] == 0.5


def test_a_page_of_24_faces_is_below_a_megabyte(tmp_path):
    rng = np.random.default_rng(0)
    soft = gaussian_filter(rng.normal(size=(24, 128, 128, 3)), (0, 6, 6, 0)) * 900 + 128
    images = np.clip(soft + rng.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)  # noise as of a camera
    maps = {name: np.clip(gaussian_filter(rng.random((24, 37, 37)), (0, 1, 1)), 0, 1) for name in "ABC"}
    masks = (soft[..., 0] > 160).astype(np.uint8)
    explorer = explore(images, maps, masks)
    path = explorer.to_html(tmp_path / "page.html")
    assert path.stat().st_size <= 1_000_000
    assert "compressed with loss" in path.read_text()
    few = explore(images[:2], {"A": maps["A"][:2]}).to_html(tmp_path / "few.html")
    assert "compressed with loss" not in few.read_text()


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = small_explorer().to_html(tmp_path / "page.html")
    old = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WsdlError, match=r"page.html"):
        small_explorer(threshold=0.9).to_html(path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["page.html"]


def test_view_shows_blend_and_outline():
    even = {"images": np.full((4, 64, 64, 3), 100, np.uint8), "maps": np.full((4, 64, 64), 0.25)}
    explorer = small_explorer(**even, masks=None, scores=None)
    explorer.opacity = 0.5
    still = explorer.view()
    assert isinstance(still, Image.Image)
    wanted = np.array(colormaps["magma"](0.25, bytes=True)[:3]) * 0.5 + 50
    assert np.abs(np.array(still.getpixel((24 + 448 + 12 + 224, 31 + 224))) - wanted).max() <= 1
    assert still.getpixel((24 + 224, 31 + 224)) == (100, 100, 100)
    explorer.threshold = 0.2  # everything is above: the outline runs along the edge
    assert np.asarray(explorer.view())[31:479, 484:932].max() > 240
    assert np.asarray(still)[31:479, 484:932].max() < 120


def test_view_shows_all_maps_side_by_side():
    explorer = small_explorer(maps=dict.fromkeys("abcde", GIVEN["maps"]["10"]), scores=None)
    one = explorer.view()
    explorer.mode = "maps"
    every = np.asarray(explorer.view())
    assert every.shape[1] == one.width + 2 * (256 + 12) - 2 * (448 - 256)  # four panels of 256 px in a row
    second = np.asarray(every)[31 : 31 + 256, 24 + 268 : 24 + 268 + 256]
    third = np.asarray(every)[31 : 31 + 256, 24 + 2 * 268 : 24 + 2 * 268 + 256]
    assert np.array_equal(second, third)
    assert every.shape[0] > 2 * 256


def test_a_real_image_has_false_alarms_and_no_iou():
    for i, words in ((0, "IoU 15.0 % with the true mask"), (2, "a real image: every marked pixel is a false alarm")):
        explorer = small_explorer()
        explorer.selected = i
        assert words in static_view._numbers(explorer, "10")


def test_view_follows_every_choice():
    explorer = small_explorer()
    seen = [np.asarray(explorer.view()).tobytes()]
    for name, value in (("selected", 1), ("map", "10"), ("threshold", 0.7), ("colours", "viridis"), ("grey", False),
                        ("truth", False), ("opacity", 0.9)):  # fmt: skip
        setattr(explorer, name, value)
        seen.append(np.asarray(explorer.view()).tobytes())
    assert len(set(seen)) == len(seen)
