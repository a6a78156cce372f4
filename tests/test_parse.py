"""The equation language: what a text means, against trees and roles written by hand."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest

from derive.affine import Affine
from derive.equations import Equation
from derive.errors import UsageError
from derive.expressions import Bracket, Call, Equal, Index, Number, Read, Reduce, Within
from derive.parse import parse

CONV = "y[n,f,i,j] = sum[c,u,v](x[n,c, s*i + d*u - p, s*j + d*v - p] * w[f,c,u,v]) + b[f]"


def one(text: str, **options: object) -> Equation:
    (equation,) = parse(text, **options)
    return equation


def at(*names: str) -> tuple[tuple[Affine, ...], ...]:
    return tuple((Affine.of(name),) for name in names)


def shapes(equation: Equation) -> dict[str, list[str]]:
    tensors = (*equation.tensors, equation.output)
    return {t.name: [str(extent) for extent in t.shape] for t in tensors}


def roles(equation: Equation) -> dict[str, str]:
    return {t.name: t.role for t in (*equation.tensors, equation.output)}


def outside(equation: Equation) -> dict[str, str]:
    return {t.name: t.outside for t in equation.tensors}


# -- expressions ------------------------------------------------------------------------------
def test_convolution_is_the_tree_that_it_says() -> None:
    equation = one(CONV)
    i, j, u, v, s, d, p = (Affine.of(name) for name in "ijuvsdp")
    x = Read("x", (*at("n", "c"), (s * i + d * u - p,), (s * j + d * v - p,)))
    w = Read("w", at("f", "c", "u", "v"))
    body = Reduce("sum", ("c", "u", "v"), Call("mul", (x, w)))
    assert equation.forward.lhs == Read("y", at("n", "f", "i", "j"))
    assert equation.forward.rhs == Call("add", (body, Read("b", at("f"))))
    assert equation.text == CONV


def test_decimal_numbers_are_exact() -> None:
    assert one("y[i] = 0.1*x[i]").forward.rhs == Call(
        "mul", (Number(Fraction(1, 10)), Read("x", at("n", "i")))
    )
    assert one("y = x*1e-5").forward.rhs == Call(
        "mul", (Read("x", at("n")), Number(Fraction(1, 100_000)))
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.", Fraction(1)), (".5", Fraction(1, 2)), ("2E2", Fraction(200)), ("1000000", 10**6)],
)
def test_every_way_to_write_a_number_is_read(text: str, value: Fraction) -> None:
    assert one(f"y = x + {text}").forward.rhs == Call("add", (Read("x", at("n")), Number(value)))


def test_nothing_is_simplified() -> None:
    x = Read("x", at("n", "i"))
    zero = Number(Fraction(0))
    assert one("y[i] = 0 + -x[i]").forward.rhs == Call("add", (zero, Call("neg", (x,))))
    assert one("y[i] = x[i] - 0").forward.rhs == Call("sub", (x, zero))
    assert one("y[i] = x[i] / 2").forward.rhs == Call("div", (x, Number(Fraction(2))))


@pytest.mark.parametrize(
    ("exponent", "value"),
    [("2", 2), ("-1", -1), ("(1/2)", Fraction(1, 2)), ("-64", -64), ("(3-0.5)", Fraction(5, 2))],
)
def test_a_constant_exponent_is_one_exact_number(exponent: str, value: Fraction) -> None:
    read = Read("x", at("n", "i"))
    expected = Call("pow", (read, Number(Fraction(value))))
    assert one(f"y[i] = x[i]**{exponent}").forward.rhs == expected


def test_python_precedence_holds() -> None:
    x = Read("x", at("n"))
    assert one("y = -x**2").forward.rhs == Call("neg", (Call("pow", (x, Number(Fraction(2)))),))


def test_functions_and_pi_are_calls() -> None:
    x = Read("x", at("n", "i"))
    assert one("y[i] = tanh(x[i]) * pi").forward.rhs == Call(
        "mul", (Call("tanh", (x,)), Call("pi", ()))
    )
    assert one("y[i] = maximum(x[i], 0)").forward.rhs == Call("maximum", (x, Number(Fraction(0))))


@pytest.mark.parametrize(
    ("sign", "fn"),
    [("<", "lt"), ("<=", "le"), (">", "gt"), (">=", "ge"), ("==", "eq"), ("!=", "ne")],
)
def test_comparisons_stand_in_the_condition_of_where(sign: str, fn: str) -> None:
    equation = one(f"y[i,j] = where(i {sign} j, x[i,j], 0)")
    condition = Call(fn, (Index(Affine.of("i")), Index(Affine.of("j"))))
    x = Read("x", at("n", "i", "j"))
    assert equation.forward.rhs == Call("where", (condition, x, Number(Fraction(0))))


def test_delta_of_indices_is_a_bracket() -> None:
    rhs = one("y[i] = sum[j](delta(i, j + 1) * x[j])").forward.rhs
    equal = Equal(Affine.of("i"), Affine.of("j") + 1)
    assert rhs == Reduce("sum", ("j",), Call("mul", (Bracket((equal,)), Read("x", at("n", "j")))))


@pytest.mark.parametrize("text", ["delta(c, t[n])", "delta(t[n], c)"])
def test_delta_with_a_tensor_compares_and_marks_it_as_class_indices(text: str) -> None:
    equation = one(f"y[n] = sum[c]({text} * x[n,c])")
    compared = Call("eq", (Index(Affine.of("c")), Read("t", at("n"))))
    assert equation.forward.rhs == Reduce(
        "sum", ("c",), Call("mul", (compared, Read("x", at("n", "c"))))
    )
    assert {t.name: t.integer for t in equation.tensors} == {"t": True, "x": False}
    assert roles(equation) == {"t": "data", "x": "data", "y": "output"}


def test_a_class_index_without_axes_is_a_scalar_tensor() -> None:
    equation = one("y = sum[c](delta(c, t) * x[c])")
    assert shapes(equation) == {"t": [], "x": ["C"], "y": []}
    assert equation.tensor("t").integer


def test_inside_holds_a_condition_for_every_shifted_axis() -> None:
    text = "y[c,i] = sum[u](x[c,2*i+u-1]) / sum[u](inside(x[c,2*i+u-1]))"
    rhs = one(text).forward.rhs
    position = Affine.of(2) * "i" + "u" - 1
    within = Bracket((Within(position, Affine.of("X_2")),))
    assert isinstance(rhs, Call)
    assert rhs.args[1] == Reduce("sum", ("u",), within)


def test_siblings_may_reuse_an_index() -> None:
    equation = one("y[i] = x[i] * sum[j](x[j]) / sum[j](w[j])")
    assert equation.indices == ("n", "i", "j")


def test_a_named_integer_may_be_a_factor_too() -> None:
    rhs = one("y[i] = s * x[s*i]").forward.rhs
    assert rhs == Call(
        "mul", (Index(Affine.of("s")), Read("x", (*at("n"), (Affine.of("s") * "i",))))
    )


def test_a_composed_axis_has_one_subscript_of_several_indices() -> None:
    grouped = one("y[(g,f),i] = sum[c,u](x[(g,c), i+u] * w[(g,f),c,u])")
    assert grouped.forward.lhs.axes[1] == (Affine.of("g"), Affine.of("f"))
    assert shapes(grouped) == {"x": ["G*C", "X_2"], "w": ["G*F", "C", "U"], "y": ["G*F", "I"]}
    flat = one("y[(c,i,j)] = x[c,i,j]")
    assert shapes(flat) == {"x": ["C", "I", "J"], "y": ["C*I*J"]}


def test_parentheses_around_each_subscript_compose_nothing() -> None:
    assert one("y[i,j] = x[(i),(j)]").forward == one("y[i,j] = x[i,j]").forward


# -- text -------------------------------------------------------------------------------------
def test_comments_blank_lines_indentation_and_line_breaks_mean_nothing() -> None:
    text = """
        # softmax, in two steps · any character may stand in a comment
        e[i] = exp(x[i])      # no stabilisation

        y[i] = (e[i]
            / sum[j](e[j]))
    """
    equations = parse(text)
    assert [e.text for e in equations] == ["e[i] = exp(x[i])", "y[i] = (e[i] / sum[j](e[j]))"]
    plain = parse("e[i] = exp(x[i]); y[i] = e[i]/sum[j](e[j])")
    assert [e.forward for e in equations] == [e.forward for e in plain]


def test_windows_line_ends_are_line_ends() -> None:
    assert len(parse("h[i] = x[i]\r\ny[i] = 2*h[i]\r\n")) == 2


# -- data, batch ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "data", "expected"),
    [
        ("y[i] = w[i]*x[i]", (), ["x"]),
        ("y = sum[i]((t[i] - x[i])**2 * w[i])", (), ["t", "x"]),
        ("y[i] = q[i]*k[i]", (), ["q"]),
        ("y[i] = q[i]*k[i]", ("k", "q"), ["q", "k"]),
        ("y[i] = w[i]*x[i]", ("w",), ["w"]),
    ],
)
def test_data_are_named_or_x_and_t_or_the_first(
    text: str, data: tuple[str, ...], expected: list[str]
) -> None:
    assert [t.name for t in one(text, data=data).data] == expected


def test_tensors_come_data_first_then_in_order_of_appearance() -> None:
    equation = one("y[i] = b[i] + sum[j](w[i,j] * x[j])")
    assert [t.name for t in equation.tensors] == ["x", "b", "w"]


def test_the_batch_is_put_in_where_it_is_not_written() -> None:
    equation = one("y[i] = sum[u](x[i+u] * w[u]) + beta")
    x = Read("x", (*at("n"), (Affine.of("i") + "u",)))
    assert equation.forward.lhs == Read("y", at("n", "i"))
    assert equation.forward.rhs == Call(
        "add",
        (Reduce("sum", ("u",), Call("mul", (x, Read("w", at("u"))))), Read("beta", ())),
    )
    assert equation.extents[0] == ("n", Affine.of("N"))


def test_a_written_batch_gives_the_same_equation() -> None:
    written = one("y[n,i] = sum[u](x[n,i+u] * w[u])")
    implicit = one("y[i] = sum[u](x[i+u] * w[u])")
    assert written.forward == implicit.forward
    assert shapes(written) == shapes(implicit) == {"x": ["X"], "w": ["U"], "y": ["I"]}
    assert set(written.extents) == set(implicit.extents)


def test_n_is_an_ordinary_index_if_some_data_is_read_without_it() -> None:
    equation = one("y[n] = sum[i](x[n,i] * x[i,n])")
    assert equation.batch == "m"
    assert equation.forward.lhs == Read("y", at("m", "n"))
    assert dict(equation.extents)["m"] == Affine.of("N")
    assert dict(equation.extents)["n"] != Affine.of("N")


def test_reducing_over_the_batch_leaves_an_output_without_it() -> None:
    m, y = parse("m[c] = mean[n,i](x[n,c,i])\ny[n,c,i] = x[n,c,i] - m[c]")
    assert roles(m) == {"x": "data", "m": "parameter"}
    assert roles(y) == {"x": "data", "m": "parameter", "y": "output"}
    assert m.forward.lhs == Read("m", at("c"))
    assert dict(m.extents)["n"] == Affine.of("N")
    assert shapes(m) == {"x": ["C", "I"], "m": ["C"]}


def test_what_is_computed_from_parameters_alone_is_a_parameter() -> None:
    v, y = parse("v[j] = w[j]/sum[k](w[k]**2)\ny[i] = sum[j](v[j] * x[i+j])")
    assert roles(v) == {"w": "parameter", "v": "parameter"}
    assert roles(y) == {"x": "data", "v": "parameter", "y": "output"}
    assert v.forward.lhs == Read("v", at("j"))


def test_an_intermediate_carries_the_batch_into_later_equations() -> None:
    m, e, y = parse("m = max[k](x[k])\ne[i] = exp(x[i] - m)\ny[i] = e[i]/sum[j](e[j])")
    assert m.forward.lhs == Read("m", at("n"))
    assert roles(e) == {"x": "data", "m": "data", "e": "output"}
    assert roles(y) == {"e": "data", "y": "output"}
    assert shapes(m)["x"] == shapes(e)["x"] == shapes(y)["e"] == shapes(y)["y"]


# -- outside and ties -------------------------------------------------------------------------
def test_reads_outside_are_zero_and_skipped_under_max_and_min() -> None:
    assert outside(one("y[i] = sum[u](x[i+u-1] * w[u])")) == {"x": "zero", "w": "zero"}
    assert outside(one("y[i] = max[u](x[i+u-1])")) == {"x": "skip"}
    assert outside(one("y[i] = min[u](x[i+u-1]) + b[i]")) == {"x": "skip", "b": "zero"}


def test_plain_reads_have_no_say_in_what_is_outside() -> None:
    assert outside(one("y[i] = max[u](x[i+u-1]) + x[i]")) == {"x": "skip"}


def test_shifted_reads_under_both_max_and_sum_must_stay_inside() -> None:
    assert outside(one("y[i] = max[u](x[i+u-1]) + sum[u](x[i+u-1])")) == {"x": "error"}


def test_outside_and_ties_can_be_said() -> None:
    equation = one("y[i] = max[u](x[i+u-1])", outside={"x": "error"}, ties="split")
    assert outside(equation) == {"x": "error"}
    assert equation.ties == "split"


# -- extents ----------------------------------------------------------------------------------
def test_an_index_alone_on_an_axis_names_its_extent() -> None:
    assert shapes(one(CONV)) == {
        "x": ["C", "X_2", "X_3"],
        "w": ["F", "C", "U", "V"],
        "b": ["F"],
        "y": ["F", "I", "J"],
    }


def test_axes_that_share_an_index_share_its_extent() -> None:
    equation = one("y[i,j] = sum[d](q[i,d] * k[j,d]) * q[j,i]", data=("q", "k"))
    assert shapes(equation)["q"] == ["I", "I"]


def test_the_same_letter_in_two_equations_need_not_run_equally_far() -> None:
    first, second = parse("h[i] = sum[j](w[i,j]*x[j])\ny[i] = sum[j](v[i,j]*h[j])")
    assert shapes(first) == {"x": ["J"], "w": ["I", "J"], "h": ["I"]}
    assert shapes(second)["v"][1] == "I"
    assert shapes(second)["v"][0] not in ("I", "J")


def test_names_of_extents_avoid_names_in_the_text() -> None:
    equation = one("y[i] = I[i] * x[i+u0]", data=("x",))
    extents = {n for names in shapes(equation).values() for n in names}
    assert not extents & {"I", "y", "x", "i", "u0", "N"}


# -- options ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": ("v",)}, "data: v is no tensor of the equation; its tensors are x, w"),
        ({"data": ("h",)}, "data: h is computed, not given; its tensors are x, w"),
        ({"outside": {"ww": "zero"}}, "outside: no tensor ww is read; did you mean w?"),
        ({"outside": {"x": "nil"}}, "outside: x (='nil') is one of zero, skip, error"),
        ({"outside": {"x": "skip"}}, "outside: x (='skip') is read outside of max and min too"),
        ({"ties": "last"}, "ties (='last') is first or split"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_right(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        parse("h[i] = sum[u](x[i+u]*w[u])\ny[i] = exp(h[i])", **options)
    assert str(error.value) == message


def test_parsing_and_sizing_import_neither_sympy_nor_numpy() -> None:
    code = (
        "import sys; from derive.parse import parse; from derive.sizes import with_sizes;"
        "with_sizes(parse('y[i] = sum[u](x[i+u]*w[u])'), {'x': 5, 'w': 3});"
        "sys.exit(bool({'numpy', 'sympy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
