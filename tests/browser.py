"""An explorer's page in headless Chromium: open it, use its controls, read its pixels."""

import time
from base64 import b64decode
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from wsdl.benchmarks.explorer import chromium, find_chromium, open_explorer
from wsdl.explorer import Explorer


@contextmanager
def open_chromium():
    """Headless Chromium; skips where there is none."""
    if find_chromium() is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium); the explorer was not tried in a browser")
    pytest.importorskip("playwright", reason="no playwright here (pip install playwright)")
    with chromium() as started:
        yield started


@contextmanager
def open_page(browser, explorer: Explorer, path, **options):
    """The exported page of `explorer` in `browser`; no script may fail meanwhile."""
    errors = []
    page = open_explorer(browser, explorer.to_html(path), **options)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


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


def read_number(page, name: str) -> float:
    return float(page.get_attribute(f"[data-number={name}]", "data-exact"))


def choose(page, name: str, value: str) -> None:
    page.select_option(f"select[data-trait={name}]", value)


def wait_for(page, true: str, arg=None) -> None:
    """Until JavaScript is true. Playwright's own wait_for_function evals, which the policy of our pages forbids."""
    end = time.monotonic() + 30
    while not page.evaluate(true, arg):
        assert time.monotonic() < end, f"never came true: {true}"


def wait_for_image(page, place: int) -> None:
    """Wait for the picture at `place` (from 1)."""
    wait_for(page, f"document.querySelector('.wx-position').textContent === '{place} of 4'")
    wait_for(page, f"document.querySelector('.wx-stage canvas').ariaLabel.startsWith('Image {place} of 4')")


# What axe would say of names and contrast, in a few lines. Gives sentences.
UNNAMED = """() => [...document.querySelectorAll('button, input, select, canvas, [role], [tabindex], dialog')]
  .filter((e) => !['status', 'presentation'].includes(e.getAttribute('role')))
  .filter((e) => !(e.ariaLabel || e.labels?.length || e.innerText?.trim()
    || document.getElementById(e.getAttribute('aria-labelledby'))?.textContent))
  .map((e) => e.outerHTML.slice(0, 120))"""


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (c) => c.slice(0, 3).map((v) => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const e of document.querySelectorAll('.wsdl-page *')) {
    const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join('');
    if (!text || !e.checkVisibility() || e.matches('script, style, option')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) low.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return low;
}"""
