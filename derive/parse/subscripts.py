"""Index expressions: ``s*i + d*u - p`` as an Affine, and subscripts as tuples of them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from ..affine import Affine
from ..errors import EquationError
from ..expressions import Subscript
from .roles import Roles, lone_names, sum_over
from .source import Source


@dataclass(frozen=True)
class Indexing:
    """Reads the index expressions of one equation (number ``number`` of the text)."""

    source: Source
    roles: Roles
    number: int
    value: ast.expr
    check: Callable[[ast.Name, str], None]

    def subscripts(self, node: ast.Subscript, scope: frozenset[str]) -> tuple[Subscript, ...]:
        """Everything between the brackets; ``(g,c)`` composes one axis, row-major."""
        inner = node.slice
        if isinstance(inner, ast.Tuple) and not inner.elts:
            raise self.source.error(node, "there is nothing in the brackets", _NO_AXES)
        if isinstance(inner, ast.Tuple) and not self._parenthesised(inner):
            return tuple(self._axis(part, scope) for part in inner.elts)
        return (self._axis(inner, scope),)

    def _parenthesised(self, node: ast.Tuple) -> bool:
        """``x[(g,c)]`` has one axis and ``x[g,c]`` two: the tree is the same, the text is not."""
        text = self.source.segment(node)
        depth = 0
        for position, character in enumerate(text):
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                return position == len(text) - 1 and text.startswith("(")
        return False

    def _axis(self, node: ast.expr, scope: frozenset[str]) -> Subscript:
        if not isinstance(node, ast.Tuple):
            return (self.affine(node, scope, whole=True),)
        for part in node.elts:
            if not isinstance(part, ast.Name) or (
                part.id in self.roles.integers and part.id not in scope
            ):
                if isinstance(part, ast.Name):
                    self.affine(part, scope, whole=True)
                raise self.source.error(
                    part,
                    "an axis is composed of plain indices only, as in x[(g,c)]",
                    "put arithmetic into an axis of its own",
                )
        if len(node.elts) < 2:
            raise self.source.error(
                node, "a composed axis has at least two indices, as in x[(g,c)]", _INTEGERS
            )
        return tuple(self.affine(part, scope, whole=True) for part in node.elts)

    def affine(self, node: ast.expr, scope: frozenset[str], *, whole: bool = False) -> Affine:
        """An index expression; ``whole`` says that it is all of a subscript."""
        match node:
            case ast.Name():
                return self._name(node, scope, whole)
            case ast.Constant(value=bool()) | ast.Constant(value=None):
                raise self._no_index_expression(node)
            case ast.Constant(value=int(value)):
                return Affine.of(value)
            case ast.Constant(value=float()):
                raise self.source.error(
                    node, f"{self.source.segment(node)} is no integer", _INTEGERS
                )
            case ast.UnaryOp(op=ast.USub()):
                return -self.affine(node.operand, scope)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.affine(node.operand, scope)
            case ast.BinOp(op=ast.Add()):
                return self.affine(node.left, scope) + self.affine(node.right, scope)
            case ast.BinOp(op=ast.Sub()):
                return self.affine(node.left, scope) - self.affine(node.right, scope)
            case ast.BinOp(op=ast.Mult()):
                return self._product(node, scope)
        raise self._no_index_expression(node)

    def _product(self, node: ast.BinOp, scope: frozenset[str]) -> Affine:
        left, right = self.affine(node.left, scope), self.affine(node.right, scope)
        both = [[n for n in side.names if n in scope] for side in (left, right)]
        if all(both):
            raise self.source.error(
                node,
                f"{both[0][0]} times {both[1][0]}: index expressions are affine",
                "indices are multiplied by integers and named integers only, as in s*i + d*u - p",
            )
        return left * right

    def _name(self, node: ast.Name, scope: frozenset[str], whole: bool) -> Affine:
        name = node.id
        if name in scope:
            return Affine.of(name)
        if name in self.roles.bound[self.number]:
            raise self.out_of_scope(node)
        if name in self.roles.tensors or name in self.roles.outputs:
            raise self._tensor(node)
        if whole:
            raise self._lone(scope)
        if name in self.roles.indices:
            raise self.source.error(
                node,
                f"{name} is an index of another equation and has no range here",
                f"sum over it: sum[{name}](...), or choose another name for the integer",
            )
        self.check(node, "integer")
        return Affine.of(name)

    def out_of_scope(self, node: ast.Name) -> EquationError:
        """An index outside of the reducer that binds it."""
        return self.source.error(
            node,
            f"index {node.id} stands outside of the reducer that binds it",
            f"{node.id} has values only inside the parentheses after [{node.id}]; "
            "move them, or add a reducer",
        )

    def _lone(self, scope: frozenset[str]) -> EquationError:
        known = scope | self.roles.bound[self.number] | self.roles.tensors
        lone = lone_names(self.value, known | frozenset(self.roles.outputs))
        names = list(dict.fromkeys(name.id for name in lone))
        what = f"{_list('index', 'indices', names)} on the right alone"
        them = "it" if len(names) == 1 else "them"
        remedy = f"sum over {them}: {sum_over(self.source, self.value, lone)}"
        if names == ["n"]:
            mean = sum_over(self.source, self.value, lone).replace("sum[", "mean[", 1)
            remedy = f"a batch index stands on the left too, unless it is reduced: {mean}"
        return self.source.error(lone[0], what, remedy)

    def _tensor(self, node: ast.Name) -> EquationError:
        return self.source.error(
            node,
            f"{node.id} is a tensor and cannot stand in a subscript",
            f"compare it with an index instead: sum[k](delta(k, {node.id}) * x[k])",
        )

    def _no_index_expression(self, node: ast.expr) -> EquationError:
        text = self.source.segment(node)
        match node:
            case ast.BinOp(op=ast.Div() | ast.FloorDiv()):
                return self.source.error(node, "an index expression has no division", _INTEGERS)
            case ast.Subscript():
                remedy = f"compare it with an index instead: sum[k](delta(k, {text}) * x[k])"
                what = "a tensor cannot stand in a subscript"
                return self.source.error(node, what, remedy)
        return self.source.error(node, f"{text} is no index expression", _INTEGERS)


_NO_AXES = "a tensor without axes is written without brackets"
_INTEGERS = "index expressions are sums of integers, indices and their integer multiples: s*i+d*u-p"


def _list(one: str, many: str, names: list[str]) -> str:
    if len(names) == 1:
        return f"{one} {names[0]} stands"
    return f"{many} {', '.join(names[:-1])} and {names[-1]} stand"
