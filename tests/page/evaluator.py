"""What a scene means, by plain recursion: as short as its script in the page is careful.

It shares no code with the script, with derive's printers or with the oracle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from itertools import product
from typing import Any

SCALARS: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "neg": lambda a: -a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "pi": lambda: math.pi,
    "sigmoid": lambda z: (1 + math.tanh(z / 2)) / 2,
    "softplus": lambda z: max(z, 0) + math.log1p(math.exp(-abs(z))),
    "relu": lambda z: max(z, 0),
    "sign": lambda z: (z > 0) - (z < 0),
    "maximum": max,
    "minimum": min,
    "abs": abs,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}

Env = dict[str, int]


class Scene:
    """Entries of a scene over numbers of one's own: ``arrays[name][subscripts]``."""

    def __init__(self, scene: dict[str, Any], arrays: dict[str, Any]) -> None:
        self.scene, self.tensors, self.arrays = scene, scene["tensors"], arrays
        self.known: dict[Any, Any] = {}

    def entry(self, name: str, at: tuple[int, ...]) -> Any:
        """An entry that is given, or made by its statement."""
        if name in self.arrays:
            return float(self.arrays[name][at])
        if (name, at) not in self.known:
            axes, rhs = self.scene["makes"][name]
            env: Env = {}
            for axis, place, runs in zip(axes, at, self.tensors[name]["parts"], strict=True):
                for part, run in zip(reversed(axis), reversed(runs), strict=True):
                    env[part], place = place % run, place // run
            self.known[name, at] = self.value(rhs, env)
        return self.known[name, at]

    def index(self, value: Any, env: Env) -> Any:
        """An index expression as a number."""
        if isinstance(value, int):
            return value
        if isinstance(value, str):
            return env[value]
        if value[0] == "/":
            top, bottom = self.index(value[1], env), self.index(value[2], env)
            assert top % bottom == 0, "a divisibility condition is missing"
            return top // bottom
        return value[0] + sum(env[n] * c for n, c in zip(value[1::2], value[2::2], strict=True))

    def holds(self, condition: Any, env: Env) -> bool:
        """Whether a condition holds."""
        kind, left, right = condition[0], *(self.index(v, env) for v in condition[1:])
        return {"=": left == right, "|": left and right % left == 0, "<": 0 <= left < right}[kind]

    def place(self, read: Any, env: Env) -> tuple[int, ...] | None:
        """The subscripts, None outside."""
        out = []
        for axis, size, runs in zip(
            read[2], *(self.tensors[read[1]][k] for k in ("shape", "parts")), strict=True
        ):
            parts, runs = [self.index(p, env) for p in axis], runs if len(axis) > 1 else [size]
            if any(not 0 <= p < run for p, run in zip(parts, runs, strict=True)):
                return None
            pairs = zip(parts, runs, strict=True)
            out.append(reduce(lambda total, pair: total * pair[1] + pair[0], pairs, 0))
        return tuple(out)

    def taps(self, over: list[str], env: Env) -> Iterator[Env]:
        """All values of the indices, row-major."""
        extents = self.scene["extents"]
        sizes = [extents[n] if n in extents else extents[n.rstrip("'*")] for n in over]
        for values in product(*map(range, sizes)):
            yield {**env, **dict(zip(over, values, strict=True))}

    def value(self, node: Any, env: Env) -> Any:
        """The number that an expression has."""
        if not isinstance(node, list):
            return node
        match node:
            case ["q", top, bottom]:
                return top / bottom
            case ["i", value]:
                return self.index(value, env)
            case ["b", conditions]:
                return all(self.holds(c, env) for c in conditions)
            case ["r", name, _]:
                at = self.place(node, env)
                return 0 if at is None else self.entry(name, at)
            case ["c", "where", test, yes, no]:
                return self.value(yes if self.value(test, env) else no, env)
            case ["c", "mul", a, b] if isinstance(a, list) and a[0] in "bw":
                return self.value(b, env) if self.value(a, env) == 1 else self._shared(a, b, env)
            case ["c", "mul", a, b] if isinstance(b, list) and b[0] in "bw":
                return self.value(["c", "mul", b, a], env)
            case ["c", fn, *args]:
                return (SCALARS.get(fn) or getattr(math, fn))(*(self.value(a, env) for a in args))
            case ["s", op, over, body, where]:
                return self._reduced(op, over, body, where, env)
            case ["w", op, over, body, at, ties]:
                return self._share(op, over, body, [self.index(a, env) for a in at], ties, env)
        raise AssertionError(node)

    def _shared(self, share: Any, body: Any, env: Env) -> Any:
        part = self.value(share, env)
        return part * self.value(body, env) if part else 0

    def _inside(self, node: Any, env: Env) -> bool:
        if not isinstance(node, list) or node[0] not in "cr":
            return True
        if node[0] == "c":
            return all(self._inside(arg, env) for arg in node[2:])
        skipped = self.tensors[node[1]].get("outside") == "skip"
        return not skipped or self.place(node, env) is not None

    def _reduced(self, op: str, over: list[str], body: Any, where: Any, env: Env) -> Any:
        every = list(self.taps(over, env))
        found = [e for e in every if all(self.holds(c, e) for c in where)]
        if op in ("max", "min"):
            values = [self.value(body, e) for e in found if self._inside(body, e)]
            return (max if op == "max" else min)(values)
        total = math.fsum(self.value(body, e) for e in found)
        return total / len(every) if op == "mean" else total

    def _share(
        self, op: str, over: list[str], body: Any, at: list[int], ties: str, env: Env
    ) -> float:
        found = [(e, self.value(body, e)) for e in self.taps(over, env) if self._inside(body, e)]
        best = (max if op == "max" else min)(value for _, value in found)
        winners = [[e[n] for n in over] for e, value in found if value == best]
        return (at == winners[0]) if ties == "first" else (at in winners) / len(winners)
