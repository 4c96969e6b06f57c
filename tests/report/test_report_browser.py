"""The report site in headless Chromium with the network off: explorer, narrow screens, dark theme and print."""

import pytest
from browser import open_chromium, pixels, wait_for

WHITE = "rgb(255, 255, 255)"


@pytest.fixture(scope="module")
def chrome():
    with open_chromium() as started:
        yield started


@pytest.fixture
def opened(chrome, reported):
    """opened(options of a new page) -> the site; errors, policy violations and requests fail the test."""
    errors, asked, pages = [], [], []

    def open_page(**options):
        context = chrome.new_context(offline=True, **options)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url.split(":")[0]))
        page.goto((reported.out / "index.html").as_uri())
        page.wait_for_selector(".wsdl-explorer[data-ready]", state="attached")
        pages.append(context)
        return page

    yield open_page
    for context in pages:
        context.close()
    assert errors == []
    assert set(asked) <= {"file", "data", "blob"}


def colour(page, what: str, name: str) -> str:
    return page.evaluate(f"getComputedStyle(document.querySelector('{what}')).{name}")


def test_the_explorer_works_offline(opened):
    page = opened()
    before = pixels(page)
    page.locator("[data-trait=opacity]").fill("1")
    assert (pixels(page) != before).any()
    page.locator(".wx-thumb").nth(1).click()
    wait_for(page, "document.querySelector('.wx-position').textContent.startsWith('2 of')")


def test_keys_pressed_elsewhere_do_not_reach_the_explorer(opened):
    page = opened()
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".wx-position").startswith("1 of")
    page.focus(".wx-stage canvas, .wsdl-explorer button:enabled")
    page.keyboard.press("ArrowRight")
    wait_for(page, "document.querySelector('.wx-position').textContent.startsWith('2 of')")


@pytest.mark.parametrize("width", [390, 1280])
def test_only_tables_and_figures_scroll_sideways(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.querySelectorAll('p, h1, h2, li, nav')].every(e => e.scrollWidth <= innerWidth)")


def test_a_phone_shows_whole_figures_and_all_scores(opened):
    page = opened(viewport={"width": 390, "height": 800})
    edges = "[...document.querySelectorAll('figure img')].map(e => e.getBoundingClientRect().right)"
    assert len(page.evaluate(edges)) > 3
    assert max(page.evaluate(edges)) <= 390
    heads = page.evaluate(
        "[...document.querySelectorAll('#results th')].filter(e => e.checkVisibility())"
        ".map(e => [e.textContent, e.getBoundingClientRect().right])"
    )
    assert [name for name, _ in heads] == ["method", "setup", "IoU %", "PBCA %", "AP %"]
    assert max(right for _, right in heads) <= 390


def test_a_tap_enlarges_a_figure_and_another_fits_it(opened):
    page = opened(viewport={"width": 390, "height": 800})
    width = "document.querySelector('.zoom img').getBoundingClientRect().width"
    fitted = page.evaluate(width)
    page.locator(".zoom img").first.click()
    assert page.evaluate(width) >= 600
    page.keyboard.press("Space")  # the tap has focused it
    assert page.evaluate(width) == fitted


def test_colours_follow_the_system_theme(opened):
    assert colour(opened(color_scheme="light"), "body", "backgroundColor") == WHITE
    assert colour(opened(color_scheme="dark"), "body", "backgroundColor") == "rgb(21, 23, 26)"


def test_print_is_white_complete_and_shows_link_targets(opened):
    page = opened(color_scheme="dark", viewport={"width": 700, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    assert colour(page, "body", "backgroundColor") == WHITE
    assert colour(page, "body", "color") == "rgb(28, 30, 33)"
    assert page.is_hidden("nav")
    assert page.is_hidden(".wsdl-explorer")
    assert page.is_visible("text=On screen, this is an interactive explorer")
    assert colour(page, ".scroll", "overflowX") == "visible"
    widths = page.evaluate(
        "[...document.querySelectorAll('table, figure img')].map(e => e.getBoundingClientRect().right)"
    )
    assert len(widths) > 5
    assert max(widths) <= 700
    assert {colour(page, what, "breakInside") for what in ("tr", "figure")} == {"avoid"}
    link = page.evaluate("getComputedStyle(document.querySelector('.lessons a'), '::after').content")
    assert "lessons/01_toy.html" in link.replace('" "', "")
