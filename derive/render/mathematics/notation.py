"""Notation: how names, index expressions and conditions are shown.

``dy`` is shown as g and ``dx[a,b]`` as ∂L/∂x with subscripts; products of index names stand side
by side, as textbooks write them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ...affine import Affine
from ...documents import Fenced, Math, Numeral, Operator, Row, Symbol
from ...equations import Equation
from ...errors import UsageError
from ...expressions import Condition, Divides, Equal, Expr, Reduce, Subscript, reads, walk
from .letters import GREEK

TIMES = Operator("\u2062")
"""Invisible times: juxtaposition in print, ``·`` or ``*`` in text."""
EQUALS, PLUS, MINUS, COMMA, DEL = (Operator(c) for c in "=+−,∂")


@dataclass(frozen=True)
class Taps:
    """The kernel taps of an equation: the summed indices ``names`` that move inside a window.

    ``tensor`` is the kernel, numbered by its subscripts ``axes`` (empty for a pool, which has
    no weights); ``sizes`` say how far each index runs.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    tensor: str = ""
    axes: tuple[int, ...] = ()

    @classmethod
    def of(cls, equation: Equation) -> Taps | None:
        """The taps of an equation at sizes, None if nothing slides.

        Of several statements the first with a kernel counts, else the first with a window.
        """
        found = [t for s in equation.statements if (t := cls._of(s.rhs, equation)) is not None]
        return next((taps for taps in found if taps.tensor), found[0] if found else None)

    @classmethod
    def _of(cls, rhs: Expr, equation: Equation) -> Taps | None:
        data = {t.name for t in (*equation.data, *equation.inner) if t.batched}
        summed = {i for node in walk(rhs) if isinstance(node, Reduce) for i in node.over}
        slid = {
            name
            for read in reads(rhs)
            if read.tensor in data
            for axis in read.axes
            for part in axis
            if part.bare is None
            for name in part.names
        }
        names = tuple(i for i in equation.indices if i in summed & slid)
        sizes = tuple(n for i in names if (n := equation.extent(i).number) is not None)
        if not names or len(sizes) != len(names):
            return None
        for read in reads(rhs):
            bare = [axis[0].bare if len(axis) == 1 else None for axis in read.axes]
            if read.tensor not in data and set(names) <= set(bare):
                return cls(names, sizes, read.tensor, tuple(bare.index(i) for i in names))
        return cls(names, sizes)

    def number(self, place: tuple[int, ...]) -> int:
        """The tap's place in row-major order."""
        total = 0
        for index, size in zip(place, self.sizes, strict=True):
            total = total * size + index
        return total


@dataclass(frozen=True)
class Notation:
    """How names are shown.

    ``upstream``  the tensor that is shown as ``shown``, which is g where g is free
    ``gradients`` the tensor whose derivative a name stands for: ``dx`` → ``x``
    ``extents``   how far indices run, where that is printed (the count of a mean)
    ``base``      what numbered subscripts count from
    ``taps``      which numbered subscripts have the hue of a kernel tap
    """

    upstream: str = "dy"
    gradients: Mapping[str, str] = field(default_factory=dict)
    extents: Mapping[str, Affine] = field(default_factory=dict)
    shown: str = "g"
    base: int = 0
    taps: Taps | None = None

    @classmethod
    def of(cls, equation: Equation, wanted: str = "g", others: Collection[str] = ()) -> Notation:
        """The notation of one equation and its gradients.

        ``wanted`` is the upstream gradient: ``∂L/∂y`` (or ``dL/dy``), or a letter; a letter that
        the equation has, or one of ``others``, is a UsageError, but g: then dy stays dy.
        """
        tensors = (*equation.tensors, *equation.inner)
        gradients = {tensor.gradient: tensor.name for tensor in tensors}
        output = equation.output
        if wanted in ("∂L/∂y", "dL/dy"):
            gradients[output.gradient] = output.name
            return cls(output.gradient, gradients, dict(equation.extents), output.gradient)
        shown = _free(wanted, {*names_of(equation), *others}) or output.gradient
        return cls(output.gradient, gradients, dict(equation.extents), shown)

    @property
    def kronecker(self) -> bool:
        """Whether δ is Kronecker's, and not the letter of the upstream gradient."""
        return self.shown != "delta"

    @property
    def short(self) -> bool:
        """Whether the upstream gradient has a letter of its own."""
        return self.upstream not in self.gradients


