"""Accessibility of the explorer: keyboard, names, contrast, narrow screens, no network, notebooks."""

import numpy as np
import pytest
from browser import CONTRAST, UNNAMED, open_page
from factories_explorer import explorer_arrays, small_explorer

from wsdl.explorer import static_files

GROUND = "getComputedStyle(document.querySelector('.wsdl-explorer')).backgroundColor"
DARK, LIGHT = "rgb(21, 23, 26)", "rgb(255, 255, 255)"


def test_all_elements_have_accessible_names(page):
    page.evaluate("document.querySelector('dialog').showModal()")
    assert page.evaluate(UNNAMED) == []
    page.keyboard.press("Escape")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    pictures = page.eval_on_selector_all(".wx-stage canvas", "all => all.map((c) => c.ariaLabel)")
    assert pictures[0].startswith("Image 1 of 4 under the map setup C. IoU ")
    assert pictures[0].endswith(" %")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_at_least_4_5(page, scheme):
    page.emulate_media(color_scheme=scheme)
    for mode in ("wipe", "maps", "side"):
        page.click(f"[data-mode={mode}]")
        assert page.evaluate(CONTRAST) == []
    page.evaluate("document.querySelector('dialog').showModal()")
    assert page.evaluate(CONTRAST) == []
    page.keyboard.press("Escape")
    page.click("[data-mode=overlay]")


def test_theme_follows_the_system_and_then_jupyterlab(page):
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(GROUND) == DARK
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    assert page.evaluate(GROUND) == LIGHT
    page.emulate_media(color_scheme="light")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert page.evaluate(GROUND) == DARK
    page.evaluate("delete document.body.dataset.jpThemeLight")
    assert page.evaluate(GROUND) == LIGHT
    page.evaluate("document.body.style.setProperty('--jp-layout-color0', '#fdf6e3')")  # a custom theme
    assert page.evaluate(GROUND) == "rgb(253, 246, 227)"


def test_tab_reaches_all_in_reading_order_with_visible_focus(page):
    where = """() => {
      const e = document.activeElement;
      const style = getComputedStyle(e);
      const name = e.dataset.trait ?? e.dataset.mode ?? e.getAttribute('aria-label') ?? e.tagName;
      return [name.split(/[ .,]/)[0], style.outlineStyle, parseFloat(style.outlineWidth)];
    }"""
    seen = []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(where))
    assert [name for name, *_ in seen] == [
        "Previous", "Next", "Keyboard", "Images", "threshold", "image", "map", "overlay", "wipe", "side", "maps",
        "opacity", "colours", "grey", "truth", "order"]  # fmt: skip
    assert all(style == "solid" and width >= 2 for _, style, width in seen)


def test_everything_works_by_keyboard(page):
    page.focus("[data-mode=wipe]")
    page.keyboard.press("Enter")
    assert page.is_visible("[aria-label^=Wipe]")
    page.focus("[data-trait=grey]")
    page.keyboard.press("Space")
    assert not page.is_checked("[data-trait=grey]")
    page.focus(".wx-thumb[aria-selected=true]")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "image 2 of 4, b, partial fake, hair"
    page.keyboard.press("Home")
    page.focus("[data-mode=overlay]")
    page.keyboard.press("Space")


@pytest.mark.parametrize("mode", ["overlay", "wipe", "side", "maps"])
def test_narrow_screens_do_not_scroll_sideways(page, mode):
    page.set_viewport_size({"width": 390, "height": 844})
    page.click(f"[data-mode={mode}]")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    out = """() => [...document.querySelectorAll('.wsdl-page *')]
      .filter((e) => e.checkVisibility() && !e.closest('.wx-strip, .wx-frame'))
      .filter((e) => e.getBoundingClientRect().right > 390.5 || e.getBoundingClientRect().left < -0.5)
      .map((e) => e.className)"""
    assert page.evaluate(out) == []
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_page_makes_no_requests(page):
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.reload()
    page.wait_for_selector("[data-ready]")
    page.click("[data-mode=maps]")
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [page.url]
    assert page.url.startswith("file:")
    assert errors == []


NOTEBOOK = """(source) => {
  window.seen = [];
  document.body.innerHTML = '<div id="cell"></div>';
  document.addEventListener('keydown', (event) => seen.push(event.key));
  const text = JSON.parse(source.facts);
  const bytes = (value) => new DataView(Uint8Array.from(atob(value), (c) => c.charCodeAt(0)).buffer);
  const deep = (value) => typeof value === 'string' ? bytes(value) : Array.isArray(value) ? value.map(deep)
    : Object.fromEntries(Object.entries(value).map(([key, one]) => [key, deep(one)]));
  const data = text._data;
  for (const key of ['images', 'masks', 'palettes']) data[key] = deep(data[key]);
  data.maps = data.maps.map(([name, all]) => [name, deep(all)]);
  const listeners = {};
  window.model = {
    saved: 0,
    get: (name) => text[name],
    set(name, value) { text[name] = value; (listeners['change:' + name] ?? []).forEach((f) => f()); },
    save_changes() { this.saved++; },
    on: (event, f) => (listeners[event] ??= []).push(f),
    off: (event, f) => { listeners[event] = listeners[event].filter((g) => g !== f); },
    left: () => Object.values(listeners).flat().length,
  };
  const widget = new Function(source.script.replace('export default', 'return'))();
  window.close_it = widget.render({ model, el: document.getElementById('cell') });
}"""


def test_a_widget_stops_key_events_syncs_traits_and_cleans_up(chrome, tmp_path):
    explorer = small_explorer()
    with open_page(chrome, explorer, tmp_path / "page.html", bypass_csp=True) as page:
        facts = page.text_content(".wsdl-inlined script")
        page.evaluate(NOTEBOOK, {"facts": facts, "script": static_files.bundle_script("widget.js")})
        page.wait_for_selector("#cell [data-ready]")
        page.click(".wx-stage canvas")  # gives the explorer the focus
        page.keyboard.press("ArrowRight")
        assert page.evaluate("model.get('selected')") == 1
        page.fill("[data-trait=threshold]", "0.8")
        page.wait_for_function("model.saved > 0")
        assert page.evaluate("seen") == []  # JupyterLab never hears of the keys
        assert page.get_attribute(".wsdl-explorer", "data-lm-suppress-shortcuts") == "true"
        page.evaluate("model.set('threshold', 0.25); model.set('selected', 2)")  # the kernel chooses
        page.wait_for_function("document.querySelector('.wx-position').textContent === '3 of 4'")
        assert page.input_value("[data-trait=threshold]") == "0.25"
        area = (explorer_arrays()["maps"]["setup C"][2] > np.float32(0.25)).mean()
        page.wait_for_function("area => document.querySelector('[data-number=area]').dataset.exact == area", arg=area)
        page.evaluate("close_it()")
        assert page.evaluate("[model.left(), document.getElementById('cell').children.length]") == [0, 0]
