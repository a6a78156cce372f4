"""The layer's own matrix: y[n] = x[n] · M, for layers so small that M is small.

    M[(g,c,s·i + d·u + o), (g,f,i)] = w[g,f,c,u],  0 elsewhere

A layer of this form is linear, so it is a matrix from all entries of x to all entries of y, with
each weight standing along a diagonal of it. As the place of a weight in M is affine in its
indices and in the position, one strided view of M holds all of them: M is kept between calls
and only its diagonals are ever written. One product then serves the whole batch,

    y = x · M,   dx = dy · Mᵀ,   dw = the diagonals of xᵀ · dy added up.

Most products are with zeros; while a layer is small that costs less than looking for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...machines import Cost
from ...programs import Function
from ..snippets import listed, snippet
from ..tasks import Routine, Task
from ..windowed import Windowed, totals

NAME = "sparse"
EXACT = True

LARGEST = 1 << 16
"""Entries of M: beyond that it would leave the nearest cache."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Any side of Φ with windows; dw with or without the sum of dy."""
    for target in task.forms:
        if form := _smallest(task, target):
            yield (target,)
            if form.target == "kernel" and (bias := totals(task.statements, form)):
                yield target, bias


def _smallest(task: Task, target: str) -> Windowed | None:
    """The form with the smallest matrix, if that is small enough."""
    known = [form for form in task.forms[target] if form.plain and form.windows]
    form = min(known, key=lambda form: Matrix(form).entries, default=None)
    return form if form is not None and Matrix(form).entries <= LARGEST else None


@dataclass(frozen=True)
class Matrix:
    """Where the weights stand in M, whose rows include the zeros that windows read around x."""

    form: Windowed

    @property
    def entries_of_wide(self) -> tuple[tuple[str, int], ...]:
        """The axes of the wide tensor: (label, size)."""
        sizes = dict(self.form.sizes) | {w.position: w.size for w in self.form.windows}
        return tuple((label, sizes[label]) for label in self.form.wide_labels[1:])

    @property
    def rows(self) -> tuple[tuple[str, int], ...]:
        """The same with the zeros around."""
        padded = {w.position: w.padded for w in self.form.windows}
        return tuple((label, padded.get(label, n)) for label, n in self.entries_of_wide)

    @property
    def columns(self) -> tuple[tuple[str, int], ...]:
        """The axes of the narrow tensor."""
        sizes = dict(self.form.sizes)
        return tuple((label, sizes[label]) for label in self.form.narrow_labels[1:])

    @property
    def entries(self) -> int:
        """How many numbers M has."""
        return prod(size for _, size in (*self.rows, *self.columns))

    @property
    def padded(self) -> bool:
        """Whether some rows stand for zeros around x."""
        return self.rows != self.entries_of_wide

    @property
    def height(self) -> int:
        """Rows that are entries of x."""
        return prod(size for _, size in self.entries_of_wide)

    @property
    def width(self) -> int:
        """Columns, the entries of y."""
        return prod(size for _, size in self.columns)

    @property
    def shape(self) -> str:
        """As Python text: two axes, or one for every axis of x if rows have to be left out."""
        rows = [size for _, size in self.rows] if self.padded else [self.height]
        return listed([*rows, self.width])

    @property
    def inner(self) -> str:
        """The subscript of the rows that are entries of x."""
        within = {w.position: f"{w.low} : {w.low + w.size}" for w in self.form.windows}
        return ", ".join(within.get(label, ":") for label, _ in self.rows)

    @property
    def view(self) -> tuple[list[int], list[int], int]:
        """Shape, steps and start of the diagonals: the kernel's axes, then the positions."""
        form, sizes = self.form, dict(self.form.sizes)
        down = {label: n * self.width for label, n in _steps(self.rows).items()}
        right = _steps(self.columns)
        steps = {label: down.get(label, 0) + right.get(label, 0) for label in form.kernel_labels}
        start = 0
        for w in form.windows:
            start += w.start * down[w.position]
            if w.tap:
                way = w.dilation * down[w.position]
                start += way * (w.taps - 1) if w.flipped else 0
                steps[w.tap] = -way if w.flipped else way
        shape = [sizes[label] for label in form.kernel_labels]
        shape += [w.outputs for w in form.windows]
        slanted = [w.stride * down[w.position] + right[w.position] for w in form.windows]
        return shape, [*(steps[label] for label in form.kernel_labels), *slanted], start


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product of all entries of a batch with M, and one pass over the diagonals."""
    form = _form(task, targets)
    matrix = Matrix(form)
    height, width = matrix.height, matrix.width
    copied = height * width if matrix.padded else 0
    sides = (height, width, batch) if form.target == "kernel" else (batch, height, width)
    if form.target == "wide":
        sides = (batch, width, height)
    return Cost(
        ((1, sides[0], sides[1], sides[2]),),
        moved=8 * form.products + copied + batch * (height + width),  # diagonals are scattered
        runs=form.products / form.windows[-1].outputs + copied / width,
        calls=2.5 + 2.2 * len(targets) * (form.target == "kernel") + bool(form.bias),
        scratch=matrix.entries,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_sparse(x, w, b)``, ``_dx_sparse(dy, w)``, ``_dw_db_sparse(dy, x)``."""
    form = _form(task, targets)
    name = task.function("_".join(targets), NAME)
    make = {"narrow": _forward, "wide": _backward, "kernel": _gradient}[form.target]
    parameters, body, doc = make(task, targets, form, name)
    text = snippet("\n".join(body))
    function = Function(name, parameters, text, (doc,), "", ("len", "_diagonals"))
    return Routine(targets, function)


