"""The look of kernel.py: what a formatter would leave alone and a linter has nothing to say on."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import FORMS, conv_layer, pool_layer, source_of
from reference import Geometry, geometries

import derive
from derive.programs import (
    Binary,
    Comment,
    For,
    Invoke,
    Item,
    Let,
    Literal,
    Method,
    Name,
    Return,
    Span,
    Tuple,
    Unary,
)
from derive.render.python import lines
from derive.render.spelling import text

LONG = ({"x": (4, 5, 6), "w": (7, 4), "b": (7,)}, "y[f,i,j] = tanh(sum[c](x[c,i,j]*w[f,c]) + b[f])")
TEXTS = {
    "y[i,j] = max[u,v](x[i+u-1,j+v-1])": {"x": (3, 4), "u": 3, "v": 3},
    "y[i] = tanh(sum[j](w[i,j]*x[j]) + b[i])": {"x": (4,), "w": (3, 4), "b": (3,)},
    "y[i] = exp(x[i]) / sum[j](exp(x[j]))": {"x": (4,)},
    "y[i] = erf(x[i]) + sqrt(x[i]**2+1)*0.5": {"x": (5,)},
    "y[i] = sum[u](x[2*i+u-1])/sum[u](inside(x[2*i+u-1]))": {"x": (7,), "u": 3},
    "y[i] = maximum(x[i], 0.1*x[i]) - minimum(x[i], w[i])": {"x": (5,), "w": (5,)},
    "y[i] = sum[j](where(j<=i, x[j]*w[i,j], 0))": {"x": (4,), "w": (4, 4)},
    "y[i,j] = x[i+j]*w[i-j+2]": {"x": (5,), "w": (5,), "y": (3, 3)},
    "y[(c,i,j)] = x[c,i,j]": {"x": (2, 3, 4)},
    "y = max[i](x[i])": {"x": (5,)},
    LONG[1]: LONG[0],
}
WIDE = [
    Geometry(16, 64, 4, (64, 64), (11, 11), (4, 4), ((2, 2), (2, 2)), (1, 1)),
    Geometry(2, 4, 2, (6, 6, 6), (3, 3, 3), (2, 2, 2), ((1, 1),) * 3, (1, 1, 1)),
]


def sources() -> dict[str, str]:
    """A name and a text for kernels of every sort."""
    layers = [derive.equation(text_, shapes) for text_, shapes in TEXTS.items()]
    layers += [derive.equation(t, s, ties="split") for t, s in TEXTS.items() if "max[" in t]
    layers += [conv_layer(geometry) for geometry in WIDE]
    layers += [
        pool_layer((64, 100, 100, 100), (3, 3, 3), stride=2, padding=1, ties=ties)
        for ties in ("first", "split")
    ]
    made = {source_of(layer, form) for layer in layers for form in FORMS}
    return {f"kernel_{number}.py": source for number, source in enumerate(sorted(made))}


def ruff(folder, *words: str) -> subprocess.CompletedProcess[str]:
    """Ruff with its own default rules and this project's line length."""
    (folder / "ruff.toml").write_text("line-length = 100\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "ruff", *words, "--no-cache", "."],
        capture_output=True,
        text=True,
        cwd=folder,
    )


def write(folder, made: dict[str, str]) -> None:
    for name, source in made.items():
        (folder / name).write_text(source, encoding="utf-8")


def test_a_formatter_changes_nothing_and_a_linter_finds_nothing(tmp_path):
    write(tmp_path, sources())
    formatted = ruff(tmp_path, "format", "--diff", "-q")
    assert (formatted.stdout, formatted.stderr, formatted.returncode) == ("", "", 0)
    linted = ruff(tmp_path, "check")
    assert (linted.stdout, linted.returncode) == ("All checks passed!\n", 0)


