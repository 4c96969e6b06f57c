"""The panel of wsdl.upload in a browser: files, errors, keyboard, accessible names, dark theme, narrow screens."""

import json

import pytest
from browser import CONTRAST, UNNAMED

from wsdl.explorer import static_files

SHOWN = {
    "detectors": [{"name": "patches-c-studio", "chosen": True}, {"name": "patches-a-studio", "chosen": False}],
    "none": "", "problem": "", "name": "", "results": [], "warnings": [], "limit": 9_000_000, "turn": 1,
}  # fmt: skip
FOUND = {
    **SHOWN, "turn": 2, "name": "me <b>.jpg", "warnings": ["It is a JPEG of quality 30 or so."],
    "results": [{"name": "patches-c-studio", "lines": ["marked 8.1 % of <i>", "score 0.412", "IoU 77.0 %"]}],
}  # fmt: skip
PAGE = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>panel</title>
<style>{style}</style><body class="wsdl-page"><main></main><script type="module">
window.sent = []; window.parts = [];
let shown = {shown}, changed;
window.answer = (next) => {{ shown = next; changed(); }};
window.model = {{ get: () => shown, on: (_, f) => (changed = f), off: () => (changed = null),
  send: (content, _, buffers) => {{ sent.push(content); parts.push(...buffers.map((b) => b.byteLength)); }} }};
{script}
window.close_it = panel.render({{ model, el: document.querySelector('main') }});
</script></body></html>"""


@pytest.fixture
def page(chrome, tmp_path):
    script = static_files.bundle_script("upload.js", ("dom",)).replace("export default", "const panel =")
    path = tmp_path / "panel.html"
    path.write_text(PAGE.format(style=static_files.bundle_style(), shown=json.dumps(SHOWN), script=script))
    errors, page = [], chrome.new_page(viewport={"width": 1280, "height": 800})
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector(".wx-upload")
    yield page
    page.close()
    assert errors == []


DROP = """([size, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(size)], name, { type: 'image/png' }));
  const zone = document.querySelector('.wx-drop');
  const send = (kind) => zone.dispatchEvent(
    new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  return [send('dragover'), zone.classList.contains('wx-over'), send('drop'), zone.classList.contains('wx-over')];
}"""
PART = 4 << 20


def test_a_dropped_file_is_sent_in_parts_and_not_opened(page):
    size = 9_000_000
    assert page.evaluate(DROP, [size, "me.png"]) == [False, True, False, False]  # false: the default was prevented
    page.wait_for_function("parts.length === 3")
    assert page.evaluate("parts") == [PART, PART, size - 2 * PART]
    assert page.evaluate("sent") == [{"do": "part", "name": "me.png", "at": i * PART, "size": size} for i in range(3)]
    assert page.inner_text("[role=status]") == "Analysing me.png …"
    assert page.get_attribute(".wx-upload", "aria-busy") == "true"


@pytest.mark.parametrize("size", [9_000_001, 0])
def test_only_the_size_of_too_large_or_empty_files_is_sent(page, size):
    page.evaluate(DROP, [size, "me.png"])
    page.wait_for_function("parts.length === 1")
    assert (page.evaluate("parts"), page.evaluate("sent[0].size")) == ([0], size)


def test_only_the_last_of_two_files_dropped_at_once_is_sent(page):
    page.evaluate(f"() => {{ const drop = {DROP}; drop([9_000_000, 'a']); drop([5, 'b']) }}")
    page.wait_for_function("sent.some((part) => part.name === 'b')")
    assert page.evaluate("sent") == [{"do": "part", "name": "b", "at": 0, "size": 5}]


def test_an_unreadable_file_shows_an_error(page):
    nothing = "new DragEvent('drop', { dataTransfer: new DataTransfer() })"
    page.evaluate(f"document.querySelector('.wx-drop').dispatchEvent({nothing})")
    assert page.inner_text("[role=alert]") == "No file was dropped; drop the file of one image."
    page.evaluate(f"() => {{ File.prototype.slice = () => {{ throw Error() }}; ({DROP})([5, 'folder']) }}")
    page.get_by_text("folder: cannot be read; drop the file of one image.").wait_for()
    assert page.evaluate("sent") == []


def test_the_same_file_can_be_chosen_twice(page):
    for count in (1, 2):
        page.set_input_files("input[type=file]", {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": b"abc"})
        page.wait_for_function("count => sent.length === count", arg=count)
        assert page.input_value("input[type=file]") == ""  # else a browser would see no change the second time
    assert page.evaluate("sent[1]") == {"do": "part", "name": "me.jpg", "at": 0, "size": 3}


def test_results_from_python_are_shown_and_escaped(page):
    page.evaluate("found => answer(found)", FOUND)
    assert page.inner_text("[role=status]") == "Results for me <b>.jpg"
    assert page.locator(".wx-rows li").count() == 1
    assert page.inner_text(".wx-rows b") == "marked 8.1 % of <i>"
    assert page.locator(".wx-rows small").all_inner_texts() == ["score 0.412", "IoU 77.0 %"]
    assert page.inner_text(".wx-warnings") == FOUND["warnings"][0]
    page.evaluate(
        "found => answer({ ...found, results: [], warnings: [], problem: 'x.jpg: is damaged.', turn: 3 })", FOUND
    )
    assert page.inner_text("[role=alert]") == "x.jpg: is damaged."
    assert page.locator(".wx-rows, .wx-warnings").count() == 0
    assert page.get_attribute(".wx-upload", "data-turn") == "3"


def test_detectors_can_be_chosen_and_added_by_keyboard(page):
    seen = []
    for _ in range(5):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.type"))
    page.evaluate("addEventListener('keydown', (event) => sent.push(event.key))")  # JupyterLab must hear nothing
    assert seen == ["BUTTON button", "INPUT checkbox", "INPUT checkbox", "INPUT text", "BUTTON button"]
    page.get_by_label("patches-a-studio").press("Space")
    page.evaluate(
        "shown => answer(shown)", {**SHOWN, "detectors": [{**one, "chosen": True} for one in SHOWN["detectors"]]}
    )
    assert page.evaluate("document.activeElement.type") == "checkbox"  # the focus stays
    assert page.get_by_label("patches-a-studio").is_checked()
    page.get_by_label("Run folder").fill(" out/runs/b ")
    page.get_by_label("Run folder").press("Enter")
    assert page.evaluate("sent") == [{"do": "choose", "name": "patches-a-studio"}, {"do": "add", "name": "out/runs/b"}]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_names_contrast_and_narrow_screens(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("found => answer(found)", {**FOUND, "problem": "x" * 200, "none": "There is no detector yet."})
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.evaluate("close_it()")
    assert page.evaluate("document.querySelector('main').children.length") == 0
