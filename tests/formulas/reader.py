"""A reader of printed mathematics: a displayed formula becomes a function of numbers.

It knows typeset mathematics and nothing of what printed it. The tree is flattened to what
stands side by side on paper (a big operator reaches as far as its term does, whatever the tree
says), then read by recursive descent:

    relation = sum ((= | < | ≤ | ≥ | > | ≠ | ∣ | ∈) sum)*
    sum      = [−] term ((+ | −) term)*
    term     = factor ((· | / | nothing) factor)*
    factor   = number | name | name_{subscripts} | fraction | function(...) | ∑ term | ...

A bracket [condition] or a Kronecker δ that is 0 makes its product 0 whatever the other
factors are, as Iverson has it: these need not have a value then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from numbers_of import NAMES, Dual, applied, chosen, divided, plain, power, slope

from derive.documents import (
    Big,
    Cases,
    Fenced,
    Grid,
    Hued,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
    Upright,
)
from derive.documents import Fraction as Ratio

Env = dict[str, Any]
Value = Callable[[Env], Any]


class Unreadable(Exception):
    """Not a formula that this reader knows."""


class Skipped(Exception):
    """A read outside of a tensor whose entries outside do not count."""


class World(Protocol):
    """What names mean."""

    sizes: Mapping[str, int]
    ties: str
    base: int

    def is_tensor(self, name: str) -> bool:
        """Whether it is a tensor's name, g included."""

    def extent(self, index: str) -> int:
        """How far an index runs (KeyError if it is none)."""

    def read(self, name: str, place: tuple[Any, ...], env: Env) -> Any:
        """An entry."""

    def whole(self, name: str) -> Any:
        """A matrix that was displayed before; None if there is none."""

    def defined(self, name: str, place: tuple[Any, ...], env: Env) -> Any:
        """An entry by the row that says what it is."""


@dataclass(frozen=True)
class Head:
    """A big operator without what it is applied to, which stands behind it."""

    text: str
    under: tuple[Math, ...]


@dataclass(frozen=True)
class Best:
    """All places of a maximum, first to last."""

    places: tuple[tuple[int, ...], ...]


Item = Math | Head

_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "≠": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "≤": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "≥": lambda a, b: a >= b,
    "∣": lambda a, b: divided(b, a) == int(divided(b, a)),
    "∈": lambda a, b: a in b.places,
}
_BESIDE = {"\u2062", " ", "\u2009"}
_STARS = "'*′"


def flat(math_: Math) -> list[Item]:
    """What stands side by side, colours and invisible signs left out."""
    match math_:
        case Row(items):
            return [one for item in items for one in flat(item)]
        case Hued(_, body):
            return flat(body)
        case Big(text, under, body, None):
            return [Head(text, under), *flat(body)]
        case Operator(text) if text in _BESIDE:
            return []
    return [math_]


def split(items: list[Item], sign: str) -> list[list[Item]]:
    """The items between the signs that no bracket encloses."""
    out: list[list[Item]] = [[]]
    depth = 0
    for item in items:
        if isinstance(item, Operator):
            depth += (item.text == "(") - (item.text == ")")
        if item == Operator(sign) and not depth:
            out.append([])
        else:
            out[-1].append(item)
    return out


def bare(name: str) -> str:
    """An index without its primes and stars: all of them run as far."""
    return name.rstrip(_STARS)


def symbols(items: list[Item]) -> tuple[str, ...] | None:
    """``u, v``: names between commas; None for anything else."""
    parts = split(items, ",")
    found = [part[0].name for part in parts if len(part) == 1 and isinstance(part[0], Symbol)]
    return tuple(found) if len(found) == len(parts) else None


