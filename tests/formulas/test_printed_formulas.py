"""The formulas printed in the notes, read back from print and compared with the kernel.

Nothing of the printer is used: the reader knows mathematics as it is typeset. So a sign, an
index, a range or a bracket that is printed wrong is found here, whatever the kernel does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from latex_of import read as latex
from layers_of import check_layer, world_of
from networks_of import chapters_of, check_network, off_by
from reader import Head, flat, split
from test_layers import LAYERS, geometries
from world import check_document, check_rows, displays, rows

import derive
from derive import assembly, pipeline
from derive.certificates import Certificate
from derive.documents import Big, Math, Operator, Row, Scripts, Symbol
from derive.explicit import terms
from derive.layers import spec
from derive.render.notes.layer import equations, notes
from derive.render.tex.mathematics import formula
from derive.specs import Style

DRAWN = settings(
    max_examples=2,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
ALL = Style(full=True)


@LAYERS
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_every_row_of_a_layers_notes_is_true_of_its_kernel(
    name: str, data: st.DataObject, seed: int
) -> None:
    layer = pipeline.layer(spec(name, data.draw(geometries(name))))
    assume(terms(layer.equation) <= 50)
    good, unread = check_layer(layer, style=ALL, seed=seed)
    assert not unread
    assert good >= 2


CONVOLUTIONS: dict[str, dict[str, object]] = {
    "plain": {"input": (3, 3), "kernel": (2, 2)},
    "asymmetric": {"input": (4, 3), "kernel": (2, 2), "padding": ((1, 0), (0, 2)), "stride": 2},
    "dilated": {"input": (5, 4), "kernel": (2, 2), "dilation": (2, 1), "padding": 1},
    "grouped": {"input": (4, 3, 3), "kernel": (2, 2), "filters": 2, "groups": 2, "bias": True},
    "flipped": {"input": (3, 4), "kernel": (2, 2), "stride": (1, 2), "flip": True},
    "line": {"input": (7,), "kernel": (3,), "stride": 2, "padding": 2, "dilation": 2},
    "volume": {"input": (2, 2, 3), "kernel": (2, 1, 2), "padding": (0, 0, 1)},
    "cropped": {"input": (6, 4), "kernel": (2, 2), "stride": 3},
}
POOLS: dict[str, dict[str, object]] = {
    "overlapping": {"input": (5, 5), "kernel": 3, "stride": 2, "padding": 1},
    "split": {"input": (4, 5), "kernel": 3, "stride": 1, "ties": "split"},
    "dilated": {"input": (2, 5), "kernel": (2,), "stride": 1, "dilation": 2, "ties": "split"},
}
OTHERS = {
    "transposed": ("conv_transpose", {"input": (2, 3), "kernel": 2, "stride": 3, "padding": 1}),
    "output padding": (
        "conv_transpose",
        {"input": (1, 2, 2), "kernel": 2, "filters": 2, "stride": 2, "output_padding": 1}
        | {"bias": True},
    ),
    "average": ("avg_pool", {"input": (4, 4), "kernel": 3, "stride": 2, "padding": 1}),
    "ceiling": ("avg_pool", {"input": (6,), "kernel": (3,), "stride": 2, "ceil_mode": True}),
    "index": ("cross_entropy", {"input": (3, 2), "reduction": "sum"}),
}
GEOMETRIES = {
    **{f"conv {name}": ("conv", given) for name, given in CONVOLUTIONS.items()},
    **{f"max pool {name}": ("max_pool", given) for name, given in POOLS.items()},
    **OTHERS,
}


FROM_ONE = ("conv asymmetric", "conv line", "max pool dilated", "output padding", "average")
"""Geometries whose entries are also counted from 1."""


@pytest.mark.parametrize(
    ("name", "base"), [*((name, 0) for name in GEOMETRIES), *((name, 1) for name in FROM_ONE)]
)
def test_every_row_is_true_for_geometries_that_go_wrong(name: str, base: int) -> None:
    kind, given_ = GEOMETRIES[name]
    layer = pipeline.layer(spec(kind, given_))
    good, unread = check_layer(layer, style=Style(full=True, index_base=base), seed=3)
    assert not unread
    assert good > 15


def test_few_rows_of_ordinary_notes_are_left_unread() -> None:
    layer = derive.conv(input=(2, 8, 8), kernel=(3, 3), filters=2, stride=2, padding=1)
    good, unread = check_layer(layer)
    assert unread.keys() == {"dots"}  # products are left out of long entries
    assert unread["dots"] <= good / 4


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_listed_equations_are_the_displayed_ones(name: str) -> None:
    kind, given_ = GEOMETRIES[name]
    document = notes(pipeline.derive(pipeline.layer(spec(kind, given_))))
    found = [row for display in displays(document.blocks) for row in display.rows]
    assert list(equations(document)) == [row for row in found if row != (Row(()), ())]


def test_the_matrix_display_of_a_layer_with_a_bias_is_true() -> None:
    _, unread = check_layer(derive.conv(input=(3, 3), kernel=(2, 2), bias=True))
    assert not unread


def test_the_matrix_display_keeps_minus_signs() -> None:
    shapes = {"x": (5,), "w": (3,), "b": ()}
    layer = derive.equation("y[i] = b - sum[u](x[i+u]*w[u])", shapes)
    _, unread = check_layer(layer, style=Style(full=True))
    assert not unread


@pytest.mark.parametrize("name", ["conv plain", "conv line", "max pool split", "average"])
def test_every_row_is_true_as_latex(name: str) -> None:
    kind, given_ = GEOMETRIES[name]
    derivation = pipeline.derive(pipeline.layer(spec(kind, given_)))
    document = notes(derivation)
    world = world_of(derivation, document, seed=5)

    def again(*parts: Math) -> Math:
        return latex(" ".join(map(formula, parts)), lambda name: name in world.sizes)

    printed = [rows(display) for display in displays(document.blocks)]
    typed = [[(again(a), (again(*b),)) for a, b in part] for part in printed]
    good, unread = check_rows(typed, world)
    assert unread == {}
    assert good == sum(map(len, printed))


def changed_sign(pieces: tuple[Math, ...]) -> tuple[Math, ...]:
    """The right side with the other sign in front of its first term."""
    first, *rest = flat(Row(pieces))
    more = rest[1:] if rest[0] == Operator("−") else [Operator("−"), *rest]
    return (Row((first, *map(unheaded, more))),)


def unheaded(item: object) -> Math:
    """A big operator in the tree again."""
    return Big(item.text, item.under, Row(())) if isinstance(item, Head) else item


def turned(math: Math) -> Math:
    """Every pair of subscripts in the other order."""
    if isinstance(math, Scripts) and isinstance(math.base, Symbol) and math.sub is not None:
        parts = split(flat(math.sub), ",")
        swapped = [item for part in reversed(parts) for item in (*part, Operator(","))]
        return Scripts(math.base, Row(tuple(swapped[:-1])), math.sup)
    return rebuilt(math, turned)


def wider(math: Math) -> Math:
    """Every range under a sum one longer, every condition on what divides gone."""
    if isinstance(math, Big):
        return replace(math, under=math.under[:1], body=wider(math.body))
    return rebuilt(math, wider)


def rebuilt(math: Math, change: Callable[[Math], Math]) -> Math:
    """The node with all its parts changed."""
    names = getattr(math, "__dataclass_fields__", ())
    return replace(math, **{n: _changed(getattr(math, n), change) for n in names})


def _changed(part: object, change: Callable[[Math], Math]) -> object:
    if isinstance(part, tuple):
        return tuple(_changed(one, change) for one in part)
    return change(part) if isinstance(part, Math) else part


MUTATIONS: dict[str, Callable[[tuple[Math, ...]], tuple[Math, ...]]] = {
    "sign": changed_sign,
    "subscripts": lambda pieces: tuple(map(turned, pieces)),
    "conditions": lambda pieces: tuple(map(wider, pieces)),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_row_that_is_printed_wrong_is_found(mutation: str) -> None:
    derivation = pipeline.derive(derive.conv(input=(5, 4), kernel=(2, 3), stride=2, padding=1))
    document = notes(derivation)
    world = world_of(derivation, document, seed=2)
    good, unread = check_document(document, world)
    found = [row for display in displays(document.blocks) for row in rows(display)]
    assert (good, unread) == (len(found), {})
    missed, tried = [], 0
    for left, pieces in found:
        wrong = MUTATIONS[mutation](pieces)
        if Row(tuple(map(unhued, wrong))) == Row(tuple(map(unhued, pieces))):
            continue
        tried += 1
        try:
            _, unread = check_rows([[(left, wrong)]], world)
        except Exception:  # any way to stumble is one to be found
            continue
        missed += [] if unread else [(left, wrong)]
    assert tried >= {"sign": 40, "subscripts": 30, "conditions": 8}[mutation]
    assert missed == []


def unhued(math: Math) -> Math:
    """The formula without colours and rows within rows."""
    return Row(tuple(map(unheaded, flat(math))))


NETWORKS = {
    "one convolution": ("conv 2x2 > flatten > dense 1 > half_squared_error", (3, 3)),
    "two": ("conv 2x2 > conv 2x2 > flatten > dense 1 > half_squared_error", (4, 4)),
    "max pool": ("conv 2x2 > max_pool 2x2 > flatten > dense 1 > half_squared_error", (5, 5)),
    "smooth": ("dense 3 > tanh > dense 2 > cross_entropy", (2,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_printed_layers_of_a_network_give_its_gradients(name: str) -> None:
    text, sizes = NETWORKS[name]
    made = assembled(derive.network(text, sizes))
    document, network = assembly.document(made), made.derivation.network
    random = np.random.default_rng(4)
    x = random.uniform(-2, 2, network.shape("x"))
    target = network.loss.equation.at_sizes().data[-1]
    t = np.array(1) if target.integer else random.uniform(-2, 2, target.sizes())
    kernel = assembly.module(made)
    params = {key: random.uniform(-1, 1, value.shape) for key, value in kernel.init(0).items()}
    (good, unread), found = check_network(document, made.derivation, x, t, params)
    _, wanted = kernel.gradients(x, t, params)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert np.abs(found[key].astype(float) - value).max() <= 1e-9 * np.abs(value).max()
    assert not unread
    assert good > 60


def assembled(network: object) -> assembly.Assembled:
    """The module of a network, unproved: here its notes are the judge."""
    derivation = assembly.derive(network)
    none = tuple((node.name, Certificate(())) for node, _ in derivation.pairs())
    return assembly.Assembled(derivation, assembly.kernel(derivation), none, Certificate(()))


def test_the_printed_training_step_adds_up() -> None:
    made = assembled(derive.network(*NETWORKS["one convolution"]))
    whole, _ = chapters_of(assembly.document(made), made.derivation)
    steps = [row for display in whole if display.name == "step" for row in rows(display)]
    assert len(steps) == len(made.derivation.network.parameters)
    assert max(off_by(*row) for row in steps) < 2e-3  # four digits are printed
