"""Which pictures stand where in the notes; a picture that does not apply is left out."""

from __future__ import annotations

from ...derivations import Gradient
from ...documents import Figure
from ..sheet import Sheet
from .windows import windows


def forward_figures(sheet: Sheet) -> list[Figure]:
    """Beside the forward equation."""
    return _there(windows(sheet))


def gradient_figures(gradient: Gradient, sheet: Sheet) -> list[Figure]:
    """Beside the two forms of one gradient."""
    return _there()


def matrix_figures(sheet: Sheet) -> list[Figure]:
    """Beside the sparse matrix."""
    return _there()


def _there(*figures: Figure | None) -> list[Figure]:
    return [figure for figure in figures if figure is not None]
