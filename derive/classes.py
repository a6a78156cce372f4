"""How many classes a tensor of class indices tells apart."""

from __future__ import annotations

from .equations import Equation, Tensor
from .expressions import Call, Index, Read, walk


def classes(equation: Equation, tensor: Tensor) -> int:
    """The entries of the tensor lie below this number.

    That is the extent of the index that it is compared with, the least one if there are several.
    """
    found = []
    for node in (node for s in equation.statements for node in walk(s.rhs)):
        match node:
            case Call("eq", (Index(index), Read(name, _))) if name == tensor.name:
                ends = {n: (equation.extent(n).number or 1) - 1 for n in index.names}
                found.append(int(index.evaluate(ends)) + 1)
    return max(1, min(found, default=1))
