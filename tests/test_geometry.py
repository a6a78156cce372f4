"""Sizes as text, paddings and window counts, against published shapes and by counting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derive import geometry
from derive.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("3x3", (3, 3)),
        ("3x32x32", (3, 32, 32)),
        ("1,2x0,1", ((1, 2), (0, 1))),
        ("1,2", ((1, 2),)),
        ("same", "same"),
        ("0.01", 0.01),
        ("1e-5", 1e-5),
    ],
)
def test_text_means_what_a_person_means(text: str, value: object) -> None:
    assert geometry.value("--flag", text) == value
    assert geometry.value("--flag", geometry.text(value)) == value


def test_a_plain_number_may_be_negative_and_a_size_may_not() -> None:
    assert geometry.value("--axis", "-1", signed=True) == -1
    with pytest.raises(UsageError, match="'-1x2'"):
        geometry.value("--axis", "-1x2", signed=True)


@pytest.mark.parametrize(
    "text",
    ["", "x", "3x", "3X3", "-1", "+1", " 3", "1_0", "٦", "３", "3x3x", "1,x2", "0x1f", "3*3"],
)
def test_anything_but_ascii_digits_is_refused_with_flag_and_value(text: str) -> None:
    with pytest.raises(UsageError, match=r"--kernel \(="):
        geometry.value("--kernel", text)


@pytest.mark.parametrize("text", ["1000001", "9" * 5000, "3x" + "9" * 5000])
def test_sizes_beyond_the_limit_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="at most 1000000"):
        geometry.value("--input", text)


@pytest.mark.parametrize(
    ("shape", "kernel", "channels", "expected"),
    [
        ((3, 3), (2, 2), None, (None, (3, 3))),
        ((3, 32, 32), (3, 3), None, (3, (32, 32))),
        ((3, 28), (5,), None, (3, (28,))),
        ((28, 28), 5, None, (None, (28, 28))),
        ((1, 28, 28), 5, None, (1, (28, 28))),
        ((2, 4, 5, 6), 3, None, (2, (4, 5, 6))),
        ((4, 5, 6), 3, 2, (2, (4, 5, 6))),
        (28, 5, None, (None, (28,))),
        ((4, 5, 6), (2, 2, 2), None, (None, (4, 5, 6))),
    ],
)
def test_channels_are_the_number_that_the_kernel_does_not_cover(
    shape: object, kernel: object, channels: int | None, expected: object
) -> None:
    assert geometry.channels_and_space(shape, kernel, channels) == expected


@pytest.mark.parametrize(
    ("H", "K", "s", "p", "d", "outputs"),
    [
        # Dumoulin & Visin, A guide to convolution arithmetic (2016), figures 2.1 to 2.7 and 5.1
        (4, 3, 1, 0, 1, 2),
        (5, 4, 1, 2, 1, 6),
        (5, 3, 1, 1, 1, 5),
        (5, 3, 1, 2, 1, 7),
        (5, 3, 2, 0, 1, 2),
        (5, 3, 2, 1, 1, 3),
        (6, 3, 2, 1, 1, 3),
        (7, 3, 1, 0, 2, 3),
        # AlexNet's first layer, cs231n notes
        (227, 11, 4, 0, 1, 55),
    ],
)
def test_published_output_sizes(H: int, K: int, s: int, p: int, d: int, outputs: int) -> None:
    assert geometry.windows((H,), (K,), (s,), ((p, p),), (d,)) == (outputs,)


sizes = st.integers(1, 12)


@given(sizes, sizes, st.integers(1, 4), st.integers(0, 3), st.integers(0, 3), st.integers(1, 3))
def test_windows_are_as_many_as_fit_when_counted(
    H: int, K: int, s: int, low: int, high: int, d: int
) -> None:
    starts = range(-low, H + high, s)
    fitting = [start for start in starts if start + d * (K - 1) < H + high]
    if fitting:
        assert geometry.windows((H,), (K,), (s,), ((low, high),), (d,)) == (len(fitting),)
    else:
        with pytest.raises(UsageError, match="larger than the padded input"):
            geometry.windows((H,), (K,), (s,), ((low, high),), (d,))


@given(sizes, sizes, st.integers(1, 4), st.integers(1, 3))
def test_same_padding_gives_one_window_for_every_stride(H: int, K: int, s: int, d: int) -> None:
    ((low, high),) = geometry.sides("same", (H,), (K,), (s,), (d,))
    assert geometry.windows((H,), (K,), (s,), ((low, high),), (d,)) == (len(range(0, H, s)),)
    assert 0 <= high - low <= 1


def test_a_kernel_that_does_not_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(UsageError) as refused:
        geometry.windows((5, 3), (2, 3), (1, 1), ((0, 0), (0, 1)), (1, 2))
    assert str(refused.value) == (
        "kernel (=2x3) is larger than the padded input (=5x3): "
        "on axis 1 the kernel with dilation 2 spans 5, the input with padding 0 + 1 is 4"
    )
