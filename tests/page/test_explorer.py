"""The page that answers a pointer, by what it does in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from test_layers import unproved

import derive
from derive import pipeline
from derive.specs import Style

Lit = dict[str, int | None]


@pytest.fixture(autouse=True)
def _silent(browser: Any) -> Iterator[None]:
    """Whatever a test does: nothing goes wrong in the page, and nothing is fetched."""
    browser.get_log("browser")
    yield
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def toy() -> Any:
    """3×3 under a 2×2 kernel."""
    return derive.conv(input=(3, 3), kernel=(2, 2))


def products(n: int, k: int, stride: int, padding: int) -> Iterator[tuple[Any, Any, Any]]:
    """All products of a square convolution, by loops: places in x, w and y."""
    outputs = (n + 2 * padding - k) // stride + 1
    for i, j, u, v in product(range(outputs), range(outputs), range(k), range(k)):
        a, b = stride * i + u - padding, stride * j + v - padding
        if 0 <= a < n and 0 <= b < n:
            yield (a, b), (u, v), (i, j)


def expected(which: str, place: tuple[int, int], *geometry: int) -> Lit:
    """What is lit for an entry of x, w or y, with the hue of each."""
    k, out = geometry[1], {}
    for x, w, y in products(*geometry):
        if {"x": x, "w": w, "y": y}[which] != place:
            continue
        hue = w[0] * k + w[1]
        shown = {"x": ("w", "y", "dy"), "w": ("x", "y", "dy"), "y": ("x", "w")}[which]
        for name in shown:
            at = {"x": x, "w": w, "y": y, "dy": y}[name]
            out[f"{name}_{at[0]}_{at[1]}"] = hue % 9
    return out


@pytest.mark.parametrize(
    ("geometry", "cells"),
    [
        ((3, 2, 1, 0), ("x_1_1", "x_0_0", "y_0_1", "w_0_0", "w_1_0")),
        ((5, 3, 2, 1), ("x_1_1", "x_2_2", "y_0_1", "y_2_2", "w_0_0")),
    ],
)
def test_an_entry_lights_its_products_and_nothing_else(
    page: Callable[..., Any], geometry: tuple[int, ...], cells: tuple[str, ...]
) -> None:
    n, k, stride, padding = geometry
    layer = derive.conv(input=(n, n), kernel=(k, k), stride=stride, padding=padding)
    shown = page(layer)
    for cell in cells:
        shown.hover(cell)
        name, a, b = cell.split("_")
        assert shown.lit() == expected(name, (int(a), int(b)), *geometry), cell
        assert shown.marked("target") == {cell}


def test_the_upstream_gradients_of_an_input_have_the_hues_of_the_rotated_kernel(
    page: Callable[..., Any],
) -> None:
    shown = page(toy())
    shown.hover("x_1_1")
    lit = shown.lit()
    kernel = [[lit[f"w_{u}_{v}"] for v in (0, 1)] for u in (0, 1)]
    upstream = [[lit[f"dy_{i}_{j}"] for j in (0, 1)] for i in (0, 1)]
    assert kernel == [[0, 1], [2, 3]]
    assert upstream == np.rot90(kernel, 2).tolist()
    shown.hover("dx_1_1")
    assert shown.lit() == lit


def test_an_upstream_entry_goes_to_everything_its_output_was_made_of(
    page: Callable[..., Any],
) -> None:
    shown = page(toy())
    shown.hover("dy_0_1")
    ways = [(f"{i}_{j}", 2 * (i - 0) + (j - 1)) for i in (0, 1) for j in (1, 2)]
    want: Lit = {f"{name}_{at}": hue for name in ("x", "dx") for at, hue in ways}
    want |= {f"{name}_{u}_{v}": 2 * u + v for name in ("w", "dw") for u in (0, 1) for v in (0, 1)}
    assert {k: v for k, v in shown.lit().items() if not k.startswith("y_")} == want


def test_the_kernel_is_called_turned_where_that_was_proved(page: Callable[..., Any]) -> None:
    turned = "x1,1 takes part in 4 products. Each of them sends a part of the gradient back, and "
    for layer, said in (
        (toy(), True),
        (derive.conv(input=(3, 3), kernel=(2, 2), flip=True), False),
    ):
        shown = page(layer)
        shown.hover("x_1_1")
        assert shown.text(".sentence").startswith(turned)
        assert ("turned by 180°" in shown.text(".sentence")) == said


def test_a_term_of_the_formula_leaves_only_its_own_entries_bright(
    page: Callable[..., Any],
) -> None:
    shown = page(toy(), hash_="#x_1_1")
    piece = shown.browser.find_element("css selector", ".piece[data-term='1']")
    shown.do().move_to_element(piece).perform()
    assert shown.marked("stress") == {"w_0_1", "dy_1_0", "y_1_0"}
    shown.hover("x_0_0")
    assert shown.marked("stress") == set()


def test_padding_lights_where_the_window_reaches_out(page: Callable[..., Any]) -> None:
    shown = page(derive.conv(input=(5, 5), kernel=(3, 3), stride=2, padding=1))
    shown.hover("y_0_1")
    hues = shown.run(
        "return [...document.querySelectorAll('.cell.padding.lit')].map((c) => c.className)"
    )
    assert sorted(c.split("hue-")[1] for c in hues) == ["0", "1", "2"]


def test_a_click_pins_and_a_click_or_escape_lets_go(page: Callable[..., Any]) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = page(toy())
    for let_go in (lambda: shown.click("x_1_1"), lambda: shown.keys(Keys.ESCAPE)):
        shown.click("x_1_1")
        assert shown.run("return location.hash") == "#x_1_1"
        shown.hover("y_0_0")
        assert shown.lit() == expected("x", (1, 1), 3, 2, 1, 0)
        let_go()
        assert shown.run("return location.hash") == ""
        shown.hover("y_0_0")
        assert shown.lit() == expected("y", (0, 0), 3, 2, 1, 0)


@pytest.mark.parametrize("cell", ["x_1_1", "y_0_1", "w_0_0", "dx_1_1"])
def test_an_address_leads_to_a_pinned_entry(page: Callable[..., Any], cell: str) -> None:
    shown = page(toy(), hash_=f"#{cell}")
    assert shown.marked("target") == {cell}
    assert shown.lit()
    shown.run("location.hash = '#y_1_0'")
    shown.wait(lambda: shown.marked("target") == {"y_1_0"})
    shown.hover("x_0_0")
    assert shown.marked("target") == {"y_1_0"}


@pytest.mark.parametrize("hash_", ["#x_3_0", "#x_1", "#nothing", "#x_a_b", "#%22"])
def test_an_address_that_names_no_entry_pins_nothing(page: Callable[..., Any], hash_: str) -> None:
    assert page(toy(), hash_=hash_).marked("target") == set()


def test_entries_count_from_one_where_that_was_asked_for(page: Callable[..., Any]) -> None:
    shown = page(toy(), hash_="#x_2_2", style=Style(index_base=1, notation="∂L/∂y"))
    assert shown.marked("target") == {"x_2_2"}
    assert set(shown.lit()) == {
        f"{n}_{i}_{j}" for n in ("w", "y", "dy") for i in "12" for j in "12"
    }
    start = "∂L/∂x[2,2] = ∂L/∂y[2,2]·w[1,1] + ∂L/∂y[2,1]·w[1,2]"
    assert shown.text("[aria-live]").startswith(start)
    assert page(toy(), hash_="#x_0_0", style=Style(index_base=1)).marked("target") == set()


def test_tab_and_arrows_walk_and_light(page: Callable[..., Any]) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = page(toy())
    shown.run("document.querySelector('.toggle').focus()")
    shown.keys(Keys.TAB)  # the other buttons are off: nothing is shown yet
    assert shown.marked("target") == {"x_0_0"}
    shown.keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert shown.marked("target") == {"x_1_1"}
    assert shown.lit() == expected("x", (1, 1), 3, 2, 1, 0)
    shown.keys(Keys.END, Keys.ARROW_RIGHT)
    assert shown.marked("target") == {"x_1_2"}
    shown.keys(Keys.HOME, Keys.ENTER)
    assert shown.run("return location.hash") == "#x_1_0"
    tabs = "return [...document.querySelectorAll('[role=grid]')].map((grid) => "
    counts = shown.run(tabs + "grid.querySelectorAll('[tabindex=\"0\"]').length)")
    assert counts == [1] * 6


def test_readers_of_the_screen_are_told_entries_values_and_formulas(
    page: Callable[..., Any],
) -> None:
    shown = page(toy())
    shown.run("document.querySelector('.toggle').click()")
    shown.hover("dx_1_1")
    formula = "∂L/∂x[1,1] = g[1,1]·w[0,0] + g[1,0]·w[0,1] + g[0,1]·w[1,0] + g[0,0]·w[1,1]"
    value = shown.numbers("dx")[1, 1]
    assert shown.text("[aria-live]") == f"{formula} = {value:g}".replace("-", "−")
    label = shown.cell("dx_1_1").get_attribute("aria-label")
    assert label.startswith(f"∂L/∂x[1,1] is {value:g}. ".replace("-", "−"))
    assert formula in label
    roles = "return [...document.querySelectorAll('.cell[data-cell]')].every((cell) => "
    assert shown.run(roles + "cell.closest('[role=row]').closest('[role=grid]').ariaLabel)")


NUMBERS = [
    (lambda: derive.conv(input=(3, 3), kernel=(2, 2), bias=True), {"w_0_1": "2.5", "b": "-3"}),
    (
        lambda: derive.conv(input=(5, 5), kernel=(3, 3), stride=2, padding=1),
        {"x_1_1": "-7", "dy_0_1": "0.25"},
    ),
    (lambda: derive.max_pool(input=(5, 5), kernel=3, stride=2), {"x_2_2": "9", "x_1_1": "9"}),
    (
        lambda: derive.max_pool(input=(5, 5), kernel=3, stride=2, ties="split"),
        {"x_2_2": "9", "x_1_1": "9"},
    ),
    (lambda: derive.softmax(input=4), {"x_1": "1.5", "dy_0": "-2"}),
    (lambda: derive.batch_norm(input=(4,)), {"x_0_0": "5", "gamma_1": "3", "dy_2_3": "-1"}),
    (lambda: derive.cross_entropy(input=4), {"x_0_1": "0.5", "t_1": "3"}),
    (lambda: derive.gelu(input=(3,)), {"x_0": "-0.7"}),
]


@pytest.mark.parametrize(("layer", "typed"), NUMBERS)
def test_typed_numbers_give_the_kernels_outputs_and_gradients(
    page: Callable[..., Any], layer: Callable[[], Any], typed: dict[str, str]
) -> None:
    from selenium.webdriver.common.keys import Keys

    made = layer()
    shown, equation = page(made), made.equation.at_sizes()
    for cell, text in typed.items():
        shown.click(cell)
        shown.keys(text, Keys.ENTER, Keys.ESCAPE)
    arrays = {}
    for name in (*(t.name for t in equation.tensors), *([] if equation.loss else ["dy"])):
        arrays[name] = dense(shown.numbers(name))
        for cell, text in typed.items():
            if cell.split("_")[0] == name:
                assert arrays[name][tuple(map(int, cell.split("_")[1:]))] == float(text)
    kernel = pipeline.module(unproved(made))
    given = [arrays[t.name].astype(int if t.integer else float) for t in equation.tensors]
    upstream = [] if equation.loss else [arrays["dy"]]
    assert close(dense(shown.numbers(equation.output.name)), kernel.forward(*given))
    for tensor, gradient in zip(equation.tensors, kernel.backward(*upstream, *given), strict=True):
        if gradient is not None:
            assert close(dense(shown.numbers(tensor.gradient)), gradient), tensor.gradient


def dense(numbers: dict[tuple[int, ...], float]) -> np.ndarray:
    """Numbers by place as an array."""
    out = np.full([1 + max(axis) for axis in zip(*numbers, strict=True)], np.nan)
    for place, value in numbers.items():
        out[place] = value
    return out


def close(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal to twelve digits of the largest."""
    return one.shape == np.shape(other) and bool(
        np.abs(one - other).max() <= 1e-12 * (1 + np.abs(other).max())
    )


