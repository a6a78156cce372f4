"""Extents renamed as the field names them: ``O_h`` for the rows of an output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..affine import Affine
from ..equations import Equation, Statement, Tensor
from ..errors import UsageError
from ..names import why_not
from .ledger import extent_names, integer_names

Names = str | Sequence[str]
"""One axis: a name, or the names of the factors that compose it (``"G*C"`` or ``("G", "C")``)."""


def with_names(
    equations: Sequence[Equation], axes: Mapping[str, str | Sequence[Names]]
) -> tuple[Equation, ...]:
    """The equations with extents renamed: ``{"x": ("C", "H"), "i": "O", "w": (("G", "F"), "K")}``.

    Keys are tensors (one entry an axis, without the batch) and indices. A new name may be that of
    a named integer of the equation, which then is the extent (``K`` in ``x[i + K - 1 - u]``), and
    two extents may get the same name, which makes them one.

    Raises UsageError: unknown key, wrong number of axes, a name that is taken or not a name.
    """
    equations = tuple(equations)
    renamed: dict[str, str] = {}
    for key, wanted in axes.items():
        for extent, names in _pairs(equations, key, wanted):
            for old, new in _factors(key, extent, names):
                if renamed.setdefault(old, new) != new:
                    raise UsageError(f"names: {key} calls an extent {new} that is {renamed[old]}")
    _check_new(equations, renamed)
    return tuple(_renamed(equation, renamed) for equation in equations)


def _pairs(
    equations: tuple[Equation, ...], key: str, wanted: str | Sequence[Names]
) -> Iterator[tuple[Affine, tuple[str, ...]]]:
    """Each extent that ``key`` speaks of, with the wanted names of its factors."""
    axes = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    for equation in equations:
        for tensor in (*equation.tensors, equation.output):
            if tensor.name == key:
                if len(axes) != len(tensor.shape):
                    what = f"{key} has {len(tensor.shape)} axes, not {len(axes)}"
                    raise UsageError(f"names: {what} ({', '.join(map(str, axes))})")
                yield from zip(tensor.shape, map(_split, axes), strict=True)
                return
    found = {e.extent(key) for e in equations if key in e.indices}
    if not found:
        raise UsageError(f"names: {key} is neither a tensor nor an index")
    if len(found) > 1 or len(axes) != 1:
        raise UsageError(f"names: index {key} runs differently in different equations")
    yield found.pop(), _split(axes[0])


def _split(names: Names) -> tuple[str, ...]:
    return tuple(names.split("*")) if isinstance(names, str) else tuple(names)


def _factors(key: str, extent: Affine, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Old and new names of the factors of one extent, in their order."""
    (monomial, _) = extent.terms[0]
    if len(monomial) != len(names):
        raise UsageError(
            f"names: {key} has an extent {extent}, which {'*'.join(names)} cannot name"
        )
    yield from zip(monomial, names, strict=True)


def _check_new(equations: tuple[Equation, ...], renamed: Mapping[str, str]) -> None:
    tensors = {t.name for e in equations for t in (*e.tensors, e.output)}
    indices = {i for e in equations for i in (*e.indices, e.batch)}
    integers = {n for e in equations for n in integer_names(e)}
    kept = {n for e in equations for n in extent_names(e)} - set(renamed) - integers
    for new in renamed.values():
        why = why_not(new)
        why = why or ("is a tensor" if new in tensors else "is an index" if new in indices else "")
        why = why or ("is another extent already" if new in kept else "")
        if why:
            raise UsageError(f"names: {new} cannot name an extent: it {why}")


def _renamed(equation: Equation, renamed: Mapping[str, str]) -> Equation:
    new = {old: Affine.of(name) for old, name in renamed.items()}

    def tensor(old: Tensor) -> Tensor:
        return replace(old, shape=tuple(extent.substitute(new) for extent in old.shape))

    forward: Statement = equation.forward.substitute(new)
    return replace(
        equation,
        forward=forward,
        tensors=tuple(tensor(t) for t in equation.tensors),
        output=tensor(equation.output),
        extents=tuple((index, extent.substitute(new)) for index, extent in equation.extents),
        values=tuple((renamed.get(name, name), value) for name, value in equation.values),
    )
