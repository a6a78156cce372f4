"""Which claims are made, why the others are not, and what a false one says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from kernels import conv_layer, derivation_of, pool_layer, source_of
from reference import Geometry

import derive
from derive.certificates import Omitted
from derive.errors import Disproved
from derive.verify import load, verify
from derive.verify.running import compare
from derive.verify.selecting import Ranked, selecting
from derive.verify.symbolic import MOST_PRODUCTS, same, symbolic

SMALL = replace(derive.conv(input=(3, 3), kernel=(2, 2)), title="Small")
LARGE = conv_layer(Geometry(3, 8, 1, (12, 12), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)))


def kinds(layer, *forms):
    """Kinds of the claims made about a layer's own kernel, and of those omitted."""
    derivation = derivation_of(layer)
    sources = tuple(source_of(layer, form) for form in forms)
    certificate = verify(derivation, source_of(layer), sources)
    return (
        [claim.kind for claim in certificate.claims],
        [(omitted.kind, omitted.reason) for omitted in certificate.omitted],
    )


def test_a_small_polynomial_layer_has_symbolic_and_integer_claims():
    made, omitted = kinds(SMALL, "scatter", "gather")
    assert made == ["symbolic", "integer", "agreement"]
    assert omitted == []


def test_a_large_one_says_why_there_are_no_symbols():
    made, omitted = kinds(LARGE)
    assert made == ["integer"]
    assert omitted == [("symbolic", "too_large")]
    derivation = derivation_of(LARGE)
    found = symbolic(derivation, load(source_of(LARGE), derivation))
    assert isinstance(found, Omitted)
    slots = dict(found.slots)
    assert slots["limit"] == str(MOST_PRODUCTS)
    assert int(slots["products"]) == 8 * 12 * 12 * 3 * 3 * 3


def test_a_pool_has_a_selecting_claim_and_at_large_sizes_says_why_not():
    made, omitted = kinds(pool_layer((1, 4, 4), (2, 2), stride=2))
    assert made[0] == "selecting"
    assert omitted == []
    made, omitted = kinds(pool_layer((8, 32, 32), (3, 3), stride=2))
    assert "selecting" not in made
    assert ("selecting", "too_large") in omitted
    assert made  # the numeric or the integer claim holds at any size


def test_a_smooth_layer_has_a_numeric_claim_with_its_tolerance():
    layer = derive.equation("y[i] = exp(x[i]) / sum[j](exp(x[j]))", {"x": (4,)})
    certificate = verify(derivation_of(layer), source_of(layer))
    (claim,) = certificate.claims
    assert claim.kind == "numeric"
    assert claim.subject == ("y", "dx")
    assert float(dict(claim.checked)["relative"]) <= 1e-9


# -- what a false claim says ------------------------------------------------------------------


def test_the_whole_message_of_a_false_symbolic_claim():
    source = source_of(SMALL, "scatter").replace("] += dy * w[u, v]", "] += dy * w[v, u]")
    assert source != source_of(SMALL, "scatter")
    with pytest.raises(Disproved) as caught:
        verify(derivation_of(SMALL), source)
    assert str(caught.value) == (
        "Small: the symbolic claim fails at dx[0,1]: the kernel gives "
        "g_0_0*w_1_0 + g_0_1*w_0_0, the reference g_0_0*w_0_1 + g_0_1*w_0_0"
    )


def test_entries_are_compared_in_row_major_order_and_shapes_first():
    kernel = load(source_of(SMALL), derivation_of(SMALL))
    one, two = np.array([[1, 2], [3, 4]]), np.array([[1, 2], [5, 6]])
    with pytest.raises(Disproved) as caught:
        compare(kernel, "numeric", "dw", one, two, lambda a, b: a == b)
    assert str(caught.value) == (
        "Small: the numeric claim fails at dw[1,0]: the kernel gives 3, the reference 5"
    )
    with pytest.raises(Disproved) as caught:
        compare(kernel, "numeric", "dw", one.ravel(), one, lambda a, b: True)
    assert str(caught.value) == "Small: the numeric claim fails: dw has shape (4,), not (2, 2)"


@pytest.mark.parametrize(
    ("layer", "old", "new"),
    [
        (SMALL, "return Gradients(dx.reshape(*batch, 3, 3), dw)", "return Gradients(dx[0, 0], dw)"),
        (SMALL, "return Gradients(dx.reshape(*batch, 3, 3), dw)", "return Gradients(dx, dw)"),
        (SMALL, "y.reshape(*batch, 2, 2)", "y.reshape(*batch, 4)"),
        (SMALL, "y.reshape(*batch, 2, 2)", "y.reshape(*batch, 2, 2, 1)"),
        (SMALL, "y.reshape(*batch, 2, 2)", "y"),
    ],
)
def test_no_claim_passes_on_another_shape(layer, old, new):
    source = source_of(layer)
    assert old in source
    with pytest.raises(Disproved, match=r"has shape \("):
        verify(derivation_of(layer), source.replace(old, new))


# -- the two kinds of numbers -------------------------------------------------------------------


def test_expressions_are_the_same_if_they_are_equal_as_rational_functions():
    import sympy

    a, b = sympy.symbols("a b")
    assert same(a * (a + b), a**2 + a * b)
    assert same((a**2 - b**2) / (a - b), a + b)
    assert not same(a * (a + b), a**2 - a * b)
    assert not same(a / 3, a * sympy.Float("0.333333333333333"))


def test_ranked_numbers_compare_by_rank_and_compute_both():
    import sympy

    a, b = sympy.symbols("a b")
    one, two = Ranked(1, a), Ranked(-2, b)
    assert one > two
    assert two < 0 < one
    product = one * two + 3
    assert (product.rank, product.expr) == (1, a * b + 3)
    assert (abs(two).rank, abs(two).expr) == (2, -b)
    assert (1 / two).expr == 1 / b
    assert one != two
    assert one == 1


def test_the_selecting_claim_meets_ties():
    layer = pool_layer((1, 3, 3), (2, 2))
    source = source_of(layer, "scatter")
    no_order = source.replace(" & ~taken", "")
    assert no_order != source
    derivation = derivation_of(layer)
    with pytest.raises(Disproved, match=r"the selecting claim fails at dx\["):
        selecting(derivation, load(no_order, derivation))


def test_a_kernel_that_stops_is_disproved_with_what_it_said() -> None:
    layer = derive.conv(input=(3, 3), kernel=(2, 2))
    derivation = derive.derive(layer)
    source = derivation.numpy().replace("def forward(", "def was_forward(")
    source += "\n\ndef forward(x, w):\n    raise IndexError('too far')\n"
    with pytest.raises(Disproved) as found:
        verify(derivation, source)
    title = layer.title
    assert str(found.value) == f"{title}: forward stops with IndexError: too far"
