"""∂L/∂(one tensor) of one equation, from the chain rule to the gather and scatter forms."""

from __future__ import annotations

from ..affine import Affine
from ..derivations import Gradient
from ..equations import Equation, Statement
from ..errors import NotDerivable
from ..expressions import (
    Bracket,
    Call,
    Equal,
    Expr,
    Partial,
    Read,
    Reduce,
    Subscript,
    reads,
    rebuild,
    walk,
)
from .deltas import Ranges
from .recorder import Recorder, Slots
from .rules import RULES, Rule, linearity
from .solving import solve
from .terms import all_names, fresh


def differentiate(equation: Equation, tensor: str) -> Gradient:
    """∂L/∂tensor with every step. The equation may hold names or numbers for its sizes."""
    wrt, ranges = _fresh_entry(equation, tensor)
    gradient = Read(equation.tensor(tensor).gradient, wrt.axes)
    recorder = Recorder(Statement(gradient, Partial(Read("L", ()), wrt)))
    _chain_rule(recorder, equation, wrt)
    _work_out(recorder, equation.ties)
    scatter = solve(recorder, equation, ranges)
    return Gradient(tensor, tuple(recorder.steps), scatter)


def resolve(equation: Equation) -> Gradient | None:
    """The forward equation with its own deltas solved; None if it has none.

    ``y[m] = sum[i,u](x[i]*w[u]*delta(s*i+u, m))`` becomes a gather and a scatter form, like any
    gradient.
    """
    nodes = walk(equation.forward.rhs)
    held = (c for node in nodes if isinstance(node, Bracket) for c in node.conditions)
    if not any(isinstance(c, Equal) for c in held):
        return None
    recorder = Recorder(equation.forward)
    scatter = solve(recorder, equation, {})
    return Gradient(equation.output.name, tuple(recorder.steps), scatter)


def _fresh_entry(equation: Equation, tensor: str) -> tuple[Read, Ranges]:
    """The entry T[m′] to differentiate for: primed letters where T is read by a bare index."""
    found = tuple(r for s in equation.statements for r in reads(s.rhs, tensor))
    shape = equation.tensor(tensor).shape
    used = set(equation.indices) | {n for _, e in equation.extents for n in e.names}
    for statement in equation.statements:
        used |= all_names(statement.rhs) | all_names(statement.lhs)
    used |= {name for name, _ in equation.values}
    offset = len(found[0].axes) - len(shape)
    ranges: Ranges = {}
    axes: list[Subscript] = []
    for axis in range(len(found[0].axes)):
        written = {tuple(p.bare for p in read.axes[axis]) for read in found}
        parts = written.pop() if len(written) == 1 else (None,)
        if None in parts or not _runs_along(parts, axis - offset, shape, equation):
            letter = fresh(used, ranges)
            parts_named: tuple[str, ...] = (letter,)
            ranges[letter] = shape[axis - offset]
        else:
            parts_named = tuple(f"{p}'" for p in parts)
            ranges |= {f"{p}'": equation.extent(str(p)) for p in parts}
        axes.append(tuple(Affine.of(p) for p in parts_named))
    return Read(tensor, tuple(axes)), ranges


def _runs_along(
    parts: tuple[str | None, ...], axis: int, shape: tuple[Affine, ...], equation: Equation
) -> bool:
    """Whether a bare index has its axis's range: in y[i] = x[i] with more y than x it has not."""
    ranges = dict(equation.extents)
    return len(parts) > 1 or axis < 0 or ranges.get(str(parts[0])) == shape[axis]


def _chain_rule(recorder: Recorder, equation: Equation, wrt: Read) -> None:
    """L depends on T through what is computed from T: sum over all entries of that."""
    users = [s for s in equation.statements if reads(s.rhs, wrt.tensor)]
    slots: Slots = (
        ("tensor", wrt.tensor),
        ("output", ", ".join(s.lhs.tensor for s in users)),
    )
    recorder.rewrite("chain_rule", _through(users, wrt, equation, inserted=False), slots)
    recorder.rewrite("insert_forward", _through(users, wrt, equation, inserted=True), slots)


def _through(users: list[Statement], wrt: Read, equation: Equation, *, inserted: bool) -> Expr:
    """Σ ∂L/∂z · ∂z/∂T over every tensor z that is computed from T."""
    parts: list[Expr] = []
    for user in users:
        slope: Expr = Partial(user.rhs if inserted else user.lhs, wrt)
        if not (equation.loss and user == equation.forward):  # L is y itself: ∂L/∂y = 1
            slope = Read(equation.tensor(user.lhs.tensor).gradient, user.lhs.axes) * slope
        over = user.lhs.names
        parts.append(Reduce("sum", over, slope) if over else slope)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _work_out(recorder: Recorder, ties: str) -> None:
    """Apply the rules of differentiation until no derivative is left."""
    while any(isinstance(node, Partial) for node in walk(recorder.now.rhs)):
        for name, rule in RULES:
            met: list[str] = []
            after = _everywhere(recorder.now.rhs, rule, ties, met)
            if met:
                slots = (("function", ", ".join(sorted(set(met)))), ("ties", ties))
                recorder.rewrite(name, after, slots)
                break
        else:
            raise NotDerivable("a derivative is left that no rule of the calculus covers")


def _everywhere(expr: Expr, rule: Rule, ties: str, met: list[str]) -> Expr:
    """Apply one rule to every derivative below; linearity goes on into what it makes."""
    if not isinstance(expr, Partial):
        return rebuild(expr, lambda child: _everywhere(child, rule, ties, met))
    result = rule(expr, ties)
    if result is None:
        return expr
    met.append(expr.body.fn if isinstance(expr.body, Call) else "")
    return _everywhere(result, rule, ties, met) if rule is linearity else result
