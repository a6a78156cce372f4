"""Lowering: Derivation → Program, the array statements of ``forward`` and ``backward``.

A strategy is one file: it turns statements into lines of a :class:`~derive.lower.scope.Scope`.
Here the functions are put together: the arrays come in, each tensor is computed, the batch
axes go back on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..derivations import Derivation, Gradient
from ..equations import Equation, Statement
from ..errors import NotDerivable
from ..expressions import Read, Reduce, rename
from ..machines import DEFAULT, Machine
from ..programs import Function, Invoke, Literal, Name, Program
from .branching import Asked, branched
from .compute import Work, compute, needed
from .forms import chosen
from .functions import function, inner_function, returned, whole
from .scope import Scope
from .values import named

__all__ = ["lower"]

Wanted = tuple[Gradient, str, tuple[Statement, ...]]
"""A gradient, the form chosen for it, and the statements of that form."""


def lower(
    derivation: Derivation,
    form: str = "fastest",
    *,
    keep: bool = False,
    exact: bool = False,
    wanted: Mapping[str, str] | None = None,
    prefix: str = "",
    machine: Machine = DEFAULT,
) -> Program:
    """The program of a derivation at its sizes.

    ``form`` says which form of a gradient is computed where there are two: ``"scatter"``,
    ``"gather"`` or whatever is fastest, which alone uses other strategies than ``taps``. With
    ``keep``, as inside a network, arrays come with one batch axis and of one dtype, ``forward``
    also returns those of its values that ``backward`` reads, and ``backward`` takes only what
    it uses. ``exact`` keeps to strategies that keep the order of sums, ``wanted`` (target →
    strategy) forces a choice, ``prefix`` stands in the names of private functions. Raises
    ``NotDerivable`` without sizes.
    """
    if not derivation.equation.sized:
        raise NotDerivable("a kernel needs sizes; give them with --shape")
    if form == "fastest" and not derivation.equation.given and not derivation.equation.loss:
        asked = Asked(keep, exact, wanted or {}, prefix, machine)
        if (program := branched(derivation, asked)) is not None:
            return program
    return _general(derivation, form, keep=keep)


def _general(derivation: Derivation, form: str, *, keep: bool) -> Program:
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
        functions = _keeping(equation, made, inside, wanted)
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
    result = returned(output, equation.forward.lhs.axes, equation)
    return function("forward", equation, (), scope, result)


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
    results = tuple(
        returned(tensor, done[tensor.name], equation, tensor.gradient)
        if tensor.name in done
        else Literal("None")
        for tensor in equation.tensors
        if tensor.name in done or tensor.integer
    )
    upstream = () if equation.loss else (equation.output.gradient,)
    return function("backward", equation, upstream, scope, Invoke("Gradients", results))


def _keeping(
    equation: Equation, made: Sequence[Work], inner: Sequence[Work], wanted: Sequence[Wanted]
) -> tuple[Function, Function]:
    """Forward hands on what backward reads of it, so that nothing is computed twice."""
    scope, again = Scope(equation), Scope(equation)
    compute(scope, made)
    for statement in equation.statements:
        _know(again, statement)
    last = [_work(equation, *found) for found in wanted]
    compute(again, needed(inner, last))
    results = [whole(t, s[0].lhs.axes, name) for t, name, s in last]
    values = tuple(name for _, name, _ in made)
    offered = (equation.output.gradient, *(t.name for t in equation.tensors), *values)
    backward = inner_function("backward", equation, offered, again, tuple(results))
    output = equation.output
    kept = [Name(n) for n in values if n in backward.parameters and n != output.name]
    results = [whole(output, equation.forward.lhs.axes), *kept]
    tensors = tuple(t.name for t in equation.tensors)
    forward = inner_function("forward", equation, tensors, scope, tuple(results))
    return forward, backward


def _know(scope: Scope, statement: Statement) -> None:
    """Where its right side is asked for again, the tensor on the left holds the values."""
    labels = [part.bare for axis in statement.lhs.axes for part in axis]
    plain = tuple(label for label in labels if label is not None)
    if isinstance(statement.rhs, Read) or len(set(plain)) != len(labels):
        return
    value, rhs = named(statement.lhs.tensor, plain), statement.rhs
    scope.known[rhs] = value
    if isinstance(rhs, Reduce):  # a winner competes under starred letters
        scope.known[rename(rhs, {index: f"{index}*" for index in rhs.over})] = value
