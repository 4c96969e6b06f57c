"""The explorer in a browser: the exported page in headless Chromium, pixel by pixel and key by key."""

import numpy as np
import pytest
from browser import choose, open_page, pixel, pixels, read_number, slide, wait_for_image
from factories_explorer import FULL, GIVEN, SIZE, ZOOM, small_explorer

from wsdl.evaluation.metrics import binary, iou
from wsdl.evaluation.pixels import pixel_f1
from wsdl.explorer import encode
from wsdl.inference.words import percent

THRESHOLDS = [0, 0.005, 0.3, 0.5, 0.505, 0.62, 0.995, 1]
NUMBERS = """(thresholds) => thresholds.map((threshold) => {
  const slider = document.querySelector('[data-trait=threshold]');
  slider.value = threshold;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  return ['iou', 'f1', 'area'].map((name) => Number(document.querySelector(`[data-number=${name}]`).dataset.exact));
})"""


@pytest.mark.parametrize("name", FULL)
def test_iou_and_f1_are_those_of_the_metrics(page, name):
    choose(page, "map", name)
    for i in range(4):
        page.locator(".wx-thumb").nth(i).click()
        wait_for_image(page, i + 1)
        mask = GIVEN["masks"][i].astype(bool)
        shown = page.evaluate(NUMBERS, THRESHOLDS)
        for threshold, numbers in zip(THRESHOLDS, shown, strict=True):
            found = binary(FULL[name][i], threshold)
            hits, alarms, misses = (found & mask).sum(), (found & ~mask).sum(), (~found & mask).sum()
            assert numbers == [iou(found, mask), pixel_f1(hits, alarms, misses), found.mean()], threshold
    assert page.inner_text("[data-number=iou]") == percent(iou(found, mask))
    slide(page, "threshold", 0.5)
    partial = [iou(binary(FULL[name][i]), GIVEN["masks"][i]) for i in (0, 1)]
    assert read_number(page, "mean") == pytest.approx(np.mean(partial), abs=1e-12)
    assert "2 partial fakes" in page.inner_text(".wx-mean dt")


@pytest.mark.parametrize("colours", ["magma", "cividis"])
@pytest.mark.parametrize("grey", [True, False])
def test_the_blend_has_the_expected_value_at_a_pixel(page, colours, grey):
    choose(page, "colours", colours)
    page.set_checked("[data-trait=grey]", grey)
    slide(page, "threshold", 1)  # no outline in the way
    picture = GIVEN["images"][0, 0, 0].astype(float)
    under = np.full(3, picture @ [0.299, 0.587, 0.114]) if grey else picture
    palette = np.frombuffer(encode.colour_tables()[colours], np.uint8).reshape(-1, 3)
    for opacity in (0, 0.35, 1):
        slide(page, "opacity", opacity)
        for x, y in ((25, 3), (30, 30)):
            over = palette[encode.map_levels(FULL["setup C"][0])[y, x]]
            wanted = opacity * over + (1 - opacity) * under
            assert np.abs(pixel(page, x * ZOOM + 8, y * ZOOM + 8) - wanted).max() <= 1.5


def test_a_faint_map_is_not_normalised(chrome, tmp_path):
    faint = {"A": GIVEN["maps"]["setup C"] * 0.1}
    with open_page(chrome, small_explorer(maps=faint, scores=None), tmp_path / "page.html") as page:
        slide(page, "opacity", 1)
        page.set_checked("[data-trait=truth]", False)
        assert pixels(page).max() <= np.frombuffer(encode.colour_tables()["magma"], np.uint8)[: 3 * 22].max()


def test_the_threshold_moves_the_outline(page):
    page.set_checked("[data-trait=truth]", False)
    region = binary(FULL["setup C"][0], 0.5)
    y, x = next((y, x) for y, x in np.argwhere(region) if x and not region[y, x - 1])
    before = pixels(page)
    assert before[y * ZOOM + 8, x * ZOOM].tolist() == [255, 255, 255]
    assert before[y * ZOOM + 8, x * ZOOM - 1].tolist() == [34, 34, 34]
    inner = before.reshape(SIZE, ZOOM, SIZE, ZOOM, 3)[:, 8, :, 0]
    borders = region & ~np.pad(region, ((0, 0), (1, 0)))[:, :-1]
    assert np.array_equal((inner == 255).all(axis=-1), borders)
    slide(page, "threshold", 0.9)
    after = pixels(page)
    assert (before != after).any()
    assert after[y * ZOOM + 8, x * ZOOM].tolist() != [255, 255, 255] or FULL["setup C"][0][y, x] > 0.9
    slide(page, "threshold", 0.5)
    assert np.array_equal(pixels(page), before)


def test_the_true_mask_is_outlined(page):
    slide(page, "threshold", 1)
    assert pixel(page, 6 * ZOOM, 10 * ZOOM + 8) == [0x56, 0xB4, 0xE9]
    page.keyboard.press("m")
    assert pixel(page, 6 * ZOOM, 10 * ZOOM + 8) != [0x56, 0xB4, 0xE9]
    assert not page.is_checked("[data-trait=truth]")


def test_hold_o_shows_the_original(page):
    covered = pixels(page)
    page.keyboard.down("o")
    assert np.array_equal(pixels(page), np.broadcast_to(GIVEN["images"][0, 0, 0], (512, 512, 3)))
    page.keyboard.up("o")
    assert np.array_equal(pixels(page), covered)


def test_keys_change_image_and_choices(page):
    page.keyboard.press("ArrowRight")
    wait_for_image(page, 2)
    assert page.inner_text(".wx-about") == "b · partial fake · hair"
    assert pixel(page, 8, 300) != [200, 120, 40]
    for key, place in (("End", 4), ("ArrowRight", 4), ("ArrowLeft", 3), ("Home", 1)):
        page.keyboard.press(key)
        wait_for_image(page, place)
    page.keyboard.press("]")
    assert page.input_value("[data-trait=threshold]") == "0.51"
    page.keyboard.press("-")
    assert page.input_value("[data-trait=opacity]") == "0.45"
    page.keyboard.press("2")
    assert page.input_value("[data-trait=map]") == "10"
    for mode in ("wipe", "side", "maps", "overlay"):
        page.keyboard.press("v")
        assert page.get_attribute("[aria-pressed=true]", "data-mode") == mode
    page.keyboard.press("?")
    assert page.is_visible("dialog.wx-help")
    page.keyboard.press("ArrowRight")  # the help has the keys now
    page.keyboard.press("Escape")
    assert page.is_hidden("dialog.wx-help")
    assert page.inner_text(".wx-position") == "1 of 4"


def test_arrows_inside_a_slider_move_the_slider(page):
    page.focus("[data-trait=threshold]")
    page.keyboard.press("ArrowRight")
    assert page.input_value("[data-trait=threshold]") == "0.505"
    assert page.inner_text("output >> nth=0") == "0.505"
    assert page.inner_text(".wx-position") == "1 of 4"
