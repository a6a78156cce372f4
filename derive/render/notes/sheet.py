"""What every section of the notes draws on: the derivation, its notations, its sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ...derivations import Derivation, Gradient
from ...documents import Fraction, Math, Row, Symbol
from ...equations import Equation, Statement
from ...expressions import Expr, Read
from ...specs import PLAIN, Style
from ...trials import Example
from ..mathematics.formulas import expression, statement
from ..mathematics.notation import DEL, Notation, Taps
from ..mathematics.sample import batch_names, for_one
from ..phrases import Phrases, phrases
from .entries import Frame
from .figures.slide import Slide, slide_of


@dataclass(frozen=True)
class Sheet:
    """A derivation as it is written about.

    ``style`` says what numbered entries count from, the language, the letter of dy;
    ``example`` has the numbers of the worked example; ``chapter`` says that it is one of
    several, and that what all of them share was said before.
    """

    derivation: Derivation
    style: Style = PLAIN
    example: Example | None = None
    chapter: bool = False

    @property
    def say(self) -> Phrases:
        """The phrases."""
        return phrases(self.style.language)

    @property
    def equation(self) -> Equation:
        """The forward equation in symbols."""
        return self.derivation.equation

    @cached_property
    def here(self) -> Equation | None:
        """The forward equation at its sizes, None while they are unknown."""
        return self.equation.at_sizes() if self.equation.sized else None

    @cached_property
    def frame(self) -> Frame | None:
        """The sizes for written-out entries."""
        return Frame.of(self.equation) if self.equation.sized else None

    @cached_property
    def batch(self) -> tuple[str, ...]:
        """The batch indices that are not shown."""
        return batch_names(self.equation)

    @cached_property
    def taps(self) -> Taps | None:
        """The taps of the kernel or window; of a transposed layer those of its solved equation."""
        if self.here is None:
            return None
        found, solved = Taps.of(self.here), self.derivation.resolved
        if found is not None or solved is None:
            return found
        return Taps.of(replace(self.here, forward=solved.gather))

    @cached_property
    def _fresh(self) -> frozenset[str]:
        """The names that the derivation made up, and those of the symbolic equation."""
        if self.style.notation == PLAIN.notation:
            return frozenset()
        every = (*self.derivation.inner, *self.derivation.gradients)
        steps = [step for gradient in every for step in (*gradient.steps, *gradient.scatter_steps)]
        found = {name for step in steps for name in (*step.before.free, *step.after.free)}
        return frozenset(found | {name for gradient in every for name in gradient.gather.free})

    @cached_property
    def slide(self) -> Slide | None:
        """What slides over what, for the pictures; None if nothing does, or too far."""
        return slide_of(self)

    @cached_property
    def notation(self) -> Notation:
        """How formulas in symbols are shown."""
        return Notation.of(self.equation, self.style.notation, self._fresh)

    @cached_property
    def fixed(self) -> Notation:
        """How formulas with numbers for sizes are shown."""
        if self.here is None:
            return self.notation
        return Notation.of(self.here, self.style.notation, self._fresh)

    @cached_property
    def numbered(self) -> Notation:
        """How single entries are shown."""
        return replace(self.fixed, base=self.style.index_base, taps=self.taps)

    def one(self, value: Statement) -> Statement:
        """The statement for one sample."""
        return for_one(value, self.batch)

    def row(self, value: Statement, *, here: bool = False) -> tuple[Math, tuple[Math, ...]]:
        """A line of a display: left side and the pieces of the right side."""
        return statement(self.one(value), self.fixed if here else self.notation)

    def number(self, value: Expr) -> Math:
        """An expression whose subscripts are numbers."""
        return expression(value, self.numbered)

    def upstream(self) -> Math:
        """The letter of the upstream gradient."""
        return expression(Read(self.notation.upstream, ()), self.notation)

    def loss(self) -> Math:
        """The derivative ∂L/∂y that the upstream letter stands for."""
        output = Symbol(self.equation.output.name)
        return Fraction(Row((DEL, Symbol("L"))), Row((DEL, output)))

    def at_sizes(self, gradient: Gradient) -> Gradient | None:
        """The same gradient with numbers, None while they are unknown."""
        every = (*self.derivation.inner_instance, *self.derivation.instance)
        found = [g for g in every if g.of == gradient.of]
        return found[0] if found else None