@pytest.mark.parametrize("ties", ["first", "split"])
def test_the_winners_of_a_pool_are_marked_by_its_rule(page: Callable[..., Any], ties: str) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = page(derive.max_pool(input=(5, 5), kernel=3, stride=2, ties=ties))
    for cell in ("x_2_2", "x_0_1"):
        shown.click(cell)
        shown.keys("9", Keys.ENTER, Keys.ESCAPE)
    x, want = dense(shown.numbers("x")), set()
    for i, j in product((0, 2), (0, 2)):
        window = x[i : i + 3, j : j + 3]
        places = [f"x_{i + u}_{j + v}" for u, v in np.argwhere(window == window.max())]
        want |= set(places[:1] if ties == "first" else places)
    assert shown.marked("winner") == want
    shown.hover("y_0_0")
    assert ("share" in shown.text(".sentence")) == (ties == "split")


def test_a_bracket_of_a_maximum_says_which_tap_wins_as_the_notes_do(
    page: Callable[..., Any],
) -> None:
    shown = page(derive.max_pool(input=(5, 5), kernel=3, stride=2), hash_="#dx_0_2")
    won = "g[0,1]·[(0,0) = argmax[u*,v*](x[u*,2 + v*])] + g[0,0]·[(0,2) = argmax[u*,v*](x[u*,v*])]"
    assert shown.text("[aria-live]") == f"∂L/∂x[0,2] = {won}"
    assert "bracket is 1 where" in shown.text(".sentence")
    assert "product" not in shown.text(".sentence")
    assert shown.text(".piece[data-term='1'] msup") == "u∗"
    shown.open("#dy_0_0")
    assert "to the winner alone" in shown.text(".sentence")
    largest = derive.max_pool(input=(5, 5), kernel=3, stride=2, ties="split")
    shown = page(largest, hash_="#x_1_2", style=Style(index_base=1))
    assert "[(1,2) ∈ argmax[u*,v*](x[u*,v*])]/|argmax[u*,v*](x[u*,v*])|" in shown.text(
        "[aria-live]"
    )


