"""Arrays bound to the tensors of an equation: shapes checked, every size a number."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..affine import Affine
from ..equations import NO_OUTSIDE, Equation, Tensor
from ..errors import UsageError
from ..expressions import Subscript, reads
from .places import Scope, Stored

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Factors = tuple[tuple[int, ...] | None, ...]


def bind(
    equation: Equation, arrays: Arrays, extents: Mapping[str, int]
) -> tuple[Scope, dict[str, int]]:
    """The scope of an equation's statements, and the number of every size name."""
    if not equation.sized:
        raise UsageError(f"the sizes of {equation.text} are not all known: {_unknown(equation)}")
    batch = _batch(equation, arrays)
    numbers = dict(equation.values)
    for name in equation.extent(equation.batch).names if _has_batch(equation) else ():
        numbers.setdefault(name, batch)
    ranges = {index: int(extent.evaluate(numbers)) for index, extent in equation.extents}
    tensors = {}
    for tensor in (*equation.tensors, *equation.inner, equation.output):
        shape = _shape(equation, tensor, numbers, batch)
        factors = _factors(equation, tensor, shape, ranges, numbers)
        for name, outside in ((tensor.name, tensor.outside), (tensor.gradient, NO_OUTSIDE)):
            if name not in tensors or name == tensor.name:
                tensors[name] = _stored(name, arrays.get(name), shape, outside, factors, equation)
    for name, array in arrays.items():  # tensors of neighbouring equations
        if name not in tensors:
            none = (None,) * np.ndim(array)
            tensors[name] = _stored(name, array, np.shape(array), NO_OUTSIDE, none, equation)
    return Scope(tensors, ranges | dict(extents)), numbers


def dtype_of(equation: Equation, arrays: Arrays) -> np.dtype[Any]:
    """``np.result_type`` of what is read; class indices decide only if there is nothing else."""
    labels = {t.name for t in equation.tensors if t.integer}
    read = [np.asarray(a) for name, a in arrays.items() if name not in labels]
    found = read or [np.asarray(a) for a in arrays.values()]
    if any(a.dtype == object for a in found):
        return np.dtype(object)
    return np.result_type(*found) if found else np.dtype(np.int64)


def as_array(values: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The values as an array; where ``dtype`` cannot hold them exactly, a wider one."""
    if dtype.kind in "biu":
        if all(isinstance(v, int) for v in values):
            dtype = dtype if _fits(values, dtype) else np.dtype(object)
        else:
            dtype = np.dtype(np.float64)
    if dtype.kind == "f" and any(isinstance(v, complex) for v in values):
        dtype = np.dtype(np.complex128)
    result = np.empty(prod(shape), dtype)
    for k, value in enumerate(values):
        result[k] = value
    return result.reshape(shape)


def _fits(values: list[int], dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "b":
        return all(v in (0, 1) for v in values)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return all(low <= v <= high for v in values)


def _unknown(equation: Equation) -> str:
    known = {name for name, _ in equation.values}
    extents = [e for i, e in equation.extents if i != equation.batch]
    every = (*equation.tensors, *equation.inner, equation.output)
    extents += [e for tensor in every for e in tensor.shape]
    return ", ".join(dict.fromkeys(n for e in extents for n in e.names if n not in known))


def _has_batch(equation: Equation) -> bool:
    return equation.batch in dict(equation.extents)


def _batched(equation: Equation, tensor: Tensor) -> bool:
    """Whether a tensor carries the batch; what is computed by reducing over it does not."""
    return equation.rank(tensor) > len(tensor.shape)


def _batch(equation: Equation, arrays: Arrays) -> int:
    """The batch size that all arrays agree on (1 if nothing carries it)."""
    found: dict[str, int] = {}
    for tensor in (*equation.tensors, *equation.inner, equation.output):
        for name in (tensor.name, tensor.gradient):
            if name in arrays and _batched(equation, tensor):
                if np.ndim(arrays[name]) != len(tensor.shape) + 1:
                    raise UsageError(
                        f"{name} has shape {np.shape(arrays[name])}; one batch axis and "
                        f"{len(tensor.shape)} more are needed"
                    )
                found[name] = np.shape(arrays[name])[0]
    if len(set(found.values())) > 1:
        raise UsageError(f"the batch sizes differ: {found}")
    return next(iter(found.values()), 1)


def _shape(
    equation: Equation, tensor: Tensor, numbers: Mapping[str, int], batch: int
) -> tuple[int, ...]:
    sizes = tuple(int(extent.evaluate(numbers)) for extent in tensor.shape)
    return (batch, *sizes) if _batched(equation, tensor) else sizes


def _stored(
    name: str,
    array: Array | None,
    shape: tuple[int, ...],
    outside: str,
    factors: Factors,
    equation: Equation,
) -> Stored:
    if array is None:
        return Stored(name, _missing(name), shape, outside, factors)
    if np.shape(array) != shape:
        raise UsageError(
            f"{name} has shape {np.shape(array)}, but {equation.text} takes {shape} at these sizes"
        )
    return Stored(name, np.ravel(np.asarray(array)).item, shape, outside, factors)


def _missing(name: str) -> Any:
    def item(_: int) -> Any:
        raise UsageError(f"no values are given for {name}")

    return item


def _factors(
    equation: Equation,
    tensor: Tensor,
    shape: tuple[int, ...],
    ranges: Mapping[str, int],
    numbers: Mapping[str, int],
) -> Factors:
    """How far the parts of each composed axis run, from how the equation writes the axis."""
    made = [s.lhs for s in equation.statements if s.lhs.tensor == tensor.name]
    written = made or [r for s in equation.statements for r in reads(s.rhs, tensor.name)]
    offset = len(shape) - len(tensor.shape)
    result: list[tuple[int, ...] | None] = []
    for k in range(len(shape)):
        found = {_parts(read.axes[k], ranges) for read in written} - {None}
        if not found and k >= offset:
            found = {_product(tensor.shape[k - offset], numbers)}
        result.append(found.pop() if len(found) == 1 else None)
    return tuple(result)


def _parts(axis: Subscript, ranges: Mapping[str, int]) -> tuple[int, ...] | None:
    """The extents of an axis composed of single indices, else None."""
    bare = [part.bare for part in axis]
    if len(axis) < 2 or any(name is None for name in bare):
        return None
    return tuple(ranges[name] for name in bare if name is not None)


def _product(extent: Affine, numbers: Mapping[str, int]) -> tuple[int, ...] | None:
    """The factors of an extent written as a product of names, ``G*C`` say."""
    if len(extent.terms) != 1 or extent.terms[0][1] != 1 or not extent.is_whole:
        return None
    return tuple(numbers[name] for name in extent.terms[0][0])
