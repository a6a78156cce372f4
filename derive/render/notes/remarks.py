"""What a gradient becomes where the entries of a tensor add up to 1, as a distribution's do."""

from __future__ import annotations

from ...derivations import COMPACTING, Gradient
from ...documents import Block, Paragraph, Symbol
from ...equations import Equation, Statement
from ...expressions import ONE, ZERO, Call, Expr, Read, Reduce, reads, rebuild, walk
from .sheet import Sheet


def sums_to_one(gradient: Gradient, equation: Equation) -> tuple[Reduce, Statement] | None:
    """A sum over data that stands alone in the gradient of one number, and the gradient if it is 1.

    ``((Σ_c t[n,c])·p[n,i] − t[n,i])`` gives ``Σ_c t[n,c]`` and ``p[n,i] − t[n,i]``.
    """
    value = gradient.gather
    data = {tensor.name for tensor in equation.data} - {gradient.of}
    sums = (e for e in walk(value.rhs) if isinstance(e, Reduce) and _alone(e, data, equation))
    found = next(sums, None)
    given = gradient.of in {tensor.name for tensor in equation.tensors}
    if found is None or not given or equation.output.shape or value.rhs == found:
        return None
    return found, Statement(value.lhs, _with_one(value.rhs, found), value.accumulate)


def _alone(value: Reduce, data: set[str], equation: Equation) -> bool:
    """Whether this is Σ t[…], over whole axes of one sample's t."""
    if value.op != "sum" or value.where or equation.batch in value.over:
        return False
    match value.body:
        case Read(tensor, axes) if tensor in data:
            bare = [axis[0].bare for axis in axes if len(axis) == 1]
            return all(bare.count(index) == 1 for index in value.over)
    return False


def _with_one(expr: Expr, found: Reduce) -> Expr:
    """The expression with 1 in the place of the sum; factors of 1 are left out."""
    if expr == found:
        return ONE
    inner = rebuild(expr, lambda child: _with_one(child, found))
    match inner:
        case Call("mul", args) if ONE in args:
            rest = tuple(arg for arg in args if arg != ONE)
            return Call("mul", rest) if len(rest) > 1 else rest[0] if rest else ONE
        case Call("div", (top, below)) if below == ONE:
            return top
    return inner


def without_effect(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """What it means that the gradient of a value in between is 0 although equations read it."""
    equation, zero = sheet.equation, gradient.gather.rhs == ZERO
    inner = {tensor.name for tensor in equation.inner}
    cancelled = any(step.rule in COMPACTING for step in gradient.steps)
    if not (zero and cancelled and gradient.of in inner):
        return []
    slots = {"tensor": Symbol(gradient.of), "output": Symbol(equation.output.name)}
    told = list(sheet.say.say("gradient.no_effect", slots))
    if _tames(gradient.of, equation):
        told += [" ", *sheet.say.say("gradient.tamed", slots)]
    return [Paragraph(tuple(told))]


def _tames(tensor: str, equation: Equation) -> bool:
    """Whether a maximum is subtracted somewhere, and exp is taken."""
    made = next(s for s in equation.given if s.lhs.tensor == tensor)
    nodes = [node for s in equation.statements for node in walk(s.rhs) if isinstance(node, Call)]
    taken = any(n.fn == "sub" and reads(n.args[1], tensor) for n in nodes)
    largest = isinstance(made.rhs, Reduce) and made.rhs.op == "max"
    return largest and taken and any(n.fn == "exp" for n in nodes)
