"""∂L/∂(one tensor) of one equation, from the chain rule to the gather and scatter forms."""

from __future__ import annotations

from dataclasses import replace

from ..affine import Affine
from ..derivations import Gradient, Step
from ..equations import Equation, Statement
from ..errors import NotDerivable
from ..expressions import (
    Call,
    Condition,
    Equal,
    Expr,
    Partial,
    Read,
    Reduce,
    Subscript,
    reads,
    rebuild,
    rename,
    walk,
)
from .conditions import always
from .deltas import Ranges, Solution, apply, solvable, trivial
from .recorder import Recorder, Slots
from .rules import RULES, Rule, linearity
from .terms import Term, all_names, fresh, terms_of, total


def differentiate(equation: Equation, tensor: str) -> Gradient:
    """∂L/∂tensor with every step. The equation may hold names or numbers for its sizes."""
    wrt, ranges = _fresh_entry(equation, tensor)
    gradient = Read(equation.tensor(tensor).gradient, wrt.axes)
    recorder = Recorder(Statement(gradient, Partial(Read("L", ()), wrt)))
    _chain_rule(recorder, equation, wrt)
    _work_out(recorder, equation.ties)
    terms = terms_of(recorder.now.rhs, equation.extent)
    recorder.rewrite("merge", total(terms))
    terms = _collapse(recorder, terms, equation, ranges)
    trunk = recorder.now
    unsolved = terms
    terms = _solve(recorder, terms, equation)
    terms = _drop_conditions(recorder, terms, equation, ranges)
    names = _final_names(recorder.now, ranges)
    final = _renamed(recorder.now, names)
    recorder.move("rename", final)
    return Gradient(tensor, tuple(recorder.steps), _scatter_steps(trunk, unsolved, names))


def _fresh_entry(equation: Equation, tensor: str) -> tuple[Read, Ranges]:
    """The entry T[m′] to differentiate for: primed letters where T is read by a bare index."""
    found = reads(equation.forward.rhs, tensor)
    shape = equation.tensor(tensor).shape
    used = set(equation.indices) | {n for _, e in equation.extents for n in e.names}
    used |= all_names(equation.forward.rhs) | all_names(equation.forward.lhs)
    used |= {name for name, _ in equation.values}
    offset = len(found[0].axes) - len(shape)
    ranges: Ranges = {}
    axes: list[Subscript] = []
    for axis in range(len(found[0].axes)):
        written = {tuple(p.bare for p in read.axes[axis]) for read in found}
        parts = written.pop() if len(written) == 1 else (None,)
        if None in parts:
            letter = fresh(used, ranges)
            parts_named: tuple[str, ...] = (letter,)
            ranges[letter] = shape[axis - offset]
        else:
            parts_named = tuple(f"{p}'" for p in parts)
            ranges |= {f"{p}'": equation.extent(str(p)) for p in parts}
        axes.append(tuple(Affine.of(p) for p in parts_named))
    return Read(tensor, tuple(axes)), ranges


def _chain_rule(recorder: Recorder, equation: Equation, wrt: Read) -> None:
    """L depends on T through the outputs alone: sum over all of them."""
    output = equation.forward.lhs
    upstream = Read(equation.output.gradient, output.axes)
    over = equation.output_indices

    def summed(slope: Expr) -> Expr:
        return Reduce("sum", over, upstream * slope) if over else upstream * slope

    slots: Slots = (("tensor", wrt.tensor), ("output", output.tensor))
    recorder.rewrite("chain_rule", summed(Partial(output, wrt)), slots)
    recorder.rewrite("insert_forward", summed(Partial(equation.forward.rhs, wrt)), slots)


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


def _final_names(statement: Statement, ranges: Ranges) -> dict[str, str]:
    """c′ becomes c, unless c is still bound somewhere."""
    bound = {n for node in walk(statement.rhs) if isinstance(node, Reduce) for n in node.over}
    used = all_names(statement.rhs) | set(ranges)
    names: dict[str, str] = {}
    for primed in (name for name in ranges if name.endswith("'")):
        plain = primed[:-1]
        names[primed] = fresh(used, names.values()) if plain in bound else plain
    return names


def _renamed(statement: Statement, names: dict[str, str]) -> Statement:
    lhs = rename(statement.lhs, names)
    assert isinstance(lhs, Read)  # renaming keeps the node type
    return replace(statement, lhs=lhs, rhs=rename(statement.rhs, names))


def _scatter_steps(
    trunk: Statement, terms: tuple[Term, ...], names: dict[str, str]
) -> tuple[Step, ...]:
    """Read each remaining δ(s·i + d·u − p, a) the other way: entry a receives the product."""
    if not any(isinstance(c, Equal) for term in terms for c in term.where):
        return ()
    steps = []
    for term in terms:
        entry = {c.right: c.left for c in term.where if isinstance(c, Equal)}
        axes = tuple(tuple(entry.get(p, p) for p in axis) for axis in trunk.lhs.axes)
        moving = {n for axis in axes for part in axis for n in part.names}
        rest = replace(
            term,
            over=tuple(i for i in term.over if i not in moving),
            where=tuple(c for c in term.where if not isinstance(c, Equal)),
        )
        lhs = Read(trunk.lhs.tensor, axes)
        after = _renamed(Statement(lhs, rest.expr, accumulate=True), names)
        steps.append(Step("scatter", trunk, after, (("entry", after.lhs),)))
    return tuple(steps)
