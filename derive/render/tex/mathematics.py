"""Mathematics as LaTeX, and an estimate in points of how wide it will be."""

from __future__ import annotations

from ...documents import (
    Big,
    Cases,
    Fenced,
    Fraction,
    Grid,
    Hued,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
    Upright,
)
from ..hues import hue
from ..mathematics.letters import GREEK, letter
from .words import escape

_SIGNS = {
    "\u2062": "\\,",
    "·": "\\cdot ",
    "−": "-",
    "∂": "\\partial ",
    "≤": "\\le ",
    "≥": "\\ge ",
    "≠": "\\ne ",
    "∣": "\\mid ",
    "∈": "\\in ",
    "⋆": "\\star ",
    "∗": "\\ast ",
    "←": "\\leftarrow ",
    "→": "\\to ",
    "↦": "\\mapsto ",
    "⋯": "\\cdots ",
    "…": "\\dots ",
    "⊤": "\\top ",
    "×": "\\times ",
    "+=": "\\mathrel{+}=",
    "∞": "\\infty ",
    "⊙": "\\odot ",
    "≈": "\\approx ",
    "′": "\\prime ",
    " ": "\\quad ",
}
_TIMES = Operator("\u2062")
_WORDS = {"max": "\\max", "min": "\\min", "exp": "\\exp", "log": "\\log", "tanh": "\\tanh"}
_BIG = {"∑": "\\sum", "max": "\\max", "min": "\\min"}
_FENCES = {
    "⌊": "\\lfloor ",
    "⌋": "\\rfloor ",
    "⌈": "\\lceil ",
    "⌉": "\\rceil ",
    "|": "\\lvert ",
    "⟨": "\\langle ",
    "⟩": "\\rangle ",
    "{": "\\{",
    "}": "\\}",
    "": ".",
}
_MATRIX = {"[": "bmatrix", "(": "pmatrix", "|": "vmatrix", "": "matrix"}


def formula(math: Math) -> str:
    """The formula in TeX's math mode."""
    match math:
        case Symbol(name):
            return symbol(name)
        case Numeral(text):
            return text.replace("\u202f", "\\,")
        case Operator(text):
            return _SIGNS.get(text, text)
        case Upright(text):
            return _WORDS.get(
                text, f"\\mathrm{{{escape(text)}}}" if text.isalnum() else _words(text)
            )
        case Row(items):
            return "".join(_spaced(items))
        case Scripts(base, sub, sup):
            return _scripts(base, sub, sup)
        case Fraction(top, bottom):
            return f"\\frac{{{formula(top)}}}{{{formula(bottom)}}}"
        case Big():
            return _big(math)
        case Fenced("√", body, _):
            return f"\\sqrt{{{formula(body)}}}"
        case Fenced(left, body, right):
            return _fenced(left, body, right)
        case Hued(number, body):
            return f"{{\\color{{tap{hue(number)}}}{formula(body)}}}"
        case Grid(rows, left, _):
            kind = _MATRIX[left]
            cells = " \\\\ ".join(" & ".join(formula(cell) for cell in row) for row in rows)
            return f"\\begin{{{kind}}} {cells} \\end{{{kind}}}"
        case Cases(rows):
            lines = " \\\\ ".join(f"{formula(a)} & {_test(b)}" for a, b in rows)
            return f"\\begin{{cases}} {lines} \\end{{cases}}"
    raise TypeError(f"no LaTeX for {type(math).__name__}")


def in_line(math: Math) -> str:
    """The formula within a sentence, where a derivative reads better with a slash."""
    match math:
        case Fraction(Row((Operator("∂"), *_)) as top, Row((Operator("∂"), *_)) as bottom):
            return f"{formula(top)}/{formula(bottom)}"
    return formula(math)


def _words(text: str) -> str:
    return f"\\text{{{escape(text)}}}"


def _test(math: Math) -> str:
    return _words(math.text) if isinstance(math, Upright) else f"\\text{{if }}{formula(math)}"


def symbol(name: str) -> str:
    r"""``O_h`` → ``O_{h}``, ``beta`` → ``\beta``, ``c'`` → ``c'``."""
    parts = letter(name)
    out = f"\\{parts.base.rstrip('_')}" if parts.base in GREEK else parts.base
    if len(parts.base) > 1 and parts.base not in GREEK:
        out = f"\\mathit{{{escape(parts.base)}}}"
    if parts.sub:
        sub = escape(parts.sub).replace("\\_", ",")
        short = len(parts.sub) == 1 or parts.sub.isdigit()
        out += f"_{{{sub}}}" if short else f"_{{\\mathrm{{{sub}}}}}"
    return out + parts.marks.replace("*", "^{*}")


