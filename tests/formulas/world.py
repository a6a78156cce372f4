"""What the names of one layer's notes mean, and whether a displayed row is true of its kernel.

Known from the start are the sizes, the given tensors and g; y and every ∂L/∂(given tensor) are
the kernel's. An intermediate tensor, and its gradient, is what the first readable row about it
says: everything that is displayed later has to agree with that, the kernel's gradients with both.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numbers_of import Dual
from reader import Env, Item, Reader, Skipped, Unreadable, bare, flat, split, symbols, walk

from derive.documents import (
    Block,
    Display,
    Document,
    Fenced,
    Fraction,
    Grid,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
)

MOST, FEWEST, WORK = 10, 4, 2000
"""Entries of a row that are compared, drawn at random where there are more; fewer of a row whose
sums are long, so that an entry's products times the entries are about ``WORK``."""

TermRow = tuple[Math, tuple[Math, ...]]


class Untrue(AssertionError):
    """A displayed row and the kernel disagree."""


def walk_blocks(blocks: Iterable[object]) -> Iterator[Any]:
    """Every block of a document, however deep it stands."""
    for block in blocks:
        if isinstance(block, tuple):
            yield from walk_blocks(block)
        elif isinstance(block, Block):
            yield block
            yield from walk_blocks(getattr(block, name) for name in block.__dataclass_fields__)


def displays(blocks: Iterable[object]) -> Iterator[Display]:
    """Every display among blocks, however deep it stands."""
    return (block for block in walk_blocks(blocks) if isinstance(block, Display))


def rows(display: Display) -> list[TermRow]:
    """The rows of a display, those that go on joined to what they go on from."""
    out: list[TermRow] = []
    for left, pieces in display.rows:
        if left == Row(()) and out:
            out[-1] = (out[-1][0], (*out[-1][1], *pieces))
        elif left != Row(()) or pieces:
            out.append((left, pieces))
    return out


