"""How much memory the functions of a program own: the buffers that they ask the helpers for."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ..programs import Array, Binary, Function, Invoke, Literal, Name, Tuple, arrays

FLOAT = 4
"""Bytes of a float32."""


ROOM = ("dtype",)
"""Parameters of a function that makes what another one keeps between calls."""


def scratch(functions: Iterable[Function]) -> int:
    """Bytes of all their buffers in float32; one that several of them share counts once.

    Raises ``ValueError`` for a buffer whose sizes are not written out: it could grow with the
    batch.
    """
    found: dict[str, int] = {}
    for function in functions:
        for number, array in enumerate(arrays(function.body)):
            match array:
                case Invoke("np.zeros" | "np.ones", (Tuple(sizes), *dtypes)) if (
                    function.parameters == ROOM
                ):
                    each = _bytes(dtypes[0]) if dtypes else FLOAT
                    found[f"{function.name} {number}"] = each * prod(map(_size, sizes))
                case Invoke("_scratch" | "_diagonals", (Literal(name), Tuple(sizes), dtype, *_)):
                    found[f"{name} {sizes}"] = _bytes(dtype) * prod(map(_size, sizes))
                case Invoke("_shared", (Literal(name), size, *_)):  # as large as it ever is
                    found[name] = max(found.get(name, 0), FLOAT * _size(size))
                case Invoke("_scratch" | "_diagonals", _):
                    raise ValueError(
                        f"{function.name}: the sizes of a buffer are to be written out"
                    )
    return sum(found.values())


def _bytes(dtype: Array) -> int:
    """Of a number: flags and codes take one each."""
    match dtype:
        case Invoke("np.dtype", (Name("bool") | Literal('"u1"'),)):
            return 1
    return FLOAT


def _size(array: Array) -> int:
    match array:
        case Literal(text) if text.isdecimal():
            return int(text)
        case Binary("*", left, right):
            return _size(left) * _size(right)
        case Binary("+", left, right):
            return _size(left) + _size(right)
    raise ValueError(f"{array} is no size that is written out")