def test_windows_that_an_input_does_not_win_go_dark_with_the_numbers(
    page: Callable[..., Any],
) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = page(derive.max_pool(input=(5, 5), kernel=3, stride=2))
    shown.hover("x_2_2")
    windows = {(i, j): 3 * (2 - 2 * i) + 2 - 2 * j for i, j in product((0, 1), (0, 1))}
    every: Lit = {f"{n}_{i}_{j}": hue for (i, j), hue in windows.items() for n in ("y", "dy")}
    assert shown.lit() == every
    assert shown.marked("weak") == {f"x_{a}_{b}" for a, b in product(range(5), range(5))}
    for cell in ("x_2_2", "x_0_0"):  # the first window has an earlier and larger entry
        shown.click(cell)
        shown.keys("9" if cell == "x_2_2" else "10", Keys.ENTER, Keys.ESCAPE)
    shown.hover("x_2_2")
    assert shown.lit() == {k: hue for k, hue in every.items() if not k.endswith("_0_0")}


def test_what_is_no_number_is_not_taken(page: Callable[..., Any]) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = page(derive.cross_entropy(input=4))
    shown.run("document.querySelector('.toggle').click()")
    before = shown.numbers("t")
    for text in ("7", "1.5", "-"):
        shown.click("t_0")
        shown.keys(text, Keys.ENTER)
        assert shown.run("return document.activeElement.getAttribute('aria-invalid')") == "true"
        said = f"“{text}” is not a class; classes are 0 to 3. The entry keeps its value."
        assert shown.text("[aria-live]") == shown.text(".sentence") == said
        shown.keys(Keys.ESCAPE, Keys.ESCAPE)
        assert shown.numbers("t") == before


