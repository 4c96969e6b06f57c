"""Notebooks as slides: reveal.js inside one page, in headless Chromium with the network off."""

import re

import pytest
from browser import open_chromium, wait_for
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from typer.testing import CliRunner

from wsdl import notebooks
from wsdl.__main__ import app
from wsdl.notebooks.slides import split_slides

LESSON = notebooks.LESSONS_FOLDER / "01_faces_and_masks.ipynb"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    out = tmp_path_factory.mktemp("slides") / "01.html"
    result = CliRunner().invoke(app, ["notebooks", "slides", str(LESSON), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    return out


def test_each_text_begins_a_slide_and_outputs_are_not_stacked():
    shown, plain = [new_code_cell("x", outputs=[new_output("stream")]) for _ in range(2)], new_code_cell("y")
    hidden = new_code_cell("seed = 0", metadata={"tags": ["parameters"]})
    first, second = new_markdown_cell("# A"), new_markdown_cell("b")
    slides = split_slides([first, hidden, plain, shown[0], shown[1], second])
    assert slides == [[first, plain, shown[0]], [shown[1]], [second]]


def test_slides_contain_everything_and_load_nothing(page_file):
    text = page_file.read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=.?(?!data:)\w", text)
    assert all(f'id="{name}"' in text for name in ("The-faces", "The-six-components", "Exercises", "What-we-saw"))


def test_slides_are_shown_and_keys_turn_them_offline(page_file):
    errors, asked = [], []
    with open_chromium() as chrome:
        page = chrome.new_context(offline=True, viewport={"width": 1280, "height": 800}).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url.split(":")[0]))
        page.goto(page_file.as_uri())
        page.wait_for_selector(".reveal.ready")
        assert page.locator("section.present h1").is_visible()
        page.keyboard.press("ArrowRight")
        wait_for(page, "document.querySelector('section.present section.present h2')?.textContent.includes('learn')")
        total = int(page.inner_text(".slide-number").split("/")[1])
        for _ in range(total):
            page.keyboard.press("Space")
        wait_for(page, "document.querySelector('section.present section.present')?.textContent.includes('Next:')")
    assert errors == []
    assert set(asked) <= {"file", "data"}
