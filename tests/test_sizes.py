"""Sizes that follow from others, against counting, published shapes and whole messages."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from derive.affine import Affine
from derive.errors import EquationError, UsageError
from derive.expressions import Bracket, Within, walk
from derive.parse import parse
from derive.sizes import with_names, with_sizes

CONV = "y[i] = sum[u](x[s*i + d*u - p] * w[u])"
POOL = "y[i] = max[u](x[s*i + d*u - p])"
GROUPED = "y[(g,f),i] = sum[c,u](x[(g,c), i+u] * w[(g,f),c,u])"


def sizes(text: str, shapes: dict[str, object], **options: object) -> dict[str, int]:
    """Extent of every index and tensor axis of the last equation."""
    equation = with_sizes(parse(text, **options), shapes)[-1].at_sizes()
    found = {i: extent.number for i, extent in equation.extents if i != equation.batch}
    assert all(found.values())
    return {i: number for i, number in found.items() if number is not None}


def message(text: str, shapes: dict[str, object], **options: object) -> str:
    with pytest.raises(UsageError) as error:
        sizes(text, shapes, **options)
    return str(error.value)


# -- windows ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("H", "K", "s", "p", "d", "outputs"),
    [
        (4, 3, 1, 0, 1, 2),
        (5, 4, 1, 2, 1, 6),
        (5, 3, 1, 1, 1, 5),
        (5, 3, 1, 2, 1, 7),
        (5, 3, 2, 0, 1, 2),
        (5, 3, 2, 1, 1, 3),
        (6, 3, 2, 1, 1, 3),
        (7, 3, 1, 0, 2, 3),
    ],
)
def test_window_counts_of_dumoulin_and_visin(
    H: int, K: int, s: int, p: int, d: int, outputs: int
) -> None:
    """Figures 2.1 to 2.7 and 5.1 of arXiv 1603.07285."""
    assert sizes(CONV, {"x": H, "w": K, "s": s, "p": p, "d": d})["i"] == outputs


@given(
    st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 5), st.integers(1, 3)
)
def test_a_window_count_is_the_number_of_places_in_the_padded_input(
    H: int, K: int, s: int, p: int, d: int
) -> None:
    padded = range(-p, H + p)
    places = [i for i in range(100) if all(s * i + d * u - p in padded for u in range(K))]
    shapes = {"x": H, "w": K, "s": s, "p": p, "d": d}
    if places:
        assert sizes(CONV, shapes)["i"] == len(places)
    else:
        assert message(CONV, shapes).startswith(f"axis 0 of x (={H}")


@given(st.integers(1, 9), st.integers(1, 9))
def test_a_full_convolution_is_as_long_as_the_product_of_polynomials(H: int, K: int) -> None:
    degrees = {a + b for a in range(H) for b in range(K)}
    assert sizes("y[i] = sum[u](x[i - u] * w[u])", {"x": H, "w": K})["i"] == len(degrees)


@given(st.integers(1, 9), st.integers(0, 12))
def test_a_reversed_read_goes_down_to_the_first_entry(H: int, top: int) -> None:
    assume(top < H)
    assert sizes("y[i] = x[c - i]", {"x": H, "c": top})["i"] == top + 1


def test_a_window_of_given_outputs_is_as_large_as_fits() -> None:
    assert sizes("y[i] = max[u](x[2*i + u])", {"x": 6, "y": 3})["u"] == 2


def test_of_several_reads_the_smallest_counts() -> None:
    assert sizes("y[i] = x[2*i] + z[i+1]", {"x": 9, "z": 4}, data=("x", "z"))["i"] == 3


def test_a_given_output_wins_over_the_rule() -> None:
    shapes = {"x": 5, "w": 2, "s": 2, "d": 1, "p": 0}
    assert sizes(CONV, shapes)["i"] == 2
    assert sizes(CONV, {**shapes, "y": 3})["i"] == 3


def test_sizes_flow_through_the_equations() -> None:
    text = "h[i] = sum[u](x[i+u] * w[u])\na[i] = relu(h[i])\ny[j] = max[v](a[2*j+v])"
    assert sizes(text, {"x": 28, "w": 5, "v": 2}) == {"j": 12, "v": 2}


def test_lenet_shapes_follow_from_the_input_and_the_kernels() -> None:
    """LeCun et al. 1998, section II.B: 32 → C1 28 → S2 14 → C3 10 → S4 5 → C5 1."""
    text = (
        "a[f,i,j] = sum[u,v](x[i+u, j+v] * k[f,u,v])\n"
        "b[f,i,j] = mean[u,v](a[f, 2*i+u, 2*j+v])\n"
        "c[g,i,j] = sum[f,u,v](b[f, i+u, j+v] * l[g,f,u,v])\n"
        "e[g,i,j] = mean[u,v](c[g, 2*i+u, 2*j+v])\n"
        "y[h,i,j] = sum[g,u,v](e[g, i+u, j+v] * m[h,g,u,v])\n"
    )
    shapes = {
        "x": (32, 32),
        "k": (6, 5, 5),
        "b": (6, 14, 14),
        "l": (16, 6, 5, 5),
        "e": (16, 5, 5),
        "m": (120, 16, 5, 5),
    }
    equations = [e.at_sizes() for e in with_sizes(parse(text), shapes)]
    assert [e.output.sizes() for e in equations] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (120, 1, 1),
    ]


# -- composed axes ----------------------------------------------------------------------------
def test_the_unknown_factor_of_a_composed_axis_is_a_quotient() -> None:
    found = sizes(GROUPED, {"x": (4, 5), "w": (6, 2, 2)})
    assert found == {"g": 2, "f": 3, "i": 4, "c": 2, "u": 2}


def test_a_flattened_axis_is_the_product() -> None:
    equation = with_sizes(parse("y[(c,i,j)] = x[c,i,j]"), {"x": (3, 4, 5)})[0].at_sizes()
    assert equation.output.sizes() == (60,)


def test_a_factor_that_does_not_divide_is_refused() -> None:
    assert message(GROUPED, {"x": (5, 5), "w": (6, 2, 2)}) == (
        "axis 0 of x (=5) is not divisible by 2\n"
        f"    {GROUPED}\n"
        "                          ^^^^^^^^^^^^^\n"
        "    the axis is composed: 5 = G*C"
    )


def test_given_factors_and_axis_must_agree() -> None:
    text = "y[(c,i)] = x[c,i]"
    assert message(text, {"x": (3, 4), "y": 13}) == (
        "axis 0 of y (=13) is not 3 times 4\n"
        f"    {text}\n"
        "    ^^^^^^^^\n"
        "    its indices (c, i) run over 3 times 4"
    )


# -- ranks and contradictions -----------------------------------------------------------------
def test_a_missing_index_is_named() -> None:
    text = "y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u])"
    assert message(text, {"x": (3, 5, 5), "w": (2, 3, 2, 2)}) == (
        "w is read with 3 indices but declared with 4\n"
        f"    {text}\n"
        "                                             ^^^^^^^^\n"
        "    add the missing index v (it is summed but used only in x)"
    )


@pytest.mark.parametrize(
    ("text", "shapes", "what", "remedy"),
    [
        (
            "y[n,i] = x[n,i]",
            {"x": (2, 3)},
            "x is read with 1 index besides the batch but declared with 2",
            "give 1 size, or change the subscripts",
        ),
        (
            "y[i] = beta*x[i]",
            {"beta": 3},
            "beta is read with 0 indices but declared with 1",
            "give no size, or change the subscripts",
        ),
        (
            "y[i,j] = x[i,j]",
            {"y": 3},
            "y is written with 2 indices but declared with 1",
            "give 2 sizes, or change the subscripts",
        ),
    ],
)
def test_another_number_of_axes_is_refused(
    text: str, shapes: dict[str, object], what: str, remedy: str
) -> None:
    lines = message(text, shapes).split("\n    ")
    assert (lines[0], lines[1], lines[3]) == (what, text, remedy)


def test_two_sizes_of_one_index_are_both_named() -> None:
    text = "y[i] = sum[c](x[c,i] * w[c])"
    assert message(text, {"x": (3, 4), "w": 4}) == (
        "axis 0 of w (=4) contradicts axis 0 of x (=3)\n"
        f"    {text}\n"
        "                           ^^^^\n"
        "    both are the extent of index c"
    )


def test_an_index_may_be_given_too_and_must_agree() -> None:
    text = "y[i] = sum[c](x[c,i] * w[c])"
    assert sizes(text, {"c": 3, "i": 2}) == {"i": 2, "c": 3}
    expected = "c (=5) contradicts axis 0 of w (=3): both are the extent of index c"
    assert message(text, {"w": 3, "c": 5}) == expected


# -- what is refused --------------------------------------------------------------------------
def test_a_kernel_larger_than_the_padded_input_is_refused_with_the_rule() -> None:
    text = "y[i] = sum[u](x[2*i + u - 1] * w[u])"
    assert message(text, {"x": 3, "w": 7}) == (
        "axis 0 of x (=3, padded by 1 on both sides) is too short for 2*i + u - 1\n"
        f"    {text}\n"
        "                  ^^^^^^^^^^^^^^\n"
        "    it spans 7 at each i, so i would have floor((3 + 2*1 - 7)/2) + 1 = 0 values: "
        "a size of at least 5, or a shorter window"
    )


def test_a_read_outside_is_refused_where_it_is_an_error() -> None:
    text = "y[i] = x[i+1] - x[i]"
    assert message(text, {"x": 5}, outside={"x": "error"}) == (
        "x is read outside: i + 1 is 5 at i=4\n"
        f"    {text}\n"
        "           ^^^^^^\n"
        "    axis 0 of x runs from 0 to 4; change the sizes, or say that such a read gives 0: "
        "outside={'x': 'zero'}"
    )


@given(
    st.integers(1, 6), st.integers(1, 4), st.integers(-2, 3), st.integers(-3, 3), st.integers(1, 6)
)
def test_a_read_outside_is_found_exactly_if_there_is_one(
    H: int, K: int, s: int, p: int, outputs: int
) -> None:
    reads = {s * i + u - p for i in range(outputs) for u in range(K)}
    shapes = {"x": H, "u": K, "s": s, "p": p, "y": outputs}
    text = "y[i] = sum[u](x[s*i + u - p])"
    if reads <= set(range(H)):
        assert sizes(text, shapes, outside={"x": "error"})["i"] == outputs
    else:
        assert message(text, shapes, outside={"x": "error"}).startswith("x is read outside: ")


def test_a_window_of_max_without_a_valid_read_is_refused() -> None:
    text = "y[i] = max[u](x[i + u - 3])"
    assert message(text, {"x": 5, "u": 2, "y": 7}) == (
        "max has no valid read at i=0\n"
        f"    {text}\n"
        "                  ^^^^^^^^^^^^\n"
        "    every i + u - 3 there misses axis 0 of x (=5): less padding, or fewer outputs"
    )


@given(
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(-3, 3),
    st.integers(-3, 3),
    st.integers(-4, 6),
    st.integers(1, 6),
)
def test_an_empty_window_is_found_exactly_if_there_is_one(
    H: int, K: int, s: int, d: int, p: int, outputs: int
) -> None:
    taps = [[s * i + d * u - p for u in range(K)] for i in range(outputs)]
    empty = [not any(0 <= a < H for a in window) for window in taps]
    shapes = {"x": H, "u": K, "s": s, "d": d, "p": p, "y": outputs}
    if any(empty):
        where = message(POOL, shapes).split("\n")[0]
        assert where == f"max has no valid read at i={empty.index(True)}"
    else:
        assert sizes(POOL, shapes)["i"] == outputs


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 4))
def test_an_empty_window_of_two_outer_indices_is_found(
    H: int, rows: int, columns: int, p: int
) -> None:
    shapes = {"x": H, "u": 2, "p": p, "y": (rows, columns)}
    text = "y[i,j] = min[u](x[i + 2*j + u - p])"
    windows = [{i + 2 * j - p, i + 2 * j + 1 - p} for i in range(rows) for j in range(columns)]
    if all(window & set(range(H)) for window in windows):
        assert sizes(text, shapes) == {"i": rows, "j": columns, "u": 2}
    else:
        assert message(text, shapes).startswith("min has no valid read at i=")


# -- what is missing --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "shapes", "expected"),
    [
        (
            "y[i] = sum[u](x[i+u] * w[u])",
            {"x": 5},
            "sizes are missing: w\n    w has no shape: give it with --shape w=3",
        ),
        (
            "y[i,j] = sum[c](x[c,i] * w[c,j])",
            {"y": (3, 3)},
            "sizes are missing: x\n    x has no shape: give it with --shape x=3x3",
        ),
        (
            "y[i] = max[u](x[2*i+u])",
            {"x": 5},
            "sizes are missing: u\n    u has no size: give it with --shape u=2",
        ),
        (
            "y[i,j] = x[i]",
            {"x": 5},
            "sizes are missing: j\n    j has no size: give it with --shape j=2",
        ),
        (
            "y[i] = x[i+u]",
            {"x": 5},
            "sizes are missing: u\n"
            "    u has no value: is it an index? then sum[u](...), "
            "or give its value with --shape u=1",
        ),
        (
            GROUPED,
            {"x": (4, 5), "w": (6, 2, 2), "zz": 1},
            "zz (=1) is no tensor, index or named integer; "
            "there are x, w, y, c, f, g, i, n, u, C, F, G, I, U, X_2",
        ),
    ],
)
def test_what_is_missing_or_unknown_is_listed_with_how_to_give_it(
    text: str, shapes: dict[str, object], expected: str
) -> None:
    assert message(text, shapes) == expected


def test_what_was_asked_for_is_enough() -> None:
    text = "h[i,j] = max[u,v](x[s*i+u, s*j+v])\ny[k] = sum[i,j](w[k,i,j] * h[i,j]) + b[k]"
    shapes: dict[str, object] = {"x": (7, 7)}
    for given_ in ({"s": 2}, {"b": 3}, {"w": (3, 3, 3)}):
        assert message(text, shapes).startswith("sizes are missing: ")
        shapes.update(given_)
    assert sizes(text, shapes) == {"k": 3, "i": 3, "j": 3}


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({"x": 0}, "axis 0 of x (=0) is not between 1 and 1000000"),
        ({"x": 10**6 + 1}, "axis 0 of x (=1000001) is not between 1 and 1000000"),
        ({"x": 10**5000}, "axis 0 of x (=an integer of over 60 digits) is not between 1 and"),
        ({"x": 2.0}, "axis 0 of x (=2.0) is not a whole number"),
        ({"x": True}, "axis 0 of x (=True) is not a whole number"),
        ({"x": "5"}, "axis 0 of x (='5') is not a whole number"),
        ({"x": None}, "axis 0 of x (=None) is not a whole number"),
        ({"x": 5, "u": 0}, "u (=0) is not between 1 and 1000000"),
        ({"x": 5, "p": -(10**7)}, "p (=-10000000) is not between -1000000 and 1000000"),
        ({"N": 3}, "N is the batch, whose size is always free: leave it out"),
        ({"n": 3}, "n is the batch, whose size is always free: leave it out"),
    ],
)
def test_a_wrong_size_is_refused_with_its_value(shapes: dict[str, object], expected: str) -> None:
    assert message("y[i] = sum[u](x[i + u - p] * w[u])", shapes).startswith(expected)


def test_tensors_too_large_are_refused() -> None:
    expected = "x (=1000000x1000000x2) is too large: at most 1099511627776 entries"
    assert message("y[i,j,k] = x[i,j,k]", {"x": (10**6, 10**6, 2)}) == expected


# -- equations and names ----------------------------------------------------------------------
def test_no_shapes_leave_the_equations_as_they_are() -> None:
    equations = parse(CONV)
    assert with_sizes(equations, {}) == equations
    assert not equations[0].sized


def test_values_hold_every_name_of_the_equation_but_the_batch() -> None:
    (equation,) = with_sizes(parse(CONV), {"x": [5], "w": (2,), "s": 2, "d": 1, "p": 1})
    assert dict(equation.values) == {"X": 5, "U": 2, "I": 3, "s": 2, "d": 1, "p": 1}
    assert equation.sized
    assert equation.at_sizes().tensor("x").sizes() == (5,)
    assert equation.at_sizes().extent("n") == Affine.of("N")


def test_sizes_can_be_given_in_two_goes() -> None:
    once = with_sizes(parse("y[i] = x[i]"), {"x": 3})
    assert with_sizes(once, {"y": 3}) == once
    with pytest.raises(UsageError, match=r"axis 0 of y \(=4\) contradicts I \(=3\)"):
        with_sizes(once, {"y": 4})


def test_extents_take_the_names_of_a_layer() -> None:
    (equation,) = with_names(
        parse("y[f,i] = sum[c,u](x[c,i+u] * w[f,c,u])"),
        {"x": ("C", "H"), "w": ("F", "C", "K_h"), "i": "O_h"},
    )
    shapes = {t.name: [str(e) for e in t.shape] for t in (*equation.tensors, equation.output)}
    assert shapes == {"x": ["C", "H"], "w": ["F", "C", "K_h"], "y": ["F", "O_h"]}
    assert dict(equation.extents)["u"] == Affine.of("K_h")


@pytest.mark.parametrize("name", ["G*C_g", ("G", "C_g")])
def test_the_factors_of_a_composed_axis_take_names(name: object) -> None:
    (equation,) = with_names(parse(GROUPED), {"x": (name, "H")})
    assert str(equation.tensor("w").shape[1]) == "C_g"
    assert str(equation.tensor("x").shape[0]) == "G*C_g"


def test_inside_follows_a_new_name() -> None:
    text = "y[i] = sum[u](x[i+u-1]) / sum[u](inside(x[i+u-1]))"
    (equation,) = with_names(parse(text), {"x": ("H",)})
    brackets = [node for node in walk(equation.forward.rhs) if isinstance(node, Bracket)]
    position = Affine.of("i") + "u" - 1
    assert [b.conditions for b in brackets] == [(Within(position, Affine.of("H")),)]


def test_a_named_integer_can_become_an_extent() -> None:
    equations = with_names(parse("y[i] = sum[u](x[i + K - 1 - u] * w[u])"), {"u": "K"})
    (equation,) = with_sizes(equations, {"x": 5, "w": 3})
    assert dict(equation.values)["K"] == 3
    assert equation.at_sizes().output.sizes() == (3,)


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"z": ("A",)}, "names: z is neither a tensor nor an index"),
        ({"x": ("A",)}, "names: x has 2 axes, not 1 (A)"),
        ({"x": ("C", "w")}, "names: w cannot name an extent: it is a tensor"),
        ({"x": ("C", "u")}, "names: u cannot name an extent: it is an index"),
        ({"x": ("U", "H")}, "names: U cannot name an extent: it is another extent already"),
        ({"x": ("C", "H W")}, "names: H W cannot name an extent: it is not a name: a letter, "),
        ({"x": ("C", "N")}, "names: N cannot name an extent: it is a name that generated code"),
        ({"x": ("A*B", "H")}, "names: x has an extent C, which A*B cannot name"),
        ({"x": ("A", "H"), "c": "B"}, "names: c calls an extent B that is A"),
    ],
)
def test_a_wrong_name_is_refused(axes: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError) as error:
        with_names(parse("y[i] = sum[c,u](x[c,i+u] * w[c,u])"), axes)
    assert str(error.value).startswith(expected)


def test_carets_find_the_read_that_is_meant() -> None:
    text = "y[i] = x[i] + sum[u](x[i+u+1]*inside(x[i+u]))"
    with pytest.raises(EquationError) as error:
        sizes(text, {"x": 4, "u": 2}, outside={"x": "error"})
    assert error.value.text[error.value.column :][: error.value.width] == "x[i+u+1]"
