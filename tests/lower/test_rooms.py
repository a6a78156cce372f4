"""Rooms: what a kernel's function keeps between calls, once in each thread and for each type."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from forced import integers, kernels

from derive.lower.memory import scratch
from derive.lower.rooms import room

LAYER = {"input": (2, 9, 8), "kernel": (3, 2), "filters": 4, "padding": 1, "bias": True}


@pytest.fixture(params=["columns", "rows", "cascade", "shifts"])
def made(request):
    return kernels(request.param, **LAYER)[0][0]


def called(made, dtype="float32", batch=2):
    given = {n: a.astype(dtype) for n, a in integers(made, batch).items()}
    made.forward(given["x"], given["w"], given["b"])
    made.backward(**given)
    return dict(made._kept.rooms)


def test_a_room_is_made_once(made):
    first = called(made)
    assert first
    for batch in (0, 1, 7):
        again = called(made, batch=batch)
        assert again.keys() == first.keys()
        assert all(again[key] is first[key] for key in first)


def test_every_type_of_number_has_its_own(made):
    single, double = called(made, "float32"), called(made, "float64")
    assert len(double) == 2 * len(single)
    for (_, dtype), things in double.items():
        arrays = [thing for thing in things if isinstance(thing, np.ndarray)]
        assert arrays
        assert all(array.dtype == dtype for array in arrays)


def test_every_thread_has_its_own(made):
    here, there = called(made), {}
    other = threading.Thread(target=lambda: there.update(called(made)))
    other.start()
    other.join()
    assert there.keys() == here.keys()
    assert all(there[key] is not here[key] for key in here)


def test_objects_and_integers_need_no_room(made):
    for kind in (int, object):
        called(made, kind)
    assert not made._kept.rooms


def test_all_that_a_room_makes_is_counted():
    lines = ["a = np.zeros((3, 5), dtype)", "b = np.ones((7,), dtype)", "return a, b"]
    assert scratch((room("f", lines),)) == 4 * (15 + 7)
