"""A machine: the few numbers by which a kernel's strategy is chosen.

Seconds are estimated as Σ over matrix products of 2·M·N·K / rate, plus numbers moved / bandwidth,
plus a fixed cost for every run of consecutive entries and for every NumPy call. The defaults
are one core of a current server CPU with OpenBLAS and float32; ``--tune`` measures instead.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """Rates of one thread.

    ``gemm``       floating-point operations per second of a large matrix product
    ``edge``       a product with a side M, N or K runs at gemm · side / (side + edge)
    ``sliced``     M·N·K up to which a matrix product runs without packing its operands
    ``sliced_result``  the same for M·N where both operands are read along their rows
    ``bandwidth``  numbers moved per second, from and to the caches
    ``memory``     numbers moved per second, where they do not fit in the caches
    ``run``        seconds for each run of consecutive entries in a NumPy loop
    ``call``       seconds for each NumPy call
    ``cache``      bytes that stay close to one core
    """

    gemm: float = 100e9
    edge: float = 4.0
    sliced: int = 1_000_000
    sliced_result: int = 1_200
    bandwidth: float = 4e9
    memory: float = 1.5e9
    run: float = 10e-9
    call: float = 0.8e-6
    cache: int = 512 * 1024


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
        total += self.moved / (machine.bandwidth if self.scratch * 4 < 1 << 25 else machine.memory)
        for often, *sides in self.products:
            rate = machine.gemm
            for side in sides:
                rate *= side / (side + machine.edge)
            m, n, k = sides
            total += often * 2 * m * n * k / rate
        return total


DEFAULT = Machine()
"""What is assumed where nothing was measured."""
