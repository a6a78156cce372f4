"""What a kernel asks of its arrays first: whether they are already as it wants them.

Then nothing has to be converted, and a small layer is done in less time than a look at every
array would take. The conditions are written out for the layer's own tensors and sizes.
"""

from __future__ import annotations

from ..classes import classes
from ..equations import Equation
from .python import WIDTH

ROOM = WIDTH - 12
"""Characters for a condition, behind its indent and ``and``."""


def ready(equation: Equation) -> dict[str, object]:
    """The conditions under which arrays are as kernels want them, one or more for each."""
    floating = [t for t in equation.tensors if not t.integer]
    lead = next(t.name for t in equation.tensors if t.batched)
    names = [t.name for t in equation.tensors]
    conditions = [
        *_chained([f"type({name})" for name in names], "is np.ndarray"),
        *_chained([f"{t.name}.dtype" for t in floating], "in _FLOATS"),
    ]
    for tensor in equation.tensors:
        conditions.append(_shaped(tensor.name, tensor.sizes(), lead if tensor.batched else ""))
        if tensor.integer:
            conditions.append(f'{tensor.name}.dtype.kind in "iu"')
            if count := classes(equation, tensor):
                conditions += [
                    f"{tensor.name}.size > 0",
                    f"0 <= {tensor.name}.min() <= {tensor.name}.max() < {count}",
                ]
    output, dy = equation.output, equation.output.gradient
    upstream = [
        f"_ready({', '.join(names)})",
        f"type({dy}) is np.ndarray",
        f"{dy}.dtype is {floating[0].name}.dtype",
        _shaped(dy, output.sizes(), lead if output_batched(equation) else ""),
    ]
    return {
        "tensors": ", ".join(names),
        "conditions": _all(conditions),
        "upstream": "" if equation.loss else dy,
        "upstream_conditions": _all(upstream),
    }


def _all(conditions: list[str]) -> list[str]:
    """Lines that return whether all conditions hold: as few as are not too long."""
    whole = " and ".join(conditions)
    if len(f"    return {whole}") <= WIDTH:
        return [f"return {whole}"]
    parts = [whole]
    if len(f"        {whole}") > WIDTH:
        parts = [conditions[0], *(f"and {condition}" for condition in conditions[1:])]
    return ["return (", *(f"    {part}" for part in parts), ")"]


def _chained(values: list[str], tail: str) -> list[str]:
    """``a is b is c in d``: all are one, which is what the tail says; a line each if too long."""
    whole = f"{' is '.join(values)} {tail}"
    if len(whole) <= ROOM:
        return [whole]
    return [f"{values[0]} {tail}", *(f"{value} is {values[0]}" for value in values[1:])]


def _shaped(name: str, sizes: tuple[int, ...], lead: str) -> str:
    """Whether a tensor has its sizes, behind as many samples as ``lead`` has."""
    if lead == name:
        return f"{name}.shape[1:] == {sizes}" if sizes else f"{name}.ndim == 1"
    first = (f"len({lead})",) if lead else ()
    listed = ", ".join((*first, *map(str, sizes)))
    return f"{name}.shape == ({listed}{',' if len((*first, *sizes)) == 1 else ''})"


def output_batched(equation: Equation) -> bool:
    """Whether there is an output for every sample."""
    return len(equation.forward.lhs.axes) > len(equation.output.shape)
