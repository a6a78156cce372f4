"""The sizes known so far, each with where it came from; and the taking of what is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from operator import index

from ..affine import Affine
from ..equations import Equation, Tensor
from ..errors import EquationError, UsageError
from ..expressions import Read, Reduce, free_names, reads, walk
from ..places import Place, left_side, place_of_read

LARGEST = 10**6


@dataclass
class Ledger:
    """``values`` of names, their ``origins`` in words, and axes whose extent is no single name."""

    equations: tuple[Equation, ...]
    values: dict[str, int] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    axes: dict[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for equation in self.equations:
            for name, value in equation.values:
                self.values[name] = value
                self.origins[name] = f"{name} (={value})"

    def put(self, name: str, value: int, origin: str, blame: EquationError | None = None) -> None:
        """Note a value; a different one noted before is an error that names both."""
        known = self.values.setdefault(name, value)
        first = self.origins.setdefault(name, origin)
        if known != value:
            same = next((i for e in self.equations for i, x in e.extents if x.bare == name), "")
            what = f"{origin} contradicts {first}"
            remedy = f"both are the extent of index {same}" if same else f"both are {name}"
            if blame is None:
                raise UsageError(f"{what}: {remedy}")
            raise EquationError(what, blame.text, blame.column, blame.width, remedy)

    def known(self, value: Affine) -> int | None:
        """The number, if all of its names have one."""
        if all(name in self.values for name in value.names):
            return int(value.evaluate(self.values))
        return None

    def at(self, tensor: str, what: str, remedy: str = "") -> EquationError:
        """An error with carets under the first read of a tensor, or under the left side."""
        for equation in self.equations:
            if any(t.name == tensor for t in equation.tensors):
                column, width = place_of_read(equation.text, tensor)
                return EquationError(what, equation.text, column, width, remedy)
        equation = next(e for e in self.equations if e.output.name == tensor)
        column, width = left_side(equation.text)
        return EquationError(what, equation.text, column, width, remedy)

    def values_of(self, equation: Equation) -> tuple[tuple[str, int], ...]:
        """The numbers of one equation's names, in order of appearance."""
        return tuple((name, self.values[name]) for name in size_names(equation))


def batch_names(equation: Equation) -> tuple[str, ...]:
    """The name of the batch's extent, which never has a value."""
    return dict(equation.extents).get(equation.batch, Affine(())).names


def extent_names(equation: Equation) -> tuple[str, ...]:
    """Names in shapes and extents, in order of appearance, the batch's left out."""
    shapes = [e for t in (*equation.tensors, equation.output) for e in t.shape]
    extents = [e for i, e in equation.extents if i != equation.batch]
    free = batch_names(equation)
    return tuple(dict.fromkeys(n for e in [*shapes, *extents] for n in e.names if n not in free))


def integer_names(equation: Equation) -> tuple[str, ...]:
    """Named integers in the index expressions: strides, paddings, ..."""
    indices = set(equation.indices) | set(batch_names(equation))
    return tuple(n for n in free_names(equation.forward.rhs) if n not in indices)


def size_names(equation: Equation) -> tuple[str, ...]:
    """Everything that a number can stand for, the batch left out."""
    return tuple(dict.fromkeys([*extent_names(equation), *integer_names(equation)]))


def tensors_of(equations: Sequence[Equation]) -> dict[str, Tensor]:
    """Every tensor by name, inputs and outputs, in order of appearance."""
    found: dict[str, Tensor] = {}
    for equation in equations:
        for tensor in (*equation.tensors, equation.output):
            found.setdefault(tensor.name, tensor)
    return found


def read_place(equation: Equation, read: Read) -> Place:
    """The column and width of a read in the text of its equation."""
    same = [
        e for e in walk(equation.forward.rhs) if isinstance(e, Read) and e.tensor == read.tensor
    ]
    return place_of_read(equation.text, read.tensor, same.index(read))


