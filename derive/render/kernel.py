"""The module ``kernel.py``: a program's text with the contract of every generated module."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap

from ..classes import classes
from ..derivations import Derivation
from ..equations import Equation, Statement, Tensor
from ..expressions import Expr, Winner, walk
from ..functions import kinds
from ..programs import Array, Comment, For, Function, Invoke, Let, Program, Return, parts
from .language import equation_text
from .python import WIDTH, lines
from .templates import template

HELPERS = {
    "_lowest": "lowest.py.j2",
    "_highest": "highest.py.j2",
    "_erf": "erf.py.j2",
}
"""Functions that a kernel may call, and the template that holds each."""


@dataclass(frozen=True)
class FunctionText:
    """A function of the module, ready to be written."""

    signature: str
    doc: str
    lines: tuple[str, ...]


def kernel(derivation: Derivation, program: Program) -> str:
    """The source text of ``kernel.py``; the same derivation gives the same bytes."""
    equation = derivation.equation.at_sizes()
    slots = {
        "title": _title(derivation),
        "docstring": documented(_docstring(derivation)),
        "shapes": [f'"{t.name}": {t.sizes()},' for t in (*equation.tensors, equation.output)],
        "equations": list(equations(derivation)),
        "gradients_doc": "∂L/∂(each tensor), shaped like the tensor itself.",
        "fields": list(_fields(derivation, equation)),
        "functions": [_function(f, derivation) for f in program.functions],
        "real": real(derivation),
        "integer": names_of(t.name for t in equation.tensors if t.integer),
        "classes": {t.name: classes(equation, t) for t in equation.tensors if t.integer},
        "shape_of": "{}"
        if equation.loss
        else f'{{"{equation.output.gradient}": "{equation.output.name}"}}',
        "helpers": [
            template(f"helpers/{HELPERS[name]}").render().strip() for name in called(program)
        ],
    }
    upstream = equation.output.gradient
    batched = [t.name for t in equation.tensors if t.batched]
    slots["batched"] = names_of([upstream, *batched] if _output_batched(equation) else batched)
    return template("kernel.py.j2").render(slots)


def _output_batched(equation: Equation) -> bool:
    return len(equation.forward.lhs.axes) > len(equation.output.shape)


def names_of(names: Iterable[str]) -> str:
    """Names as the text of a tuple of strings."""
    listed = [f'"{name}"' for name in names]
    return f"({listed[0]},)" if len(listed) == 1 else f"({', '.join(listed)})"


def documented(rows: list[str]) -> str:
    """Rows of a docstring: nothing that a person typed can end it or be read as an escape."""
    return "\n".join(rows).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _title(derivation: Derivation) -> str:
    title = derivation.layer.title or derivation.layer.name
    return title if title.endswith(".") else f"{title}."


def _docstring(derivation: Derivation) -> list[str]:
    """The derivation in short: the equation, and each gradient in the form it was derived."""
    out = [*_paragraph("Forward:", list(derivation.equation.statements))]
    for gradient in (*derivation.inner, *derivation.gradients):
        statements = [gradient.gather, *(s for s in gradient.scatters if s != gradient.gather)]
        out += ["", *_paragraph(f"Gradient of {gradient.of}, by the chain rule:", statements)]
    meanings = [f"{name}: {words}" for name, words in derivation.layer.meanings]
    if meanings:
        out += ["", *wrap("; ".join(meanings) + ".", WIDTH - 4)]
    if derivation.layer.command:
        out += ["", "Generated and proved by:", ""]
        for line in derivation.layer.command.splitlines():
            out += broken(line, 4)
    return out


def _paragraph(heading: str, statements: list[Statement]) -> list[str]:
    out = [heading, ""]
    for statement in statements:
        out += broken(equation_text(statement), 4)
    return out


def broken(line: str, indent: int, width: int = WIDTH - 4) -> list[str]:
    """Lines no wider than a source line, the later ones indented further."""
    return wrap(
        line,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )


def equations(derivation: Derivation) -> list[str]:
    """Every statement and every gradient at its sizes, one a line."""
    forward = derivation.equation.at_sizes().statements
    gradients = (*derivation.inner_instance, *derivation.instance)
    return [equation_text(s) for s in (*forward, *(g.gather for g in gradients))]


def _fields(derivation: Derivation, equation: Equation) -> list[str]:
    done = {gradient.of for gradient in derivation.gradients}
    out = []
    for tensor in equation.tensors:
        if tensor.name in done:
            out.append(f"{tensor.gradient}: np.ndarray")
        elif tensor.integer:
            out.append(f"{tensor.gradient}: None")
    return out


def _function(function: Function, derivation: Derivation) -> FunctionText:
    equation = derivation.equation.at_sizes()
    parameters = ", ".join(f"{p}: np.ndarray" for p in function.parameters)
    signature = f"def {function.name}({parameters}) -> {function.returns}:"
    if len(signature) > WIDTH:
        if len(parameters) + 4 > WIDTH:
            parameters = parameters.replace(", ", ",\n    ") + ","
        signature = f"def {function.name}(\n    {parameters}\n) -> {function.returns}:"
    given = ", ".join(shape_text(_owner(equation, p), p) for p in function.parameters)
    if function.name == "forward":
        result = shape_text(equation.output, equation.output.name)
    else:
        result = ", ".join(equation.tensor(g.of).gradient for g in derivation.gradients)
        result += ", each shaped like its tensor"
    doc = wrap(f"{given} -> {result}.", WIDTH - 8, break_long_words=False)
    closing = [""] if len(doc) > 1 else []  # quotes on a line of their own
    body = lines(function.body, comment)
    return FunctionText(signature, "\n    ".join([*doc, *closing]), tuple(body))


def _owner(equation: Equation, name: str) -> Tensor:
    return equation.output if name == equation.output.gradient else equation.tensor(name)


def shape_text(tensor: Tensor, name: str) -> str:
    """``x (..., 3, 3)``: a tensor as docstrings name it."""
    sizes = [str(n) for n in tensor.sizes()]
    shown = ["...", *sizes] if tensor.batched else sizes
    return f"{name} ({', '.join(shown)}{',' if len(shown) == 1 else ''})"


def comment(line: Comment) -> list[str]:
    """A comment's lines: words, or the statement that the next lines compute."""
    if isinstance(line.text, Statement):
        return broken(equation_text(line.text), 0, WIDTH - 6)
    return wrap(line.text, WIDTH - 10)


def real(derivation: Derivation) -> bool:
    """Whether any function or division takes integers to floating point."""
    gradients = (*derivation.inner, *derivation.gradients)
    statements = [*derivation.equation.statements, *(g.gather for g in gradients)]
    needed = {kind for s in statements for kind in kinds(s.rhs)}
    return bool(needed & {"rational", "smooth"}) or any(_divides_ties(s.rhs) for s in statements)


def _divides_ties(expr: Expr) -> bool:
    return any(isinstance(node, Winner) and node.ties == "split" for node in walk(expr))


def called(program: Program) -> list[str]:
    """The helper functions that a program calls."""
    found = {n for f in program.functions for n in _calls(f.body)}
    return [name for name in HELPERS if name in found]


def _calls(actions: tuple[object, ...]) -> set[str]:
    found: set[str] = set()
    for action in actions:
        match action:
            case Let(target, value, _):
                found |= _invoked(value) | _invoked(target)
            case For(_, _, body):
                found |= _calls(body)
            case Return(value):
                found |= _invoked(value)
    return found


def _invoked(array: Array) -> set[str]:
    found = {array.fn} if isinstance(array, Invoke) else set()
    for part in parts(array):
        found |= _invoked(part)
    return found
