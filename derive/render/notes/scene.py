"""A scene: the derived equations of a layer as JSON, for a page that answers a pointer.

The page evaluates these very equations, so what it shows is what was derived; no list of terms
is written down, so the text stays as short at 224×224 as at 3×3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from ...affine import Affine
from ...classes import classes
from ...documents import Block, Explorer, Symbol
from ...equations import SKIP_OUTSIDE, Equation, Statement, Tensor
from ...expressions import Read, Winner, reads, walk
from ...scenes import Scene
from ..mathematics.letters import GREEK, letter
from ..mathematics.notation import Taps
from ..tex.mathematics import symbol
from .scenetrees import axes_of, tree
from .setting import meaning
from .sheet import Sheet

BATCH = 3
"""Samples that are shown where the equation mixes the samples of a batch."""
NUMBERS = 1000
"""Numbers of the worked example that a page carries."""
VERSION = 1


def scene(sheet: Sheet) -> Scene | None:
    """The tensors, the statements that make them, and first numbers; None without sizes."""
    return Scene(_text(_Maker(sheet).data())) if sheet.here is not None else None


def explore(sheet: Sheet) -> list[Block]:
    """The scene as a block; nothing without sizes."""
    found = scene(sheet)
    return [Explorer(found)] if found else []


def named(value: Scene, name: str) -> Scene:
    """The scene of one layer of a network; its links start with the layer's name."""
    return Scene(_text({**json.loads(value.data), "name": name}))


