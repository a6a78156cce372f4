"""Trainable subsampling: a pool with a factor and a bias for each channel."""

from __future__ import annotations

from ..geometry import Sizes
from ..spatial import brief, sliding
from ..specs import Spec

__all__ = ["subsample"]


def subsample(
    *,
    input: Sizes,
    kernel: Sizes,
    stride: Sizes | None = None,
    channels: int | None = None,
) -> Spec:
    """y[c,i] = beta[c] * mean[u](x[c, s*i + u]) + b[c], over 1 to 3 axes.

    Shapes: x (C, H, W), beta (C,), b (C,), y (C, O_h, O_w); channels as for ``conv``, without
    them beta and b are numbers. ``stride`` is the kernel's size unless given.

    Raises UsageError if the kernel does not fit.
    """
    windows = sliding(input, kernel, stride=stride, channels=channels)
    c = "[c]" if windows.deep else ""
    mean = f"mean[{','.join(windows.taps)}]({windows.read})"
    return Spec(
        name="subsample",
        text=f"y[{windows.entry}] = beta{c} * {mean} + b{c}",
        shapes={
            "x": (*windows.depth, *windows.space),
            "beta": windows.depth,
            "b": windows.depth,
            "y": (*windows.depth, *windows.outputs),
            **windows.sizes,
        },
        axes=windows.extents(),
        slug=windows.slug("subsample", stride=windows.kernel),
        title=f"Trainable subsampling in {windows.rank}-D",
        meanings={"x": "input", "beta": "factor", "b": "bias", "y": "output"} | windows.meanings(),
        settings={
            **windows.settings(),
            "stride": None if windows.stride == windows.kernel else brief(windows.stride),
        },
        source="LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86 (1998), section II.B",
    )