def test_the_formula_is_copied_as_latex(page: Callable[..., Any]) -> None:
    shown = page(toy(), hash_="#dx_1_1")
    button = shown.browser.find_elements("css selector", ".explorer .bar button")[2]
    button.click()
    shown.wait(lambda: button.text == "Copied")
    term = "{{g}}_{{{}}}{{w}}_{{{}}}"
    pairs = (("1,1", "0,0"), ("1,0", "0,1"), ("0,1", "1,0"), ("0,0", "1,1"))
    tex = "\\frac{\\partial L}{\\partial {x}_{1,1}} = "
    tex += " ".join(("+" if k else "") + term.format(*pair) for k, pair in enumerate(pairs))
    assert button.get_attribute("data-tex") == tex


def test_dark_mode_darkens_cells_and_keeps_hues_apart(page: Callable[..., Any]) -> None:
    shown = page(toy())
    style = "const s = getComputedStyle(document.querySelector(`[data-cell='${arguments[0]}']`));"

    def colours() -> tuple[Any, ...]:
        shown.hover("x_1_1")
        read = style + "return [s.backgroundColor, s.color]"
        return tuple(tuple(shown.run(read, f"w_{k}")) for k in ("0_0", "0_1", "1_0", "1_1"))

    light = colours()
    emulate = "Emulation.setEmulatedMedia"
    dark_features = [{"name": "prefers-color-scheme", "value": "dark"}]
    shown.browser.execute_cdp_cmd(emulate, {"features": dark_features})
    try:
        dark = colours()
    finally:
        shown.browser.execute_cdp_cmd(emulate, {"features": []})
    assert len(set(dark)) == len(set(light)) == 4
    assert not set(dark) & set(light)


