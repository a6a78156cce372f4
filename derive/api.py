"""The Python interface: layers in, derivations out, everything worked out when it is asked for.

layer = derive.conv(input=(3, 32, 32), kernel=(3, 3), filters=8, stride=(2, 1), padding=1)
d = derive.derive(layer)
d.gradient("w").gather      # ∂L/∂w as one expression
d.kernel().forward(x, w)    # the generated module, compiled in memory
d.write("generated")        # what the command line does
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, overload

from . import (
    assembly,
    chaining,
    derivations,
    equations,
    geometry,
    graphs,
    layers,
    networks,
    pipeline,
    specs,
    writing,
)
from .certificates import Certificate
from .errors import UsageError
from .geometry import Sizes
from .networks import Item
from .shown import Layer, Network, ShownDerivation, gradients, network_shapes, parts
from .specs import Options, Style

if TYPE_CHECKING:
    from .render.html.glance import Glance


def layer_function(name: str) -> Callable[..., Layer]:
    """The public function of one layer: its own signature, a parsed Layer as its result."""
    function = layers.layer(name)

    @functools.wraps(function)
    def made(**settings: Any) -> Layer:
        return Layer(**parts(pipeline.layer(layers.spec(name, settings))))

    return made


def equation(
    text: str,
    shapes: Mapping[str, tuple[int, ...] | int] | None = None,
    data: Iterable[str] = (),
    *,
    outside: Mapping[str, str] | None = None,
    ties: str = "first",
) -> Layer:
    """A layer from its index equation: ``y[i] = sum[u](x[i+u]*w[u])``.

    ``shapes`` are unbatched: ``{"x": (5,), "w": (3,)}``, named integers (``{"s": 2}``)
    included; without them sizes stay symbolic. ``data`` names the tensors that carry the
    batch (``x`` if it is there). Raises EquationError with a caret.
    """
    spec = specs.equation(text, shapes=shapes, data=tuple(data), outside=outside, ties=ties)
    return Layer(**parts(pipeline.layer(spec)))


def network(text: str | Iterable[Item], input: Sizes) -> Network:  # noqa: A002  # as every layer calls it
    """A network from its text, or from a list of layers, for samples of shape ``input``.

    ``"conv 2x2 > relu > flatten > dense 1 > mse"``; in a list a layer is such a text or a pair
    ``("conv", dict(kernel=2, filters=3))``. Raises NetworkError with a caret.
    """
    shape, known = geometry.sizes("input", input), chaining.signatures()
    if isinstance(text, str):
        return Network(**parts(chaining.layer(networks.read(text, shape, known))))
    return Network(**parts(chaining.layer(networks.listed(text, shape, known))))


@overload
def derive(layer: equations.Layer, wrt: Iterable[str] | None = None) -> Derivation: ...


@overload
def derive(layer: graphs.Network) -> NetworkDerivation: ...


def derive(
    layer: equations.Layer | graphs.Network, wrt: Iterable[str] | None = None
) -> Derivation | NetworkDerivation:
    """The gradients of a layer with respect to all its tensors, or to those in ``wrt``.

    Of a network, those of all its layers.
    """
    if isinstance(layer, graphs.Network):
        chained = assembly.derive(layer, None if wrt is None else tuple(wrt))
        return NetworkDerivation(chained.network, chained.derivations)
    return _wrapped(pipeline.derive(layer, None if wrt is None else tuple(wrt)))


def _wrapped(base: derivations.Derivation) -> Derivation:
    """The same derivation, with what can be made of it."""
    found = parts(base)
    here = base.equation.at_sizes()
    for name in ("inner", "gradients", "inner_instance", "instance"):
        symbols = not name.endswith("instance")
        found[name] = gradients(found[name], base.equation if symbols else here)
    return Derivation(**found)


class Results(ShownDerivation):
    """What can be made of a derivation; each part is made once, when it is asked for.

    ``arrows`` is the module that makes it: ``pipeline`` for a layer, ``assembly`` for a network.
    """

    arrows: Any

    @functools.cached_property
    def made(self) -> Any:
        """The kernel's source and its proof (for a network, each layer's proofs too)."""
        return self.arrows.make(self)

    @functools.cached_property
    def _known(self) -> dict[Options, Any]:
        return {}

    def _made(self, *, tune: bool = False, exact_order: bool = False) -> Any:
        """The same for a kernel that is tuned, or keeps the order of sums."""
        if not tune and not exact_order:
            return self.made
        options = Options(tune=tune, exact_order=exact_order)
        if options not in self._known:
            asked = self._asking(options.arguments)
            self._known[options] = self.arrows.make(asked, options=options)
        return self._known[options]

    def _asking(self, words: tuple[str, ...]) -> Any:
        """The derivation whose command has some more words."""
        raise NotImplementedError

    def numpy(self) -> str:
        """The source of the NumPy kernel; empty while sizes are symbolic."""
        return str(self.made.source)

    def kernel(self, *, tune: bool = False, exact_order: bool = False) -> ModuleType:
        """The generated module, compiled in memory: ``forward``, ``backward`` and ``SHAPES``.

        ``tune`` measures the strategies on this machine, some seconds a layer, and takes the
        fastest; ``exact_order`` keeps to those that sum in the order of the equation.
        """
        made = self._made(tune=tune, exact_order=exact_order)
        module: ModuleType = self.arrows.module(made)
        return module

    def certificate(self) -> Certificate:
        """What was proved about the kernel; raises Disproved instead of returning a false one."""
        certificate: Certificate = self.made.certificate
        return certificate

    def latex(self, **style: Any) -> str:
        """The notes, a whole LaTeX document.

        ``style`` is any of ``index_base=0``, ``full=False``, ``notation="g"``, ``title=""``,
        ``language="en"`` and ``templates=""``, as on the command line. Raises UsageError.
        """
        return pipeline.page(self.arrows, self.made, "tex", _style(style))

    def html(self, **style: Any) -> str:
        """The notes, a whole page of its own; ``style`` as for :meth:`latex`."""
        return pipeline.page(self.arrows, self.made, "html", _style(style))

    def write(
        self,
        out: str | Path = "generated",
        *,
        name: str = "",
        formats: Iterable[str] = Options.formats,
        force: bool = False,
        tune: bool = False,
        exact_order: bool = False,
        **style: Any,
    ) -> Path:
        """Write the folder that the command line writes; returns its path.

        ``tune`` and ``exact_order`` as for :meth:`kernel`, ``style`` as for :meth:`latex`.
        """
        given = formats.split(",") if isinstance(formats, str) else formats
        options = Options(name=name, formats=tuple(given), style=_style(style))
        folder = Path(out) / (name or self._slug())
        made = self._made(tune=tune, exact_order=exact_order)
        files = self.arrows.files(made, options)
        writing.write(folder, files, self.arrows.facts(made), force=force)
        return folder

    def _slug(self) -> str:
        raise NotImplementedError


def _style(given: Mapping[str, Any]) -> Style:
    """The keywords as a Style; UsageError for one that there is not."""
    known = [field.name for field in fields(Style)]
    for name in given:
        if name not in known:
            close = get_close_matches(name, known, 1, 0.6)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise UsageError(f"unknown option {name!r}; {hint}")
    return Style(**given)


class Derivation(Results, derivations.Derivation):
    """The derivation of a layer, with what can be made of it."""

    arrows = pipeline

    def explicit(self, tensor: str, at: Mapping[str, Any] | None = None) -> Any:
        """Every entry of y or of ∂L/∂tensor at the given sizes, by plain ``sympy.diff``.

        A SymPy array of the tensor's unbatched shape, in the symbols ``x_0_1``, ``w_1_0``, …;
        for small sizes. Where the layer chooses (a maximum, relu), ``at`` gives the numbers of
        every tensor at which it does: the chosen branch is then differentiated.
        """
        return pipeline.explicit(self, tensor, at)

    def _asking(self, words: tuple[str, ...]) -> Any:
        command = f"{self.layer.command} {' '.join(words)}"
        return replace(self, layer=replace(self.layer, command=command))

    def _slug(self) -> str:
        return self.layer.slug

    def __str__(self) -> str:
        from .render.terminal.summary import summary

        return summary(self)

    def _glance(self) -> Glance:
        from .render.html.glance import Glance, derived, shapes

        return Glance(self.layer.title, shapes(self.equation), (("", derived(self)),))


class NetworkDerivation(Results, graphs.NetworkDerivation):
    """The derivation of a network, with what can be made of it."""

    arrows = assembly

    def _asking(self, words: tuple[str, ...]) -> Any:
        command = f"{self.network.command} {' '.join(words)}"
        return replace(self, network=replace(self.network, command=command))

    def _slug(self) -> str:
        return self.network.slug

    def of(self, name: str) -> Derivation:
        """The derivation of one layer; a KeyError for a name that no layer has."""
        return _wrapped(super().of(name))

    def __str__(self) -> str:
        from .render.terminal.overview import overview

        return overview(self)

    def _glance(self) -> Glance:
        from .render.html.glance import Glance, derived

        every = tuple((node.name, derived(one)) for node, one in self.pairs())
        return Glance(self.network.title, network_shapes(self.network), every)
