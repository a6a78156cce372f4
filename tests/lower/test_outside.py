"""What lies outside of a tensor under a maximum: it competes as 0, or it does not count."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import derive


@pytest.mark.parametrize("ties", ["first", "split"])
@pytest.mark.parametrize(
    ("rule", "expected"), [("zero", [0.0, -2.0, 0.0]), ("skip", [-1.0, -2.0, -4.0])]
)
def test_a_window_over_the_edge_holds_zeros_or_fewer_entries(
    rule: str, expected: list[float], ties: str
) -> None:
    text = "y[i] = max[u](x[2*i+u-1])"
    layer = derive.equation(text, {"x": (5,), "u": 3}, outside={"x": rule}, ties=ties)
    derivation = derive.derive(layer)
    assert derivation.certificate().claims
    kernel = derivation.kernel()
    x = -np.arange(1.0, 6.0)
    assert kernel.forward(x).tolist() == expected
    passed_on = kernel.backward(np.ones(3), x).dx.sum()
    assert passed_on == sum(value != 0 for value in expected)  # an outside 0 keeps its gradient


def test_a_product_under_a_maximum_never_multiplies_infinity_by_zero() -> None:
    layer = derive.equation("y[i] = max[u](x[2*i+u-1]*w[u])", {"x": (5,), "w": 3})
    kernel = derive.derive(layer).kernel()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = kernel.forward(np.arange(5.0), np.array([0.0, 1.0, 0.0]))
        dx, dw = kernel.backward(np.ones(3), np.arange(5.0), np.array([0.0, 1.0, 0.0]))
    assert y.tolist() == [0.0, 2.0, 4.0]
    assert dx.tolist() == [1.0, 0.0, 1.0, 0.0, 1.0]
    assert dw.tolist() == [0.0, 6.0, 0.0]
