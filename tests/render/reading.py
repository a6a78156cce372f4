"""Displayed equations read back, from LaTeX, from Typst and from the document itself.

Three small readers, none of which knows the printers, give the same flat list of tokens for the
same equation: letters and signs one by one, and words for structure. Spaces and signs of
multiplication, which a line break may add, are not tokens.
"""

from __future__ import annotations

import re

from derive.documents import (
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
from derive.render.hues import HUES

GREEK = dict(
    zip(
        re.findall(
            r"\w+",
            "alpha beta gamma delta epsilon eta theta kappa lambda mu nu pi rho sigma tau phi chi "
            "psi omega",
        ),
        "αβγδεηθκλμνπρστφχψω",
        strict=True,
    )
)
DROPPED = set(" \u2062·") | {""}

Tokens = list[str]


def letters(text: str) -> Tokens:
    """The characters of a word; a hyphen is a minus, an asterisk the operator."""
    return [{"-": "−", "*": "∗"}.get(c, c) for c in text if c not in DROPPED]


def merged(tokens: Tokens) -> Tokens:
    """A superscript behind a superscript is one superscript: ``f'^{*}`` is ``f^{'*}``."""
    out: Tokens = []
    for token in tokens:
        if token == "^[" and out[-1:] == ["^]"]:
            out.pop()
        else:
            out.append(token)
    return out


# -- the document ------------------------------------------------------------------------------
def of_math(math: Math) -> Tokens:
    """The tokens of a formula of a document."""
    match math:
        case Symbol(name):
            return _name(name)
        case Numeral(text) | Upright(text) | Operator(text):
            return letters(text)
        case Row(items):
            return [t for item in items for t in of_math(item)]
        case Scripts(base, sub, sup):
            return of_math(base) + _scripts(sub, sup)
        case Fraction(top, bottom):
            return ["frac[", *of_math(top), "|", *of_math(bottom), "]"]
        case Big(text, under, body, over):
            below = [";".join(" ".join(of_math(line)) for line in under)] if under else []
            low = ["_[", *" ".join(below).replace(";", " ; ").split(), "_]"] if below else []
            return letters(text) + low + _scripts(None, over) + of_math(body)
        case Fenced("√", body, _):
            return ["sqrt[", *of_math(body), "]"]
        case Fenced(left, body, right):
            return letters(left) + of_math(body) + letters(right)
        case Grid(rows, left, _):
            return [f"mat{left}", *_table(rows), "]"]
        case Cases(rows):
            out = [
                [of_math(a), ([] if isinstance(b, Upright) else ["i", "f"]) + of_math(b)]
                for a, b in rows
            ]
            return ["cases", *_rows(out), "]"]
        case Hued(number, body):
            return [f"tap{number % len(HUES)}[", *of_math(body), "]"]
    raise TypeError(type(math).__name__)


def _name(name: str) -> Tokens:
    base, _, marks = re.fullmatch(r"(.*?)(?<!^)(_?)(['*]*)", name).groups()
    head, _, sub = base.partition("_")
    if not sub and (digits := re.fullmatch(r"([A-Za-z]+)(\d\w*)", head)):
        head, sub = digits.groups()
    out = letters(GREEK.get(head, head))
    if sub:
        out += ["_[", *letters(sub.replace("_", ",")), "_]"]
    if marks:
        out += ["^[", *("′" if m == "'" else "∗" for m in marks), "^]"]
    return out


def _scripts(sub: Math | None, sup: Math | None) -> Tokens:
    low = ["_[", *of_math(sub), "_]"] if sub is not None else []
    return low + (["^[", *of_math(sup), "^]"] if sup is not None else [])


def _table(rows: tuple[tuple[Math, ...], ...]) -> Tokens:
    return _rows([[of_math(cell) for cell in row] for row in rows])


def _rows(rows: list[list[Tokens]]) -> Tokens:
    out: Tokens = []
    for k, row in enumerate(rows):
        out += [";"] if k else []
        for j, cell in enumerate(row):
            out += ["&"] * bool(j) + cell
    return out


# -- LaTeX -------------------------------------------------------------------------------------
_TEX_SIGNS = {
    "cdot": "", "partial": "∂", "le": "≤", "ge": "≥", "ne": "≠", "mid": "∣", "in": "∈",
    "star": "⋆", "ast": "∗", "leftarrow": "←", "to": "→", "mapsto": "↦", "cdots": "⋯",
    "dots": "…", "top": "⊤", "times": "×", "infty": "∞", "odot": "⊙", "prime": "′", "sum": "∑",
    "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "lvert": "|", "rvert": "|",
    "langle": "⟨", "rangle": "⟩", "{": "{", "}": "}", ",": "", "quad": "", "qquad": "",
    "approx": "≈", "_": "_", "left": "", "right": "", "max": "max", "min": "min", "exp": "exp",
    "log": "log", "tanh": "tanh", **GREEK,
}  # fmt: skip
_TEX_TOKEN = re.compile(r"\\(?:[A-Za-z]+\*?|.)|[^\\]", re.DOTALL)
_MATRICES = {"bmatrix": "mat[", "pmatrix": "mat(", "vmatrix": "mat|", "matrix": "mat"}


def of_tex(source: str) -> list[Tokens]:
    """The displayed lines of a LaTeX source, those above a listing included."""
    shape = r"\\begin\{(align|alignat)\*\}(.*?)\\end\{\1\*\}|^\\compute\{(.*?)\}$"
    found = re.finditer(shape, source, re.DOTALL | re.MULTILINE)
    return [line for display in found for line in _tex_lines(display[1], display[2] or display[3])]


def _tex_lines(kind: str | None, body: str) -> list[Tokens]:
    if kind == "alignat":
        body = re.sub(r"^\{\d+\}", "", body)
    reader = _Tex(_TEX_TOKEN.findall(body))
    lines = [reader.read(("\\\\",))]
    while reader.rest:
        reader.rest.pop(0)
        lines.append(reader.read(("\\\\",)))
    return [merged(line) for line in lines]


class _Tex:
    def __init__(self, rest: list[str]) -> None:
        self.rest = rest

    def read(self, ends: tuple[str, ...], keep: tuple[str, ...] = ()) -> Tokens:
        """Tokens up to one of ``ends``, which stays."""
        out: Tokens = []
        while self.rest and self.rest[0] not in ends:
            out += self._one(keep)
        return out

    def _one(self, keep: tuple[str, ...]) -> Tokens:
        token = self.rest.pop(0)
        if token in keep:
            return [{"\\\\": ";"}.get(token, token)]
        if token == "{":
            colour = "".join(self.rest[:3]).startswith("\\color{")
            inside = self._rest_of_group()
            return [f"{inside[0]}[", *inside[1:], "]"] if colour else inside
        if token in "_^":
            return [f"{token}[", *self._argument(), f"{token}]"]
        if token == "'":
            return ["^[", "′", "^]"]
        if token in "&\n ":
            return []
        if not token.startswith("\\"):
            return letters(token)
        return self._command(token[1:])

    def _command(self, name: str) -> Tokens:
        if name == "frac":
            return ["frac[", *self._argument(), "|", *self._argument(), "]"]
        if name == "sqrt":
            return ["sqrt[", *self._argument(), "]"]
        if name == "color":
            return [self._raw()]
        if name in ("mathrm", "mathit", "text", "operatorname*", "mathrel"):
            return self._argument()
        if name == "substack":
            self.rest.pop(0)
            return self._rest_of_group(keep=("\\\\",))
        if name == "begin":
            kind = self._raw()
            inside = self.read(("\\end",), keep=("&", "\\\\"))
            self.rest.pop(0)
            self._raw()
            return [_MATRICES.get(kind, kind), *inside, "]"]
        if name == "left" and self.rest[0] == ".":
            self.rest.pop(0)
        if name == "right" and self.rest[0] == ".":
            self.rest.pop(0)
        return letters(_TEX_SIGNS[name])

    def _argument(self) -> Tokens:
        while self.rest[0] == " ":
            self.rest.pop(0)
        return self._one(())

    def _rest_of_group(self, keep: tuple[str, ...] = ()) -> Tokens:
        inside = self.read(("}",), keep)
        self.rest.pop(0)
        return inside

    def _raw(self) -> str:
        """The text of an argument as it is."""
        assert self.rest.pop(0) == "{"
        end = self.rest.index("}")
        text = "".join(self.rest[:end])
        del self.rest[: end + 1]
        return text


# -- Typst -------------------------------------------------------------------------------------
_TYPST_TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"|(?:[a-z]+[0-9]?)(?=\()|#?[a-z]{2,}:?|[a-z]:|\\ |\\\n|\\.|.', re.DOTALL
)


