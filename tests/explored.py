"""A small set to explore, and a page of it in a browser, for the tests of the explorer."""

import numpy as np
import pytest

from wsdl.bench_explorer import find_chromium, opened
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


def browser_page(explorer: Explorer, path, **options):
    """The exported page of `explorer` in Chromium: a context manager. Skips where there is no browser."""
    if find_chromium() is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium); the explorer was not tried in a browser")
    pytest.importorskip("playwright", reason="no playwright here (pip install playwright)")
    return opened(explorer.to_html(path), **options)
