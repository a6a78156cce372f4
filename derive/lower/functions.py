"""A function around its lines: arrays come in by name, results go out with their batch axes."""

from __future__ import annotations

from ..equations import Equation, Tensor
from ..expressions import Subscript, reads
from ..programs import (
    Action,
    Array,
    Binary,
    Function,
    If,
    Invoke,
    Item,
    Let,
    Literal,
    Method,
    Name,
    Return,
    Tuple,
    Unary,
    arrays,
    parts,
)
from .scope import Scope, number
from .values import BATCH

READY = {"forward": "_ready", "backward": "_backward_ready"}
"""Direction → the function that says whether its arrays are as kernels want them."""

GIVEN = (
    "_arrays",
    *READY.values(),
    "_lowest",
    "_highest",
    "_erf",
    "_sigmoid",
    "Gradients",
    "bool",
    "len",
)
"""Names that the generated module defines, or Python itself."""


def function(
    name: str,
    equation: Equation,
    first: tuple[str, ...],
    scope: Scope,
    results: tuple[Array, Array],
) -> Function:
    """Take the arrays in, run the lines of the scope, return one of the results.

    The first is (N, ...), for arrays that come like that; the other has their batch axes.
    """
    parameters = (*first, *(t.name for t in equation.tensors))
    body = (*scope.actions, *handed(*results))
    used = {n for action in body for n in _used(action)}
    ready = READY["backward" if first else "forward"]
    opening: list[Action] = [*taken(parameters, results[1], ready)]
    opening += _facts(_leading(equation, first), used)
    opening += _split(equation, parameters, used)
    returns = "np.ndarray" if name == "forward" else "Gradients"
    return Function(name, parameters, (*opening, *body), returns=returns, given=GIVEN)


def taken(
    parameters: tuple[str, ...], result: Array, ready: str, more: tuple[Action, ...] = ()
) -> tuple[Action, ...]:
    """Arrays are brought into the form that kernels want, unless they have it; then ``more``."""
    found = _has_batch(result)
    names = (*parameters, "batch" if found else "_")
    given = tuple((p, Name(p)) for p in parameters)
    brought = Let(Tuple(tuple(Name(n) for n in names)), Invoke("_arrays", (), given))
    test = Unary("not ", Invoke(ready, tuple(Name(p) for p in parameters)))
    nothing = (Let(Name("batch"), Literal("None")),) if found else ()
    return (*nothing, If(((test, (brought, *more)),)))


def handed(bare: Array, shaped: Array) -> tuple[Action, ...]:
    """Return a result as it is, or with the batch axes that came in."""
    if not _has_batch(shaped):
        return (Return(shaped),)
    as_it_is = Binary("is", Name("batch"), Literal("None"))
    return (If(((as_it_is, (Return(bare),)),)), Return(shaped))


def result(direction: str, equation: Equation, targets: tuple[str, ...], *, shaped: bool) -> Array:
    """What a public function returns of targets that are (N, ...) or parameters' gradients.

    With the batch axes that came in if it is to be ``shaped``.
    """

    def outward(tensor: Tensor, name: str) -> Array:
        return _outward(tensor, name) if shaped else Name(name)

    if direction == "forward":
        return outward(equation.output, targets[0])
    parts = tuple(
        outward(tensor, tensor.gradient) if tensor.gradient in targets else Literal("None")
        for tensor in equation.tensors
        if tensor.gradient in targets or tensor.integer
    )
    return Invoke("Gradients", parts)


def _outward(tensor: Tensor, name: str) -> Array:
    """The batch axes put on again; composed axes are one axis already."""
    if not tensor.batched:
        return Name(name)
    sizes = tuple(Literal(str(n)) for n in tensor.sizes())
    if not sizes:
        return Item(Method(Name(name), "reshape", (Name("batch"),)), ("()",))
    return Method(Name(name), "reshape", (Literal("*batch"), *sizes))


def _has_batch(result: Array) -> bool:
    """Whether the batch axes go back onto any part of the result."""
    named = isinstance(result, Name) and result.id == "batch"
    spread = isinstance(result, Literal) and result.text == "*batch"
    return named or spread or any(_has_batch(part) for part in parts(result))


