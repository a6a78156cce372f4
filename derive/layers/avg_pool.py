"""Average pooling: the mean of every window, with the three ways to count what is averaged."""

from __future__ import annotations

from ..geometry import Padding, Sizes
from ..spatial import Windows, boolean, brief, short_sides, sliding
from ..specs import Spec

__all__ = ["avg_pool"]


def avg_pool(
    *,
    input: Sizes,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    channels: int | None = None,
) -> Spec:
    """y[c,i] = mean[u](x[c, s*i + u - p]), over 1 to 3 axes.

    Shapes: x (C, H, W), y (C, O_h, O_w); channels as for ``conv``. ``stride`` is the kernel's
    size unless given. What a sum is divided by is the number of taps in the padded input;
    without ``count_include_pad`` the number of taps in the input itself. ``ceil_mode`` adds a last
    window that is cut off, if it starts inside x or its low padding.

    Raises UsageError if a window has no valid read.
    """
    windows = sliding(
        input,
        kernel,
        stride=stride,
        padding=padding,
        channels=channels,
        ceil=boolean("ceil_mode", ceil_mode),
    )
    boolean("count_include_pad", count_include_pad)
    ends = [*(["ceil"] if ceil_mode else []), *([] if count_include_pad else ["valid"])]
    text, padded = _text(windows, count_include_pad)
    return Spec(
        name="avg_pool",
        text=text,
        shapes={
            "x": (*windows.depth, *windows.space),
            "y": (*windows.depth, *windows.outputs),
            **({"z": (*windows.depth, *padded)} if padded else {}),
            **windows.sizes,
        },
        axes=windows.extents(),
        slug=windows.slug("avg_pool", stride=windows.kernel, words=ends),
        title=f"Average pooling in {windows.rank}-D",
        meanings={"x": "input", "y": "output"}
        | ({"z": "padded input"} if padded else {})
        | windows.meanings(),
        settings={
            **windows.settings(),
            "stride": None if windows.stride == windows.kernel else brief(windows.stride),
            "padding": padding if isinstance(padding, str) else brief(short_sides(windows.padding)),
            "ceil_mode": ceil_mode,
            "count_include_pad": count_include_pad,
        },
        source="Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.3",
    )


def _text(windows: Windows, include: bool) -> tuple[str, tuple[int, ...]]:
    """The equation, and the sizes of the padded input if it needs one of its own."""
    over = ",".join(windows.taps)
    if _uncut(windows, include):
        return f"y[{windows.entry}] = mean[{over}]({windows.read})", ()
    read, before = windows.read, ""
    padded: tuple[int, ...] = ()
    if include and any(map(any, windows.padding)):
        # a window may be cut off by the end of the padding, which has to end somewhere
        read, before, padded = _padded(windows)
    return f"{before}y[{windows.entry}] = sum[{over}]({read}) / sum[{over}](inside({read}))", padded


def _uncut(windows: Windows, include: bool) -> bool:
    """Whether all taps of all windows count."""
    for axis in windows.axes:
        low, high = (axis.low, axis.high) if include else (0, 0)
        last = axis.stride * (axis.outputs - 1) - axis.low + axis.kernel - 1
        if low < axis.low or last >= axis.size + high:
            return False
    return True


def _padded(windows: Windows) -> tuple[str, str, tuple[int, ...]]:
    """The read of the padded input z, the equation that makes z, and its sizes."""
    entries, places, reads = list(windows.deep), list(windows.deep), list(windows.deep)
    for axis, letter in zip(windows.axes, "abe", strict=False):
        p = windows.names.get((axis, "p"), "")
        entries.append(letter)
        places.append(f"{letter} - {p}" if p else letter)
        s = windows.names.get((axis, "s"), "")
        reads.append((f"{s}*" if s else "") + f"{axis.out} + {axis.tap}")
    made = f"z[{','.join(entries)}] = x[{', '.join(places)}]\n"
    sizes = tuple(axis.low + axis.size + axis.high for axis in windows.axes)
    return f"z[{', '.join(reads)}]", made, sizes
