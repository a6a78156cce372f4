"""Compact forms: a gradient through intermediates, written with what forward has computed.

Reverse mode gives one gradient for every intermediate tensor. Put into each other and brought
to normal form, terms cancel; products that define a tensor of the forward pass are written as
that tensor again (softmax: e/s is y); what all terms share is taken out. The rewrites are
general and know no layer: p⊙(g − ⟨g, p⟩) and batch norm's form come out of them, or nothing
shorter does and the gradient stays as it was. The proof that both are equal is a claim of the
certificate: kernels made from both are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ..derivations import Gradient
from ..equations import Equation, Statement
from ..expressions import (
    ZERO,
    Bracket,
    Call,
    Expr,
    Index,
    Read,
    Reduce,
    Winner,
    bound_by,
    free_names,
    reads,
    rebuild,
    substitute,
    walk,
)
from .matching import Matcher
from .normal import Definition, Normaliser, at
from .polynomials import ONE, Monomial, Polynomial, expression
from .recorder import Recorder, Slots
from .terms import avoiding

Gathers = Mapping[str, Statement]


@dataclass
class Reverse:
    """Gradients of intermediates so far, by name (``ds``).

    ``gathers`` are the statements as they are computed; ``sums`` the same as plain sums of
    products, which cancel best when they are put into others.
    """

    gathers: dict[str, Statement] = field(default_factory=dict)
    sums: dict[str, Statement] = field(default_factory=dict)


def compacted(gradient: Gradient, reverse: Reverse, equation: Equation) -> Gradient:
    """The gradient with the steps to its compact form added, if that form is shorter."""
    start = gradient.gather
    lhs, name = start.lhs, start.lhs.tensor
    reverse.gathers[name] = reverse.sums[name] = start
    if gradient.scatter_steps or not _simple(start.rhs):
        return gradient
    recorder = Recorder(start)
    inlined = _inlined(start.rhs, reverse.sums, lhs.names)
    made = {tensor.gradient: tensor.name for tensor in equation.inner}
    zeros = [made[r.tensor] for r in reads(start.rhs) if _is_zero(r, reverse.sums)]
    recorder.rewrite("inline", inlined, _slots(("zero", zeros)))
    normaliser = Normaliser(equation)
    found = normaliser.normal(inlined)
    recorder.rewrite("simplify", avoiding(expression(found), lhs.names), _did(normaliser))
    found = normaliser.added(tuple(_folded(monomial, normaliser) for monomial in found))
    plain = avoiding(expression(found), lhs.names)
    recorder.rewrite("fold", plain, _did(normaliser))
    shared, rest = _factored(found)
    rooted = normaliser.without_squared_roots
    parts = rooted(shared), tuple(rooted(m) for m in rest)
    factored = _with_means(parts, equation)
    did = ["shared"] * bool(shared.powers) + ["rooted"] * (parts != (shared, rest))
    did += ["averaged"] * (factored != _with_means(parts, None))
    recorder.rewrite("factor", avoiding(factored, lhs.names), _slots(("did", did)))
    if _cost(recorder.now.rhs, reverse.gathers) >= _cost(start.rhs, reverse.gathers):
        return gradient
    reverse.gathers[name], reverse.sums[name] = recorder.now, Statement(lhs, plain)
    return replace(gradient, steps=(*gradient.steps, *recorder.steps))


def _did(normaliser: Normaliser) -> Slots:
    """What a rewrite did, and the tensors that it named."""
    did, named = normaliser.done()
    return _slots(("did", did), ("tensor", named))


def _slots(*lists: tuple[str, Iterable[str]]) -> Slots:
    """Slots with the names of each list between commas; none for an empty list."""
    found = ((slot, ", ".join(dict.fromkeys(names))) for slot, names in lists)
    return tuple((slot, text) for slot, text in found if text)


def _is_zero(read: Read, inner: Gathers) -> bool:
    """Whether a gradient was found to be 0."""
    return read.tensor in inner and inner[read.tensor].rhs == ZERO


def _simple(expr: Expr) -> bool:
    """Whether all reads are entry by entry: no windows, no deltas."""
    for node in walk(expr):
        if isinstance(node, Bracket) or (isinstance(node, Reduce) and node.where):
            return False
        if isinstance(node, Read) and any(p.bare is None for axis in node.axes for p in axis):
            return False
    return True


def _inlined(expr: Expr, inner: Gathers, around: tuple[str, ...]) -> Expr:
    """Gradients of intermediates replaced by what they are, those of matrix products kept.

    ``around`` are the indices in scope, which those bound in what is put in must not hide.
    """
    around = (*around, *bound_by(expr))
    statement = inner.get(expr.tensor) if isinstance(expr, Read) else None
    if statement is None or not _simple(statement.rhs) or _mixes(statement):
        return _without_zeros(rebuild(expr, lambda child: _inlined(child, inner, around)))
    assert isinstance(expr, Read)  # only reads have a statement
    pairs = zip(statement.lhs.axes, expr.axes, strict=True)
    values = {str(a): b for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True)}
    return _inlined(substitute(avoiding(statement.rhs, around), values), inner, around)


def _without_zeros(expr: Expr) -> Expr:
    """A product with 0 is 0, and a sum with 0 is what is left."""
    match expr:
        case Call("mul", args) if ZERO in args:
            return ZERO
        case Reduce("sum" | "mean", _, body, ()) if body == ZERO:
            return ZERO
        case Call("add", (one, two)) if ZERO in (one, two):
            return two if one == ZERO else one
        case Call("sub", (one, two)) if two == ZERO:
            return one
        case Call("div", (one, _)) if one == ZERO:
            return ZERO
    return expr


def _mixes(statement: Statement) -> bool:
    """Whether a sum pairs two tensors with indices of their own: a matrix product."""
    for node in walk(statement.rhs):
        if isinstance(node, Reduce) and node.op == "sum":
            own = {n for axis in statement.lhs.axes for part in axis for n in part.names}
            sides = [set(read.names) & own for read in reads(node.body)]
            if any(a - b and b - a for a in sides for b in sides):
                return True
    return False


# -- writing products as the tensors they define ------------------------------------------


def _folded(monomial: Monomial, normaliser: Normaliser) -> Monomial:
    """Products that define a tensor become that tensor, inside sums too."""
    for definition in reversed(normaliser.definitions):
        if definition.head is not None:
            continue
        while (found := _fold_once(monomial, definition, normaliser)) is not None:
            monomial = found
            normaliser.named[definition.lhs.tensor] = None
    return monomial


def _fold_once(
    monomial: Monomial, definition: Definition, normaliser: Normaliser
) -> Monomial | None:
    here = _replaced(monomial, definition, normaliser)
    if here is not None:
        return here
    for atom, power in monomial.powers:
        if power != 1 or not isinstance(atom, Reduce) or atom.op != "sum" or atom.where:
            continue
        body = normaliser.normal(atom.body)
        if len(body) != 1:
            continue
        rest = Monomial(
            monomial.coefficient, tuple((a, p) for a, p in monomial.powers if a != atom)
        )
        found = _replaced(body[0], definition, normaliser, rest)
        if found is not None:
            own = set(atom.over)
            outer = tuple((a, p) for a, p in found.powers if not _depends(a, own))
            inside = tuple((a, p) for a, p in found.powers if _depends(a, own))
            summed = Reduce("sum", atom.over, expression((Monomial(Fraction(1), inside),)))
            return Monomial(found.coefficient, (*outer, (normaliser.known(summed), 1)))
    return None


def _depends(expr: Expr, indices: set[str]) -> bool:
    return bool(indices & set(free_names(expr)))


def _replaced(
    monomial: Monomial, definition: Definition, normaliser: Normaliser, outer: Monomial = ONE
) -> Monomial | None:
    """``monomial · outer`` with the defining product replaced once; None if it is not there.

    At least the first atom of the product has to be in ``monomial`` itself.
    """
    available = monomial.times(outer)
    pattern = definition.monomial.powers
    for lead, _ in monomial.powers:
        matcher = Matcher(normaliser.ranges, definition.variables)
        if not matcher.matches(pattern[0][0], lead):
            continue
        taken: list[tuple[Expr, int]] = []
        for wanted, power in pattern:
            for atom, there in available.powers:
                trial = Matcher(normaliser.ranges, definition.variables, dict(matcher.found))
                enough = there * power > 0 and abs(there) >= abs(power)
                if enough and trial.matches(wanted, atom):
                    matcher = trial
                    taken.append((atom, -power))
                    break
            else:
                break
        if len(taken) == len(pattern) and set(matcher.found) == definition.variables:
            made = ((at(definition.lhs, matcher.found), 1),)
            left = available.times(Monomial(1 / definition.monomial.coefficient, tuple(taken)))
            return left.times(Monomial(Fraction(1), made))
    return None


# -- taking out what all terms share ------------------------------------------------------


def _factored(polynomial: Polynomial) -> tuple[Monomial, Polynomial]:
    """The greatest common product, and what is left of each term."""
    if len(polynomial) < 2:
        return ONE, polynomial
    shared: list[tuple[Expr, int]] = []
    for atom, power in polynomial[0].powers:
        powers = [dict(m.powers).get(atom, 0) for m in polynomial]
        least = min(powers) if power > 0 else max(powers)
        if least * power > 0:
            shared.append((atom, least))
    common = Monomial(Fraction(1), tuple(shared))
    return common, tuple(m.times(common.power(-1)) for m in polynomial)


def _with_means(parts: tuple[Monomial, Polynomial], equation: Equation | None) -> Expr:
    """The product of both parts, with Σ/count written as a mean if the equation is given."""
    common, rest = parts
    if equation is not None:
        rest = tuple(_mean(monomial, equation) for monomial in rest)
    inner = expression(rest)
    if not common.powers:
        return inner
    above = tuple((a, p) for a, p in common.powers if p > 0)
    below = tuple((a, -p) for a, p in common.powers if p < 0)
    result: Expr = inner
    if above:
        result = expression((Monomial(Fraction(1), above),)) * inner
    return result / expression((Monomial(Fraction(1), below),)) if below else result


def _mean(monomial: Monomial, equation: Equation) -> Monomial:
    """Σ/count as a mean, if the count of one of its sums divides the term."""
    for atom, power in monomial.powers:
        if not isinstance(atom, Reduce) or atom.op != "sum" or power != 1 or atom.where:
            continue
        count = Normaliser(equation).count(atom.over)
        there = dict(monomial.powers)
        if count == ONE or any(there.get(a, 0) != -p for a, p in count.powers):
            continue
        if monomial.coefficient.denominator % count.coefficient:
            continue  # no 1/count in front
        mean = Reduce("mean", atom.over, atom.body)
        powers = tuple(
            (mean if a == atom else a, p)
            for a, p in monomial.powers
            if not (isinstance(a, Index) and (a, -p) in count.powers)
        )
        return Monomial(monomial.coefficient * count.coefficient, powers)
    return monomial


def _cost(expr: Expr, inner: Gathers) -> int:
    """Operations to compute an expression, the gradients it reads included, each once."""
    seen: set[str] = set()
    waiting = [expr]
    total = 0
    while waiting:
        for node in walk(waiting.pop()):
            total += isinstance(node, Call | Reduce | Winner)
            if isinstance(node, Read) and node.tensor in inner and node.tensor not in seen:
                seen.add(node.tensor)
                waiting.append(inner[node.tensor].rhs)
    return total
