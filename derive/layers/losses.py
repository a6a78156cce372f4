"""Losses: one number for the whole batch, which compares x with a target t."""

from __future__ import annotations

from .. import geometry
from ..errors import UsageError
from ..geometry import Sizes
from ..specs import Spec, entry, number, one_of, real

__all__ = ["bce_with_logits", "cross_entropy", "half_squared_error", "huber", "l1", "mse"]

_GOODFELLOW = "Goodfellow, Bengio, Courville, Deep Learning (2016), "


def mse(*, input: Sizes, reduction: str = "mean") -> Spec:
    """y = mean[n,i]((x[n,i] - t[n,i])**2).

    Shapes: x and t any, the same; y is a number. The mean is over the batch and all entries.
    """
    return _entrywise("mse", "", "({x} - {t})**2", input, reduction, "Mean squared error", "5.1.4")


def half_squared_error(*, input: Sizes, reduction: str = "mean") -> Spec:
    """y = mean[n](sum[i]((x[n,i] - t[n,i])**2)/2).

    Shapes: x and t any, the same; y is a number. The mean is over the batch alone: each sample
    has half the sum of its squared errors.
    """
    shape = geometry.sizes("input", input, scalar=True)
    one_of("reduction", reduction, "mean", "sum")
    letters = entry("input", shape)
    at = ",".join(["n", *letters])
    square = f"(x[{at}] - t[{at}])**2"
    inner = f"sum[{','.join(letters)}]({square})/2" if letters else f"{square}/2"
    return _loss(
        "half_squared_error", f"y = {reduction}[n]({inner})", shape, shape, reduction,
        "Half the squared error", _GOODFELLOW + "section 5.1.4",
    )  # fmt: skip


def l1(*, input: Sizes, reduction: str = "mean") -> Spec:
    """y = mean[n,i](abs(x[n,i] - t[n,i])).

    Shapes: x and t any, the same; y is a number. The mean is over the batch and all entries; where
    x = t the gradient is 0.
    """
    return _entrywise("l1", "", "abs({x} - {t})", input, reduction, "Absolute error", "6.2.1.2")


def huber(*, input: Sizes, delta: float = 1.0, reduction: str = "mean") -> Spec:
    """z[n,i] = x[n,i] - t[n,i]; \
y = mean[n,i](where(abs(z[n,i]) <= a, z[n,i]**2/2, a*(abs(z[n,i]) - a/2))).

    Shapes: x and t any, the same; y is a number. Quadratic up to ``delta`` (a), linear beyond. The
    mean is over the batch and all entries.
    """
    if real("delta", delta) <= 0:
        raise UsageError(f"delta (={delta}) must be above 0")
    a = number(delta)
    line = f"abs({{z}}) - {a}/2"
    line = line if a == "1" else f"{a}*({line})"
    body = f"where(abs({{z}}) <= {a}, {{z}}**2/2, {line})"
    return _entrywise(
        "huber", "{z} = {x} - {t}\n", body, input, reduction, "Huber loss", "", {"delta": delta}
    )


def bce_with_logits(*, input: Sizes, reduction: str = "mean") -> Spec:
    """y = mean[n,i](softplus(x[n,i]) - t[n,i]*x[n,i]).

    Shapes: x and t any, the same; y is a number. x are logits, t probabilities: this is
    -t*log(p) - (1 - t)*log(1 - p) with p = sigmoid(x), in the form that does not overflow. The mean
    is over the batch and all entries.
    """
    title = "Binary cross-entropy of logits"
    body = "softplus({x}) - {t}*{x}"
    return _entrywise("bce_with_logits", "", body, input, reduction, title, "6.2.2.2")


def cross_entropy(*, input: Sizes, target: str = "index", reduction: str = "mean") -> Spec:
    """m[n] = max[c](x[n,c]); z[n,c] = x[n,c] - m[n]; s[n] = sum[c](exp(z[n,c])); \
y = mean[n](log(s[n]) - sum[c](delta(c, t[n])*z[n,c])).

    Softmax and negative log-likelihood. Shapes: x (C, ...) with the classes first; t (...) holds
    class indices, or with ``target="distribution"`` (C, ...) a weight for every class; y is a
    number. The mean is over the batch and all targets.
    """
    shape = geometry.sizes("input", input)
    one_of("target", target, "index", "distribution")
    one_of("reduction", reduction, "mean", "sum")
    if len(shape) > 4:
        raise UsageError(f"input (={geometry.text(shape)}) has {len(shape)} axes: at most 4")
    places = "ijk"[: len(shape) - 1]
    rest, every = ",".join(["n", *places]), ",".join(["n", "c", *places])
    if target == "index":
        chosen = f"log(s[{rest}]) - sum[c](delta(c, t[{rest}])*z[{every}])"
    else:
        chosen = f"sum[c](t[{every}]*(log(s[{rest}]) - z[{every}]))"
    text = (
        f"m[{rest}] = max[c](x[{every}])\n"
        f"z[{every}] = x[{every}] - m[{rest}]\n"
        f"s[{rest}] = sum[c](exp(z[{every}]))\n"
        f"y = {reduction}[{rest}]({chosen})"
    )
    words = {
        "m": "largest logit",
        "z": "logit below the largest",
        "s": "sum of exponentials",
        "c": "class",
        "t": "class index" if target == "index" else "weight of each class",
    }
    return _loss(
        "cross_entropy", text, shape, shape[1:] if target == "index" else shape, reduction,
        "Softmax and cross-entropy", _GOODFELLOW + "section 6.2.2.3", {"target": target},
        words, {"c": "C"}, ["distribution"] if target != "index" else [],
    )  # fmt: skip


def _entrywise(
    name: str,
    before: str,
    body: str,
    input: Sizes,
    reduction: str,
    title: str,
    section: str,
    options: dict[str, float] | None = None,
) -> Spec:
    """The mean or the sum over the batch and all entries."""
    shape = geometry.sizes("input", input, scalar=True)
    one_of("reduction", reduction, "mean", "sum")
    at = ",".join(["n", *entry("input", shape)])
    reads = {tensor: f"{tensor}[{at}]" for tensor in "xtz"}
    text = before.format(**reads) + f"y = {reduction}[{at}]({body.format(**reads)})"
    source = _GOODFELLOW + f"section {section}" if section else "Huber, Ann. Math. Stat. 35 (1964)"
    changed = {k: v for k, v in (options or {}).items() if v != 1}
    ends = [f"{k}{number(v).replace('.', '_').replace('-', 'm')}" for k, v in changed.items()]
    words = {"z": "error"} if before else {}
    return _loss(name, text, shape, shape, reduction, title, source, options, words, {}, ends)


def _loss(
    name: str,
    text: str,
    shape: tuple[int, ...],
    target: tuple[int, ...],
    reduction: str,
    title: str,
    source: str,
    options: dict[str, float] | dict[str, str] | None = None,
    words: dict[str, str] | None = None,
    axes: dict[str, str | tuple[str, ...]] | None = None,
    ends: list[str] | None = None,
) -> Spec:
    parts = [name, geometry.text(shape) or "scalar", *(ends or [])]
    return Spec(
        name=name,
        text=text,
        shapes={"x": shape, "t": target},
        axes=axes or {},
        data=("x", "t"),
        slug="_".join([*parts, *(["sum"] if reduction == "sum" else [])]),
        title=title + (", summed" if reduction == "sum" else ""),
        meanings={"x": "input", "t": "target", "y": "loss", "n": "sample"} | (words or {}),
        settings={"input": shape, **(options or {}), "reduction": reduction},
        source=source,
        loss=True,
    )