def take(ledger: Ledger, shapes: Mapping[str, Sequence[int] | int]) -> None:
    """Note every shape, extent and value that is given."""
    tensors = tensors_of(ledger.equations)
    indices = {i for e in ledger.equations for i in e.indices}
    names = {n for e in ledger.equations for n in size_names(e)}
    for key, given in shapes.items():
        if key in tensors:
            _take_shape(ledger, tensors[key], given)
        elif any(key == e.batch or key in batch_names(e) for e in ledger.equations):
            raise UsageError(f"{key} is the batch, whose size is always free: leave it out")
        elif key in indices:
            _take_index(ledger, key, _number(key, given, 1))
        elif key in names:
            least = 1 if any(key in extent_names(e) for e in ledger.equations) else -LARGEST
            value = _number(key, given, least)
            ledger.put(key, value, f"{key} (={value})")
        else:
            known = [*tensors, *sorted(indices), *sorted(names)]
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise UsageError(
                f"{key} (={_shown(given)}) is no tensor, index or named integer; {hint}"
            )


def _take_shape(ledger: Ledger, tensor: Tensor, given: Sequence[int] | int) -> None:
    sizes = tuple(given) if isinstance(given, Sequence) else (given,)
    if len(sizes) != len(tensor.shape):
        raise _wrong_rank(ledger, tensor, len(sizes))
    for axis, (extent, size) in enumerate(zip(tensor.shape, sizes, strict=True)):
        size = _number(f"axis {axis} of {tensor.name}", size, 1)
        origin = f"axis {axis} of {tensor.name} (={size})"
        ledger.axes[tensor.name, axis] = size
        if extent.bare is not None:
            ledger.put(extent.bare, size, origin, ledger.at(tensor.name, ""))


def _take_index(ledger: Ledger, name: str, value: int) -> None:
    extents = {e.extent(name) for e in ledger.equations if name in e.indices}
    if len(extents) > 1:
        what = f"index {name} runs differently in different equations"
        raise UsageError(f"{what}: give the shapes of tensors instead")
    extent = extents.pop()
    if extent.bare is None:
        raise UsageError(f"index {name} runs over {extent}: give its factors instead")
    ledger.put(extent.bare, value, f"{name} (={value})")


def _number(what: str, given: object, least: int) -> int:
    if isinstance(given, list | tuple) and len(given) == 1:
        given = given[0]
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise UsageError(f"{what} (={_shown(given)}) is not a whole number")
    number = index(given)
    if not least <= number <= LARGEST:
        raise UsageError(f"{what} (={_shown(number)}) is not between {least} and {LARGEST}")
    return number


def _shown(given: object) -> str:
    if isinstance(given, int) and given.bit_length() > 200:  # Python prints 4300 digits at most
        return "an integer of over 60 digits"
    return repr(given)[:60]


def _wrong_rank(ledger: Ledger, tensor: Tensor, declared: int) -> EquationError:
    rank = len(tensor.shape)
    verb = "read"
    if not any(t.name == tensor.name for e in ledger.equations for t in e.tensors):
        verb = "written"
    batch = " besides the batch" if tensor.batched and _batch_is_written(ledger, tensor) else ""
    what = f"{tensor.name} is {verb} with {_indices(rank)}{batch} but declared with {declared}"
    lost = _lost_indices(ledger, tensor)
    if verb == "read" and declared - rank == len(lost):
        remedy = f"add the missing {'index' if len(lost) == 1 else 'indices'} "
        remedy += " and ".join(f"{i} (it is {op} but used only in {t})" for i, op, t in lost)
    else:
        remedy = f"give {_sizes(rank)}, or change the subscripts"
    return ledger.at(tensor.name, what, remedy)


def _batch_is_written(ledger: Ledger, tensor: Tensor) -> bool:
    text = ledger.at(tensor.name, "")
    column = text.column or 0
    segment = text.text[column : column + text.width].replace(" ", "")
    return segment.startswith(f"{tensor.name}[{ledger.equations[0].batch}")


def _lost_indices(ledger: Ledger, tensor: Tensor) -> list[tuple[str, str, str]]:
    """Reduced indices that only one other tensor uses, with how they are reduced."""
    equation = next((e for e in ledger.equations if tensor in e.tensors), ledger.equations[0])
    found = []
    for node in walk(equation.forward.rhs):
        if isinstance(node, Reduce):
            for name in node.over:
                users = {read.tensor for read in reads(node.body) if name in read.names}
                if len(users) == 1 and tensor.name not in users:
                    op = {"sum": "summed", "mean": "averaged"}.get(node.op, "reduced")
                    found.append((name, op, users.pop()))
    return found


def _indices(count: int) -> str:
    return "1 index" if count == 1 else f"{count} indices"


def _sizes(count: int) -> str:
    return "no size" if count == 0 else "1 size" if count == 1 else f"{count} sizes"
