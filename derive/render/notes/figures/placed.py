"""Which pictures stand where in the notes; a picture that does not apply is left out."""

from __future__ import annotations

from ....derivations import Gradient
from ....documents import Figure
from ..sheet import Sheet
from .columns import columns
from .connections import connections
from .dilute import dilute
from .reach import reach
from .sharing import sharing
from .windows import windows
from .winners import winners


def forward_figures(sheet: Sheet) -> list[Figure]:
    """Beside the forward equation."""
    return _there(windows(sheet))


def gradient_figures(gradient: Gradient, sheet: Sheet) -> list[Figure]:
    """Beside the two forms of one gradient."""
    pictures = (reach, sharing, winners)
    return _there(*(picture(gradient, sheet) for picture in pictures))


def form_figures(gradient: Gradient, sheet: Sheet) -> list[Figure]:
    """Beside the textbook form of one gradient."""
    return _there(dilute(gradient, sheet))


def matrix_figures(sheet: Sheet) -> list[Figure]:
    """Beside the sparse matrix."""
    return _there(connections(sheet), columns(sheet))


def _there(*figures: Figure | None) -> list[Figure]:
    return [figure for figure in figures if figure is not None]
