"""A program: the array statements that a gradient is lowered to, before they become text.

Small on purpose: assignments, one kind of loop, a handful of array expressions. A strategy
builds it, a printer writes it out, and other verbs (cost, memory, adjoint) can read it. A
program that uses a name before it is assigned cannot be made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .equations import Statement
from .toom import Toom


class Array:
    """Base of array expressions."""


@dataclass(frozen=True)
class Name(Array):
    """A variable."""

    id: str


@dataclass(frozen=True)
class Literal(Array):
    """A number or a dotted NumPy name, as text: ``0``, ``0.5``, ``np.newaxis``."""

    text: str


@dataclass(frozen=True)
class Span:
    """``start:stop:step`` of a subscript; each an integer expression as text, or empty."""

    start: str = ""
    stop: str = ""
    step: str = ""


@dataclass(frozen=True)
class Item(Array):
    """``base[entries]``; an entry is a Span or an integer expression as text."""

    base: Array
    entries: tuple[Span | str, ...]


@dataclass(frozen=True)
class Invoke(Array):
    """``fn(*args, **named)`` with a dotted function name."""

    fn: str
    args: tuple[Array, ...]
    named: tuple[tuple[str, Array], ...] = ()


@dataclass(frozen=True)
class Method(Array):
    """``base.name(*args, **named)``; an empty ``args`` with ``call=False`` is an attribute."""

    base: Array
    name: str
    args: tuple[Array, ...] = ()
    named: tuple[tuple[str, Array], ...] = ()
    call: bool = True


@dataclass(frozen=True)
class Binary(Array):
    """``left op right``."""

    op: str
    left: Array
    right: Array


@dataclass(frozen=True)
class Unary(Array):
    """``op operand``: ``-`` or ``~``."""

    op: str
    operand: Array


@dataclass(frozen=True)
class Tuple(Array):
    """``(a, b, c)``."""

    items: tuple[Array, ...]


@dataclass(frozen=True)
class Comment:
    """A comment line: words, or the statement that the next lines compute."""

    text: str | Statement


@dataclass(frozen=True)
class Let:
    """``target op value`` with ``op`` one of ``=``, ``+=``, ``|=``; targets are names or items."""

    target: Array
    value: Array
    op: str = "="


@dataclass(frozen=True)
class For:
    """``for var in range(extent): body``."""

    var: str
    extent: int
    body: tuple[Action, ...]


@dataclass(frozen=True)
class Loop:
    """``for var in over: body``, where ``over`` is any iterable; For is the loop over an index.

    ``var`` may be several names, as the text of a tuple.
    """

    var: str
    over: Array
    body: tuple[Action, ...]


@dataclass(frozen=True)
class If:
    """``if``, ``elif``, ``else``: (test, body) pairs, the test of the last may be None."""

    cases: tuple[tuple[Array | None, tuple[Action, ...]], ...]


@dataclass(frozen=True)
class Do:
    """An expression for its effect, such as ``np.matmul(a, b, out=c)``."""

    value: Array


@dataclass(frozen=True)
class Return:
    """``return value``."""

    value: Array


Action = Comment | Let | For | Loop | If | Do | Return


@dataclass(frozen=True)
class Function:
    """A function of the program.

    ``given`` are names that the module itself defines, ``keywords`` parameters that can only be
    given by name, whole numbers, with their defaults.
    """

    name: str
    parameters: tuple[str, ...]
    body: tuple[Action, ...]
    doc: tuple[str, ...] = ()
    returns: str = "np.ndarray"
    given: tuple[str, ...] = ()
    keywords: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        known = {*self.parameters, *(name for name, _ in self.keywords), *self.given, "np"}
        _check_defined(self.body, known, self.name)


@dataclass(frozen=True)
class Constant:
    """A module-level name and its value, such as the matrix of a transform; ``doc`` says what."""

    name: str
    value: Array
    doc: str = ""


@dataclass(frozen=True)
class Call:
    """Some targets of a direction, computed together by one private function.

    ``multiply_adds`` are those of matrix products, a sample; ``scratch`` the bytes, in float32,
    of the buffers that are kept; ``seconds`` what the least batch takes: ``measured``, or as the
    cost model has it. ``keeps`` is what it hands on behind the targets. ``tooms`` has the
    matrices of every axis that is summed by Cook and Toom's method. ``innermost``: its results
    have their samples innermost in memory.
    """

    targets: tuple[str, ...]
    function: str
    strategy: str
    multiply_adds: int = 0
    scratch: int = 0
    seconds: float = 0.0
    measured: bool = False
    keeps: tuple[str, ...] = ()
    tooms: tuple[Toom, ...] = ()
    innermost: bool = False


@dataclass(frozen=True)
class Choice:
    """How a direction is computed for batches of ``least`` samples and more.

    ``least`` 0 stands for numbers of other types than float32 and float64. ``exact`` is False
    where sums are reordered so that integers do not stay exact. ``share`` is how many samples
    are worth a thread of their own, 0 if the batch is never split.
    """

    direction: str
    least: int
    calls: tuple[Call, ...]
    exact: bool = True
    share: int = 0


@dataclass(frozen=True)
class Program:
    """A kernel: its functions and how each was chosen.

    ``strategies``: what is computed → name, for smallest batches; ``choices``: every branch, by
    direction and batch size, empty where the general strategy serves all. ``scratch``: bytes, in
    float32, of all buffers that a thread keeps.
    """

    functions: tuple[Function, ...]
    strategies: tuple[tuple[str, str], ...] = ()
    constants: tuple[Constant, ...] = ()
    choices: tuple[Choice, ...] = ()
    scratch: int = 0


def parts(array: Array) -> tuple[Array, ...]:
    """The direct sub-expressions of an array expression."""
    match array:
        case Item(base, _):
            return (base,)
        case Invoke(_, args, named):
            return (*args, *(value for _, value in named))
        case Method(base, _, args, named, _):
            return (base, *args, *(value for _, value in named))
        case Binary(_, left, right):
            return (left, right)
        case Unary(_, operand):
            return (operand,)
        case Tuple(items):
            return items
    return ()


def names(array: Array) -> Iterator[str]:
    """Every variable an array expression reads."""
    if isinstance(array, Name):
        yield array.id
    for part in parts(array):
        yield from names(part)


def arrays(body: tuple[Action, ...]) -> Iterator[Array]:
    """Every array expression of some lines, and all expressions inside of it."""
    for action in body:
        match action:
            case Let(target, value, _):
                yield from (*_inside(target), *_inside(value))
            case For(_, _, inner):
                yield from arrays(inner)
            case Loop(_, over, inner):
                yield from (*_inside(over), *arrays(inner))
            case If(cases):
                for test, inner in cases:
                    yield from (*(_inside(test) if test else ()), *arrays(inner))
            case Do(value) | Return(value):
                yield from _inside(value)


def _inside(array: Array) -> Iterator[Array]:
    yield array
    for part in parts(array):
        yield from _inside(part)


def targets(target: Array) -> tuple[str, ...]:
    """The variables that an assignment to ``target`` makes."""
    match target:
        case Name(id):
            return (id,)
        case Tuple(items):
            return tuple(name for item in items for name in targets(item))
    return ()


def _check_defined(body: tuple[Action, ...], known: set[str], where: str) -> None:
    for action in body:
        match action:
            case Let(target, value, op):
                used = set(names(value))
                made = set(targets(target)) if op == "=" else set()
                used |= set(names(target)) - made
                _refuse(used - known, where)
                known |= made
            case For(var, _, inner):
                _check_defined(inner, known | {var}, where)
            case Loop(var, over, inner):
                _refuse(set(names(over)) - known, where)
                _check_defined(inner, known | {*re.findall(r"\w+", var)}, where)
            case If(cases):
                known |= _checked_cases(cases, known, where)
            case Do(value):
                _refuse(set(names(value)) - known, where)
            case Return(value):
                if missing := sorted(set(names(value)) - known):
                    raise ValueError(f"{where} returns {', '.join(missing)}, never assigned")


def _checked_cases(
    cases: tuple[tuple[Array | None, tuple[Action, ...]], ...], known: set[str], where: str
) -> set[str]:
    """What every case assigns; a case that returns does not count."""
    made: list[set[str]] = []
    for test, inner in cases:
        if test is not None:
            _refuse(set(names(test)) - known, where)
        own = set(known)
        _check_defined(inner, own, where)
        if not (inner and isinstance(inner[-1], Return)):
            made.append(own)
    if cases[-1][0] is not None:  # no else: nothing is certain
        made.append(set(known))
    return set.intersection(*made) if made else set()


def _refuse(missing: set[str], where: str) -> None:
    if missing:
        raise ValueError(f"{where} uses {', '.join(sorted(missing))} before it is assigned")
