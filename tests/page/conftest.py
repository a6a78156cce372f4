"""Pages with an explorer in a headless Chromium, one browser for all tests."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from derive import calculus
from derive.documents import Document, Explorer, Paragraph
from derive.render.html.page import html
from derive.render.notes.scene import named, scene
from derive.render.notes.sheet import Sheet
from derive.specs import PLAIN, Style


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by its chromedriver."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is in the extra [test]")
    found, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if found is None or driver is None:
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,1000"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    session = webdriver.Chrome(options=options, service=service)
    yield session
    session.quit()


class Page:
    """One page in the browser."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.browser, self.path = browser, path

    def open(self, hash_: str = "") -> Page:
        """Load it anew, at an address."""
        self.browser.get("about:blank")
        self.browser.get(self.path.as_uri() + hash_)
        self.wait(lambda: self.run("return document.querySelectorAll('.explorer .cell').length"))
        return self

    def run(self, script: str, *words: Any) -> Any:
        """A script in the page."""
        return self.browser.execute_script(script, *words)

    def wait(self, ready: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not (found := ready()) and time.monotonic() < end:
            time.sleep(0.02)
        assert found, f"still not so after {seconds} s"
        return found

    def cell(self, name: str) -> Any:
        """The cell of that address."""
        return self.browser.find_element("css selector", f'[data-cell="{name}"]')

    def do(self) -> Any:
        """Actions without the pauses of a hand."""
        from selenium.webdriver import ActionChains

        return ActionChains(self.browser, duration=0)

    def hover(self, name: str) -> None:
        """Move the pointer onto a cell."""
        self.do().move_to_element(self.cell(name)).perform()

    def click(self, name: str) -> None:
        """Bring a cell into the middle of the window and click it."""
        centre = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
        self.run(centre, self.cell(name))
        self.cell(name).click()

    def keys(self, *keys: str) -> None:
        """Type, wherever the focus is."""
        self.do().send_keys(*keys).perform()

    def lit(self) -> dict[str, int | None]:
        """The cells that carry a highlight, with the number of their hue."""
        found = self.run(
            "return [...document.querySelectorAll('.cell.lit[data-cell]')].map((cell) => "
            "[cell.dataset.cell, /hue-(\\d+)/.exec(cell.className)?.[1] ?? null])"
        )
        return {name: None if hue is None else int(hue) for name, hue in found}

    def marked(self, kind: str) -> set[str]:
        """The cells of a class."""
        cells = "[...document.querySelectorAll(`.cell.${arguments[0]}[data-cell]`)]"
        return set(self.run(f"return {cells}.map((cell) => cell.dataset.cell)", kind))

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def numbers(self, name: str) -> dict[tuple[int, ...], float]:
        """The numbers that the cells of a tensor show, in full."""
        found = self.run(
            "return [...document.querySelectorAll(`figure[data-tensor='${arguments[0]}'] "
            "[data-value]`)].map((cell) => [cell.dataset.cell, cell.dataset.value])",
            name,
        )
        places = ((place.removeprefix(name).split("_")[1:], value) for place, value in found)
        return {tuple(map(int, place)): float(value) for place, value in places}


@pytest.fixture(scope="session")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Page]:
    """``page(layer, …)``: a page with one explorer a layer, named if there are several."""
    folder, numbers = tmp_path_factory.mktemp("pages"), count()

    def make(
        *layers: Any, names: tuple[str, ...] = (), hash_: str = "", style: Style = PLAIN
    ) -> Page:
        blocks: list[Any] = []
        for name, layer in zip(names or ("",), layers, strict=True):
            found = scene(Sheet(calculus.derive(layer), style))
            assert found is not None
            blocks += [Explorer(named(found, name))] + [Paragraph(("words",))] * 60 * bool(names)
        path = folder / f"{next(numbers)}.html"
        path.write_text(html(Document("A page", tuple(blocks))), encoding="utf-8")
        return Page(browser, path).open(hash_)

    return make
