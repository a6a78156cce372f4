"""The forward equation of a layer, and every statement derived from it.

An :class:`Equation` holds names only: extents, strides and paddings stay symbolic until
:meth:`Equation.at_sizes` puts the numbers in. What a read outside of a tensor gives, which
tensors are data and which are parameters, and how far every index runs belong to the
equation, so that nobody after it has to guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from .affine import Affine
from .expressions import Expr, Read, Reduce, Winner, free_names, reads, substitute, walk
from .tensors import DATA, NO_OUTSIDE, OUTPUT, PARAMETER, SKIP_OUTSIDE, ZERO_OUTSIDE, Tensor

__all__ = [
    "DATA",
    "NO_OUTSIDE",
    "OUTPUT",
    "PARAMETER",
    "SKIP_OUTSIDE",
    "ZERO_OUTSIDE",
    "Equation",
    "Layer",
    "Statement",
    "Tensor",
]


@dataclass(frozen=True)
class Statement:
    """``lhs = rhs``, or ``lhs += rhs`` for every value of every free index (a scatter)."""

    lhs: Read
    rhs: Expr
    accumulate: bool = False

    def substitute(self, values: Mapping[str, Affine | int]) -> Statement:
        """Put index expressions (or numbers) in the place of free names."""
        lhs = substitute(self.lhs, values)
        assert isinstance(lhs, Read)  # substitution keeps the node type
        return replace(self, lhs=lhs, rhs=substitute(self.rhs, values))

    @property
    def free(self) -> tuple[str, ...]:
        """Names that no reducer binds, in order of appearance."""
        return tuple(dict.fromkeys([*self.lhs.names, *free_names(self.rhs)]))


@dataclass(frozen=True)
class Equation:
    """The forward equation of a layer: ``output[...] = rhs``, with what it builds on.

    ``text``     as a person wrote it
    ``forward``  the last statement, whose left side is the output
    ``tensors``  every tensor that is given, data first, then parameters
    ``extents``  how far each index runs, the batch included
    ``batch``    the batch index; the first subscript of all data and of the output
    ``values``   the numbers that stand for names (sizes, strides, ...); may be incomplete
    ``ties``     who gets the gradient of equal maxima: the ``first`` one in row-major order
                 of the reduced indices, or all in equal parts (``split``)
    ``loss``     whether the output is the loss L itself: then nothing comes from upstream
    ``given``    earlier statements in order, each making one of the intermediate tensors
                 ``inner`` that later ones read
    """

    text: str
    forward: Statement
    tensors: tuple[Tensor, ...]
    output: Tensor
    extents: tuple[tuple[str, Affine], ...]
    batch: str = "n"
    values: tuple[tuple[str, int], ...] = ()
    ties: str = "first"
    given: tuple[Statement, ...] = ()
    inner: tuple[Tensor, ...] = ()
    loss: bool = False

    def __post_init__(self) -> None:
        known = {t.name for t in (*self.tensors, *self.inner)}
        ranged = dict(self.extents)
        for read in (r for statement in self.statements for r in reads(statement.rhs)):
            if read.tensor not in known:
                raise ValueError(f"{read.tensor} is read but not declared in {self.text!r}")
            tensor = self.tensor(read.tensor)
            if len(read.axes) != self.rank(tensor):
                raise ValueError(f"{read.tensor} is read with another rank than declared")
        for index in self.indices:
            if index not in ranged:
                raise ValueError(f"index {index} has no extent in {self.text!r}")
        if self.loss and self.forward.lhs.axes:
            raise ValueError(f"a loss is one number for the whole batch, not {self.text!r}")

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Everything that is computed, in order; the last gives the output."""
        return (*self.given, self.forward)

    @cached_property
    def indices(self) -> tuple[str, ...]:
        """Output indices first, then the others, in order of appearance."""
        bound = [
            name
            for statement in reversed(self.statements)
            for node in walk(statement.rhs)
            if isinstance(node, Reduce | Winner)
            for name in node.over
        ]
        left = [name for statement in self.given for name in statement.lhs.names]
        return tuple(dict.fromkeys([*self.output_indices, *left, *bound]))

    def rank(self, tensor: Tensor) -> int:
        """The number of subscripts of a tensor, the batch's included if it carries it."""
        for statement in self.statements:
            if statement.lhs.tensor == tensor.name:
                return len(statement.lhs.axes)
        return len(tensor.shape) + tensor.batched

    @property
    def output_indices(self) -> tuple[str, ...]:
        """The indices of the left-hand side, the batch first."""
        return tuple(name for axis in self.forward.lhs.axes for part in axis for name in part.names)

    @property
    def data(self) -> tuple[Tensor, ...]:
        """Tensors that carry the batch."""
        return tuple(t for t in self.tensors if t.role == DATA)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Tensors that do not carry the batch."""
        return tuple(t for t in self.tensors if t.role == PARAMETER)

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name, intermediate ones and the output included."""
        for tensor in (*self.tensors, *self.inner, self.output):
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def extent(self, index: str) -> Affine:
        """How far an index runs: 0 <= index < extent."""
        return dict(self.extents)[index]

    @property
    def sized(self) -> bool:
        """True if every extent but the batch's is a number once ``values`` are put in."""
        numbers = dict(self.values)
        return all(
            set(extent.names) <= set(numbers) for i, extent in self.extents if i != self.batch
        ) and all(
            set(extent.names) <= set(numbers)
            for tensor in (*self.tensors, *self.inner, self.output)
            for extent in tensor.shape
        )

    def at_sizes(self) -> Equation:
        """The same equation with every known number put in."""
        numbers = dict(self.values)

        def fixed(tensor: Tensor) -> Tensor:
            return replace(tensor, shape=tuple(e.substitute(numbers) for e in tensor.shape))

        return replace(
            self,
            forward=self.forward.substitute(numbers),
            given=tuple(s.substitute(numbers) for s in self.given),
            inner=tuple(fixed(t) for t in self.inner),
            tensors=tuple(fixed(t) for t in self.tensors),
            output=fixed(self.output),
            extents=tuple((i, e.substitute(numbers)) for i, e in self.extents),
        )


@dataclass(frozen=True)
class Layer:
    """What a person asked for: the forward equation and the words that go with it.

    ``name``      the layer's kind, ``conv`` say, or ``equation``
    ``slug``      the folder and module name, which says the sizes
    ``title``     one line for headings
    ``equations`` in the order of evaluation (a single convolution has one)
    ``meanings``  what each index and tensor stands for, in words
    ``command``   the command line that gives this layer again
    ``source``    where the equation comes from
    """

    name: str
    slug: str
    title: str
    equations: tuple[Equation, ...]
    meanings: tuple[tuple[str, str], ...] = ()
    command: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.equations:
            raise ValueError(f"layer {self.name} has no equation")

    @cached_property
    def equation(self) -> Equation:
        """All equations as one, whose output is the layer's."""
        from .combining import combined  # it is made of equations: imported when both are there

        return combined(self.equations)
