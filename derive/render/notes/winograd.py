"""Winograd's kernel explained: one small case by hand, the matrices, the counts, the adjoint.

Everything shown is read from what the kernel is made of: the matrices of :mod:`derive.toom` and
the steps of :mod:`derive.bilinear`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod

from ...bilinear import Apply, Multiply, Put, Step, Take, adjoint, correlation
from ...documents import (
    Big,
    Block,
    Cases,
    Display,
    Fenced,
    Fraction,
    Grid,
    Heading,
    Inline,
    Math,
    Numeral,
    Operator,
    Paragraph,
    Row,
    Scripts,
    Symbol,
    Table,
    Upright,
)
from ...toom import Matrix, Toom, toom
from ..mathematics.notation import EQUALS, MINUS, PLUS, TIMES
from ..phrases import Phrases, Slot

SMALL = (2, 3)
"""Outputs and taps of the case that is written out."""
TOP = Operator("⊤")
ENTRYWISE = Operator("⊙")
NAMES = {
    "wide": "x",
    "kernel": "w",
    "narrow": "y",
    "patches": "D",
    "points": "V",
    "kernels": "U",
    "sums": "M",
    "ends": "Y",
}


def winograd_blocks(used: Sequence[Toom], say: Phrases) -> list[Block]:
    """The section; ``used`` has the matrices of every axis with a window, in order."""
    first = used[0]
    slots = {"outputs": first.outputs, "taps": first.taps, "size": first.size}
    counts = {"direct": first.outputs * first.taps}
    return [
        Heading(1, say.say("winograd.heading")),
        Paragraph(say.say("winograd.idea", {**slots, **counts})),
        *_by_hand(toom(*SMALL), say),
        *_matrices(tuple(dict.fromkeys(used)), say),
        *_counts(used, say),
        *_adjoint(used, say),
        Paragraph(say.say("winograd.error")),
    ]


# -- one case by hand ---------------------------------------------------------------------------
def _by_hand(found: Toom, say: Phrases) -> list[Block]:
    """Direct sums, products of sums, outputs from products."""
    d = [_indexed("d", t) for t in range(found.size)]
    g = [_indexed("g", u) for u in range(found.taps)]
    m = [_indexed("m", k + 1) for k in range(found.size)]
    y = [_indexed("y", i) for i in range(found.outputs)]
    direct = [
        (y[i], (_equal(_sum([Row((d[i + u], g[u])) for u in range(found.taps)])),))
        for i in range(found.outputs)
    ]
    products = [
        (m[k], (_equal(Row((_bracketed(_combined(b, d)), TIMES, _over(row, g, found)))),))
        for k, (b, row) in enumerate(zip(found.inputs, found.filters, strict=True))
    ]
    outputs = [(y[i], (_equal(_combined(found.values[i], m)),)) for i in range(found.outputs)]
    slots = {"outputs": found.outputs, "taps": found.taps, "size": found.size}
    slots["direct"] = found.outputs * found.taps
    return [
        Heading(2, say.say("winograd.hand", slots)),
        Display(tuple(direct), name="winograd_direct"),
        Paragraph(say.say("winograd.products", slots)),
        Display(tuple(products), name="winograd_products"),
        Display(tuple(outputs), name="winograd_outputs"),
        Paragraph(say.say("winograd.once", slots)),
    ]


def _over(row: Sequence[int], names: Sequence[Math], found: Toom) -> Math:
    """A row of G: a sum over the common denominator, in lowest terms."""
    common = gcd(*row, found.denominator)
    bottom = found.denominator // common
    top = _combined([entry // common for entry in row], names)
    return _bracketed(top) if bottom == 1 else Fraction(top, Numeral(str(bottom)))


def _bracketed(value: Math) -> Math:
    several = isinstance(value, Row) and any(item in (PLUS, MINUS) for item in value.items)
    return Fenced("(", value, ")") if several else value


def _combined(row: Sequence[int], names: Sequence[Math]) -> Math:
    """Σ row[k]·names[k] without zeros; a positive term comes first, if there is one."""
    terms = [(entry, name) for entry, name in zip(row, names, strict=True) if entry]
    lead = next((k for k, (entry, _) in enumerate(terms) if entry > 0), 0)
    terms = [terms[lead], *terms[:lead], *terms[lead + 1 :]]
    out: list[Math] = []
    for entry, name in terms:
        if out or entry < 0:
            out.append(PLUS if entry > 0 else MINUS)
        if abs(entry) != 1:
            out += [Numeral(str(abs(entry))), TIMES]
        out.append(name)
    return out[0] if len(out) == 1 else Row(tuple(out))


def _sum(items: Sequence[Math]) -> Math:
    out: list[Math] = []
    for item in items:
        out += [PLUS, item] if out else [item]
    return Row(tuple(out))


# -- matrices -----------------------------------------------------------------------------------
def _matrices(used: Sequence[Toom], say: Phrases) -> list[Block]:
    """The identity, and the matrices at their points."""
    sides = [Fenced("(", _applied(*pair), ")") for pair in (("G", Symbol("g")), ("B", Symbol("d")))]
    inner = Row((sides[0], ENTRYWISE, sides[1]))
    formula = (Symbol("y"), (_equal(Row((Symbol("A"), TIMES, Fenced("(", inner, ")")))),))
    out: list[Block] = [
        Heading(2, say.say("winograd.matrices")),
        Paragraph(say.say("winograd.form")),
        Display((formula,), name="winograd"),
    ]
    for found in used:
        slots = {"outputs": found.outputs, "taps": found.taps, "size": found.size}
        out.append(Paragraph(say.say("winograd.points", slots, points=_points(found))))
        below = Fraction(Numeral("1"), Numeral(str(found.denominator)))
        filters = (
            (below, _grid(found.filters)) if found.denominator > 1 else (_grid(found.filters),)
        )
        rows = [
            (Symbol("A"), (_equal(_grid(found.values)),)),
            (Symbol("G"), (_equal(Row(filters)),)),
            (Symbol("B"), (_equal(_grid(found.inputs)),)),
        ]
        out.append(Display(tuple(rows), name=f"winograd_{found.outputs}_{found.taps}"))
    return [*out, *_identity(used, say)]


def _identity(used: Sequence[Toom], say: Phrases) -> list[Block]:
    """What was compared: one number for every output, tap and input."""
    entries = [Scripts(Symbol(n), sub=_side(s)) for n, s in (("A", "ik"), ("G", "ku"), ("B", "kt"))]
    one = Row((Symbol("t"), EQUALS, Symbol("i"), PLUS, Symbol("u")))
    cases = Cases(((Numeral("1"), one), (Numeral("0"), Upright(say.words("winograd.else")))))
    left = Big("∑", (Symbol("k"),), Row(tuple(entries)))
    count = sum(f.outputs * f.taps * f.size for f in used)
    return [
        Paragraph(say.say("winograd.identity")),
        Display(((left, (_equal(cases),)),), name="winograd_identity"),
        Paragraph(say.say("winograd.compared", count=count)),
    ]


def _points(found: Toom) -> tuple[Inline, ...]:
    """0, 2/3, −2/3, ... , ∞."""
    out: list[Inline] = []
    for a, b in found.points:
        if out:
            out.append(", ")
        whole: Math = Numeral(str(abs(a)) if b == 1 else f"{abs(a)}/{b}")
        out.append(Operator("∞") if b == 0 else Row((MINUS, whole)) if a < 0 else whole)
    return tuple(out)


def _grid(rows: Matrix) -> Grid:
    return Grid(tuple(tuple(_number(entry) for entry in row) for row in rows))


def _number(entry: int) -> Math:
    return Row((MINUS, Numeral(str(-entry)))) if entry < 0 else Numeral(str(entry))


# -- counts -------------------------------------------------------------------------------------
def _counts(used: Sequence[Toom], say: Phrases) -> list[Block]:
    """Multiplications of one tile, for a pair of a channel and a filter."""
    direct = prod(f.outputs * f.taps for f in used)
    fast = prod(f.size for f in used)
    by = f"{direct / fast:.2f}".rstrip("0").rstrip(".")
    header = tuple(say.say(f"winograd.{key}") for key in ("tile", "by_sum", "by_points", "saved"))
    rows = []
    if len(used) > 1:
        rows = [_row(f"{f.outputs}", f.outputs * f.taps, f.size) for f in dict.fromkeys(used)]
    rows.append(_row("×".join(str(f.outputs) for f in used), direct, fast))
    out: list[Block] = [Heading(2, say.say("winograd.counts"))]
    if len(used) > 1:
        out.append(Paragraph(say.say("winograd.two_axes")))
    slots: dict[str, Slot] = {"direct": direct, "fast": fast, "by": by}
    return [*out, Table(header, tuple(rows)), Paragraph(say.say("winograd.saves", slots))]


def _row(tile: str, direct: int, fast: int) -> tuple[tuple[Inline, ...], ...]:
    by = f"{direct / fast:.2f}".rstrip("0").rstrip(".")
    return ((tile,), (str(direct),), (str(fast),), (by,))


# -- the adjoint --------------------------------------------------------------------------------
def _adjoint(used: Sequence[Toom], say: Phrases) -> list[Block]:
    """The steps forwards, and the same steps transposed in reverse order."""
    size = tuple(f.size for f in used)
    steps = correlation(size, tuple(f.outputs for f in used))
    turned = adjoint(steps, ("wide", "kernel"))
    back = [step for step in turned if step.made.startswith("d")]
    return [
        Heading(2, say.say("winograd.steps")),
        Paragraph(say.say("winograd.forwards")),
        Display(tuple(_shown(step, say) for step in steps), name="winograd_steps"),
        Paragraph(say.say("winograd.turned")),
        Display(tuple(_shown(step, say) for step in back), name="winograd_adjoint"),
        Paragraph(say.say("winograd.shared")),
    ]


def _shown(step: Step, say: Phrases) -> tuple[Math, tuple[Math, ...]]:
    match step:
        case Take(made, of, _, _):
            return _value(made), (_equal(_called(say.words("winograd.take"), of)),)
        case Put(made, of, _, _):
            return _value(made), (_equal(_called(say.words("winograd.put"), of)),)
        case Apply(made, matrix, of, turned):
            return _value(made), (_equal(_applied(matrix, _value(of), turned=turned)),)
        case Multiply(made, left, right, axes):
            first, second, result = (part[1:] for part in axes.replace("->", ",").split(","))
            summed = next(letter for letter in first if letter not in result)
            one = _point(left, turned=first.startswith(summed))
            two = _point(right, turned=second.endswith(summed))
            return Scripts(_value(made), sub=Symbol("k")), (_equal(Row((one, TIMES, two))),)


def _value(name: str) -> Math:
    plain = name.removeprefix("d")
    return Symbol(NAMES[name]) if name in NAMES else Symbol(f"d{NAMES[plain]}")


def _point(name: str, *, turned: bool) -> Math:
    """A value at point k, a matrix; turned where its rows are summed over."""
    return Scripts(_value(name), sub=Symbol("k"), sup=TOP if turned else None)


def _called(word: str, of: str) -> Math:
    return Row((Upright(word), Fenced("(", _value(of), ")")))


def _applied(matrix: str, value: Math, *, turned: bool = False) -> Math:
    letter: Math = Symbol(matrix)
    return Row((Scripts(letter, sup=TOP) if turned else letter, TIMES, value))


def _indexed(name: str, number: int) -> Math:
    return Scripts(Symbol(name), sub=Numeral(str(number)))


def _side(letters: str) -> Math:
    return Row(tuple(Symbol(letter) for letter in letters))


def _equal(value: Math) -> Math:
    return Row((EQUALS, value))
