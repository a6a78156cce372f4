"""Words and source code as LaTeX: everything that TeX would take for a command is escaped."""

from __future__ import annotations

import re

from ..shell import spelled

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}

_MATH = {
    "∂": r"\partial",
    "∑": r"\sum",
    "Σ": r"\Sigma",
    "δ": r"\delta",
    "β": r"\beta",
    "γ": r"\gamma",
    "σ": r"\sigma",
    "λ": r"\lambda",
    "π": r"\pi",
    "×": r"\times",
    "·": r"\cdot",
    "−": "-",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "∣": r"\mid",
    "∈": r"\in",
    "⟨": r"\langle",
    "⟩": r"\rangle",
    "ᵀ": r"^{\top}",
    "⊤": r"^{\top}",
    "′": r"'",
    "½": r"\tfrac12",
    "⌊": r"\lfloor",
    "⌋": r"\rfloor",
    "→": r"\to",
    "⋯": r"\cdots",
    "√": r"\surd",
    "°": r"^{\circ}",
    "²": r"^{2}",
    "³": r"^{3}",
    "∞": r"\infty",
    "⋆": r"\star",
    "⊙": r"\odot",
}

_PLAIN = {
    "–": "--",
    "—": "---",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "\u202f": r"\,",
}


def escape(text: str) -> str:
    """The text as LaTeX sets it, letter by letter."""
    return "".join(_escaped(c) for c in text)


def _escaped(c: str) -> str:
    if c in _SPECIAL:
        return _SPECIAL[c]
    if c in _MATH:
        return f"\\ensuremath{{{_MATH[c]}}}"
    if c in _PLAIN:
        return _PLAIN[c]
    if c in "\t\n\r":
        return " "
    if _in_font(c):
        return c
    return f"\\texttt{{U+{ord(c):04X}}}"  # rather a code point than a document that fails


_UNSET = "ĦħĸĿŀŉŦŧſ"
"""Letters in between that T1 has no glyph for."""


def _in_font(c: str) -> bool:
    """Whether T1 fonts hold a character."""
    return c.isprintable() and ord(c) < 0x180 and c not in _UNSET


_TYPEWRITER = {"'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "-": "-{}", ",": ",{}"}
"""What a typewriter font would join, or turn into quotation marks."""
_BREAKS = re.compile(r"(?<=[\]),;*+=/])(?=[^\s'])")


def command(text: str) -> str:
    """A command line, every character of it as it is typed."""
    shown = spelled(text, lambda c: c == "\n" or c in _MATH or _in_font(c))
    return "\\command{" + "\\\\\n".join(map(_command_line, shown.split("\n"))) + "}"


def _command_line(line: str) -> str:
    parts = _BREAKS.split(line)
    made = ["".join(_TYPEWRITER.get(c) or _escaped(c) for c in part) for part in parts]
    return re.sub("(?<= ) |^ ", r"\\ ", "\\allowbreak{}".join(made))


def code(text: str, language: str) -> str:
    """A listing; characters that listings cannot read are spelled in ASCII."""
    if language == "sh":
        return command(text.rstrip("\n"))
    kind = "[language=Python]" if language == "python" else "[language={}]"
    body = "".join(_typed(c) for c in text.rstrip("\n"))
    body = body.replace("\\end{lstlisting}", "\\end {lstlisting}")
    return f"\\begin{{lstlisting}}{kind}\n{body}\n\\end{{lstlisting}}"


_TYPED = {"∂": "d", "∑": "sum", "×": "x", "·": "*", "−": "-", "≤": "<=", "≥": ">=", "′": "'"}


def _typed(c: str) -> str:
    if c.isascii():
        return c
    return _TYPED.get(c, f"U+{ord(c):04X}")
