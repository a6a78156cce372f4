"""Entry by entry: masks multiplied into the bits of numbers, and results in place.

    dx[n, i] = dy[n, i] · [y[n, i] > 0]

Where a condition holds in no order, choosing between two numbers costs a wrongly guessed branch
at every other entry; a product with 0 or 1 has none. It is taken of the numbers' bits: what is
not chosen gets 0 even where dy is infinite. An array that nobody reads afterwards takes the
result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from ...equations import Statement
from ...expressions import Reduce, Winner, reads, walk
from ...machines import Cost
from ...programs import (
    Action,
    Array,
    Binary,
    Do,
    Function,
    Invoke,
    Let,
    Literal,
    Method,
    Name,
    Return,
    names,
)
from .. import general
from ..snippets import snippet
from ..tasks import Routine, Task

NAME = "entrywise"
EXACT = True

IN_PLACE = ("np.maximum", "np.minimum", "np.exp", "np.tanh", "np.sqrt", "np.log", "np.abs")
"""Functions that can write over what they read."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """A single target whose entries each depend on the same entries of other arrays."""
    if len(task.statements) == 1:
        ((target, ways),) = task.statements.items()
        if len(ways[-1]) == 1 and _entrywise(ways[-1][0]) and _rewritten(task, target) is not None:
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One pass."""
    return Cost(moved=batch * prod(task.shape(targets[0])), calls=3)


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_entrywise(dy, y)``."""
    function = _rewritten(task, targets[0])
    assert function is not None  # applies said so
    return Routine(targets, function)


def _entrywise(statement: Statement) -> bool:
    """Whether every tensor is read at the very entry that is made."""
    whole = not any(isinstance(node, Reduce | Winner) for node in walk(statement.rhs))
    return whole and all(read.axes == statement.lhs.axes for read in reads(statement.rhs))


def _rewritten(task: Task, target: str) -> Function | None:
    """The direct function with its last step made faster, or None if there is nothing to gain."""
    function = general.direct(task, (target,), task.function(target, NAME))
    *body, last, end = function.body
    match last, end:
        case Let(Name(made), value, "="), Return(Name(returned)) if made == returned == target:
            if lines := _masked(task, target, value) or _in_place(task, value):
                over = lines[-1] != end
                doc = f"Entry by entry{', over what nobody reads afterwards' * over}."
                return replace(function, body=(*body, *lines), doc=(doc,))
    return None


def _masked(task: Task, target: str, value: Array) -> tuple[Action, ...]:
    """``np.where(mask, array, 0)`` as a product with the array's bits."""
    match value:
        case Invoke("np.where", (mask, Name(array), Literal("0")), ()):
            bits = Method(Name(array), "view", (Name("bits"),))
            opening = snippet(f"""
                # a product of bits: where the mask is 0 so is {target}, even if {array} is infinite
                bits = {array}.dtype.str.replace("f", "i")
            """)
            if array in task.spare:
                over = Invoke("np.multiply", (bits, mask), (("out", bits),))
                return *opening, Do(over), Return(Name(array))
            own = Method(Name(array), "dtype", call=False)
            product = Method(Binary("*", bits, mask), "view", (own,))
            return *opening, Let(Name(target), product), Return(Name(target))
    return ()


def _in_place(task: Task, value: Array) -> tuple[Action, ...]:
    """The result over an operand that is not read afterwards."""
    match value:
        case Binary("*" | "+" | "-"):
            array = _first(value)
            if array in task.spare and (lines := _step_by_step(value, array)):
                return *lines, Return(Name(array))
        case Invoke(fn, args, ()) if fn in IN_PLACE:
            arrays = [a.id for a in args if isinstance(a, Name) and a.id in task.spare]
            if arrays:
                over = Invoke(fn, args, (("out", Name(arrays[0])),))
                return Do(over), Return(Name(arrays[0]))
    return ()


def _first(value: Array) -> str:
    """``dy`` of ``dy * y * (1 - y)``."""
    while isinstance(value, Binary):
        value = value.left
    return value.id if isinstance(value, Name) else ""


def _step_by_step(value: Array, array: str) -> tuple[Action, ...]:
    """``dy *= y`` and ``dy *= 1 - y``; nothing if the array is read again on the way."""
    match value:
        case Binary("*" | "+" | "-" as op, left, right) if array not in names(right):
            before = _step_by_step(left, array)
            if before or left == Name(array):
                return *before, Let(Name(array), right, f"{op}=")
    return ()
