"""Lowering: Derivation → Program, the array statements of ``forward`` and ``backward``.

A strategy is one file: it turns statements into lines of a :class:`~derive.lower.scope.Scope`.
Here the functions are put together: the arrays come in, each tensor is computed, the batch
axes go back on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..affine import Affine
from ..derivations import Derivation, Gradient
from ..equations import Equation, Statement, Tensor
from ..errors import NotDerivable
from ..expressions import Subscript
from ..programs import (
    Array,
    Function,
    Invoke,
    Item,
    Let,
    Literal,
    Method,
    Name,
    Program,
    Return,
    Tuple,
)
from . import taps
from .forms import chosen
from .scope import Scope, number
from .values import BATCH

__all__ = ["lower"]

GIVEN = ("_arrays", "_lowest", "_highest", "_erf", "Gradients", "bool", "len")
"""Names that the generated module defines, or Python itself."""


def lower(derivation: Derivation, form: str = "fastest") -> Program:
    """The program of a derivation at its sizes.

    ``form`` says which form of a gradient is computed where there are two: ``"scatter"``,
    ``"gather"`` or the one that multiplies less. Raises ``NotDerivable`` without sizes.
    """
    if not derivation.equation.sized:
        raise NotDerivable("a kernel needs sizes; give them with --shape")
    equation = derivation.equation.at_sizes()
    gradients = [(gradient, *chosen(gradient, equation, form)) for gradient in derivation.instance]
    resolved = derivation.resolved
    first = chosen(resolved, equation, form) if resolved else ("", (equation.forward,))
    strategies = (("forward", "taps"), *((f"d{g.of}", f"taps, {f}") for g, f, _ in gradients))
    backward = _backward(equation, [(g, statements) for g, _, statements in gradients])
    return Program((_forward(equation, first[1]), backward), strategies)


def _forward(equation: Equation, statements: tuple[Statement, ...]) -> Function:
    scope = Scope(equation)
    _compute(scope, [(equation.output, statements)])
    output = equation.output
    result = _returned(output, equation.forward.lhs.axes, equation)
    return _function("forward", equation, (), scope, result)


def _backward(
    equation: Equation, gradients: Sequence[tuple[Gradient, tuple[Statement, ...]]]
) -> Function:
    scope = Scope(equation)
    _compute(scope, [(equation.tensor(g.of), statements) for g, statements in gradients])
    done = {gradient.of: statements[0].lhs.axes for gradient, statements in gradients}
    results = tuple(
        _returned(tensor, done[tensor.name], equation, tensor.gradient)
        if tensor.name in done
        else Literal("None")
        for tensor in equation.tensors
        if tensor.name in done or tensor.integer
    )
    returned = Invoke("Gradients", results)
    upstream = (equation.output.gradient,)
    return _function("backward", equation, upstream, scope, returned)


def _compute(scope: Scope, work: Sequence[tuple[Tensor, tuple[Statement, ...]]]) -> None:
    """Prepare the tensors for all reads, then compute one target after the other."""
    ranges = [_ranges(scope.equation, tensor, statements[0]) for tensor, statements in work]
    for (_, statements), own in zip(work, ranges, strict=True):
        scope.begin(own)
        scope.want(taps.reads(statements))
    scope.prepare()
    for (_, statements), own in zip(work, ranges, strict=True):
        scope.begin(own)
        taps.lower(scope, statements[0].lhs.tensor, statements)


def _ranges(equation: Equation, tensor: Tensor, statement: Statement) -> Mapping[str, Affine]:
    """How far the indices run that a gradient's left side has of its own."""
    axes = statement.lhs.axes
    offset = len(axes) - len(tensor.shape)
    known = dict(equation.extents)
    return {
        axis[0].bare: tensor.shape[k - offset]
        for k, axis in enumerate(axes)
        if len(axis) == 1 and axis[0].bare is not None and axis[0].bare not in known
    }


