"""A line of linear and bilinear steps, and its adjoint: the same steps turned round.

Where y depends on each of its inputs linearly, every gradient is made of the transposed steps in
reverse order. So a fast algorithm for y, stated as a :class:`Step` row, gives fast algorithms
for its gradients, and they share what they have in common; nothing is derived by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Take:
    """``made`` = the tiles of ``of``: ``size`` entries along each axis, ``step`` apart."""

    made: str
    of: str
    size: tuple[int, ...]
    step: tuple[int, ...]


@dataclass(frozen=True)
class Put:
    """``made`` = the tiles of ``of`` at their places; where they overlap they add up."""

    made: str
    of: str
    size: tuple[int, ...]
    step: tuple[int, ...]


@dataclass(frozen=True)
class Apply:
    """``made`` = matrix · ``of`` on the first axis; the transposed matrix if ``turned``."""

    made: str
    matrix: str
    of: str
    turned: bool = False


@dataclass(frozen=True)
class Multiply:
    """``made`` = Σ ``left`` · ``right``, with axes named as for einsum: ``"ktc,kcf->ktf"``."""

    made: str
    left: str
    right: str
    axes: str


Step = Take | Put | Apply | Multiply


def correlation(size: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[Step, ...]:
    """The fast way from ``wide`` and ``kernel`` to ``narrow``: tiles of outputs from patches.

    The matrices are those of :mod:`derive.toom`; k counts points, t tiles, c channels, f filters.
    """
    return (
        Take("patches", "wide", size, outputs),
        Apply("points", "B", "patches"),
        Apply("kernels", "G", "kernel"),
        Multiply("sums", "points", "kernels", "ktc,kcf->ktf"),
        Apply("ends", "A", "sums"),
        Put("narrow", "ends", outputs, outputs),
    )


def reads(step: Step) -> tuple[str, ...]:
    """The values that a step reads."""
    match step:
        case Multiply(_, left, right, _):
            return left, right
    return (step.of,)


def over_tiles(steps: Sequence[Step]) -> list[Step]:
    """The steps that make or read a value with an axis of tiles."""
    tiled: set[str] = set()
    for step in steps:
        match step:
            case Take(made, _, _, _):
                tiled.add(made)
            case Multiply(made, _, _, axes) if "t" in axes.split("->")[1]:
                tiled.add(made)
            case Apply(made, _, of, _) if of in tiled:
                tiled.add(made)
    return [step for step in steps if {step.made, *reads(step)} & tiled]


def needed(steps: Sequence[Step], wanted: Sequence[str]) -> tuple[Step, ...]:
    """The steps without which some values cannot be made."""
    missing, found = set(wanted), []
    for step in reversed(steps):
        if step.made in missing:
            missing |= set(reads(step))
            found.append(step)
    return tuple(reversed(found))


def adjoint(steps: Sequence[Step], wanted: Sequence[str]) -> tuple[Step, ...]:
    """The gradients ``d<input>`` of the wanted inputs, from ``d<last value made>``.

    What the transposed steps read of the values themselves is computed first. Every value may be
    read once: gradients are not added up.
    """
    turned = tuple(t for step in reversed(steps) for t in _transposed(step))
    gradients = needed(turned, [f"d{name}" for name in wanted])
    made = {step.made for step in gradients}
    again = [name for step in gradients for name in reads(step) if name not in made]
    return (*needed(steps, again), *gradients)


def _transposed(step: Step) -> tuple[Step, ...]:
    match step:
        case Take(made, of, size, stride):
            return (Put(f"d{of}", f"d{made}", size, stride),)
        case Put(made, of, size, stride):
            return (Take(f"d{of}", f"d{made}", size, stride),)
        case Apply(made, matrix, of, turned):
            return (Apply(f"d{of}", matrix, f"d{made}", not turned),)
        case Multiply(made, left, right, axes):
            first, second, result = axes.replace("->", ",").split(",")
            return (
                Multiply(f"d{right}", left, f"d{made}", f"{first},{result}->{second}"),
                Multiply(f"d{left}", f"d{made}", right, f"{result},{second}->{first}"),
            )
