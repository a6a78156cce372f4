"""Sums of products in normal form: what makes terms cancel.

A :class:`Polynomial` is a sum of rational multiples of products of atoms to integer powers. An
atom is anything that is not itself a sum, a product or a number: a read, a function, a sum
over an index, or a bracket. What does not depend on the index of a sum is taken out of it;
equal atoms are recognised up to the names of bound indices; an atom that defines an
intermediate tensor is written as that tensor.

A bracketed sum of the forward equation, such as ``x - mu``, stays whole, because textbooks
keep it whole; sums that hold an upstream gradient are multiplied out, because that is where
cancellation happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from ..affine import Affine
from ..equations import Equation
from ..expressions import Call, Expr, Index, Number, Read, Reduce, free_names, reads, rebuild
from .matching import Matcher

Powers = tuple[tuple[Expr, int], ...]


@dataclass(frozen=True)
class Monomial:
    """``coefficient · ∏ atom^power``."""

    coefficient: Fraction
    powers: Powers = ()

    def times(self, other: Monomial) -> Monomial:
        """The product."""
        total = dict(self.powers)
        for atom, power in other.powers:
            total[atom] = total.get(atom, 0) + power
        kept = tuple((atom, power) for atom, power in total.items() if power)
        return Monomial(self.coefficient * other.coefficient, kept)

    def power(self, exponent: int) -> Monomial:
        """An integer power."""
        powers = tuple((atom, power * exponent) for atom, power in self.powers)
        return Monomial(self.coefficient**exponent, powers if exponent else ())

    @property
    def key(self) -> frozenset[tuple[Expr, int]]:
        """What has to be equal for two monomials to be added."""
        return frozenset(self.powers)


Polynomial = tuple[Monomial, ...]
ONE = Monomial(Fraction(1))


def added(*parts: Polynomial) -> Polynomial:
    """The sum, like terms collected, in order of first appearance."""
    total: dict[frozenset[tuple[Expr, int]], Monomial] = {}
    for monomial in (m for part in parts for m in part):
        before = total.get(monomial.key, Monomial(Fraction(0), monomial.powers))
        total[monomial.key] = Monomial(before.coefficient + monomial.coefficient, before.powers)
    return tuple(m for m in total.values() if m.coefficient)


def multiplied(one: Polynomial, two: Polynomial) -> Polynomial:
    """The product, multiplied out."""
    return added(tuple(a.times(b) for a in one for b in two))


@dataclass(frozen=True)
class Definition:
    """``lhs`` is ``monomial``: an atom of it may be written as the tensor."""

    lhs: Read
    monomial: Monomial

    @property
    def variables(self) -> frozenset[str]:
        """The indices of the tensor, for which anything can stand."""
        return frozenset(self.lhs.names)

    @property
    def head(self) -> Expr | None:
        """The one atom that is no count, if it stands to the first power and is no read."""
        atoms = [(a, p) for a, p in self.monomial.powers if not isinstance(a, Index)]
        if len(atoms) == 1 and atoms[0][1] == 1 and not isinstance(atoms[0][0], Read):
            return atoms[0][0]
        return None


class Normaliser:
    """Normal forms over one equation, with a memory of the atoms met."""

    def __init__(self, equation: Equation) -> None:
        self.equation = equation
        self.ranges = dict(equation.extents)
        self.atoms: list[Expr] = []
        self.definitions: list[Definition] = []
        for statement in equation.statements:
            self._define(statement.lhs, statement.rhs)

    def _define(self, lhs: Read, rhs: Expr) -> None:
        bare = [part.bare for axis in lhs.axes for part in axis]
        if None in bare or any(len(axis) > 1 for axis in lhs.axes):
            return
        found = self.normal(rhs)
        if len(found) == 1 and found[0].powers:
            self.definitions.append(Definition(lhs, found[0]))

    # -- expressions ----------------------------------------------------------------------
    def normal(self, expr: Expr) -> Polynomial:
        """The normal form of an expression."""
        match expr:
            case Number(value):
                return (Monomial(value),) if value else ()
            case Index(value) if value.is_whole and len(value.terms) == 1:
                names, count = value.terms[0]
                powers = tuple((Index(Affine.of(name)), 1) for name in names)
                return (Monomial(Fraction(count), powers),)
            case Call("add" | "sub" as fn, (one, two)):
                second = self.normal(two)
                minus = tuple(Monomial(-m.coefficient, m.powers) for m in second)
                return added(self.normal(one), second if fn == "add" else minus)
            case Call("neg", (one,)):
                return tuple(Monomial(-m.coefficient, m.powers) for m in self.normal(one))
            case Call("mul", (one, two)):
                return multiplied(self.factor(one), self.factor(two))
            case Call("div", (one, two)):
                return multiplied(self.factor(one), self.inverse(two))
            case Call("pow", (one, Number(exponent))) if exponent.denominator == 1:
                return self.raised(self.factor(one), int(exponent), expr)
            case Reduce("sum" | "mean", over, body, ()):
                share = self.shares(over) if expr.op == "mean" else (ONE,)
                return multiplied(share, self.summed(over, self.normal(body)))
        return self.atom(expr)

    def factor(self, expr: Expr) -> Polynomial:
        """The normal form of a factor: a forward sum stays whole."""
        if isinstance(expr, Call) and expr.fn == "neg":
            return multiplied((Monomial(Fraction(-1)),), self.factor(expr.args[0]))
        whole = isinstance(expr, Call) and expr.fn in ("add", "sub")
        if whole and not self._upstream(expr):
            found = self.normal(expr)
            return found if len(found) <= 1 else self.atom(expr)
        return self.normal(expr)

    def inverse(self, expr: Expr) -> Polynomial:
        """1/expr."""
        found = self.factor(expr)
        return (found[0].power(-1),) if len(found) == 1 else self.raised(self.atom(expr), -1, expr)

    def raised(self, base: Polynomial, exponent: int, expr: Expr) -> Polynomial:
        """A power of a single product; of a sum it stays an atom."""
        if len(base) == 1 and (exponent >= 0 or base[0].coefficient):
            return (base[0].power(exponent),)
        return self.atom(expr)

    def _upstream(self, expr: Expr) -> bool:
        gradients = {t.gradient for t in (*self.equation.inner, self.equation.output)}
        return any(read.tensor in gradients for read in reads(expr))

    def without_squared_roots(self, monomial: Monomial) -> Monomial:
        """√z² is z."""
        total = Monomial(monomial.coefficient)
        for atom, power in monomial.powers:
            part = Monomial(Fraction(1), ((atom, power),))
            if isinstance(atom, Call) and atom.fn == "sqrt" and abs(power) > 1:
                inner = self.factor(atom.args[0])
                if len(inner) == 1:
                    whole = int(power / 2)
                    left = ((atom, power - 2 * whole),) if power % 2 else ()
                    part = inner[0].power(whole).times(Monomial(Fraction(1), left))
            total = total.times(part)
        return total

    # -- sums -----------------------------------------------------------------------------
    def shares(self, over: Iterable[str]) -> Polynomial:
        """1/(number of terms) of a mean."""
        return (self.count(over).power(-1),)

    def count(self, over: Iterable[str]) -> Monomial:
        """The number of values of some indices."""
        total = ONE
        for index in over:
            extent = self.equation.extent(index.rstrip("*"))
            (found,) = self.normal(Index(extent)) or (Monomial(Fraction(0)),)
            total = total.times(found)
        return total

    def summed(self, over: tuple[str, ...], body: Polynomial) -> Polynomial:
        """Σ over indices of a polynomial, term by term, constants taken out."""
        return added(*(self._summed_term(over, term) for term in body))

    def _summed_term(self, over: tuple[str, ...], term: Monomial) -> Polynomial:
        inside = tuple((a, p) for a, p in term.powers if set(free_names(a)) & set(over))
        outside = tuple((a, p) for a, p in term.powers if (a, p) not in inside)
        used = {n for atom, _ in inside for n in free_names(atom)}
        idle = [i for i in over if i not in used]
        rest = tuple(i for i in over if i in used)
        constant = Monomial(term.coefficient, outside).times(self.count(idle))
        if not rest or (len(inside) == 1 and self._picks_one(inside[0][0], rest)):
            return (constant,)
        if len(inside) == 1 and inside[0][1] == 1 and isinstance(inside[0][0], Call):
            open_sum = inside[0][0]
            if open_sum.fn in ("add", "sub"):  # alone in its sum: Σ(x - mu) = Σx - Σmu
                return multiplied((constant,), self.summed(rest, self.normal(open_sum)))
        if len(inside) == 1 and inside[0][1] == 1 and _is_sum(inside[0][0]):
            inner = inside[0][0]
            assert isinstance(inner, Reduce)  # said by _is_sum
            joined = Reduce("sum", rest + inner.over, inner.body)
            return multiplied((constant,), self.atom(joined))
        body = expression((Monomial(Fraction(1), inside),))
        return multiplied((constant,), self.atom(Reduce("sum", rest, body)))

    def _picks_one(self, atom: Expr, over: tuple[str, ...]) -> bool:
        """Whether the atom is δ(c, t) with t a class index and c all that is summed: Σδ = 1."""
        match atom:
            case Call("eq", (Index(value), Read(tensor, _))):
                return over == (value.bare,) and self.equation.tensor(tensor).integer
        return False

    # -- atoms ----------------------------------------------------------------------------
    def atom(self, expr: Expr) -> Polynomial:
        """An atom; the intermediate tensor that it defines, if it does."""
        for definition in self.definitions:
            head = definition.head
            if head is None:
                continue
            matcher = Matcher(self.ranges, definition.variables)
            if matcher.matches(head, expr) and set(matcher.found) == definition.variables:
                rest = tuple((a, -p) for a, p in definition.monomial.powers if a != head)
                scale = Monomial(1 / definition.monomial.coefficient, rest)
                entry = at(definition.lhs, matcher.found)
                return (scale.times(Monomial(Fraction(1), ((entry, 1),))),)
        inside = rebuild(expr, self._inside)
        return (Monomial(Fraction(1), ((self.known(inside), 1),)),)

    def _inside(self, expr: Expr) -> Expr:
        """Definitions met inside an atom: 1 - tanh(x)**2 becomes 1 - y**2."""
        if isinstance(expr, Call) and expr.fn not in ("add", "sub", "mul", "div", "neg", "pow"):
            found = self.atom(expr)
            if len(found) == 1 and found[0].coefficient == 1 and len(found[0].powers) == 1:
                return found[0].powers[0][0]
        return rebuild(expr, self._inside)

    def known(self, expr: Expr) -> Expr:
        """The atom as it was first met, if it differs in bound names alone."""
        for atom in self.atoms:
            if Matcher(self.ranges).matches(atom, expr):
                return atom
        self.atoms.append(expr)
        return expr


def _is_sum(expr: Expr) -> bool:
    return isinstance(expr, Reduce) and expr.op == "sum" and not expr.where


def at(lhs: Read, values: dict[str, Affine]) -> Read:
    """The entry of a tensor at some values of its indices."""
    return Read(
        lhs.tensor, tuple(tuple(part.substitute(values) for part in axis) for axis in lhs.axes)
    )


def expression(polynomial: Polynomial) -> Expr:
    """A polynomial as an expression: what is added first, then what is subtracted."""
    total: Expr | None = None
    for monomial in sorted(polynomial, key=lambda m: m.coefficient < 0):
        minus = total is not None and monomial.coefficient < 0
        term = _term(Monomial(abs(monomial.coefficient), monomial.powers) if minus else monomial)
        if total is None:
            total = term
            continue
        total = total - term if minus else total + term
    return Number(Fraction(0)) if total is None else total


def _term(monomial: Monomial) -> Expr:
    size = abs(monomial.coefficient)
    above: list[Expr] = [Number(Fraction(size.numerator))] if size.numerator != 1 else []
    below: list[Expr] = [Number(Fraction(size.denominator))] if size.denominator != 1 else []
    for atom, power in monomial.powers:
        side = above if power > 0 else below
        side.append(atom if abs(power) == 1 else atom ** abs(power))
    result = _product(above)
    if below:
        result = result / _product(below)
    return -result if monomial.coefficient < 0 else result


def _product(parts: list[Expr]) -> Expr:
    result: Expr | None = None
    for part in parts:
        result = part if result is None else result * part
    return Number(Fraction(1)) if result is None else result
