"""A tensor by name: what it is to the layer, how large it is, what lies outside of it."""

from __future__ import annotations

from dataclasses import dataclass

from .affine import Affine

DATA, PARAMETER, OUTPUT = "data", "parameter", "output"
ZERO_OUTSIDE, SKIP_OUTSIDE, NO_OUTSIDE = "zero", "skip", "error"


@dataclass(frozen=True)
class Tensor:
    """A named tensor: its role, its unbatched shape, and what a read outside of it gives.

    ``outside`` is ``"zero"`` (the read gives 0), ``"skip"`` (the tap does not count, as under
    max), or ``"error"`` (the equation is refused if any read can fall outside).
    ``integer`` marks a tensor of class indices, which has no gradient.
    """

    name: str
    role: str
    shape: tuple[Affine, ...]
    outside: str = ZERO_OUTSIDE
    integer: bool = False

    def __post_init__(self) -> None:
        if self.role not in (DATA, PARAMETER, OUTPUT):
            raise ValueError(f"tensor {self.name}: no role {self.role!r}")
        if self.outside not in (ZERO_OUTSIDE, SKIP_OUTSIDE, NO_OUTSIDE):
            raise ValueError(f"tensor {self.name}: no outside rule {self.outside!r}")

    @property
    def batched(self) -> bool:
        """Data and outputs carry the batch as their first axis; parameters do not."""
        return self.role != PARAMETER

    @property
    def gradient(self) -> str:
        """The name of ∂L/∂self in code: ``dx`` for ``x``."""
        return "d" + self.name

    def sizes(self) -> tuple[int, ...]:
        """The unbatched shape in numbers (only where sizes are known)."""
        numbers = tuple(extent.number for extent in self.shape)
        if any(n is None for n in numbers):
            raise ValueError(f"the sizes of {self.name} are not known: {self.shape}")
        return tuple(n for n in numbers if n is not None)
