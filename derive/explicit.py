"""The second path: every entry as a SymPy scalar, differentiated by plain ``sympy.diff``.

    ∂L/∂x[m] = Σ_a g[a] · diff(y[a], x[m])

What a student would do by hand; meant for small sizes (see :func:`terms`). Intermediate
tensors are written out, so that y holds entries of the given tensors only. It shares no code
with the calculus nor with the oracle, so that agreement with them means something.

Where a maximum, relu or their like has to choose, ``Max.diff`` is never asked: the choice
is made first, at the numbers in ``at``, and only the chosen branch is differentiated.
Arrays are unbatched; with ``batch`` above 1 they have a leading batch axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from .equations import Equation, Tensor
from .errors import NotDerivable, UsageError
from .expansion import Expansion, Scalar
from .expressions import Call, Expr, Number, Read, Reduce, walk

Entries = NDArray[Any]
"""An object array of SymPy expressions."""

Values = Mapping[str, Any]
"""A tensor's name to an array of the numbers of its entries."""


@dataclass(frozen=True)
class Sharing:
    """What the matrix of a layer shows about sparsity and weight sharing.

    ``rows``, ``columns``  one row an output, one column an input; a fully connected layer
    would have a weight of its own for each of the ``rows · columns`` entries
    ``nonzero``            how many of them are not 0
    ``weights``            how many distinct parameters stand in them
    """

    rows: int
    columns: int
    nonzero: int
    weights: int


def symbols(equation: Equation, batch: int = 1) -> dict[str, Entries]:
    """The symbol of every entry: ``x_0_1`` for x[0,1], and ``g_0_1`` under ``dy``.

    With ``batch`` above 1 the first subscript counts the batch. Sizes that are not known, and
    two entries with the same name, are UsageErrors.
    """
    sized = _sized(equation)
    upstream = sized.output.gradient if "g" in {t.name for t in sized.tensors} else "g"
    result = {t.name: _symbols(t.name, _shape(sized, t, batch)) for t in sized.tensors}
    result[sized.output.gradient] = _symbols(upstream, _shape(sized, sized.output, batch))
    seen: set[str] = set()
    for symbol in (s for array in result.values() for s in array.flat):
        if symbol.name in seen:
            raise UsageError(f"two tensors have an entry called {symbol.name}: rename one of them")
        seen.add(symbol.name)
    return result


def forward(equation: Equation, batch: int = 1, at: Values | None = None) -> Entries:
    """``y``: every output as an expression in the entries of the tensors.

    Choices stay Max, Piecewise, ... unless ``at`` gives the numbers at which they are made.
    """
    sized = _sized(equation)
    return _outputs(sized, batch, at, must_choose=False)


def gradient(equation: Equation, tensor: str, batch: int = 1, at: Values | None = None) -> Entries:
    """``∂L/∂tensor``: Σ_a g[a]·diff(y[a], entry) for every entry, in the tensor's shape.

    An equation that chooses needs ``at``; without it, and for class indices, NotDerivable.
    """
    sized = _sized(equation)
    if sized.tensor(tensor).integer:
        raise NotDerivable(f"{tensor} holds class indices, which have no gradient")
    known = symbols(sized, batch)
    outputs = list(_outputs(sized, batch, at, must_choose=True).flat)
    upstream = list(known[sized.output.gradient].flat)
    reached = _reached(outputs)
    result = np.empty(known[tensor].shape, dtype=object)
    for place, entry in np.ndenumerate(known[tensor]):
        result[place] = sympy.Add(
            *(upstream[k] * sympy.diff(part, entry) for k, part in reached.get(entry, {}).items())
        )
    return result


def matrix(equation: Equation, tensor: str = "x") -> Any:
    """``C`` with vec(y) = C·vec(x) + (what does not depend on x); vec is row-major.

    NotDerivable if y is not linear in the tensor.
    """
    sized = _sized(equation)
    columns = list(symbols(sized)[tensor].flat)
    rows = list(_outputs(sized, 1, None, must_choose=False).flat)
    mine = set(columns)
    table = [
        [sympy.diff(y, x) if x in y.free_symbols else sympy.S.Zero for x in columns] for y in rows
    ]
    for row in table:
        if any(entry.free_symbols & mine for entry in row):
            raise NotDerivable(
                f"{sized.output.name} is not linear in {tensor}, so no matrix stands for it"
            )
    return sympy.ImmutableDenseMatrix(len(rows), len(columns), [e for row in table for e in row])


def sharing(equation: Equation, tensor: str = "x") -> Sharing:
    """How sparse the matrix is and how often its weights are shared.

    A 3x3 input under a 2x2 kernel: 4 rows, 9 columns, 16 of 36 entries non-zero, 4 weights.
    """
    table = matrix(equation, tensor)
    entries = [entry for entry in table if entry != 0]
    weights = {symbol for entry in entries for symbol in entry.free_symbols}
    return Sharing(table.rows, table.cols, len(entries), len(weights))


