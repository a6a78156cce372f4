"""What a notebook shows of a layer, a gradient or a network: its formulas, as LaTeX or as HTML.

A fragment, not a page: a few lines of MathML with the shapes and what was proved, in the
colours of whatever is around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from ...certificates import Certificate
from ...derivations import Derivation
from ...documents import Math, Row
from ...equations import Equation, Statement
from ..mathematics.formulas import statement
from ..mathematics.notation import Notation
from ..mathematics.sample import batch_names, for_one
from ..phrases import phrases
from ..tex.mathematics import formula
from ..tex.words import escape as tex_words
from .mathml import element

Line = tuple[Math, tuple[Math, ...]]


@dataclass(frozen=True)
class Glance:
    """A title, shapes, and formulas by the layer they belong to (an empty name: by none)."""

    title: str
    shapes: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, tuple[Line, ...]], ...]


def lines(equation: Equation, statements: Iterable[Statement]) -> tuple[Line, ...]:
    """Statements for one sample, in the notation of their equation."""
    notation, batch = Notation.of(equation), batch_names(equation)
    return tuple(statement(for_one(value, batch), notation) for value in statements)


def shapes(equation: Equation) -> tuple[tuple[str, str], ...]:
    """Tensors with their sizes, ``("x", "3×3")``; none while sizes are symbolic."""
    if not equation.sized:
        return ()
    here = equation.at_sizes()
    return tuple((t.name, size(t.sizes())) for t in (*here.tensors, here.output))


def size(shape: tuple[int, ...]) -> str:
    """``3×3``, or the words for a single number."""
    return "×".join(map(str, shape)) or phrases().words("table.scalar")


def derived(derivation: Derivation) -> tuple[Line, ...]:
    """The forward equations and every gradient."""
    every = (*derivation.inner, *derivation.gradients)
    found = (*derivation.equation.statements, *(gradient.gather for gradient in every))
    return lines(derivation.equation, found)


def latex(glance: Glance) -> str:
    """The formulas, aligned, between double dollars."""
    rows = []
    for name, part in glance.parts:
        for number, (left, pieces) in enumerate(part):
            label = f"\\text{{{tex_words(name)}}}\\quad " if name and not number else ""
            rows.append(f"{label}{formula(left)} &{' '.join(map(formula, pieces))}")
    body = " \\\\\n".join(rows)
    return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"


def html(glance: Glance, certificate: Certificate | None = None, *, told: bool = False) -> str:
    """One ``<div>``; ``told`` says what was proved, or that nothing was asked for yet."""
    out = [f"<b>{escape(glance.title)}</b>"]
    if glance.shapes:
        listed = (f"<i>{escape(name)}</i>&nbsp;{escape(text)}" for name, text in glance.shapes)
        out.append(", ".join(listed))
    for name, part in glance.parts:
        out += [escape(name)] if name else []
        for left, pieces in part:
            inner = element(Row((left, *pieces)))
            out.append(f'<math displaystyle="true">{inner}</math>')
    out += [escape(_state(certificate))] if told else []
    body = "\n".join(f'<div style="margin:.3em 0">{line}</div>' for line in out)
    return f'<div class="derive" style="overflow-x:auto">\n{body}\n</div>'


def _state(certificate: Certificate | None) -> str:
    say = phrases()
    if certificate is None:
        return say.words("glance.not_yet")
    if not certificate.claims:
        return say.words("glance.no_kernel")
    kinds = dict.fromkeys(claim.kind for claim in certificate.claims)
    return say.words("glance.proved", kinds=", ".join(kinds))
