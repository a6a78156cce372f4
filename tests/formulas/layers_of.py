"""Notes and kernels of layers at random points, ready to be compared."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from reader import Head, flat, split, symbols, walk
from world import World, check_document, displays, walk_blocks

from derive import pipeline
from derive.certificates import Certificate
from derive.classes import classes
from derive.documents import Document, Math, Numeral, Operator, Paragraph, Scripts, Symbol
from derive.equations import Layer
from derive.functions import arithmetic
from derive.render.notes.layer import notes
from derive.specs import PLAIN, Style

Checked = tuple[int, dict[str, int]]
Change = Callable[[Document], Document]


def point(equation: Any, batch: tuple[int, ...], seed: int, *, exact: bool) -> dict[str, Any]:
    """Numbers for every tensor and for g: small whole ones, with ties, or floats with none."""
    chance = random.Random(seed)
    fixed = equation.at_sizes()
    arrays: dict[str, Any] = {}
    for tensor in (*fixed.tensors, fixed.output):
        shape = (*(batch if tensor.batched else ()), *tensor.sizes())
        name = tensor.name if tensor is not fixed.output else f"∂{tensor.name}"
        if tensor.integer:
            top = classes(fixed, tensor)
            arrays[name] = np.array([chance.randrange(top) for _ in range(_size(shape))], int)
        elif exact:
            kinked = "selecting" in arithmetic(equation) and _size(shape) > 1
            zero = 0 if kinked else 5  # where nothing chooses, zeros would only hide mistakes
            drawn = [Fraction(chance.randint(-4, 4) or zero) for _ in range(_size(shape))]
            arrays[name] = np.array([*drawn, None], object)[:-1]
        else:
            arrays[name] = np.array([chance.uniform(-2, 2) for _ in range(_size(shape))])
        arrays[name] = arrays[name].reshape(shape)
    if fixed.loss:
        arrays[f"∂{fixed.output.name}"] = np.array(Fraction(1) if exact else 1.0)
    return arrays


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))


def _is_exact(array: Any) -> bool:
    return all(isinstance(number, Fraction | int) for number in array.astype(object).flat)


def keeps_batch(equation: Any, document: Document) -> bool:
    """Whether the batch index is written in the formulas."""
    names = {
        node.name
        for display in displays(document.blocks)
        for left, pieces in display.rows
        for part in (left, *pieces)
        for node in walk(part)
        if hasattr(node, "name")
    }
    return equation.batch in {name.rstrip("'*") for name in names}


def adding_up(document: Document, arrays: dict[str, Any]) -> dict[str, Any]:
    """The point moved to where a sentence ``∑_c t_{n,c} = 1`` holds, if there is one."""
    moved = dict(arrays)
    for inline in sentences(document):
        match flat(inline):
            case [Head("∑", under), Scripts(Symbol(name), sub, None), Operator("="), Numeral("1")]:
                names, total = symbols(flat(under[0])), moved[name]
                axes = [symbols(part) for part in split(flat(sub), ",")]
                axis = axes.index(names)
                moved[name] = abs(total) / abs(total).sum(axis=axis, keepdims=True)
    return moved


def sentences(document: Document) -> Iterator[Math]:
    """All mathematics within paragraphs."""
    for block in walk_blocks(document.blocks):
        if isinstance(block, Paragraph):
            yield from (part for part in block.text if isinstance(part, Math))


def run_kernel(derivation: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """Y and every gradient from the generated text."""
    equation = derivation.equation
    made = pipeline.Made(derivation, pipeline.kernel(derivation), Certificate(()))
    module = pipeline.module(made)
    given = [arrays[t.name] for t in equation.tensors]
    name = equation.output.name
    upstream = [] if equation.loss else [arrays[f"∂{name}"]]
    out = {name: np.asarray(module.forward(*given))}
    for tensor, gradient in zip(equation.tensors, module.backward(*upstream, *given), strict=True):
        if gradient is not None:
            out[f"∂{tensor.name}"] = np.asarray(gradient)
    return out


def check_layer(
    layer: Layer,
    *,
    style: Style = PLAIN,
    seed: int = 0,
    change: Change = lambda document: document,
) -> Checked:
    """Every row of a layer's notes against its kernel: how many held, why others were not read."""
    derivation = pipeline.derive(layer)
    document = notes(derivation, style=style)
    world = world_of(derivation, document, seed, style.index_base)
    return check_document(change(document), world, seed)


def world_of(derivation: Any, document: Document, seed: int, index_base: int = 0) -> World:
    """A random point, and what the kernel makes of it."""
    equation, exact = derivation.equation, "smooth" not in arithmetic(derivation.equation)
    batch = (2,) if keeps_batch(equation, document) else ()
    arrays = adding_up(document, point(equation, batch, seed, exact=exact))
    results = run_kernel(derivation, arrays)
    if exact and not all(_is_exact(array) for array in results.values()):
        assert arithmetic(equation) != {"polynomial"}
        exact = False  # a kernel that divides by a float
        arrays = {k: a if a.dtype == int else a.astype(float) for k, a in arrays.items()}
        results = run_kernel(derivation, arrays)
    return World(equation, arrays | results, 2, exact, index_base=index_base)
