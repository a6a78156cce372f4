"""The matrices of :mod:`derive.toom` in a kernel: constants, and variables of the arrays' dtype."""

from __future__ import annotations

import re

from ..programs import Constant
from ..toom import Matrix, toom
from .patches import Axis, Blocks
from .snippets import expression

MEANING = {
    "A": "point values of F({m}, {r}) to its {m} outputs",
    "B": "{n} inputs of F({m}, {r}) to their point values",
    "G": "{r} taps of F({m}, {r}) to their point values",
}


def constants(blocks: Blocks, lines: str) -> tuple[Constant, ...]:
    """``B43`` for one axis, and ``B43_B43 = np.kron(B43, B43)`` where there are two.

    Only those that ``lines`` of a function read.
    """
    found: dict[str, Constant] = {}
    axes = _tapped(blocks)
    for letter in "ABG":
        for axis in axes:
            constant = _matrix(letter, axis)
            found[constant.name] = constant
        if len(axes) == 2 and letter == "G":
            names = [named(letter, axis) for axis in axes]
            told = "The same along two axes at once: one row for every pair of rows."
            value = expression(f"np.kron({', '.join(names)})")
            found["_".join(names)] = Constant("_".join(names), value, told)
    words = set(re.findall(r"\w+", lines))
    read = words | {part for word in words & set(found) for part in word.split("_")}
    return tuple(constant for name, constant in found.items() if name in read)


def matrices(blocks: Blocks, letter: str) -> str:
    """The constant that transforms all taps at once."""
    return "_".join(named(letter, axis) for axis in _tapped(blocks))


def _tapped(blocks: Blocks) -> list[Axis]:
    return [axis for axis in blocks.axes if axis.window.taps > 1]


def named(letter: str, axis: Axis) -> str:
    """The constant that transforms along one axis."""
    return f"{letter}{axis.outputs}{axis.window.taps}"


def local(letter: str, turned: bool) -> str:
    """The variable that a transform, or its transpose, is in."""
    return f"{letter}_turned" if turned else letter


def along(blocks: Blocks, letter: str, turned: bool) -> tuple[str, str]:
    """Those along the outer and the inner axis: one if both are alike, or if there is but one."""
    outer, inner = _outer_inner(blocks)
    name = local(letter, turned)
    if named(letter, outer) == named(letter, inner):
        return name, name
    return f"{name}_outer", f"{name}_inner"


def along_axes(blocks: Blocks, letter: str, turned: bool) -> dict[str, str]:
    """Those variables, and what they are set to."""
    axes = zip(along(blocks, letter, turned), _outer_inner(blocks), strict=True)
    return {name: cast(named(letter, axis), turned) for name, axis in axes}


def cast(matrix: str, turned: bool) -> str:
    """A transform in the arrays' own dtype, its rows in one piece."""
    return matrix + ('.T.astype(dtype, order="C")' if turned else ".astype(dtype)")


def _outer_inner(blocks: Blocks) -> tuple[Axis, Axis]:
    """The axes with a window; the inner one twice if there is no other."""
    inner = blocks.axes[blocks.inner]
    return (inner if blocks.outer is None else blocks.axes[blocks.outer]), inner


def _matrix(letter: str, axis: Axis) -> Constant:
    m, r = axis.outputs, axis.window.taps
    found = toom(m, r)
    rows: Matrix = {"A": found.values, "B": found.inputs, "G": found.filters}[letter]
    listed = ", ".join(f"[{', '.join(map(str, row))}]" for row in rows)
    over = f" / {found.denominator}" if letter == "G" and found.denominator > 1 else ""
    points = ", ".join(_point(p) for p in found.points)
    told = MEANING[letter].format(m=m, r=r, n=found.size)
    doc = f"{told[0].upper()}{told[1:]}; the points are {points}."
    return Constant(named(letter, axis), expression(f"np.array([{listed}]){over}"), doc)


def _point(point: tuple[int, int]) -> str:
    a, b = point
    return "∞" if b == 0 else f"{a}" if b == 1 else f"{a}/{b}"
