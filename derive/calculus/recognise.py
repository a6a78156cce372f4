"""Textbook names for a gradient: proposed from its subscripts, then proved.

A gather form Σ source[(σ·o + δ·k − low)/ρ]·kernel[k] is a correlation of the source, spread
with ρ − 1 zeros between its entries and padded by ``low``, with the kernel dilated by δ, taken
at every σ-th place. Where the tap enters with a minus sign, k = K − 1 − k′ turns the kernel by
180°. Proved means: the subscript rebuilt from these numbers equals the derived one exactly,
and every condition of the sum says no more than "between the spread entries, and inside the
padding, there are zeros".

"Full convolution with rot180(w)" is the case ρ = σ = δ = 1 with padding K − 1 on both sides; an
axis with one tap has no dilation, and a source with one entry has nothing to spread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..affine import Affine
from ..derivations import AxisForm, Form, Gradient
from ..equations import Equation
from ..expressions import Call, Condition, Divides, Expr, Read, Reduce, Within

Reasons = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def recognise(gradient: Gradient, equation: Equation) -> Form:
    """The textbook form of ``gradient.gather`` (kind ``none`` if it has none)."""
    gather = gradient.gather
    factors, over, where = _product(gather.rhs)
    if len(factors) == 1 and isinstance(factors[0], Read) and not where:
        return Form("sum", source=factors[0].tensor)
    if len(factors) != 2 or not all(isinstance(f, Read) for f in factors):
        return Form("none")
    one, two = (f for f in factors if isinstance(f, Read))
    for source, kernel in ((one, two), (two, one)):
        form = _correlation(source, kernel, gather.lhs, over, where, equation)
        if form is not None:
            return form
    plain = all(p.bare for read in (one, two) for axis in read.axes for p in axis)
    return Form("product", source=one.tensor, kernel=two.tensor) if plain else Form("none")


def _product(expr: Expr) -> tuple[tuple[Expr, ...], tuple[str, ...], tuple[Condition, ...]]:
    """Factors, summed indices and conditions of a single sum of products."""
    over: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    body = expr
    if isinstance(expr, Reduce) and expr.op == "sum":
        body, over, where = expr.body, expr.over, expr.where
    if isinstance(body, Call) and body.fn == "mul":
        return body.args, over, where
    return (body,), over, where


@dataclass(frozen=True)
class _Slide:
    """One axis that is slid over: its subscript in the source, and the sizes around it."""

    subscript: Affine
    out: str
    tap: str
    extent: Affine  # of the source
    taps: Affine  # of the kernel
    reach: Affine  # of the result


def _correlation(
    source: Read,
    kernel: Read,
    lhs: Read,
    over: tuple[str, ...],
    where: tuple[Condition, ...],
    equation: Equation,
) -> Form | None:
    slides = _slides(source, kernel, lhs, over, equation)
    if not slides:
        return None
    axes = tuple(_axis(slide) for slide in slides)
    explained: set[Condition] = set()
    for axis, slide in zip(axes, slides, strict=True):
        if _rebuilt(axis, slide) != slide.subscript:
            return None
        explained.add(Divides(slide.subscript.denominator, slide.subscript.numerator))
        explained.add(Within(slide.subscript, slide.extent))
    if not all(condition in explained for condition in where):
        return None
    plain = tuple(_without_idle(a, s) for a, s in zip(axes, slides, strict=True))
    kind, reasons = _kind(plain, slides)
    if any(len(axis) > 1 for axis in (*lhs.axes, *source.axes)):
        reasons = (*reasons, ("groups", ()))
    return Form(kind, source.tensor, kernel.tensor, plain, reasons)


def _slides(
    source: Read, kernel: Read, lhs: Read, over: tuple[str, ...], equation: Equation
) -> tuple[_Slide, ...] | None:
    """The axes of the source whose subscript mixes a result index and a kernel index."""
    reach = {
        axis[0].bare: _size(Read(lhs.tensor.removeprefix("d"), lhs.axes), number, equation)
        for number, axis in enumerate(lhs.axes)
        if len(axis) == 1
        and number >= len(lhs.axes) - _rank(lhs.tensor.removeprefix("d"), equation)
    }
    steps = {p.bare for axis in kernel.axes for p in axis}
    found = []
    for number, axis in enumerate(source.axes):
        if len(axis) > 1 or axis[0].bare is not None:
            continue
        names = axis[0].numerator.names
        outs = [n for n in names if n in reach]
        taps = [n for n in names if n in over and n in steps]
        if len(outs) != 1 or len(taps) != 1:
            return None
        extent = _size(source, number, equation)
        out, tap = outs[0], taps[0]
        found.append(_Slide(axis[0], out, tap, extent, equation.extent(tap), reach[out]))
    return tuple(found)


def _rank(tensor: str, equation: Equation) -> int:
    return len(equation.tensor(tensor).shape)


def _size(read: Read, number: int, equation: Equation) -> Affine:
    """The size of one axis of a read tensor; ``dy`` is as large as ``y``."""
    every = (*equation.tensors, *equation.inner, equation.output)
    tensor = next(t for t in every if read.tensor in (t.name, t.gradient))
    return tensor.shape[number - (len(read.axes) - len(tensor.shape))]


def _axis(slide: _Slide) -> AxisForm:
    """Read (σ·o + δ·k − low)/ρ off a subscript, turning k (or o) round where its sign is −."""
    above, spread = slide.subscript.numerator, slide.subscript.denominator
    stride, dilation = above.coefficient(slide.out), above.coefficient(slide.tap)
    rest = above - stride * slide.out - dilation * slide.tap
    flipped, backwards = _negative(dilation), _negative(stride)
    if flipped:
        rest, dilation = rest + dilation * (slide.taps - 1), -dilation
    if backwards:
        rest, stride = rest + stride * (slide.reach - 1), -stride
    low = -rest
    length = spread * (slide.extent - 1) + 1
    high = stride * (slide.reach - 1) + dilation * (slide.taps - 1) + 1 - length - low
    return AxisForm(slide.out, slide.tap, stride, dilation, spread, low, high, flipped, backwards)


def _rebuilt(axis: AxisForm, slide: _Slide) -> Affine:
    """The subscript that the form stands for."""
    tap = slide.taps - 1 - axis.tap if axis.flipped else Affine.of(axis.tap)
    out = slide.reach - 1 - axis.out if axis.reversed else Affine.of(axis.out)
    return (axis.stride * out + axis.dilation * tap - axis.low) / axis.spread


def _without_idle(axis: AxisForm, slide: _Slide) -> AxisForm:
    """A single tap has no dilation; a single entry has no neighbour to put zeros before."""
    one = Affine.of(1)
    if slide.taps == one:
        axis = replace(axis, dilation=one)
    return replace(axis, spread=one) if slide.extent == one else axis


def _negative(value: Affine) -> bool:
    """Strides and dilations are positive, so the written sign is the sign."""
    return bool(value.terms) and all(c < 0 for _, c in value.terms)


def _kind(axes: tuple[AxisForm, ...], slides: tuple[_Slide, ...]) -> tuple[str, Reasons]:
    """Which of the textbook sentences holds, and what stands against the simpler ones."""
    if not any(axis.flipped for axis in axes):
        return "correlation", ()
    reasons: dict[str, tuple[tuple[str, str], ...]] = {}
    full = True
    for axis, slide in zip(axes, slides, strict=True):
        whole = slide.taps - 1
        full = full and axis.stride == axis.spread == axis.dilation == Affine.of(1)
        full = full and axis.low == axis.high == whole
        cropped = axis.dilation * whole - axis.low
        left_over = axis.high - (axis.dilation * whole - cropped)
        if axis.spread.number != 1:
            reasons.setdefault("stride", (("stride", str(axis.spread)),))
        if axis.dilation.number != 1:
            reasons.setdefault("dilation", (("dilation", str(axis.dilation)),))
        if cropped.number != 0:
            reasons.setdefault("padding", (("padding", str(cropped)),))
        if left_over.number not in (0, None):
            reasons.setdefault("remainder", (("remainder", str(left_over)),))
    return ("full_convolution", ()) if full else ("convolution", tuple(reasons.items()))
