"""Lowering: Derivation → Program, the array statements of ``forward`` and ``backward``.

A layer of one equation gets the strategies that are fastest for it, a file each, and branches
between them (:mod:`.branching`). What they do not cover, or are not to, is computed here tap by
tap: statements become lines of a :class:`~derive.lower.scope.Scope`, the arrays come in, each
tensor is computed, the batch axes go back on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..derivations import Derivation, Gradient
from ..equations import Equation, Statement
from ..errors import NotDerivable
from ..machines import Tuning
from ..programs import Function, Invoke, Literal, Name, Program
from .branching import Asked, branched, parted
from .compute import Work, compute, needed
from .forms import chosen
from .functions import function, inner_function, returned, whole
from .knowing import know
from .scope import Scope

__all__ = ["lower"]

Wanted = tuple[Gradient, str, tuple[Statement, ...]]
"""A gradient, the form chosen for it, and the statements of that form."""


def lower(
    derivation: Derivation,
    form: str = "fastest",
    *,
    keep: bool = False,
    apart: tuple[str, ...] = (),
    spare: tuple[str, ...] = (),
    final: tuple[str, ...] = (),
    exact: bool = False,
    wanted: Mapping[str, str] | None = None,
    prefix: str = "",
    tuning: Tuning | None = None,
    innermost: Mapping[str, int] | None = None,
) -> Program:
    """The program of a derivation at its sizes.

    ``form`` says which form of a gradient is computed where there are two: ``"scatter"``,
    ``"gather"`` or whatever is fastest, which alone uses other strategies than ``taps``. With
    ``keep``, as inside a network, arrays come with one batch axis and of one dtype, ``forward``
    also returns those of its values that ``backward`` reads, and ``backward`` takes only what
    it uses; ``apart`` are tensors whose gradients are computed by a function of their own,
    ``backward_x``, and ``spare`` are arrays that may be overwritten, as nobody reads them
    afterwards, ``final`` those of which this holds once backward has read them. ``exact`` keeps
    to strategies that keep the order of sums, ``wanted`` (target → strategy) forces a choice,
    ``prefix`` stands in the names of private functions, ``tuning`` has what was measured, where the
    cost model is not to choose, ``innermost`` which arrays come with their samples innermost in
    memory, from so many samples on. Raises ``NotDerivable`` without sizes.
    """
    if not derivation.equation.sized:
        raise NotDerivable("a kernel needs sizes; give them with --shape")
    if form == "fastest" and not derivation.equation.given and not derivation.equation.loss:
        found = tuning or Tuning()
        asked = Asked(
            keep,
            apart,
            spare,
            final,
            exact,
            wanted or {},
            prefix,
            found.machine,
            found.seconds(),
            innermost or {},
        )
        if (program := branched(derivation, asked)) is not None:
            return program
    return _general(derivation, form, keep=keep, apart=apart)


def _general(derivation: Derivation, form: str, *, keep: bool, apart: tuple[str, ...]) -> Program:
    """Every target tap by tap."""
    equation = derivation.equation.at_sizes()
    resolved = derivation.resolved
    first = chosen(resolved, equation, form)[1] if resolved else (equation.forward,)
    made: list[Work]
    made = [(equation.tensor(s.lhs.tensor), s.lhs.tensor, (s,)) for s in equation.given]
    made.append((equation.output, equation.output.name, first))
    inner, wanted = (
        [(g, *chosen(g, equation, form)) for g in gradients]
        for gradients in (derivation.inner_instance, derivation.instance)
    )
    strategies = {f"d{g.of}": f"taps, {name}" for g, name, _ in (*inner, *wanted)}
    inside = [_work(equation, *g) for g in inner]
    if keep:
        groups = {
            name: [found for found in wanted if found[0] in gradients]
            for name, gradients in parted(derivation.instance, apart).items()
        }
        functions = _keeping(equation, made, inside, groups)
    else:
        functions = (_forward(equation, made), _backward(equation, made, inside, wanted))
    return Program(functions, (("forward", "taps"), *strategies.items()))


def _work(
    equation: Equation, gradient: Gradient, form: str, statements: tuple[Statement, ...]
) -> Work:
    tensor = equation.tensor(gradient.of)
    return tensor, tensor.gradient, statements


def _forward(equation: Equation, made: Sequence[Work]) -> Function:
    scope = Scope(equation)
    compute(scope, made)
    output = equation.output
    axes = equation.forward.lhs.axes
    results = whole(output, axes), returned(output, axes, equation)
    return function("forward", equation, (), scope, results)


def _backward(
    equation: Equation,
    made: Sequence[Work],
    inner: Sequence[Work],
    wanted: Sequence[Wanted],
) -> Function:
    """Intermediate values again, then gradients from the last equation to the first."""
    scope = Scope(equation)
    last = [_work(equation, *found) for found in wanted]
    compute(scope, needed((*made, *inner), last))
    done = {gradient.of: statements[0].lhs.axes for gradient, _, statements in wanted}
    nothing = Literal("None")
    pairs = [
        (
            whole(tensor, done[tensor.name], tensor.gradient),
            returned(tensor, done[tensor.name], equation, tensor.gradient),
        )
        if tensor.name in done
        else (nothing, nothing)
        for tensor in equation.tensors
        if tensor.name in done or tensor.integer
    ]
    bare, shaped = (Invoke("Gradients", parts) for parts in zip(*pairs, strict=True))
    upstream = () if equation.loss else (equation.output.gradient,)
    return function("backward", equation, upstream, scope, (bare, shaped))


def _keeping(
    equation: Equation,
    made: Sequence[Work],
    inner: Sequence[Work],
    groups: Mapping[str, Sequence[Wanted]],
) -> tuple[Function, ...]:
    """Forward hands on what backward reads of it, so that nothing is computed twice."""
    scope = Scope(equation)
    compute(scope, made)
    values = tuple(name for _, name, _ in made)
    offered = (equation.output.gradient, *(t.name for t in equation.tensors), *values)
    backward = []
    for direction, wanted in groups.items():
        again = Scope(equation)
        for statement in equation.statements:
            know(again, statement)
        last = [_work(equation, *found) for found in wanted]
        compute(again, needed(inner, last))
        results = tuple(whole(t, s[0].lhs.axes, name) for t, name, s in last)
        backward.append(inner_function(direction, equation, offered, again, results))
    read = {name for function in backward for name in function.parameters}
    output = equation.output
    kept = [Name(n) for n in values if n in read and n != output.name]
    results = (whole(output, equation.forward.lhs.axes), *kept)
    tensors = tuple(t.name for t in equation.tensors)
    return inner_function("forward", equation, tensors, scope, results), *backward
