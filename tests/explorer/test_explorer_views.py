"""The views of the explorer in a browser: wipe, side by side, all maps, order of images, colour bar."""

import numpy as np
import pytest
import torch
from browser import choose, open_page, pixel, slide, wait_for
from factories_explorer import FULL, GIVEN, SIZE, small_explorer
from torch import nn

from wsdl.detectors.grad_cam import grad_cam_of
from wsdl.evaluation.metrics import binary, iou, upsample
from wsdl.explorer import encode, explore
from wsdl.inference.words import percent


def test_wipe_shows_the_image_on_the_left(page):
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
    wait_for(page, "document.querySelectorAll('.wx-value')[1]?.textContent")
    assert page.locator("figcaption .wx-title").all_inner_texts() == ["image", "setup C", "true mask"]
    assert pixel(page, 100, 100, panel=0) == GIVEN["images"][0, 0, 0].tolist()
    canvas = page.locator(".wx-frame canvas").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 10.5 / SIZE, box["y"] + box["height"] * 5.5 / SIZE)
    value = f"{encode.level_value(encode.map_levels(FULL['setup C'][0])[5, 10]):.2f}"
    assert page.inner_text("[data-role=readout]") == f"x 10, y 5 · setup C {value} · inpainted"
    places = page.eval_on_selector_all(".wx-cursor", "all => all.map(c => [c.hidden, c.style.left, c.style.top])")
    assert places == [[False, f"{100 * 10.5 / SIZE:g}%", f"{100 * 5.5 / SIZE:g}%"]] * 3
    page.keyboard.press("Shift+ArrowDown")
    assert page.inner_text("[data-role=readout]").startswith("x 10, y 6 ·")


def test_all_maps_have_a_panel_and_their_iou(page):
    page.click("[data-mode=maps]")
    wait_for(page, "document.querySelectorAll('.wx-value')[2]?.textContent")
    texts = page.locator("figcaption").all_inner_texts()
    assert [text.split()[0] for text in texts] == ["image", "setup", "10"]
    for text, name in zip(texts[1:], FULL, strict=True):
        assert text.endswith(f"IoU {percent(iou(binary(FULL[name][0]), GIVEN['masks'][0]))}")


def test_your_own_classifier_is_shown_beside_another_map(chrome, tmp_path):
    """A Grad-CAM of any PyTorch model, in as few lines as the lesson has."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    noise = np.random.default_rng(0).integers(0, 256, GIVEN["images"].shape, np.uint8)
    mine = grad_cam_of(model, model[0], torch.tensor(noise).permute(0, 3, 1, 2).float() / 255)
    explorer = explore(noise, {"mine": mine, "theirs": GIVEN["maps"]["setup C"]}, GIVEN["masks"])
    explorer.mode = "maps"
    with open_page(chrome, explorer, tmp_path / "page.html") as page:
        wait_for(page, "document.querySelectorAll('.wx-value')[2]?.textContent")
        assert page.locator("figcaption .wx-title").all_inner_texts() == ["image", "mine", "theirs"]
        found = binary(upsample(mine[0], (SIZE, SIZE)))
        shown = page.locator("figcaption").all_inner_texts()[1]
        assert shown.endswith(f"IoU {percent(iou(found, GIVEN['masks'][0]))}")
        assert mine.max() == 1


def test_sorting(page):
    fakes = (0, 1, 3)  # the real one comes last: its IoU does not measure localisation
    worst = sorted(fakes, key=lambda i: iou(binary(FULL["setup C"][i]), GIVEN["masks"][i]))
    wanted = {"score-down": [0, 3, 1, 2], "score-up": [2, 1, 3, 0], "component": [1, 3, 0, 2], "given": [0, 1, 2, 3],
              "iou-down": [*worst[::-1], 2], "iou-up": [*worst, 2]}  # fmt: skip
    for order, sequence in wanted.items():
        choose(page, "order", order)
        names = [("a<b>", "b", "c", "d")[i] for i in sequence]
        read = "document.querySelectorAll('.wx-thumb')"
        wait_for(
            page, f"names => [...{read}].every((t, i) => t.ariaLabel.includes(`${{i + 1}} of 4, ${{names[i]}}`))", names
        )
    choose(page, "order", "score-down")
    wait_for(page, "document.querySelectorAll('.wx-thumb')[1].ariaLabel.includes(', d,')")
    page.focus(".wx-stage")
    page.keyboard.press("ArrowRight")
    wait_for(page, "document.querySelector('.wx-about').textContent.startsWith('d ')")


def test_the_colour_bar_has_the_colours_shown_and_ticks(page):
    slide(page, "opacity", 1)
    for name, palette in encode.colour_tables().items():
        choose(page, "colours", name)
        read = "bar => [...bar.getContext('2d').getImageData(0, 0, bar.width, 1).data].filter((_, i) => i % 4 < 3)"
        bar = page.eval_on_selector(".wx-bar", read)
        assert bytes(bar) == palette
    assert page.locator(".wx-ticks span").all_inner_texts() == ["0 real", "0.25", "0.5", "0.75", "1 fake"]
    bar, knob = page.locator(".wx-bar").bounding_box(), page.locator(".wx-marker").bounding_box()
    assert knob["x"] + knob["width"] / 2 == pytest.approx(bar["x"] + bar["width"] / 2, abs=1)


def test_without_masks_there_is_no_iou(chrome, tmp_path):
    one = {"images": GIVEN["images"][:1], "maps": FULL["setup C"][:1], "masks": None, "scores": None}
    bare = small_explorer(**one, labels=None, components=None, names=None)
    with open_page(chrome, bare, tmp_path / "page.html") as page:
        assert page.locator("[data-number]").evaluate_all("all => all.map(n => n.dataset.number)") == ["area"]
        assert page.locator("[data-mode=maps], [data-trait=truth], [data-trait=order], .wx-strip").count() == 0