class Reader:
    """Reads the formulas of one world; ``bound`` are the indices of the left-hand side."""

    def __init__(self, world: World, bound: tuple[str, ...] = (), *, base: int = 0) -> None:
        self.world, self.base = world, base
        self.bound = list(bound)
        self.free: dict[str, None] = {}
        self.cost, self.nested = 1, 1

    def formula(self, math_: Math | list[Item]) -> Value:
        """One expression, all of it."""
        items = flat(math_) if isinstance(math_, Math) else math_
        return _Descent(self, items).all()

    def relation(self, items: list[Item]) -> Value:
        """``a ≤ b < c``: whether every part of the chain holds."""
        sides: list[Value] = []
        signs: list[str] = []
        rest: list[Item] = []
        for item in [*items, None]:
            if item is None or (isinstance(item, Operator) and item.text in _RELATIONS):
                sides.append(self._place(rest))
                signs += [item.text] if isinstance(item, Operator) else []
                rest = []
            else:
                rest.append(item)
        if not signs:
            raise Unreadable("a condition without a relation")
        pairs = list(zip(signs, sides, sides[1:], strict=False))

        def holds(env: Env) -> bool:
            return all(_RELATIONS[s](_first(a(env), s), _first(b(env), s)) for s, a, b in pairs)

        return holds

    def _place(self, items: list[Item]) -> Value:
        """A side of a relation; ``(u, v)`` is a place."""
        match items:
            case [Fenced("(", body, ")")] if len(split(flat(body), ",")) > 1:
                parts = [self.formula(p) for p in split(flat(body), ",")]
                return lambda env: tuple(plain(part(env)) for part in parts)
        return self.formula(items)

    def subscripts(self, sub: Math | None) -> tuple[Value, ...]:
        """One value an axis: a number, or a tuple for an axis composed of several."""
        if sub is None:
            return ()
        return tuple(self._place(part) for part in split(flat(sub), ","))

    def entry(self, math_: Math) -> tuple[str, tuple[Value, ...]] | None:
        """The tensor and subscripts of a read; None if it is none."""
        items = flat(math_)
        match items:
            case [Scripts(Symbol(name), sub, None)] if self.tensor(name):
                return name, self.subscripts(sub)
            case [Symbol(name)] if self.tensor(name):
                return name, ()
            case [Ratio(top, bottom)] if flat(top) == [Operator("∂"), Symbol("L")]:
                below = flat(bottom)
                if below[:1] == [Operator("∂")] and len(below) == 2:
                    inner = self.entry(below[1])
                    return (f"∂{inner[0]}", inner[1]) if inner is not None else None
        return None

    def tensor(self, name: str) -> bool:
        """Whether a name is a tensor's here, where an index may have it too."""
        return name not in self.bound and self.world.is_tensor(name)

    def place(self, parts: tuple[Value, ...], env: Env) -> tuple[Any, ...]:
        """Subscripts as numbers that count from 0."""
        return tuple(_shifted(plain(part(env)), self.base) for part in parts)


def _shifted(number: Any, base: int) -> Any:
    if isinstance(number, tuple):
        return tuple(n - base for n in number)
    return number - base


def _first(value: Any, sign: str) -> Any:
    """What a relation compares: ``= argmax`` means the first one."""
    if isinstance(value, Best) and sign == "=":
        return value.places[0] if len(value.places[0]) > 1 else value.places[0][0]
    if isinstance(value, Best):
        single = len(value.places[0]) == 1
        return Best(tuple(p[0] for p in value.places)) if single else value  # type: ignore[misc]
    return plain(value)


