"""Several equations in a row as one: the last, which holds the earlier ones.

Each equation is parsed on its own, with its own letters and its own names for sizes. Here they
come to agree: one name a size, one size a letter, one rule for what lies outside a tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .affine import Affine
from .equations import Equation
from .expressions import Read, rename, substitute
from .tensors import DATA, NO_OUTSIDE, PARAMETER, SKIP_OUTSIDE, ZERO_OUTSIDE, Tensor


def combined(equations: tuple[Equation, ...]) -> Equation:
    """Several equations in a row as one: the last, with the earlier ones as its ``given``.

    A letter that runs to different sizes in different equations is renamed in the later one;
    two names for one size become one.
    """
    if len(equations) == 1:
        return equations[0]
    agreed: list[Equation] = []
    extents: dict[str, Affine] = {}
    for equation in equations:
        agreed.append(_agreeing(equation, extents, equations))
        extents |= dict(agreed[-1].extents)
    made = {e.output.name: e for e in agreed[:-1]}
    outside = _outside(equations)
    tensors = {
        t.name: replace(t, outside=outside[t.name])
        for e in agreed
        for t in e.tensors
        if t.name not in made
    }
    return replace(
        agreed[-1],
        text="\n".join(e.text for e in equations),
        tensors=tuple(sorted(tensors.values(), key=lambda t: t.role != DATA)),
        extents=tuple(extents.items()),
        values=tuple(dict(v for e in agreed for v in e.values).items()),
        given=tuple(e.forward for e in agreed[:-1]),
        inner=tuple(
            replace(e.output, role=_inner_role(e), outside=outside.get(name, ZERO_OUTSIDE))
            for name, e in made.items()
        ),
    )


def _outside(equations: tuple[Equation, ...]) -> dict[str, str]:
    """What a read outside of each tensor gives, agreed between the equations that read it.

    A tap that a maximum skips is 0 under a sum, so that ``skip`` says no less than ``zero``.
    """
    rules: dict[str, str] = {}
    for tensor in (t for e in equations for t in e.tensors):
        rules[tensor.name] = max(
            tensor.outside,
            rules.get(tensor.name, ZERO_OUTSIDE),
            key=(ZERO_OUTSIDE, SKIP_OUTSIDE, NO_OUTSIDE).index,
        )
    return rules


def _agreeing(
    equation: Equation, extents: Mapping[str, Affine], every: tuple[Equation, ...]
) -> Equation:
    """The equation with no index that runs to another size than in ``extents``."""
    numbers = dict(v for e in every for v in e.values)
    sizes: dict[str, Affine] = {}
    letters: dict[str, str] = {}
    used = {name for e in every for name in (*e.indices, *(t.name for t in e.tensors), *numbers)}
    for index, extent in equation.extents:
        before = extents.get(index, extent)
        if before == extent:
            continue
        known = set(extent.names) | set(before.names) <= set(numbers)
        if extent.bare and known and before.evaluate(numbers) == extent.evaluate(numbers):
            sizes[extent.bare] = before
        else:
            pool = (letter for letter in "abdehklmopqrz" if letter not in used)
            letters[index] = next(pool, index + "_" + equation.output.name)
            used.add(letters[index])
    return _renamed(equation, sizes, letters)


def _renamed(
    equation: Equation, sizes: Mapping[str, Affine], letters: Mapping[str, str]
) -> Equation:
    """Other names for sizes and for indices."""
    if not sizes and not letters:
        return equation

    def moved(tensor: Tensor) -> Tensor:
        return replace(tensor, shape=tuple(e.substitute(sizes) for e in tensor.shape))

    lhs = rename(equation.forward.lhs, letters)
    assert isinstance(lhs, Read)  # renaming keeps the node type
    rhs = substitute(rename(equation.forward.rhs, letters), sizes)
    extents = ((letters.get(i, i), e.substitute(sizes)) for i, e in equation.extents)
    return replace(
        equation,
        forward=replace(equation.forward, lhs=lhs, rhs=rhs),
        tensors=tuple(moved(t) for t in equation.tensors),
        output=moved(equation.output),
        extents=tuple(extents),
        values=tuple((n, v) for n, v in equation.values if n not in sizes),
    )


def _inner_role(equation: Equation) -> str:
    """An intermediate tensor that carries the batch is read like data, else like a parameter."""
    carries = len(equation.forward.lhs.axes) > len(equation.output.shape)
    return DATA if carries else PARAMETER
