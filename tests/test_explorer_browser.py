"""The explorer in a browser: the exported page in headless Chromium, pixel by pixel and key by key."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from explored import SIZE, arrays, browser_page, small
from PIL import Image

from wsdl.explorer import encode
from wsdl.metrics import binary, iou, upsample
from wsdl.pixels import f1

ZOOM = 512 // SIZE  # canvas pixels of a picture pixel
GIVEN = arrays()
FULL = {name: np.array([upsample(m, (SIZE, SIZE)) for m in maps]) for name, maps in GIVEN["maps"].items()}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with browser_page(small(), tmp_path_factory.mktemp("page") / "page.html") as page:
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page


@pytest.fixture
def page(shared):
    """The page as it opens."""
    shared.set_viewport_size({"width": 1280, "height": 900})
    shared.emulate_media(color_scheme="light")
    shared.reload()
    shared.wait_for_selector("[data-ready]")
    yield shared
    assert shared.errors == []


def pixel(page, x: float, y: float, panel: int = 0) -> list[int]:
    """RGB of a panel at canvas pixel (x, y)."""
    read = """([panel, x, y]) => {
      const canvas = document.querySelectorAll('.wx-stage canvas')[panel];
      return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
    }"""
    return page.evaluate(read, [panel, int(x), int(y)])


def pixels(page, panel: int = 0) -> np.ndarray:
    """A whole panel, uint8 [H, W, 3]."""
    url = page.evaluate("panel => document.querySelectorAll('.wx-stage canvas')[panel].toDataURL()", panel)
    return np.asarray(Image.open(BytesIO(b64decode(url.split(",")[1]))).convert("RGB"))


def slide(page, name: str, value: float) -> None:
    page.locator(f"[data-trait={name}]").fill(f"{value:g}")


def number(page, name: str) -> float:
    return float(page.get_attribute(f"[data-number={name}]", "data-exact"))


def choose(page, name: str, value: str) -> None:
    page.select_option(f"select[data-trait={name}]", value)


def at(page, place: int) -> None:
    """Wait for the picture at `place` (from 1)."""
    page.wait_for_function(f"document.querySelector('.wx-position').textContent === '{place} of 4'")
    page.wait_for_function(f"document.querySelector('.wx-stage canvas').ariaLabel.startsWith('Picture {place} of 4')")


@pytest.mark.parametrize("name", FULL)
def test_iou_and_f1_are_those_of_the_metrics(page, name):
    choose(page, "map", name)
    for i in range(4):
        page.locator(".wx-thumb").nth(i).click()
        at(page, i + 1)
        mask = GIVEN["masks"][i].astype(bool)
        for threshold in (0, 0.005, 0.3, 0.5, 0.505, 0.62, 0.995, 1):
            slide(page, "threshold", threshold)
            found = binary(FULL[name][i], threshold)
            hits, alarms, misses = (found & mask).sum(), (found & ~mask).sum(), (~found & mask).sum()
            assert number(page, "iou") == iou(found, mask)
            assert number(page, "f1") == f1(hits, alarms, misses)
            assert number(page, "area") == found.mean()
    assert page.inner_text("[data-number=iou]") == f"{iou(found, mask):.3f}"
    slide(page, "threshold", 0.5)
    partial = [iou(binary(FULL[name][i]), GIVEN["masks"][i]) for i in (0, 1)]
    assert number(page, "mean") == pytest.approx(np.mean(partial), abs=1e-12)
    assert "2 partial fakes" in page.inner_text(".wx-mean dt")


@pytest.mark.parametrize("colours", ["magma", "cividis"])
@pytest.mark.parametrize("grey", [True, False])
def test_the_blend_is_right_at_a_known_pixel(page, colours, grey):
    choose(page, "colours", colours)
    page.set_checked("[data-trait=grey]", grey)
    slide(page, "threshold", 1)  # no outline in the way
    picture = GIVEN["images"][0, 0, 0].astype(float)
    under = np.full(3, picture @ [0.299, 0.587, 0.114]) if grey else picture
    palette = np.frombuffer(encode.palettes()[colours], np.uint8).reshape(-1, 3)
    for opacity in (0, 0.35, 1):
        slide(page, "opacity", opacity)
        for x, y in ((25, 3), (30, 30)):
            over = palette[encode.levels(FULL["setup C"][0])[y, x]]
            wanted = opacity * over + (1 - opacity) * under
            assert np.abs(pixel(page, x * ZOOM + 8, y * ZOOM + 8) - wanted).max() <= 1.5


def test_a_faint_map_stays_faint(tmp_path):
    faint = {"A": GIVEN["maps"]["setup C"] * 0.1}
    with browser_page(small(maps=faint, scores=None), tmp_path / "page.html") as page:
        slide(page, "opacity", 1)
        page.set_checked("[data-trait=truth]", False)
        assert pixels(page).max() <= np.frombuffer(encode.palettes()["magma"], np.uint8)[: 3 * 22].max()


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


def test_the_true_mask_is_outlined_where_it_is(page):
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


def test_keys_walk_and_change(page):
    page.keyboard.press("ArrowRight")
    at(page, 2)
    assert page.inner_text(".wx-about") == "b · partial fake · hair"
    assert pixel(page, 8, 300) != [200, 120, 40]
    for key, place in (("End", 4), ("ArrowRight", 4), ("ArrowLeft", 3), ("Home", 1)):
        page.keyboard.press(key)
        at(page, place)
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


def test_wipe_shows_the_picture_on_the_left(page):
    page.click("[data-mode=wipe]")
    page.wait_for_selector(".wx-wipe:visible")
    original = GIVEN["images"][0, 0, 0].tolist()
    assert pixel(page, 250, 400) == original
    assert pixel(page, 262, 400) != original
    page.fill("[aria-label^=Wipe]", "0.25")
    assert pixel(page, 120, 400) == original
    assert pixel(page, 250, 400) != original
    box = page.locator(".wx-frame").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 50)
    page.mouse.up()
    assert pixel(page, 440, 400) == original


def test_side_by_side_shares_one_cursor(page):
    page.click("[data-mode=side]")
    page.wait_for_function("document.querySelectorAll('.wx-value')[1]?.textContent")
    assert page.locator("figcaption .wx-title").all_inner_texts() == ["picture", "setup C", "true mask"]
    assert pixel(page, 100, 100, panel=0) == GIVEN["images"][0, 0, 0].tolist()
    canvas = page.locator(".wx-frame canvas").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 10.5 / SIZE, box["y"] + box["height"] * 5.5 / SIZE)
    value = f"{encode.value_of(encode.levels(FULL['setup C'][0])[5, 10]):.2f}"
    assert page.inner_text("[data-role=readout]") == f"x 10, y 5 · setup C {value} · painted"
    places = page.eval_on_selector_all(".wx-cursor", "all => all.map(c => [c.hidden, c.style.left, c.style.top])")
    assert places == [[False, f"{100 * 10.5 / SIZE:g}%", f"{100 * 5.5 / SIZE:g}%"]] * 3
    page.keyboard.press("Shift+ArrowDown")
    assert page.inner_text("[data-role=readout]").startswith("x 10, y 6 ·")


def test_all_maps_have_a_panel_and_their_iou(page):
    page.click("[data-mode=maps]")
    page.wait_for_function("document.querySelectorAll('.wx-value')[2]?.textContent")
    texts = page.locator("figcaption").all_inner_texts()
    assert [text.split()[0] for text in texts] == ["picture", "setup", "10"]
    for text, name in zip(texts[1:], FULL, strict=True):
        assert text.endswith(f"IoU {iou(binary(FULL[name][0]), GIVEN['masks'][0]):.3f}")


def test_sorting(page):
    ious = [iou(binary(FULL["setup C"][i]), GIVEN["masks"][i]) for i in range(4)]
    worst, best = np.argsort(ious, kind="stable"), np.argsort(-np.array(ious), kind="stable")
    wanted = {"score-down": [0, 3, 1, 2], "score-up": [2, 1, 3, 0], "component": [2, 1, 3, 0], "given": [0, 1, 2, 3],
              "iou-down": best, "iou-up": worst}  # fmt: skip
    for order, sequence in wanted.items():
        choose(page, "order", order)
        names = [("a<b>", "b", "c", "d")[i] for i in sequence]
        read = "document.querySelectorAll('.wx-thumb')"
        page.wait_for_function(
            f"names => [...{read}].every((t, i) => t.ariaLabel.includes(`${{i + 1}} of 4, ${{names[i]}}`))", arg=names
        )
    choose(page, "order", "score-down")
    page.wait_for_function("document.querySelectorAll('.wx-thumb')[1].ariaLabel.includes(', d,')")
    page.focus(".wx-stage")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.wx-about').textContent.startsWith('d ')")


def test_the_colour_bar_is_true_and_has_ticks(page):
    slide(page, "opacity", 1)
    for name, palette in encode.palettes().items():
        choose(page, "colours", name)
        read = "bar => [...bar.getContext('2d').getImageData(0, 0, bar.width, 1).data].filter((_, i) => i % 4 < 3)"
        bar = page.eval_on_selector(".wx-bar", read)
        assert bytes(bar) == palette
    assert page.locator(".wx-ticks span").all_inner_texts() == ["0 real", "0.25", "0.5", "0.75", "1 fake"]
    bar, knob = page.locator(".wx-bar").bounding_box(), page.locator(".wx-marker").bounding_box()
    assert knob["x"] + knob["width"] / 2 == pytest.approx(bar["x"] + bar["width"] / 2, abs=1)


def test_without_masks_there_is_no_iou(tmp_path):
    one = {"images": GIVEN["images"][:1], "maps": FULL["setup C"][:1], "masks": None, "scores": None}
    bare = small(**one, labels=None, components=None, names=None)
    with browser_page(bare, tmp_path / "page.html") as page:
        assert page.locator("[data-number]").evaluate_all("all => all.map(n => n.dataset.number)") == ["area"]
        assert page.locator("[data-mode=maps], [data-trait=truth], .wx-strip").count() == 0
