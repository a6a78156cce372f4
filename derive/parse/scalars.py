"""The right-hand side of one equation: syntax tree to Expr, node by node of a whitelist.

Whatever is not listed here is refused with a caret; nothing is simplified, so that the notes
show what a person wrote.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from fractions import Fraction

from ..affine import Affine
from ..errors import EquationError
from ..expressions import (
    Bracket,
    Call,
    Equal,
    Expr,
    Index,
    Number,
    Read,
    Reduce,
    Within,
    children,
    free_names,
)
from ..functions import REDUCERS
from ..names import CALLABLE, WORDS
from .remedies import check_arity, no_such_function, no_such_reducer, unknown
from .roles import is_reducer
from .source import MAX_EXPONENT, Source
from .subscripts import Indexing

Scope = frozenset[str]

_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_COMPARE = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}


@dataclass
class Reader:
    """Builds the expression of one equation and notes every read with its node.

    ``places``  every read in order, those inside ``inside(...)`` included
    ``integer`` tensors of class indices, found under ``delta``
    """

    source: Source
    indexing: Indexing
    places: list[tuple[Read, ast.expr]] = field(default_factory=list)
    integer: set[str] = field(default_factory=set)

    def scalar(self, node: ast.expr, scope: Scope) -> Expr:
        """The expression that a syntax tree stands for."""
        match node:
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return Number(Fraction(self.source.segment(node)))
            case ast.Name():
                return self._name(node, scope)
            case ast.Subscript():
                return self._read(node, scope)
            case ast.UnaryOp(op=ast.USub()):
                return -self.scalar(node.operand, scope)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.scalar(node.operand, scope)
            case ast.BinOp():
                return self._binary(node, scope)
            case ast.Call():
                return self._call(node, scope)
            case ast.Compare():
                what = "a comparison stands only in the condition of where"
                remedy = f"write where({self.source.segment(node)}, 1, 0)"
                raise self.source.error(node, what, remedy)
        raise unknown(self.source, node)

    # -- names and reads ------------------------------------------------------------------
    def _name(self, node: ast.Name, scope: Scope) -> Expr:
        name, roles = node.id, self.indexing.roles
        if name == "pi":
            return Call("pi", ())
        if name in scope:
            return Index(Affine.of(name))
        if name in roles.bound[self.indexing.number]:
            raise self.indexing.out_of_scope(node)
        if name in roles.integers and name not in roles.tensors:
            return Index(self.indexing.affine(node, scope))
        if name in WORDS:
            how = f"{name}[u](...)" if name in REDUCERS else f"{name}(...)"
            raise self.source.error(node, f"{name} is a word of the language", f"write {how}")
        return self._note(node, Read(name, ()))

    def _read(self, node: ast.Subscript, scope: Scope) -> Read:
        if is_reducer(node):
            text = self.source.segment(node)
            raise self.source.error(node, f"{text} lacks its argument", f"write {text}(...)")
        if not isinstance(node.value, ast.Name):
            what = "only a tensor's name stands before [ ]"
            remedy = "write all subscripts in one pair of brackets: x[c,i]"
            raise self.source.error(node.value, what, remedy)
        if node.value.id in WORDS:
            raise no_such_reducer(self.source, node.value)
        axes = self.indexing.subscripts(node, scope)
        return self._note(node, Read(node.value.id, axes))

    def _note(self, node: ast.expr, read: Read) -> Read:
        self.indexing.check(node.value if isinstance(node, ast.Subscript) else node, "tensor")  # type: ignore[arg-type]  # both are names
        self.places.append((read, node))
        return read

    # -- operators ------------------------------------------------------------------------
    def _binary(self, node: ast.BinOp, scope: Scope) -> Expr:
        fn = _BINARY.get(type(node.op))
        if fn is None:
            remedy = "there are + - * / and ** (a power)"
            raise self.source.error(node, "this operator is not in the language", remedy)
        left = self.scalar(node.left, scope)
        right = self.scalar(node.right, scope)
        if fn == "pow":
            return self._power(node, left, right)
        if fn == "div" and _constant(right) == 0:
            raise self.source.error(node.right, "division by zero", "a denominator is not 0")
        return Call(fn, (left, right))

    def _power(self, node: ast.BinOp, base: Expr, exponent: Expr) -> Expr:
        """A constant exponent becomes one Number, so that ``x**-1`` and ``x**(1/2)`` are exact."""
        value = _constant(exponent)
        if value is None:
            return Call("pow", (base, exponent))
        if abs(value) * _tower(base) > MAX_EXPONENT:
            what = f"the exponents multiply to {abs(value) * _tower(base)}"
            raise self.source.error(node, what, f"exponents go up to {MAX_EXPONENT}")
        if value < 0 and _constant(base) == 0:
            raise self.source.error(node, "division by zero", "a denominator is not 0")
        return Call("pow", (base, Number(value)))

    # -- calls ----------------------------------------------------------------------------
    def _call(self, node: ast.Call, scope: Scope) -> Expr:
        for odd in (*node.keywords, *(a for a in node.args if isinstance(a, ast.Starred))):
            where = odd.value if isinstance(odd, ast.keyword) else odd
            raise self.source.error(where, "arguments are plain expressions", "write exp(x[i])")
        if isinstance(node.func, ast.Subscript):
            return self._reduce(node, node.func, scope)
        if not isinstance(node.func, ast.Name):
            remedy = "a product needs its *; functions are called by name alone, as exp(x[i])"
            raise self.source.error(node.func, "this cannot be called", remedy)
        name = node.func.id
        if name not in CALLABLE and name not in ("delta", "inside"):
            raise no_such_function(self.source, self.indexing.roles.tensors, node, node.func)
        check_arity(self.source, node, name)
        if name == "delta":
            return self._delta(node, scope)
        if name == "inside":
            return self._inside(node, scope)
        if name == "where":
            condition = self._condition(node.args[0], scope)
            return Call("where", (condition, *(self.scalar(a, scope) for a in node.args[1:])))
        return Call(name, tuple(self.scalar(a, scope) for a in node.args))

    def _condition(self, node: ast.expr, scope: Scope) -> Expr:
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            fn = _COMPARE.get(type(node.ops[0]), "")
            sides = (self.scalar(node.left, scope), self.scalar(node.comparators[0], scope))
            return Call(fn, sides)
        if isinstance(node, ast.Compare):
            remedy = "one comparison a condition: where(a < b, where(b < c, 1, 0), 0)"
            raise self.source.error(node, "comparisons do not chain", remedy)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("delta", "inside")
        ):
            return self.scalar(node, scope)
        raise self.source.error(
            node,
            "where needs a condition first",
            "a comparison (== != < <= > >=), delta(...) or inside(...)",
        )

    def _delta(self, node: ast.Call, scope: Scope) -> Expr:
        sides = [self._side(arg, scope) for arg in node.args]
        match sides:
            case [Affine() as left, Affine() as right]:
                return Bracket((Equal(left, right),))
            case [Affine() as index, Read() as read] | [Read() as read, Affine() as index]:
                self.integer.add(read.tensor)
                return Call("eq", (Index(index), read))
        what = "delta compares indices, or an index with a tensor"
        text = " == ".join(self.source.segment(arg) for arg in node.args)
        raise self.source.error(node, what, f"for two tensors write where({text}, 1, 0)")

    def _side(self, node: ast.expr, scope: Scope) -> Affine | Read:
        if isinstance(node, ast.Subscript):
            return self._read(node, scope)
        if isinstance(node, ast.Name):
            side = self._name(node, scope)
            if isinstance(side, Index):
                return side.value
            if isinstance(side, Read):
                return side
        return self.indexing.affine(node, scope)

    def _inside(self, node: ast.Call, scope: Scope) -> Expr:
        """Conditions for the axes that can be missed; a plain index never leaves its axis."""
        if not isinstance(node.args[0], ast.Subscript) or is_reducer(node.args[0]):
            what = "inside asks whether a read falls into its tensor"
            raise self.source.error(node.args[0], what, "write inside(x[i+u-p])")
        read = self._read(node.args[0], scope)
        conditions = tuple(
            Within(axis[0], Affine.of(axis_extent(read.tensor, number)))
            for number, axis in enumerate(read.axes)
            if len(axis) == 1 and axis[0].bare not in scope
        )
        return Bracket(conditions) if conditions else Number(Fraction(1))

    def _reduce(self, node: ast.Call, func: ast.Subscript, scope: Scope) -> Expr:
        if not is_reducer(func):
            raise no_such_reducer(self.source, func.value)
        op = self.source.segment(func.value)
        over = self._over(func, scope)
        if len(node.args) != 1:
            what = f"{op}[...] takes 1 argument, not {len(node.args)}"
            raise self.source.error(node, what, f"write {self.source.segment(func)}(...)")
        body = self.scalar(node.args[0], scope | frozenset(over))
        used = free_names(body)
        for name in over:
            if name not in used:
                what = f"{op} binds {name}, but nothing inside uses it"
                others = ",".join(n for n in over if n != name)
                remedy = f"leave {name} out" + (f": {op}[{others}](...)" if others else "")
                raise self.source.error(func, what, remedy)
        return Reduce(op, over, body)

    def _over(self, func: ast.Subscript, scope: Scope) -> tuple[str, ...]:
        items = func.slice.elts if isinstance(func.slice, ast.Tuple) else [func.slice]
        op = self.source.segment(func.value)
        over: list[str] = []
        for item in items:
            if not isinstance(item, ast.Name):
                raise self.source.error(item, f"{op} runs over indices only", f"write {op}[u](...)")
            self.indexing.check(item, "index")
            if item.id in over:
                raise self.source.error(item, f"{op} names index {item.id} twice", "name it once")
            if item.id in scope:
                raise self._bound_twice(item)
            over.append(item.id)
        if not over:
            raise self.source.error(func, f"{op} runs over no index", f"write {op}[u](...)")
        return tuple(over)

    def _bound_twice(self, node: ast.Name) -> EquationError:
        if node.id in self.indexing.roles.left[self.indexing.number]:
            what = f"index {node.id} stands on the left and is reduced on the right"
        else:
            what = f"index {node.id} is bound already by a reducer around this one"
        return self.source.error(node, what, "choose another letter here")


def axis_extent(tensor: str, axis: int) -> str:
    """Stands for how long an axis is, until extents have names (``#`` is in no name)."""
    return f"{tensor}#{axis}"


def _constant(expr: Expr) -> Fraction | None:
    """The exact value of an expression of numbers and + - * / ** only."""
    match expr:
        case Number(value):
            return value
        case Call("neg", (inner,)):
            positive = _constant(inner)
            return None if positive is None else -positive
        case Call("pow", (first, Number(exponent))) if exponent.denominator == 1:
            base = _constant(first)
            if base is None or (base == 0 and exponent < 0):
                return None
            return Fraction(base**exponent.numerator)
        case Call("add" | "sub" | "mul" | "div" as fn, (first, second)):
            left, right = _constant(first), _constant(second)
            if left is None or right is None or (fn == "div" and right == 0):
                return None
            if fn == "div":
                return left / right
            return {"add": left + right, "sub": left - right, "mul": left * right}[fn]
    return None


def _tower(expr: Expr) -> Fraction:
    """The largest product of constant exponents on a way down."""
    below = max((_tower(child) for child in children(expr)), default=Fraction(1))
    match expr:
        case Call("pow", (_, Number(value))):
            return max(abs(value), Fraction(1)) * below
    return below