@dataclass
class _Descent:
    """Recursive descent through items side by side."""

    reader: Reader
    items: list[Item]
    at: int = 0

    def all(self) -> Value:
        found = self.sum()
        if self.at < len(self.items):
            raise Unreadable(f"{self.items[self.at]} is left over")
        return found

    def peek(self) -> Item | None:
        return self.items[self.at] if self.at < len(self.items) else None

    def taken(self, *signs: str) -> str:
        item = self.peek()
        if isinstance(item, Operator) and item.text in signs:
            self.at += 1
            return item.text
        return ""

    def sum(self) -> Value:
        parts = [(-1 if self.taken("−", "+") == "−" else 1, self.term())]
        while sign := self.taken("+", "−"):
            parts.append((-1 if sign == "−" else 1, self.term()))
        if len(parts) == 1 and parts[0][0] == 1:
            return parts[0][1]

        def added(env: Env) -> Any:
            sign, first = parts[0]
            total = first(env) if sign > 0 else -first(env)
            for sign, part in parts[1:]:
                total = total + part(env) if sign > 0 else total - part(env)
            return total

        return added

    def term(self) -> Value:
        factors = [(False, *self.factor())]
        while True:
            if self.taken("/"):
                factors.append((True, *self.factor()))
            elif self.taken("·", "×") or self.starts():
                factors.append((False, *self.factor()))
            else:
                break
        if len(factors) == 1:
            return factors[0][2]
        brackets = [value for below, bracket, value in factors if bracket and not below]
        others = [(below, value) for below, bracket, value in factors if below or not bracket]

        def multiplied(env: Env) -> Any:
            if not all(bracket(env) for bracket in brackets):
                return 0
            total: Any = 1
            for below, value in others:
                total = (divided if below else _times)(total, value(env))
            return total

        return multiplied

    def starts(self) -> bool:
        """Whether a factor starts here: juxtaposition is a product."""
        item = self.peek()
        return item is not None and (not isinstance(item, Operator) or item.text == "(")

    def factor(self) -> tuple[bool, Value]:
        """Whether it is a bracket that is 0 or 1, and its value."""
        item = self.peek()
        self.at += 1
        match item:
            case Head():
                return False, self.big(item)
            case Ratio(top, _) if flat(top) == [Operator("∂")]:
                return False, self.derivative(item)
            case Upright(name) | Scripts(Upright(name), None, _):
                sup = item.sup if isinstance(item, Scripts) else None
                return False, _raised(self.call(name), sup, self.reader)
            case Operator("("):
                inside = self.until_closed()
                return False, self.reader.formula(inside)
            case Operator("⊤") | Operator() | None:
                raise Unreadable(f"{item} is no factor")
        return _is_bracket(item, self.reader), atom(item, self.reader)

    def until_closed(self) -> list[Item]:
        """The items up to the bracket that closes the one before."""
        start, depth = self.at, 1
        while depth:
            item = self.peek()
            if item is None:
                raise Unreadable("a bracket is not closed")
            depth += (item == Operator("(")) - (item == Operator(")"))
            self.at += 1
        return self.items[start : self.at - 1]

    def call(self, name: str) -> Value:
        """``tanh(a)``, ``max(a, b, c)``."""
        if name not in NAMES:
            raise Unreadable(f"no function {name}")
        item = self.peek()
        self.at += 1
        if item == Operator("("):
            inside = self.until_closed()
            listed = True
        elif isinstance(item, Grid) or (isinstance(item, Fenced) and item.left == "("):
            inside, listed = flat(item.body if isinstance(item, Fenced) else item), False
            if len(inside) == 1 and isinstance(inside[0], Grid) and name in ("max", "min"):
                inside, listed = _cells(inside[0]), True
        else:
            raise Unreadable(f"{name} of {item}")
        given = [self.reader.formula(part) for part in split(inside, ",")]
        if listed and name in ("max", "min"):
            return lambda env: chosen(name, [g(env) for g in given], self.reader.world.ties)
        return lambda env: applied(name, [g(env) for g in given])

    def derivative(self, ratio: Ratio) -> Value:
        """∂/∂x_{a} of the bracket behind it."""
        below = flat(ratio.bottom)
        item = self.peek()
        self.at += 1
        if not isinstance(item, Fenced) or item.left != "(":
            raise Unreadable("∂ is applied to a bracket")
        return derived(self.reader, below, self.reader.formula(item.body))

    def big(self, head: Head) -> Value:
        """∑, max, argmax, mean: over all values of the names in the first line."""
        reader = self.reader
        lines = [flat(line) for line in head.under]
        names = symbols(lines[0]) if lines else None
        if names is None:
            raise Unreadable(f"{head.text} over what?")
        reader.bound += names
        outer = reader.nested
        reader.nested *= math.prod(reader.world.extent(name) for name in names)
        reader.cost = max(reader.cost, reader.nested)
        tests = [_Test(line, reader) for line in lines[1:]]
        body = self.term()
        reader.nested = outer
        for name in names:
            reader.bound.remove(name)
        run = _Loop(names, tests, reader)
        return _BIG[head.text](run, body, reader.world.ties)


def _cells(grid: Grid) -> list[Item]:
    """The cells of a window, with commas between them; empty ones are not there."""
    out: list[Item] = []
    for cell in (flat(cell) for row in grid.rows for cell in row):
        if cell:
            out += [*([Operator(",")] if out else []), *cell]
    return out


def _times(left: Any, right: Any) -> Any:
    if getattr(left, "ndim", 0) == 2 == getattr(right, "ndim", 0):
        return left @ right
    return left * right


def _raised(base: Value, sup: Math | None, reader: Reader) -> Value:
    if sup is None:
        return base
    if flat(sup) == [Operator("⊤")]:
        return lambda env: base(env).T
    exponent = reader.formula(sup)
    return lambda env: power(base(env), exponent(env))


