"""A machine: the few numbers by which a kernel's strategy is chosen.

Seconds are estimated as Σ over matrix products of 2·M·N·K / rate, plus numbers moved / bandwidth,
plus a fixed cost for every run of consecutive entries, every product of a stack and every NumPy
call. The defaults are one core of a current server CPU with OpenBLAS and float32; they were
fitted to measurements of every strategy on some twenty geometries
(``benchmarks/strategies.py``). ``--tune`` measures instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Machine:
    """Rates of one thread.

    ``gemm``       floating-point operations per second of a large matrix product
    ``edge``       a product over K summands runs at gemm · K / (K + edge)
    ``sliced``     M·N·K up to which a matrix product runs without packing its operands
    ``sliced_result``  the same for M·N where both operands are read along their rows
    ``vector``     numbers that are multiplied at once
    ``pack``       beyond that, it runs at M / (M + pack) · N / (N + pack) of its rate
    ``thin``       share of its rate that a product with a single row or column reaches
    ``bandwidth``  numbers moved per second, from and to the caches
    ``memory``     the same from and to memory
    ``far``        bytes of scratch of which half comes from memory
    ``run``        seconds for each run of consecutive entries in a NumPy loop
    ``stack``      seconds for each product of a stack
    ``call``       seconds for each NumPy call
    ``cache``      bytes that stay close to one core
    """

    gemm: float = 105e9
    edge: float = 1.0
    sliced: int = 1_000_000
    sliced_result: int = 1_200
    vector: int = 16
    pack: float = 12.0
    thin: float = 0.45
    bandwidth: float = 6e9
    memory: float = 2.5e9
    far: int = 16 << 20
    run: float = 5e-9
    stack: float = 0.1e-6
    call: float = 0.75e-6
    cache: int = 512 * 1024

    def product(self, m: int, n: int, k: int) -> float:
        """Seconds of one matrix product (m, k) · (k, n)."""
        rate = self.gemm * k / (k + self.edge)
        if k == 1:  # an outer product is no work for BLAS
            rate = self.gemm / 50
        if min(m, n) == 1:
            rate *= self.thin
        else:  # vectors lie along a row, the last one half empty, or along a long sum
            along = n / (-(-n // self.vector) * self.vector)
            rate *= max(along, k / (k + 32 * self.vector))
        if min(m, n) > 1 and m * n * k > self.sliced:
            rate *= m / (m + self.pack) * n / (n + self.pack)
        return 2 * m * n * k / rate

    def move(self, numbers: float, held: float) -> float:
        """Seconds to move numbers, some ``held`` bytes of them in use."""
        near = 1 / self.bandwidth
        return numbers * (near + (1 / self.memory - near) * held / (held + self.far))


@dataclass(frozen=True)
class Cost:
    """What a batch costs: matrix products (how often, M, N, K), numbers moved, runs, calls.

    ``scratch`` counts the numbers held beside inputs and outputs.
    """

    products: tuple[tuple[float, int, int, int], ...] = ()
    moved: float = 0
    runs: float = 0
    calls: float = 0
    scratch: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.products + other.products,
            self.moved + other.moved,
            self.runs + other.runs,
            self.calls + other.calls,
            max(self.scratch, other.scratch),
        )

    @property
    def multiply_adds(self) -> int:
        """Of all matrix products together."""
        return round(sum(often * m * n * k for often, m, n, k in self.products))

    def seconds(self, machine: Machine) -> float:
        """The estimate; only the order of two strategies matters."""
        total = self.runs * machine.run + self.calls * machine.call
        total += machine.move(self.moved, FLOAT * self.scratch)
        for often, *sides in self.products:
            total += often * (machine.product(*sides) + machine.stack)
        return total


FLOAT = 4
"""Bytes of the numbers that are counted."""

GAP = 16
"""Numbers behind each row of a buffer: rows a power of two apart would share cache sets."""

DEFAULT = Machine()
"""What is assumed where nothing was measured."""


@dataclass(frozen=True)
class Tuning:
    """What was measured: the machine, and how long strategies took.

    ``clock``: (direction, strategy, targets, batch, nanoseconds); empty where there was nothing
    to choose between.
    """

    machine: Machine = DEFAULT
    clock: tuple[tuple[str, str, tuple[str, ...], int, int], ...] = ()

    def seconds(self) -> dict[tuple[str, str, tuple[str, ...], int], float]:
        """(direction, strategy, targets, batch) → seconds."""
        return {(way, name, targets, n): 1e-9 * t for way, name, targets, n, t in self.clock}

    def record(self) -> dict[str, Any]:
        """As JSON values, from which the same kernel can be made again."""
        return {
            "gemm": self.machine.gemm,
            "sliced": self.machine.sliced,
            "clock": [[way, name, list(made), n, t] for way, name, made, n, t in self.clock],
        }

    @classmethod
    def recalled(cls, record: object) -> Tuning:
        """What such values say; nothing measured if they are not what :meth:`record` writes."""
        match record:
            case {"gemm": float(gemm), "sliced": int(sliced), "clock": list(rows)}:
                clock = []
                for row in rows:
                    match row:
                        case [str(way), str(name), [*made], int(n), int(t)] if n > 0 and t > 0:
                            clock.append((way, name, tuple(map(str, made)), n, t))
                        case _:
                            return cls()
                return cls(replace(DEFAULT, gemm=gemm, sliced=sliced), tuple(clock))
        return cls()
