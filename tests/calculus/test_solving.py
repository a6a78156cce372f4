"""Deltas, ranges and sums: integer solving against counting, and nothing captured."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from by_hand import equation, read, shape
from hypothesis import given
from hypothesis import strategies as st

from derive.affine import Affine
from derive.calculus.conditions import always, bounds
from derive.calculus.deltas import apply, solvable, trivial
from derive.calculus.terms import Term, avoiding, fresh, starred, terms_of, total
from derive.equations import DATA, OUTPUT, Tensor
from derive.expressions import Bracket, Call, Divides, Equal, Number, Reduce, Within, free_names

OUT, TAP, ENTRY = Affine.of("i"), Affine.of("u"), Affine.of("a")


def summed(size=4):
    """y[i] = sum[u](x[i+u]): an equation whose indices i and u the deltas hold."""
    return equation(
        read("y", "n", "i"),
        Reduce("sum", ("u",), read("x", "n", OUT + "u")),
        [Tensor("x", DATA, shape(["H"]))],
        Tensor("y", OUTPUT, shape([size])),
        {"i": size, "u": 3},
        {},
    )


def holds(condition, values):
    """The condition at numbers, by its definition."""
    match condition:
        case Equal(left, right):
            return left.evaluate(values) == right.evaluate(values)
        case Divides(divisor, value):
            return (value.evaluate(values) / divisor.evaluate(values)).denominator == 1
        case Within(value, extent):
            return 0 <= value.evaluate(values) < extent.evaluate(values)
    raise TypeError(condition)


# -- solving ----------------------------------------------------------------------------------


@given(
    coefficient=st.integers(-4, 4).filter(bool),
    dilation=st.integers(-3, 3),
    shift=st.integers(-4, 4),
    size=st.integers(1, 5),
    swapped=st.booleans(),
)
def test_a_solved_delta_keeps_exactly_the_terms_that_counting_finds(
    coefficient, dilation, shift, size, swapped
):
    place = OUT * coefficient + TAP * dilation + shift
    condition = Equal(ENTRY, place) if swapped else Equal(place, ENTRY)
    term = Term(over=("i", "u"), factors=(read("g", "i"),), where=(condition,))
    solution = solvable(term, summed(size))
    assert solution is not None
    assert solution.index == "i"  # outputs first: taps are what textbooks sum over
    solved = apply(term, (solution,))
    assert solved.over == ("u",)
    for a, u in product(range(-12, 13), range(3)):
        counted = [i for i in range(size) if coefficient * i + dilation * u + shift == a]
        values = {"a": a, "u": u}
        if all(holds(c, values) for c in solved.where):
            (entry,) = solved.factors[0].axes[0]
            assert [entry.evaluate(values)] == counted
        else:
            assert counted == []


@pytest.mark.parametrize(
    ("place", "value", "divides"),
    [
        ("i + u", "a - u", None),
        ("i - u", "a + u", None),
        ("u - i", "u - a", None),
        ("2*i", "a/2", "2 | a"),
        ("s*i + d*u - p", "(a + p - d*u)/s", "s | a + p - d*u"),
        ("p - s*i", "(p - a)/s", "s | p - a"),
    ],
)
def test_a_delta_is_solved_as_one_writes_it(place, value, divides):
    names = {
        "i + u": OUT + "u",
        "i - u": OUT - "u",
        "u - i": TAP - "i",
        "2*i": OUT * 2,
        "s*i + d*u - p": Affine.of("s") * "i" + Affine.of("d") * "u" - "p",
        "p - s*i": Affine.of("p") - Affine.of("s") * "i",
    }
    term = Term(over=("i",), where=(Equal(names[place], ENTRY),))
    solution = solvable(term, summed())
    assert solution is not None
    assert str(solution.value) == value
    *division, within = solution.conditions
    assert within == Within(solution.value, Affine.of(4))
    assert [f"{c.divisor} | {c.value}" for c in division] == ([divides] if divides else [])


def test_deltas_between_single_names_collapse_at_once():
    term = Term(
        over=("i", "u"),
        factors=(read("g", "i"), read("w", "u")),
        where=(Equal(OUT, Affine.of("i'")), Equal(Affine.of("u'"), TAP)),
    )
    ranges = {"i'": Affine.of(4), "u'": Affine.of(7)}
    solutions = trivial(term, summed(), ranges)
    assert [(s.index, str(s.value)) for s in solutions] == [("i", "i'"), ("u", "u'")]
    # the ranges of i and i' are the same; u runs over 3 of the 7 values of u'
    assert solutions[0].conditions == ()
    assert solutions[1].conditions == (Within(Affine.of("u'"), Affine.of(3)),)
    assert apply(term, solutions).factors == (read("g", "i'"), read("w", "u'"))


def test_a_division_inside_a_division_becomes_one():
    half = ENTRY / 2
    term = Term(over=("i", "u"), where=(Divides(Affine.of(3), TAP), Equal(OUT * 2, ENTRY)))
    moved = apply(term, (solvable(term, summed()),))
    again = Term(over=("u",), where=(Divides(Affine.of(3), half),)).substitute({})
    assert Divides(Affine.of(3), TAP) in moved.where
    assert apply(again, ()).where == (Divides(Affine.of(6), ENTRY),)


# -- ranges -----------------------------------------------------------------------------------

AFFINES = st.builds(
    lambda a, b, c, over: (OUT * a + TAP * b + c) / over,
    st.integers(-3, 3),
    st.integers(-3, 3),
    st.integers(-6, 6),
    st.integers(1, 3),
)


@given(value=AFFINES, size=st.integers(1, 4), extent=st.integers(1, 9))
def test_a_condition_is_dropped_only_if_it_holds_everywhere(value, size, extent):
    extents = {"i": Affine.of(size), "u": Affine.of(3)}
    cases = [
        values
        for values in ({"i": i, "u": u} for i in range(size) for u in range(3))
        if value.evaluate(values).denominator == 1  # a fraction is read only where it divides
    ]
    condition = Within(value, Affine.of(extent))
    true = all(holds(condition, case) for case in cases)
    assert not always(condition, extents) or true
    if value.is_whole:
        assert always(condition, extents) == true


@given(value=AFFINES.filter(lambda v: v.is_whole), divisor=st.integers(1, 4))
def test_divisibility_is_dropped_only_if_it_holds_everywhere(value, divisor):
    condition = Divides(Affine.of(divisor), value)
    cases = [{"i": i, "u": u} for i in range(12) for u in range(12)]
    extents = {"i": Affine.of(12), "u": Affine.of(12)}
    assert always(condition, extents) == all(holds(condition, case) for case in cases)


@given(value=AFFINES)
def test_bounds_are_attained(value):
    extents = {"i": Affine.of(4), "u": Affine.of(3)}
    values = [value.evaluate({"i": i, "u": u}) for i in range(4) for u in range(3)]
    assert bounds(value, extents) == (min(values), max(values))


def test_nothing_is_known_about_names_without_numbers():
    extents = {"i": Affine.of("O"), "u": Affine.of(3)}
    assert always(Within(OUT, Affine.of("O")), extents)
    assert not always(Within(OUT + "u", Affine.of("H")), extents)
    assert not always(Divides(Affine.of("s"), ENTRY), extents)
    assert not always(Within(ENTRY, Affine.of(99)), extents)


# -- terms ------------------------------------------------------------------------------------

X, Y, D = read("x", "i"), read("z", "i"), Bracket((Equal(OUT, ENTRY),))


def extent(index):
    """OUT runs to 4, u to 3."""
    return Affine.of({"i": 4, "u": 3}[index])


def test_a_product_distributes_over_the_sums_that_hold_a_delta():
    terms = terms_of((X - Y) * (D * X + D), extent)
    assert [(t.factors, t.where) for t in terms] == [
        ((Call("sub", (X, Y)), X), D.conditions),
        ((Call("sub", (X, Y)),), D.conditions),
    ]


def test_signs_quotients_and_means_are_kept():
    terms = terms_of(D * X - D / Y, extent)
    assert [(t.coefficient, t.factors, t.divisors) for t in terms] == [
        (1, (X,), ()),
        (-1, (), (Y,)),
    ]
    (term,) = terms_of(Reduce("mean", ("i", "u"), D * X), extent)
    assert (term.over, term.divisors) == (("i", "u"), (Number(Fraction(12)),))


def test_a_number_is_a_coefficient_and_0_no_term():
    assert terms_of(Number(Fraction(0)), extent) == ()
    assert total(()) == Number(Fraction(0))
    assert terms_of(Number(Fraction(3)), extent) == (Term(coefficient=Fraction(3)),)


def test_sums_over_the_same_letter_are_kept_apart():
    one = Reduce("sum", ("u",), D * read("x", "u"))
    two = Reduce("sum", ("u",), D * read("z", "u"))
    (term,) = terms_of(one * two, extent)
    assert len(set(term.over)) == 2
    first, second = term.factors
    assert free_names(first) != free_names(second)
    assert {*free_names(first), *free_names(second)} == set(term.over)


def test_a_bound_letter_makes_room_for_what_is_put_in():
    inner = Reduce("sum", ("u",), read("x", OUT + "u"))
    moved = avoiding(inner, ("u",))
    assert moved == Reduce("sum", ("u*",), read("x", OUT + "u*"))
    term = Term(over=("i",), factors=(inner,)).substitute({"i": ENTRY - "u"})
    assert free_names(term.factors[0]) == ("a", "u")


def test_fresh_letters_are_fresh():
    assert fresh({"i"}) == "a"
    assert fresh({"i"}, {"a": 1}) == "b"
    assert fresh({"i", "a"}) == "q"
    assert fresh({"a", "q", "h"}) not in {"a", "q", "h"}
    assert starred("u", {"u", "u*"}) == "u**"