def inner_function(
    name: str,
    equation: Equation,
    offered: tuple[str, ...],
    scope: Scope,
    results: tuple[Array, ...],
) -> Function:
    """A function of arrays that are (N, ...) and of one dtype already, as inside a network.

    Of the tensors ``offered`` it takes those that its lines use, in that order.
    """
    result = results[0] if len(results) == 1 else Tuple(results)
    body = (*scope.actions, Return(result))
    used = {n for action in body for n in _used(action)}
    floating = [p for p in offered if p in used and _carries(p, equation)]
    if used & {BATCH, "dtype"} and not floating:
        floating = [next(p for p in offered if _carries(p, equation))]
        used.add(floating[0])
    parameters = tuple(p for p in offered if p in used)
    opening = [
        *(_facts(floating[0], used) if floating else ()),
        *_split(equation, parameters, used),
    ]
    return Function(name, parameters, (*opening, *body), given=GIVEN)


def _carries(name: str, equation: Equation) -> bool:
    """Whether a tensor (or gradient) carries the batch and is of floating point."""
    tensor = _owner(name, equation)
    if tensor == equation.output:
        return len(equation.forward.lhs.axes) > len(tensor.shape)
    return tensor.batched and not tensor.integer


def _owner(name: str, equation: Equation) -> Tensor:
    """The tensor of that name or that has the gradient of that name."""
    tensors = (*equation.tensors, *equation.inner, equation.output)
    named = [tensor for tensor in tensors if tensor.name == name]
    return (named or [tensor for tensor in tensors if tensor.gradient == name])[0]


def _facts(lead: str, used: set[str]) -> list[Let]:
    """The number of samples and the dtype, read off one tensor, as far as they are used."""
    facts = (
        (BATCH, Invoke("len", (Name(lead),))),
        ("dtype", Method(Name(lead), "dtype", call=False)),
    )
    needed = [(Name(name), value) for name, value in facts if name in used]
    if len(needed) < 2:
        return [Let(target, value) for target, value in needed]
    targets, values = zip(*needed, strict=True)
    return [Let(Tuple(tuple(targets)), Tuple(tuple(values)))]


def _leading(equation: Equation, first: tuple[str, ...]) -> str:
    """The first floating tensor that carries the batch."""
    names = [t.name for t in equation.data if not t.integer]
    return names[0] if names else (*first, *(t.name for t in equation.tensors))[0]


def _used(action: Action) -> set[str]:
    """Every variable, and ``N`` inside literals such as ``N * 4``."""
    found = set()
    for array in arrays((action,)):
        if isinstance(array, Name):
            found.add(array.id)
        elif isinstance(array, Literal) and BATCH in array.text.split():
            found.add(BATCH)
    return found


def _composed(equation: Equation) -> dict[str, tuple[Subscript, ...]]:
    """Tensors that are read with an axis composed of several indices."""
    found = {
        read.tensor: read.axes
        for statement in equation.statements
        for read in (*reads(statement.rhs), statement.lhs)
        if any(len(axis) > 1 for axis in read.axes)
    }
    lhs = equation.output
    if lhs.name in found:
        found[lhs.gradient] = found[lhs.name]
    return found


def _split(equation: Equation, parameters: tuple[str, ...], used: set[str]) -> list[Let]:
    """Reshape tensors whose axes are composed of several indices."""
    lines = []
    for name, axes in _composed(equation).items():
        if name not in parameters or name not in used:
            continue
        owner = _owner(name, equation)
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


def whole(tensor: Tensor, axes: tuple[Subscript, ...], name: str = "") -> Array:
    """The result as (N, ...), composed axes as one again."""
    array = Name(name or tensor.name)
    if not any(len(axis) > 1 for axis in axes):
        return array
    sizes = tuple(Literal(str(n)) for n in tensor.sizes())
    batched = len(axes) > len(tensor.shape)
    return Method(array, "reshape", (*((Literal("-1"),) if batched else ()), *sizes))


def returned(
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
