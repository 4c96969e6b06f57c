"""How long a step of the threshold slider takes: the explorer in headless Chromium beside interact with matplotlib."""

import io
import shutil
import tempfile
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from wsdl.core.io import WsdlError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
TURNS = 5
FRAME = """() => {
  window.frames_ms = [];
  const slider = document.querySelector('[data-trait=threshold]');
  slider.addEventListener('input', (event) => {
    if (!event.isTrusted) return; // only what a key did
    const began = event.timeStamp;
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => window.frames_ms.push(performance.now() - began);
      after.port2.postMessage(0);
    });
  }, true);
  slider.focus();
}"""
STEPS = """(values) => {
  const slider = document.querySelector('[data-trait=threshold]');
  const canvas = document.querySelector('.wx-stage canvas');
  const pen = canvas.getContext('2d');
  let before = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  return values.map((value) => {
    const began = performance.now();
    slider.value = value;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
    const ms = performance.now() - began;
    const changed = pixels.some((byte, i) => byte !== before[i]);
    before = pixels;
    return { ms, changed };
  });
}"""


def explorer(size: int = 256, steps: int = 100) -> pd.DataFrame:
    """A slider step in ms: median, 95th percentile, least; and how many times faster than the baseline the median is.

    baseline: ipywidgets.interactive calls a function that draws the map over the picture with its outline and encodes
    a PNG, as the inline backend does; sending and showing it come on top. Explorer: from the input event until changed
    pixels can be read back from the canvas, and from a key press until the frame that shows it was drawn. All three
    take turns, so that a busy minute hits all.
    """
    picture, map_ = example(size)
    thresholds = np.tile(np.linspace(0.3, 0.7, 41), -(-steps // 41))[:steps].round(3)
    plain, stepped = [], []
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = shown(browser, page_of(picture, map_, Path(folder)))
        page.evaluate(STEPS, thresholds[::-1].tolist())  # warm
        page.evaluate(FRAME)
        for turn in np.array_split(thresholds, TURNS):
            plain += baseline(picture, map_, turn[: max(1, len(turn) // 5)])
            found = page.evaluate(STEPS, turn.tolist())
            if not all(step["changed"] for step in found[1:]):
                raise WsdlError(
                    "a step of the slider changed no pixel, so its time says nothing; take a larger --size."
                )
            stepped += [step["ms"] for step in found]
            for step in range(len(turn)):
                page.keyboard.press("ArrowLeft" if step % 2 else "ArrowRight")
        frames = page.evaluate("frames_ms")
    loops = {
        "interactive + matplotlib, redrawn (baseline)": plain,
        "explorer, event to changed pixels": stepped,
        "explorer, key press to drawn frame": frames,
    }
    return table(loops)


def table(loops: dict[str, list[float]]) -> pd.DataFrame:
    base = np.median(next(iter(loops.values())))
    rows = [
        {
            "loop": name,
            "median ms": round(float(np.median(times)), 2),
            "p95 ms": round(float(np.quantile(times, 0.95)), 2),
            "least ms": round(float(np.min(times)), 2),
            "times faster": round(float(base / np.median(times)), 1),
        }
        for name, times in loops.items()
    ]
    return pd.DataFrame(rows)


def example(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture uint8 [S, S, 3] and a map [S, S] whose outline is long and moves with every threshold."""
    rng = np.random.default_rng(0)
    soft = gaussian_filter(rng.normal(size=(size, size)), size / 24)
    picture = np.clip(rng.normal(128, 40, (size, size, 3)), 0, 255).astype(np.uint8)
    return picture, ((soft - soft.min()) / np.ptp(soft)).astype(np.float32)


def baseline(picture: np.ndarray, map_: np.ndarray, thresholds: np.ndarray) -> list[float]:
    """Milliseconds of each step of a slider that redraws a figure."""
    from ipywidgets import FloatSlider, interactive
    from matplotlib.figure import Figure

    def draw(threshold: float) -> None:
        figure = Figure(figsize=(5, 5))
        ax = figure.subplots()
        ax.imshow(picture.mean(axis=-1), cmap="gray")
        ax.imshow(map_, cmap="magma", vmin=0, vmax=1, alpha=0.5)
        ax.contour(map_, [threshold], colors="white")
        ax.set_axis_off()
        figure.savefig(io.BytesIO(), format="png", dpi=100)

    times = []
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # ipywidgets prints control characters
        slider = FloatSlider(value=0.1, min=0, max=1, step=0.005)
        interactive(draw, threshold=slider).update()
        for threshold in thresholds:
            began = time.perf_counter()
            slider.value = float(threshold)
            times.append(1000 * (time.perf_counter() - began))
    return times


def page_of(picture: np.ndarray, map_: np.ndarray, folder: Path) -> Path:
    from wsdl.explorer import explore

    return explore(picture[None], map_[None], map_[None] > 0.6).to_html(folder / "page.html")


def find_chromium() -> str | None:
    """A Chromium or Chrome that is installed already; none is ever downloaded."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def chromium():
    """Headless Chromium, driven by Playwright. WsdlError where there is no browser or no Playwright."""
    path = find_chromium()
    if path is None:
        raise WsdlError("no Chromium is installed; on Debian and Ubuntu `apt-get install chromium` gives one.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise WsdlError("Playwright is not installed; `pip install playwright` gives it.") from None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])  # as root it has no sandbox
        yield browser
        browser.close()


def shown(browser, path: Path, **options):
    """A page of `browser` that shows the explorer in `path`, all decoded. options: those of Playwright's new_page."""
    page = browser.new_page(**options)
    page.goto(path.resolve().as_uri())
    page.wait_for_selector(".wsdl-explorer[data-ready]", state="attached")
    return page
