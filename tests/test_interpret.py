"""The oracle against the definition, and against functions and identities from elsewhere."""

import ast
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from by_hand import conv_equation, equation, pool_equation, read, shape
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import conv_backward, conv_forward, geometries, max_pool_backward, max_pool_forward

import derive.interpret
from derive.affine import Affine
from derive.equations import DATA, OUTPUT, PARAMETER, Statement, Tensor
from derive.errors import DeriveError, UsageError
from derive.expressions import (
    Bracket,
    Call,
    Divides,
    Equal,
    Index,
    Number,
    Partial,
    Read,
    Reduce,
    Winner,
    Within,
)
from derive.interpret import entries, entry, interpret, interpret_statement

i, u, m = Affine.of("i"), Affine.of("u"), Affine.of("m")


def elementwise(fn, *names, size=5):
    """y[i] = fn(x[i], ...)."""
    return equation(
        read("y", "n", "i"),
        Call(fn, tuple(read(name, "n", "i") for name in names)),
        [Tensor(name, DATA, shape([size])) for name in names],
        Tensor("y", OUTPUT, shape([size])),
        {"i": size},
        {},
    )


def of_one_axis(rhs, taps=2, outputs=3, size=5, outside="zero", extra=()):
    """y[i] = rhs over x[n, m], i < outputs, u < taps."""
    return equation(
        read("y", "n", "i"),
        rhs,
        [Tensor("x", DATA, shape([size]), outside), *extra],
        Tensor("y", OUTPUT, shape([outputs])),
        {"i": outputs, "u": taps},
        {},
    )


# -- forward ------------------------------------------------------------------------------


