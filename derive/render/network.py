"""The module ``kernel.py`` of a network: private functions a layer, public ones for the whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from textwrap import wrap

from ..classes import classes
from ..derivations import Derivation
from ..equations import Equation, Tensor
from ..graphs import INPUT, TARGET, Network, NetworkDerivation, Node
from ..programs import Function, Program
from . import kernel
from .initial import start
from .kernel import HELPERS, FunctionText, documented, names_of, shape_text
from .opening import docstring
from .python import WIDTH, lines
from .templates import template
from .wiring import Wiring


def network(
    derivation: NetworkDerivation,
    programs: tuple[Program, ...],
    written: Network | None = None,
    turned: tuple[bool, bool] = (False, False),
    scratch: int = 0,
) -> str:
    """The source text; the same derivation gives the same bytes.

    ``written`` is the network in the order in which it was written, if that is another.
    ``turned``: whether y and ∂L/∂x may come with their samples innermost in memory. ``scratch``:
    bytes, in float32, of all buffers that a thread keeps.
    """
    net = derivation.network
    called = {name for program in programs for name in kernel.called(program)}
    upstream = [] if net.loss else [("dy", "y")]
    slots = {
        "title": f"{net.title}.",
        "docstring": documented(docstring(derivation, programs, written or net, scratch)),
        "shapes": [f'"{name}": {shape},' for name, shape in _shapes(derivation).items()],
        "equations": list(_equations(derivation)),
        "functions": _public(derivation, Wiring(derivation, programs), turned),
        "layers": [
            f
            for group in zip(net.nodes, derivation.derivations, programs, strict=True)
            for f in _private(*group)
        ],
        "real": any(kernel.real(d) for d in derivation.derivations),
        "parameters": _listed("_PARAMETERS", [name for name, _ in net.parameters]),
        "threading": bool(kernel.THREADING & called),
        "constants": [
            kernel.constant_text(constant)
            for constant in {c.name: c for p in programs for c in p.constants}.values()
        ],
        "integer": names_of(_classes(derivation)) if _classes(derivation) else "()",
        "classes": _classes(derivation),
        "shape_of": "{" + ", ".join(f'"{a}": "{b}"' for a, b in upstream) + "}",
        "helpers": [
            template(f"helpers/{HELPERS[name]}").render().strip()
            for name in HELPERS
            if name in called
        ],
    }
    return template("network.py.j2").render(slots)


def _listed(name: str, values: list[str]) -> str:
    """``NAME = ("a", "b")``, one a line if need be."""
    line = f"{name} = {names_of(values) if values else '()'}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name} = (", *(f'    "{value}",' for value in values), ")"])


def _classes(derivation: NetworkDerivation) -> dict[str, int]:
    """``{"t": 10}`` where the target is a class index."""
    return {
        source: classes(node.equation, tensor)
        for node in derivation.network.nodes
        for tensor, source in node.reads
        if source == TARGET and tensor.integer
    }


def _shapes(derivation: NetworkDerivation) -> dict[str, tuple[int, ...]]:
    net = derivation.network
    shapes = {INPUT: net.shape(INPUT)}
    if net.loss:
        shapes[TARGET] = net.shape(TARGET)
    shapes |= {name: tensor.sizes() for name, tensor in net.parameters}
    return {**shapes, "y": net.shape(net.result)}


def _equations(derivation: NetworkDerivation) -> list[str]:
    """Every layer's statements under its name."""
    out: list[str] = []
    for node, one in derivation.pairs():
        reads = ", ".join(f"{tensor.name} = {source}" for tensor, source in node.reads)
        out += [f"# {node.name}: {reads}", *kernel.equations(one)]
    return out


# -- the whole network ---------------------------------------------------------------------
def _public(
    derivation: NetworkDerivation, wiring: Wiring, turned: tuple[bool, bool]
) -> list[FunctionText]:
    net = derivation.network
    x, y = _named(INPUT, net.shape(INPUT)), _named("y", net.shape(net.result))
    result = net.result if net.body else "x.copy()"
    functions = [
        _text(
            "forward(x: np.ndarray, params: Params) -> np.ndarray",
            f"{x} -> {y}.",
            [
                f"arrays, batch = _arrays(params, {INPUT}={INPUT})",
                f'{INPUT} = arrays["{INPUT}"]',
                *wiring.forward(net.body, keep=False),
                f"return {_usual(result, turned[0])}{_batched(net.shape(net.result))}",
            ],
        )
    ]
    if net.loss:
        functions.append(_loss(derivation, wiring))
    functions.append(_gradients(derivation, wiring, bool(net.loss), turned[1]))
    return [*functions, _init(derivation)]


def _usual(array: str, turned: bool) -> str:
    """An array that a caller gets: its last axis is the last one in memory too."""
    return f"np.ascontiguousarray({array})" if turned else array


def _batched(shape: tuple[int, ...]) -> str:
    """The batch axes that came in, put on again."""
    sizes = ", ".join(map(str, ("*batch", *shape)))
    return f".reshape({sizes})" if shape else ".reshape(batch)"


def _named(name: str, shape: tuple[int, ...]) -> str:
    return f"{name} ({', '.join(map(str, ('...', *shape)))})"