def _is_bracket(item: Math, reader: Reader) -> bool:
    match item:
        case Fenced("[", _, "]"):
            return True
        case Scripts(Fenced("[", _, "]"), None, sup):
            return sup is not None
        case Scripts(Symbol("delta"), sub, None):
            return sub is not None and not reader.tensor("delta")
    return False


def atom(item: Math, reader: Reader) -> Value:
    """A factor that is one node."""
    read = reader.entry(item)
    if read is not None:
        name, parts = read
        if not parts:
            return lambda env: reader.world.read(name, (), env)
        return lambda env: reader.world.read(name, reader.place(parts, env), env)
    match item:
        case Numeral(text):
            number = int(text) if text.isdigit() else Fraction(text)
            return lambda env: number
        case Symbol(name):
            return _name(name, reader)
        case Scripts(Symbol("delta"), sub, None) if sub is not None:
            left, right = (reader.formula(part) for part in split(flat(sub), ","))
            return lambda env: int(plain(left(env)) == plain(right(env)))
        case Scripts(base, sub, sup) if sup is not None:
            inner = Scripts(base, sub) if sub is not None else base
            return _raised(reader.formula(inner), sup, reader)
        case Ratio(top, bottom):
            return _fraction(item, top, bottom, reader)
        case Fenced(left, body, right):
            return _fenced(left + right, body, reader)
        case Cases(rows):
            return _cases(rows, reader)
        case Grid(rows):
            cells = [[reader.formula(cell) for cell in row] for row in rows]
            return lambda env: matrix([[cell(env) for cell in row] for row in cells])
    raise Unreadable(f"{type(item).__name__} {item}")


def matrix(rows: list[list[Any]]) -> Any:
    import numpy as np

    out = np.empty((len(rows), len(rows[0])), dtype=object)
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            out[r, c] = cell
    return out


def _name(name: str, reader: Reader) -> Value:
    if name in reader.bound:
        return lambda env: env[name]
    if name in reader.world.sizes:
        number = reader.world.sizes[name]
        return lambda env: number
    if name == "pi":
        return lambda env: math.pi
    try:
        reader.world.extent(name)
    except KeyError:
        matrix_ = reader.world.whole(name)
        if matrix_ is None:
            raise Unreadable(f"{name} means nothing") from None
        return lambda env: matrix_
    reader.free[name] = None
    return lambda env: env[name]


def _fraction(item: Ratio, top: Math, bottom: Math, reader: Reader) -> Value:
    above, below = flat(top), flat(bottom)
    if above[:1] == [Operator("∂")]:
        inner = reader.entry(Row(tuple(above[1:])))  # type: ignore[arg-type]
        if inner is None:
            raise Unreadable(f"the derivative of {above[1:]}")
        name, parts = inner
        target = reader.entry(Row(tuple(below[1:])))  # type: ignore[arg-type]
        if target is None:
            raise Unreadable(f"the derivative by {below[1:]}")

        def value(env: Env) -> Any:
            place = reader.place(parts, env)
            if name == target[0]:
                return reader.world.read(name, place, env)
            return reader.world.defined(name, place, env)

        return derived(reader, below, value)
    over, under = reader.formula(above), reader.formula(below)
    return lambda env: divided(over(env), under(env))


def derived(reader: Reader, below: list[Item], value: Value) -> Value:
    """The derivative of a value by the entry below ∂."""
    if below[:1] != [Operator("∂")] or len(below) != 2:
        raise Unreadable(f"the derivative by {below}")
    target = reader.entry(below[1])  # type: ignore[arg-type]
    if target is None:
        raise Unreadable(f"the derivative by {below[1]}")
    name, parts = target

    def by(env: Env) -> Any:
        seed = (name, reader.place(parts, env))
        return slope(value({**env, "∂": seed}))

    return by


def _fenced(fence: str, body: Math, reader: Reader) -> Value:
    items = flat(body)
    if fence == "[]":
        tests = [reader.relation(part) for part in _conditions(items)]
        return lambda env: int(all(test(env) for test in tests))
    inner = reader.formula(items)
    match fence:
        case "()":
            return inner
        case "√":
            return lambda env: _sqrt(inner(env))
        case "||":
            return lambda env: _size(inner(env))
        case "⌊⌋":
            return lambda env: math.floor(inner(env))
        case "⌈⌉":
            return lambda env: math.ceil(inner(env))
    raise Unreadable(f"brackets {fence}")