@settings(max_examples=1)
@given(drawn=st.lists(geometries(), min_size=25, max_size=25, unique=True))
def test_drawn_convolutions_are_formatted_too(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    made = {source_of(conv_layer(g), form) for g in drawn for form in FORMS}
    write(folder, {f"kernel_{number}.py": source for number, source in enumerate(sorted(made))})
    formatted = ruff(folder, "format", "--diff", "-q")
    assert (formatted.stdout, formatted.stderr, formatted.returncode) == ("", "", 0)


@pytest.mark.parametrize("text_", TEXTS)
def test_code_comments_and_docstrings_stay_within_the_line(text_):
    source = source_of(derive.equation(text_, TEXTS[text_]))
    start, end = source.index('EQUATIONS = """'), source.index("class Gradients")
    for line in (source[:start] + source[end:]).splitlines():
        assert len(line) <= 100, line


# -- the printer ------------------------------------------------------------------------------

A, B, C = (Name(id_) for id_ in "abc")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (Binary("*", Binary("+", A, B), C), "(a + b) * c"),
        (Binary("+", A, Binary("*", B, C)), "a + b * c"),
        (Binary("-", A, Binary("-", B, C)), "a - (b - c)"),
        (Binary("-", Binary("-", A, B), C), "a - b - c"),
        (Binary("/", A, Binary("*", B, C)), "a / (b * c)"),
        (Binary("**", A, Literal("2")), "a**2"),
        (Binary("**", Binary("+", A, B), Literal("2")), "(a + b) ** 2"),
        (Binary("**", Unary("-", A), Literal("2")), "(-a) ** 2"),
        (Unary("-", Binary("**", A, Literal("2"))), "-(a**2)"),
        (Unary("-", Binary("+", A, B)), "-(a + b)"),
        (Binary("&", Binary("==", A, B), Unary("~", C)), "(a == b) & ~c"),
        (Binary("==", Binary("==", A, B), C), "(a == b) == c"),
        (Item(Binary("+", A, B), (Span(), "None")), "(a + b)[:, None]"),
        (Item(A, (Span("u", "u + 5", "2"), Span("1", "4"), "0")), "a[u : u + 5 : 2, 1:4, 0]"),
        (Item(A, (Span("", "", "-1"),)), "a[::-1]"),
        (Method(Binary("*", A, B), "sum", (), (("axis", Literal("0")),)), "(a * b).sum(axis=0)"),
        (Method(A, "T", call=False), "a.T"),
        (Tuple((A,)), "(a,)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parentheses_stand_only_where_they_are_needed(array, expected):
    assert text(array) == expected
    assert ast.unparse(ast.parse(expected))  # it is Python


NAMES = st.sampled_from(["x", "weights", "window_of_the_input", "dy", "upstream_gradient_padded"])
LEAVES = NAMES.map(Name) | st.sampled_from([Literal("2"), Literal("0.5")])
ARRAYS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            Binary, st.sampled_from(["+", "-", "*", "/", "@", "&", "==", "**"]), inner, inner
        ),
        st.builds(lambda a: Unary("-", a), inner),
        st.builds(lambda a, b: Invoke("np.maximum", (a, b)), inner, inner),
        st.builds(lambda a: Method(a, "sum", (), (("axis", Literal("0")),)), inner),
        st.builds(lambda a: Item(a, (Span(), "None", Span("1", "4"))), inner),
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(value=ARRAYS, depth=st.integers(1, 4))
def test_breaking_a_line_changes_no_value(value, depth):
    body = lines((Let(Name("y"), value), Return(Name("y"))), lambda comment: [str(comment)], depth)
    whole = "\n".join(line.removeprefix("    " * depth) for line in body)
    assert ast.dump(ast.parse(whole).body[0]) == ast.dump(ast.parse(f"y = {text(value)}").body[0])


def test_statements_are_indented_by_their_loops():
    body = (
        Comment("the taps"),
        For("u", 3, (For("v", 2, (Let(A, B, "+="),)),)),
        Let(Tuple((A, B)), Tuple((B, A))),
        Return(Tuple((A, B))),
    )
    assert lines(body, lambda comment: [str(comment.text)]) == [
        "    # the taps",
        "    for u in range(3):",
        "        for v in range(2):",
        "            a += b",
        "    a, b = b, a",
        "    return a, b",
    ]
