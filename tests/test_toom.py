"""Cook and Toom's matrices: the identity, the choice of points, the adjoint of a program."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from math import gcd, sqrt

import numpy as np
import pytest
import sympy

from derive.bilinear import Apply, Multiply, Put, Step, Take, adjoint, correlation, needed
from derive.errors import Disproved
from derive.toom import POINTS, Toom, interpolated, prove, toom

SIZES = [(m, r) for m in range(1, 7) for r in range(1, 7)]
PAIRS = [(s * a, b) for a, b in ((1, 1), (2, 1), (1, 2), (3, 1), (1, 3)) for s in (1, -1)]


def growth(found: Toom) -> float:
    """How much larger errors get: √ max_i Σ_k A[i,k]²·|G[k]|²·|B[k]|².

    The standard deviation of an output, in units of that of a direct sum's products, if each
    of the products under ⊙ carries an error of its own, and all entries are of one size.
    """
    lengths = [
        Fraction(sum(v * v for v in g), found.denominator**2) * sum(v * v for v in b)
        for g, b in zip(found.filters, found.inputs, strict=True)
    ]
    worst = max(
        sum(a * a * length for a, length in zip(row, lengths, strict=True)) for row in found.values
    )
    return sqrt(worst)


def exactly(found: Toom) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, B, G as arrays of whole numbers and fractions."""
    filters = np.array(found.filters, object)
    return (
        np.array(found.values, object),
        np.array(found.inputs, object),
        np.vectorize(lambda n: Fraction(int(n), found.denominator), otypes=[object])(filters),
    )


@pytest.mark.parametrize(("outputs", "taps"), SIZES)
def test_the_matrices_give_the_correlation_of_symbols_exactly(outputs: int, taps: int) -> None:
    count = outputs + taps - 1
    points = POINTS.get(count, ((0, 1), *PAIRS)[:count])
    found = interpolated(outputs, taps, points)
    prove(found)
    d = sympy.symbols(f"d:{found.size}")
    g = sympy.symbols(f"g:{taps}")
    a, b, filters = (sympy.Matrix(m) for m in (found.values, found.inputs, found.filters))
    products = (filters * sympy.Matrix(g)).multiply_elementwise(b * sympy.Matrix(d))
    y = a * products / found.denominator
    for i in range(outputs):
        assert sympy.expand(y[i] - sum(g[u] * d[i + u] for u in range(taps))) == 0


@pytest.mark.parametrize(("outputs", "taps"), [(2, 3), (4, 3), (3, 5)])
def test_as_many_multiplications_as_there_are_points(outputs: int, taps: int) -> None:
    found = toom(outputs, taps)
    assert found.size == outputs + taps - 1 == len(found.points)
    assert {len(found.inputs), len(found.filters), len(found.values[0])} == {found.size}


def test_a_changed_entry_is_disproved() -> None:
    found = toom(2, 3)
    rows = [list(row) for row in found.inputs]
    rows[1][2] += 1
    with pytest.raises(Disproved, match=r"F\(2, 3\): the coefficient of g\[0\]·d\[2\] in y\[0\]"):
        prove(replace(found, inputs=tuple(map(tuple, rows))))


def small() -> list[tuple[int, int]]:
    """0, ∞ and all fractions of numerator and denominator up to 4."""
    ratios = [(a, b) for a, b in product(range(1, 5), repeat=2) if gcd(a, b) == 1]
    return [(0, 1), (1, 0), *ratios, *((-a, b) for a, b in ratios)]


@pytest.mark.parametrize(("outputs", "taps"), [(2, 3), (3, 3), (4, 3), (2, 5), (3, 4), (5, 3)])
def test_no_other_small_fractions_let_errors_grow_clearly_less(outputs: int, taps: int) -> None:
    count = outputs + taps - 1
    others = [p for p in small() if p != (0, 1)]
    least = np.inf
    for points in combinations(others, count - 1):
        if len({abs(Fraction(a, b)) if b else None for a, b in points}) > count // 2:
            continue  # a set with few pairs ±p has larger powers; it would take minutes
        least = min(least, growth(interpolated(outputs, taps, ((0, 1), *points))))
    assert growth(toom(outputs, taps)) <= 1.001 * least


