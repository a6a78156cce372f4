"""The TeX printer: what stands side by side, what is broken, what paper leaves out."""

from __future__ import annotations

from derive.documents import (
    Beside,
    Display,
    Document,
    Explorer,
    Heading,
    Listing,
    Numeral,
    Operator,
    Paragraph,
    Row,
    Steps,
    Symbol,
    Table,
)
from derive.render.layout.lines import LINE, extent
from derive.render.tex.page import block, tex
from derive.scenes import Scene


def sum_of(count: int) -> Display:
    """``y = x + x + …``, breakable at every sign."""
    pieces = [Row((Operator("=" if k == 0 else "+"), Symbol("x"))) for k in range(count)]
    return Display(((Symbol("y"), tuple(pieces)),))


def test_a_pair_that_fits_stands_in_one_line_and_any_other_one_below_the_other():
    narrow, wide = sum_of(3), sum_of(14)
    assert 2 * extent(wide) > LINE > 2 * extent(narrow)
    assert block(Beside(narrow, narrow)).count("\\begin{minipage}") == 2
    stacked = block(Beside(wide, wide))
    assert "minipage" not in stacked
    assert stacked.count("\\begin{align*}") == 2


def test_a_long_sum_is_broken_at_its_signs():
    lines = block(sum_of(40)).count("\\\\\n")
    assert lines == 2
    assert "\\qquad {}+x" in block(sum_of(40))


def test_steps_are_numbered_from_one():
    steps = Steps(((Paragraph(("Why.",)), sum_of(2)), (Paragraph(("So.",)), sum_of(2))))
    text = block(steps)
    assert text.index("\\step{1}Why.") < text.index("\\step{2}So.")


def test_a_formula_over_code_stands_in_line_with_it():
    rows = sum_of(2).rows
    assert block(Display(rows, name="code")) == "\\compute{y=x+x}"
    assert "align*" in block(Display(sum_of(40).rows, name="code"))


def test_an_explorer_leaves_no_trace_on_paper():
    plain = Document("A", (Paragraph(("a",)),))
    assert tex(Document("A", (*plain.blocks, Explorer(Scene("{}"))))) == tex(plain)


def test_only_long_documents_have_a_table_of_contents():
    short = Document("A", (Heading(1, ("a",)),) * 5)
    assert "\\tableofcontents" not in tex(short)
    assert "\\tableofcontents" in tex(Document("A", short.blocks * 12))


def test_a_column_of_long_words_is_set_in_paragraphs_with_rows_apart():
    words = ("a word and " * 6,)
    text = block(Table((("what",), ("n",)), ((words, (Numeral("1"),)), (words, ("2",)))))
    assert "\\raggedright" in text
    assert text.count("\\addlinespace") == 1
    assert "\\addlinespace" not in block(Table((("a",),), ((("b",),), (("c",),))))


def test_thin_spaces_between_digits_are_those_of_tex():
    display = Display(((Symbol("n"), (Row((Operator("="), Numeral("16\u202f777\u202f215"))),)),))
    assert "16\\,777\\,215" in block(display)


def test_a_display_belongs_to_the_paragraph_in_front_of_it():
    text = tex(Document("A", (Paragraph(("Then",)), sum_of(2), Listing("a = 1"))))
    assert "Then\n\\begin{align*}" in text
