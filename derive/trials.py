"""Numbers put into a layer: what it gives, how each gradient was checked, what mistakes would give.

Arrays are those of one sample, without a batch axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .expressions import Expr

Place = tuple[int, ...]


@dataclass(frozen=True)
class Check:
    """(L(entry + step) − L(entry − step)) / (2·step) for one entry, beside the gradient there.

    ``exact`` says that L is linear in the tensor, so that the quotient is the derivative itself.
    """

    of: str
    place: Place
    step: float
    above: float
    below: float
    derived: float
    exact: bool

    @property
    def quotient(self) -> float:
        """The difference quotient."""
        return (self.above - self.below) / (2 * self.step)


@dataclass(frozen=True)
class Slip:
    """What a known mistake does to a gradient: the first entry that differs, right and wrong.

    ``kind``   the key of the sentence that names it
    ``count``  how many of the ``total`` entries differ
    ``batch``  how many samples the numbers belong to
    ``left``   what is left out, where the mistake is that
    """

    kind: str
    of: str
    place: Place
    right: float
    wrong: float
    count: int
    total: int
    batch: int = 1
    left: Expr | None = None


@dataclass(frozen=True)
class Example:
    """One sample through the layer and back.

    ``given``     every tensor of the equation; ``upstream`` is dy, None for a loss
    ``gradients`` tensor → its gradient, as the kernel gives it
    ``checks``    one for each gradient that has an entry away from every kink
    """

    given: tuple[tuple[str, Any], ...]
    upstream: Any
    output: Any
    gradients: tuple[tuple[str, Any], ...]
    checks: tuple[Check, ...] = ()
    slips: tuple[Slip, ...] = ()

    def value(self, name: str) -> Any:
        """The array of one tensor of the equation."""
        return dict(self.given)[name]


@dataclass(frozen=True)
class Trial:
    """One training step of a network in numbers: parameters before and after, their gradients.

    ``values``  what every layer gives, ``slopes`` the gradient of that (the last layer first);
                empty where they are too large
    ``check``   a difference quotient of one weight, whose tensor is called as in ``before``
    """

    rate: float
    given: tuple[tuple[str, Any], ...]
    before: tuple[tuple[str, Any], ...]
    gradients: tuple[tuple[str, Any], ...]
    after: tuple[tuple[str, Any], ...]
    losses: tuple[float, float]
    values: tuple[tuple[str, Any], ...] = ()
    slopes: tuple[tuple[str, Any], ...] = ()
    check: Check | None = None
