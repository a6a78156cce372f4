"""Layers of several statements, with their values and gradients from the literature.

The closed forms are written down from textbooks (Bishop, PRML 4.109 and 5.3; Ioffe and Szegedy
2015; Ba et al. 2016; Vaswani et al. 2017), not from what is derived here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import derive
from derive.equations import Layer

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Several:
    """A layer's text and sizes; ``forward`` and ``backward`` in closed form."""

    text: str
    shapes: tuple[tuple[str, Any], ...]
    data: tuple[str, ...]
    forward: Callable[..., np.ndarray]
    backward: Callable[..., Arrays]
    claims: tuple[str, ...]

    @property
    def layer(self) -> Layer:
        """The layer of the text."""
        return _layer(self)

    def arrays(self, seed: int = 0, batch: int = 2, whole: bool = False) -> Arrays:
        """Random numbers for every tensor and for dy."""
        generator = np.random.default_rng(seed)
        sized = self.layer.equation.at_sizes()
        made: Arrays = {}
        for tensor in (*sized.tensors, sized.output):
            carries = sized.rank(tensor) > len(tensor.shape)
            shape = (*((batch,) if carries else ()), *tensor.sizes())
            name = sized.output.gradient if tensor == sized.output else tensor.name
            if tensor.integer:
                made[name] = generator.integers(0, dict(self.shapes)["x"][-1], shape)
            elif whole:
                made[name] = np.array(generator.integers(-3, 4, shape), dtype=object)
            else:
                made[name] = generator.normal(size=shape)
        return made


@cache
def _layer(row: Several) -> Layer:
    return derive.equation(row.text, dict(row.shapes), row.data)


