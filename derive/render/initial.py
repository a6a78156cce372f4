"""What a parameter is at the start of training, read off the layer's equation.

A parameter that is only added starts at 0, one that only scales at 1. One that weighs several
inputs starts random, scaled so that the layer keeps the size of what goes through it: with
standard deviation √(2/fan-in) for weights (He et al. 2015), fan-in being the number of weights
that one output adds up.
"""

from __future__ import annotations

from math import prod

from ..derivations import Derivation
from ..equations import Equation, Tensor
from ..expressions import reads


def start(tensor: Tensor, derivation: Derivation) -> tuple[str, int]:
    """``("zeros" | "ones" | "normal", fan-in)``."""
    equation = derivation.equation.at_sizes()
    if _added(tensor, derivation):
        return "zeros", 1
    summed = _summed(tensor, equation)
    if not summed:
        return "ones", 1
    return "normal", prod(equation.extent(index).number or 1 for index in summed)


def _added(tensor: Tensor, derivation: Derivation) -> bool:
    """Whether its gradient is made of upstream gradients alone."""
    equation = derivation.equation
    gradients = {t.gradient for t in (*equation.inner, equation.output)}
    read = {r.tensor for r in reads(derivation.gradient(tensor.name).gather.rhs)}
    return read <= gradients


def _summed(tensor: Tensor, equation: Equation) -> list[str]:
    """The indices of the tensor that the output does not have: it is summed over them."""
    found = (r for s in equation.statements for r in reads(s.rhs, tensor.name))
    names = dict.fromkeys(name for read in found for name in read.names)
    return [name for name in names if name not in equation.output_indices]
