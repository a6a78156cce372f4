"""The calculus: Equation → Derivation.

The gradient of a loss L with respect to any tensor T of an equation is rewritten from

    ∂L/∂T[m] = Σ over all outputs of ∂L/∂y[...] · ∂y[...]/∂T[m]

until no derivative and no delta is left. Every rewrite is recorded; rules of differentiation
are in ``rules``, the algebra of sums in ``terms``, the integer solving of deltas in
``deltas``, ranges in ``conditions``, names for known forms in ``recognise``. Sizes, strides
and paddings may be numbers or names; nothing here depends on how large they are.
"""

from __future__ import annotations

from dataclasses import replace

from ..derivations import Derivation, Gradient
from ..equations import Equation, Layer
from ..errors import UsageError
from .compact import Reverse, compacted
from .gradient import differentiate, resolve
from .recognise import recognise

__all__ = ["derive", "differentiate"]


def derive(layer: Layer, wrt: tuple[str, ...] | None = None) -> Derivation:
    """All gradients of a layer (or those named), in symbols and at its sizes.

    Raises ``UsageError`` for a tensor that the layer does not have, ``NotDerivable`` where a
    rule is missing.
    """
    equation = layer.equation
    wanted = _wanted(equation, wrt)
    symbolic = _gradients(equation, wanted)
    if not equation.sized:
        return Derivation(layer, *symbolic)
    fixed = equation.at_sizes()
    inner, instance = _gradients(fixed, wanted)
    return Derivation(layer, *symbolic, inner, instance, resolve(fixed))


def _gradients(
    equation: Equation, wanted: tuple[str, ...]
) -> tuple[tuple[Gradient, ...], tuple[Gradient, ...]]:
    """Those of intermediate tensors, last made first, and those of the tensors wanted."""
    reverse = Reverse()
    inner, found = (
        tuple(compacted(_named(equation, tensor), reverse, equation) for tensor in names)
        for names in (tuple(t.name for t in reversed(equation.inner)), wanted)
    )
    return inner, found


def _named(equation: Equation, tensor: str) -> Gradient:
    gradient = differentiate(equation, tensor)
    return replace(gradient, form=recognise(gradient, equation))


def _wanted(equation: Equation, wrt: tuple[str, ...] | None) -> tuple[str, ...]:
    there = tuple(t.name for t in equation.tensors if not t.integer)
    for name in wrt or ():
        if name not in there:
            raise UsageError(
                f"--wrt {name}: the layer has no such tensor; it has {', '.join(there)}"
            )
    return tuple(name for name in there if wrt is None or name in wrt)
