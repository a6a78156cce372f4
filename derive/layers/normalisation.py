"""Normalisation by training statistics: over the batch and space, or within each sample."""

from __future__ import annotations

from .. import geometry
from ..errors import UsageError
from ..geometry import Sizes
from ..spatial import OUTS
from ..specs import Spec, entry, number, real

__all__ = ["batch_norm", "layer_norm"]


def batch_norm(*, input: Sizes, eps: float = 1e-5, channels: int | None = None) -> Spec:
    """m[c] = mean[n,i](x[n,c,i]); v[c] = mean[n,i]((x[n,c,i] - m[c])**2); \
h[n,c,i] = (x[n,c,i] - m[c])/sqrt(v[c] + eps); \
y[n,c,i] = gamma[c]*h[n,c,i] + beta[c], over 0 to 3 axes.

    Shapes: x (C, H, W) or (C,), gamma (C,), beta (C,), y like x. The mean and the variance (that of
    the batch, divided by N*H*W) are taken over the batch and space. A single number is C; three
    or more have channels first; with two, or with ``channels`` given, all are spatial, and gamma
    and beta are numbers without channels.
    """
    shape = geometry.sizes("input", input)
    if len(shape) == 1 and channels is None:
        C: int | None = shape[0]
        space: tuple[int, ...] = ()
    else:
        C, space = geometry.channels_and_space(shape, None, channels)
    outs, deep = OUTS[: len(space)], [] if C is None else ["c"]
    x = (*(() if C is None else (C,)), *space)
    at, c, over = ",".join(["n", *deep, *outs]), "[c]" if deep else "", ",".join(["n", *outs])
    spread = _positive(eps)
    return Spec(
        name="batch_norm",
        text=f"m{c} = mean[{over}](x[{at}])\n"
        f"v{c} = mean[{over}]((x[{at}] - m{c})**2)\n"
        f"h[{at}] = (x[{at}] - m{c})/sqrt(v{c} + {spread})\n"
        f"y[{at}] = gamma{c}*h[{at}] + beta{c}",
        shapes={"x": x, "gamma": x[: len(deep)], "beta": x[: len(deep)]},
        axes={"c": "C"} if deep else {},
        slug=_slug("batch_norm", x, eps),
        title="Batch normalisation, training statistics",
        meanings={"x": "input", "gamma": "scale", "beta": "shift", "m": "mean", "v": "variance"}
        | {"h": "normalised input"}
        | {"y": "output", "n": "sample"}
        | ({"c": "channel"} if deep else {}),
        settings={
            "input": x if len(x) != 2 or C is None else space,
            "eps": eps,
            "channels": C if len(x) == 2 else None,
        },
        source="Ioffe, Szegedy, arXiv 1502.03167, algorithm 1",
    )


def layer_norm(*, input: Sizes, eps: float = 1e-5) -> Spec:
    """m = mean[i](x[i]); v = mean[i]((x[i] - m)**2); \
h[i] = (x[i] - m)/sqrt(v + eps); y[i] = gamma[i]*h[i] + beta[i].

    Shapes: x any, gamma and beta the same, y the same. The mean and the variance are taken over
    all axes of a sample.
    """
    x = geometry.sizes("input", input)
    at = ",".join(entry("input", x))
    return Spec(
        name="layer_norm",
        text=f"m = mean[{at}](x[{at}])\n"
        f"v = mean[{at}]((x[{at}] - m)**2)\n"
        f"h[{at}] = (x[{at}] - m)/sqrt(v + {_positive(eps)})\n"
        f"y[{at}] = gamma[{at}]*h[{at}] + beta[{at}]",
        shapes={"x": x, "gamma": x, "beta": x},
        slug=_slug("layer_norm", x, eps),
        title="Layer normalisation",
        meanings={"x": "input", "gamma": "scale", "beta": "shift", "m": "mean", "v": "variance"}
        | {"h": "normalised input"}
        | {"y": "output"},
        settings={"input": x, "eps": eps},
        source="Ba, Kiros, Hinton, arXiv 1607.06450, eq. 4",
    )


def _positive(eps: float) -> str:
    if real("eps", eps) <= 0:
        raise UsageError(f"eps (={eps}) must be above 0: it keeps the root from 0")
    return number(eps)


def _slug(name: str, shape: tuple[int, ...], eps: float) -> str:
    words = [f"eps{number(eps).replace('.', '_').replace('-', 'm')}"] if eps != 1e-5 else []
    return "_".join([name, geometry.text(shape), *words])
