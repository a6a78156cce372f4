"""What the Python interface returns, as notebooks show it: ``_repr_latex_`` and ``_repr_html_``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from . import derivations, equations, graphs

if TYPE_CHECKING:
    from .certificates import Certificate
    from .render.html.glance import Glance


class Shown:
    """Formulas at a glance; whoever is shown says which."""

    def _glance(self) -> Glance:
        raise NotImplementedError

    def _repr_latex_(self) -> str:
        from .render.html.glance import latex

        return latex(self._glance())

    def _repr_html_(self) -> str:
        from .render.html.glance import html

        return html(self._glance())


class ShownDerivation(Shown):
    """Formulas, and what was proved if that was asked for already: showing proves nothing."""

    def _repr_html_(self) -> str:
        from .render.html.glance import html

        made = vars(self).get("made")
        certificate: Certificate | None = None if made is None else made.certificate
        return html(self._glance(), certificate, told=True)


class Layer(Shown, equations.Layer):
    """A layer that a notebook shows."""

    def _glance(self) -> Glance:
        from .render.html.glance import Glance, lines, shapes

        equation = self.equation
        parts = (("", lines(equation, equation.statements)),)
        return Glance(self.title, shapes(equation), parts)


@dataclass(frozen=True)
class Gradient(Shown, derivations.Gradient):
    """A gradient that a notebook shows, in the notation of its equation."""

    equation: equations.Equation | None = None

    def _glance(self) -> Glance:
        from .render.html.glance import Glance, lines

        assert self.equation is not None  # the interface gives it to every gradient
        ways = dict.fromkeys((self.gather, *self.scatters))
        return Glance(f"∂L/∂{self.of}", (), (("", lines(self.equation, ways)),))


class Network(Shown, graphs.Network):
    """A network that a notebook shows."""

    def _glance(self) -> Glance:
        from .render.html.glance import Glance, lines

        parts = tuple(
            (node.name, lines(node.layer.equation, node.layer.equation.statements))
            for node in self.nodes
        )
        return Glance(self.title, network_shapes(self), parts)


def network_shapes(network: graphs.Network) -> tuple[tuple[str, str], ...]:
    """The sample, and what each layer gives."""
    from .render.html.glance import size

    names = (graphs.INPUT, *(node.name for node in network.nodes))
    return tuple((name, size(network.shape(name))) for name in names)


def gradients(
    found: Iterable[derivations.Gradient], equation: equations.Equation
) -> tuple[Gradient, ...]:
    """Gradients that a notebook can show."""
    return tuple(Gradient(**parts(one), equation=equation) for one in found)


def parts(noun: Any) -> dict[str, Any]:
    """The fields of a noun by name, to make one of a class that can be shown."""
    return {field.name: getattr(noun, field.name) for field in fields(noun) if field.init}
