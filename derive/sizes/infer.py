"""What follows from the sizes given: products and windows, until nothing new does."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import EquationError
from .ledger import Ledger, read_place, tensors_of
from .windows import Room, Window, room, windows

Uses = list[tuple[Window, str]]
"""Every shifted subscript with an index that runs over one extent."""


def infer(ledger: Ledger) -> None:
    """Fill in every size that follows."""
    rules = window_rules(ledger)
    while True:
        before = len(ledger.values)
        _divide(ledger)
        for name, uses in rules.items():
            if name not in ledger.values and follows(uses, set(ledger.values), ledger.values):
                _fit(ledger, name, uses)
        if len(ledger.values) == before:
            return


def follows(uses: Uses, known: set[str], values: Mapping[str, int]) -> bool:
    """Whether rule 3 can tell an extent once ``known`` is known (``values`` already are)."""
    moving = [(window, index) for window, index in uses if window.moves(index, values)]
    return bool(moving) and all(window.needs(index) <= known for window, index in moving)


def window_rules(ledger: Ledger) -> dict[str, Uses]:
    """Every extent that rule 3 could find."""
    rules: dict[str, Uses] = {}
    for equation in ledger.equations:
        for window in windows(equation):
            for index in window.indices():
                name = equation.extent(index).bare
                if name is not None:
                    rules.setdefault(name, []).append((window, index))
    return rules


def _divide(ledger: Ledger) -> None:
    """Rule 2: the one unknown factor of a composed axis whose size is given."""
    for name, tensor in tensors_of(ledger.equations).items():
        for axis, extent in enumerate(tensor.shape):
            size = ledger.axes.get((name, axis))
            unknown = [n for n in extent.names if n not in ledger.values]
            if size is None or extent.bare is not None or len(unknown) != 1:
                continue
            if extent.terms[0][0].count(unknown[0]) != 1:
                continue
            others = ledger.known(extent.coefficient(unknown[0])) or 1
            if size % others:
                what = f"axis {axis} of {name} (={size}) is not divisible by {others}"
                remedy = f"the axis is composed: {size} = {extent}"
                raise ledger.at(name, what, remedy)
            origin = f"axis {axis} of {name} (={size}) divided by {others}"
            ledger.put(unknown[0], size // others, origin)


def _fit(ledger: Ledger, name: str, uses: Uses) -> None:
    """Rule 3: the largest extent that fits at every read."""
    fits = [
        (room(window, index, ledger.values), index)
        for window, index in uses
        if window.moves(index, ledger.values)
    ]
    fit, index = min(fits, key=lambda pair: pair[0].extent)
    if fit.extent < 1:
        raise _too_small(fit, index)
    tensor = fit.window.read.tensor
    origin = f"index {index} (={fit.extent}, which fits axis {fit.window.axis} of {tensor})"
    ledger.put(name, fit.extent, origin)


def _too_small(fit: Room, index: str) -> EquationError:
    window = fit.window
    tensor, axis = window.read.tensor, window.axis
    padded = f", padded by {fit.pad} on both sides" if fit.pad else ""
    what = f"axis {axis} of {tensor} (={fit.size}{padded}) is too short for {window.position}"
    rule = f"floor(({fit.size} + 2*{fit.pad} - {fit.span})/{fit.stride}) + 1 = {fit.extent}"
    remedy = (
        f"it spans {fit.span} at each {index}, so {index} would have {rule} values: "
        f"a size of at least {fit.span - 2 * fit.pad}, or a shorter window"
    )
    column, width = read_place(window.equation, window.read)
    return EquationError(what, window.equation.text, column, width, remedy)
