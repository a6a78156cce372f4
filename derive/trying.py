"""Small numbers through a layer and back: the worked example of the notes.

The kernel computes it, difference quotients check it, and the interpreter says what known
mistakes would give in its place. The numbers are small integers, always the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

from .errors import DeriveError
from .expressions import Call, Expr, Read, Reduce, walk
from .trials import Check, Example, Place, Slip

if TYPE_CHECKING:
    from types import ModuleType

    from .derivations import Derivation
    from .equations import Equation, Tensor

LARGEST, EVER = 3000, 30_000_000
"""Products of the largest statement up to which mistakes are tried out, and the kernel is run."""

TRIED = 64
"""Entries that are tried for a difference quotient."""

SMALL_STEP = 1e-3
"""How far an entry is moved where the loss is not linear in it."""

Arrays = dict[str, Any]


def example(derivation: Derivation, kernel: ModuleType) -> Example | None:
    """One sample through the kernel and back; None where the layer is too large or undefined."""
    import numpy as np

    equation = derivation.equation.at_sizes()
    products = max(_products(s, equation) for s in equation.statements)
    if products > EVER:
        return None
    for positive in (False, True):  # roots and logarithms want positive numbers
        given = {
            tensor.name: _numbers(tensor, equation, number, positive)
            for number, tensor in enumerate(equation.tensors)
        }
        with np.errstate(all="ignore"):
            output = np.asarray(kernel.forward(*given.values()))
            upstream = None if equation.loss else _cycled(output.shape, 2)
            found = kernel.backward(*(() if upstream is None else (upstream,)), *given.values())
        gradients = {
            g.of: np.asarray(getattr(found, equation.tensor(g.of).gradient))
            for g in derivation.gradients
        }
        if all(np.isfinite(a).all() for a in (output, *gradients.values())):
            run = _Run(derivation, kernel, given, upstream)
            checks = tuple(c for n, a in gradients.items() if (c := run.check(n, a)) is not None)
            slips = _different(run.slips(gradients)) if products <= LARGEST else ()
            listed = tuple(given.items()), upstream, output, tuple(gradients.items())
            return Example(*listed, checks, slips)
    return None


def _products(statement: Any, equation: Equation) -> int:
    names = {*statement.lhs.names}
    names |= {i for e in walk(statement.rhs) if isinstance(e, Reduce) for i in e.over}
    return prod(equation.extent(n).number or 1 for n in names)


DATA = (2, 0, 1, 3, -1, 4, 1)
"""The integers that data are dealt; they repeat, so that maxima meet ties."""

CYCLE = (1, 2, -1, 3, -2, 4, -3, 5, -4)
"""The integers of parameters and upstream gradients: a small kernel has no symmetry to hide in."""


def _dealt(shape: tuple[int, ...], seed: int, numbers: tuple[int, ...]) -> Any:
    """Integers that look unordered and are the same on every machine."""
    import numpy as np

    state, out = seed, []
    for _ in range(prod(shape)):
        state = (state * 137 + 29) % 1009
        out.append(float(numbers[state // 7 % len(numbers)]))
    return np.array(out).reshape(shape)


def _cycled(shape: tuple[int, ...], start: int) -> Any:
    """The integers of the cycle in turn, all of them before one comes again."""
    import numpy as np

    turns = (start + np.arange(prod(shape))) % len(CYCLE)
    return np.array(CYCLE, float)[turns].reshape(shape)


def _numbers(tensor: Tensor, equation: Equation, number: int, positive: bool) -> Any:
    from .classes import classes

    shape = tensor.sizes()
    if tensor.integer:
        return _dealt(shape, 3, tuple(range(classes(equation, tensor)))).astype(int)
    found = _dealt(shape, 11 + 50 * number, DATA) if tensor.batched else _cycled(shape, number)
    return abs(found) + 1 if positive else found


class _Run:
    """The layer at the numbers of the example."""

    def __init__(
        self, derivation: Derivation, kernel: ModuleType, given: Arrays, upstream: Any
    ) -> None:
        self.derivation, self.kernel = derivation, kernel
        self.given, self.upstream = given, upstream
        self.equation = derivation.equation.at_sizes()

    def loss(self, name: str, place: Place, by: float) -> float:
        """L = Σ g·y, or the loss itself, with one entry moved."""
        import numpy as np

        moved = np.array(self.given[name])
        moved[place] += by
        y = self.kernel.forward(*{**self.given, name: moved}.values())
        return float(y if self.upstream is None else (self.upstream * y).sum())

    def check(self, name: str, gradient: Any) -> Check | None:
        """The quotient at an entry away from kinks whose gradient is not 0, an inner one first."""
        import numpy as np

        exact = linear(self.equation, name)
        step = 1.0 if exact else SMALL_STEP
        middle = tuple(n // 2 for n in gradient.shape)
        for place in [middle, *islice(np.ndindex(gradient.shape), TRIED)]:
            if gradient[place] == 0:
                continue
            here = self.loss(name, place, 0)
            above, below = (self.loss(name, place, by) for by in (step, -step))
            right, left = (above - here) / step, (here - below) / step
            if isfinite(right + left) and abs(right - left) <= 0.05 * (1 + abs(right)):
                return Check(name, place, step, above, below, float(gradient[place]), exact)
        return None

    def slips(self, gradients: Mapping[str, Any]) -> Iterator[Slip]:
        """What each mistake gives in the place of a gradient, if anything else."""
        from .mistakes import mistakes

        batch = self._batched(self.given, self.upstream)
        for mistake in mistakes(self.derivation):
            try:
                arrays = {**batch, **self._inner(batch, mistake.constant)}
                wrong = self._value(mistake.statement, arrays, dict(mistake.extents))
            except (ArithmeticError, ValueError, DeriveError):
                continue  # the mistake divides by 0 or reads what is not there: no number to tell
            if self.equation.tensor(mistake.of).batched:
                wrong = wrong[0]
            for slip in _slip(mistake.kind, mistake.of, gradients[mistake.of], wrong):
                yield replace(slip, left=mistake.left)
        yield from self._overwritten(gradients)
        yield from self._averaged()

    def _batched(self, given: Arrays, upstream: Any) -> Arrays:
        data = {tensor.name for tensor in self.equation.data}
        arrays = {n: a[None] if n in data else a for n, a in given.items()}
        if upstream is not None:
            lone = len(self.equation.forward.lhs.axes) == upstream.ndim
            arrays[self.equation.output.gradient] = upstream if lone else upstream[None]
        return arrays

    def _value(self, statement: Any, arrays: Arrays, extents: Mapping[str, int]) -> Any:
        import numpy as np

        from .interpret import interpret_statement

        found = interpret_statement(statement, self.equation, arrays, extents=extents)
        return np.asarray(found, float)

    def _inner(self, arrays: Arrays, constant: tuple[str, ...]) -> Arrays:
        """The gradients of intermediate values; those taken for constants get 0."""
        import numpy as np

        found: Arrays = {}
        for gradient in self.derivation.inner_instance:
            name = self.equation.tensor(gradient.of).gradient
            value = self._value(gradient.raw, {**arrays, **found}, {})
            found[name] = np.zeros_like(value) if gradient.of in constant else value
        return found

    def _overwritten(self, gradients: Mapping[str, Any]) -> Iterator[Slip]:
        """``=`` in the place of ``+=`` where several outputs choose the same entry."""
        import numpy as np

        from .expressions import Winner

        if self.upstream is None:
            return
        for gradient in self.derivation.instance:
            if not any(isinstance(e, Winner) for e in walk(gradient.gather.rhs)):
                continue
            wrong = np.zeros_like(gradients[gradient.of])
            for place in np.ndindex(self.upstream.shape):
                one = np.zeros_like(self.upstream)
                one[place] = self.upstream[place]
                found = self.kernel.backward(one, *self.given.values())
                part = np.asarray(getattr(found, self.equation.tensor(gradient.of).gradient))
                wrong[part != 0] = part[part != 0]
            yield from _slip("overwritten", gradient.of, gradients[gradient.of], wrong)

    def _averaged(self) -> Iterator[Slip]:
        """The mean over a batch of two in the place of the sum: the sample, and it reversed."""
        import numpy as np

        data = {tensor.name for tensor in self.equation.data}
        if self.upstream is None or not self.equation.parameters:
            return

        def two(a: Any) -> Any:
            return np.stack([a, a.reshape(-1)[::-1].reshape(a.shape)])

        given = {n: two(a) if n in data else a for n, a in self.given.items()}
        found = self.kernel.backward(two(self.upstream), *given.values())
        for tensor in self.equation.parameters:
            if (right := getattr(found, tensor.gradient, None)) is not None:
                yield from _slip("batch", tensor.name, right, right / 2, batch=2)


def _different(slips: Iterable[Slip]) -> tuple[Slip, ...]:
    """Of mistakes that come to the same only the first."""
    found: dict[tuple[object, ...], Slip] = {}
    for slip in slips:
        found.setdefault((slip.of, slip.place, slip.wrong, slip.count, slip.batch), slip)
    return tuple(found.values())


def _slip(kind: str, of: str, right: Any, wrong: Any, batch: int = 1) -> Iterator[Slip]:
    """The first entry that differs by more than rounding."""
    import numpy as np

    differs = np.argwhere(~np.isclose(right, wrong, rtol=1e-9, atol=1e-9))
    if len(differs):
        place = tuple(int(k) for k in differs[0])
        numbers = float(right[place]), float(wrong[place])
        yield Slip(kind, of, place, *numbers, len(differs), int(np.size(right)), batch)


# -- linear or not -------------------------------------------------------------------------------
def linear(equation: Equation, tensor: str) -> bool:
    """Whether the output is linear in a tensor, the others held fixed."""
    degrees = {tensor: 1}
    for statement in equation.statements:
        degrees[statement.lhs.tensor] = _degree(statement.rhs, degrees)
    return degrees[equation.output.name] <= 1


MORE = 2


def _degree(expr: Expr, degrees: Mapping[str, int]) -> int:
    """0, 1 or more: how often a tensor meets itself in a product, or a function."""
    match expr:
        case Read(name, _):
            return degrees.get(name, 0)
        case Call("add" | "sub" | "neg", args):
            return max(_degree(a, degrees) for a in args)
        case Call("mul", args):
            return min(MORE, sum(_degree(a, degrees) for a in args))
        case Call("div", (top, below)):
            return MORE if _degree(below, degrees) else _degree(top, degrees)
        case Call(_, args):
            return MORE if any(_degree(a, degrees) for a in args) else 0
        case Reduce("sum" | "mean", _, body):
            return _degree(body, degrees)
        case Reduce(_, _, body):
            return MORE if _degree(body, degrees) else 0
    return 0
