"""Max pooling: the largest entry of every window."""

from __future__ import annotations

from ..geometry import Padding, Sizes
from ..spatial import boolean, brief, short_sides, sliding
from ..specs import Spec, one_of

__all__ = ["max_pool"]


def max_pool(
    *,
    input: Sizes,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    ties: str = "first",
    channels: int | None = None,
) -> Spec:
    """y[c,i] = max[u](x[c, s*i + d*u - p]), over 1 to 3 axes.

    Shapes: x (C, H, W), y (C, O_h, O_w); channels as for ``conv``. ``stride`` is the kernel's
    size unless given. Padding never wins: a tap outside of x does not count. Of equal maxima the
    first in row-major order gets the gradient; with ``ties="split"`` each of k gets 1/k.
    ``ceil_mode`` adds a last window that is cut off, if it starts inside x or its low padding.

    Raises UsageError if a window has no valid read.
    """
    windows = sliding(
        input,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        channels=channels,
        ceil=boolean("ceil_mode", ceil_mode),
    )
    one_of("ties", ties, "first", "split")
    ends = [*(["ceil"] if ceil_mode else []), *(["split"] if ties == "split" else [])]
    return Spec(
        name="max_pool",
        text=f"y[{windows.entry}] = max[{','.join(windows.taps)}]({windows.read})",
        shapes={
            "x": (*windows.depth, *windows.space),
            "y": (*windows.depth, *windows.outputs),
            **windows.sizes,
        },
        axes=windows.extents(),
        ties=ties,
        slug=windows.slug("max_pool", stride=windows.kernel, words=ends),
        title=f"Max pooling in {windows.rank}-D",
        meanings={"x": "input", "y": "output"} | windows.meanings(),
        settings={
            **windows.settings(),
            "stride": None if windows.stride == windows.kernel else brief(windows.stride),
            "padding": padding if isinstance(padding, str) else brief(short_sides(windows.padding)),
            "dilation": brief(windows.dilation),
            "ceil_mode": ceil_mode,
            "ties": ties,
        },
        source="Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.3",
    )
