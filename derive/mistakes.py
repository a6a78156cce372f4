"""The mistakes that are made again and again, as changes of the derived statements.

Each is one change of structure that a person might make in writing the gradient down: a tap
index reversed, a stride or a padding left out, a division rounded. None of them knows a layer;
what a change makes of the numbers is for others to work out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .affine import Affine
from .derivations import Derivation, Gradient
from .equations import Equation, Statement
from .expressions import (
    ONE,
    ZERO,
    Call,
    Expr,
    Number,
    Read,
    Reduce,
    Winner,
    reads,
    rebuild,
    substitute,
    walk,
)


@dataclass(frozen=True)
class Mistake:
    """A statement in the place of the gradient of ``of``.

    ``extents``   how far indices run that the equation does not have
    ``constant``  intermediate tensors whose gradients are taken for 0
    ``left``      what is left out, where the mistake is that
    """

    kind: str
    of: str
    statement: Statement
    extents: tuple[tuple[str, int], ...] = ()
    constant: tuple[str, ...] = ()
    left: Expr | None = None


def mistakes(derivation: Derivation) -> Iterator[Mistake]:
    """Every mistake that changes something in the statements of this derivation, at its sizes."""
    equation = derivation.equation.at_sizes()
    constant = _constant(equation)
    for gradient in derivation.instance:
        name, gather = gradient.of, gradient.raw
        if (turned := _turned(gather, equation)) is not None:
            yield Mistake("turned", name, turned)
        if len(gradient.scatter_steps) == 1:
            yield from _scattered(gradient, equation)
        elif equation.tensor(name).role != "data":
            yield from _collected(name, gather, equation)
        if any(isinstance(node, Winner) for node in walk(gather.rhs)):
            yield from _chosen(name, gather, equation)
        if constant and any(reads(gather.rhs, f"d{t}") for t in constant):
            yield Mistake("constant", name, gather, constant=constant)
        if not equation.loss and not equation.given and not _slides(equation):
            alone = replace(gather, rhs=_without_upstream(gather, equation))
            yield Mistake("upstream", name, alone)
        if not _slides(equation):
            yield from _shortened(gradient, equation)


# -- the kernel reversed -------------------------------------------------------------------------
def _slides(equation: Equation) -> bool:
    """Whether any subscript moves: an index expression that is no single index."""
    found = reads(equation.forward.rhs)
    return any(part.bare is None and part.names for r in found for axis in r.axes for part in axis)


def _turned(gather: Statement, equation: Equation) -> Statement | None:
    """Tap u in the place of K−1−u: in the kernel that is read, or in the kernel's own gradient."""
    moved = _moved(gather.rhs)
    own = {n for axis in gather.lhs.axes for part in axis if (n := part.bare)} & moved
    bound = {i for e in walk(gather.rhs) if isinstance(e, Reduce) for i in e.over} & moved
    if own and bound - {equation.batch} and gather.lhs.tensor in _parameters(equation):
        return replace(gather, rhs=substitute(gather.rhs, _reversed(own, equation)))
    kernels = [
        r
        for r in reads(gather.rhs)
        if r.tensor in {t.name for t in equation.parameters}
        and {n for axis in r.axes for part in axis if (n := part.bare)} & bound
    ]
    if not kernels:
        return None
    back = _reversed(bound, equation)
    changed = {kernel: substitute(kernel, back) for kernel in kernels}
    return replace(
        gather, rhs=_replaced(gather.rhs, lambda e: changed.get(e) if isinstance(e, Read) else None)
    )


def _parameters(equation: Equation) -> set[str]:
    return {tensor.gradient for tensor in equation.parameters}


def _moved(rhs: Expr) -> set[str]:
    """Indices in subscripts that are no single index."""
    parts = [part for r in reads(rhs) for axis in r.axes for part in axis]
    return {name for part in parts if part.bare is None for name in part.names}


def _reversed(names: set[str], equation: Equation) -> dict[str, Affine | int]:
    known = dict(equation.extents)
    return {name: known[name] - 1 - name for name in names if name in known}