Lines = tuple[tuple[str, ...], list[str], str]
"""Parameters, body and docstring of a function."""


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = _smallest(task, targets[0])
    assert form is not None  # applies said so
    return form


def _forward(task: Task, targets: tuple[str, ...], form: Windowed, name: str) -> Lines:
    """The product with M, and the bias."""
    target, x, matrix = targets[0], form.wide, Matrix(form)
    groups, _, filters, _, places = form.counts
    shape = listed(task.shape(target))
    product = f"{x}.reshape(N, {matrix.height}).dot(matrix)"
    if form.bias:
        closing = [
            f"{target} = {product}.reshape(N, {groups * filters}, {places})",
            f"{target} += {form.bias}.reshape({groups * filters}, 1)",
            f"return {target}.reshape(N, {shape})",
        ]
    else:
        closing = [f"return {product}.reshape(N, {shape})"]
    body = [f"N, dtype = len({x}), {x}.dtype", *_weighted(form, name), *closing]
    parameters = tuple(n for n in (x, form.kernel, form.bias) if n)
    doc = f"{target} = {x} · M: the layer as one matrix, each weight along a diagonal of it."
    return parameters, body, doc


def _backward(task: Task, targets: tuple[str, ...], form: Windowed, name: str) -> Lines:
    """The product with the transpose of M."""
    target, dy, matrix = targets[0], form.narrow, Matrix(form)
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        *_weighted(form, name),
        f"{target} = {dy}.reshape(N, {matrix.width}).dot(matrix.T)",
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = f"{target} = {dy} · Mᵀ: the layer as one matrix, each weight along a diagonal of it."
    return (dy, form.kernel), body, doc


def _gradient(task: Task, targets: tuple[str, ...], form: Windowed, name: str) -> Lines:
    """Every entry of x times every one of dy, added up along the diagonals of M."""
    x, dy, matrix = form.wide, form.narrow, Matrix(form)
    groups, channels, filters, taps, places = form.counts
    pairs = f"{x}.reshape(N, {matrix.height}).T.dot(upstream"
    if matrix.padded:
        inner = [*(size for _, size in matrix.entries_of_wide), matrix.width]
        product = f"pairs[{matrix.inner}] = {pairs}).reshape({listed(inner)})"
    else:
        product = f"{pairs}, out=pairs)"
    weights = groups * filters * channels * taps
    results = [f"diagonals.reshape({weights}, {places}).dot(ones)"]
    if len(targets) > 1:
        totals_ = "np.add.reduce(upstream, axis=0)"
        results.append(f"{totals_}.reshape({groups * filters}, {places}).dot(ones)")
    body = [
        f"N, dtype = len({x}), {x}.dtype",
        _placed(matrix, name, "pairs, diagonals"),
        f"upstream = {dy}.reshape(N, {matrix.width})",
        product,
        f"ones = np.ones({places}, dtype)",
        *(
            f"{target} = {result}.reshape({listed(task.shape(target))})"
            for target, result in zip(targets, results, strict=True)
        ),
        f"return {', '.join(targets)}",
    ]
    doc = f"{targets[0]}: all products of an entry of {x} and one of {dy}; those of a weight lie "
    return (dy, x), body, doc + "along a diagonal."


def _placed(matrix: Matrix, name: str, names: str) -> str:
    """The line that makes M and the view of its diagonals."""
    shape, steps, start = matrix.view
    begin = f", {start}" if start else ""
    view = f"({listed(shape)},), ({listed(steps)},){begin}"
    return f'{names} = _diagonals("{name[1:]}", ({matrix.shape}), dtype, {view})'


def _weighted(form: Windowed, name: str) -> list[str]:
    """Lines that make M with the weights in it."""
    matrix, places = Matrix(form), len(form.windows)
    own = [*matrix.view[0][:-places], *[1] * places]
    lines = [
        _placed(matrix, name, "matrix, weights"),
        f"weights[...] = {form.kernel}.reshape({listed(own)})",
    ]
    if not matrix.padded:
        return lines
    rows = f"matrix = matrix[{matrix.inner}].reshape({matrix.height}, {matrix.width})"
    return [*lines, "# without the rows of the zeros around", rows]


def _steps(axes: tuple[tuple[str, int], ...]) -> dict[str, int]:
    """Label → how far apart its entries are in an array of these axes."""
    sizes = [size for _, size in axes]
    return {label: prod(sizes[k + 1 :]) for k, (label, _) in enumerate(axes)}
