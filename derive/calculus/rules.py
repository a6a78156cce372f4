"""The derivative of one expression node: one function a rule.

A rule gets ∂body/∂wrt as a :class:`Partial` and returns what it is, or None if it is not the
rule for that node. The result may hold further ``Partial`` nodes; the driver goes on until
none is left. None of these rules knows what a layer is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..affine import Affine
from ..errors import NotDerivable
from ..expressions import (
    ONE,
    ZERO,
    Bracket,
    Call,
    Equal,
    Expr,
    Index,
    Number,
    Partial,
    Read,
    Reduce,
    Subscript,
    Winner,
    reads,
    rename,
)
from ..functions import FUNCTIONS

Rule = Callable[[Partial, str], Expr | None]


def depends(expr: Expr, wrt: Read) -> bool:
    """Whether the tensor of ``wrt`` is read anywhere in ``expr``."""
    return bool(reads(expr, wrt.tensor))


def linearity(node: Partial, ties: str) -> Expr | None:
    """∂Σf = Σ∂f, ∂(f ± g) = ∂f ± ∂g, ∂(f/c) = ∂f/c; what does not hold the tensor vanishes."""
    body, wrt = node.body, node.wrt
    if not depends(body, wrt):
        return ZERO
    match body:
        case Reduce(op, over, inner, where) if op in ("sum", "mean"):
            return Reduce(op, over, Partial(inner, wrt), where)
        case Call("add" | "sub" as fn, (left, right)):
            return _plus(fn, Partial(left, wrt), Partial(right, wrt))
        case Call("neg", (inner,)):
            return -Partial(inner, wrt)
        case Call("div", (top, bottom)) if not depends(bottom, wrt):
            return Partial(top, wrt) / bottom
    return None


def _plus(fn: str, left: Partial, right: Partial) -> Expr:
    """The sum or difference without the side that vanishes."""
    if not depends(right.body, right.wrt):
        return left
    if not depends(left.body, left.wrt):
        return right if fn == "add" else -right
    return Call(fn, (left, right))


def product_rule(node: Partial, ties: str) -> Expr | None:
    """∂(f·g) = ∂f·g + f·∂g, the vanishing half left out."""
    match node.body:
        case Call("mul", (left, right)):
            sides = []
            if depends(left, node.wrt):
                sides.append(Partial(left, node.wrt) * right)
            if depends(right, node.wrt):
                sides.append(left * Partial(right, node.wrt))
            return sides[0] if len(sides) == 1 else sides[0] + sides[1]
    return None


def function_rule(node: Partial, ties: str) -> Expr | None:
    """∂f(a, b) = f₁(a, b)·∂a + f₂(a, b)·∂b, with the slopes of ``derive.functions``."""
    if not isinstance(node.body, Call) or node.body.fn not in FUNCTIONS:
        return None
    args = node.body.args
    parts: list[Expr] = []
    for slope, arg in zip(FUNCTIONS[node.body.fn].slopes, args, strict=True):
        factor = slope(*args)
        if depends(arg, node.wrt) and factor != ZERO:
            inner = Partial(arg, node.wrt)
            parts.append(inner if factor == ONE else _simple(factor) * inner)
    if not parts:
        return ZERO
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _simple(factor: Expr) -> Expr:
    """``b * a**(b-1)`` with a number for b: fold ``2-1`` and drop a power of 1."""
    match factor:
        case Call("mul", (Number() as b, Call("pow", (base, Call("sub", (Number() as e, one)))))):
            lower = Number(e.value - (one.value if isinstance(one, Number) else 0))
            return b * base if lower == ONE else b * base**lower
    return factor


def selection(node: Partial, ties: str) -> Expr | None:
    """∂max_u f(u) = Σ_u [u wins]·∂f(u): only the selected tap passes the derivative on."""
    match node.body:
        case Reduce("max" | "min" as op, over, inner, ()):
            starred = {index: index + "*" for index in over}
            winner = Winner(
                op,
                tuple(starred[i] for i in over),
                rename(inner, starred),
                tuple(Affine.of(i) for i in over),
                ties,
            )
            return Reduce("sum", over, winner * Partial(inner, node.wrt))
    return None


def delta(node: Partial, ties: str) -> Expr | None:
    """∂T[a, b]/∂T[a′, b′] = δ(a, a′)·δ(b, b′)."""
    if not isinstance(node.body, Read) or node.body.tensor != node.wrt.tensor:
        return None
    pairs = zip(node.body.axes, node.wrt.axes, strict=True)
    return Bracket(tuple(c for mine, fresh in pairs for c in _axis_delta(mine, fresh)))


def _axis_delta(mine: Subscript, fresh: Subscript) -> tuple[Equal, ...]:
    if len(mine) != len(fresh):  # one read composes this axis, another does not
        raise NotDerivable(
            "one tensor is read with an axis composed of several indices in one place "
            "and with a single index in another; write both reads in the same way"
        )
    return tuple(Equal(a, b) for a, b in zip(mine, fresh, strict=True))


RULES: tuple[tuple[str, Rule], ...] = (
    ("linearity", linearity),
    ("product_rule", product_rule),
    ("selection", selection),
    ("function_rule", function_rule),
    ("delta", delta),
)
"""In the order in which they are tried; each is applied to all derivatives of a statement."""


def count(extents: tuple[Affine, ...]) -> Expr:
    """The number of taps of a mean, as an expression."""
    numbers = [e.number for e in extents]
    if all(n is not None for n in numbers):
        return Number(ONE.value * prod(n for n in numbers if n is not None))
    total = Affine.of(1)
    for extent in extents:
        total = total * extent
    return Index(total)
