"""Scatter or gather: which form of a gradient to compute."""

from __future__ import annotations

from ..derivations import Gradient
from ..equations import Equation, Statement
from ..expressions import Reduce, Winner, bound_by, walk
from ..functions import kinds


def chosen(
    gradient: Gradient, equation: Equation, form: str = "fastest"
) -> tuple[str, tuple[Statement, ...]]:
    """``("scatter" | "gather", statements)``: the form asked for, or that multiplies less.

    Only the fastest uses a compact form. A gradient through a maximum is always scattered: the
    winner is known window by window.
    """
    gather = (gradient.gather if form == "fastest" else gradient.raw,)
    if not gradient.scatter_steps:
        return "gather", gather
    if any(isinstance(node, Winner) for node in walk(gradient.gather.rhs)):
        return "scatter", gradient.scatters
    if form == "fastest":
        fewer = work(gradient.scatters, equation) < work(gather, equation)
        # gathering reads zeros around dy, and 0/k of whole numbers would be a float
        divides = "rational" in kinds(gradient.gather.rhs)
        form = "scatter" if fewer or divides else "gather"
    return form, gradient.scatters if form == "scatter" else gather


def work(statements: tuple[Statement, ...], equation: Equation) -> int:
    """Products per sample, counted over the ranges of all indices."""
    total = 0
    for statement in statements:
        name = statement.lhs.tensor
        every = (*equation.tensors, *equation.inner, equation.output)
        owner = next(t for t in every if name in (t.name, t.gradient))
        sizes = {i: e.number or 1 for i, e in equation.extents}
        offset = len(statement.lhs.axes) - len(owner.shape)
        for k, axis in enumerate(statement.lhs.axes):
            if len(axis) == 1 and axis[0].bare and axis[0].bare not in sizes:
                sizes[axis[0].bare] = owner.shape[k - offset].number or 1
        inner = {n for e in walk(statement.rhs) if isinstance(e, Reduce) for n in bound_by(e)}
        count = 1
        for name in sorted({*statement.free, *inner}):
            count *= sizes.get(name, 1)
        total += count
    return total
