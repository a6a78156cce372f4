"""Checks once every size is a number: limits, agreement, and reads outside of tensors."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise, product
from math import prod

from ..equations import NO_OUTSIDE, SKIP_OUTSIDE, Equation
from ..errors import EquationError, UsageError
from ..expressions import Expr, Read, Reduce, children, walk
from .ledger import LARGEST, Ledger, extent_names, read_place, tensors_of
from .windows import Window, windows, windows_of

MOST_ENTRIES = 2**40
_SEARCHED = 2**16


def check(ledger: Ledger) -> None:
    """Raise if the sizes are too large, contradict each other, or make a forbidden read."""
    _check_limits(ledger)
    for equation in ledger.equations:
        _check_composed(ledger, equation)
        for window in windows(equation):
            if equation.tensor(window.read.tensor).outside == NO_OUTSIDE:
                _check_inside(window, ledger.values)
        _check_max_windows(equation, ledger.values)


def _check_limits(ledger: Ledger) -> None:
    for equation in ledger.equations:
        for name in extent_names(equation):
            if not 1 <= ledger.values[name] <= LARGEST:
                origin = ledger.origins[name]
                raise UsageError(f"{origin} is not between 1 and {LARGEST}, as sizes are")
    for name, tensor in tensors_of(ledger.equations).items():
        sizes = [int(extent.evaluate(ledger.values)) for extent in tensor.shape]
        if prod(sizes) > MOST_ENTRIES:
            shown = "x".join(map(str, sizes))
            raise UsageError(f"{name} (={shown}) is too large: at most {MOST_ENTRIES} entries")


def _check_composed(ledger: Ledger, equation: Equation) -> None:
    """Every axis is as long as the indices that compose it say, and as given."""
    extents = dict(equation.extents)
    for read in (equation.forward.lhs, *(e for e in walk(equation.forward.rhs))):
        if not isinstance(read, Read):
            continue
        shape = equation.tensor(read.tensor).shape
        for axis, subscript in enumerate(read.axes[len(read.axes) - len(shape) :]):
            if len(subscript) == 1 and subscript[0].bare not in extents:
                continue
            parts = [int(extents[str(p)].evaluate(ledger.values)) for p in subscript]
            size = ledger.axes.get((read.tensor, axis)) or ledger.known(shape[axis])
            if prod(parts) != size:
                factors = " times ".join(map(str, parts))
                names = ", ".join(map(str, subscript))
                what = f"axis {axis} of {read.tensor} (={size}) is not {factors}"
                raise ledger.at(read.tensor, what, f"its indices ({names}) run over {factors}")


def _check_inside(window: Window, values: Mapping[str, int]) -> None:
    low, high = window.reach(values)
    size = int(window.size.evaluate(values))
    if low >= 0 and high < size:
        return
    worst, sign = (low, -1) if low < 0 else (high, 1)
    at = {
        i: window.run(i, values) - 1 if sign * window.coefficient(i, values) > 0 else 0
        for i in window.indices()
    }
    tensor = window.read.tensor
    where = ", ".join(f"{index}={value}" for index, value in at.items())
    what = f"{tensor} is read outside: {window.position} is {worst}" + (
        f" at {where}" if at else ""
    )
    remedy = (
        f"axis {window.axis} of {tensor} runs from 0 to {size - 1}; change the sizes, or say that "
        f"such a read gives 0: outside={{{tensor!r}: 'zero'}}"
    )
    raise _at(window, what, remedy)


def _at(window: Window, what: str, remedy: str) -> EquationError:
    column, width = read_place(window.equation, window.read)
    return EquationError(what, window.equation.text, column, width, remedy)


def _check_max_windows(equation: Equation, values: Mapping[str, int]) -> None:
    """Under max and min some tap of every window is inside (checked axis by axis)."""
    for read, op, over in _innermost(equation.forward.rhs):
        if equation.tensor(read.tensor).outside != SKIP_OUTSIDE:
            continue
        for window in windows_of(equation, read):
            empty = _empty_window(window, over, values)
            if empty is not None:
                where = ", ".join(f"{index}={value}" for index, value in empty)
                size = int(window.size.evaluate(values))
                what = f"{op} has no valid read" + (f" at {where}" if empty else "")
                remedy = (
                    f"every {window.position} there misses axis {window.axis} of "
                    f"{read.tensor} (={size}): less padding, or fewer outputs"
                )
                raise _at(window, what, remedy)


def _innermost(
    expr: Expr, op: str = "", over: tuple[str, ...] = ()
) -> Iterator[tuple[Read, str, tuple[str, ...]]]:
    """Every read with the reducer right around it."""
    if isinstance(expr, Read):
        yield expr, op, over
    if isinstance(expr, Reduce):
        op, over = expr.op, expr.over
    for child in children(expr):
        yield from _innermost(child, op, over)


def _empty_window(
    window: Window, over: tuple[str, ...], values: Mapping[str, int]
) -> tuple[tuple[str, int], ...] | None:
    """Values of the outer indices for which every tap misses the axis."""
    low, high = window.reach(values)
    size = int(window.size.evaluate(values))
    if low >= 0 and high < size:
        return None
    inner = [i for i in window.indices() if i in over]
    if prod(window.run(i, values) for i in inner) > _SEARCHED and len(inner) > 1:
        return None  # too many taps to search here; the oracle still refuses such a window
    taps = _tap_values(window, inner, values)
    outer = [i for i in window.indices() if i not in over]
    constant = window.constant(values)
    for at in _outer_values(window, outer, values, taps, size):
        start = constant + sum(
            window.coefficient(i, values) * v for i, v in zip(outer, at, strict=True)
        )
        first = bisect_left(taps, -start)
        if first == len(taps) or taps[first] > size - 1 - start:
            return tuple(zip(outer, at, strict=True))
    return None


def _tap_values(window: Window, over: list[str], values: Mapping[str, int]) -> Sequence[int]:
    """All values of the taps' part of the sum, in order."""
    runs = [(window.coefficient(i, values), window.run(i, values)) for i in over]
    steps = [(step, run) for step, run in runs if step]
    if len(steps) == 1:
        step, run = steps[0]
        return range(0, step * run, step) if step > 0 else range(step * (run - 1), 1, -step)
    found = {0}
    for step, run in steps:
        found = {value + step * k for value in found for k in range(run)}
    return sorted(found)


def _outer_values(
    window: Window,
    outer: list[str],
    values: Mapping[str, int],
    taps: Sequence[int],
    size: int,
) -> Iterator[tuple[int, ...]]:
    """Values of the outer indices for which a window may be empty, as far as they are searched."""
    runs = [window.run(i, values) for i in outer]
    if len(outer) != 1 or not (stride := window.coefficient(outer[0], values)):
        return islice(product(*map(range, runs)), _SEARCHED)
    start = window.constant(values)
    least, most = taps[0], taps[-1]
    if all(after - before <= size for before, after in pairwise(taps[:_SEARCHED])):
        least, most = most, least  # taps this close cannot jump over the axis: one side is enough
    # no window is empty where first <= s*i <= last
    first, last = -(start + least), size - 1 - (start + most)
    if stride < 0:
        first, last = -last, -first
    begin = min(max(-(-first // abs(stride)), 0), runs[0])
    end = min(max(last // abs(stride) + 1, begin), runs[0])
    return ((i,) for i in islice(chain(range(begin), range(end, runs[0])), _SEARCHED))