def _text(data: dict[str, Any]) -> str:
    """Canonical JSON: sorted, nothing between."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class _Maker:
    """Gathers the parts of one scene."""

    def __init__(self, sheet: Sheet) -> None:
        assert sheet.here is not None  # asked by scene()
        self.sheet = sheet
        names = () if sheet.batch else sheet.here.extent(sheet.here.batch).names
        self.batch: dict[str, Affine | int] = dict.fromkeys(names, BATCH)
        self.equation: Equation = replace(
            sheet.here,
            extents=tuple((i, e.substitute(self.batch)) for i, e in sheet.here.extents),
        )

    def data(self) -> dict[str, Any]:
        """Everything the page has to know."""
        equation, sheet = self.equation, self.sheet
        makes = {s.lhs.tensor: [axes_of(s.lhs), tree(s.rhs)] for s in self.statements}
        words = {k.removeprefix("explorer."): v for k, v in sheet.say if k.startswith("explorer.")}
        return {
            "version": VERSION,
            "name": "",
            "base": sheet.style.index_base,
            "columns": self._columns(),
            "extents": {i: e.number for i, e in equation.extents if e.number is not None},
            "loss": equation.loss,
            "ties": equation.ties,
            "makes": makes,
            "names": dict(sorted(self._names())),
            "taps": _taps(self.sheet.taps),
            "tensors": dict(self._tensors()),
            "words": words,
        }

    # -- statements ---------------------------------------------------------------------------
    def _one(self, value: Statement) -> Statement:
        return self.sheet.one(value).substitute(self.batch)

    @cached_property
    def forward(self) -> tuple[Statement, ...]:
        """What is computed, the output with its own deltas solved."""
        resolved = self.sheet.derivation.resolved
        last = self.equation.forward if resolved is None else resolved.gather
        return tuple(self._one(s) for s in (*self.equation.given, last))

    @cached_property
    def gradients(self) -> tuple[Statement, ...]:
        """The gather forms that are shown, and those of intermediates that they read."""
        derivation = self.sheet.derivation
        integer = {t.name for t in self.equation.tensors if t.integer}
        shown = [self._one(g.gather) for g in derivation.instance if g.of not in integer]
        inner = [self._one(g.gather) for g in derivation.inner_instance]
        return (*_read_by(shown, inner), *shown)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The forward statements that something reads, and the gradients."""
        *given, last = self.forward
        return (*_read_by([last, *self.gradients], given), last, *self.gradients)

    # -- tensors ------------------------------------------------------------------------------
    def _columns(self) -> list[list[str]]:
        """The grids: every tensor with the gradient that comes back to it, if there is one."""
        made = {s.lhs.tensor for s in self.statements}
        if not self.equation.loss:
            made.add(self.equation.output.gradient)
        inner = tuple(t for t in self.equation.inner if t.name in made)
        every = (*self.equation.tensors, *inner, self.equation.output)
        return [[t.name, *([t.gradient] if t.gradient in made else [])] for t in every]

    def _tensors(self) -> Iterator[tuple[str, dict[str, Any]]]:
        equation = self.equation
        made = {s.lhs.tensor for s in self.statements}
        for number, tensor in enumerate(equation.tensors):
            first = {**_first(number, tensor, equation), **self._worked(tensor.name)}
            yield tensor.name, {**self._tensor(tensor), **first}
        for tensor in (*equation.inner, equation.output):
            if tensor.name in made:
                yield tensor.name, self._tensor(tensor)
        for tensor in (*equation.tensors, *equation.inner):
            if tensor.gradient in made:
                turned = self._turned(tensor.name)
                yield tensor.gradient, {**self._size(tensor), **turned, "of": tensor.name}
        if not equation.loss:
            first = {"fill": [len(equation.tensors), 4, 1], "of": equation.output.name}
            letter_ = self.sheet.upstream()  # else it is written as the fraction ∂L/∂y
            letters = {"shown": letter_.name} if isinstance(letter_, Symbol) else {}
            worked = self._worked(equation.output.gradient)
            yield (
                equation.output.gradient,
                {**self._size(equation.output), **first, **worked, **letters},
            )

    def _worked(self, name: str) -> dict[str, list[float]]:
        """The numbers of the worked example, where there is one of such a size."""
        example, output = self.sheet.example, self.equation.output
        if example is None or self.batch:
            return {}
        arrays = {**dict(example.given), output.gradient: example.upstream}
        if sum(value.size for value in arrays.values() if value is not None) > NUMBERS:
            return {}
        return {"first": [_short(float(value)) for value in arrays[name].ravel()]}

    def _turned(self, name: str) -> dict[str, str]:
        """The kernel that a gradient was proved to meet turned by 180°."""
        forms = (g.form for g in self.sheet.derivation.instance if g.of == name)
        found = [f.kernel for f in forms if f is not None and f.kind == "full_convolution"]
        return {"turned": found[0]} if found else {}

    def _tensor(self, tensor: Tensor) -> dict[str, Any]:
        (words, *_) = meaning(tensor, self.sheet)
        found = {"meaning": words, **self._size(tensor)}
        pads = self._pads(tensor)
        if any(low or high for low, high in pads):
            found["pads"] = pads
            found["outside"] = "skip" if tensor.outside == SKIP_OUTSIDE else "zero"
        return found

    def _size(self, tensor: Tensor) -> dict[str, Any]:
        """Shape, how far the parts of each composed axis run, and the letters of the axes."""
        shape = list(tensor.sizes())
        if not self.sheet.batch and self.equation.rank(tensor) > len(shape):
            shape.insert(0, BATCH)
        parts: list[list[int]] = [[size] for size in shape]
        letters = [""] * len(shape)
        for read in self._reads(tensor.name):
            for axis, subscript in enumerate(read.axes):
                names = [part.bare for part in subscript]
                letters[axis] = letters[axis] or ",".join(n for n in names if n)
                if len(names) > 1 and all(names):
                    found = [self.equation.extent(n).number for n in names if n]
                    parts[axis] = [n for n in found if n is not None]
        return {"shape": shape, "parts": parts, "letters": letters}

    def _reads(self, name: str) -> list[Read]:
        """How a tensor is written in the forward statements: as it is made, as it is read."""
        made = [s.lhs for s in self.forward if s.lhs.tensor == name]
        return made + [r for s in self.forward for r in reads(s.rhs, name)]

    def _pads(self, tensor: Tensor) -> list[list[int]]:
        """How far reads reach over both ends of each axis."""
        shape = self._size(tensor)["shape"]
        pads = [[0, 0] for _ in shape]
        for statement in self.forward:
            for read in reads(statement.rhs, tensor.name):
                for axis, subscript in enumerate(read.axes):
                    if len(subscript) == 1 and subscript[0].is_whole:
                        low, high = self._reach(subscript[0])
                        pads[axis][0] = max(pads[axis][0], -low)
                        pads[axis][1] = max(pads[axis][1], high - shape[axis] + 1)
        return pads

    def _reach(self, value: Affine) -> tuple[int, int]:
        low = high = 0
        for monomial, coefficient in value.terms:
            ends = [coefficient, coefficient]
            if monomial:
                last = (self.equation.extent(monomial[0].rstrip("'*")).number or 1) - 1
                ends = [0, coefficient * last]
            low, high = low + min(ends), high + max(ends)
        return low, high

    # -- letters ------------------------------------------------------------------------------
    def _names(self) -> Iterator[tuple[str, list[str]]]:
        """How tensors are set: base, what stands under it, marks, and the whole in LaTeX."""
        tensors = dict(self._tensors())
        shown = {value["shown"] for value in tensors.values() if "shown" in value}
        winners = (e for s in self.statements for e in walk(s.rhs) if isinstance(e, Winner))
        for name in {"L", *shown, *tensors, *(name for one in winners for name in one.over)}:
            parts = letter(name)
            yield name, [GREEK.get(parts.base, parts.base), parts.sub, parts.marks, symbol(name)]


def _read_by(roots: list[Statement], others: list[Statement]) -> list[Statement]:
    """Those of the others that the roots read, directly or through each other; same order."""
    found: dict[str, Statement] = {s.lhs.tensor: s for s in others}
    todo, kept = list(roots), set()
    while todo:
        for read in reads(todo.pop().rhs):
            if read.tensor in found and read.tensor not in kept:
                kept.add(read.tensor)
                todo.append(found[read.tensor])
    return [s for s in others if s.lhs.tensor in kept]


def _short(value: float) -> float:
    """A whole number without its point."""
    return int(value) if value.is_integer() else value


def _first(number: int, tensor: Tensor, equation: Equation) -> dict[str, Any]:
    """First numbers: ``[seed, how many values, the least]`` of a fixed pattern."""
    if tensor.integer:
        return {"fill": [number, count := classes(equation, tensor), 0], "classes": count}
    return {"fill": [number, 7, -2]}


def _taps(taps: Taps | None) -> dict[str, Any] | None:
    if taps is None:
        return None
    return {
        "axes": list(taps.axes),
        "names": list(taps.names),
        "sizes": list(taps.sizes),
        "tensor": taps.tensor,
    }
