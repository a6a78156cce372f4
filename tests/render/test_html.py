"""The page: one file that needs nothing, says what the document says, and lets nothing escape."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from examples import (
    CERTIFICATE,
    attention,
    batch_norm,
    conv,
    equation,
    named,
    softmax,
    strided,
    toy,
    transposed,
)
from islands import Node, displayed, read, within

from derive.documents import (
    Beside,
    Big,
    Cases,
    Display,
    Document,
    Explorer,
    Fenced,
    Fraction,
    Grid,
    Heading,
    Hued,
    Listing,
    Math,
    Numeral,
    Operator,
    Paragraph,
    Row,
    Scripts,
    Steps,
    Symbol,
    Table,
    Upright,
)
from derive.render.html.highlight import highlighted
from derive.render.html.page import html
from derive.render.html.pasting import pasted
from derive.render.hues import DARK, HUES
from derive.render.mathematics.letters import GREEK
from derive.render.notes.layer import equations, notes
from derive.render.templates import folder
from derive.scenes import Scene

SOURCE = "def forward(x):\n    # y\n    return x < 1\n"
DOCUMENTS = {
    "toy": lambda: notes(toy(), CERTIFICATE, SOURCE),
    "strided": lambda: notes(strided()),
    "pool": lambda: notes(named("max_pool", input=(5, 5), kernel=3, stride=2, padding=1)),
    "groups": lambda: notes(conv(input=(4, 4, 4), kernel=(2, 2), filters=4, groups=2)),
    "symbolic": lambda: notes(equation("y[i] = sum[u](x[s*i+u]*w[u])")),
    "softmax": lambda: notes(softmax()),
    "batch_norm": lambda: notes(batch_norm()),
    "attention": lambda: notes(attention()),
    "transposed": lambda: notes(transposed()),
    "kinked": lambda: notes(
        equation("y[i] = where(x[i] > 0, x[i], 0.01*x[i])", (("x", (3,)),)), CERTIFICATE
    ),
}


@cache
def document(name: str) -> Document:
    return DOCUMENTS[name]()


@cache
def page(name: str) -> str:
    return html(document(name))


EVERY = pytest.mark.parametrize("name", DOCUMENTS)


# -- the same formulas -------------------------------------------------------------------------
def told(math: Math) -> list[str]:
    """The tokens of a formula, from the document alone."""
    match math:
        case Symbol(name):
            return letters(name)
        case Operator(" "):
            return []
        case Numeral(text) | Operator(text) | Upright(text):
            return [text]
        case Row(items):
            return [token for item in items for token in told(item)]
        case Scripts(base, sub, sup):
            low = [] if sub is None else within("_", told(sub))
            return [*told(base), *low, *([] if sup is None else within("^", told(sup)))]
        case Fraction(top, bottom):
            return ["frac", *within("", told(top)), *within("", told(bottom))]
        case Big(text, under, body, over):
            low = within("_", separated(under, ";;")) if under else []
            high = within("^", told(over)) if over is not None else []
            return [text, *low, *high, *told(body)]
        case Fenced("√", body, _):
            return within("sqrt", told(body))
        case Fenced(left, body, right):
            return [*filter(None, (left, *told(body), right))]
        case Hued(_, body):
            return told(body)
        case Grid(rows, left, right):
            lines = [separated(row, ";") for row in rows]
            return [*filter(None, (left, *joined(lines, ";;"), right))]
        case Cases(rows):
            tests = [told(t) if isinstance(t, Upright) else ["if", *told(t)] for _, t in rows]
            lines = [[*told(v), ";", *t] for (v, _), t in zip(rows, tests, strict=True)]
            return ["{", *joined(lines, ";;")]
    raise TypeError(type(math).__name__)


def separated(parts: tuple[Math, ...], mark: str) -> list[str]:
    return joined([told(part) for part in parts], mark)


def joined(lines: list[list[str]], mark: str) -> list[str]:
    return [token for n, line in enumerate(lines) for token in [*([mark] * (n > 0)), *line]]


def letters(name: str) -> list[str]:
    """``O_h'`` is O, a prime, and h below."""
    bare = name.rstrip("'*")
    marks = name[len(bare) :]
    base, _, sub = bare.partition("_")
    if not sub and (digits := re.fullmatch(r"([A-Za-z]+)(\d\w*)", bare)):
        base, sub = digits.groups()
    out = [GREEK.get(base, base)]
    if "'" in marks:
        out.append("′" * marks.count("'"))
    out += within("_", [sub.replace("_", ",")]) if sub else []
    return out + (within("^", ["∗"]) if "*" in marks else [])


@EVERY
def test_every_displayed_line_is_on_the_page_once_and_in_order(name: str) -> None:
    rows = equations(document(name))
    expected = [[t for part in (left, *pieces) for t in told(part)] for left, pieces in rows]
    assert displayed(read(page(name))) == expected


