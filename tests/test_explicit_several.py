"""The explicit path on statements in a row, against closed forms."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
from several import SEVERAL

import derive
from derive import explicit
from derive.affine import Affine
from derive.errors import DeriveError, NotDerivable
from derive.expressions import substitute

NAMES = sorted(SEVERAL)


def equation(text, shapes, **settings):
    return derive.equation(text, shapes, **settings).equation


def numbers_of(known, arrays):
    """Every symbol with its exact number."""
    return {
        symbol: sympy.Rational(Fraction(float(value)))
        for name, array in known.items()
        for symbol, value in zip(array.flat, np.asarray(arrays[name]).flat, strict=True)
    }


def evaluated(entries, numbers):
    found = [float(e.xreplace(numbers).evalf(30)) for e in entries.flat]
    return np.array(found).reshape(entries.shape)


def rational(entry):
    """The entry as a fraction of polynomials in exp(x_0), exp(x_1), ..."""

    def powers(exponent):
        parts = exponent.as_coefficients_dict().items()
        return sympy.Mul(*(sympy.Symbol(f"E_{s}") ** k for s, k in parts))

    return sympy.cancel(entry.replace(sympy.exp, powers))


def without_valid_reads():
    """h[i] = max[u](x[i+u-9]); y[i] = h[i] + 1. No user could write it: the sizes are checked."""
    made = equation("h[i] = max[u](x[i+u])\ny[i] = h[i] + 1", {"x": 3, "u": 2})
    shifted = substitute(made.given[0].rhs, {"i": Affine.of("i") - 9})
    return replace(made, given=(replace(made.given[0], rhs=shifted),))


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_those_of_the_closed_form(name):
    row = SEVERAL[name]
    made, arrays = row.layer.equation, row.arrays(seed=3)
    short = {n: np.round(a * 8) / 8 for n, a in arrays.items() if n != "t" or a.dtype == float}
    arrays |= short
    given = [arrays[t.name] for t in made.tensors]
    at = {t.name: arrays[t.name] for t in made.tensors}
    numbers = numbers_of(explicit.symbols(made, batch=2), arrays)
    y = evaluated(explicit.forward(made, batch=2, at=at), numbers)
    np.testing.assert_allclose(y, row.forward(*given), rtol=1e-12, atol=1e-14)
    for tensor, expected in row.backward(arrays["dy"], *given).items():
        found = evaluated(explicit.gradient(made, tensor, batch=2, at=at), numbers)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_two_dense_layers_are_exact():
    row = SEVERAL["two_dense_relu"]
    made, arrays = row.layer.equation, row.arrays(seed=4, whole=True)
    at = {t.name: arrays[t.name] for t in made.tensors}
    numbers = numbers_of(explicit.symbols(made, batch=2), arrays)
    expected = row.backward(arrays["dy"], *at.values())
    for tensor, value in expected.items():
        found = explicit.gradient(made, tensor, batch=2, at=at)
        assert [e.xreplace(numbers) for e in found.flat] == list(value.flat)


def test_the_jacobian_of_softmax_is_diag_p_minus_p_p_transposed():
    made = SEVERAL["softmax"].layer.equation
    known = explicit.symbols(made)
    gradient = explicit.gradient(made, "x", at={"x": [3, 1, 2, 0]})
    x, g = known["x"], known["dy"]
    weights = [sympy.exp(e) for e in x]
    p = sympy.Matrix([w / sum(weights) for w in weights])
    expected = (sympy.diag(*p) - p * p.T) * sympy.Matrix(list(g))
    assert [rational(a - b) for a, b in zip(gradient, expected, strict=True)] == [0] * 4


def test_the_gradient_of_softmax_does_not_depend_on_which_entry_is_the_largest():
    made = SEVERAL["softmax"].layer.equation
    one, two = (explicit.gradient(made, "x", at={"x": at}) for at in ([3, 1, 2, 0], [0, 1, 2, 3]))
    assert [rational(a - b) for a, b in zip(one, two, strict=True)] == [0] * 4


def test_y_holds_only_entries_of_given_tensors():
    made = equation("h[i] = x[i]*w[i]\nk[i] = h[i] + h[i]\ny[i] = k[i]*h[i]", {"x": 2})
    x, w = (explicit.symbols(made)[n] for n in "xw")
    assert sorted(explicit.symbols(made)) == ["dy", "w", "x"]
    assert explicit.forward(made).tolist() == [2 * (a * b) ** 2 for a, b in zip(x, w, strict=True)]


def test_an_intermediate_chooses_at_the_numbers_of_what_it_reads():
    made = equation("h[i] = x[i] - w[i]\ny = max[i](h[i])", {"x": 3})
    known = explicit.symbols(made)
    at = {"x": [5, 6, 7], "w": [1, 0, 9]}
    assert explicit.gradient(made, "w", at=at).tolist() == [0, -known["dy"].item(), 0]
    with pytest.raises(NotDerivable):
        explicit.gradient(made, "w")


def test_tied_intermediates_split_the_gradient():
    made = equation("h[i] = x[i]*x[i]\ny = max[i](h[i])", {"x": 3}, ties="split")
    x, g = explicit.symbols(made)["x"], explicit.symbols(made)["dy"].item()
    found = explicit.gradient(made, "x", at={"x": [-2, 2, 1]})
    assert found.tolist() == [g * x[0], g * x[1], 0]


def test_class_indices_choose_what_is_differentiated():
    made = equation("y = mean[n](sum[c](x[n,c]*delta(c, t[n])))", {"x": (3,)}, data=("x", "t"))
    g = explicit.symbols(made)["dy"].item()
    at = {"x": np.ones((2, 3)), "t": [2, 0]}
    found = explicit.gradient(made, "x", batch=2, at=at)
    assert found.tolist() == [[0, 0, g / 2], [g / 2, 0, 0]]


@pytest.mark.parametrize("name", ["two_dense_squared"])
def test_terms_are_the_products_that_are_written_out(name):
    made = SEVERAL[name].layer.equation
    # (Σ over 3 inputs)² has 9 products, 4 hidden, 2 outputs
    assert explicit.terms(made) == 2 * 4 * 9
    assert explicit.terms(equation("h[i] = x[i]\ny[i] = h[i]", {"x": 5})) == 5


def test_terms_grow_with_every_layer_of_a_chain():
    text = "\n".join(
        f"h{k + 1}[i] = sum[j](h{k}[j]*w{k}[i,j])" if k else "h1[i] = sum[j](x[j]*w[i,j])"
        for k in range(12)
    )
    made = equation(text, {"x": 4, "w": (4, 4)} | {f"w{k}": (4, 4) for k in range(1, 12)})
    assert explicit.terms(made) == 4**13


def test_a_window_without_a_valid_read_names_its_own_tensor():
    made = without_valid_reads()
    with pytest.raises(DeriveError) as caught:
        explicit.forward(made)
    assert str(caught.value) == "a max of h has no valid read"


def test_two_layers_that_are_linear_in_x_have_a_matrix():
    made = equation(
        "h[i] = sum[j](x[j]*w[i,j])\ny[k] = sum[i](h[i]*u[k,i])", {"x": 2, "w": (3, 2), "u": (1, 3)}
    )
    known = explicit.symbols(made)
    expected = sympy.Matrix(known["u"]) * sympy.Matrix(known["w"])
    assert (explicit.matrix(made) - expected).expand() == sympy.zeros(1, 2)
