"""A listing that puts the numbers of the worked example into a reader's own functions."""

from __future__ import annotations

from typing import Any

from ...documents import Block, Heading, Listing, Paragraph
from ...trials import Example
from .sheet import Sheet
from .values import fits


def own_blocks(example: Example | None, sheet: Sheet) -> list[Block]:
    """The numbers as arrays, and the comparison with the kernel; nothing where they are too many.

    A kernel that has a batch of its own takes another shape than the example is printed in.
    """
    if example is None or not all(fits(value) for _, value in example.given):
        return []
    say, equation = sheet.say.say, sheet.equation
    names = [name for name, _ in example.given]
    arrays = list(example.given)
    taken = list(names)
    if example.upstream is not None:
        arrays.append((equation.output.gradient, example.upstream))
        taken.insert(0, equation.output.gradient)
    forward, backward = (f"({', '.join(given)})" for given in (names, taken))
    lines = ["import numpy as np", f"from {sheet.derivation.layer.slug} import backward, forward"]
    lines += ["", *(_array(name, value) for name, value in arrays), ""]
    lines.append(f"assert np.allclose(my_forward{forward}, forward{forward})")
    made = [equation.tensor(of).gradient for of, _ in example.gradients]
    lines += [f"right = backward{backward}", f"{', '.join(made)} = my_backward{backward}"]
    lines += [f"assert np.allclose({name}, right.{name})" for name in made]
    out: list[Block] = [Heading(2, say("headings.own")), Paragraph(say("own.intro"))]
    out.append(Listing("\n".join(lines)))
    taps, data = sheet.taps, equation.data
    if taps is not None and taps.tensor and len(data[0].shape) == len(taps.names) and sheet.batch:
        out.append(Paragraph(say("own.axes")))
    return out


def _array(name: str, value: Any) -> str:
    """``x = np.array([[1, 2],`` and the other rows under the first."""
    whole = [int(v) if float(v).is_integer() else float(v) for v in value.ravel()]
    head = f"{name} = np.array("
    text = str(_nested(whole, value.shape)).replace("], [", "],\n" + " " * (len(head) + 1) + "[")
    return f"{head}{text})"


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    """The numbers as nested lists."""
    if not shape:
        return flat[0]
    step = len(flat) // shape[0]
    return [_nested(flat[k * step : (k + 1) * step], shape[1:]) for k in range(shape[0])]
