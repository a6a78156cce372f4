"""Typst shows the equations that LaTeX shows, and what a user wrote letter by letter."""

from __future__ import annotations

import json
from functools import cache
from itertools import chain

import pytest
import typst as engine
from examples import (
    attention,
    batch_norm,
    conv,
    equation,
    named,
    transposed,
)
from reading import merged, of_math, of_tex, of_typst

import derive
from derive.documents import (
    Beside,
    Cases,
    Cell,
    Display,
    Document,
    Edge,
    Explorer,
    Fenced,
    Figure,
    Fraction,
    Heading,
    Items,
    Label,
    Listing,
    Math,
    Numeral,
    Operator,
    Paragraph,
    Row,
    Scripts,
    Symbol,
    Table,
    Upright,
)
from derive.equations import Layer
from derive.graphs import Network
from derive.render.notes.layer import equations, notes
from derive.render.tex.page import tex
from derive.render.typst.page import typst
from derive.render.typst.words import string
from derive.scenes import Scene

DOCUMENTS = {
    "toy": lambda: whole(derive.conv(input=(3, 3), kernel=(2, 2))),
    "strided": lambda: whole(
        derive.conv(input=(2, 5, 6), kernel=(3, 3), filters=2, stride=(2, 1), padding=1, bias=True)
    ),
    "max_pool": lambda: whole(derive.max_pool(input=(5, 5), kernel=3, stride=2)),
    "softmax": lambda: whole(derive.softmax(input=(4,))),
    "network": lambda: whole(
        derive.network("conv 2x2 > relu > flatten > dense 1 > mse", input=(3, 3))
    ),
    "flipped": lambda: notes(conv(input=(3, 3), kernel=(2, 2), flip=True)),
    "groups": lambda: notes(conv(input=(4, 4, 4), kernel=(2, 2), filters=4, groups=2)),
    "large": lambda: notes(conv(input=(3, 9, 9), kernel=(3, 3), filters=4, padding=1)),
    "symbolic": lambda: notes(equation("y[i] = sum[u](x[s*i+u]*w[u])")),
    "avg_pool": lambda: notes(named("avg_pool", input=(4, 4), kernel=2)),
    "batch_norm": lambda: notes(batch_norm()),
    "attention": lambda: notes(attention()),
    "transposed": lambda: notes(transposed()),
    "gelu": lambda: notes(named("gelu", input=(3,))),
    "kinked": lambda: notes(equation("y[i] = where(x[i] > 0, x[i], 0.01*x[i])", (("x", (3,)),))),
}
EVERY = pytest.mark.parametrize("name", DOCUMENTS)


@cache
def document(name: str) -> Document:
    return DOCUMENTS[name]()


def whole(layer: Layer | Network) -> Document:
    """The notes with kernel, worked example and certificate, as they are written."""
    made = derive.derive(layer)
    return made.arrows.document(made.made)


def warnings(source: str) -> list[str]:
    """What Typst has to say about a source that it sets."""
    pages, said = engine.compile_with_warnings(source.encode(), ignore_system_fonts=True)
    assert pages.startswith(b"%PDF")
    return [str(one) for one in said]


@EVERY
def test_latex_and_typst_display_the_same_lines(name: str) -> None:
    ours, theirs = of_typst(typst(document(name))), of_tex(tex(document(name)))
    assert ours == theirs
    assert len(ours) > 3


@EVERY
def test_typst_displays_every_equation_of_the_document(name: str) -> None:
    rows = equations(document(name))
    wanted = [merged(of_math(part)) for left, pieces in rows for part in (left, *pieces)]
    shown = of_typst(typst(document(name)))
    assert list(chain(*shown)) == list(chain(*wanted))


@EVERY
def test_typst_sets_the_notes_without_a_warning(name: str) -> None:
    assert warnings(typst(document(name))) == []


# -- what a user wrote ---------------------------------------------------------------------------
USER = r"""#import "@preview/x:1.0.0": * $x$ \ `a` ``` */ // <b> @c ~ -- 'q' = _e_ *f* [g] {h}"""


def words(content: object) -> str:
    """The letters of what Typst's query tells of a piece of content."""
    match content:
        case {"func": "space"}:
            return " "
        case {"func": "smartquote", "double": double}:
            return '"' if double else "'"
        case {"text": str(text)}:
            return text
        case {"children": list(parts)}:
            return "".join(map(words, parts))
        case {"body": body} | {"child": body}:
            return words(body)
    raise AssertionError(f"{content} is no text")


