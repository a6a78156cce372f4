"""A linear layer as one sparse matrix C: vec(y) = C·vec(x) + vec(b), and ∂L/∂x = Cᵀ·g."""

from __future__ import annotations

from itertools import product
from math import prod

from ...affine import Affine
from ...documents import (
    Block,
    Display,
    Grid,
    Heading,
    Math,
    Numeral,
    Operator,
    Paragraph,
    Row,
    Scripts,
    Symbol,
)
from ...equations import Tensor
from ...expressions import ONE, ZERO, Call, Expr, Read, reads
from ..mathematics.notation import EQUALS, PLUS, TIMES, names_of
from ..mathematics.terms import factors
from ..phrases import Slot
from .entries import Frame, entry, positions
from .sheet import Sheet

COLUMNS, ROWS = 10, 12
LETTERS = "CMA"
"""Letters of the matrix; the first that the equation does not have."""

Cells = dict[tuple[tuple[int, ...], tuple[int, ...]], Expr]
"""(position in y, position in x) → the coefficient."""
Offsets = dict[tuple[int, ...], Expr]
"""position in y → what is added there whatever x is: a bias."""


def matrix_blocks(sheet: Sheet) -> list[Block]:
    """The matrix where it fits, and how many weights stand in it; nothing where it does not."""
    here, frame = sheet.here, sheet.frame
    if here is None or frame is None or sheet.taps is None or not sheet.taps.tensor or here.given:
        return []
    x, y = here.data[0], here.output
    inputs, outputs = prod(x.sizes()), prod(y.sizes())
    parted = cells(sheet, frame, x) if inputs <= COLUMNS and outputs <= ROWS else None
    if parted is None:
        return []
    say, weights = sheet.say, prod(frame.shapes[sheet.taps.tensor])
    found, offsets = parted
    names: dict[str, Slot] = {"tensor": Symbol(x.name), "output": Symbol(y.name)}
    names |= {"matrix": _letter(sheet), "g": sheet.upstream()}
    counts: dict[str, Slot] = {"rows": outputs, "columns": inputs, "shared": weights}
    counts |= {"cells": inputs * outputs, "nonzero": len(found)}
    return [
        Heading(1, say.say("headings.matrix")),
        Paragraph(say.say(f"matrix.{'affine' if offsets else 'linear'}", names)),
        Display((_forward(found, offsets, x, y, sheet),), name="matrix"),
        Paragraph(say.say("matrix.toeplitz")),
        Paragraph(say.say("matrix.transpose", names)),
        Display((_backward(found, x, y, sheet),), name="matrix_transposed"),
        Paragraph(say.say("matrix.counts", counts)),
    ]


def cells(sheet: Sheet, frame: Frame, x: Tensor) -> tuple[Cells, Offsets] | None:
    """The coefficient of every x in every y, and the rest; None unless y is affine in x."""
    found: Cells = {}
    offsets: Offsets = {}
    solved = sheet.derivation.resolved
    statement = sheet.one(sheet.equation.at_sizes().forward if solved is None else solved.gather)
    for position in positions(statement, frame):
        for part in entry(statement, position, frame):
            if part.op not in ("", "sum"):
                return None
            for one in part.products:
                body = one.body if part.sign > 0 else -one.body
                if not reads(body, x.name):
                    offsets[position] = offsets[position] + body if position in offsets else body
                    continue
                split = _coefficient(body, x)
                if split is None or (position, split[0]) in found:
                    return None
                found[position, split[0]] = split[1]
    return found, offsets


def _coefficient(body: Expr, x: Tensor) -> tuple[tuple[int, ...], Expr] | None:
    """(place of x, its factor) of a product that has x once as a factor."""
    if isinstance(body, Call) and body.fn == "neg":
        inner = _coefficient(body.args[0], x)
        return None if inner is None else (inner[0], -inner[1])
    parts = factors(body)
    held = [p for p in parts if isinstance(p, Read) and p.tensor == x.name]
    rest = [p for p in parts if p not in held]
    if len(held) != 1 or _any(rest, x.name):
        return None
    return tuple(axis[0].number or 0 for axis in held[0].axes), _product(rest)


def _letter(sheet: Sheet) -> Symbol:
    taken = names_of(sheet.equation)
    return Symbol(next((letter for letter in LETTERS if letter not in taken), LETTERS[-1]))


def _any(exprs: list[Expr], tensor: str) -> bool:
    return any(reads(e, tensor) for e in exprs)


def _product(parts: list[Expr]) -> Expr:
    out: Expr = ONE
    for part in parts:
        out = part if out == ONE else Call("mul", (out, part))
    return out


def _places(tensor: Tensor) -> list[tuple[int, ...]]:
    return list(product(*map(range, tensor.sizes())))


def _column(name: str, tensor: Tensor, sheet: Sheet) -> Math:
    """A tensor as one column, row-major."""
    return Grid(
        tuple(
            (sheet.number(Read(name, tuple((Affine.of(k),) for k in place))),)
            for place in _places(tensor)
        )
    )


def _cell(value: Expr, sheet: Sheet) -> Math:
    return Numeral("0") if value == ZERO else sheet.number(value)


def _forward(
    found: Cells, offsets: Offsets, x: Tensor, y: Tensor, sheet: Sheet
) -> tuple[Math, tuple[Math, ...]]:
    rows = tuple(
        tuple(_cell(found.get((o, i), ZERO), sheet) for i in _places(x)) for o in _places(y)
    )
    right: tuple[Math, ...] = (EQUALS, Grid(rows), TIMES, _column(x.name, x, sheet))
    if offsets:
        added = (_cell(offsets.get(place, ZERO), sheet) for place in _places(y))
        right = (*right, PLUS, Grid(tuple((cell,) for cell in added)))
    return _column(y.name, y, sheet), (Row(right),)


def _backward(found: Cells, x: Tensor, y: Tensor, sheet: Sheet) -> tuple[Math, tuple[Math, ...]]:
    rows = tuple(
        tuple(_cell(found.get((o, i), ZERO), sheet) for o in _places(y)) for i in _places(x)
    )
    left = sheet.number(Read(x.gradient, ()))
    transposed = Scripts(_letter(sheet), sup=Operator("⊤"))
    pieces = (EQUALS, transposed, TIMES, sheet.upstream(), EQUALS, Grid(rows), TIMES)
    return left, (Row((*pieces, _column(y.gradient, y, sheet))),)
