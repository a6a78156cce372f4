"""The strategy ``correlate``: products of a few rows of columns at a time."""

from __future__ import annotations

import pytest
from forced import differing, integers, kernels

LARGE = {"input": (3, 36, 36), "kernel": (3, 3), "filters": 24, "stride": 2, "padding": 1}


@pytest.mark.parametrize(
    "more", [{}, {"bias": True}, {"filters": 200, "bias": True}, {"flip": True, "bias": True}]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slices_of_the_columns_give_what_the_whole_gives(more, dtype):
    made = kernels("correlate", **LARGE | more)
    assert made
    for module, _ in made:
        assert "slices = part.reshape(" in module.SOURCE
        for batch in (0, 1, 3):
            assert differing(module, integers(module, batch), dtype) == []


def test_rows_that_only_fill_the_last_slice_are_zeros():
    made = kernels("correlate", **LARGE | {"bias": True})
    module = next(m for m, groups in made if ("dw", "db") in groups)
    assert "(32, 324), dtype)" in module.SOURCE  # 3 · 9 rows and ones: four slices of eight
    assert differing(module, integers(module, 2)) == []
    rooms = [thing for room in module._kept.rooms.values() for thing in room]
    columns = next(array for array in rooms if array.shape == (4, 8, 324)).reshape(32, 324)
    assert not columns[28:].any()
    assert (columns[27] == 1).all()


@pytest.mark.parametrize("more", [{"filters": 400}, {"input": (3, 20, 20)}, {"groups": 3}], ids=str)
def test_products_that_gain_nothing_are_taken_whole(more):
    for module, _ in kernels("correlate", **LARGE | more):
        assert "slices = part" not in module.SOURCE
        assert differing(module, integers(module, 2)) == []
