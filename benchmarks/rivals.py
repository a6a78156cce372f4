"""Other ways to compute a convolution: PyTorch's, JAX's, and the im2col of the textbooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Pair = tuple[Callable[..., Any], Callable[..., Any]]
"""forward(x, w, b) and backward(dy, x, w), the latter giving dx, dw, db."""


def both(value: Any) -> tuple[int, int]:
    """One number for two axes."""
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def torch_pair(settings: dict[str, Any]) -> Pair:
    """PyTorch's own operators, without the tape of autograd."""
    import torch

    stride, padding, dilation = (both(settings.get(k, d)) for k, d in DEFAULTS.items())
    groups, aten = settings.get("groups", 1), torch.ops.aten
    rest = (stride, padding, dilation, False, (0, 0), groups)

    def forward(x: Any, w: Any, b: Any) -> Any:
        return aten.convolution(x, w, b, *rest)

    def backward(dy: Any, x: Any, w: Any) -> Any:
        return aten.convolution_backward(dy, x, w, [len(w)], *rest, (True, True, True))

    return forward, backward


DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1}


def jax_pair(settings: dict[str, Any]) -> Pair | None:
    """JAX's convolution and its vector-Jacobian product, compiled; None without JAX."""
    try:
        import jax
    except ImportError:
        return None
    stride, padding, dilation = (both(settings.get(k, d)) for k, d in DEFAULTS.items())
    named = {"rhs_dilation": dilation, "feature_group_count": settings.get("groups", 1)}

    def plain(x: Any, w: Any, b: Any) -> Any:
        pads = [(p, p) for p in padding]
        return jax.lax.conv_general_dilated(x, w, stride, pads, **named) + b[:, None, None]

    def adjoint(dy: Any, x: Any, w: Any) -> Any:
        b = jax.numpy.zeros(len(w), w.dtype)
        return jax.vjp(plain, x, w, b)[1](dy)

    ahead, back = jax.jit(plain), jax.jit(adjoint)
    return (
        lambda x, w, b: jax.block_until_ready(ahead(x, w, b)),
        lambda dy, x, w: jax.block_until_ready(back(dy, x, w)),
    )


def im2col_pair(settings: dict[str, Any]) -> Pair:
    """As in the textbooks: one matrix of all windows of the batch, one matrix product."""
    (sh, sw), (ph, pw), (dh, dw_) = (both(settings.get(k, d)) for k, d in DEFAULTS.items())
    groups = settings.get("groups", 1)

    def columns(x: Any, kh: int, kw: int) -> Any:
        n, c, h, w = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
        ow = (w + 2 * pw - dw_ * (kw - 1) - 1) // sw + 1
        cols = np.empty((n, c, kh, kw, oh, ow), x.dtype)
        for u in range(kh):
            for v in range(kw):
                top, left = u * dh, v * dw_
                cols[:, :, u, v] = padded[
                    :, :, top : top + sh * oh : sh, left : left + sw * ow : sw
                ]
        return cols.reshape(n, groups, c // groups * kh * kw, oh * ow), oh, ow

    def forward(x: Any, w: Any, b: Any) -> Any:
        cols, oh, ow = columns(x, *w.shape[2:])
        y = np.matmul(w.reshape(groups, len(w) // groups, -1), cols)
        return y.reshape(len(x), len(w), oh, ow) + b[:, None, None]

    def backward(dy: Any, x: Any, w: Any) -> Any:
        kh, kw = w.shape[2:]
        cols, oh, ow = columns(x, kh, kw)
        n, c, h, wide = x.shape
        g = dy.reshape(n, groups, len(w) // groups, oh * ow)
        dw = np.matmul(g, cols.transpose(0, 1, 3, 2)).sum(axis=0).reshape(w.shape)
        back = np.matmul(w.reshape(groups, len(w) // groups, -1).transpose(0, 2, 1), g)
        back = back.reshape(n, c, kh, kw, oh, ow)
        padded = np.zeros((n, c, h + 2 * ph, wide + 2 * pw), x.dtype)
        for u in range(kh):
            for v in range(kw):
                top, left = u * dh, v * dw_
                padded[:, :, top : top + sh * oh : sh, left : left + sw * ow : sw] += back[
                    :, :, u, v
                ]
        return padded[:, :, ph : ph + h, pw : pw + wide], dw, dy.sum(axis=(0, 2, 3))

    return forward, backward