@EVERY
def test_every_formula_and_drawing_is_well_formed(name: str) -> None:
    islands = re.findall(r"<math.*?</math>|<svg.*?</svg>", page(name), re.DOTALL)
    assert len(islands) > len(equations(document(name)))
    for island in islands:
        ElementTree.fromstring(island)


@EVERY
def test_the_page_names_no_address_and_no_id_twice(name: str) -> None:
    text = re.sub(r'"http://www\.w3\.org/(2000/svg|1998/Math/MathML)"', "", page(name))
    assert re.findall(r"https?:.*|//www.*|@import|url\(|\bfetch\(|XMLHttp|import\(", text) == []
    ids = Counter(node.attributes["id"] for node in read(text).walk() if "id" in node.attributes)
    assert [name for name, count in ids.items() if count > 1] == []


@EVERY
def test_every_link_on_the_page_has_its_target(name: str) -> None:
    root = read(page(name))
    ids = {node.attributes.get("id") for node in root.walk()}
    links = [node.attributes["href"] for node in root.all("a")]
    assert links
    assert [link for link in links if link[0] != "#" or link[1:] not in ids] == []


@EVERY
def test_every_display_can_be_pasted_as_tex(name: str) -> None:
    for box in read(page(name)).all("div", "display"):
        tex = box.attributes["data-tex"]
        assert tex.count("{") == tex.count("}")
        assert tex.count("\\left") - tex.count("\\leftarrow") == tex.count("\\right") - tex.count(
            "\\rightarrow"
        )
        assert "\\color" not in tex


def test_pasted_tex_is_one_line_or_aligned_lines() -> None:
    row = (Symbol("y"), (Row((Operator("="), Hued(1, Symbol("beta")))),))
    assert pasted(Display((row,))) == "y =\\beta"
    both = "\\begin{aligned}\ny &=\\beta \\\\\ny &=\\beta\n\\end{aligned}"
    assert pasted(Display((row, row))) == both


def test_the_same_document_gives_the_same_page() -> None:
    assert html(document("toy")) == page("toy")


