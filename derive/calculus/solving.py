"""From one sum with deltas to the gather form and the scatter forms, step by step."""

from __future__ import annotations

from dataclasses import replace

from ..affine import Affine
from ..derivations import Step
from ..equations import Equation, Statement
from ..expressions import Condition, Equal, Read, rename
from .conditions import always
from .deltas import Ranges, Solution, apply, solvable, trivial
from .recorder import Recorder, Slots
from .terms import Term, avoiding, terms_of, total


def solve(recorder: Recorder, equation: Equation, ranges: Ranges) -> tuple[Step, ...]:
    """Record merge, collapse, solve, drop and rename; return the scatter steps."""
    terms = tuple(term.legible for term in terms_of(recorder.now.rhs, equation.extent))
    recorder.rewrite("merge", total(terms))
    terms = _collapse(recorder, terms, equation, ranges)
    trunk, unsolved = recorder.now, terms
    terms = _solve(recorder, terms, equation)
    _drop_conditions(recorder, terms, equation, ranges)
    recorder.move("rename", _renamed(recorder.now, ranges))
    return _scatter_steps(trunk, unsolved, ranges)


def _collapse(
    recorder: Recorder, terms: tuple[Term, ...], equation: Equation, ranges: Ranges
) -> tuple[Term, ...]:
    """Take every delta between two single indices out of its sum."""
    solutions = tuple(trivial(term, equation, ranges) for term in terms)
    moved = tuple(apply(t, s) for t, s in zip(terms, solutions, strict=True))
    return _record_solutions(recorder, "collapse", moved, solutions)


def _solve(recorder: Recorder, terms: tuple[Term, ...], equation: Equation) -> tuple[Term, ...]:
    """Solve the remaining deltas, one index of each term a step."""
    while True:
        solutions = tuple((found,) if (found := solvable(term, equation)) else () for term in terms)
        if not any(solutions):
            return terms
        terms = tuple(apply(t, s) for t, s in zip(terms, solutions, strict=True))
        terms = _record_solutions(recorder, "solve", terms, solutions)


def _record_solutions(
    recorder: Recorder,
    rule: str,
    terms: tuple[Term, ...],
    solutions: tuple[tuple[Solution, ...], ...],
) -> tuple[Term, ...]:
    flat = tuple(dict.fromkeys(s for per_term in solutions for s in per_term))
    slots: Slots = (
        ("index", ", ".join(s.index for s in flat)),
        ("value", ", ".join(str(s.value) for s in flat)),
    )
    conditions = tuple(dict.fromkeys(c for s in flat for c in s.conditions))
    recorder.rewrite(rule, total(terms), slots, conditions)
    return terms


def _drop_conditions(
    recorder: Recorder, terms: tuple[Term, ...], equation: Equation, ranges: Ranges
) -> tuple[Term, ...]:
    """Leave out conditions that hold for every value of the indices."""
    extents = dict(equation.extents) | ranges
    dropped: list[Condition] = []
    for term in terms:
        dropped += [c for c in term.where if always(c, extents)]
    kept = tuple(replace(t, where=tuple(c for c in t.where if c not in dropped)) for t in terms)
    recorder.rewrite("drop_conditions", total(kept), (), dropped)
    return kept


def _renamed(statement: Statement, ranges: Ranges) -> Statement:
    """c′ becomes c; an index of that name that is bound inside makes room."""
    names = {name: name[:-1] for name in ranges if name.endswith("'")}
    lhs = rename(statement.lhs, names)
    assert isinstance(lhs, Read)  # renaming keeps the node type
    rhs = rename(avoiding(statement.rhs, names.values()), names)
    return replace(statement, lhs=lhs, rhs=rhs)


def _scatter_steps(trunk: Statement, terms: tuple[Term, ...], ranges: Ranges) -> tuple[Step, ...]:
    """Read each remaining δ(s·i + d·u − p, a) the other way: entry a receives the product."""
    free = {part for axis in trunk.lhs.axes for part in axis}
    if not any(isinstance(c, Equal) for term in terms for c in term.where):
        return ()
    steps = []
    for term in terms:
        entries = [_entry(c, free) for c in term.where if isinstance(c, Equal)]
        if None in entries:
            return ()  # a delta between summed indices has to be solved first
        entry = dict(e for e in entries if e is not None)
        axes = tuple(tuple(entry.get(p, p) for p in axis) for axis in trunk.lhs.axes)
        moving = {n for axis in axes for part in axis for n in part.names}
        rest = replace(
            term,
            over=tuple(i for i in term.over if i not in moving),
            where=tuple(c for c in term.where if not isinstance(c, Equal)),
        )
        lhs = Read(trunk.lhs.tensor, axes)
        after = _renamed(Statement(lhs, rest.expr, accumulate=True), ranges)
        steps.append(Step("scatter", trunk, after, (("entry", after.lhs),)))
    return tuple(steps)


def _entry(condition: Equal, free: set[Affine]) -> tuple[Affine, Affine] | None:
    """(index of the entry, where the product goes), if the delta has an entry's index alone."""
    if condition.right in free:
        return condition.right, condition.left
    if condition.left in free:
        return condition.left, condition.right
    return None
