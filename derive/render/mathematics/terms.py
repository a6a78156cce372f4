"""What a formula is made of: the terms of its sums, the factors of its products."""

from __future__ import annotations

from ...expressions import Call, Expr


def terms(expr: Expr, sign: int = 1) -> list[tuple[int, Expr]]:
    """The terms of a sum with their signs, left to right."""
    match expr:
        case Call("add" | "sub" as fn, (left, right)):
            return [*terms(left, sign), *terms(right, sign if fn == "add" else -sign)]
        case Call("neg", (inner,)):
            return terms(inner, -sign)
    return [(sign, expr)]


def factors(expr: Expr) -> list[Expr]:
    """The factors of a product, however it is nested."""
    if isinstance(expr, Call) and expr.fn == "mul":
        return [f for arg in expr.args for f in factors(arg)]
    return [expr]
