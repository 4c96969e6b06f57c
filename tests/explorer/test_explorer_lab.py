"""Explorer and upload in JupyterLab, driven by Playwright: run all cells, move a slider, upload a file.

What was seen is kept as out/artefacts/explorer-lab.png.
"""

import importlib.util
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from browser import pixels, slide
from nbformat.v4 import new_code_cell, new_notebook

from wsdl.core.io import write_json
from wsdl.data.dataset import Dataset
from wsdl.notebooks import KERNELSPEC

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SEEN = ROOT / "out" / "artefacts" / "explorer-lab.png"
PATIENCE = 120_000  # ms that one state may take on a busy machine; each is waited for, and no longer
LAB = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=",
       "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
       "--LabApp.extension_manager=readonly"]  # fmt: skip
CELLS = """import sys

sys.path[:0] = {paths}
import wsdl
from factories_explorer import small_explorer

shown = small_explorer()
shown
---
panel = wsdl.upload([{run!r}])
panel
---
print("threshold", shown.threshold, "sizes", [result.image.size for result in panel.results.values()])"""

# JupyterLab styles lists and buttons in outputs: ours must win.
LOOKS = """() => {
  const style = (selector) => getComputedStyle(document.querySelector(selector));
  return [style('.wx-numbers').display, style('.wx-number dt').float, style('.wx-number dt').fontWeight,
    style('.wx-number dd').float, style('.wx-head button').borderRadius, style('.wx-drop button').borderRadius,
    style('.wx-help dl').overflow];
}"""
# How the Lab's sheet and both widgets are coloured: paper, and ink by brightness.
THEME = """() => ['.jp-Notebook', '.wsdl-explorer:not(.wx-upload)', '.wx-upload'].map((name) => {
  const { backgroundColor, color } = getComputedStyle(document.querySelector(name));
  return [backgroundColor, color.match(/\\d+/)[0] > 128 ? 'pale ink' : 'dark ink'];
})"""


@pytest.fixture(scope="module")
def lab(run_folder, tmp_path_factory):
    """The address of a small notebook in a JupyterLab with its own settings."""
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("no JupyterLab here (pip install jupyterlab); the explorer was not tried in it")
    folder = tmp_path_factory.mktemp("lab")
    code = CELLS.format(paths=[str(ROOT), str(ROOT / "tests")], run=str(run_folder))
    cells = [new_code_cell(cell) for cell in code.split("\n---\n")]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC}), folder / "try.ipynb")
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
             "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")  # fmt: skip
    places = {name: str(folder / "jupyter" / name) for name in names}
    news = Path(places["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab/apputils-extension/notification.jupyterlab-settings")
    write_json(news, {"fetchNews": "false"})  # or it asks
    command = [sys.executable, "-m", "jupyterlab", *LAB, f"--ServerApp.root_dir={folder}"]
    server = subprocess.Popen(command, env={**os.environ, **places}, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        yield address(server) + "lab/tree/try.ipynb"
    finally:
        server.terminate()
        server.wait(30)


def address(server) -> str:
    said = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()  # or its pipe would fill up
            return found.group()
    pytest.fail("JupyterLab did not start:\n" + "".join(said)[-3000:])


@pytest.fixture
def notebook(chrome, lab):
    """The open notebook; a screenshot is kept, also on failure. Requests may only go to its own server."""
    page = chrome.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(lab)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # before, running would ask for a kernel
    yield page
    SEEN.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SEEN)
    page.close()
    own = lab.split("lab/")[0]
    assert [url for url in asked if not url.startswith((own, "blob:", "data:"))] == []
    assert errors == []


def test_run_all_slide_and_upload(notebook, dataset):
    page = notebook
    page.click(".lm-MenuBar-itemLabel >> text=Run")
    page.click(".lm-Menu-item[data-command='runmenu:run-all']")
    page.wait_for_selector(".wsdl-explorer[data-ready]")
    page.wait_for_selector(".wx-upload[data-turn='1']")
    assert page.evaluate(LOOKS) == ["grid", "none", "400", "none", "8px", "8px", "visible"]

    before = pixels(page)
    slide(page, "threshold", 0.8)
    page.wait_for_function("document.querySelector('output').textContent === '0.80'")
    assert (pixels(page) != before).any()

    data = Dataset(dataset)
    picture = data.folder / data.select(kind="partial").path.iloc[0]
    page.set_input_files("input[type=file]", picture)
    page.wait_for_selector(".wx-upload[data-turn='2'] .wx-rows li")
    explorer = page.locator(".wsdl-explorer[data-ready]").nth(1)
    explorer.wait_for()
    assert picture.name in explorer.inner_text()

    last = page.locator(".jp-CodeCell").nth(2)  # Python knows of all this
    last.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    last.get_by_text("threshold 0.8 sizes [(32, 32)]").wait_for()

    page.click(".lm-MenuBar-itemLabel >> text=Settings")  # the system is light: only the Lab turns dark
    page.hover(".lm-Menu-item >> text=Theme")
    page.click(".lm-Menu-item >> text='JupyterLab Dark' >> visible=true")
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    page.wait_for_function(
        "getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor === 'rgb(17, 17, 17)'"
    )
    assert [ink for _, ink in page.evaluate(THEME)[1:]] == ["pale ink", "pale ink"]
    assert len({paper for paper, _ in page.evaluate(THEME)}) == 1
    explorer.scroll_into_view_if_needed()