def _free(wanted: str, taken: Collection[str]) -> str:
    """The name of the wanted letter; empty for a g that is taken."""
    names = {sign: name.rstrip("_") for name, sign in GREEK.items()}
    name = names.get(wanted, wanted)
    if name not in names.values() and not (name.isascii() and name.isalpha() and len(name) == 1):
        raise UsageError(
            f"--notation (={wanted[:20]!r}) must be ∂L/∂y (dL/dy), or one letter, such as g or δ"
        )
    if name not in taken:
        return name
    if name == "g":
        return ""
    free = [sign for sign in (*"gkmqrz", "δ") if names.get(sign, sign) not in taken]
    raise UsageError(
        f"--notation (={wanted!r}): the layer uses {wanted} already; free are {', '.join(free)}"
    )


def names_of(equation: Equation) -> set[str]:
    """Every name that formulas of an equation hold, and L."""
    tensors = (*equation.tensors, *equation.inner, equation.output)
    lengths = [*(length for tensor in tensors for length in tensor.shape)]
    lengths += [length for _, length in equation.extents]
    found = {"L", *equation.indices, *dict(equation.values), *(tensor.name for tensor in tensors)}
    found |= {name for length in lengths for name in length.names}
    return found | {name for one in equation.statements for name in one.free}


def joined(items: Iterable[Math], between: Math) -> Row:
    """The items with ``between`` between them."""
    out: list[Math] = []
    for item in items:
        out += [between, item] if out else [item]
    return Row(tuple(out))


def affine(value: Affine) -> Math:
    """``si+du−p``, ``(a+p−du)/s``."""
    top = _polynomial(value.numerator)
    if value.is_whole:
        return top
    if len(value.terms) > 1:
        top = Fenced("(", top, ")")
    bottom = _polynomial(value.denominator)
    if len(value.over) > 1:
        bottom = Fenced("(", bottom, ")")
    return Row((top, Operator("/"), bottom))


def _polynomial(value: Affine) -> Math:
    if not value.terms:
        return Numeral("0")
    items: list[Math] = []
    for monomial, coefficient in value.terms:
        if items or coefficient < 0:
            items.append(MINUS if coefficient < 0 else PLUS)
        size = abs(coefficient)
        factors: list[Math] = [] if size == 1 and monomial else [Numeral(str(size))]
        factors += [Symbol(name) for name in monomial]
        items.append(joined(factors, TIMES) if len(factors) > 1 else factors[0])
    return items[0] if len(items) == 1 else Row(tuple(items))


def subscripts(axes: tuple[Subscript, ...], notation: Notation) -> Math:
    """``n,c,i+u``; an axis composed of several indices keeps its brackets."""
    shown = []
    for axis in axes:
        parts = [affine(counted(part, notation.base)) for part in axis]
        shown.append(parts[0] if len(parts) == 1 else Fenced("(", joined(parts, COMMA), ")"))
    return shown[0] if len(shown) == 1 else joined(shown, COMMA)


def counted(value: Affine, base: int) -> Affine:
    """A subscript where its numbers, and the indices that it still has, count from ``base``."""
    return value.substitute({name: Affine.of(name) - base for name in value.names}) + base


def condition(value: Condition) -> Math:
    """``s ∣ a+p−du``, ``0 ≤ a−u < O``, ``i = a``."""
    match value:
        case Divides(divisor, whole):
            return Row((affine(divisor), Operator("∣"), affine(whole)))
        case Equal(left, right):
            return Row((affine(left), EQUALS, affine(right)))
    less, below = Operator("≤"), Operator("<")
    return Row((Numeral("0"), less, affine(value.value), below, affine(value.extent)))


_TOKEN = re.compile(r"[A-Za-z]\w*['*]?(?![\w])|\d+|[-+*/()]")
_SIGN = {"-": MINUS, "+": PLUS, "*": TIMES}


def from_text(text: str) -> Math:
    """The formula of an index expression that was kept as text: ``(a - u)/s``."""
    items: list[Math] = []
    for token in _TOKEN.findall(text):
        if token[0].isalpha():
            items.append(Symbol(token))
        else:
            items.append(Numeral(token) if token.isdigit() else _SIGN.get(token, Operator(token)))
    return items[0] if len(items) == 1 else Row(tuple(items))
