"""Formulas as MathML Core: every node one element, nothing lost, spacing said where it matters."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from islands import read, tokens

from derive.documents import (
    Big,
    Cases,
    Fenced,
    Fraction,
    Grid,
    Hued,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
    Upright,
)
from derive.render.html.mathml import columns, element, in_line, piece

X, INDEX = Symbol("x"), Symbol("i")
PLUS, MINUS, EQUALS, TIMES = (Operator(c) for c in "+−=\u2062")
DERIVATIVE = Fraction(Row((Operator("∂"), Symbol("L"))), Row((Operator("∂"), X)))


@pytest.mark.parametrize(
    ("math", "expected"),
    [
        (Symbol("beta"), "β"),
        (Symbol("lambda_"), "λ"),
        (Symbol("dy"), "dy"),
        (Symbol("O_h"), "O _( h )"),
        (Symbol("w1"), "w _( 1 )"),
        (Symbol("c'"), "c ′"),
        (Symbol("w*"), "w ^( ∗ )"),
        (Symbol("K_h''"), "K ′′ _( h )"),
        (Scripts(X, Row((INDEX, PLUS, Numeral("1"))), Numeral("2")), "x _( i + 1 ) ^( 2 )"),
        (DERIVATIVE, "frac ( ∂ L ) ( ∂ x )"),
        (Big("∑", (INDEX, Row((INDEX, Operator("<"), Numeral("2")))), X), "∑ _( i ;; i < 2 ) x"),
        (Big("max", (INDEX,), X, Symbol("n")), "max _( i ) ^( n ) x"),
        (Fenced("⌊", X, "⌋"), "⌊ x ⌋"),
        (Fenced("√", Row((X, PLUS, INDEX)), ""), "sqrt( x + i )"),
        (Grid(((X, INDEX), (INDEX, X))), "[ x ; i ;; i ; x ]"),
        (Grid(((X,),), "(", ")"), "( x )"),
        (Hued(3, Grid(((X,),), "|", "|")), "| x |"),
        (Cases(((X, Row((X, Operator(">"), INDEX))), (INDEX, Upright("otherwise")))), None),
    ],
)
def test_a_formula_is_read_back_as_it_was(math: Math, expected: str | None) -> None:
    (made,) = read(element(math)).elements
    assert " ".join(tokens(made)) == (expected or "{ x ; if x > i ;; i ; otherwise")


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def test_a_derivative_has_a_slash_within_a_sentence() -> None:
    assert [e.text for e in parsed(in_line(DERIVATIVE)).iter("mo")] == ["/"]


def test_a_chain_of_equations_can_be_broken_in_front_of_its_relations() -> None:
    chain = in_line(Row((X, EQUALS, INDEX, EQUALS, X)))
    parts = [tokens(read(part)) for part in chain.split("<wbr>")]
    assert parts == [["x"], ["=", "i"], ["=", "x"]]
    assert "<wbr>" not in in_line(Row((X, EQUALS, INDEX)))


def test_a_sign_between_two_terms_is_binary_and_one_behind_a_relation_is_not() -> None:
    made = parsed(piece(Row((EQUALS, MINUS, X, MINUS, INDEX))))
    assert [e.get("form") for e in made.iter("mo")] == [None, "prefix", None]


def test_a_piece_that_goes_on_begins_with_a_binary_sign() -> None:
    signs = [parsed(piece(Row((PLUS, X)), first=first)).find("mo") for first in (True, False)]
    assert [sign is not None and sign.get("form") for sign in signs] == [None, "infix"]


def test_factors_stand_apart_but_a_number_stands_close() -> None:
    made = parsed(piece(Row((Numeral("2"), TIMES, X, TIMES, INDEX))))
    assert [e.get("rspace") for e in made.iter("mo")] == [None, "0.17em"]


def test_there_is_no_room_around_signs_in_subscripts() -> None:
    made = parsed(element(Scripts(X, Row((INDEX, PLUS, X)))))
    assert [(e.get("lspace"), e.get("rspace")) for e in made.iter("mo")] == [("0", "0")]


def test_brackets_grow_around_what_is_tall_and_only_there() -> None:
    tall, low = (parsed(element(Fenced("(", body, ")"))) for body in (DERIVATIVE, X))
    assert [e.get("stretchy") for e in tall.findall("mo")] == ["true", "true"]
    assert [e.get("stretchy") for e in low.findall("mo")] == ["false", "false"]


def test_hues_repeat_from_the_tenth_tap_on() -> None:
    kinds = [parsed(element(Hued(number, X))).get("class") for number in (0, 8, 9, 10)]
    assert kinds == ["hue-0", "hue-8", "hue-0", "hue-1"]


def test_every_line_in_columns_has_the_same_number_of_cells() -> None:
    rows = ((X, (Row((EQUALS, X)), Row((PLUS, INDEX)))), (Row(()), (Row(()),)))
    made = parsed(columns(rows))
    assert [len(line) for line in made.iter("mtr")] == [3, 3]


def test_letters_that_xml_knows_are_escaped() -> None:
    assert parsed(piece(Row((X, Operator("<"), Upright("<b>&"))))).findtext("mtext") == "<b>&"
