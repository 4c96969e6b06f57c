"""Latency of the threshold slider: the explorer in headless Chromium against ipywidgets with matplotlib."""

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
ROUNDS = 5  # the loops alternate, so that other load affects all of them
KEY_TO_FRAME = """() => {
  window.frames_ms = [];
  const slider = document.querySelector('[data-trait=threshold]');
  slider.addEventListener('input', (event) => {
    if (!event.isTrusted) return; // only key presses
    const began = event.timeStamp;
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => window.frames_ms.push(performance.now() - began);
      after.port2.postMessage(0);
    });
  }, true);
  slider.focus();
}"""
STEP_TIMES = """(values) => {
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


def bench_explorer(size: int = 256, steps: int = 100) -> pd.DataFrame:
    """Time of a slider step in ms: median, 95th percentile and minimum, and the speed-up of the median.

    Baseline: ipywidgets.interactive calls a function that draws the map over the image with its outline and encodes a
    PNG, as the inline backend does, without the time to send and display it. Explorer: from the input event until
    changed pixels can be read from the canvas, and from a key press until its frame is drawn.
    """
    from wsdl.explorer import explore

    image, map_ = _example(size)
    thresholds = np.tile(np.linspace(0.3, 0.7, 41), -(-steps // 41))[:steps].round(3)
    baseline, stepped = [], []
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        html = explore(image[None], map_[None], map_[None] > 0.6).to_html(Path(folder) / "page.html")
        page = open_explorer(browser, html)
        page.evaluate(STEP_TIMES, thresholds[::-1].tolist())  # warm-up
        page.evaluate(KEY_TO_FRAME)
        for part in np.array_split(thresholds, ROUNDS):
            baseline += _matplotlib_times(image, map_, part[: max(1, len(part) // 5)])
            steps_done = page.evaluate(STEP_TIMES, part.tolist())
            if not all(step["changed"] for step in steps_done[1:]):
                raise WsdlError(
                    "a step of the slider changed no pixel, so its time is meaningless; use a larger --size."
                )
            stepped += [step["ms"] for step in steps_done]
            for step in range(len(part)):
                page.keyboard.press("ArrowLeft" if step % 2 else "ArrowRight")
        frames = page.evaluate("frames_ms")
    loops = {
        "interactive + matplotlib, redrawn (baseline)": baseline,
        "explorer, event to changed pixels": stepped,
        "explorer, key press to drawn frame": frames,
    }
    return latency_table(loops)


def latency_table(loops: dict[str, list[float]]) -> pd.DataFrame:
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


def _example(size: int) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 [S, S, 3] and a map [S, S] with a long outline that moves with every threshold."""
    rng = np.random.default_rng(0)
    soft = gaussian_filter(rng.normal(size=(size, size)), size / 24)
    image = np.clip(rng.normal(128, 40, (size, size, 3)), 0, 255).astype(np.uint8)
    return image, ((soft - soft.min()) / np.ptp(soft)).astype(np.float32)


def _matplotlib_times(image: np.ndarray, map_: np.ndarray, thresholds: np.ndarray) -> list[float]:
    """Milliseconds of each step of a slider that redraws a matplotlib figure."""
    from ipywidgets import FloatSlider, interactive
    from matplotlib.figure import Figure

    def draw(threshold: float) -> None:
        figure = Figure(figsize=(5, 5))
        ax = figure.subplots()
        ax.imshow(image.mean(axis=-1), cmap="gray")
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


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome; nothing is downloaded."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def chromium():
    """Headless Chromium through Playwright. Raises WsdlError where either is not installed."""
    path = find_chromium()
    if path is None:
        raise WsdlError("no Chromium is installed; on Debian and Ubuntu, install it with `apt-get install chromium`.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise WsdlError("Playwright is not installed; install it with `pip install playwright`.") from None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])  # root cannot use the sandbox
        yield browser
        browser.close()


def open_explorer(browser, path: Path, **options):
    """Open the explorer in `path` and wait until it is ready. options: those of Playwright's new_page."""
    page = browser.new_page(**options)
    page.goto(path.resolve().as_uri())
    page.wait_for_selector(".wsdl-explorer[data-ready]", state="attached")
    return page
