"""What to write instead: errors about calls and about syntax that is not in the language."""

from __future__ import annotations

import ast
from difflib import get_close_matches

from ..errors import EquationError
from ..functions import FUNCTIONS, REDUCERS
from ..names import CALLABLE, OPERATORS, WORDS
from .source import Source


def check_arity(source: Source, node: ast.Call, name: str) -> None:
    """Raise unless a function has as many arguments as it takes."""
    arity = {"delta": 2, "inside": 1}.get(name) or FUNCTIONS[name].arity
    if len(node.args) != arity:
        shown = ", ".join("abc"[:arity])
        what = f"{name} takes {_counted(arity, 'argument')}, not {len(node.args)}"
        remedy = {
            "delta": "write delta(i, j) for two indices, delta(i, t[...]) for a class index",
            "inside": "write inside(x[i+u-p])",
            "where": "write where(condition, value, value otherwise)",
        }.get(name, f"write {name}({shown})")
        raise source.error(node, what, remedy)


def no_such_function(
    source: Source, tensors: frozenset[str], node: ast.Call, func: ast.Name
) -> EquationError:
    """A call of a name that is no function."""
    name = func.id
    args = ", ".join(source.segment(arg) for arg in node.args)
    if name in OPERATORS:
        remedy = f"it is written {OPERATORS[name]}"
    elif name in ("max", "min") and len(node.args) == 2:
        remedy = f"of two values: {name}imum({args}); over an index: {name}[u](...)"
    elif name in REDUCERS:
        remedy = f"name the index it runs over: {name}[u]({args})"
    elif name == "pi":
        remedy = "write pi without parentheses"
    elif name in tensors:
        remedy = f"a tensor is read with brackets, {name}[{args}]; a product needs its *"
    else:
        remedy = _did_you_mean(name, [*CALLABLE, "delta", "inside", *REDUCERS])
    what = f"{name} is not called like this" if name in WORDS else f"no function {name}"
    return source.error(func, what, remedy)


def no_such_reducer(source: Source, node: ast.expr) -> EquationError:
    """A name with brackets and arguments that is no reducer."""
    name = source.segment(node)
    if name in CALLABLE:
        what = f"{name} is a function, its argument stands in parentheses"
        return source.error(node, what, f"write {name}(...)")
    close = get_close_matches(name.lower(), REDUCERS, n=1)
    remedy = f"the reducers are {', '.join(REDUCERS)}; a product needs its *"
    remedy = f"did you mean {close[0]}[...](...)?" if close else remedy
    return source.error(node, f"no reducer {name}", remedy)


def unknown(source: Source, node: ast.expr) -> EquationError:
    """A piece of Python that the language has no use for."""
    match node:
        case ast.Tuple() | ast.List():
            what, remedy = "a list of values is no expression", "one value an entry"
        case ast.Attribute():
            what = "names have no dots"
            remedy = f"write {node.attr} alone"
        case _:
            what, remedy = "this is not in the language", "see the README for what is"
    return source.error(node, what, remedy)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _did_you_mean(name: str, known: list[str]) -> str:
    close = get_close_matches(name.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else f"the functions are {', '.join(known)}"
