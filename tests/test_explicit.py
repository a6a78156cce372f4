"""The explicit path against the definition of the layers, and against the oracle."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from by_hand import conv_equation, equation, pool_equation, read, shape
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import conv_backward, conv_forward, geometries, max_pool_backward, max_pool_forward

from derive import explicit
from derive.affine import Affine
from derive.equations import DATA, OUTPUT, PARAMETER, Tensor
from derive.errors import DeriveError, NotDerivable, UsageError
from derive.expansion import CHOSEN, OPEN, SMOOTH
from derive.expressions import Bracket, Call, Index, Number, Reduce, Within
from derive.functions import FUNCTIONS
from derive.interpret import interpret


def at_numbers(entries, numbers):
    """The value of every expression, with the numbers put in."""
    result = np.empty(entries.shape, dtype=object)
    for place, entry in np.ndenumerate(entries):
        result[place] = entry.xreplace(numbers)
    return result


def numbered(known, arrays):
    """Every symbol with its number."""
    return {
        symbol: sympy.Integer(int(value))
        for name, array in known.items()
        if name in arrays
        for symbol, value in zip(array.flat, np.asarray(arrays[name]).flat, strict=True)
    }


def elementwise(fn, *names, size=3):
    """y[i] = fn(x[i], ...)."""
    return equation(
        read("y", "n", "i"),
        Call(fn, tuple(read(name, "n", "i") for name in names)),
        [Tensor(name, DATA, shape([size])) for name in names],
        Tensor("y", OUTPUT, shape([size])),
        {"i": size},
        {},
    )


def message_of(error, call, *args, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# -- convolutions -------------------------------------------------------------------------


@given(geometry=geometries(ranks=(1, 2)), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_every_gradient_of_a_convolution_is_that_of_the_definition(geometry, seed):
    arrays = geometry.arrays(seed, batch=1)
    made = conv_equation(
        (geometry.channels, *geometry.sizes),
        geometry.kernel,
        geometry.filters,
        bias=True,
        **geometry.settings,
    )
    numbers = numbered(explicit.symbols(made), arrays)
    y = conv_forward(arrays["x"], arrays["w"], arrays["b"], **geometry.settings)
    assert np.array_equal(at_numbers(explicit.forward(made), numbers), y[0])
    dx, dw, db = conv_backward(arrays["dy"], arrays["x"], arrays["w"], **geometry.settings)
    for tensor, expected in (("x", dx[0]), ("w", dw), ("b", db)):
        assert np.array_equal(at_numbers(explicit.gradient(made, tensor), numbers), expected)


def test_a_batch_adds_up_in_the_gradient_of_a_parameter():
    rng = np.random.default_rng(3)
    arrays = {"x": rng.integers(-9, 10, (2, 4)), "w": rng.integers(-9, 10, 2)}
    arrays["dy"] = rng.integers(-9, 10, (2, 3))
    made = conv_equation((4,), (2,))
    numbers = numbered(explicit.symbols(made, batch=2), arrays)
    dx, dw, _ = conv_backward(arrays["dy"][:, None], arrays["x"][:, None], arrays["w"][None, None])
    result = at_numbers(explicit.gradient(made, "w", batch=2), numbers)
    assert np.array_equal(result, dw[0, 0])
    result = at_numbers(explicit.gradient(made, "x", batch=2), numbers)
    assert np.array_equal(result, dx[:, 0])


def test_symbols_are_named_by_their_position():
    known = explicit.symbols(conv_equation((3, 3), (2, 2)))
    assert {name: array.shape for name, array in known.items()} == {
        "x": (3, 3),
        "w": (2, 2),
        "dy": (2, 2),
    }
    assert known["x"][1, 2] == sympy.Symbol("x_1_2", real=True)
    assert known["dy"][0, 1] == sympy.Symbol("g_0_1", real=True)
    assert explicit.symbols(conv_equation((3,), (2,)), batch=2)["x"][1, 2].name == "x_1_2"


def test_a_tensor_called_g_keeps_its_name():
    made = elementwise("mul", "x", "g")
    known = explicit.symbols(made)
    assert (known["g"][0].name, known["dy"][0].name) == ("g_0", "dy_0")
    assert explicit.gradient(made, "x")[0] == known["dy"][0] * known["g"][0]


# -- the matrix ---------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_matrix_times_x_is_y_and_its_transpose_times_g_is_the_gradient(stride, padding):
    made = conv_equation((4, 3), (2, 2), stride=stride, padding=padding)
    known, table = explicit.symbols(made), explicit.matrix(made)
    y = table * sympy.Matrix(list(known["x"].flat))
    dx = table.T * sympy.Matrix(list(known["dy"].flat))
    assert [e.expand() for e in y] == [e.expand() for e in explicit.forward(made).flat]
    assert [e.expand() for e in dx] == [e.expand() for e in explicit.gradient(made, "x").flat]


def test_a_3x3_input_under_a_2x2_kernel_shares_4_weights_in_16_of_36_entries():
    assert explicit.sharing(conv_equation((3, 3), (2, 2))) == explicit.Sharing(4, 9, 16, 4)


def test_a_bias_does_not_show_in_the_matrix():
    plain, biased = (conv_equation((1, 3, 3), (2, 2), 1, bias=b) for b in (False, True))
    assert explicit.matrix(biased) == explicit.matrix(plain)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (2, 3)])
def test_terms_are_the_products_that_the_forward_equation_has(kernel):
    made = conv_equation((2, 3, 4), kernel, 2, bias=True)
    found = sum(len(entry.as_ordered_terms()) - 1 for entry in explicit.forward(made).flat)
    assert explicit.terms(made) == found


def test_terms_of_a_large_layer_cost_nothing():
    made = conv_equation((64, 224, 224), (7, 7), 64, stride=2, padding=3)
    assert explicit.terms(made) == 64 * 112 * 112 * 64 * 49


# -- choices ------------------------------------------------------------------------------


@given(
    values=st.lists(st.integers(0, 2), min_size=16, max_size=16),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    ties=st.sampled_from(["first", "split"]),
)
@settings(max_examples=40, deadline=None)
def test_the_gradient_of_a_maximum_goes_to_the_winners(values, stride, padding, ties):
    x = np.array(values).reshape(1, 1, 4, 4)
    made = pool_equation((1, 4, 4), (2, 2), "max", stride, padding, ties=ties)
    known = explicit.symbols(made)
    dy = 12 * np.arange(1, known["dy"].size + 1).reshape(1, *known["dy"].shape)
    numbers = numbered(known, {"x": x, "dy": dy})
    result = at_numbers(explicit.gradient(made, "x", at={"x": x[0]}), numbers)
    settings_ = {"stride": stride, "padding": padding}
    expected = max_pool_backward(dy, x, (2, 2), ties=ties, **settings_)
    assert np.array_equal(result, expected[0])
    y = at_numbers(explicit.forward(made), numbers)
    assert np.array_equal(y, max_pool_forward(x, (2, 2), **settings_)[0])


def test_a_minimum_chooses_the_smallest():
    made = pool_equation((1, 3), (3,), "min")
    x, g = explicit.symbols(made)["x"], explicit.symbols(made)["dy"]
    result = explicit.gradient(made, "x", at={"x": [[5, -2, 7]]})
    assert result.tolist() == [[0, g[0, 0], 0]]
    assert explicit.forward(made, at={"x": [[5, -2, 7]]})[0, 0] == x[0, 1]


def test_outside_of_a_tensor_that_a_maximum_skips_a_sum_reads_0():
    made = equation(
        read("y", "n", "i"),
        Reduce("sum", ("u",), Call("exp", (read("x", "n", Affine.of("i") + "u"),))),
        [Tensor("x", DATA, shape([2]), outside="skip")],
        Tensor("y", OUTPUT, shape([2])),
        {"i": 2, "u": 2},
        {},
    )
    x = explicit.symbols(made)["x"]
    assert explicit.forward(made).tolist() == [
        sympy.exp(x[0]) + sympy.exp(x[1]),
        sympy.exp(x[1]) + 1,
    ]


@pytest.mark.parametrize(
    ("fn", "slopes"),
    [("relu", (0, 0, 1)), ("abs", (-1, 0, 1)), ("sign", (0, 0, 0))],
)
def test_slopes_at_and_beside_a_kink_are_the_agreed_ones(fn, slopes):
    made = elementwise(fn, "x")
    g = explicit.symbols(made)["dy"]
    result = explicit.gradient(made, "x", at={"x": [-2, 0, 3]})
    assert result.tolist() == [slope * entry for slope, entry in zip(slopes, g, strict=True)]


@pytest.mark.parametrize(("fn", "first"), [("maximum", (1, 0)), ("minimum", (0, 1))])
def test_equal_arguments_share_the_slope(fn, first):
    made = elementwise(fn, "x", "z")
    g = explicit.symbols(made)["dy"]
    at = {"x": [3, 4, 1], "z": [1, 4, 3]}
    share = [first[0], sympy.Rational(1, 2), first[1]]
    for tensor, shares in (("x", share), ("z", share[::-1])):
        result = explicit.gradient(made, tensor, at=at)
        assert result.tolist() == [s * entry for s, entry in zip(shares, g, strict=True)]


def test_where_differentiates_only_the_chosen_branch():
    x = read("x", "n", "i")
    zero = Number(Fraction(0))
    made = elementwise("exp", "x", size=2)
    made = equation(
        made.forward.lhs,
        Call("where", (Call("gt", (x, zero)), x * x, -x)),
        made.tensors,
        made.output,
        {"i": 2},
        {},
    )
    known = explicit.symbols(made)
    result = explicit.gradient(made, "x", at={"x": [3, -3]})
    assert result.tolist() == [2 * known["x"][0] * known["dy"][0], -known["dy"][1]]


def test_a_choice_between_indices_needs_no_numbers():
    lower = Call("where", (Call("le", (Index(Affine.of("u")), Index(Affine.of("i")))), 1, 0))
    lower = Call("where", (lower.args[0], read("x", "n", "u"), Number(Fraction(0))))
    made = equation(
        read("y", "n", "i"),
        Reduce("sum", ("u",), lower),
        [Tensor("x", DATA, shape([3]))],
        Tensor("y", OUTPUT, shape([3])),
        {"i": 3, "u": 3},
        {},
    )
    g = explicit.symbols(made)["dy"]
    assert explicit.gradient(made, "x").tolist() == [sum(g[k:]) for k in range(3)]


def test_an_open_choice_stays_open_in_the_forward_equation():
    x = explicit.symbols(elementwise("relu", "x"))["x"]
    assert explicit.forward(elementwise("relu", "x"))[1] == sympy.Max(0, x[1])


# -- scalar functions -----------------------------------------------------------------------


def test_the_explicit_path_knows_every_function_of_the_language():
    assert {*SMOOTH, *CHOSEN} == set(FUNCTIONS)
    assert set(OPEN) == set(CHOSEN)


@pytest.mark.parametrize(
    "fn", sorted(name for name in SMOOTH if FUNCTIONS[name].arity == 1 and name != "neg")
)
def test_the_gradient_of_a_function_is_the_complex_step_of_the_oracle(fn):
    points = np.array([[0.25, 0.5, 1.25]])
    made = elementwise(fn, "x")
    known = explicit.symbols(made)
    numbers = {s: sympy.Rational(Fraction(v)) for s, v in zip(known["x"], points[0], strict=True)}
    numbers |= dict.fromkeys(known["dy"], sympy.S.One)
    result = [e.xreplace(numbers).evalf() for e in explicit.gradient(made, "x")]
    stepped = interpret(made, {"x": points + 1e-30j})
    np.testing.assert_allclose(np.array(result, float), stepped[0].imag / 1e-30, rtol=1e-14)


def test_an_average_that_counts_valid_reads_divides_by_their_number():
    i, u = Affine.of("i"), Affine.of("u")
    inside = Bracket((Within(i + u - 1, Affine.of("H")),))
    made = equation(
        read("y", "n", "i"),
        Reduce("sum", ("u",), read("x", "n", i + u - 1)) / Reduce("sum", ("u",), inside),
        [Tensor("x", DATA, shape(["H"]))],
        Tensor("y", OUTPUT, shape(["H"])),
        {"i": "H", "u": "K"},
        {"H": 3, "K": 3},
    )
    g = explicit.symbols(made)["dy"]
    half, third = sympy.Rational(1, 2), sympy.Rational(1, 3)
    expected = [
        half * g[0] + third * g[1],
        half * g[0] + third * g[1] + half * g[2],
        third * g[1] + half * g[2],
    ]
    assert explicit.gradient(made, "x").tolist() == expected


# -- refusals -----------------------------------------------------------------------------


def test_a_gradient_that_has_to_choose_asks_for_numbers():
    text = message_of(NotDerivable, explicit.gradient, elementwise("relu", "x"), "x")
    assert text == (
        "relu chooses, and what it chooses depends on the numbers: "
        "say at which numbers to differentiate"
    )


def test_class_indices_have_no_gradient():
    made = equation(
        read("y", "n", "i"),
        Call("eq", (Index(Affine.of("i")), read("t", "n"))),
        [Tensor("t", DATA, (), integer=True)],
        Tensor("y", OUTPUT, shape([2])),
        {"i": 2},
        {},
    )
    text = message_of(NotDerivable, explicit.gradient, made, "t")
    assert text == "t holds class indices, which have no gradient"


def test_what_is_not_linear_has_no_matrix():
    text = message_of(NotDerivable, explicit.matrix, elementwise("exp", "x"))
    assert text == "y is not linear in x, so no matrix stands for it"


def test_sizes_have_to_be_known():
    text = message_of(UsageError, explicit.forward, elementwise("exp", "x", size="D"))
    assert text == "the explicit derivation of test needs all sizes as numbers"


def test_two_entries_never_share_a_name():
    made = equation(
        read("y", "n", "i"),
        Reduce("sum", ("u",), read("x", "n", "i", "u") * read("x_0", "u")),
        [Tensor("x", DATA, shape([2, 2])), Tensor("x_0", PARAMETER, shape([2]))],
        Tensor("y", OUTPUT, shape([2])),
        {"i": 2, "u": 2},
        {},
    )
    text = message_of(UsageError, explicit.symbols, made)
    assert text == "two tensors have an entry called x_0_0: rename one of them"


def test_a_window_without_a_valid_read_is_refused():
    made = pool_equation((1, 2), (1,), "max", 1, ((0, 1),))
    assert message_of(DeriveError, explicit.forward, made) == "a max of y has no valid read"
