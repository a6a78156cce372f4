"""A network by its notes alone: each layer's printed formulas, forward and then back."""

from __future__ import annotations

from typing import Any

import numpy as np
from layers_of import Checked
from reader import Reader, Unreadable, flat, split
from world import World, check_rows, displays, rows

from derive.documents import Display, Document, Heading, Math, Operator, Row
from derive.graphs import INPUT, TARGET
from derive.render.notes.layer import notes


def chapters_of(document: Document, derivation: Any) -> tuple[list[Display], list[list[Display]]]:
    """The displays about the whole, and those of every layer, its own notes before them.

    A layer's chapter has its name in the heading, a display elsewhere in its own name; a layer of
    a kind that was there before may be told in short.
    """
    names = [node.name for node, _ in derivation.pairs()]
    parts = {node.name: list(displays(notes(one).blocks)) for node, one in derivation.pairs()}
    whole: list[Display] = []
    chapter = ""
    for block in document.blocks:
        if isinstance(block, Heading) and block.level == 1:
            words = " ".join(part for part in block.text if isinstance(part, str))
            chapter = next((name for name in names if name in words), "")
        for display in displays([block]):
            owner = next((name for name in names if display.name.endswith(f"_{name}")), chapter)
            (parts[owner] if owner else whole).append(display)
    return whole, list(parts.values())


def check_network(
    document: Document, derivation: Any, x: Any, t: Any, params: dict[str, Any]
) -> tuple[Checked, dict[str, Any]]:
    """Rows that held in all layers, why others were not read, and the gradients found."""
    pairs = list(derivation.pairs())
    _, parts = chapters_of(document, derivation)
    values: dict[str, Any] = {INPUT: x, TARGET: t}
    given: dict[str, dict[str, Any]] = {}
    for (node, one), part in zip(pairs, parts, strict=True):
        arrays = {tensor.name: values[source] for tensor, source in node.reads}
        arrays |= {tensor.name: params[name] for name, tensor in node.parameters}
        if one.equation.loss:  # its formulas keep the batch: here of one sample
            for tensor, _ in node.reads:
                arrays[tensor.name] = arrays[tensor.name][None]
        given[node.name] = dict(arrays)
        world = World(one.equation, arrays, 1, exact=False)
        check_rows([rows(display) for display in part], world)
        values[node.name] = world.arrays[one.equation.output.name]
    return _backward(pairs, parts, given, values)


def _backward(pairs: Any, parts: Any, given: Any, values: Any) -> tuple[Checked, dict[str, Any]]:
    arriving: dict[str, Any] = {}
    gradients: dict[str, Any] = {}
    good, why = 0, dict[str, int]()
    for (node, one), part in reversed(list(zip(pairs, parts, strict=True))):
        output = one.equation.output.name
        arrays = given[node.name] | {output: values[node.name]}
        arrays[f"∂{output}"] = np.array(1.0) if one.equation.loss else arriving[node.name]
        world = World(one.equation, arrays, 1, exact=False)
        held, unread = check_rows([rows(display) for display in part], world)
        good += held
        why |= unread
        for tensor, source in node.reads:
            found = world.arrays.get(f"∂{tensor.name}")
            if found is not None:
                found = found.reshape(np.shape(values[source]))
                arriving[source] = arriving.get(source, 0) + found
        for name, tensor in node.parameters:
            gradients[name] = world.arrays[f"∂{tensor.name}"]
    return (good, why), gradients | {INPUT: arriving[INPUT]}


def off_by(left: Math, pieces: tuple[Math, ...]) -> float:
    """How far the sides of ``w ← w₀ − η·∂L/∂w = w₁`` are from each other, in numbers."""
    items = flat(Row(pieces))
    if items[0] != Operator("←"):
        raise Unreadable("no step")
    reader = Reader(World.__new__(World))
    one, two = (np.asarray(reader.formula(side)({})) for side in split(items[1:], "="))
    return float(abs(np.asarray(one - two, float)).max())