def _conditions(items: list[Item]) -> list[list[Item]]:
    """Conditions between commas; a comma inside of a pair belongs to the pair, which is fenced."""
    return split(items, ",")


def _sqrt(number: Any) -> Any:
    return applied("sqrt", [number])


def _size(value: Any) -> Any:
    """How many places, or the absolute value."""
    return len(value.places) if isinstance(value, Best) else applied("abs", [value])


def _cases(rows: tuple[tuple[Math, Math], ...], reader: Reader) -> Value:
    found: list[tuple[Value, Value]] = []
    for value, test in rows:
        items = flat(test)
        always = len(items) == 1 and isinstance(items[0], Upright)
        found.append(
            (reader.formula(value), (lambda env: True) if always else reader.relation(items))
        )

    def case(env: Env) -> Any:
        return next(value(env) for value, test in found if test(env))

    return case


class _Test:
    """A line under a big operator, and the names that it needs."""

    def __init__(self, line: list[Item], reader: Reader) -> None:
        self.holds = reader.relation(line)
        self.names = {node.name for item in line for node in _walk(item) if _is(node, Symbol)}


def _is(node: Any, kind: type) -> bool:
    return isinstance(node, kind)


def _walk(node: Any) -> list[Any]:
    """Every node of a tree of mathematics."""
    out = [node]
    for field in getattr(node, "__dataclass_fields__", ()):
        child = getattr(node, field)
        for one in child if isinstance(child, tuple) else (child,):
            if isinstance(one, tuple):
                out += [n for part in one for n in _walk(part)]
            elif isinstance(one, Math):
                out += _walk(one)
    return out


walk = _walk


class _Loop:
    """All values of some names for which the conditions hold, tested as early as possible."""

    def __init__(self, names: tuple[str, ...], tests: list[_Test], reader: Reader) -> None:
        self.names = names
        self.ranges = [
            range(reader.base, reader.base + reader.world.extent(name)) for name in names
        ]
        self.tests: list[list[_Test]] = [[] for _ in range(len(names) + 1)]
        for test in tests:
            last = max((k + 1 for k, n in enumerate(names) if n in test.names), default=0)
            self.tests[last].append(test)

    def __call__(self, env: Env, depth: int = 0) -> Any:
        if not all(test.holds(env) for test in self.tests[depth]):
            return
        if depth == len(self.names):
            yield env
            return
        name, kept = self.names[depth], env.get(self.names[depth])
        for number in self.ranges[depth]:
            env[name] = number
            yield from self(env, depth + 1)
        env[name] = kept


def _sum(run: _Loop, body: Value, ties: str) -> Value:
    return lambda env: sum((body(e) for e in run(env)), start=0)


def _mean(run: _Loop, body: Value, ties: str) -> Value:
    def value(env: Env) -> Any:
        found = [body(e) for e in run(env)]
        return divided(sum(found, start=0), len(found))

    return value


def _counted(run: _Loop, body: Value, env: Env) -> list[tuple[tuple[int, ...], Any]]:
    """Places and values; reads that do not count are left out."""
    out = []
    for e in run(env):
        try:
            out.append((tuple(e[name] for name in run.names), body(e)))
        except Skipped:
            continue
    return out


def _extreme(name: str) -> Callable[[_Loop, Value, str], Value]:
    def made(run: _Loop, body: Value, ties: str) -> Value:
        return lambda env: chosen(name, [v for _, v in _counted(run, body, env)], ties)

    return made


def _best(name: str) -> Callable[[_Loop, Value, str], Value]:
    def made(run: _Loop, body: Value, ties: str) -> Value:
        def value(env: Env) -> Best:
            found = _counted(run, body, {k: v for k, v in env.items() if k != "∂"})
            best = chosen(name, [v for _, v in found], ties)
            return Best(tuple(place for place, v in found if v == best))

        return value

    return made


_BIG: dict[str, Callable[[_Loop, Value, str], Value]] = {
    "∑": _sum,
    "mean": _mean,
    "max": _extreme("max"),
    "min": _extreme("min"),
    "argmax": _best("max"),
    "argmin": _best("min"),
}

__all__ = ["Dual", "Env", "Reader", "Skipped", "Unreadable", "World", "bare", "flat", "split"]