def test_the_usual_points_let_errors_grow_twice_as_much() -> None:
    usual = interpolated(4, 3, ((0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 0)))
    assert growth(usual) > 2 * growth(toom(4, 3))


# -- the adjoint --------------------------------------------------------------------------------
def steps(outputs: int, taps: int) -> tuple[Step, ...]:
    """F(outputs, taps) along one axis."""
    return correlation((outputs + taps - 1,), (outputs,))


def run(
    program: tuple[Step, ...], values: dict[str, np.ndarray], known: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Every step done as its definition says: x is (places, channels), tiles (entry, tile, ...)."""
    found = dict(values)
    for step in program:
        match step:
            case Take(made, of, (size,), (stride,)):
                source = found[of]
                tiles = (len(source) - size) // stride + 1
                rows = [[source[t * stride + k] for t in range(tiles)] for k in range(size)]
                found[made] = np.array(rows, object)
            case Put(made, of, (size,), (stride,)):
                tiles = found[of]
                length = (tiles.shape[1] - 1) * stride + size
                laid = np.full((length, tiles.shape[2]), Fraction(0), object)
                for k, t in product(range(size), range(tiles.shape[1])):
                    laid[t * stride + k] += tiles[k, t]
                found[made] = laid
            case Apply(made, matrix, of, turned):
                entries = known[matrix].T if turned else known[matrix]
                found[made] = np.tensordot(entries, found[of], 1)
            case Multiply(made, left, right, axes):
                found[made] = np.einsum(axes, found[left], found[right])
    return found


@pytest.mark.parametrize(("outputs", "taps"), [(2, 3), (4, 3), (2, 5), (3, 2)])
def test_the_adjoint_is_the_transposed_derivative_over_fractions(outputs: int, taps: int) -> None:
    random = np.random.default_rng(outputs)
    a, b, g = exactly(toom(outputs, taps))
    known = {"A": a, "B": b, "G": g}

    def drawn(*shape: int) -> np.ndarray:
        return np.vectorize(lambda n: Fraction(int(n), 7), otypes=[object])(
            random.integers(-9, 10, shape)
        )

    tiles, channels, filters = 3, 2, 4
    x = drawn(tiles * outputs + taps - 1, channels)
    w, dy = drawn(taps, channels, filters), drawn(tiles * outputs, filters)
    program = steps(outputs, taps)
    y = run(program, {"wide": x, "kernel": w}, known)["narrow"]
    direct = sum(np.tensordot(x[u : u + tiles * outputs], w[u], 1) for u in range(taps))
    assert (y == direct).all()
    back = run(adjoint(program, ("wide", "kernel")), {"wide": x, "kernel": w, "dnarrow": dy}, known)
    for name, value in (("wide", x), ("kernel", w)):
        step = drawn(*value.shape)
        moved = run(program, {"wide": x, "kernel": w, name: step}, known)[
            "narrow"
        ]  # linear in each
        assert (dy * moved).sum() == (back[f"d{name}"] * step).sum()


def test_the_adjoint_computes_nothing_that_it_does_not_read() -> None:
    program = steps(4, 3)
    assert [type(s).__name__ for s in adjoint(program, ("wide",))] == [
        "Apply", "Take", "Apply", "Multiply", "Apply", "Put",
    ]  # fmt: skip
    assert "kernels" not in {s.made for s in adjoint(program, ("kernel",))}


def test_the_adjoint_of_the_adjoint_in_one_factor_is_the_program() -> None:
    program = steps(4, 3)
    turned = adjoint(program, ("wide",))
    again = adjoint(turned, ("dnarrow",))
    names = {f"dd{s.made}": s.made for s in program} | {"ddwide": "wide", "ddnarrow": "narrow"}

    def shown(step: Step) -> tuple[object, ...]:
        made = names.get(step.made, step.made)
        read = tuple(names.get(n, n) for n in (getattr(step, "of", ""), getattr(step, "left", "")))
        return type(step), made, read, getattr(step, "matrix", ""), getattr(step, "turned", False)

    assert {shown(s) for s in again} == {shown(s) for s in needed(program, ("narrow",))}
