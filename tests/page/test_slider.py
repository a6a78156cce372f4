"""The page around the explorer: steps one at a time, copying, narrow screens, dark and print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from derive import calculus, conv
from derive.derivations import Derivation
from derive.documents import Steps
from derive.render.html.page import html
from derive.render.notes.layer import notes


def toy() -> Derivation:
    """3×3 under a 2×2 kernel."""
    return calculus.derive(conv(input=(3, 3), kernel=(2, 2)))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page of that layer is."""
    path = tmp_path_factory.mktemp("page") / "notes.html"
    path.write_text(html(notes(toy())), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Any]:
    """The browser at the page, and as it was afterwards."""
    browser.get_log("browser")
    browser.get("about:blank")
    browser.get(address)
    yield browser
    for command in ("setEmulatedMedia", "clearDeviceMetricsOverride"):
        browser.execute_cdp_cmd(f"Emulation.{command}", {})
    assert browser.get_log("browser") == []


SHOWN = "return [...document.querySelectorAll('#steps-dx .step:not([hidden])')].map((s) => s.id)"
LAST = next(len(b.steps) for b in notes(toy()).blocks if isinstance(b, Steps))


def shown(browser: Any) -> list[str]:
    """The steps of ∂L/∂x that can be seen."""
    return browser.execute_script(SHOWN)


def press(browser: Any, number: int) -> None:
    """One of the buttons above the steps: back, on, all."""
    bar = browser.find_element("css selector", "#steps-dx .controls")
    bar.find_elements("css selector", "button")[number].click()


def fragment(browser: Any) -> str:
    return str(browser.execute_script("return location.hash"))


def test_steps_are_shown_one_at_a_time_and_buttons_go_on_and_back(opened: Any) -> None:
    assert shown(opened) == ["step-dx-1"]
    press(opened, 1)
    press(opened, 1)
    assert (shown(opened), fragment(opened)) == (["step-dx-3"], "#step-dx-3")
    press(opened, 0)
    assert (shown(opened), fragment(opened)) == (["step-dx-2"], "#step-dx-2")


def test_arrow_keys_move_the_slider_and_end_goes_to_the_last_step(opened: Any) -> None:
    from selenium.webdriver import Keys

    slider = opened.find_element("css selector", "#steps-dx input")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert shown(opened) == ["step-dx-2"]
    slider.send_keys(Keys.END)
    assert shown(opened)[0].startswith("step-dx-")
    assert slider.get_attribute("aria-valuetext") == f"Step {LAST} of {LAST}"
    button = opened.find_element("css selector", "#steps-dx .controls button")
    button.send_keys(Keys.ARROW_LEFT)
    assert shown(opened) == [f"step-dx-{LAST - 1}"]


def test_all_steps_can_be_shown_and_hidden_again(opened: Any) -> None:
    press(opened, 2)
    assert shown(opened) == [f"step-dx-{k}" for k in range(1, LAST + 1)]
    press(opened, 2)
    assert shown(opened) == ["step-dx-1"]


def test_an_address_opens_its_step(opened: Any, address: str) -> None:
    opened.get("about:blank")
    opened.get(f"{address}#step-dx-4")
    assert shown(opened) == ["step-dx-4"]
    opened.execute_script("location.hash = '#step-dx-2'")
    opened.execute_async_script("requestAnimationFrame(() => arguments[0]())")
    assert shown(opened) == ["step-dx-2"]
    top = opened.execute_script(
        "return document.getElementById('steps-dx').getBoundingClientRect().top"
    )
    assert 0 <= top < 900


def test_a_button_copies_the_formula_as_tex(opened: Any) -> None:
    opened.execute_script("navigator.clipboard.writeText = async (text) => { window.kept = text; }")
    button = opened.find_element("css selector", ".display .copy")
    assert button.get_attribute("aria-label") == "Copy formula 1 as LaTeX"
    button.click()
    kept = opened.execute_script("return window.kept")
    assert kept == "y_{i,j} =\\sum_{u,v} x_{i+u,j+v}\\,w_{u,v}"


def test_where_there_is_no_clipboard_the_tex_is_shown_and_selected(opened: Any) -> None:
    opened.execute_script("navigator.clipboard.writeText = () => Promise.reject(new Error())")
    opened.find_element("css selector", ".display .copy").click()
    chosen = opened.execute_async_script(
        "setTimeout(() => { const area = document.activeElement;"
        "arguments[0](area.value.slice(area.selectionStart, area.selectionEnd)); }, 50)"
    )
    assert chosen.startswith("y_{i,j}")


@pytest.mark.parametrize("width", [320, 390, 800, 1500])
def test_the_page_never_scrolls_sideways(opened: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


def test_print_has_every_step_and_no_button(opened: Any) -> None:
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    seen = (
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter((e) => e.checkVisibility() && e.offsetHeight > 0).length"
    )
    inside = "#steps-dx .step .display"
    assert opened.execute_script(seen, inside) == LAST
    assert opened.execute_script(seen, "button, .controls, .contents") == 0


def test_a_dark_page_has_the_dark_hues(opened: Any) -> None:
    colour = "return getComputedStyle(document.querySelector('math .hue-0')).color"
    assert opened.execute_script(colour) == "rgb(0, 114, 178)"
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert opened.execute_script(colour) == "rgb(108, 182, 245)"


def test_formulas_are_set_by_the_browser(opened: Any) -> None:
    sizes = opened.execute_script(
        "return ['.display math mfrac > :first-child', '.display math mfrac > :last-child']"
        ".map((s) => document.querySelector(s).getBoundingClientRect().bottom)"
    )
    assert sizes[0] < sizes[1]
