"""The oracle: what an equation means, worked out entry by entry in plain Python.

    y[a] = rhs(a)    for every value of the output's indices a

Slow and obvious, and exact where the numbers are: ints, Fractions and objects stay what they
are, floats are Python floats. It shares no code with what it judges: it imports neither the
calculus nor a printer, and has its own table of scalar functions.

Arrays have exactly one leading batch axis for data tensors and none for parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..equations import NO_OUTSIDE, Equation, Statement
from ..errors import DeriveError
from ..expressions import Read
from .binding import Array, Arrays, as_array, bind, dtype_of
from .entries import entry_of
from .places import Entry, Indices, Refused, Scope, Stored, place_of, places, strides_of

__all__ = ["entries", "entry", "interpret", "interpret_statement"]


def interpret(equation: Equation, arrays: Arrays) -> Array:
    """``y``: every entry of the output, with the batch first.

    The dtype is ``np.result_type`` of the inputs; object stays object, integers become
    float64 by a division and objects where they outgrow int64. A wrong shape or a missing
    size is a UsageError; an entry without a value is a DeriveError that names it.
    """
    return interpret_statement(equation.forward, equation, arrays)


def entry(equation: Equation, arrays: Arrays, position: tuple[int, ...]) -> Any:
    """``y[position]`` as a Python number; the position includes the batch."""
    return entries(equation, arrays)(position)


def entries(equation: Equation, arrays: Arrays) -> Callable[[tuple[int, ...]], Any]:
    """``position -> y[position]``, prepared once: for samples of large outputs."""
    scope, numbers = bind(equation, arrays, {})
    forward = equation.forward.substitute(numbers)
    value = entry_of(forward.rhs, scope)
    target = scope.tensors[forward.lhs.tensor]
    runs = places(forward.lhs.axes, target, scope)
    names = [str(part) for axis in forward.lhs.axes for part in axis]
    steps = list(zip(names, runs, strides_of(runs), strict=True))

    def at(position: tuple[int, ...]) -> Any:
        flat = int(np.ravel_multi_index(position, target.shape)) if target.shape else 0
        indices = {name: flat // stride % run for name, run, stride in steps}
        return _valued(value, indices, target, flat)

    return at


def interpret_statement(
    statement: Statement,
    equation: Equation,
    arrays: Arrays,
    shape: tuple[int, ...] | None = None,
    extents: Mapping[str, int] | None = None,
) -> Array:
    """Any statement that belongs to an equation: the forward one, a gather, a scatter.

    ``lhs = rhs``: the left-hand side's indices run over ``shape``. ``lhs += rhs``
    (``accumulate``): every free index runs as far as in the equation, and what falls outside
    of ``shape`` is dropped. ``shape`` includes the batch; by default it is that of the
    tensor whose value or gradient stands on the left. ``extents`` adds indices that the
    equation does not have. ``dy`` is read as an array like any other, and never outside of
    its shape: a condition that a derivation lost is an error here.
    """
    scope, numbers = bind(equation, arrays, dict(extents or {}))
    statement = statement.substitute(numbers)
    target = _target(statement.lhs, scope, shape)
    value = entry_of(statement.rhs, scope)
    place = place_of(statement.lhs.axes, target, scope)
    result: list[Any] = [0] * prod(target.shape)
    for indices in _values(statement, target, scope):
        position = place(indices)
        if statement.accumulate:
            if position is not None:
                result[position] += _valued(value, indices, target, position)
        else:
            result[position] = _valued(value, indices, target, position)
    return as_array(result, target.shape, dtype_of(equation, arrays))


def _target(lhs: Read, scope: Scope, shape: tuple[int, ...] | None) -> Stored:
    """The tensor on the left, which need not have values."""
    if lhs.tensor in scope.tensors:
        target = scope.tensors[lhs.tensor]
        return target if shape is None else replace(target, shape=shape)
    if shape is None:
        raise DeriveError(f"the shape of {lhs.tensor} is not known")
    return Stored(lhs.tensor, lambda _: None, shape, NO_OUTSIDE, (None,) * len(shape))


def _values(statement: Statement, target: Stored, scope: Scope) -> Iterator[Indices]:
    """Every combination of values of the free indices, row-major."""
    extents: dict[str, int] = {}
    parts = [part for axis in statement.lhs.axes for part in axis]
    for part, run in zip(parts, places(statement.lhs.axes, target, scope), strict=True):
        if part.bare is not None:
            extents[part.bare] = run
    for name in statement.free:  # a scatter's indices run as far as the equation lets them
        if name not in extents or (statement.accumulate and name in scope.extents):
            extents[name] = scope.extent(name)
    for values in product(*(range(extents[name]) for name in statement.free)):
        yield dict(zip(statement.free, values, strict=True))


def _valued(value: Entry, indices: Indices, target: Stored, flat: int) -> Any:
    """The value, or an error that says which entry has none."""
    try:
        return value(indices)
    except Refused as refused:
        position = np.unravel_index(flat, target.shape) if target.shape else ()
        where = ", ".join(str(int(k)) for k in position)
        raise DeriveError(f"{target.name}[{where}]: {refused}") from None
