"""What a layer costs: numbers to train, multiply-adds a sample, weights if all were connected."""

from __future__ import annotations

from math import prod

from ..equations import Equation, Statement
from ..expressions import Call, Expr, Reduce, reads, walk
from ..graphs import TARGET, Network, Node


def trained(node: Node) -> int:
    """How many numbers a layer has to train."""
    return sum(prod(tensor.sizes()) for _, tensor in node.parameters)


def connected(node: Node, network: Network) -> int:
    """How many weights a fully connected layer between the same shapes would have."""
    inputs = sum(prod(network.shape(source)) for _, source in node.reads if source != TARGET)
    return inputs * prod(node.shape)


def multiply_adds(node: Node) -> int:
    """Products that are added up for one sample, in all statements of the layer."""
    return sum(_products(statement, node.equation) for statement in node.equation.statements)


def _products(statement: Statement, equation: Equation) -> int:
    own = [name for name in statement.lhs.names if name != equation.batch]
    total = 0
    for found in walk(statement.rhs):
        if isinstance(found, Reduce) and found.op == "sum" and _multiplies(found.body):
            indices = dict.fromkeys([*own, *(n for n in found.over if n != equation.batch)])
            total += prod(equation.extent(index).number or 1 for index in indices)
    return total


def _multiplies(body: Expr) -> bool:
    """Whether the body is a product of reads."""
    return isinstance(body, Call) and body.fn == "mul" and len(tuple(reads(body))) > 1
