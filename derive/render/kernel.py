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
from ..programs import Call, Comment, Constant, Function, Invoke, Let, Name, Program, arrays
from .language import equation_text
from .python import WIDTH, lines
from .ready import output_batched, ready
from .templates import template

HELPERS = {
    "_lowest": "lowest.py.j2",
    "_highest": "highest.py.j2",
    "_erf": "erf.py.j2",
    "_sigmoid": "sigmoid.py.j2",
    "_scratch": "scratch.py.j2",
    "_room": "room.py.j2",
    "_shared": "shared.py.j2",
    "_split": "split.py.j2",
    "_windows": "windows.py.j2",
    "_transform": "transform.py.j2",
    "_diagonals": "diagonals.py.j2",
}
"""Functions that a kernel may call, and the template that holds each."""

NEEDED = {"_diagonals": ("_scratch", "_windows")}
"""Helper → those that it calls itself."""

THREADING = {"_scratch", "_room", "_shared", "_split"}
"""Helpers that need the module ``threading``."""


@dataclass(frozen=True)
class FunctionText:
    """A function of the module, ready to be written."""

    signature: str
    doc: str
    lines: tuple[str, ...]


def kernel(derivation: Derivation, program: Program) -> str:
    """The source text of ``kernel.py``; the same derivation gives the same bytes."""
    equation = derivation.equation.at_sizes()
    used = called(program)
    slots = {
        "title": _title(derivation),
        "threading": bool(THREADING & set(used)),
        "constants": [constant_text(constant) for constant in program.constants],
        "docstring": documented(_docstring(derivation, program)),
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
        **ready(equation),
        "helpers": [template(f"helpers/{HELPERS[name]}").render().strip() for name in used],
    }
    upstream = equation.output.gradient
    batched = [t.name for t in equation.tensors if t.batched]
    slots["batched"] = names_of([upstream, *batched] if output_batched(equation) else batched)
    return template("kernel.py.j2").render(slots)


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


def _docstring(derivation: Derivation, program: Program) -> list[str]:
    """The derivation in short: the equation, each gradient as it was derived, the strategies."""
    out = [*_paragraph("Forward:", list(derivation.equation.statements))]
    for gradient in (*derivation.inner, *derivation.gradients):
        statements = [gradient.gather, *(s for s in gradient.scatters if s != gradient.gather)]
        out += ["", *_paragraph(f"Gradient of {gradient.of}, by the chain rule:", statements)]
    meanings = [f"{name}: {words}" for name, words in derivation.layer.meanings]
    if meanings:
        out += ["", *wrap("; ".join(meanings) + ".", WIDTH - 4)]
    out += chosen(program)
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


def chosen(program: Program) -> list[str]:
    """How each direction is computed, branch by branch, and at what cost."""
    rows = [
        (
            choice.direction,
            f"N >= {choice.least}" if choice.least else "other dtypes",
            " ".join(call.targets),
            call.strategy,
            f"{call.multiply_adds:,}" if choice.least else "",
            in_bytes(call.scratch) if choice.least else "",
            _microseconds(call) if choice.least else "",
        )
        for choice in program.choices
        for call in choice.calls
    ]
    if not rows:
        return []
    measured = any(call.measured for choice in program.choices for call in choice.calls)
    head = ("", "", "", "", "multiply-adds", "scratch", "time" if measured else "estimate")
    wide = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    out = ["", "How it is computed, by batch size (float32, float64):", ""]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:4], wide, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[4:], wide[4:], strict=True)]
        out.append("    " + "  ".join(cells).rstrip())
    return [*out, "", *wrap(_told(program, measured=measured), WIDTH - 4)]


def _told(program: Program, *, measured: bool) -> str:
    """What the columns of that table are, and how much memory is kept."""
    clock = (
        "measured on one machine for the least batch of the branch (--tune), so that another run "
        "may choose otherwise"
        if measured
        else "estimated for the least batch of the branch"
    )
    kept = (
        " Scratch (float32) does not grow with the batch; each thread keeps its own between "
        f"calls, at most {in_bytes(program.scratch)}."
        if program.scratch
        else ""
    )
    used = {call.strategy for choice in program.choices if choice.least for call in choice.calls}
    whole = " and ".join(name for name in WHOLE if name in used)
    grows = f" What {whole} computes may take as much memory again as the batch." if whole else ""
    return f"Multiply-adds are those of matrix products, a sample; times are {clock}.{kept}{grows}"


WHOLE = ("taps", "unrolled")
"""Strategies that work on the whole batch at once."""


def in_bytes(count: int) -> str:
    """Bytes in kB or MB, rounded up."""
    return f"{-(-count // 1000)} kB" if count < 10**6 else f"{-(-count // 10**5) / 10} MB"


def _microseconds(call: Call) -> str:
    """Two digits are all that an estimate is worth."""
    return f"{float(f'{1e6 * call.seconds:.2g}'):,.10g} us"


def constant_text(constant: Constant) -> str:
    """A module-level name, and what it is as a string below it."""
    told = [f'"""{constant.doc}"""'] if constant.doc else []
    return "\n".join([*lines((Let(Name(constant.name), constant.value),), comment, 0), *told])


def private(function: Function) -> FunctionText:
    """A function of the module's own: arrays are (N, ...) and of one dtype already."""
    first, *rest = function.doc or ("Any type of number, one tap at a time.",)
    doc = wrap(first, WIDTH - 10, break_long_words=False)
    for paragraph in rest:
        doc += ["", *wrap(paragraph, WIDTH - 8, break_long_words=False)]
    closing = [""] if len(doc) > 1 else []
    signature = f"def {function.name}({', '.join(function.parameters)}):"
    body = tuple(lines(function.body, comment))
    return FunctionText(
        signature, "\n    ".join([*doc, *closing]).replace("\n    \n", "\n\n"), body
    )


def _function(function: Function, derivation: Derivation) -> FunctionText:
    if function.name.startswith("_"):
        return private(function)
    equation = derivation.equation.at_sizes()
    given = [f"{p}: np.ndarray" for p in function.parameters]
    if function.keywords:
        given += ["*", *(f"{name}: int = {value}" for name, value in function.keywords)]
    parameters = ", ".join(given)
    signature = f"def {function.name}({parameters}) -> {function.returns}:"
    if len(signature) > WIDTH:
        if len(parameters) + 4 > WIDTH:
            parameters = parameters.replace(", ", ",\n    ") + ","
        signature = f"def {function.name}(\n    {parameters}\n) -> {function.returns}:"
    taken = ", ".join(shape_text(_owner(equation, p), p) for p in function.parameters)
    if function.name == "forward":
        result = shape_text(equation.output, equation.output.name)
    else:
        result = ", ".join(equation.tensor(g.of).gradient for g in derivation.gradients)
        result += ", each shaped like its tensor"
    doc = wrap(f"{taken} -> {result}.", WIDTH - 8, break_long_words=False)
    if function.keywords:
        words = "A batch that is worth it is split over so many threads, BLAS held to one in each."
        doc += ["", *wrap(words, WIDTH - 8)]
    closing = [""] if len(doc) > 1 else []  # quotes on a line of their own
    body = lines(function.body, comment)
    text = "\n    ".join([*doc, *closing]).replace("\n    \n", "\n\n")
    return FunctionText(signature, text, tuple(body))


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
    every = (array for f in program.functions for array in arrays(f.body))
    found = {array.fn for array in every if isinstance(array, Invoke)}
    found |= {helper for name in found for helper in NEEDED.get(name, ())}
    return [name for name in HELPERS if name in found]
