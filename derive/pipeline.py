"""The arrows: spec → equations → layer → derivation → program → source → proof → files.

Every step is a verb that knows nothing of the others. Verbs are imported when they are used,
so that a wrong flag costs no import of SymPy.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .specs import DEFAULTS, PLAIN, Options, Spec, Style

if TYPE_CHECKING:  # the nouns cost milliseconds too
    from .certificates import Certificate
    from .derivations import Derivation
    from .documents import Document
    from .equations import Equation, Layer, Tensor
    from .machines import Tuning
    from .programs import Choice, Program
    from .render.notebook import Runnable
    from .writing import Content

COMMAND = "python -m derive"


@dataclass(frozen=True)
class Made:
    """All that comes of a layer: ``source`` is empty while sizes are symbolic.

    ``choices`` are the branches of the kernel, ``tuning`` what was measured for them, if it was.
    """

    derivation: Derivation
    source: str
    certificate: Certificate
    choices: tuple[Choice, ...] = ()
    tuning: Tuning | None = None


def layer(spec: Spec, options: Options = DEFAULTS) -> Layer:
    """Parse the equation and put the numbers in."""
    from .equations import Layer
    from .parse import parse
    from .sizes import with_names, with_sizes

    equations = parse(spec.text, data=spec.data, outside=spec.outside, ties=spec.ties)
    equations = with_names(equations, spec.axes)
    if spec.shapes:
        equations = with_sizes(equations, spec.shapes)
    if spec.loss:
        equations = (*equations[:-1], replace(equations[-1], loss=True))
    wrt = "_wrt_" + "_".join(options.wrt) if options.wrt is not None else ""
    made = Layer(
        name=spec.name,
        slug=options.name or spec.slug + wrt,
        title=spec.title,
        equations=equations,
        meanings=tuple(spec.meanings.items()),
        command=f"{COMMAND} {shlex.join((*spec.arguments, *options.arguments))}",
        source=spec.source,
    )
    check(options.style, made.equation)
    return made


def check(style: Style, *equations: Equation) -> None:
    """Refuse a letter, a language or templates that cannot be, before any work is done."""
    if style.notation != PLAIN.notation:
        from .render.mathematics.notation import Notation

        for equation in equations:
            Notation.of(equation, style.notation)
    if style.templates or style.language != PLAIN.language:
        with dressed(style):
            pass


@contextmanager
def dressed(style: Style) -> Iterator[None]:
    """Templates and language of whatever is printed within."""
    from .render.phrases import phrases
    from .render.templates import using

    with using(style.templates, style.language):
        phrases()
        yield


def derive(layer: Layer, wrt: tuple[str, ...] | None = None) -> Derivation:
    """Derive the gradients, step by step."""
    from .calculus import derive

    return derive(layer, wrt)


def program(derivation: Derivation, form: str = "fastest", **asked: Any) -> Program | None:
    """The array program of a kernel; None while sizes are symbolic.

    ``asked`` as for :func:`derive.lower.lower`.
    """
    from .lower import lower

    return lower(derivation, form, **asked) if derivation.equation.sized else None


def kernel(derivation: Derivation, form: str = "fastest", **asked: Any) -> str:
    """The source of kernel.py; empty while sizes are symbolic."""
    from .render.kernel import kernel

    found = program(derivation, form, **asked)
    return "" if found is None else kernel(derivation, found)


def prove(
    derivation: Derivation,
    source: str,
    progress: Callable[[str], None] = lambda _: None,
    choices: tuple[Choice, ...] = (),
) -> Certificate:
    """Run the very text of the kernel against the oracles; raises Disproved.

    ``choices`` are the branches of its program, each of which is run.
    """
    from .certificates import Certificate
    from .verify import verify

    if not source:
        return Certificate(())
    every = (*derivation.inner_instance, *derivation.instance)
    two = any(gradient.scatter_steps or gradient.raw != gradient.gather for gradient in every)
    forms = tuple(kernel(derivation, form) for form in (("scatter", "gather") if two else ()))
    return verify(derivation, source, forms, progress, choices)


def make(
    derivation: Derivation,
    progress: Callable[[str], None] = lambda _: None,
    options: Options = DEFAULTS,
    recorded: Mapping[str, Any] | None = None,
) -> Made:
    """The kernel and its proof; ``progress`` is told what is being checked.

    ``recorded`` is a certificate whose measurements are to be used instead of new ones.
    """
    tuning = None
    if options.tune:
        progress("measuring")
        tuning = measured(derivation, recorded, exact=options.exact_order)
    asked: dict[str, Any] = {"exact": options.exact_order, "tuning": tuning}
    found = program(derivation, **asked)
    source, choices = kernel(derivation, **asked), found.choices if found else ()
    certificate = prove(derivation, source, progress, choices)
    return Made(derivation, source, certificate, choices, tuning)


def measured(
    derivation: Derivation,
    recorded: Mapping[str, Any] | None,
    limit: float | None = None,
    **asked: Any,
) -> Tuning:
    """How long strategies take: as recorded, or on this machine within ``limit`` seconds.

    ``asked`` as for :func:`derive.lower.lower`.
    """
    from .lower.branching import Asked
    from .machines import Tuning
    from .tuning import LIMIT, tune

    if recorded is not None:
        return Tuning.recalled(recorded.get("tuning"))
    return tune(derivation, Asked(**asked), limit or LIMIT)


def module(made: Made) -> ModuleType:
    """kernel.py, compiled in memory."""
    if not made.source:
        raise UsageError("there is no kernel while sizes are symbolic: give the shapes")
    from .verify.running import module

    return module(made.source, made.derivation.layer.slug)


def files(made: Made, options: Options = DEFAULTS) -> dict[str, Content]:
    """Name → content of every file that is wanted."""
    code: dict[str, Content] = {}
    if "py" in options.formats and made.source:
        code = {"__init__.py": PACKAGE, "kernel.py": made.source}
    return code | printed(options, lambda: document(made, options.style), lambda: runnable(made))


def printed(
    options: Options, document: Callable[[], Document], run: Callable[[], Runnable | None]
) -> dict[str, Content]:
    """Name → content of the notes in every format that is wanted; ``run`` is for a notebook."""
    if not (wanted := [f"notes.{name}" for name in options.formats if name != "py"]):
        return {}
    with dressed(options.style):
        made, printers = document(), _printers(options.style.language, run)
        return {name: printers[name.removeprefix("notes.")](made) for name in wanted}


def _printers(
    language: str, run: Callable[[], Runnable | None]
) -> dict[str, Callable[[Document], Content]]:
    from .render.html.page import html
    from .render.notebook import notebook
    from .render.tex.page import tex
    from .render.typst.page import typst
    from .typesetting import pdf

    def pages(document: Document) -> Content:
        sources = tex(document), typst(document)
        return lambda: pdf(*sources)

    def cells(document: Document) -> Content:
        return notebook(document, run())

    return {"tex": tex, "html": partial(html, language=language), "ipynb": cells, "pdf": pages}


def runnable(made: Made) -> Runnable | None:
    """What a notebook runs: the kernel, on a batch where the equation mixes samples."""
    from .render.mathematics.sample import batch_names
    from .render.notebook import Given, Runnable

    if not made.source:
        return None
    equation = made.derivation.equation.at_sizes()
    batch = () if batch_names(equation) else (3,)
    given = (
        Given(t.name, (*(batch if t.batched else ()), *t.sizes()), counted(equation, t))
        for t in equation.tensors
    )
    return Runnable(made.source, tuple(given), equation.loss)


def counted(equation: Equation, tensor: Tensor) -> int:
    """The number of classes of a tensor of class indices, 0 for real numbers."""
    from .classes import classes

    return classes(equation, tensor) if tensor.integer else 0


def document(made: Made, style: Style = PLAIN) -> Document:
    """The notes, before any format is chosen."""
    from .render.notes.layer import notes
    from .trying import example

    tried = example(made.derivation, module(made)) if made.source else None
    return notes(made.derivation, made.certificate, made.source, style, tried, choices=made.choices)


def page(arrows: Any, made: Any, name: str, style: Style = PLAIN) -> str:
    """The notes of a layer or a network in one format: ``tex``, ``html`` or ``ipynb``."""
    options = Options(formats=(name,), style=style)
    found = printed(options, lambda: arrows.document(made, style), lambda: arrows.runnable(made))
    return str(found[f"notes.{name}"])


def explicit(derivation: Derivation, tensor: str, at: Mapping[str, Any] | None = None) -> Any:
    """Every entry of y or of ∂L/∂tensor at the given sizes, as a SymPy array.

    ``at`` has the numbers at which maxima and their like choose.
    """
    from sympy import ImmutableDenseNDimArray

    from .explicit import forward, gradient, terms

    equation = derivation.equation
    known = [t.name for t in (*equation.tensors, equation.output)]
    if tensor not in known:
        raise UsageError(f"there is no tensor {tensor!r}; there are {', '.join(known)}")
    if (products := terms(equation)) > EXPLICIT:
        raise UsageError(f"{products} products are too many to write out: at most {EXPLICIT}")
    output = tensor == equation.output.name
    numbers = None if at is None else {name: _numbers(name, at, equation) for name in known[:-1]}
    entries = forward(equation, at=numbers) if output else gradient(equation, tensor, at=numbers)
    return ImmutableDenseNDimArray(list(entries.flat), entries.shape)


def _numbers(name: str, at: Mapping[str, Any], equation: Equation) -> Any:
    """The numbers of one tensor; UsageError if they are missing or of another shape."""
    import numpy as np

    wanted = equation.at_sizes().tensor(name).sizes()
    if name not in at or np.shape(at[name]) != wanted:
        given = f"has shape {np.shape(at[name])}" if name in at else "is missing"
        raise UsageError(f"at: {name} {given}; numbers of shape {wanted} are needed")
    return np.asarray(at[name])


EXPLICIT = 20_000
"""The explicit path answers in seconds up to about so many products."""

PACKAGE = '''"""The layer's forward and backward pass; everything is in kernel.py."""

from .kernel import EQUATIONS, SHAPES, Gradients, backward, forward

__all__ = ["EQUATIONS", "SHAPES", "Gradients", "backward", "forward"]
'''


def facts(made: Made) -> dict[str, Any]:
    """What certificate.json says beside the hashes of the files."""
    layer = made.derivation.layer
    return {
        "layer": layer.name,
        "equations": [equation.text for equation in layer.equations],
        "command": layer.command,
        **claims(made.certificate),
        **({"tuning": made.tuning.record()} if made.tuning is not None else {}),
    }


def claims(certificate: Certificate) -> dict[str, Any]:
    """A certificate as JSON values."""
    return {
        "claims": [
            {"kind": c.kind, "subject": list(c.subject), "checked": dict(c.checked)}
            for c in certificate.claims
        ],
        "omitted": [
            {"kind": o.kind, "reason": o.reason, **dict(o.slots)} for o in certificate.omitted
        ],
    }