@dataclass
class World:
    """The meaning of names; ``arrays`` has ``∂x`` for ∂L/∂x, and C where it is displayed."""

    equation: Any
    arrays: dict[str, Any]
    batch: int
    exact: bool
    letters: dict[str, str] = field(default_factory=dict)
    index_base: int = 0
    extents: dict[str, int] = field(default_factory=dict)
    composed: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)
    statements: dict[str, tuple[Math, tuple[Math, ...]]] = field(default_factory=dict)
    compiled: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fixed = self.equation.at_sizes()
        self.sizes = dict(self.equation.values) | {"N": self.batch}
        self.ties = self.equation.ties
        self.extents = {
            name: self.batch if name == fixed.batch else extent.number
            for name, extent in fixed.extents
        }
        self.tensors = {t.name: t for t in (*fixed.tensors, *fixed.inner, fixed.output)}
        output = fixed.output.name
        self.letters = {"g": output, fixed.output.gradient: output}
        taken = {*self.extents, *self.tensors}
        self.letters = {k: v for k, v in self.letters.items() if k not in taken}

    # -- what the reader asks ----------------------------------------------------------------
    def is_tensor(self, name: str) -> bool:
        """Whether it is a tensor, or the letter of ∂L/∂y."""
        return name in self.tensors or name in self.letters

    def extent(self, index: str) -> int:
        """How far an index runs; its primes and stars do not matter."""
        return self.extents[bare(index)]

    def whole(self, name: str) -> Any:
        """The layer's matrix, once it was displayed; a capital that means nothing else."""
        return self.arrays.get("the matrix") if len(name) == 1 and name.isupper() else None

    def key(self, name: str) -> str:
        """Where the numbers of a name are: ``g`` is ``∂y``."""
        if name in self.letters:
            return f"∂{self.letters[name]}"
        return name

    def array(self, name: str) -> Any:
        """The numbers of a tensor."""
        key = self.key(name)
        if key not in self.arrays:
            raise Unreadable(f"{key} is not known yet")
        return self.arrays[key]

    def read(self, name: str, place: tuple[Any, ...], env: Env) -> Any:
        """An entry; outside, what the tensor has there."""
        array = self.array(name)
        if not place and array.ndim:
            return column(array)
        where = self.where(name, place, array.shape)
        if where is None:
            tensor = self.key(name)
            outside = self.tensors[tensor].outside if tensor in self.tensors else "none"
            if outside == "zero":
                return 0
            if outside == "skip":
                raise Skipped
            raise Untrue(f"{name}{list(place)} is outside of {array.shape}")
        number = array[where]
        seed = env.get("∂")
        if seed is None or self.key(seed[0]) != self.key(name):
            return number
        here = self.where(seed[0], seed[1], array.shape) == where
        return Dual(number, int(here))

    def where(
        self, name: str, place: tuple[Any, ...], shape: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """The place in the array; None outside."""
        if len(place) != len(shape):
            raise Unreadable(f"{name} has {len(shape)} axes, not {len(place)}")
        out: list[int] = []
        for axis, (part, extent) in enumerate(zip(place, shape, strict=True)):
            if isinstance(part, tuple):
                inner = self.composed[self.key(name).removeprefix("∂"), axis]
                if not all(0 <= p < e for p, e in zip(part, inner, strict=True)):
                    return None
                part = int(np.ravel_multi_index(part, inner))
            if part != int(part):
                raise Untrue(f"{name}{list(place)} is no place")
            if not 0 <= part < extent:
                return None
            out.append(int(part))
        return tuple(out)

    def defined(self, name: str, place: tuple[Any, ...], env: Env) -> Any:
        """A tensor's entry by the row that defines it, for a derivative of it."""
        if name not in self.compiled:
            if name not in self.statements:
                raise Unreadable(f"no row says what {name} is")
            left, pieces = self.statements[name]
            _, names, _, values = self.parsed(left, pieces)
            self.compiled[name] = (names, values[0])
        names, value = self.compiled[name]
        inner = {"∂": env["∂"]}
        for axis, part in zip(names, place, strict=True):
            inner.update(zip(axis, part if isinstance(part, tuple) else (part,), strict=True))
        return value(inner)

    # -- rows --------------------------------------------------------------------------------
    def learn(self, all_rows: Iterable[TermRow]) -> None:
        """How axes are composed, wherever that can be seen from names, and which rows define."""
        for left, pieces in all_rows:
            for node in walk(Row((left, *pieces))):
                if isinstance(node, Scripts) and isinstance(node.base, Symbol) and node.sub:
                    self._learn_axes(node.base.name, split(flat(node.sub), ","))
            items = flat(left)
            name = next((n.name for n in walk(left) if isinstance(n, Symbol)), "")
            plain = len(items) == 1 and not isinstance(items[0], Grid | Fraction)
            if plain and name in self.tensors and not _numbered(left):
                self.statements.setdefault(name, (left, pieces))

    def _learn_axes(self, name: str, parts: list[list[Item]]) -> None:
        for axis, part in enumerate(parts):
            match part:
                case [Fenced("(", body, ")")]:
                    names = symbols(flat(body))
                    if names and len(names) > 1 and all(bare(n) in self.extents for n in names):
                        inner = tuple(self.extent(n) for n in names)
                        self.composed.setdefault((self.key(name).removeprefix("∂"), axis), inner)

    def parsed(self, left: Math, pieces: tuple[Math, ...]) -> Any:
        """Reader, names of the left side an axis, its tensor, and the sides after each =."""
        items = flat(Row(pieces))
        relation = items[0]
        if relation not in (Operator("="), Operator("+=")):
            raise Unreadable(f"a row that starts with {relation}")
        bare_reader = Reader(self)  # type: ignore[arg-type]
        name, sub = self._target(left, bare_reader)
        names = _axis_names(sub) if relation == Operator("=") else ()
        every = tuple(n for axis in names for n in axis)
        grids = sub is None and any(isinstance(node, Grid) for node in walk(Row(pieces)))
        base = self.index_base if _numbered(left) or grids else 0
        reader = Reader(self, every, base=base)  # type: ignore[arg-type]
        sides = split(items[1:], "=")
        values = [_value(side, reader) for side in sides]
        return reader, names, (name, sub), values

    def _target(self, left: Math, reader: Reader) -> tuple[str, Math | None]:
        """The tensor and the subscripts on a left side."""
        (item,) = flat(left) if len(flat(left)) == 1 else (None,)
        match item:
            case Symbol(name) if self.is_tensor(name):
                return name, None
            case Scripts(Symbol(name), sub, None) if self.is_tensor(name):
                return name, sub
            case Fraction(top, Row((Operator("∂"), inner))) if flat(top) == [
                Operator("∂"),
                Symbol("L"),
            ]:
                name, sub = self._target(inner, reader)
                return f"∂{name}", sub
        raise Unreadable(f"a left side {item}")

    def check(self, left: Math, pieces: tuple[Math, ...], chance: random.Random) -> None:
        """Compare one row with what is known; Untrue if it is not so."""
        if any(node == Operator("⋯") for node in walk(Row(pieces))):
            raise Unreadable("dots")
        if isinstance(flat(left)[0], Grid):
            return self._check_grid(left, pieces)
        reader, names, (name, sub), values = self.parsed(left, pieces)
        if reader.free:
            raise Unreadable(f"{list(reader.free)} are not bound")
        known = self.arrays.get(self.key(name))
        if sub is None and known is not None and known.ndim:
            for value in values:
                self._same(np.asarray(value({})).reshape(known.shape), known, left)
            return None
        if _numbered(left):
            place = tuple(part({}) for part in Reader(self).subscripts(sub))  # type: ignore[arg-type]
            where = self.where(name, _less(place, reader.base), self.array(name).shape)
            for value in values:
                self._same(value({}), self.array(name)[where], left)
            return None
        for value in values:
            most = max(FEWEST, min(MOST, WORK // reader.cost))
            self._check_entries(name, names, value, left, chance, most)
        return None

    def _check_entries(
        self, name: str, names: Any, value: Any, left: Math, chance: random.Random, most: int
    ) -> None:
        flat_names = [n for axis in names for n in axis]
        key = self.key(name)
        fresh, like = key not in self.arrays, key.removeprefix("∂")
        if like in self.arrays:
            shape = self.arrays[like].shape
        else:
            shape = tuple(prod(self.extent(n) for n in axis) for axis in names)
        places = list(product(*self._lhs_ranges(names, shape)))
        if not fresh and len(places) > most:
            places = chance.sample(places, most)
        found = np.empty(shape, dtype=object if self.exact else float)
        for place in places:
            env = dict(zip(flat_names, place, strict=True))
            number = value(env)
            where = self._flat(names, place)
            if fresh:
                found[where] = number
            else:
                self._same(number, self.arrays[key][where], left, place)
        if fresh:
            self.arrays[key] = found

    def _lhs_ranges(self, names: Any, shape: tuple[int, ...]) -> list[range]:
        """A left side runs over its tensor, whatever its indices are called."""
        if len(names) != len(shape):
            raise Unreadable(f"{len(names)} subscripts for {len(shape)} axes")
        out: list[range] = []
        for axis, extent in zip(names, shape, strict=True):
            out += [range(extent)] if len(axis) == 1 else [range(self.extent(n)) for n in axis]
        return out

    def _flat(self, names: Any, place: tuple[int, ...]) -> tuple[int, ...]:
        out, rest = [], list(place)
        for axis in names:
            part = [rest.pop(0) for _ in axis]
            sizes = [self.extent(n) for n in axis] if len(axis) > 1 else [part[0] + 1]
            out.append(int(np.ravel_multi_index(part, sizes)))
        return tuple(out)

    def check_scatter(self, added: list[TermRow]) -> None:
        """Rows with += together: every product sent to its entry gives the whole tensor."""
        totals: dict[str, Any] = {}
        for left, pieces in added:
            reader, _, (name, sub), (value,) = self.parsed(left, pieces)
            axes = reader.subscripts(sub)
            known = self.array(name)
            total = totals.setdefault(name, np.zeros(known.shape, dtype=known.dtype) + 0)
            free = list(reader.free)
            for place in product(*(range(self.extent(n)) for n in free)):
                env = dict(zip(free, place, strict=True))
                where = self.where(name, tuple(a(env) for a in axes), known.shape)
                if where is not None:
                    total[where] = total[where] + value(env)
        for name, total in totals.items():
            self._same(total, self.array(name), added[0][0])

    def _check_grid(self, left: Math, pieces: tuple[Math, ...]) -> None:
        reader = Reader(self, base=self.index_base)  # type: ignore[arg-type]
        sides = split(flat(Row(pieces))[1:], "=")
        wanted = reader.formula(left)({})
        for side in sides:
            if len(side) > 1 and all(isinstance(item, Grid) for item in side[:2]):
                self.arrays["the matrix"] = reader.formula([side[0]])({})
            self._same(_value(side, reader)({}), wanted, left)

    def _same(self, found: Any, wanted: Any, left: Math, place: Any = "") -> None:
        found, wanted = np.asarray(found), np.asarray(wanted)
        if self.exact:
            good = found.shape == wanted.shape and bool(np.all(found == wanted))
        else:
            found, wanted = found.astype(float), wanted.astype(float)
            most = max(np.abs(wanted).max(initial=0.0), 1e-3)
            good = found.shape == wanted.shape and bool(np.all(abs(found - wanted) <= 1e-9 * most))
        if not good:
            raise Untrue(f"{left} {place}: printed {found}, kernel {wanted}")


def column(array: Any) -> Any:
    """vec: all entries, row-major, as one column."""
    return array.reshape(-1, 1)


def _less(place: tuple[Any, ...], base: int) -> tuple[Any, ...]:
    return tuple(
        tuple(n - base for n in part) if isinstance(part, tuple) else part - base for part in place
    )


def _numbered(left: Math) -> bool:
    """Whether the subscripts of a left side are numbers."""
    found = [n for n in walk(left) if isinstance(n, Scripts) and n.sub is not None]
    inside = [n for s in found for n in walk(s.sub)]
    return (
        bool(found)
        and any(isinstance(n, Numeral) for n in inside)
        and not any(isinstance(n, Symbol) for n in inside)
    )


def _axis_names(sub: Math | None) -> tuple[tuple[str, ...], ...]:
    """The names of every axis; none for numbers."""
    if sub is None:
        return ()
    out: list[tuple[str, ...]] = []
    for part in split(flat(sub), ","):
        match part:
            case [Symbol(name)]:
                out.append((name,))
            case [Fenced("(", body, ")")] if (names := symbols(flat(body))) is not None:
                out.append(names)
            case _:
                return ()
    return tuple(out)


def _value(side: list[Item], reader: Reader) -> Any:
    """A formula, or the correlation (⋆) or convolution (∗) of two matrices."""
    for sign, turn in (("⋆", False), ("∗", True)):
        parts = split(side, sign)
        if len(parts) == 2:
            one, two = (reader.formula(part) for part in parts)
            return lambda env, one=one, two=two, turn=turn: correlated(one(env), two(env), turn)
    return reader.formula(side)


def correlated(source: Any, kernel: Any, turn: bool) -> Any:
    """Every window of the source that the kernel fits into, times the kernel."""
    kernel = kernel[::-1, ::-1] if turn else kernel
    high, wide = (s - k + 1 for s, k in zip(source.shape, kernel.shape, strict=True))
    out = np.zeros((high, wide), dtype=object)
    for r, c in product(range(high), range(wide)):
        out[r, c] = (source[r : r + kernel.shape[0], c : c + kernel.shape[1]] * kernel).sum()
    return out


def check_document(document: Document, world: World, seed: int = 0) -> tuple[int, dict[str, int]]:
    """How many rows were compared, and why others were not."""
    return check_displays(list(displays(document.blocks)), world, seed)


def check_displays(found: list[Display], world: World, seed: int = 0) -> tuple[int, dict[str, int]]:
    """The same of some displays."""
    return check_rows([rows(display) for display in found], world, seed)


def check_rows(
    all_rows: list[list[TermRow]], world: World, seed: int = 0
) -> tuple[int, dict[str, int]]:
    """The same of rows, those of a display together."""
    chance, good, why = random.Random(seed), 0, dict[str, int]()
    world.learn(row for part in all_rows for row in part)
    for part in all_rows:
        added = [row for row in part if flat(Row(row[1]))[:1] == [Operator("+=")]]
        for one in [*([added] if added else []), *([row] for row in part if row not in added)]:
            try:
                if one is added:
                    world.check_scatter(one)
                else:
                    world.check(*one[0], chance)
                good += len(one)
            except Unreadable as reason:
                why[str(reason)] = why.get(str(reason), 0) + len(one)
    return good, why