@given(geometry=geometries(), seed=st.integers(0, 99), bias=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_convolution_is_what_its_definition_says(geometry, seed, bias):
    arrays = geometry.arrays(seed)
    made = conv_equation(
        (geometry.channels, *geometry.sizes),
        geometry.kernel,
        geometry.filters,
        bias=bias,
        **geometry.settings,
    )
    given = {name: arrays[name] for name in ("x", "w", "b") if bias or name != "b"}
    expected = conv_forward(*given.values(), **geometry.settings)
    assert np.array_equal(interpret(made, given), expected)


def test_channels_and_filters_that_do_not_exist_are_axes_of_one():
    x, w = np.arange(18).reshape(2, 3, 3), np.arange(4).reshape(2, 2)
    result = interpret(conv_equation((3, 3), (2, 2)), {"x": x, "w": w})
    assert np.array_equal(result, conv_forward(x[:, None], w[None, None])[:, 0])


@pytest.mark.parametrize("padding", [0, 1, ((1, 0), (0, 1))])
def test_padding_never_wins_a_maximum(padding):
    x = -1 - np.random.default_rng(0).integers(0, 9, (2, 2, 4, 4))
    result = interpret(pool_equation((2, 4, 4), (2, 2), stride=1, padding=padding), {"x": x})
    assert np.array_equal(result, max_pool_forward(x, (2, 2), stride=1, padding=padding))
    assert (result < 0).all()


def test_a_minimum_is_the_negative_of_the_maximum_of_the_negative():
    x = np.random.default_rng(1).integers(-9, 10, (2, 2, 5))
    smallest, largest = (pool_equation((2, 5), (3,), op, 1, 1) for op in ("min", "max"))
    assert np.array_equal(interpret(smallest, {"x": x}), -interpret(largest, {"x": -x}))


def test_outside_of_a_tensor_that_a_maximum_skips_a_sum_reads_0():
    total = Reduce("sum", ("u",), Call("exp", (read("x", "n", i + u),)))
    result = interpret(of_one_axis(total, size=3, outside="skip"), {"x": np.zeros((1, 3))})
    assert np.array_equal(result, [[2, 2, 2]])


def test_a_mean_divides_by_every_tap_the_padding_included():
    x = np.array([[[3, 6, 9]]])
    result = interpret(pool_equation((1, 3), (3,), "mean", 1, 1), {"x": x})
    assert np.array_equal(result, [[[3, 6, 5]]])


def test_a_condition_limits_a_sum():
    below = Reduce("sum", ("u",), read("x", "n", "u"), (Within(u, i + 1),))
    x = np.array([[1, 10, 100, 1000]])
    result = interpret(of_one_axis(below, taps=4, outputs=4, size=4), {"x": x})
    assert np.array_equal(result, np.cumsum(x, axis=1))


def test_inside_counts_the_valid_reads():
    inside = Reduce("sum", ("u",), Bracket((Within(i + u - 1, Affine.of(3)),)))
    result = interpret(of_one_axis(inside, taps=3, size=3), {"x": np.zeros((1, 3), int)})
    assert np.array_equal(result, [[2, 3, 2]])


def test_a_bracket_hides_what_is_not_defined_where_it_is_0():
    halved = Bracket((Divides(Affine.of(2), i),)) * read("x", "n", i / 2)
    x = np.array([[5, 7]])
    result = interpret(of_one_axis(halved, outputs=4, size=2), {"x": x})
    assert np.array_equal(result, [[5, 0, 7, 0]])


def test_where_evaluates_only_the_chosen_branch():
    x = read("x", "n", "i")
    safe = Call("where", (Call("gt", (x, Number(Fraction(0)))), Call("log", (x,)), x))
    result = interpret(of_one_axis(safe, size=3), {"x": np.array([[1.0, 0.0, -2.0]])})
    assert np.array_equal(result, [[0.0, 0.0, -2.0]])


def test_an_index_is_a_number():
    ramp = Index(i + i - 1) * read("x", "n", "i")
    result = interpret(of_one_axis(ramp, size=3), {"x": np.array([[1, 1, 1]])})
    assert np.array_equal(result, [[-1, 1, 3]])


def test_composed_axes_are_row_major():
    x = np.arange(24).reshape(1, 2, 3, 4)
    flat = equation(
        read("y", "n", ("c", "i", "j")),
        read("x", "n", "c", "i", "j"),
        [Tensor("x", DATA, shape([2, 3, 4]))],
        Tensor("y", OUTPUT, (Affine.of("C") * "H" * "W",)),
        {"c": "C", "i": "H", "j": "W"},
        {"C": 2, "H": 3, "W": 4},
    )
    assert np.array_equal(interpret(flat, {"x": x}), x.reshape(1, 24))


def test_an_output_that_reduces_over_the_batch_has_no_batch_axis():
    mean = equation(
        read("y", "c"),
        Reduce("mean", ("n",), read("x", "n", "c")),
        [Tensor("x", DATA, shape([2]))],
        Tensor("y", PARAMETER, shape([2])),
        {"c": 2},
        {},
    )
    x = np.array([[1, 10], [3, 20], [5, 60]])
    assert np.array_equal(interpret(mean, {"x": x}), [3, 30])


@given(geometry=geometries(), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_single_entries_are_the_entries_of_the_whole(geometry, seed):
    arrays = {name: array for name, array in geometry.arrays(seed).items() if name in "xw"}
    made = conv_equation(
        (geometry.channels, *geometry.sizes),
        geometry.kernel,
        geometry.filters,
        **geometry.settings,
    )
    whole, at = interpret(made, arrays), entries(made, arrays)
    assert all(at(p) == whole[p] for p in product(*map(range, whole.shape)))
    assert entry(made, arrays, (1, *(0,) * (whole.ndim - 1))) == whole[1].flat[0]


# -- numbers ------------------------------------------------------------------------------


def test_fractions_stay_fractions():
    x = np.array([[Fraction(1, 3), Fraction(1, 7), Fraction(2, 5)]], dtype=object)
    w = np.array([Fraction(1, 2), Fraction(-3)], dtype=object)
    result = interpret(conv_equation((3,), (2,)), {"x": x, "w": w})
    assert result.dtype == object
    assert result.tolist() == [[Fraction(1, 6) - Fraction(3, 7), Fraction(1, 14) - Fraction(6, 5)]]


def test_integers_that_outgrow_int64_stay_exact():
    x, w = np.array([[2**62, 2**62]]), np.array([4, 4])
    assert interpret(conv_equation((2,), (2,)), {"x": x, "w": w}).tolist() == [[2**65]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_the_dtype_of_the_inputs_is_that_of_the_output(dtype):
    x, w = np.ones((1, 3), dtype), np.ones(2, dtype)
    assert interpret(conv_equation((3,), (2,)), {"x": x, "w": w}).dtype == dtype


def test_a_division_takes_integers_to_floats_and_rounds_once():
    result = interpret(elementwise("div", "x", "z"), {"x": [[1, 2, 6, 7, 1]], "z": [[3] * 5]})
    assert result.dtype == np.float64
    assert result.tolist() == [[1 / 3, 2 / 3, 2.0, 7 / 3, 1 / 3]]


def test_a_quotient_of_integers_is_not_rounded_before_it_is_used():
    x, w = np.array([[1, 1, 1]]), np.array([49])
    back = read("x", "n", "i") / read("w", 0) * read("w", 0)
    made = of_one_axis(back, size=3, extra=[Tensor("w", PARAMETER, shape([1]))])
    assert interpret(made, {"x": x, "w": w}).tolist() == [[1, 1, 1]]
    assert 1 / 49 * 49 != 1


def test_a_sum_of_floats_is_rounded_once():
    total = Reduce("sum", ("u",), read("x", "n", "u"))
    x = np.array([[1e16, 1.0, -1e16, 1.0]])
    assert interpret(of_one_axis(total, taps=4, size=4), {"x": x}).tolist() == [[2.0] * 3]


# -- derived statements -------------------------------------------------------------------


def gather_of_conv(s, d, p):
    """dx[m] = Σ_{u: s | m+p−d·u, 0 ≤ (m+p−d·u)/s < O} dy[(m+p−d·u)/s]·w[u], by hand."""
    top = m + p - Affine.of(d) * u
    where = (Divides(Affine.of(s), top), Within(top / s, Affine.of("O")))
    body = read("dy", "n", top / s) * read("w", "u")
    return Statement(read("dx", "n", "m"), Reduce("sum", ("u",), body, where))


def scatter_of_conv(s, d, p):
    """dx[s·i + d·u − p] += dy[i]·w[u], by hand."""
    place = Affine.of(s) * i + Affine.of(d) * u - p
    return Statement(read("dx", "n", place), read("dy", "n", "i") * read("w", "u"), True)


@pytest.mark.parametrize("by_hand", [gather_of_conv, scatter_of_conv])
@pytest.mark.parametrize(("s", "d", "p"), list(product((1, 2, 3), (1, 2), (0, 1, 2))))
def test_the_textbook_input_gradient_is_that_of_the_definition(by_hand, s, d, p):
    rng = np.random.default_rng(s + 10 * d + 100 * p)
    made = conv_equation((7,), (3,), stride=s, padding=p, dilation=d)
    outputs = dict(made.values)["O"]
    x, w, dy = (
        rng.integers(-9, 10, (2, 7)),
        rng.integers(-9, 10, 3),
        rng.integers(-9, 10, (2, outputs)),
    )
    result = interpret_statement(by_hand(s, d, p), made, {"x": x, "w": w, "dy": dy})
    dx, _, _ = conv_backward(
        dy[:, None], x[:, None], w[None, None], stride=s, padding=p, dilation=d
    )
    assert np.array_equal(result, dx[:, 0])


def test_the_indices_of_a_scatter_run_as_far_as_in_the_equation():
    made = of_one_axis(read("x", "n", "i") + read("x", "n", i + 1), outputs=3, size=4)
    scatter = Statement(read("dx", "n", "i"), read("dy", "n", "i"), accumulate=True)
    result = interpret_statement(scatter, made, {"dy": np.array([[5, 6, 7]])})
    assert result.tolist() == [[5, 6, 7, 0]]


@pytest.mark.parametrize("ties", ["first", "split"])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (1, 1)])
def test_winners_pass_the_gradient_of_a_maximum_on(ties, stride, padding):
    rng = np.random.default_rng(2)
    made = pool_equation((1, 6), (3,), "max", stride, padding, ties=ties)
    x, outputs = rng.integers(0, 3, (2, 1, 6)), int(made.output.shape[1].number)
    dy = 6 * rng.integers(-9, 10, (2, 1, outputs))
    place = Affine.of(stride) * i + u - padding
    starred = Affine.of(stride) * i + Affine.of("u*") - padding
    share = Winner("max", ("u*",), read("x", "n", "c", starred), (u,), ties)
    scatter = Statement(read("dx", "n", "c", place), read("dy", "n", "c", "i") * share, True)
    result = interpret_statement(scatter, made, {"x": x, "dy": dy})
    expected = max_pool_backward(dy, x, (3,), stride=stride, padding=padding, ties=ties)
    assert np.array_equal(result, expected)


def test_a_winner_outside_of_its_window_has_no_share():
    share = Winner("max", ("u",), read("x", "n", "u"), (i - 1,), "first")
    result = interpret(of_one_axis(share, taps=2, outputs=3), {"x": np.array([[7, 7, 0, 0, 0]])})
    assert np.array_equal(result, [[0, 1, 0]])


def test_an_equal_condition_is_a_kronecker_delta():
    picked = Reduce("sum", ("u",), read("x", "n", "u"), (Equal(u, i + 1),))
    x = np.array([[1, 2, 3, 4, 5]])
    assert interpret(of_one_axis(picked, taps=5), {"x": x}).tolist() == [[2, 3, 4]]


# -- refusals -----------------------------------------------------------------------------


def message_of(error, call, *args):
    with pytest.raises(error) as caught:
        call(*args)
    return str(caught.value)


def test_a_window_without_a_valid_read_is_refused_and_named():
    made = pool_equation((1, 2), (1,), "max", 1, ((0, 1),))
    text = message_of(DeriveError, interpret, made, {"x": np.zeros((2, 1, 2))})
    assert text == "y[0, 0, 2]: a max has no valid read in its window"


def test_a_read_outside_is_refused_where_the_tensor_says_so():
    made = of_one_axis(read("x", "n", i + 1), size=3, outside="error")
    text = message_of(DeriveError, interpret, made, {"x": np.zeros((1, 3))})
    assert text == "y[0, 2]: x is read outside of its shape (1, 3)"


def test_a_lost_divisibility_condition_is_an_error():
    whole = gather_of_conv(2, 1, 0)
    lost = Statement(whole.lhs, Reduce("sum", ("u",), whole.rhs.body, whole.rhs.where[1:]))
    made = conv_equation((5,), (2,), stride=2)
    arrays = {"w": np.ones(2), "dy": np.ones((1, 2))}
    text = message_of(DeriveError, interpret_statement, lost, made, arrays)
    assert text == "dx[0, 1]: dy is read at 1/2: a divisibility condition is missing"


def test_a_lost_range_condition_is_an_error():
    whole = gather_of_conv(1, 1, 0)
    lost = Statement(whole.lhs, Reduce("sum", ("u",), whole.rhs.body, whole.rhs.where[:1]))
    arrays = {"w": np.ones(2), "dy": np.ones((1, 2))}
    text = message_of(DeriveError, interpret_statement, lost, conv_equation((3,), (2,)), arrays)
    assert text == "dx[0, 0]: dy is read outside of its shape (1, 2)"


def test_a_wrong_shape_is_refused_with_both_shapes():
    arrays = {"x": np.ones((1, 4)), "w": np.ones(2)}
    text = message_of(UsageError, interpret, conv_equation((3,), (2,)), arrays)
    assert text == "x has shape (1, 4), but conv takes (1, 3) at these sizes"


def test_a_missing_batch_axis_is_refused():
    arrays = {"x": np.ones(3), "w": np.ones(2)}
    text = message_of(UsageError, interpret, conv_equation((3,), (2,)), arrays)
    assert text == "x has shape (3,); one batch axis and 1 more are needed"


def test_a_missing_tensor_is_refused():
    text = message_of(UsageError, interpret, conv_equation((3,), (2,)), {"x": np.ones((1, 3))})
    assert text == "no values are given for w"


def test_unknown_sizes_are_refused_by_name():
    made = elementwise("exp", "x", size="D")
    text = message_of(UsageError, interpret, made, {"x": np.ones((1, 3))})
    assert text == "the sizes of test are not all known: D"


def test_an_unfinished_derivation_has_no_value():
    open_ = Statement(read("dx", "n", "m"), Partial(Read("y", ()), read("x", "n", "m")))
    text = message_of(DeriveError, interpret_statement, open_, conv_equation((3,), (2,)), {})
    assert text == "Partial has no value: the derivation is not finished"


# -- independence -------------------------------------------------------------------------


def test_the_oracle_imports_nothing_that_it_judges():
    package = Path(derive.interpret.__file__).parent
    files = [*package.glob("*.py"), package.parent / "explicit.py", package.parent / "expansion.py"]
    allowed = {"affine", "equations", "errors", "expressions"}
    own = {"interpret": {f.stem for f in package.glob("*.py")}, "derive": {"expansion"}}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                here = own["interpret"] if file.parent == package and node.level == 1 else set()
                here = own["derive"] if file.name == "explicit.py" else here
                assert node.module in allowed | here, f"{file.name} imports {node.module}"
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("derive") for alias in node.names)
