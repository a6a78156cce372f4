"""Scalar functions and index conditions as array expressions."""

from __future__ import annotations

from fractions import Fraction

from ..affine import Affine
from ..errors import NotDerivable
from ..expressions import Condition, Divides, Equal, Index, Within
from ..programs import Array, Binary, Invoke, Literal, Method, Name, Unary, names
from .scope import Scope
from .values import Value, aligned, elementwise, in_order, merged

OPERATORS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "pow": "**",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")

CALLS = {
    "exp": "np.exp",
    "log": "np.log",
    "expm1": "np.expm1",
    "log1p": "np.log1p",
    "sqrt": "np.sqrt",
    "sin": "np.sin",
    "cos": "np.cos",
    "tanh": "np.tanh",
    "abs": "np.abs",
    "sign": "np.sign",
    "maximum": "np.maximum",
    "minimum": "np.minimum",
    "where": "np.where",
    "erf": "_erf",
}


def apply(fn: str, args: tuple[Value, ...], order: tuple[str, ...]) -> Value:
    """The function of already evaluated arguments, broadcast against each other."""
    labels = in_order(merged((), *(a.labels for a in args)), order)
    if fn == "neg":
        return Value(Unary("-", args[0].array), labels)
    if fn not in COMPARISONS:  # True + True would be True
        args = tuple(a if fn == "where" and k == 0 else as_number(a) for k, a in enumerate(args))
    if fn in OPERATORS:
        found = elementwise(OPERATORS[fn], args[0], args[1], order)
        return Value(found.array, found.labels, mask=fn in COMPARISONS)
    arrays = tuple(aligned(a, labels) for a in args)
    found_array = _call(fn, arrays)
    if fn == "where" and not any(a.labels or _variable(a) for a in args[1:]):
        # NumPy makes int64 or float64 of two numbers
        return Value(Method(found_array, "astype", (Name("dtype"),)), labels)
    if not labels and not _variable(Value(found_array)):
        return Value(_python_number(fn, arrays), labels)
    return Value(found_array, labels)


def _variable(value: Value) -> bool:
    return any(True for _ in names(value.array))


def _python_number(fn: str, args: tuple[Array, ...]) -> Array:
    """A function of constants as a Python float: NumPy's own would widen float32 arrays."""
    if fn == "pi":
        return _call(fn, args)
    if fn == "sqrt":
        return Binary("**", args[0], Literal("0.5"))
    return Invoke("float", (_call(fn, args),))


def _call(fn: str, args: tuple[Array, ...]) -> Array:
    if fn in CALLS:
        return Invoke(CALLS[fn], args)
    zero = Literal("0")
    match fn:
        case "pi":
            return Literal("np.pi")
        case "relu":
            return Invoke("np.maximum", (args[0], zero))
        case "softplus":
            return Invoke("np.logaddexp", (zero, args[0]))
        case "sigmoid":
            return Invoke("_sigmoid", args)
    raise NotDerivable(f"no NumPy form is known for the function {fn}")


def constant(value: Fraction) -> Value:
    """A rational number as a literal."""
    if value.denominator == 1:
        return Value(Literal(str(value.numerator)))
    return Value(Binary("/", Literal(str(value.numerator)), Literal(str(value.denominator))))


def index_value(value: Affine, scope: Scope) -> Value:
    """An index expression as an array of integers."""
    total: Value | None = None
    fixed = [not m or m[0] in scope.loops or not scope.runs(m[0]) for m, _ in value.terms]
    rest = Affine([term for term, still in zip(value.terms, fixed, strict=True) if still])
    for (monomial, coefficient), still in zip(value.terms, fixed, strict=True):
        if still:
            continue
        label = monomial[0]
        term: Array = Invoke("np.arange", (Literal(str(scope.sizes[label])),))
        if coefficient != 1:
            term = Binary("*", Literal(str(coefficient)), term)
        part = Value(term, (label,))
        total = part if total is None else elementwise("+", total, part, scope.order)
    if total is None:
        return Value(Literal(str(rest).replace("*", " * ")))
    if rest.terms:
        below = rest.number is not None and rest.number < 0
        text = Value(Literal(str(-rest if below else rest).replace("*", " * ")))
        total = elementwise("-" if below else "+", total, text, scope.order)
    return total


def condition_value(condition: Condition, scope: Scope) -> Value:
    """An index condition as a boolean array."""
    zero = constant(Fraction(0))
    match condition:
        case Equal(left, right):
            sides = index_value(left, scope), index_value(right, scope)
            found = elementwise("==", *sides, scope.order)
        case Divides(divisor, value):
            rest = elementwise(
                "%", index_value(value, scope), index_value(divisor, scope), scope.order
            )
            found = elementwise("==", rest, zero, scope.order)
        case Within(value, extent):
            top = extent * value.denominator
            inner = _named(value.numerator, scope)
            above = elementwise(">=", inner, zero, scope.order)
            below = elementwise("<", inner, index_value(top, scope), scope.order)
            found = elementwise("&", above, below, scope.order)
    return Value(found.array, found.labels, mask=True)


def _named(value: Affine, scope: Scope) -> Value:
    """An index expression as a variable, if it is more than a number."""
    key = Index(value)
    if key not in scope.known:
        found = index_value(value, scope)
        if not found.labels:
            return found
        name = scope.name("place", f"place_{''.join(found.labels)}")
        scope.assign(name, found.array)
        scope.known[key] = Value(Name(name), found.labels)
    return scope.known[key]


def as_number(value: Value) -> Value:
    """A boolean array as zeros and ones of the function's dtype."""
    if not value.mask:
        return value
    return Value(Method(value.array, "astype", (Name("dtype"),)), value.labels)