def of_typst(source: str) -> list[Tokens]:
    """The displayed lines of a Typst source: formulas that have a blank inside the dollars."""
    shape = r"(?:^|\[)\$ (.*?) \$|^#compute\[\$(.*?)\$\]$"
    found = re.finditer(shape, source, re.DOTALL | re.MULTILINE)
    return [line for display in found for line in _typst_lines(display[1] or display[2])]


def _typst_lines(body: str) -> list[Tokens]:
    reader = _Typst(_TYPST_TOKEN.findall(body))
    lines = [reader.read(("\\\n",))]
    while reader.rest:
        reader.rest.pop(0)
        lines.append(reader.read(("\\\n",)))
    return [merged(line) for line in lines]


class _Typst:
    def __init__(self, rest: list[str]) -> None:
        self.rest = rest

    def read(self, ends: tuple[str, ...], keep: tuple[str, ...] = ()) -> Tokens:
        """Tokens up to one of ``ends``, which stays."""
        out: Tokens = []
        while self.rest and self.rest[0] not in ends:
            out += self._one(keep)
        return out

    def _one(self, keep: tuple[str, ...]) -> Tokens:
        token = self.rest.pop(0)
        if token in keep:
            return ["&"]
        if token in ("&", " ", "\n", "thin", "quad", "wide"):
            return []
        if token == "\\ ":
            return [";"]
        if token.startswith('"'):
            return letters(re.sub(r"\\(.)", r"\1", token[1:-1]))
        if token.startswith("\\"):
            return letters(token[1:])
        if self.rest[:1] == ["("]:
            return self._call(token)
        assert len(token) == 1, f"{token} would be looked up"
        return letters(token)

    def _call(self, name: str) -> Tokens:
        given, named = self._arguments(name)
        if name == "frac":
            return ["frac[", *given[0][0], "|", *given[0][1], "]"]
        if name == "sqrt":
            return ["sqrt[", *given[0][0], "]"]
        if name == "attach":
            out = given[0][0]
            out += ["_[", *named["b:"], "_]"] if "b:" in named else []
            return out + (["^[", *named["t:"], "^]"] if "t:" in named else [])
        if name == "mat":
            delimiter = "".join(named["delim:"]).replace("#none", "")
            return [f"mat{delimiter}", *_rows(given), "]"]
        if name == "cases":
            return ["cases", *_rows([[cell] for cell in given[0]]), "]"]
        if name.startswith("tap"):
            return [f"{name}[", *given[0][0], "]"]
        if name == "class":
            return given[0][1]
        assert name in ("lr", "op", "italic", "display")
        return given[0][0]

    def _arguments(self, name: str) -> tuple[list[list[Tokens]], dict[str, Tokens]]:
        """Arguments by rows, which semicolons end, and those with a name."""
        rows: list[list[Tokens]] = [[]]
        named: dict[str, Tokens] = {}
        keep = ("&",) if name == "cases" else ()
        end = self.rest.pop(0)
        while end != ")":
            while self.rest[0] == " ":
                self.rest.pop(0)
            key = self.rest.pop(0) if self.rest[0].endswith(":") else ""
            if self.rest[:1] == [" "]:
                self.rest.pop(0)
            value = [self.rest.pop(0)] if self.rest[0].startswith("#") else None
            value = self.read((",", ";", ")"), keep) if value is None else value
            end = self.rest.pop(0)
            if key:
                named[key] = value
            else:
                rows[-1].append(value)
            if end == ";":
                rows.append([])
        return rows, named