def _loss(derivation: NetworkDerivation, wiring: Wiring) -> FunctionText:
    net = derivation.network
    taken = f"{_named(INPUT, net.shape(INPUT))}, {_named(TARGET, net.shape(TARGET))}"
    return _text(
        "loss(x: np.ndarray, t: np.ndarray, params: Params) -> float",
        f"{taken} -> the loss, one number for the whole batch.",
        [
            *_taken((INPUT, TARGET), batch=False),
            *wiring.forward(net.nodes, keep=False),
            f"return np.asarray({net.nodes[-1].name}).item()",
        ],
    )


def _taken(names: tuple[str, ...], *, batch: bool) -> list[str]:
    given = ", ".join(f"{name}={name}" for name in names)
    values = ", ".join(f'arrays["{name}"]' for name in names)
    kept = "batch" if batch else "_"
    return [f"arrays, {kept} = _arrays(params, {given})", f"{', '.join(names)} = {values}"]


def _gradients(
    derivation: NetworkDerivation, wiring: Wiring, loss: bool, turned: bool
) -> FunctionText:
    net = derivation.network
    grads = [
        f'"{name}": d_{node.name}_{tensor.name},'
        for node in net.nodes
        for name, tensor in node.parameters
    ]
    lines, to_input = wiring.backward()
    first = (INPUT, TARGET) if loss else ("dy", INPUT)
    last = net.nodes[-1].name
    read = [line for line in (*lines, *to_input) if re.search(rf"\b{last}(_\w+)?\b", line)]
    nodes = net.nodes if loss or read else net.nodes[:-1]  # dy stands for what it would give
    body = [*_taken(first, batch=True), *wiring.forward(nodes, keep=True)]
    body += [] if loss else [f"d_{last} = dy"]
    body += [*lines, "grads = {", *(f"    {line}" for line in grads), "}"]
    dx = _usual(f"d_{INPUT}", turned)
    to_input.append(f'grads["{INPUT}"] = {dx}{_batched(net.shape(INPUT))}')
    body += [
        "if input_gradient:",
        *(f"    {line}" for text in to_input for line in text.split("\n")),
    ]
    body.append(f"return np.asarray({last}).item(), grads" if loss else "return grads")
    if loss:
        given, returned = "x: np.ndarray, t: np.ndarray, params: Params", "tuple[float, Params]"
        doc = "The loss, and ∂L/∂(each parameter, and x) shaped like the tensor itself."
    else:
        given, returned = "dy: np.ndarray, x: np.ndarray, params: Params", "Params"
        doc = "∂L/∂(each parameter, and x) for a given dy = ∂L/∂y: the network has no loss layer."
    doc += " Training needs no ``input_gradient``: without it ∂L/∂x is left out."
    given += ", *, input_gradient: bool = True"
    signature = f"gradients({given}) -> {returned}"
    if len(f"def {signature}:") > WIDTH:
        signature = f"gradients(\n    {given}\n) -> {returned}"
    return _text(signature, doc, body)


def _init(derivation: NetworkDerivation) -> FunctionText:
    rules: dict[str, list[str]] = {"normal": [], "zeros": [], "ones": []}
    entries = []
    for node, one in derivation.pairs():
        for name, tensor in node.parameters:
            kind, fan_in = start(tensor, one)
            rules[kind].append(name)
            entries.append(f'"{name}": {_value(kind, fan_in, tensor)},')
    words = {
        "normal": "normal with standard deviation sqrt(2 / fan-in) (He et al. 2015)",
        "zeros": "zeros",
        "ones": "ones",
    }
    told = [f"{', '.join(names)}: {words[kind]}" for kind, names in rules.items() if names]
    doc = "Parameters to start from. " + "".join(f"{one}. " for one in told)
    body = ["random = np.random.default_rng(seed)"] if rules["normal"] else []
    body += ["return {", *(f"    {entry}" for entry in entries), "}"]
    return _text("init(seed: int) -> Params", doc.strip(), body)


def _value(kind: str, fan_in: int, tensor: Tensor) -> str:
    if kind == "normal":
        return f"random.standard_normal({tensor.sizes()}) * (2 / {fan_in}) ** 0.5"
    return f"np.{kind}({tensor.sizes()})"


def _text(signature: str, doc: str, body: Iterable[str]) -> FunctionText:
    wrapped = wrap(doc, WIDTH - 10, break_long_words=False, break_on_hyphens=False)
    text = "\n    ".join(wrapped)
    return FunctionText(f"def {signature}:", text, tuple(f"    {line}" for line in body))


# -- one layer -------------------------------------------------------------------------------
def _private(node: Node, derivation: Derivation, program: Program) -> list[FunctionText]:
    return [_inner(node, derivation.equation.at_sizes(), f) for f in program.functions]


def _inner(node: Node, equation: Equation, function: Function) -> FunctionText:
    if function.name.startswith("_"):
        return kernel.private(function)
    name = f"_{node.name}_{function.name}"
    given = ", ".join(
        shape_text(owner, p)
        for p in function.parameters
        if (owner := _owner(equation, p)) is not None
    )
    doc = wrap(f"{node.text}: from {given}.", WIDTH - 10, break_long_words=False)
    named = replace(function, name=name)
    return FunctionText(
        f"def {name}({', '.join(named.parameters)}):",
        "\n    ".join(doc),
        tuple(lines(named.body, kernel.comment)),
    )


def _owner(equation: Equation, name: str) -> Tensor | None:
    """The tensor of that name, or of that gradient; None for what is handed on beside them."""
    every = (*equation.tensors, *equation.inner, equation.output)
    named = [t for t in every if t.name == name]
    return next(iter(named or [t for t in every if t.gradient == name]), None)
