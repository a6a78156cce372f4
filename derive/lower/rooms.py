"""The room that a function works in: its buffers, and the views of them that it reads and writes.

A small layer spends more time on making views than on numbers. So they are made once in each
thread, by a function of their own (``_y_rows_room(dtype)``), and kept between calls:

    kernel, inner, windows = _room(_y_rows_room, dtype)
"""

from __future__ import annotations

from collections.abc import Sequence

from ..programs import Function
from .memory import ROOM
from .snippets import listed, snippet
from .tasks import Task


def room(name: str, lines: Sequence[str], *given: str) -> Function:
    """``_y_rows_room(dtype)`` of lines that make the buffers and return the views."""
    doc = f"Buffers of {name}, and the views of them that it reads and writes."
    return Function(f"{name}_room", ROOM, snippet("\n".join(lines)), (doc,), "", given)


def sample(task: Task, name: str, shape: Sequence[int], at: str = "n") -> str:
    """``x[n]``, in that shape."""
    text = f"{name}[{at}]"
    if task.tensor(name).sizes() == tuple(shape):
        return text
    return f"{text}.reshape({listed(shape)})"


def whole(task: Task, target: str, shape: Sequence[int]) -> str:
    """A target of samples of some shape, in its own."""
    own = task.shape(target)
    return target if own == tuple(shape) else f"{target}.reshape(N, {', '.join(map(str, own))})"
