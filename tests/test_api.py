"""``import derive``: what a notebook or a script does with it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy

import derive
from derive.errors import EquationError, UsageError


@pytest.fixture(scope="module")
def toy() -> Any:
    return derive.derive(derive.conv(input=(3, 3), kernel=(2, 2)))


def test_explicit_entries_are_those_one_writes_by_hand(toy: Any) -> None:
    g, x, w = (lambda i, j, name=name: sympy.Symbol(f"{name}_{i}_{j}", real=True) for name in "gxw")
    # dL/dw[0,1]: the output g[i,j] met x[i,j+1] there
    by_hand = g(0, 0) * x(0, 1) + g(0, 1) * x(0, 2) + g(1, 0) * x(1, 1) + g(1, 1) * x(1, 2)
    assert toy.explicit("w").shape == (2, 2)
    assert toy.explicit("w")[0, 1] == by_hand
    # dL/dx[1,1]: the kernel, rotated by 180 degrees, on all of g
    rotated = sum(g(i, j) * w(1 - i, 1 - j) for i in range(2) for j in range(2))
    assert toy.explicit("x")[1, 1] == rotated
    assert toy.explicit("y")[0, 0] == sum(x(i, j) * w(i, j) for i in range(2) for j in range(2))


def test_the_kernel_is_compiled_in_memory(toy: Any) -> None:
    module = toy.kernel()
    y = module.forward(np.arange(9).reshape(3, 3), np.array([[1, 2], [3, 4]]))
    assert y.tolist() == [[27, 37], [57, 67]]
    assert module.SHAPES == {"x": (3, 3), "w": (2, 2), "y": (2, 2)}


def test_write_does_what_the_command_line_does(toy: Any, tmp_path: Path) -> None:
    folder = toy.write(tmp_path)
    assert folder == tmp_path / "conv2d_3x3_k2x2"
    assert (folder / "kernel.py").read_text(encoding="utf-8") == toy.numpy()
    assert (folder / "notes.tex").read_text(encoding="utf-8") == toy.latex()


def test_steps_form_a_chain_from_the_chain_rule(toy: Any) -> None:
    steps = toy.gradient("x").steps
    assert steps[0].rule == "chain_rule"
    assert all(a.after == b.before for a, b in pairwise(steps))
    assert toy.gradient("x").gather == steps[-1].after


def test_a_notebook_gets_formulas(toy: Any) -> None:
    shown = toy._repr_latex_()
    assert shown.startswith("$$")
    assert shown.endswith("$$")
    assert r"\frac{\partial L}{\partial w" in shown
    assert "∂L/∂w" in str(toy)


def test_an_equation_and_the_layer_of_the_same_text_are_the_same() -> None:
    layer = derive.conv(input=(5,), kernel=(3,))
    typed = derive.equation("y[i] = sum[u](x[i + u] * w[u])", shapes={"x": (5,), "w": (3,)})
    one, two = derive.derive(layer).kernel(), derive.derive(typed).kernel()
    assert one.EQUATIONS == two.EQUATIONS
    assert one.SHAPES == two.SHAPES


def test_symbolic_sizes_have_no_kernel_and_say_so() -> None:
    d = derive.derive(derive.equation("y[i] = sum[u](x[s*i+u]*w[u])"))
    assert d.numpy() == ""
    with pytest.raises(UsageError, match="give the shapes"):
        d.kernel()


def test_mistakes_are_errors_with_the_whole_message() -> None:
    with pytest.raises(UsageError, match="kernl is no parameter of conv; did you mean kernel"):
        derive.conv(input=(3, 3), kernl=(2, 2))
    with pytest.raises(EquationError, match=r"\^"):
        derive.equation("y[i] = x[i")
    with pytest.raises(UsageError, match="q"):
        derive.derive(derive.conv(input=3, kernel=2), wrt=["q"])
    with pytest.raises(AttributeError, match="no attribute 'convv'"):
        _ = derive.convv


def test_large_layers_are_not_written_out() -> None:
    d = derive.derive(derive.conv(input=(64, 224, 224), kernel=7, filters=64))
    with pytest.raises(UsageError, match="too many to write out"):
        d.explicit("w")


def test_functions_are_not_shadowed_by_modules() -> None:
    import derive.layers.conv
    import derive.pipeline

    assert callable(derive.conv)
    assert callable(derive.derive)
    assert callable(derive.equation)
    assert "conv" in dir(derive)


def test_explicit_fixes_the_winners_at_the_numbers_given() -> None:
    d = derive.derive(derive.max_pool(input=(2, 3), kernel=(2, 2), stride=1))
    entries = d.explicit("x", at={"x": [[1, 5, 2], [3, 4, 0]]})
    g = sympy.symbols("g_0_0 g_0_1", real=True)
    assert entries.tolist() == [[0, g[0] + g[1], 0], [0, 0, 0]]


def test_explicit_says_which_numbers_are_missing() -> None:
    d = derive.derive(derive.max_pool(input=(2, 3), kernel=(2, 2), stride=1))
    with pytest.raises(UsageError) as found:
        d.explicit("x", at={"x": [1, 2]})
    assert str(found.value) == "at: x has shape (2,); numbers of shape (2, 3) are needed"


# -- in a notebook -----------------------------------------------------------------------------
def test_everything_that_is_returned_shows_its_formulas(toy: Any) -> None:
    net = derive.network("dense 2 > relu", input=3)
    whole = derive.derive(net)
    for shown in (toy.layer, toy.gradient("x"), toy, net, whole, whole.of("dense1")):
        assert shown._repr_latex_().startswith("$$\\begin{aligned}\n")
        fragment = shown._repr_html_()
        assert fragment.count("<div") == fragment.count("</div>")
        assert "<math" in fragment
        assert "<html" not in fragment
        ElementTree.fromstring(fragment.replace("&nbsp;", " "))


def test_a_gradient_shows_both_of_its_ways(toy: Any) -> None:
    gather, scatter = toy.gradient("x")._repr_latex_().splitlines()[1:3]
    assert gather.startswith(r"\frac{\partial L}{\partial x_{a,b}} &=\sum_")
    assert scatter == r"\frac{\partial L}{\partial x_{i+u,j+v}} &\mathrel{+}=g_{i,j}\,w_{u,v}"


def test_showing_a_derivation_proves_nothing_but_says_what_was() -> None:
    d = derive.derive(derive.conv(input=4, kernel=2))
    assert "Nothing was proved yet" in d._repr_html_()
    d.kernel()
    assert "Proved: symbolic, integer, agreement, strategies." in d._repr_html_()


def test_what_a_person_typed_is_words_in_a_fragment() -> None:
    layer = derive.equation("y[i] = x[i]", shapes={"x": (2,)})
    shown = type(layer)(**{**vars(layer), "title": "<script>"})._repr_html_()
    assert "<b>&lt;script&gt;</b>" in shown