def _p(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _normal(x, axes):
    centred = x - x.mean(axes, keepdims=True)
    sigma = np.sqrt((centred**2).mean(axes, keepdims=True) + EPS)
    return centred / sigma, sigma


def _through_normal(g, x, axes):
    hat, sigma = _normal(x, axes)
    along = hat * (g * hat).mean(axes, keepdims=True)
    return (g - g.mean(axes, keepdims=True) - along) / sigma


EPS = 1 / 1000


def _batch_norm_backward(dy, x, gamma, beta):
    hat, _ = _normal(x, (0, 2))
    return {
        "x": _through_normal(dy * gamma[:, None], x, (0, 2)),
        "gamma": (dy * hat).sum((0, 2)),
        "beta": dy.sum((0, 2)),
    }


def _layer_norm_backward(dy, x, gamma, beta):
    hat, _ = _normal(x, 1)
    return {
        "x": _through_normal(dy * gamma, x, 1),
        "gamma": (dy * hat).sum(0),
        "beta": dy.sum(0),
    }


def _attention(q, r, v):
    return _p(q @ r.swapaxes(1, 2)) @ v


def _attention_backward(dy, q, r, v):
    p = _p(q @ r.swapaxes(1, 2))
    dp = dy @ v.swapaxes(1, 2)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    return {"q": ds @ r, "r": ds.swapaxes(1, 2) @ q, "v": p.swapaxes(1, 2) @ dy}


def _hidden(x, w, b):
    return x @ w.T + b


def _dense_backward(dy, x, w, b, u, c):
    z = _hidden(x, w, b)
    dz = (dy @ u) * (z > 0)
    return {
        "x": dz @ w,
        "w": dz.T @ x,
        "b": dz.sum(0),
        "u": dy.T @ np.maximum(z, 0),
        "c": dy.sum(0),
    }


def _squared_backward(dy, x, w, u):
    h = x @ w.T
    dh = 2 * h * (dy @ u)
    return {"x": dh @ w, "w": dh.T @ x, "u": dy.T @ h**2}


def _one_hot(t, classes):
    return np.eye(classes)[t]


def _entropy(x, t):
    return np.asarray(-(t * np.log(_p(x))).sum(-1).mean())


SEVERAL = {
    "softmax": Several(
        "m = max[j](x[j])\ne[i] = exp(x[i] - m)\ns = sum[j](e[j])\ny[i] = e[i]/s",
        (("x", (4,)),),
        (),
        _p,
        lambda dy, x: {"x": _p(x) * (dy - (dy * _p(x)).sum(1, keepdims=True))},
        ("numeric",),
    ),
    "log_softmax": Several(
        "m = max[j](x[j])\ns = sum[j](exp(x[j] - m))\ny[i] = x[i] - m - log(s)",
        (("x", (4,)),),
        (),
        lambda x: np.log(_p(x)),
        lambda dy, x: {"x": dy - _p(x) * dy.sum(1, keepdims=True)},
        ("numeric",),
    ),
    "batch_norm": Several(
        "m[c] = mean[n,i](x[n,c,i])\nv[c] = mean[n,i]((x[n,c,i] - m[c])**2)\n"
        "y[n,c,i] = gamma[c]*(x[n,c,i] - m[c])/sqrt(v[c] + 1/1000) + beta[c]",
        (("x", (2, 3)),),
        (),
        lambda x, gamma, beta: gamma[:, None] * _normal(x, (0, 2))[0] + beta[:, None],
        _batch_norm_backward,
        ("numeric",),
    ),
    "layer_norm": Several(
        "m = mean[i](x[i])\nv = mean[i]((x[i] - m)**2)\n"
        "y[i] = gamma[i]*(x[i] - m)/sqrt(v + 1/1000) + beta[i]",
        (("x", (4,)),),
        (),
        lambda x, gamma, beta: gamma * _normal(x, 1)[0] + beta,
        _layer_norm_backward,
        ("numeric",),
    ),
    "attention": Several(
        "s[i,j] = sum[k](q[i,k]*r[j,k])\nm[i] = max[j](s[i,j])\ne[i,j] = exp(s[i,j] - m[i])\n"
        "z[i] = sum[j](e[i,j])\ny[i,c] = sum[j](e[i,j]/z[i]*v[j,c])",
        (("q", (2, 2)), ("r", (3, 2)), ("v", (3, 2))),
        ("q", "r", "v"),
        _attention,
        _attention_backward,
        ("numeric",),
    ),
    "two_dense_relu": Several(
        "h[j] = relu(sum[i](x[i]*w[j,i]) + b[j])\ny[k] = sum[j](h[j]*u[k,j]) + c[k]",
        (("x", (3,)), ("w", (4, 3)), ("u", (2, 4))),
        (),
        lambda x, w, b, u, c: np.maximum(_hidden(x, w, b), 0) @ u.T + c,
        _dense_backward,
        ("selecting", "numeric"),
    ),
    "two_dense_squared": Several(
        "h[j] = sum[i](x[i]*w[j,i])\ny[k] = sum[j](h[j]**2*u[k,j])",
        (("x", (3,)), ("w", (4, 3)), ("u", (2, 4))),
        (),
        lambda x, w, u: (x @ w.T) ** 2 @ u.T,
        _squared_backward,
        ("symbolic", "integer"),
    ),
    "cross_entropy_of_classes": Several(
        "m[n] = max[c](x[n,c])\ns[n] = sum[c](exp(x[n,c] - m[n]))\n"
        "y = mean[n](log(s[n]) + m[n] - sum[c](x[n,c]*delta(c, t[n])))",
        (("x", (4,)),),
        ("x", "t"),
        lambda x, t: _entropy(x, _one_hot(t, 4)),
        lambda dy, x, t: {"x": dy * (_p(x) - _one_hot(t, 4)) / len(x)},
        ("numeric",),
    ),
    "cross_entropy_of_distributions": Several(
        "m[n] = max[c](x[n,c])\ns[n] = sum[c](exp(x[n,c] - m[n]))\n"
        "y = mean[n](sum[c](t[n,c]*(log(s[n]) + m[n] - x[n,c])))",
        (("x", (4,)), ("t", (4,))),
        ("x", "t"),
        _entropy,
        lambda dy, x, t: {
            "x": dy * (t.sum(1, keepdims=True) * _p(x) - t) / len(x),
            "t": -dy * np.log(_p(x)) / len(x),
        },
        ("numeric",),
    ),
}
