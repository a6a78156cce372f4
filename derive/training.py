"""One training step of a small network in numbers: what goes forward, what comes back.

The module of the network takes the step; what its layers give on the way, and the gradient of
each, is worked out by the interpreter from the derived statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from .trials import Check, Trial

if TYPE_CHECKING:
    from types import ModuleType

    from .derivations import Derivation
    from .graphs import NetworkDerivation, Node

Arrays = dict[str, Any]

RATE = 0.01
"""The learning rate of the step that the notes show."""
SHOWN = 40
"""A step is shown in numbers while there are at most so many to train."""
WIDEST = 6
"""And while no matrix has more columns."""
ENTRIES = 36
"""Entries of the largest tensor up to which all that layers give is shown."""
STEP = 1e-3


def trial(derivation: NetworkDerivation, kernel: ModuleType) -> Trial | None:
    """One step of training, by the module itself; None without a loss or where it is too large."""
    import numpy as np

    from .graphs import INPUT, TARGET

    network = derivation.network
    widest = max((n for _, tensor in network.parameters for n in tensor.sizes()), default=0)
    if network.loss is None or not 0 < network.size <= SHOWN or widest > WIDEST:
        return None
    random = np.random.default_rng(1)
    x = random.integers(-2, 4, network.shape(INPUT)).astype(float)
    last = network.loss.equation.data[-1]
    t = random.integers(0, 2, last.sizes()).astype(int if last.integer else float)
    params = {name: np.round(value, 1) for name, value in kernel.init(0).items()}
    before, grads = kernel.gradients(x, t, params)
    after = kernel.sgd_step(params, grads, RATE)
    given: Arrays = {INPUT: x, TARGET: np.asarray(t)}
    values, slopes = _passes(derivation, given, params)
    return Trial(
        RATE,
        tuple(given.items()),
        tuple(params.items()),
        tuple((name, grads[name]) for name in params),
        tuple(after.items()),
        (before, kernel.loss(x, t, after)),
        tuple(values.items()),
        tuple(slopes.items()),
        _check(kernel, x, t, params, grads),
    )


def _passes(
    derivation: NetworkDerivation, given: Arrays, params: Mapping[str, Any]
) -> tuple[Arrays, Arrays]:
    """Name → what a layer gives, and name → the gradient of that; of one sample, without a batch.

    Both are empty where something is too large.
    """
    from .interpret import interpret

    network = derivation.network
    shapes = [tensor.sizes() for node in network.nodes for tensor in node.equation.data]
    if any(prod(shape) > ENTRIES or max((0, *shape)) > WIDEST for shape in shapes):
        return {}, {}
    values: Arrays = {name: array[None] for name, array in given.items()}
    for node in network.nodes:
        values[node.name] = interpret(node.equation, _arrays(node, values, params))
    slopes: Arrays = {}
    for node, one in reversed([*derivation.pairs()]):
        if node.is_loss or node.name in slopes:
            _back(node, one, _arrays(node, values, params), values, slopes)
    alone = {node.name for node in network.body}
    return (
        {name: values[name][0] for name in values if name in alone},
        {name: slopes[name][0] for name in slopes if name in alone},
    )


def _arrays(node: Node, values: Arrays, params: Mapping[str, Any]) -> Arrays:
    """Tensor → array for one layer."""
    data = {t.name: values[source].reshape((1, *t.sizes())) for t, source in node.reads}
    return data | {tensor.name: params[name] for name, tensor in node.parameters}


def _back(node: Node, one: Derivation, arrays: Arrays, values: Arrays, slopes: Arrays) -> None:
    """Add what one layer hands back to the gradients of what it reads."""
    import numpy as np

    from .interpret import interpret_statement

    equation = node.equation
    if not node.is_loss:
        arrays[equation.output.gradient] = slopes[node.name].reshape((1, *node.shape))
    for inner in one.inner_instance:
        found = interpret_statement(inner.raw, equation, arrays)
        arrays[equation.tensor(inner.of).gradient] = found
    read = {tensor.name: source for tensor, source in node.reads}
    for gradient in one.instance:
        if (source := read.get(gradient.of)) is not None:
            found = np.asarray(interpret_statement(gradient.raw, equation, arrays), float)
            slopes[source] = slopes.get(source, 0) + found.reshape(values[source].shape)


def _check(
    kernel: ModuleType, x: Any, t: Any, params: Mapping[str, Any], grads: Mapping[str, Any]
) -> Check | None:
    """The quotient of the loss at the first weight that has a gradient and no kink nearby."""
    import numpy as np

    here = kernel.loss(x, t, params)
    for name, value in params.items():
        for place in np.ndindex(value.shape):
            ends = []
            for by in (STEP, -STEP):
                moved = value.copy()
                moved[place] += by
                ends.append(kernel.loss(x, t, {**params, name: moved}))
            right, left = (ends[0] - here) / STEP, (here - ends[1]) / STEP
            if grads[name][place] and abs(right - left) <= 0.05 * (1 + abs(right)):
                slope = float(grads[name][place])
                return Check(name, place, STEP, ends[0], ends[1], slope, exact=False)
    return None
