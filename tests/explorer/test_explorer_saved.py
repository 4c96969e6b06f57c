"""Saved notebooks with an explorer, exported by plain nbconvert, opened without a network."""

import subprocess
import sys

import nbformat
import pytest
from browser import open_chromium
from factories_explorer import small_explorer
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, output_from_msg

from wsdl import notebooks
from wsdl.explorer import upload as module
from wsdl.explorer.static_files import STATIC


@pytest.fixture
def saved(tmp_path):
    """A notebook whose cell displayed an explorer and an empty upload panel, as JupyterLab saves it."""
    InteractiveShell.instance()
    with capture_output() as captured:
        from IPython.display import display

        display(small_explorer())
        display(module.upload(detectors=[]))
    outputs = [
        output_from_msg({"header": {"msg_type": "display_data"}, "content": {"data": each.data, "metadata": {}}})
        for each in captured.outputs
    ]
    cells = [new_markdown_cell("# Saved"), new_code_cell("explorer", outputs=outputs, execution_count=1)]
    path = tmp_path / "saved.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": notebooks.KERNELSPEC}), path)
    return path


@pytest.mark.slow
def test_plain_nbconvert_shows_the_still_image_offline(saved):
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", str(saved)], check=True, capture_output=True)
    with open_chromium() as chrome:
        page = chrome.new_context(offline=True).new_page()
        page.goto(saved.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
        image = page.locator(f".{notebooks.STILL} img")
        assert image.count() == 1
        assert image.is_visible()
        assert image.evaluate("e => e.naturalWidth") > 500
        assert page.locator(f".{notebooks.STILL}", has_text="A drop zone for an image").is_visible()


def test_a_drawn_widget_hides_its_own_still_image_only():
    dom = (STATIC / "dom.js").read_text(encoding="utf-8").replace("export ", "")
    with open_chromium() as chrome:
        page = chrome.new_page()
        page.set_content('<p class="wsdl-still wsdl-still-a1">one</p><p class="wsdl-still wsdl-still-b2">two</p>')
        page.evaluate(f"() => {{ {dom} hideStill({{ get: () => 'a1' }}, document.body) }}")
        assert [page.get_by_text(text).is_visible() for text in ("one", "two")] == [False, True]


def test_our_pages_and_tidied_notebooks_show_it_once(saved):
    notebooks.to_html(saved, saved.with_suffix(".html"))
    text = saved.with_suffix(".html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") == 1
    assert "Error displaying widget" not in text
    assert notebooks.WIDGET not in text
    notebooks.tidy_notebook(saved)
    (explorer,) = [out for out in nbformat.read(saved, 4).cells[1].outputs if "image/jpeg" in out.data]
    assert notebooks.WIDGET not in explorer.data
    assert notebooks.STILL not in saved.read_text(encoding="utf-8")