def queried(source: str, selector: str) -> list[dict[str, object]]:
    return json.loads(engine.query(source.encode(), selector, ignore_system_fonts=True))


@pytest.mark.parametrize("text", [USER, USER[::-1], "= a", "- a", "+ a", "1. a", "/ a: b"])
def test_words_appear_letter_by_letter(text: str) -> None:
    source = typst(Document(text, (Heading(1, (text,)), Items(((text,),)), Paragraph((text,)))))
    assert warnings(source) == []
    assert [words(h["body"]) for h in queried(source, "heading")] == [text.replace("'", "’")]
    assert words(queried(source, "list")[0]["children"][0]["body"]) == text.replace("'", "’")
    assert f"title: {string(text)}" in source


def test_a_listing_appears_letter_by_letter() -> None:
    code = f'x = """{USER}"""\n```\n\\u{{41}} \\n\n    end'
    source = typst(Document("t", (Listing(code), Listing(USER, "sh"))))
    assert warnings(source) == []
    assert [raw["text"] for raw in queried(source, "raw")] == [code, USER]


def test_what_no_font_can_show_appears_as_its_code_point() -> None:
    source = typst(Document("t", (Heading(1, ("a\x00b漢\u202e",)),)))
    assert words(queried(source, "heading")[0]["body"]) == "aU+0000bU+6F22U+202E"


def test_names_and_words_in_formulas_are_never_looked_up() -> None:
    names = ("sum", "pi", "eval", "x_hw", "K_h'", "alpha", "i*", "dy", "sqrt2")
    told = (*map(Symbol, names), *map(Upright, ('a"b', "\\", "#let", "$", "otherwise")))
    signs = tuple(Operator(c) for c in "+/,;:&_^()[]{}|'\"\\#$<>=-*~!")
    row = Row((*told, *signs, Numeral("1e-07"), Numeral("-0.5")))
    source = typst(Document("t", (Display(((row, (row,)),)), Paragraph((row,)))))
    assert warnings(source) == []
    assert list(chain(*of_typst(source))) == merged(of_math(row) * 2)


def test_empty_places_and_deep_structure_are_set() -> None:
    empty: Math = Row(())
    deep = Fraction(Cases(((empty, Symbol("x")), (Numeral("0"), Upright("otherwise")))), empty)
    row = Scripts(Fenced("√", Fenced("", deep, ""), ""), empty, Scripts(empty, Symbol("i")))
    block = Display(((empty, ()), (row, (empty, row))), columns=True)
    assert warnings(typst(Document("t", (block,)))) == []


# -- the other blocks ----------------------------------------------------------------------------
def test_two_displays_stand_side_by_side_only_where_they_fit() -> None:
    short = Display(((Symbol("y"), (Row((Operator("="), Symbol("x"))),)),))
    long = Display(((Symbol("y"), (Row(tuple(map(Symbol, "abcdefgh" * 8))),)),))
    assert "#beside(" in typst(Document("t", (Beside(short, short),)))
    stacked = typst(Document("t", (Beside(short, long),)))
    assert "#beside(2" not in stacked.split("#line")[1]
    assert len(of_typst(stacked)) == 2


def test_a_figure_is_drawn_with_its_words() -> None:
    shapes = (
        Cell(0, 0, Symbol("x"), hue=3),
        Cell(1, 0, Numeral("0"), kind="padding"),
        Cell(0, 0, kind="strong", width=2),
        Edge(((0.5, 1), (0.5, 2), (1, 2)), arrow=True, kind="dashed"),
        Label(1, 2, ("to ", Symbol("y")), "left"),
    )
    figure = Figure("f", 40, 3, shapes, (USER,), USER)
    source = typst(Document("t", (figure,)))
    assert warnings(source) == []
    drawn = queried(source, "figure")
    assert [one["alt"] for one in drawn] == [USER]
    assert words(drawn[0]["caption"]) == USER.replace("'", "’")
    assert source.count("  cell(") == 3
    assert of_typst(source) == []


def test_nothing_is_printed_of_what_needs_a_screen() -> None:
    assert typst(Document("t", (Explorer(Scene("{}")),))) == typst(Document("t", ()))


def test_a_wide_table_and_a_long_column_fit_the_page() -> None:
    wide = Table(tuple((f"c{k}",) for k in range(9)), (tuple(("12345",) for _ in range(9)),))
    long = Table((("a",), ("b",)), ((("word " * 30,), (Symbol("x"),)),))
    source = typst(Document("t", (wide, long)))
    assert "gap: 8pt" in source
    assert "columns: (260pt, auto,)" in source
    assert warnings(source) == []
