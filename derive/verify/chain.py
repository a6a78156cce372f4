"""The chain claim: a network's gradients against the derivative of all its layers in a row.

    Σ ∂L/∂p · v = Im L(p + i·h·v)/h    for a random direction v of all parameters and of x

The right side comes from the oracle, which reads one layer's equations after the other on
complex numbers and knows no gradient. Where that would take too long, the network's own forward
pass, whose layers are compared with the oracle one by one, gives central differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from ..certificates import Claim
from ..classes import classes
from ..errors import Disproved
from ..graphs import INPUT, TARGET, NetworkDerivation
from ..interpret import interpret
from .running import Array, products

RELATIVE = 1e-10
STEP = 1e-150
DIFFERENCE = 1e-6
ROUGH = 1e-5
MOST_PRODUCTS = 1_000_000
SAMPLES = 2

Point = dict[str, Array]


def chain(derivation: NetworkDerivation, module: ModuleType) -> Claim:
    """Check the loss (or y) and the gradients of a network; ``Disproved`` names the layer."""
    network = derivation.network
    cost = sum(products(node.equation, SAMPLES) for node in network.nodes)
    exact = cost <= MOST_PRODUCTS
    random = np.random.default_rng(0)
    point = _point(derivation, module, random)
    g = random.normal(size=(SAMPLES, *network.shape(network.result)))
    value, gradients = _run(derivation, module, point, g)
    if exact:
        _same(
            derivation,
            "y" if network.loss is None else "the loss",
            value,
            _oracle(derivation, point, g),
        )
    bound = RELATIVE if exact else ROUGH
    if not _holds(derivation, module, point, g, gradients, random, bound, tuple(gradients)):
        raise _located(derivation, module, point, g, gradients, random, bound)
    method = "complex step" if exact else "central differences"
    checked = (("method", method), ("batch", str(SAMPLES)), ("relative", f"{bound:g}"))
    return Claim("chain", ("y" if network.loss is None else "loss", *gradients), checked)


def _point(derivation: NetworkDerivation, module: ModuleType, random: np.random.Generator) -> Point:
    """The start of training, moved off zeros and ones, with random samples and targets."""
    network = derivation.network
    point = {
        n: np.asarray(p + 0.1 * random.normal(size=p.shape)) for n, p in module.init(0).items()
    }
    point[INPUT] = random.normal(size=(SAMPLES, *network.shape(INPUT)))
    for node in network.nodes:
        for tensor, source in node.reads:
            if source == TARGET:
                shape = (SAMPLES, *tensor.sizes())
                most = classes(node.equation, tensor) if tensor.integer else 0
                drawn = random.integers(0, most, shape) if most else random.uniform(0, 1, shape)
                point[TARGET] = np.asarray(drawn)
    return point


def _run(
    derivation: NetworkDerivation, module: ModuleType, point: Point, g: Array
) -> tuple[Array, Point]:
    """What the module gives for the value and its gradients."""
    params = {n: a for n, a in point.items() if n not in (INPUT, TARGET)}
    if derivation.network.loss:
        value, gradients = module.gradients(point[INPUT], point[TARGET], params)
    else:
        value = module.forward(point[INPUT], params)
        gradients = module.gradients(g, point[INPUT], params)
    return np.asarray(value), gradients


def _oracle(derivation: NetworkDerivation, point: Mapping[str, Array], g: Array) -> Array:
    """The loss (or y) by reading the layers' equations one after the other."""
    values: dict[str, Array] = dict(point)
    for node in derivation.network.nodes:
        equation = node.equation
        arrays = {t.name: values[source].reshape(-1, *t.sizes()) for t, source in node.reads}
        arrays |= {tensor.name: values[name] for name, tensor in node.parameters}
        values[node.name] = interpret(equation, arrays)
    return np.asarray(values[derivation.network.nodes[-1].name])


def _holds(
    derivation: NetworkDerivation,
    module: ModuleType,
    point: Point,
    g: Array,
    gradients: Point,
    random: np.random.Generator,
    bound: float,
    names: tuple[str, ...],
) -> bool:
    """Whether the derivative along a random direction of some tensors is that of the gradients."""
    direction = {name: random.normal(size=point[name].shape) for name in names}
    got = sum(float((gradients[n] * v).sum()) for n, v in direction.items())
    weight = sum(float(np.abs(gradients[n] * v).sum()) for n, v in direction.items())
    along = _slope(derivation, module, point, direction, g, rough=bound == ROUGH)
    return abs(got - along) <= bound * max(weight, abs(along))


def _slope(
    derivation: NetworkDerivation,
    module: ModuleType,
    point: Point,
    direction: Point,
    g: Array,
    *,
    rough: bool,
) -> float:
    """The derivative of L (of Σ g·y where there is no loss) along a direction."""
    weights: Any = 1.0 if derivation.network.loss else g
    if not rough:
        moved = {n: a + 1j * STEP * direction[n] if n in direction else a for n, a in point.items()}
        found = np.asarray(_oracle(derivation, moved, g), dtype=complex)
        return float((weights * found.imag / STEP).sum())
    ends = []
    for sign in (1, -1):
        moved = {
            n: a + sign * DIFFERENCE * direction[n] if n in direction else a
            for n, a in point.items()
        }
        ends.append(float((weights * _run(derivation, module, moved, g)[0]).sum()))
    return (ends[0] - ends[1]) / (2 * DIFFERENCE)


def _same(derivation: NetworkDerivation, what: str, found: Array, expected: Array) -> None:
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    wrong = np.argwhere(~(np.abs(found - expected) <= RELATIVE * scale))
    if len(wrong):
        place = tuple(int(k) for k in wrong[0])
        raise _disproved(
            derivation, f"{what}{list(place) if place else ''}", found[place], expected[place]
        )


def _located(
    derivation: NetworkDerivation,
    module: ModuleType,
    point: Point,
    g: Array,
    gradients: Point,
    random: np.random.Generator,
    bound: float,
) -> Disproved:
    """The first wrong tensor from the loss on backwards: the layers behind it are right."""
    for name in reversed(list(gradients)):
        held = (derivation, module, point, g, gradients, random, bound, (name,))
        if name != INPUT and not _holds(*held):
            return _disproved(derivation, f"∂L/∂{name}", "another derivative", "complex step")
    return _disproved(derivation, f"∂L/∂{INPUT}", "another derivative", "complex step")


def _disproved(
    derivation: NetworkDerivation, what: str, found: object, expected: object
) -> Disproved:
    return Disproved(
        f"{derivation.network.title}: the chain claim fails at {what}: "
        f"the network gives {found}, the reference {expected}"
    )