def _spaced(items: tuple[Math, ...]) -> list[str]:
    """Items side by side; commands that end in a letter are kept from the next letter."""
    out: list[str] = []
    for number, item in enumerate(items):
        text = formula(item)
        if item == _TIMES and isinstance(items[number - 1], Numeral):
            continue  # 2i needs no space, s i does
        if out and text[:1].isalpha() and out[-1].rstrip("'") and _command_end(out[-1]):
            text = " " + text
        out.append(text)
    return out


def _command_end(text: str) -> bool:
    head, slash, tail = text.rpartition("\\")
    return bool(slash) and tail.isalpha() and not head.endswith("\\")


def _scripts(base: Math, sub: Math | None, sup: Math | None) -> str:
    out = formula(base)
    if not (isinstance(base, Symbol | Upright) and "_" not in out and "^" not in out):
        out = f"{{{out}}}"
    if isinstance(base, Symbol) and "'" in out and sup is not None:
        out = f"{{{out}}}"
    if sub is not None:
        out += f"_{{{formula(sub)}}}"
    if sup is not None:
        out += f"^{{{formula(sup)}}}"
    return out


def _big(math: Big) -> str:
    sign = _BIG.get(math.text, f"\\operatorname*{{{math.text}}}")
    lines = [formula(line) for line in math.under]
    stacked = " \\\\ ".join(lines)
    under = stacked if len(lines) == 1 else f"\\substack{{{stacked}}}"
    over = f"^{{{formula(math.over)}}}" if math.over is not None else ""
    return f"{sign}_{{{under}}}{over} {formula(math.body)}"


def tall(math: Math) -> bool:
    """Whether a delimiter around this has to grow."""
    match math:
        case Fraction() | Big() | Grid() | Cases():
            return True
        case Row(items):
            return any(tall(item) for item in items)
        case Fenced(_, body, _) | Hued(_, body):
            return tall(body)
    return False


def _fenced(left: str, body: Math, right: str) -> str:
    close = "\\rvert " if right == "|" else _FENCES.get(right, right)
    opened = _FENCES.get(left, left)
    if tall(body):
        return f"\\left{opened} {formula(body)} \\right{close}"
    return f"{opened}{formula(body)}{close}"


def width(math: Math, scale: float = 1.0) -> float:
    """How wide the formula will be in points at 11 pt, rather too wide than too narrow."""
    match math:
        case Symbol(name):
            parts = letter(name)
            base = 1 if parts.base in GREEK else len(parts.base)
            return scale * (7.0 * base + 4.5 * len(parts.sub) + 3.5 * len(parts.marks))
        case Numeral(text) | Upright(text):
            return scale * 5.8 * len(text)
        case Operator(text):
            return scale * _operator_width(text, scale)
        case Row(items):
            return sum(width(item, scale) for item in items)
        case Scripts(base, sub, sup):
            small = max(width(s, 0.72) for s in (sub, sup, Row(())) if s is not None)
            return width(base, scale) + small
        case Fraction(top, bottom):
            return 3 + max(width(top, scale), width(bottom, scale))
        case Big(text, under, body):
            low = max((width(line, 0.72) for line in under), default=0.0)
            return max(low, 16.0 if len(text) == 1 else 6.0 * len(text)) + 3 + width(body, scale)
        case Fenced(_, body, _):
            return 10 * scale + width(body, scale)
        case Hued(_, body):
            return width(body, scale)
        case Grid(rows, _, _):
            columns = zip(*rows, strict=True)
            return 12 + sum(10 + max(width(cell) for cell in column) for column in columns)
        case Cases(rows):
            return 30 + max(width(a) for a, _ in rows) + max(width(b) for _, b in rows)
    return 0.0


def _operator_width(text: str, scale: float) -> float:
    if scale < 1:  # no room around operators in subscripts
        return 3.5 if text in (",", "\u2062") else 8.0
    return {",": 5.5, "\u2062": 2.0, "/": 5.5, "∂": 6.5, "+=": 22.0, " ": 11.0}.get(text, 14.5)