def _replaced(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with every node changed that ``change`` has another one for."""
    other = change(expr)
    if other is not None:
        return other
    return rebuild(expr, lambda child: _replaced(child, change))


# -- stride, padding, divisibility ---------------------------------------------------------------
def _scattered(gradient: Gradient, equation: Equation) -> Iterator[Mistake]:
    """Products sent to the wrong entries: ``d[s*i + d*u - p] += …`` with a part left out."""
    scatter = gradient.scatters[0]
    outputs = set(equation.output_indices)

    def sent(kind: str, change: Callable[[Affine], Affine], **more: object) -> Iterator[Mistake]:
        axes = tuple(tuple(map(change, axis)) for axis in scatter.lhs.axes)
        if axes != scatter.lhs.axes:
            moved = replace(scatter, lhs=Read(scatter.lhs.tensor, axes))
            yield Mistake(kind, gradient.of, moved, **more)  # type: ignore[arg-type]

    yield from sent("stride", lambda part: _unit(part, outputs))
    yield from sent("dilation", lambda part: _unit(part, set(part.names) - outputs))
    steps: dict[str, int] = {}

    def rounded(part: Affine) -> Affine:
        for name in part.names:
            step = part.coefficient(name).number or 1
            if part.bare is None and name in outputs and step > 1:
                rest = f"rest_{name}"
                steps[rest] = step
                return part + rest
        return part

    found = list(sent("divisibility", rounded))
    yield from (replace(one, extents=tuple(steps.items())) for one in found)
    yield from sent("padding", _uncut)


def _unit(part: Affine, names: set[str]) -> Affine:
    """The index expression with steps of 1 along these names."""
    if part.bare is not None or not part.is_whole:
        return part
    for name in names & set(part.names):
        step = part.coefficient(name)
        if (step.number or 1) > 1:
            part = part - step * name + name
    return part


def _uncut(part: Affine) -> Affine:
    """The index expression with nothing taken off for padding."""
    shift = dict(part.terms).get((), 0) if part.is_whole else 0
    negative = any(c < 0 for names, c in part.terms if names)
    return part - shift if shift < 0 and part.names and not negative else part


def _collected(name: str, gather: Statement, equation: Equation) -> Iterator[Mistake]:
    """A parameter's gradient whose reads of the input leave out a part, or that is averaged."""
    own = set(gather.lhs.names)
    data = {tensor.name for tensor in equation.data}

    def read(kind: str, change: Callable[[Affine], Affine]) -> Iterator[Mistake]:
        def other(expr: Expr) -> Expr | None:
            if not isinstance(expr, Read) or expr.tensor not in data:
                return None
            return Read(expr.tensor, tuple(tuple(map(change, axis)) for axis in expr.axes))

        rhs = _replaced(gather.rhs, other)
        if rhs != gather.rhs:
            yield Mistake(kind, name, replace(gather, rhs=rhs))

    yield from read("stride", lambda part: _unit(part, set(part.names) - own))
    yield from read("dilation", lambda part: _unit(part, own))
    yield from read("padding", _uncut)
    match gather.rhs:
        case Reduce("sum", over, body, ()) if set(over) - {equation.batch}:
            kept = tuple(i for i in over if i != equation.batch)
            mean: Expr = Reduce("mean", kept, body)
            if equation.batch in over:
                mean = Reduce("sum", (equation.batch,), mean)
            yield Mistake("mean", name, replace(gather, rhs=mean))


# -- the final formula without one of its parts --------------------------------------------------
def _shortened(gradient: Gradient, equation: Equation) -> Iterator[Mistake]:
    """A case, a difference, a factor or the other entries of a sum left out of the compact form."""
    gather = gradient.gather

    def other(kind: str, rhs: Expr, left: Expr | None = None) -> Iterator[Mistake]:
        if rhs != gather.rhs:
            yield Mistake(kind, gradient.of, replace(gather, rhs=rhs), left=left)

    yield from other("mask", _replaced(gather.rhs, _unmasked))
    yield from other("diagonal", _replaced(gather.rhs, lambda e: _own_term(e, gather, equation)))
    for node in walk(gather.rhs):
        if isinstance(node, Call) and node.fn == "sub" and _has_upstream(gather.rhs, equation):
            kept, left = node.args
            rhs = _replaced(gather.rhs, lambda e, old=node, new=kept: new if e == old else None)  # type: ignore[misc]
            yield from other("subtracted", rhs, left)
            break
    parts = [*_factors(gather.rhs)]
    for factor in parts if len(parts) > 1 else ():
        plain = isinstance(factor, Read) and not equation.given
        if not plain and not reads(factor, equation.output.gradient) and factor not in (ONE, ZERO):
            rhs = _replaced(gather.rhs, lambda e, old=factor: ONE if e == old else None)  # type: ignore[misc]
            yield from other("factor", rhs, factor)


def _has_upstream(rhs: Expr, equation: Equation) -> bool:
    """Whether the formula is complete: it starts from what comes back, or from the loss itself."""
    return equation.loss or bool(reads(rhs, equation.output.gradient))


def _unmasked(expr: Expr) -> Expr | None:
    """1 in the place of [a condition]: a slope of 0 taken for 1."""
    match expr:
        case Call("where", (_, Number() as there, Number() as else_)) if {there, else_} == {
            ONE,
            ZERO,
        }:
            return ONE
    return None


def _own_term(expr: Expr, gather: Statement, equation: Equation) -> Expr | None:
    """One term in the place of a sum over all entries: that of the entry itself."""
    if expr == gather.rhs or not isinstance(expr, Reduce) or expr.op != "sum" or expr.where:
        return None
    own = {index: index.rstrip("*") for index in expr.over}
    if not set(own.values()) <= set(gather.lhs.names) - {equation.batch}:
        return None
    return substitute(expr.body, {index: Affine.of(name) for index, name in own.items()})


def _factors(expr: Expr) -> Iterator[Expr]:
    """The factors of a product, those above a fraction line."""
    match expr:
        case Call("mul", args):
            for arg in args:
                yield from _factors(arg)
        case Call("div", (top, _)) if isinstance(top, Call) and top.fn == "mul":
            yield from _factors(top)
        case _:
            yield expr


# -- maxima, statistics, what comes from upstream ------------------------------------------------
def _chosen(name: str, gather: Statement, equation: Equation) -> Iterator[Mistake]:
    """Ties by another rule, or no choice at all."""
    extents = dict(equation.extents)

    def every(kind: str, change: Callable[[Winner], Expr]) -> Mistake:
        def one(expr: Expr) -> Expr | None:
            return change(expr) if isinstance(expr, Winner) else None

        return Mistake(kind, name, replace(gather, rhs=_replaced(gather.rhs, one)))

    def last(winner: Winner) -> Expr:
        ends = [extents[i.rstrip("*")] - 1 for i in winner.over]
        back = {i: end - i for i, end in zip(winner.over, ends, strict=True)}
        at = tuple(end - a for end, a in zip(ends, winner.at, strict=True))
        return replace(winner, body=substitute(winner.body, back), at=at, ties="first")

    yield Mistake("ties", name, replace(gather, rhs=_every_maximum(gather.rhs)))
    shared = any(isinstance(e, Winner) and e.ties == "split" for e in walk(gather.rhs))
    if shared:
        yield every("ties_first", lambda winner: replace(winner, ties="first"))
    else:
        yield every("ties_split", lambda winner: replace(winner, ties="split"))
    yield every("ties_last", last)
    yield every("bracket", lambda _: ONE)


def _every_maximum(expr: Expr) -> Expr:
    """Every tap that equals the maximum wins, and wins all."""

    def other(node: Expr) -> Expr | None:
        if not isinstance(node, Winner):
            return None
        tap = substitute(node.body, dict(zip(node.over, node.at, strict=True)))
        best = Reduce(node.op, node.over, node.body)
        return Call("where", (Call("eq", (tap, best)), ONE, ZERO))

    return _replaced(expr, other)


def _constant(equation: Equation) -> tuple[str, ...]:
    """Reduced values that are read beside what they were reduced from, as a mean in x − m is."""
    found = []
    for number, made in enumerate(equation.given):
        inside = {r.tensor for r in reads(made.rhs)}
        for later in equation.statements[number + 1 :]:
            read = {r.tensor for r in reads(later.rhs)}
            if isinstance(made.rhs, Reduce) and made.lhs.tensor in read and inside & read:
                found.append(made.lhs.tensor)
    return tuple(dict.fromkeys(found))


def _without_upstream(gather: Statement, equation: Equation) -> Expr:
    upstream = equation.output.gradient

    def one(expr: Expr) -> Expr | None:
        return ONE if isinstance(expr, Read) and expr.tensor == upstream else None

    return _replaced(gather.rhs, one)
