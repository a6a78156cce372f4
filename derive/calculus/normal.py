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
from .polynomials import ONE, Monomial, Polynomial, added, cancels, expression


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
        self.did: dict[str, None] = {}
        self.named: dict[str, None] = {}
        self.definitions: list[Definition] = []
        for statement in equation.statements:
            self._define(statement.lhs, statement.rhs)
        self.done()

    def done(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was done since it was last asked, and the tensors that were named."""
        found = tuple(self.did), tuple(self.named)
        self.did, self.named = {}, {}
        return found

    def added(self, *parts: Polynomial) -> Polynomial:
        """The sum, like terms collected."""
        found = added(*parts)
        if len(found) < sum(map(len, parts)):
            self.did["collected"] = None
        return found

    def multiplied(self, one: Polynomial, two: Polynomial) -> Polynomial:
        """The product, multiplied out."""
        if max(len(one), len(two)) > 1 and (ONE,) not in (one, two):
            self.did["multiplied"] = None
        if any(cancels(a, b) for a in one for b in two):
            self.did["cancelled"] = None
        return self.added(tuple(a.times(b) for a in one for b in two))

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
                return self.added(self.normal(one), second if fn == "add" else minus)
            case Call("neg", (one,)):
                return tuple(Monomial(-m.coefficient, m.powers) for m in self.normal(one))
            case Call("mul", (one, two)):
                return self.multiplied(self.factor(one), self.factor(two))
            case Call("div", (one, two)):
                return self.multiplied(self.factor(one), self.inverse(two))
            case Call("pow", (one, Number(exponent))) if exponent.denominator == 1:
                return self.raised(self.factor(one), int(exponent), expr)
            case Reduce("sum" | "mean", over, body, ()):
                share = self.shares(over) if expr.op == "mean" else (ONE,)
                return self.multiplied(share, self.summed(over, self.normal(body)))
        return self.atom(expr)

    def factor(self, expr: Expr) -> Polynomial:
        """The normal form of a factor: a forward sum stays whole."""
        if isinstance(expr, Call) and expr.fn == "neg":
            return self.multiplied((Monomial(Fraction(-1)),), self.factor(expr.args[0]))
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
        return self.added(*(self._summed_term(over, term) for term in body))

    def _summed_term(self, over: tuple[str, ...], term: Monomial) -> Polynomial:
        inside = tuple((a, p) for a, p in term.powers if set(free_names(a)) & set(over))
        outside = tuple((a, p) for a, p in term.powers if (a, p) not in inside)
        used = {n for atom, _ in inside for n in free_names(atom)}
        idle = [i for i in over if i not in used]
        rest = tuple(i for i in over if i in used)
        if rest and (outside or term.coefficient not in (1, -1)):
            self.did["taken_out"] = None
        constant = Monomial(term.coefficient, outside).times(self.count(idle))
        if not rest or (len(inside) == 1 and self._picks_one(inside[0][0], rest)):
            return (constant,)
        if len(inside) == 1 and inside[0][1] == 1 and isinstance(inside[0][0], Call):
            open_sum = inside[0][0]
            if open_sum.fn in ("add", "sub"):  # alone in its sum: Σ(x - mu) = Σx - Σmu
                return self.multiplied((constant,), self.summed(rest, self.normal(open_sum)))
        if len(inside) == 1 and inside[0][1] == 1 and _is_sum(inside[0][0]):
            inner = inside[0][0]
            assert isinstance(inner, Reduce)  # said by _is_sum
            joined = Reduce("sum", rest + inner.over, inner.body)
            return self.multiplied((constant,), self.atom(joined))
        body = expression((Monomial(Fraction(1), inside),))
        return self.multiplied((constant,), self.atom(Reduce("sum", rest, body)))

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
                self.named[definition.lhs.tensor] = None
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
