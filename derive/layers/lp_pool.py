"""Power-average pooling: the p-norm of every window."""

from __future__ import annotations

from ..errors import UsageError
from ..geometry import Sizes
from ..spatial import brief, sliding
from ..specs import Spec, number

__all__ = ["lp_pool"]

LARGEST_P = 64


def lp_pool(
    *,
    input: Sizes,
    kernel: Sizes,
    p: float = 2,
    stride: Sizes | None = None,
    channels: int | None = None,
) -> Spec:
    """y[c,i] = sum[u](abs(x[c, s*i + u])**p)**(1/p), over 1 to 3 axes.

    Shapes: x (C, H, W), y (C, O_h, O_w); channels as for ``conv``. ``stride`` is the kernel's
    size unless given; 1 <= p <= 64. A window of zeros has y = 0 and gives the gradient 0, the
    subgradient of smallest norm: hence the two equations that keep 0 away from the root.

    Raises UsageError if the kernel does not fit.
    """
    windows = sliding(input, kernel, stride=stride, channels=channels)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 1 <= p <= LARGEST_P:
        raise UsageError(f"p (={p!r}) must be a number from 1 to {LARGEST_P}")
    over, entry = ",".join(windows.taps), windows.entry
    root = number(p)
    power = f"{windows.read}**{root}" if p % 2 == 0 else f"abs({windows.read})**{root}"
    if p == 1:
        text = f"y[{entry}] = sum[{over}](abs({windows.read}))"
    else:
        text = (
            f"q[{entry}] = sum[{over}]({power})\n"
            f"r[{entry}] = where(q[{entry}] > 0, q[{entry}], 1)\n"
            f"y[{entry}] = where(q[{entry}] > 0, r[{entry}]**(1/{root}), 0)"
        )
    inner = {} if p == 1 else {"q": "sum of powers", "r": "the same, 1 where it is 0"}
    return Spec(
        name="lp_pool",
        text=text,
        shapes={
            "x": (*windows.depth, *windows.space),
            "y": (*windows.depth, *windows.outputs),
            **windows.sizes,
        },
        axes=windows.extents(),
        slug=windows.slug("lp_pool", stride=windows.kernel, words=[f"p{root.replace('.', '_')}"]),
        title=f"Power-average pooling in {windows.rank}-D, p = {root}",
        meanings={"x": "input", **inner, "y": "output"} | windows.meanings(),
        settings={
            **windows.settings(),
            "p": p,
            "stride": None if windows.stride == windows.kernel else brief(windows.stride),
        },
        source="Sermanet, Chintala, LeCun, arXiv 1204.3968, eq. 1",
    )
