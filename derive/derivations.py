"""A derivation: the recorded chain of rewrites from the chain rule to a usable gradient.

Everything that is printed, compiled or proved about a gradient is read off these nouns.
A chain with a gap cannot be made: each step starts where the one before it ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from .affine import Affine
from .equations import Equation, Layer, Statement
from .expressions import Condition, Expr


@dataclass(frozen=True)
class Step:
    """One rewrite of a statement.

    ``rule``       its name, which is also the key of the sentence that explains it
    ``slots``      what that sentence names: ``(("index", "i"), ("value", "(a - u)/s"))``
    ``conditions`` what has to hold for ``after`` to count (divisibility, range)
    """

    rule: str
    before: Statement
    after: Statement
    slots: tuple[tuple[str, str | Affine | Expr], ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class AxisForm:
    """One axis of a correlation, with stride s, dilation d and padding p (``low``).

        out[o] = sum[k](source[s*o + d*k - p] * kernel[k])

    ``spread - 1`` zeros stand between the entries of the source before it is padded by
    ``low`` and ``high`` (negative means cropped); ``flipped`` says that the kernel is read
    backwards, ``reversed`` that the result is. All are numbers where sizes are known, names
    otherwise.
    """

    out: str
    tap: str
    stride: Affine
    dilation: Affine
    spread: Affine
    low: Affine
    high: Affine
    flipped: bool
    reversed: bool = False


@dataclass(frozen=True)
class Form:
    """A textbook form that a gradient was proved to have, or the reason why it has none.

    ``kind``     ``correlation``, ``full_convolution``, ``convolution``, ``sum`` or ``none``
    ``source``   the tensor that is slid over, ``kernel`` the one that slides
    ``axes``     one entry a spatial axis
    ``reasons``  keys of the sentences that say why the simpler textbook form does not hold,
                 each with its slots: ``("stride", (("s", "2"),))``
    """

    kind: str
    source: str = ""
    kernel: str = ""
    axes: tuple[AxisForm, ...] = ()
    reasons: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()


COMPACTING = ("inline", "simplify", "fold", "factor")
"""The rules that make a gradient compact; they come after all others."""


@dataclass(frozen=True)
class Gradient:
    """∂L/∂(one tensor), with the way that led to it.

    ``steps``    from the chain rule over outputs to the gather form
    ``scatter_steps``  the step that reads the chain as ``d[...] += ...``, one a place where the
                 tensor is read; it starts where one of ``steps`` ended. Empty if scatter and
                 gather are the same statement.
    ``form``     the textbook form recognised in the gather form
    """

    of: str
    steps: tuple[Step, ...]
    scatter_steps: tuple[Step, ...] = ()
    form: Form | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"the gradient of {self.of} has no steps")
        for one, two in zip(self.steps, self.steps[1:], strict=False):
            if one.after != two.before:
                raise ValueError(f"∂L/∂{self.of}: {two.rule} does not start where {one.rule} ended")
        ends = [self.steps[0].before, *(s.after for s in self.steps)]
        if any(step.before not in ends for step in self.scatter_steps):
            raise ValueError(f"∂L/∂{self.of}: the scatter form starts from no step")

    @property
    def gather(self) -> Statement:
        """``d[a] = Σ …``: every entry of the gradient as one expression."""
        return self.steps[-1].after

    @property
    def raw(self) -> Statement:
        """The gather form as reverse mode gave it, before it was made compact."""
        for step in self.steps:
            if step.rule in COMPACTING:
                return step.before
        return self.gather

    @property
    def scatters(self) -> tuple[Statement, ...]:
        """``d[s*i + d*u - p] += …``: every product sent to the entry it belongs to."""
        return tuple(step.after for step in self.scatter_steps) or (self.gather,)


@dataclass(frozen=True)
class Derivation:
    """A layer with the gradients derived from it.

    ``gradients`` are in symbols, in the order of the equation's tensors; ``inner`` are those of
    its intermediate tensors, the last made first, as reverse mode needs them. ``instance`` and
    ``inner_instance`` are the same chains of rules run with the numbers put in (empty while
    sizes are unknown).
    ``resolved`` is the forward equation itself, at its sizes, with its own deltas solved; None
    if it has none.
    """

    layer: Layer
    inner: tuple[Gradient, ...]
    gradients: tuple[Gradient, ...]
    inner_instance: tuple[Gradient, ...] = ()
    instance: tuple[Gradient, ...] = ()
    resolved: Gradient | None = None

    @property
    def equation(self) -> Equation:
        """The forward equation, in symbols."""
        return self.layer.equation

    @property
    def forward(self) -> Statement:
        """The forward statement, in symbols."""
        return self.equation.forward

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of all gradients, in order."""
        every = (*self.inner, *self.gradients)
        return tuple(step for gradient in every for step in gradient.steps)

    def gradient(self, tensor: str) -> Gradient:
        """∂L/∂tensor in symbols; a KeyError names the tensors there are."""
        for gradient in self.gradients:
            if gradient.of == tensor:
                return gradient
        raise KeyError(f"no gradient of {tensor}; there are {[g.of for g in self.gradients]}")

    def at_sizes(self, tensor: str) -> Gradient:
        """∂L/∂tensor with the numbers put in."""
        for gradient in self.instance:
            if gradient.of == tensor:
                return gradient
        raise KeyError(f"no gradient of {tensor} at given sizes")