def _function(
    name: str, equation: Equation, first: tuple[str, ...], scope: Scope, result: Array
) -> Function:
    parameters = (*first, *(t.name for t in equation.tensors))
    body = (*scope.actions, Return(result))
    used = {n for action in body for n in _used(action)}
    opening: list[Let] = []
    taken = Tuple(tuple(Name(p) for p in (*parameters, "batch")))
    given = tuple((p, Name(p)) for p in parameters)
    opening.append(Let(taken, Invoke("_arrays", (), given)))
    lead = _leading(equation, first)
    facts = (
        (BATCH, Invoke("len", (Name(lead),))),
        ("dtype", Method(Name(lead), "dtype", call=False)),
    )
    needed = [(Name(name), value) for name, value in facts if name in used]
    if len(needed) == 1:
        opening.append(Let(*needed[0]))
    elif needed:
        targets, values = zip(*needed, strict=True)
        opening.append(Let(Tuple(tuple(targets)), Tuple(tuple(values))))
    opening += _split(equation, first, used)
    returns = "np.ndarray" if name == "forward" else "Gradients"
    return Function(name, parameters, (*opening, *body), returns=returns, given=GIVEN)


def _leading(equation: Equation, first: tuple[str, ...]) -> str:
    """The first floating tensor that carries the batch."""
    names = [t.name for t in equation.data if not t.integer]
    return names[0] if names else (*first, *(t.name for t in equation.tensors))[0]


def _used(action: object) -> set[str]:
    from ..programs import For, names

    match action:
        case Let(target, value, _):
            return {*names(target), *names(value), *_shape_names(value), *_shape_names(target)}
        case Return(value):
            return {*names(value), *_shape_names(value)}
        case For(_, _, body):
            return {n for inner in body for n in _used(inner)}
    return set()


def _shape_names(array: Array) -> set[str]:
    """``N`` inside literals such as ``N * 4``."""
    from ..programs import parts

    found = {BATCH} if isinstance(array, Literal) and BATCH in array.text.split() else set()
    for part in parts(array):
        found |= _shape_names(part)
    return found


def _composed(equation: Equation) -> dict[str, tuple[Subscript, ...]]:
    """Tensors that are read with an axis composed of several indices."""
    from ..expressions import reads

    found = {
        read.tensor: read.axes
        for read in (*reads(equation.forward.rhs), equation.forward.lhs)
        if any(len(axis) > 1 for axis in read.axes)
    }
    lhs = equation.output
    if lhs.name in found:
        found[lhs.gradient] = found[lhs.name]
    return found


def _split(equation: Equation, first: tuple[str, ...], used: set[str]) -> list[Let]:
    """Reshape tensors whose axes are composed of several indices."""
    lines = []
    for name, axes in _composed(equation).items():
        if name not in (*first, *(t.name for t in equation.tensors)) or name not in used:
            continue
        owner = equation.tensor(name.removeprefix("d")) if name in first else equation.tensor(name)
        sizes = [Literal("-1")] if owner.batched else []
        sizes += [Literal(str(n)) for n in _part_sizes(axes, owner, equation)]
        lines.append(Let(Name(name), Method(Name(name), "reshape", tuple(sizes))))
    return lines


def _part_sizes(axes: tuple[Subscript, ...], owner: Tensor, equation: Equation) -> list[int]:
    sizes: list[int] = []
    for axis, extent in zip(axes[len(axes) - len(owner.shape) :], owner.shape, strict=True):
        if len(axis) == 1:
            sizes.append(number(extent))
        else:
            sizes += [number(equation.extent(str(part))) for part in axis]
    return sizes


def _returned(
    tensor: Tensor, axes: tuple[Subscript, ...], equation: Equation, name: str = ""
) -> Array:
    """The result with the batch axes, and composed axes as one, on it again."""
    array = Name(name or tensor.name)
    sizes = tuple(Literal(str(n)) for n in tensor.sizes())
    if tensor.batched and not sizes:  # [()] makes a number of an array without axes
        return Item(Method(array, "reshape", (Name("batch"),)), ("()",))
    if tensor.batched:
        return Method(array, "reshape", (Literal("*batch"), *sizes))
    if any(len(axis) > 1 for axis in axes):
        return Method(array, "reshape", sizes)
    return array
