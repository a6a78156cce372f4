"""Statements in a row: the entries of intermediate tensors, worked out when they are read.

    s = sum[j](exp(x[j]));  y[i] = exp(x[i])/s

An entry is worked out once, the first time that a later statement reads it, so that a sample
of a large output costs only what it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..equations import Equation, Statement
from ..errors import DeriveError
from .binding import Arrays
from .entries import entry_of
from .places import Entry, Indices, Refused, Scope, Stored, places, strides_of


def with_intermediates(scope: Scope, equation: Equation, arrays: Arrays) -> Scope:
    """The scope in which what is computed has values: those given, or its statement's.

    That is every intermediate tensor, and the output, which a gradient may read: softmax's is
    y·(dy − Σ dy·y). The equation has its sizes as numbers.
    """
    tensors = dict(scope.tensors)
    within = replace(scope, tensors=tensors)
    for statement in equation.statements:
        name = statement.lhs.tensor
        if name not in arrays:
            tensors[name] = replace(tensors[name], item=_once(entry_at(statement, within)))
    return within


def entry_at(statement: Statement, scope: Scope) -> Callable[[int], Any]:
    """``position -> lhs[position]``, where the position is row-major and has the batch first."""
    value = entry_of(statement.rhs, scope)
    target = scope.tensors[statement.lhs.tensor]
    runs = places(statement.lhs.axes, target, scope)
    names = [str(part) for axis in statement.lhs.axes for part in axis]
    steps = list(zip(names, runs, strides_of(runs), strict=True))

    def at(flat: int) -> Any:
        indices = {name: flat // stride % run for name, run, stride in steps}
        return valued(value, indices, target, flat)

    return at


def valued(value: Entry, indices: Indices, target: Stored, flat: int) -> Any:
    """The value, or an error that says which entry has none."""
    try:
        return value(indices)
    except Refused as refused:
        position = np.unravel_index(flat, target.shape) if target.shape else ()
        where = ", ".join(str(int(k)) for k in position)
        raise DeriveError(f"{target.name}[{where}]: {refused}") from None


def _once(entry: Callable[[int], Any]) -> Callable[[int], Any]:
    """The same entries, each worked out the first time it is asked for."""
    known: dict[int, Any] = {}

    def item(flat: int) -> Any:
        if flat not in known:
            known[flat] = entry(flat)
        return known[flat]

    return item
