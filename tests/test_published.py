"""Numbers and formulas that others published, against every path through this project.

A path is one row of FORWARD or BACKWARD; every published fact is checked along each.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from by_hand import conv_equation
from reference import Pads, Sizes, conv_backward, conv_forward, output_sizes

import derive
from derive import explicit
from derive.calculus import differentiate
from derive.interpret import interpret, interpret_statement

PUBLISHED = json.loads((Path(__file__).parent / "data" / "published.json").read_text("utf-8"))


@dataclass(frozen=True)
class Setting:
    """A published convolution's parameters."""

    stride: Sizes
    padding: Pads
    dilation: Sizes
    groups: int

    @property
    def keywords(self):
        """As the reference functions take them."""
        return vars(self)


def setting(fact):
    attrs = fact["attrs"]
    begin, end = attrs.get("pad_begin", [0, 0]), attrs.get("pad_end", [0, 0])
    return Setting(
        tuple(attrs.get("stride", (1, 1))),
        tuple(zip(begin, end, strict=True)),
        tuple(attrs.get("dilation", (1, 1))),
        attrs.get("groups", 1),
    )


def facts(*ops):
    found = [fact for fact in PUBLISHED["numeric"] if fact["op"] in ops]
    return pytest.mark.parametrize("fact", found, ids=[fact["id"] for fact in found])


def numbers(values):
    """An array; integers where all entries are, so that results can be exact."""
    return np.array(values)


def assert_published(result, expected, tol):
    """Equal where the published numbers are exact, else to the digits that were printed."""
    if tol == 0:
        assert np.array_equal(result, expected)
    else:
        np.testing.assert_allclose(result, expected, rtol=0, atol=tol)


def equation_of(x, w, b, setting):
    return conv_equation(
        x.shape[1:], w.shape[2:], w.shape[0], bias=b is not None, **setting.keywords
    )


def arrays_of(x, w, b):
    return {"x": x, "w": w} | ({} if b is None else {"b": b})


# -- paths ----------------------------------------------------------------------------------


def forward_reference(x, w, b, setting):
    return conv_forward(x, w, b, **setting.keywords)


def forward_oracle(x, w, b, setting):
    return interpret(equation_of(x, w, b, setting), arrays_of(x, w, b))


@functools.cache
def kernel_of(x_shape, w_shape, bias, setting):
    """The generated kernel, made once for each geometry."""
    layer = derive.conv(
        input=x_shape, kernel=w_shape[2:], filters=w_shape[0], bias=bias, **setting.keywords
    )
    return derive.derive(layer).kernel()


def forward_kernel(x, w, b, setting):
    """What a user of the generated module calls."""
    kernel = kernel_of(x.shape[1:], w.shape, b is not None, setting)
    return kernel.forward(*arrays_of(x, w, b).values())


FORWARD = pytest.mark.parametrize("forward", [forward_reference, forward_oracle, forward_kernel])


def backward_reference(dy, x, w, b, setting):
    dx, dw, db = conv_backward(dy, x, w, **setting.keywords)
    return {"x": dx, "w": dw} | ({} if b is None else {"b": db})


def backward_gather(dy, x, w, b, setting):
    """The derived formula that every entry of a gradient is printed with."""
    equation = equation_of(x, w, b, setting)
    arrays = arrays_of(x, w, b)
    return {
        name: interpret_statement(
            differentiate(equation, name).gather, equation, arrays | {"dy": dy}
        )
        for name in arrays
    }


def backward_scatter(dy, x, w, b, setting):
    """The derived formula that sends every product to the entry it belongs to."""
    equation = equation_of(x, w, b, setting)
    arrays = arrays_of(x, w, b)
    return {
        name: sum(
            interpret_statement(statement, equation, arrays | {"dy": dy})
            for statement in differentiate(equation, name).scatters
        )
        for name in arrays
    }


def backward_kernel(dy, x, w, b, setting):
    """What a user of the generated module calls."""
    kernel = kernel_of(x.shape[1:], w.shape, b is not None, setting)
    gradients = kernel.backward(dy, *arrays_of(x, w, b).values())
    return {name: getattr(gradients, f"d{name}") for name in arrays_of(x, w, b)}


BACKWARD = pytest.mark.parametrize(
    "backward", [backward_reference, backward_gather, backward_scatter, backward_kernel]
)


# -- claims -------------------------------------------------------------------------------


@FORWARD
@facts("conv2d")
def test_every_path_gives_the_published_outputs(fact, forward):
    x, w = numbers(fact["inputs"]["x"]), numbers(fact["inputs"]["w"])
    b = numbers(fact["inputs"]["b"]) if "b" in fact["inputs"] else None
    result = forward(x, w, b, setting(fact))
    assert_published(result, fact["expected"]["y"], fact["tol"])