def terms(equation: Equation) -> int:
    """How many scalar products y has once it is written out, from the sizes alone.

    For a convolution the product of all extents (C·K·K for each of the F·O·O outputs), for
    one entry of the batch; an entry of an intermediate tensor counts wherever it is read.
    Cheap at any size: ask before expanding.
    """
    sized = _sized(equation)
    extents = _extents(sized, 1)
    written: dict[str, int] = {}
    for statement in sized.statements:
        written[statement.lhs.tensor] = _terms(statement.rhs, extents, written)
    return prod(_shape(sized, sized.output, 1)) * written[sized.output.name]


def _terms(expr: Expr, extents: Mapping[str, int], written: Mapping[str, int]) -> int:
    match expr:
        case Reduce(over=over, body=body):
            return prod(extents[index] for index in over) * _terms(body, extents, written)
        case Read(tensor, _):
            return written.get(tensor, 1)
        case Call("mul", args):
            return prod(_terms(a, extents, written) for a in args)
        case Call("pow", (base, Number(exponent))) if exponent > 1:
            return int(_terms(base, extents, written) ** ceil(exponent))
        case Call(_, args):
            inner = [a for a in args if _is_written_out(a, written)]
            return max(1, sum(_terms(a, extents, written) for a in inner))
    return 1


def _is_written_out(expr: Expr, written: Mapping[str, int]) -> bool:
    """Whether more stands for it than a single product."""
    return any(
        isinstance(node, Reduce) or (isinstance(node, Read) and node.tensor in written)
        for node in walk(expr)
    )


def _sized(equation: Equation) -> Equation:
    if not equation.sized:
        raise UsageError(f"the explicit derivation of {equation.text} needs all sizes as numbers")
    return equation.at_sizes()


def _extents(sized: Equation, batch: int) -> dict[str, int]:
    """How far every index runs; the batch's name is the only one without a number."""
    names = {name: batch for _, extent in sized.extents for name in extent.names}
    return {index: int(extent.evaluate(names)) for index, extent in sized.extents}


def _shape(sized: Equation, tensor: Tensor, batch: int) -> tuple[int, ...]:
    """The shape as shown: a batch of 1 has no axis."""
    shown = batch > 1 and sized.rank(tensor) > len(tensor.shape)
    return (*((batch,) if shown else ()), *tensor.sizes())


def _symbols(name: str, shape: tuple[int, ...]) -> Entries:
    """Real symbols, named by their position."""
    result = np.empty(shape, dtype=object)
    for place in product(*map(range, shape)):
        result[place] = sympy.Symbol("_".join([name, *map(str, place)]), real=True)
    return result


def _fixed(known: Mapping[str, Entries], at: Values | None) -> dict[Scalar, Scalar]:
    """The exact number of every entry at which choices are made."""
    fixed = {}
    for name, numbers in (at or {}).items():
        values = np.asarray(numbers, dtype=object).reshape(known[name].shape)
        for symbol, value in zip(known[name].flat, values.flat, strict=True):
            exact = Fraction(value.item() if isinstance(value, np.generic) else value)
            fixed[symbol] = sympy.Rational(exact.numerator, exact.denominator)
    return fixed


def _outputs(sized: Equation, batch: int, at: Values | None, *, must_choose: bool) -> Entries:
    """Every output expanded, in the shape that is shown."""
    known = symbols(sized, batch)
    stored = {
        t.name: known[t.name][np.newaxis] if batch == 1 and t.batched else known[t.name]
        for t in sized.tensors
    }
    extents = _extents(sized, batch)
    expansion = Expansion(sized, extents, stored, _fixed(known, at), must_choose)
    for statement in sized.statements:
        tensor = sized.tensor(statement.lhs.tensor)
        carries = sized.rank(tensor) > len(tensor.shape)
        shape = (*((batch,) if carries else ()), *tensor.sizes())
        expansion.write_out(statement, shape)
    return expansion.entries[sized.output.name].reshape(_shape(sized, sized.output, batch))


def _reached(outputs: list[Scalar]) -> dict[Scalar, dict[int, Scalar]]:
    """For every entry, the outputs that hold it, in order, without the terms that do not."""
    terms: dict[Scalar, dict[int, list[Scalar]]] = {}
    for k, output in enumerate(outputs):
        for term in sympy.Add.make_args(output):
            for symbol in term.free_symbols:
                terms.setdefault(symbol, {}).setdefault(k, []).append(term)
    return {
        symbol: {k: sympy.Add(*parts) for k, parts in found.items()}
        for symbol, found in terms.items()
    }