def test_only_a_pinned_entry_is_printed(page: Callable[..., Any]) -> None:
    shown = page(toy())
    display = "return getComputedStyle(document.querySelector('.explorer')).display"
    shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert shown.run(display) == "none"
        shown.run("location.hash = '#x_1_1'")
        shown.wait(lambda: shown.run(display) == "block")
    finally:
        shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_finger_pins_where_it_taps(page: Callable[..., Any]) -> None:
    shown = page(toy())
    touch = "Emulation.setTouchEmulationEnabled"
    shown.browser.execute_cdp_cmd(touch, {"enabled": True})
    try:
        for cell in ("x_1_1", "y_0_1"):
            box = shown.cell(cell).rect
            point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
            for kind, points in (("touchStart", [point]), ("touchEnd", [])):
                event = {"type": kind, "touchPoints": points}
                shown.browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)
            shown.wait(lambda: shown.run("return location.hash") == f"#{cell}")  # noqa: B023
            assert shown.marked("target") == {cell}
    finally:
        shown.browser.execute_cdp_cmd(touch, {"enabled": False})


def test_the_formula_never_hides_the_entry_on_a_narrow_screen(page: Callable[..., Any]) -> None:
    shown = page(derive.conv(input=(5, 5), kernel=(3, 3), stride=2, padding=1))
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    edge = "return arguments[0].getBoundingClientRect().bottom <= "
    edge += "document.querySelector('.answer').getBoundingClientRect().top"
    try:
        for cell in ("dy_1_1", "dx_2_2", "dy_2_1"):
            shown.open(f"#{cell}")
            assert shown.run(edge, shown.cell(cell)), cell
        shown.run("arguments[0].click()", shown.cell("dy_1_1"))
        assert shown.run(edge, shown.cell("dy_1_1"))
    finally:
        shown.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_large_layer_makes_only_the_cells_in_sight(page: Callable[..., Any]) -> None:
    shown = page(derive.conv(input=(28, 28), kernel=(5, 5)))
    count = "return document.querySelectorAll(\"figure[data-tensor='x'] .cell\").length"
    assert 100 <= shown.run(count) <= 14 * 14
    assert not shown.browser.find_elements("css selector", '[data-cell="x_27_27"]')
    shown.open("#x_27_27")
    assert shown.marked("target") == {"x_27_27"}
    assert shown.lit() == {"w_4_4": 24 % 9, "y_23_23": 24 % 9, "dy_23_23": 24 % 9}
    assert shown.run(count) <= 14 * 14


