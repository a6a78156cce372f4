"""The oracle: what an equation means, worked out entry by entry in plain Python.

    y[a] = rhs(a)    for every value of the output's indices a

Of several statements in a row, each reads what the earlier ones give.
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
from .intermediates import entry_at, valued, with_intermediates
from .places import Indices, Scope, Stored, place_of, places

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
    scope, sized = _bound(equation, arrays, {})
    value = entry_at(sized.forward, scope)
    shape = scope.tensors[equation.output.name].shape

    def at(position: tuple[int, ...]) -> Any:
        return value(int(np.ravel_multi_index(position, shape)) if shape else 0)

    return at


def interpret_statement(
    statement: Statement,
    equation: Equation,
    arrays: Arrays,
    shape: tuple[int, ...] | None = None,
    extents: Mapping[str, int] | None = None,
) -> Array:
    """Any statement that belongs to an equation: a forward one, a gather, a scatter.

    ``lhs = rhs``: the left-hand side's indices run over ``shape``. ``lhs += rhs``
    (``accumulate``): every free index runs as far as in the equation, and what falls outside
    of ``shape`` is dropped. ``shape`` includes the batch; by default it is that of the
    tensor whose value or gradient stands on the left. ``extents`` adds indices that the
    equation does not have. ``dy`` is read as an array like any other, and never outside of
    its shape: a condition that a derivation lost is an error here. Intermediate tensors and
    outputs that ``arrays`` does not give are worked out; their gradients have to be given.
    """
    scope, sized = _bound(equation, arrays, dict(extents or {}))
    statement = statement.substitute(dict(sized.values))
    target = _target(statement.lhs, scope, shape)
    value = entry_of(statement.rhs, scope)
    place = place_of(statement.lhs.axes, target, scope)
    result: list[Any] = [0] * prod(target.shape)
    for indices in _values(statement, target, scope):
        position = place(indices)
        if statement.accumulate:
            if position is not None:
                result[position] += valued(value, indices, target, position)
        else:
            result[position] = valued(value, indices, target, position)
    return as_array(result, target.shape, dtype_of(equation, arrays))


def _bound(
    equation: Equation, arrays: Arrays, extents: Mapping[str, int]
) -> tuple[Scope, Equation]:
    """The scope of all statements, and the equation with a number for every name."""
    scope, numbers = bind(equation, arrays, extents)
    sized = replace(equation, values=tuple(numbers.items())).at_sizes()
    return with_intermediates(scope, sized, arrays), sized


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