@FORWARD
@facts("conv2d (1x1 output)")
def test_every_path_gives_the_published_single_step(fact, forward):
    x, w, b = (numbers(fact["inputs"][name]) for name in "xwb")
    result = forward(x, w, b, setting(fact))
    assert result.shape == (1, 1, 1, 1)
    assert_published(result.item(), fact["expected"]["y"], fact["tol"])


@BACKWARD
@facts("conv2d_backprop_input")
def test_every_path_gives_the_published_input_gradients(fact, backward):
    w, dy = numbers(fact["inputs"]["w"]), numbers(fact["inputs"]["gy"])
    x = np.zeros(fact["attrs"]["input_shape_nchw"], w.dtype)
    result = backward(dy, x, w, None, setting(fact))["x"]
    assert_published(result, fact["expected"]["d_x"], fact["tol"])


@BACKWARD
@facts("conv2d_backprop_filter")
def test_every_path_gives_the_published_filter_gradients(fact, backward):
    x, dy = numbers(fact["inputs"]["x"]), numbers(fact["inputs"]["gy"])
    w = np.zeros(np.shape(fact["expected"]["d_w"]), x.dtype)
    result = backward(dy, x, w, None, setting(fact))["w"]
    assert_published(result, fact["expected"]["d_w"], fact["tol"])


@facts("conv2d forward + backward with gy = y")
@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (forward_reference, backward_reference),
        (forward_oracle, backward_gather),
        (forward_kernel, backward_kernel),
    ],
)
def test_every_path_gives_the_published_course_results(fact, forward, backward):
    x, w, b = (numbers(fact["inputs"][name]) for name in "xwb")
    expected, tol = fact["expected"], fact["tol"]
    y = forward(x, w, b, setting(fact))
    assert_published(y[3, :, 2, 1], expected["y_at_3_21"], tol)
    assert_published(y.mean(), expected["y_mean"], tol)
    gradients = backward(y, x, w, b, setting(fact))
    for name in "xwb":
        assert_published(gradients[name].mean(), expected[f"d_{name}_mean"], tol)


@pytest.mark.parametrize("fact", PUBLISHED["shapes"], ids=lambda fact: fact["name"])
def test_output_sizes_are_the_published_ones(fact):
    sizes = output_sizes((fact["i"],), (fact["k"],), fact["s"], fact["p"], fact["d"])
    assert sizes == (fact["o"],)


# -- formulas -----------------------------------------------------------------------------


def products(text):
    """``a*w + b*x`` as a set of products, each a set of names."""
    return {frozenset(product.split("*")) for product in text.split(" + ")}


def products_of(expression, letters):
    """A SymPy sum of products in the letters of the source."""
    return {
        frozenset(letters[symbol.name] for symbol in product.free_symbols)
        for product in expression.as_ordered_terms()
    }


def formulas(identifier):
    return next(fact for fact in PUBLISHED["symbolic"] if fact["id"] == identifier)


def counted_from_one(**tensors):
    """``x_0_1 -> X12``: the sources count from 1 and write no underscores."""
    return {
        f"{name}_{i}_{j}": f"{letter}{i + 1}{j + 1}"
        for name, letter in tensors.items()
        for i in range(4)
        for j in range(4)
    }


def test_the_forward_formula_is_goodfellows_figure_9_1():
    letters = {f"x_{k // 4}_{k % 4}": "abcdefghijkl"[k] for k in range(12)}
    letters |= {f"w_{k // 2}_{k % 2}": "wxyz"[k] for k in range(4)}
    found = explicit.forward(conv_equation((3, 4), (2, 2))).flat
    expected = formulas("goodfellow_fig_9_1")["lhs"]
    assert [products_of(entry, letters) for entry in found] == [products(t) for t in expected]


@pytest.mark.parametrize(("identifier", "tensor"), [("solai_dL_dF", "w"), ("solai_dL_dX", "x")])
def test_the_gradients_of_3x3_by_2x2_are_solais(identifier, tensor):
    letters = counted_from_one(x="X", w="F", g="g")
    found = explicit.gradient(conv_equation((3, 3), (2, 2)), tensor).flat
    expected = formulas(identifier)["lhs"]
    assert [products_of(entry, letters) for entry in found] == [products(t) for t in expected]


def test_the_gradients_at_stride_2_with_padding_are_inadas():
    letters = counted_from_one(x="a", w="w", g="g")
    equation = conv_equation((4, 4), (3, 3), stride=2, padding=1)
    dx, dw = explicit.gradient(equation, "x"), explicit.gradient(equation, "w")
    found = [dx[0, 0], dx[1, 1], dw[0, 0], dw[1, 1]]
    expected = formulas("inada_stride2_padded")["lhs"]
    assert [products_of(entry, letters) for entry in found] == [products(t) for t in expected]