# -- structure ---------------------------------------------------------------------------------
def test_contents_list_the_sections_and_headings_do_not_skip_a_level() -> None:
    root = read(page("toy"))
    (contents,) = root.all("nav", "contents")
    sections = [h for h in root.all("main")[0].all("h2") if "id" in h.attributes]
    assert [f"#{h.attributes['id']}" for h in sections] == [
        a.attributes["href"] for a in contents.all("a")
    ]
    assert "the-gradient-with-respect-to-x" in {h.attributes["id"] for h in sections}
    levels = [int(n.tag[1]) for n in root.walk() if re.fullmatch("h[1-6]", n.tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_link_to_a_section_is_called_by_its_name() -> None:
    made = html(Document("t", (Heading(1, ("A & B ", Symbol("x"))), Heading(2, ("Forward",)))))
    assert re.findall(r'class="anchor" href="#[^"]*" aria-label="([^"]*)"', made) == [
        "Link to: A &amp; B x",
        "Link to: Forward",
    ]


def test_a_chain_of_steps_is_a_list_whose_items_can_be_linked_to() -> None:
    (chain,) = (b for b in document("toy").blocks[:40] if isinstance(b, Steps) and _first(b) == "x")
    items = read(page("toy")).all("div", "steps")[0].all("li", "step")
    assert [i.attributes["id"] for i in items] == [
        f"step-dx-{k}" for k in range(1, len(chain.steps) + 1)
    ]
    assert not any("hidden" in item.attributes for item in items)


def _first(chain: Steps) -> str:
    return "x" if "x" in told(chain.steps[0][1].rows[0][0]) else ""


STEP = (Paragraph(("why",)), Display(((Symbol("y"), (Symbol("x"),)),)))


def test_steps_of_several_layers_are_told_apart_by_their_sections() -> None:
    blocks = (Heading(1, ("A: one",)), Steps((STEP,)), Heading(1, ("B",)), Steps((STEP,)))
    items = read(html(Document("t", blocks))).all("li", "step")
    assert [item.attributes["id"] for item in items] == ["step-a-one-y-1", "step-b-y-1"]


def test_what_belongs_together_stands_side_by_side() -> None:
    pair = read(html(Document("t", (Beside(STEP[1], STEP[1]),)))).all("div", "beside")
    assert [len(found.all("div", "display")) for found in pair] == [2]


def test_a_full_stop_stays_with_the_formula_before_it() -> None:
    chain = Row((Symbol("x"), *(Operator("="), Symbol("y")) * 2))
    (text,) = read(html(Document("t", (Paragraph((chain, "). Then", Symbol("z"), " ends")),)))).all(
        "p"
    )
    assert [kept.text for kept in text.all("span", "kept")] == ["=y)."]
    assert text.text == "x=y=y). Thenz ends"


def test_a_table_names_its_columns() -> None:
    (table,) = read(html(Document("t", (Table((("a",), ("b",)), ((("1",), ("2",)),)),)))).all(
        "table"
    )
    assert [(h.text, h.attributes["scope"]) for h in table.all("th")] == [
        ("a", "col"),
        ("b", "col"),
    ]


# -- words of a person -------------------------------------------------------------------------
NASTY = "</title><script>alert(1)</script>\"><img src=x onerror=alert(1)> & '{{ << % >>"


def test_words_of_a_person_stay_words() -> None:
    layer = replace(toy().layer, title=NASTY, command=NASTY)
    root = read(html(notes(replace(toy(), layer=layer))))
    assert root.all("title")[0].text == NASTY
    assert root.all("h1")[0].text == NASTY
    assert root.all("pre")[0].text == NASTY
    assert root.all("img") == []
    assert len(root.all("script")) == len(read(page("toy")).all("script"))


def test_words_in_every_kind_of_block_are_escaped() -> None:
    text = (NASTY, Upright(NASTY))
    blocks = (Heading(1, text), Paragraph(text), Table((text,), ((text,),)), Listing(NASTY))
    root = read(html(Document("t", (*blocks, Display(((Upright(NASTY), (Upright(NASTY),)),))))))
    assert root.all("img") == []
    assert root.all("p")[0].text.count("<script>") == 2


def test_a_scene_cannot_end_its_island() -> None:
    data = json.dumps({"a": "</script><script>alert(1)</script><!--<script>"})
    root = read(html(Document("t", (Explorer(Scene(data)),))))
    (island,) = (s for s in root.all("script") if s.attributes.get("type") == "application/json")
    assert json.loads(island.text) == json.loads(data)
    assert "<" not in island.text


def test_the_explorer_is_there_once_and_only_where_it_is_used() -> None:
    both = read(html(Document("t", (Explorer(Scene("{}")), Explorer(Scene("{}"))))))
    none = read(html(Document("t", ())))
    assert len(both.all("section", "explorer")) == 2
    assert len(programs(both)) == len(programs(none)) + 1


def programs(root: Node) -> list[Node]:
    return [s for s in root.all("script") if "type" not in s.attributes]


def test_the_page_forbids_itself_the_network_and_has_no_handlers_in_its_tags() -> None:
    root = read(page("toy"))
    (policy,) = (m for m in root.all("meta") if "http-equiv" in m.attributes)
    assert policy.attributes["content"].startswith("default-src 'none'; ")
    assert not [a for node in root.walk() for a in node.attributes if a.startswith("on")]
    assert root.all("html")[0].attributes["lang"] == "en"


# -- code --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "code",
    [
        "",
        "x = 1\n",
        'def f(x):\n    """Text\n    <more>."""\n    return x if x < 2 else "é"  # ∂ & so on\n',
        "class A:\n\n    pass",
        "this is (no python\n",
        "'open\n",
    ],
)
def test_code_is_coloured_and_stays_the_same_text(code: str) -> None:
    assert read(highlighted(code, "python")).text == code


def test_keywords_names_texts_numbers_and_comments_have_their_classes() -> None:
    root = read(highlighted("def f():\n    return 'a', 1  # b\n", "python"))
    assert [(s.attributes["class"], s.text) for s in root.all("span")] == [
        ("keyword", "def"),
        ("defined", "f"),
        ("keyword", "return"),
        ("text", "'a'"),
        ("number", "1"),
        ("comment", "# b"),
    ]


# -- colours -----------------------------------------------------------------------------------
def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def declared() -> list[dict[str, str]]:
    """The colours of the style sheet: light, dark."""
    css = (folder() / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    return [dict(re.findall(r"--(\w+): #([0-9a-f]{6});", block)) for block in blocks]


def test_hues_and_words_have_enough_contrast_on_light_and_dark_paper() -> None:
    assert contrast("000000", "ffffff") == pytest.approx(21)
    for colours, hues in zip(declared(), (HUES, DARK), strict=True):
        written = {name: c for name, c in colours.items() if name not in ("paper", "band", "line")}
        assert {"ink", "soft", "accent", "keyword", "comment", "number", "text"} <= set(written)
        for name, colour in [*written.items(), *((f"hue {h}", h) for h in hues)]:
            assert contrast(colour, colours["paper"]) >= 4.5, name
        for name in ("ink", "keyword", "comment", "number", "text", "soft"):
            assert contrast(colours[name], colours["band"]) >= 4.5, name


def test_the_page_has_every_hue_in_both_modes() -> None:
    assert len(set(DARK)) == len(DARK) == len(HUES)
    for number, pair in enumerate(zip(HUES, DARK, strict=True)):
        assert re.findall(rf"--tap-{number}: #(\w+);", page("toy")) == list(pair)
