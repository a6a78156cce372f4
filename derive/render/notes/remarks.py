"""What a gradient becomes where the entries of a tensor add up to 1, as a distribution's do."""

from __future__ import annotations

from ...derivations import Gradient
from ...equations import Equation, Statement
from ...expressions import ONE, Call, Expr, Read, Reduce, rebuild, walk


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
