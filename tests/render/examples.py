"""Layers and derivations that several tests of the printers look at."""

from __future__ import annotations

from functools import cache

import derive
from derive import calculus
from derive.certificates import Certificate, Claim, Omitted
from derive.derivations import Derivation


@cache
def toy() -> Derivation:
    """Article S4: x 3×3, kernel 2×2."""
    return calculus.derive(derive.conv(input=(3, 3), kernel=(2, 2)))


@cache
def strided() -> Derivation:
    """Channels, filters, a bias, stride 2×1 and padding 1."""
    return calculus.derive(
        derive.conv(input=(2, 5, 6), kernel=(3, 3), filters=2, stride=(2, 1), padding=1, bias=True)
    )


@cache
def conv(**settings: object) -> Derivation:
    """Any convolution."""
    return calculus.derive(derive.conv(**settings))


@cache
def equation(text: str, shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()) -> Derivation:
    """Any equation, with shapes as pairs."""
    return calculus.derive(derive.equation(text, dict(shapes) or None))


@cache
def softmax() -> Derivation:
    """Four statements, three intermediate tensors."""
    text = "m = max[j](x[j])\ne[i] = exp(x[i] - m)\ns = sum[j](e[j])\ny[i] = e[i] / s"
    return equation(text, (("x", (4,)),))


@cache
def batch_norm() -> Derivation:
    """Statistics over the batch itself."""
    mean = "mu[c] = mean[n,i](x[n,c,i])"
    variance = "v[c] = mean[n,i]((x[n,c,i] - mu[c])**2)"
    scaled = "y[n,c,i] = gamma[c]*(x[n,c,i] - mu[c])/sqrt(v[c] + 0.00001) + beta[c]"
    return equation("\n".join((mean, variance, scaled)), (("x", (3, 4)),))


@cache
def attention() -> Derivation:
    """Six statements over three data tensors."""
    lines = (
        "s[i,j] = sum[d](q[i,d]*k[j,d])/2",
        "m[i] = max[j](s[i,j])",
        "e[i,j] = exp(s[i,j] - m[i])",
        "z[i] = sum[j](e[i,j])",
        "a[i,j] = e[i,j]/z[i]",
        "y[i,d] = sum[j](a[i,j]*v[j,d])",
    )
    shapes = dict.fromkeys("qkv", (3, 4))
    layer = derive.equation("\n".join(lines), shapes, data=tuple("qkv"))
    return calculus.derive(layer)


@cache
def separable() -> Derivation:
    """A convolution of every channel by itself, then a mixing of channels."""
    text = "z[c,i] = sum[u](x[c,i+u]*w[c,u])\ny[f,i] = sum[c](z[c,i]*p[f,c])"
    return equation(text, (("x", (2, 5)), ("w", (2, 3)), ("p", (3, 2))))


@cache
def transposed() -> Derivation:
    """A transposed convolution, with stride 2."""
    text = "y[m] = sum[i,u](x[i]*w[u]*delta(2*i+u, m))"
    return equation(text, (("x", (3,)), ("w", (3,)), ("y", (7,))))


@cache
def named(name: str, **settings: object) -> Derivation:
    """Any layer by name."""
    return calculus.derive(getattr(derive, name)(**settings))


CERTIFICATE = Certificate(
    (
        Claim("symbolic", ("y", "dx", "dw"), (("entries", "17"),)),
        Claim("sorcery", ("dx",), (("candles", "13"),)),
    ),
    (Omitted("numeric", "too_large", (("limit", "9"),)), Omitted("magic", "moon_phase")),
)
"""Claims with and without a phrase of their own."""
