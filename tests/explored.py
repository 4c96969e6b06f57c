"""A small set to explore, and a page of it in a browser, for the tests of the explorer."""

import time
from base64 import b64decode
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from wsdl.benchmarks.explorer import chromium, find_chromium, shown
from wsdl.evaluation.metrics import upsample
from wsdl.explorer import Explorer, explore

SIZE = 32


def arrays() -> dict:
    """Four pictures at 32 px: two partial fakes, a real one, a full fake; a map of their size and one of 8 px."""
    rng = np.random.default_rng(0)
    images = np.zeros((4, SIZE, SIZE, 3), np.uint8)
    images[:] = np.array([[200, 120, 40], [30, 60, 90], [240, 240, 240], [10, 20, 10]])[:, None, None]
    masks = np.zeros((4, SIZE, SIZE), np.uint8)
    masks[0, 4:20, 6:18] = masks[1, 20:, :9] = masks[3] = 1
    fine = np.clip(masks * 0.5 + rng.random((4, SIZE, SIZE)) * 0.6, 0, 1).astype(np.float32)
    fine[:, :4, :4] = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.0, 1.0])[:, None, None]
    return {
        "images": images,
        "maps": {"setup C": fine, "10": rng.random((4, 8, 8)).astype(np.float32)},
        "masks": masks,
        "scores": {"setup C": [0.9, 0.3, 0.1, 0.7]},
        "labels": ["partial fake", "partial fake", "real", "full fake"],
        "components": ["nose", "hair", "", "mouth"],
        "names": ["a<b>", "b", "c", "d"],
    }


def small(**more) -> Explorer:
    return explore(**{**arrays(), **more})


GIVEN = arrays()
FULL = {name: np.array([upsample(m, (SIZE, SIZE)) for m in maps]) for name, maps in GIVEN["maps"].items()}
ZOOM = 512 // SIZE  # canvas pixels of a picture pixel where there is one panel


@contextmanager
def browser():
    """Headless Chromium; skips where there is none."""
    if find_chromium() is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium); the explorer was not tried in a browser")
    pytest.importorskip("playwright", reason="no playwright here (pip install playwright)")
    with chromium() as started:
        yield started


@contextmanager
def watched(browser, explorer: Explorer, path, **options):
    """The exported page of `explorer` in `browser`; no script may fail meanwhile."""
    errors = []
    page = shown(browser, explorer.to_html(path), **options)
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


def number(page, name: str) -> float:
    return float(page.get_attribute(f"[data-number={name}]", "data-exact"))


def choose(page, name: str, value: str) -> None:
    page.select_option(f"select[data-trait={name}]", value)


def wait(page, true: str, arg=None) -> None:
    """Until JavaScript is true. Playwright's own wait_for_function evals, which the policy of our pages forbids."""
    end = time.monotonic() + 30
    while not page.evaluate(true, arg):
        assert time.monotonic() < end, f"never came true: {true}"


def at(page, place: int) -> None:
    """Wait for the picture at `place` (from 1)."""
    wait(page, f"document.querySelector('.wx-position').textContent === '{place} of 4'")
    wait(page, f"document.querySelector('.wx-stage canvas').ariaLabel.startsWith('Picture {place} of 4')")
