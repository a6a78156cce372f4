"""What the equation language refuses: whole messages, hostile input, arbitrary text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.equations import Equation
from derive.errors import EquationError, UsageError
from derive.parse import parse

INTEGERS = "index expressions are sums of integers, indices and their integer multiples: s*i+d*u-p"
EXAMPLE = "an equation looks like y[i] = sum[u](x[i+u]*w[u])"

# text, what is wrong, what the carets stand under, what would be right
MESSAGES = [
    # indices
    (
        "y[i] = sum[c](x[c,i+u]*w[c,u]) + b",
        "index u stands on the right alone",
        (27, 1),
        "sum over it: sum[c,u](x[c,i+u]*w[c,u])",
    ),
    (
        "y = a*x[i]*w[i,j] + 1",
        "indices i and j stand on the right alone",
        (8, 1),
        "sum over them: sum[i,j](a*x[i]*w[i,j])",
    ),
    (
        "y[c] = exp(x[n,c])",
        "index n stands on the right alone",
        (13, 1),
        "a batch index stands on the left too, unless it is reduced: mean[n](x[n,c])",
    ),
    (
        "y[i] = sum[u](x[i+u]) * w[u]",
        "index u stands outside of the reducer that binds it",
        (26, 1),
        "u has values only inside the parentheses after [u]; move them, or add a reducer",
    ),
    (
        "y[i] = sum[u](x[i*u])",
        "i times u: index expressions are affine",
        (16, 3),
        "indices are multiplied by integers and named integers only, as in s*i + d*u - p",
    ),
    ("y[i] = x[i/2]", "an index expression has no division", (9, 3), INTEGERS),
    ("y[i] = x[i//2]", "an index expression has no division", (9, 4), INTEGERS),
    ("y[i] = x[0.5*i]", "0.5 is no integer", (9, 3), INTEGERS),
    ("y[i] = x[i**2]", "i**2 is no index expression", (9, 4), INTEGERS),
    (
        "y = x[t[i]]",
        "a tensor cannot stand in a subscript",
        (6, 4),
        "compare it with an index instead: sum[k](delta(k, t[i]) * x[k])",
    ),
    (
        "y[i] = sum[i](x[i])",
        "index i stands on the left and is reduced on the right",
        (11, 1),
        "choose another letter here",
    ),
    (
        "y[i] = sum[u](max[u](x[u]) * x[i])",
        "index u is bound already by a reducer around this one",
        (18, 1),
        "choose another letter here",
    ),
    (
        "y[i] = sum[u,v](x[i+u])",
        "sum binds v, but nothing inside uses it",
        (7, 8),
        "leave v out: sum[u](...)",
    ),
    (
        "h[j] = sum[k](x[j,k]); y[j] = h[j] * x[j,j+k]",
        "k is an index of another equation and has no range here",
        (43, 1),
        "sum over it: sum[k](...), or choose another name for the integer",
    ),
    # left sides
    (
        "y[i,i] = x[i]",
        "index i stands twice on the left",
        (4, 1),
        "each index names one axis of the output",
    ),
    (
        "y[2*i] = x[i]",
        "2*i stands on the left, where plain indices belong",
        (2, 3),
        "name every entry of the output by indices alone: y[i,j] or y[(c,i)]",
    ),
    ("y[i] += x[i]", "an equation has = and nothing before it", (0, 12), EXAMPLE),
    ("x[i]*w[i]", "this is no equation: it has no =", (0, 9), EXAMPLE),
    (
        "y[i] = x[i]; y[i] = 2*x[i]",
        "y is assigned twice",
        (13, 4),
        "give each output a name of its own",
    ),
    (
        "y[i] = h[i]; h[i] = x[i]",
        "h is read before it is assigned",
        (7, 4),
        "an equation reads tensors and earlier outputs only",
    ),
    (
        "h[i] = x[i]; y[i] = x[i]",
        "h is computed and never used",
        (0, 4),
        "the layer's output is the last one, y",
    ),
    ("y = 2", "no tensor is read here, so there is no gradient", (4, 1), EXAMPLE),
    # reducers and functions
    (
        "y = max(x[i], 0)",
        "max is not called like this",
        (4, 3),
        "of two values: maximum(x[i], 0); over an index: max[u](...)",
    ),
    (
        "y = sum(x[i])",
        "sum is not called like this",
        (4, 3),
        "name the index it runs over: sum[u](x[i])",
    ),
    ("y[i] = Sum[u](x[i+u])", "no reducer Sum", (7, 3), "did you mean sum[...](...)?"),
    ("y[i] = sigmod(x[i])", "no function sigmod", (7, 6), "did you mean sigmoid?"),
    ("y[i] = add(x[i], 1)", "no function add", (7, 3), "it is written a + b"),
    ("y[i] = exp(x[i], 2)", "exp takes 1 argument, not 2", (7, 12), "write exp(a)"),
    (
        "y[i] = np.exp(x[i])",
        "this cannot be called",
        (7, 6),
        "a product needs its *; functions are called by name alone, as exp(x[i])",
    ),
    (
        "y[i] = x[i] < 2",
        "a comparison stands only in the condition of where",
        (7, 8),
        "write where(x[i] < 2, 1, 0)",
    ),
    (
        "y[i] = where(0 < x[i] < 2, 1, 0)",
        "comparisons do not chain",
        (13, 12),
        "one comparison a condition: where(a < b, where(b < c, 1, 0), 0)",
    ),
    (
        "y[i] = delta(x[i], w[i])",
        "delta compares indices, or an index with a tensor",
        (7, 17),
        "for two tensors write where(x[i] == w[i], 1, 0)",
    ),
    (
        "y[i] = (x[i]**8)**9",
        "the exponents multiply to 72",
        (7, 12),
        "exponents go up to 64",
    ),
    # tensors and names
    (
        "y[i] = x[i] + x[i,i]",
        "x is read with 2 indices here and with 1 before",
        (14, 6),
        "a tensor has the same number of axes everywhere",
    ),
    (
        "y[i] = beta*x[i] + dbeta",
        "dbeta is the name of the gradient of beta",
        (19, 5),
        "choose another name",
    ),
    ("y[i] = input[i]", "input is a builtin of Python", (7, 5), "choose another name"),
    (
        "y[i] = N*x[i]",
        "N is a name that generated code uses itself",
        (7, 1),
        "choose another name",
    ),
    ("y[i] = ef[i]", "the gradient of ef, def, is a word of Python", (7, 2), "choose another name"),
    (
        "y[i] = sum[x](x[i+x])",
        "x is a tensor and cannot be an index too",
        (11, 1),
        "choose another letter for the index",
    ),
    ("lambda[i] = x[i]", "lambda is a word of Python and can name nothing", (0, 6), "write lam"),
    # batch
    (
        "y[n,c] = x[n,c]*w[n]",
        "w is a parameter and is read at the batch index n",
        (16, 4),
        "parameters carry no batch; declare it as data: --data ...,w",
    ),
    (
        "y[c,n] = x[n,c]",
        "n is the batch index and stands only as a first subscript",
        (0, 6),
        "samples are independent; call it something else than n if it is no batch",
    ),
    (
        "h[n,i] = x[n,i]; y[n,i] = h[i,i]*x[n,i]",
        "h carries the batch and is read without its index n",
        (26, 6),
        "write n as its first subscript: h[n,...]",
    ),
    # text
    ("y[i] = (x[i]", "this ( is never closed", (7, 1), "write its ) where it ends"),
    ("y[i] = x[i])", "this ) closes nothing", (11, 1), "leave it out"),
    ("y[i] = (x[i]]", "this ] cannot close the ( in column 8", (12, 1), "write ) first"),
    ("y[i] = x[]", "there is nothing in the brackets", (9, 1), "a tensor without axes has none"),
    (
        "y[i] = 2x[i]",
        "2x is no number",
        (7, 2),
        "numbers are decimal, and a product needs its *",
    ),
    (
        "y[i] = 1000001*x[i]",
        "1000001 is too large a number",
        (7, 7),
        "numbers go up to 1000000; make it a tensor without axes instead",
    ),
    ("y[i] = x[i]^2", "'^' is no character of an equation", (11, 1), "powers are written **"),
    ("y[i] = x[i] − 1", "'−' is no character of an equation", (12, 1), "write - for minus"),
    ("y[i] x[i]", "this cannot be read", (5, 1), EXAMPLE),
]


@pytest.mark.parametrize(("text", "what", "place", "remedy"), MESSAGES)
def test_a_message_says_what_where_and_what_would_be_right(
    text: str, what: str, place: tuple[int, int], remedy: str
) -> None:
    with pytest.raises(EquationError) as error:
        parse(text)
    column, width = place
    carets = " " * column + "^" * width
    assert str(error.value) == f"{what}\n    {text}\n    {carets}\n    {remedy}"


def test_carets_stand_in_the_line_that_is_wrong() -> None:
    with pytest.raises(EquationError) as error:
        parse("# softmax\n  e[i] = exp(x[i])  # fine\n  y[i] = e[i]/sum[i](e[i])\n")
    assert error.value.text == "y[i] = e[i]/sum[i](e[i])"
    assert (error.value.column, error.value.width) == (16, 1)


# -- hostile input ----------------------------------------------------------------------------
HOSTILE = [
    "__import__('os').system('true')",
    "y = __import__",
    "y = x.__class__",
    "y = x[().__class__]",
    "y = exec(x)",
    "y = eval(x)",
    "y[i] = (lambda: x[i])()",
    "y = [z for z in x]",
    "y = x[i]; import os",
    "y = f'{x}'",
    "y = x if x else x",
    "y = x := 1",
    "y: int = x",
    "y = *x,",
    "y, z = x, x",
    "y = x\\\n",
    "y = x\x00",
    "y = x\x0c + 1",
    "y = x\x0c",
    "y = x\u2028z = x",
    "ｙ[i] = x[i]",
    "y[i] = ｘ[i]",
    "y[i] = x[٣]",
    "y[i] = 1_000*x[i]",
    "y[i] = 1j*x[i]",
    "y[i] = 0b1*x[i]",
    "y[i] = 007*x[i]",
    "y[i] = 1e999999999*x[i]",
    "y[i] = 1e-999999999*x[i]",
    "y[i] = x[i]**1000",
    "y[i] = 9**9**9**9*x[i]",
    "y[i] = ((x[i]**64)**64)**64",
    "y[i] = x[i]/(1-1)",
    "y[i] = x[i]*0**-1",
    "y[" + "i" * 65 + "] = x[i]",
    "y[_i] = x[_i]",
    "y[i] = True*x[i]",
    "y[i] = x[None]",
    "y[i] = x[...]",
    "y[i] = x[i,]**" + "9" * 5000,
    "y = " + "9" * 4000 + "*x",
    "y = " + "+".join(["x"] * 1500),
    "y = " + "-" * 3000 + "x",
    "y = " + "(" * 1000 + "x" + ")" * 1000,
    "y = " + "x[" * 150 + "i" + "]" * 150,
    "y = " + "exp(" * 101 + "x" + ")" * 101,
    "y = x + " * 200 + "x",
    "y = x\n" * 3000,
    "",
    "\n\n",
    "# nothing",
    ";",
    "y = ",
    "=",
    "=x",
    "y == x",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_with_a_message(text: str) -> None:
    with pytest.raises(EquationError) as error:
        parse(text)
    assert error.value.what
    if error.value.column is not None:
        assert 0 <= error.value.column <= len(error.value.text)


@pytest.mark.parametrize("text", [None, 3, b"y = x", ["y = x"]])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(EquationError, match="an equation is text, not"):
        parse(text)


def test_limits_are_the_last_that_pass() -> None:
    deep = "y = " + "exp(" * 90 + "x" + ")" * 90
    assert isinstance(parse(deep)[0], Equation)
    assert isinstance(parse("y = x**64")[0], Equation)
    assert isinstance(parse("y = x*1000000")[0], Equation)
    long = "y = x" + " " * (4096 - 5)
    assert isinstance(parse(long)[0], Equation)
    with pytest.raises(EquationError, match="has 4097 characters, at most 4096 are read"):
        parse(long + " ")


# -- arbitrary text ---------------------------------------------------------------------------
WORDS = (
    "x y w b t n i j u c s p h ( ) [ ] [i] [i,j] [(i,j)] x[i+u] w[u] x[n,i] t[n] sum max mean[n] "
    "sum[u]( max[i]( sum[i,u]( + - * ** / // , = == < ; . 1 2 0 0.5 1e3 64 delta( where( inside( "
    "exp( pi 2* lambda np # ' : % != y[i]= y= dx"
)
TOKENS = WORDS.split()
VALID = (
    "y[n,f,i,j] = sum[c,u,v](x[n,c, s*i + d*u - p, s*j + d*v - p] * w[f,c,u,v]) + b[f]",
    "m = max[k](x[k]); e[i] = exp(x[i]-m)\ny[i] = e[i]/sum[j](e[j])",
    "y = mean[n](sum[c](delta(c,t[n])*x[n,c]))",
    "y[(g,f),i] = sum[c,u](x[(g,c),i+u]*w[(g,f),c,u])",
    "y[c,i] = sum[u](x[c,s*i+u-p])/sum[u](inside(x[c,s*i+u-p]))",
    "y[i] = where(i<=2, x[i]**2, maximum(x[i], 0))",
)


def reads_or_refuses(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert all(isinstance(equation, Equation) for equation in parse(text))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    reads_or_refuses(text)


@settings(max_examples=400)
@given(st.lists(st.sampled_from([*TOKENS, "\n"]), max_size=20))
def test_any_row_of_words_is_read_or_refused(words: list[str]) -> None:
    reads_or_refuses(" ".join(words))


@settings(max_examples=400)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 4), st.sampled_from(TOKENS)), max_size=3),
)
def test_any_damage_to_an_equation_is_read_or_refused(
    text: str, cuts: list[tuple[int, int, str]]
) -> None:
    for start, length, put in cuts:
        text = text[:start] + put + text[start + length :]
    reads_or_refuses(text)
