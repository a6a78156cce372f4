"""Small matrices of entries: the input, the kernel, the padded upstream gradient.

With one colour for every kernel tap, the rotation by 180° can be seen before it is read.
"""

from __future__ import annotations

from itertools import product

from ...affine import Affine
from ...derivations import AxisForm, Form, Gradient
from ...documents import Grid, Math, Numeral, Operator, Row
from ...expressions import Read, reads
from ..mathematics.notation import EQUALS
from .entries import Frame
from .sheet import Sheet

WIDEST, HIGHEST = 13, 10
"""Columns of all grids in one line, and rows of the highest."""

Table = dict[tuple[int, ...], Math]


def entry_grid(tensor: str, shape: tuple[int, ...], sheet: Sheet) -> Math:
    """All entries of a tensor of one or two axes."""
    cells = {place: _cell(tensor, place, sheet) for place in product(*map(range, shape))}
    return grid(cells, shape)


def grid(cells: Table, shape: tuple[int, ...]) -> Math:
    """The cells as a matrix, zeros where there are none; one axis is one row."""
    rows = range(shape[0]) if len(shape) == 2 else range(1)
    zero = Numeral("0")
    return Grid(
        tuple(
            tuple(cells.get((r, c) if len(shape) == 2 else (c,), zero) for c in range(shape[-1]))
            for r in rows
        )
    )


def _cell(tensor: str, place: tuple[int, ...], sheet: Sheet) -> Math:
    return sheet.number(Read(tensor, tuple((Affine.of(k),) for k in place)))


def fit(*shapes: tuple[int, ...]) -> bool:
    """Whether matrices of these shapes stand side by side on a page."""
    high = max((s[0] for s in shapes if len(s) == 2), default=1)
    return sum(s[-1] for s in shapes) <= WIDEST and high <= HIGHEST


def forward_grids(sheet: Sheet, frame: Frame) -> tuple[Math, tuple[Math, ...]] | None:
    """The line y = x ⋆ w, entry by entry, for a plain convolution without channels."""
    taps, here = sheet.taps, sheet.here
    if taps is None or here is None or not taps.tensor or len(here.data) != 1 or here.given:
        return None
    x, y = here.data[0], here.output
    shapes = tuple(frame.shapes[name] for name in (y.name, x.name, taps.tensor))
    plain = all(len(s) == len(taps.names) <= 2 for s in shapes) and fit(*shapes)
    sums = all(y_ == x_ - k + 1 for y_, x_, k in zip(*shapes, strict=True)) if plain else False
    if not sums or len(here.tensors) != 2:
        return None
    left, image, kernel = (
        entry_grid(name, shape, sheet)
        for name, shape in zip((y.name, x.name, taps.tensor), shapes, strict=True)
    )
    sign = Operator("∗" if turned(sheet) else "⋆")
    return left, (Row((EQUALS, image, sign, kernel)),)


def turned(sheet: Sheet) -> bool:
    """Whether the forward equation reads its window backwards, as true convolution does."""
    equation, taps = sheet.here, sheet.taps
    if equation is None or taps is None:
        return False
    parts = [
        part
        for tensor in (*equation.data, *equation.inner)
        for statement in equation.statements
        for read in reads(statement.rhs, tensor.name)
        for axis in read.axes
        for part in axis
    ]
    signs = [part.coefficient(name).number or 0 for part in parts for name in taps.names]
    return any(sign < 0 for sign in signs)


def form_grids(
    gradient: Gradient, form: Form, sheet: Sheet, frame: Frame
) -> tuple[Math, tuple[Math, ...]] | None:
    """The padded source and the turned or dilated kernel of a recognised form."""
    sizes = [_numbers(axis) for axis in form.axes]
    known = [s for s in sizes if s is not None]
    if not _drawable(gradient, form, frame) or len(known) != len(sizes):
        return None
    source_shape, kernel_shape = frame.shapes[form.source], frame.shapes[form.kernel]
    padded = tuple(
        low + spread * (n - 1) + 1 + high
        for n, (_, _, spread, low, high) in zip(source_shape, known, strict=True)
    )
    dilated = tuple(d * (k - 1) + 1 for k, (_, d, *_) in zip(kernel_shape, known, strict=True))
    if min(padded) < 1 or not fit(padded, dilated):
        return None
    source: Table = {
        tuple(low + spread * k for k, (_, _, spread, low, _) in zip(place, known, strict=True)): (
            _cell(form.source, place, sheet)
        )
        for place in product(*map(range, source_shape))
    }
    kernel: Table = {}
    for place in product(*map(range, kernel_shape)):
        moved = zip(place, kernel_shape, known, form.axes, strict=True)
        target = tuple(d * (n - 1 - k if a.flipped else k) for k, n, (_, d, *_), a in moved)
        kernel[target] = _cell(form.kernel, place, sheet)
    left = sheet.number(Read(gradient.gather.lhs.tensor, ()))
    return left, (Row((EQUALS, grid(source, padded), Operator("⋆"), grid(kernel, dilated))),)


def _numbers(axis: AxisForm) -> tuple[int, int, int, int, int] | None:
    """Stride, dilation, spread, low and high padding, if all are numbers."""
    values = (axis.stride, axis.dilation, axis.spread, axis.low, axis.high)
    found = tuple(v.number for v in values if v is not None)
    if len(found) != 5 or any(n is None for n in found) or found[0] != 1:
        return None
    a, b, c, d, e = (n or 0 for n in found)
    return a, b, c, d, e


def _drawable(gradient: Gradient, form: Form, frame: Frame) -> bool:
    """One or two axes, all of them slid over, in the same order in source and kernel."""
    rank = len(form.axes)
    if not 1 <= rank <= 2 or any(axis.reversed for axis in form.axes):
        return False
    if any(len(frame.shapes[name]) != rank for name in (form.source, form.kernel)):
        return False
    kernels = reads(gradient.gather.rhs, form.kernel)
    if len(kernels) != 1:
        return False
    order = [axis[0].bare for axis in kernels[0].axes][-rank:]
    return order == [axis.tap for axis in form.axes]
