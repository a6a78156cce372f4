"""What a read outside of a tensor gives, where the caller does not say.

Under ``max`` and ``min`` the tap is skipped, elsewhere the read is 0. Only shifted reads
decide, since a plain index never leaves its axis; where some of them stand under a max or min
and some do not, no rule is meant by all, and a read outside is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from ..equations import NO_OUTSIDE, SKIP_OUTSIDE, ZERO_OUTSIDE
from ..errors import UsageError
from ..expressions import Expr, Read, Reduce, children
from .drafts import Draft

_SELECTING = ("max", "min")


def outside_rules(drafts: Sequence[Draft], wanted: Mapping[str, str]) -> list[dict[str, str]]:
    """What a read outside gives, for every equation and tensor."""
    known = list(dict.fromkeys(t for draft in drafts for t in draft.tensors))
    for name, rule in wanted.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise UsageError(f"outside: no tensor {name} is read; {hint}")
        if rule not in (ZERO_OUTSIDE, SKIP_OUTSIDE, NO_OUTSIDE):
            raise UsageError(f"outside: {name} (={rule!r}) is one of zero, skip, error")
    rules = []
    for draft in drafts:
        under = _reducers_around(draft)
        rules.append({t: wanted.get(t) or _outside(under[t]) for t in draft.tensors})
        for name in draft.tensors:
            if any(shifted and op not in _SELECTING for op, shifted in under[name]) and (
                rules[-1][name] == SKIP_OUTSIDE
            ):
                raise UsageError(f"outside: {name} (='skip') is read outside of max and min too")
    return rules


def _reducers_around(draft: Draft) -> dict[str, list[tuple[str, bool]]]:
    """For each tensor: the innermost reducer around each read, and whether it is shifted."""
    found: dict[str, list[tuple[str, bool]]] = {tensor: [] for tensor in draft.tensors}

    def visit(expr: Expr, op: str) -> None:
        if isinstance(expr, Read):
            shifted = any(part.bare is None for axis in expr.axes for part in axis)
            found[expr.tensor].append((op, shifted))
        for child in children(expr):
            visit(child, expr.op if isinstance(expr, Reduce) else op)

    visit(draft.rhs, "")
    return found


def _outside(around: list[tuple[str, bool]]) -> str:
    deciding = [op for op, shifted in around if shifted] or [op for op, _ in around]
    selecting = [op in _SELECTING for op in deciding]
    if selecting and all(selecting):
        return SKIP_OUTSIDE
    return NO_OUTSIDE if any(selecting) and any(s for _, s in around) else ZERO_OUTSIDE
