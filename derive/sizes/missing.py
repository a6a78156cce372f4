"""Which sizes are still needed, the fewest that let all others follow."""

from __future__ import annotations

from ..errors import UsageError
from .infer import follows, window_rules
from .ledger import Ledger, extent_names, integer_names, size_names, tensors_of


def refuse_missing(ledger: Ledger) -> None:
    """Raise UsageError with what to give, and how, if any name has no number."""
    names = list(dict.fromkeys(n for e in ledger.equations for n in size_names(e)))
    known = set(ledger.values)
    wanted: list[str] = []
    asked = _ask_integers(ledger, known, wanted)
    asked += _ask_tensors(ledger, known, wanted)
    while missing := [n for n in names if n not in _closed(ledger, known)]:
        known = _closed(ledger, known)
        name = _best(ledger, missing)
        index = next((i for e in ledger.equations for i, x in e.extents if x.bare == name), name)
        known.add(name)
        wanted.append(index)
        asked.append(f"{index} has no size: give it with --shape {index}=2")
    if asked:
        what = f"sizes are missing: {', '.join(wanted)}"
        raise UsageError("\n    ".join([what, *asked]))


def _ask_integers(ledger: Ledger, known: set[str], wanted: list[str]) -> list[str]:
    asked = []
    for equation in ledger.equations:
        extents = extent_names(equation)
        for name in integer_names(equation):
            if name not in known and name not in extents:
                known.add(name)
                wanted.append(name)
                asked.append(
                    f"{name} has no value: is it an index? then sum[{name}](...), "
                    f"or give its value with --shape {name}=1"
                )
    return asked


def _ask_tensors(ledger: Ledger, known: set[str], wanted: list[str]) -> list[str]:
    """Ask for the shapes of inputs: what is computed follows from them."""
    outputs = {e.output.name for e in ledger.equations}
    asked = []
    for name, tensor in tensors_of(ledger.equations).items():
        names = {n for extent in tensor.shape for n in extent.names}
        given = all((name, axis) in ledger.axes for axis in range(len(tensor.shape)))
        if given or name in outputs or names <= _closed(ledger, known):
            continue
        known |= names
        wanted.append(name)
        example = "x".join("3" for _ in tensor.shape)
        asked.append(f"{name} has no shape: give it with --shape {name}={example}")
    return asked


def _closed(ledger: Ledger, known: set[str]) -> set[str]:
    """All that follows once ``known`` is known."""
    rules = window_rules(ledger)
    known = set(known)
    while True:
        found = {
            name
            for name, uses in rules.items()
            if name not in known and follows(uses, known, ledger.values)
        }
        for name, tensor in tensors_of(ledger.equations).items():
            for axis, extent in enumerate(tensor.shape):
                unknown = set(extent.names) - known
                if len(unknown) == 1 and (name, axis) in ledger.axes:
                    found |= unknown
        if not found:
            return known
        known |= found


def _best(ledger: Ledger, missing: list[str]) -> str:
    """A reduced index first: outputs follow from windows, seldom the other way round."""
    for equation in ledger.equations:
        for index in equation.indices:
            name = equation.extent(index).bare
            if name in missing and index not in equation.output_indices:
                return name
    return missing[0]