def test_slices_turn_to_what_is_lit(page: Callable[..., Any]) -> None:
    shown = page(derive.conv(input=(2, 4, 4), kernel=(3, 3), filters=3), hash_="#y_2_0_1")
    lit = shown.lit()
    assert {cell for cell in lit if cell.startswith("w_")} == {
        f"w_2_0_{u}_{v}" for u, v in product(range(3), range(3))
    }
    assert {c for c in lit if c[:2] == "x_"} == {
        f"x_0_{u}_{1 + v}" for u, v in product(range(3), range(3))
    }


def test_a_gradient_turns_to_the_slice_of_its_entry(page: Callable[..., Any]) -> None:
    shown = page(derive.conv(input=(2, 4, 4), kernel=(3, 3), filters=3), hash_="#x_1_2_2")
    assert shown.marked("twin") == {"dx_1_2_2"}
    assert all(cell.startswith("w_0_1_") for cell in shown.lit() if cell[0] == "w")


def test_explorers_of_a_network_wait_until_they_are_seen_or_addressed(
    page: Callable[..., Any],
) -> None:
    large = derive.conv(input=(16, 16), kernel=(3, 3))
    layers, names = (toy(), large, large), ("conv1", "conv2", "conv3")
    shown = page(*layers, names=names)
    built = "return [...document.querySelectorAll('section.explorer')].map((s) => "
    built += "Boolean(s.querySelector('.cell')))"
    assert shown.run(built) == [True, False, False]
    shown.open("#conv3.x_1_1")
    shown.wait(lambda: shown.marked("target") == {"conv3.x_1_1"})
    assert shown.run(built)[1] is False
    shown.click("conv3.y_0_0")
    assert shown.run("return location.hash") == "#conv3.y_0_0"


def test_tab_reaches_an_explorer_that_waits_and_opens_it(page: Callable[..., Any]) -> None:
    from selenium.webdriver.common.keys import Keys

    large = derive.conv(input=(16, 16), kernel=(3, 3))
    shown = page(large, large, names=("conv1", "conv2"))
    focused = "return document.querySelectorAll('section.explorer')[1]"
    focused += ".contains(document.activeElement) && document.activeElement.className"
    shown.run(
        "document.querySelectorAll('.explorer .cell[tabindex=\"0\"]').forEach((c, k, all) => "
        "{ if (k === all.length - 1) c.focus({ preventScroll: true }); })"
    )
    shown.keys(Keys.TAB)
    shown.wait(lambda: shown.run(focused) == "toggle")
    shown.keys(Keys.TAB)
    assert "conv2.x_0_0" in shown.marked("target")


def test_nothing_moves_while_explorers_are_built(page: Callable[..., Any]) -> None:
    large = derive.conv(input=(16, 16), kernel=(3, 3))
    shown = page(large, large, large, names=("conv1", "conv2", "conv3"))
    tall = "return document.documentElement.scrollHeight"
    before = shown.run(tall)
    shown.run("document.querySelectorAll('.waiting button').forEach((one) => one.click())")
    assert shown.run("return document.querySelector('.waiting')") is None
    assert abs(shown.run(tall) - before) < 0.02 * before
    shifts = "new PerformanceObserver((list) => arguments[0](list.getEntries()"
    shifts += ".reduce((sum, one) => sum + one.value, 0))).observe({ type: 'layout-shift', "
    shifts += "buffered: true }); setTimeout(() => arguments[0](0), 300)"
    assert page(toy()).browser.execute_async_script(shifts) == 0
