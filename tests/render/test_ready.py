"""Arrays that are already as a kernel wants them are taken as they are, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import derivation_of

import derive
from derive.lower import lower
from derive.render.kernel import kernel
from derive.verify.running import module

LAYER = {"input": (2, 5, 4), "kernel": (3, 2), "filters": 3, "bias": True}


@pytest.fixture(scope="module")
def conv():
    derivation = derivation_of(derive.conv(**LAYER))
    return module(kernel(derivation, lower(derivation)), "kernel")


def given(made, batch=2, dtype="float32"):
    random = np.random.default_rng(0)
    lead = {"x": (batch,), "dy": (batch,)}
    shapes = {"dy": made.SHAPES["y"], **{n: s for n, s in made.SHAPES.items() if n != "y"}}
    return {
        n: random.integers(-3, 4, (*lead.get(n, ()), *s)).astype(dtype) for n, s in shapes.items()
    }


def ready(made, arrays):
    return made._backward_ready(*arrays.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_one_axis_of_samples_of_one_float_type_is_ready(conv, batch, dtype):
    assert ready(conv, given(conv, batch, dtype))


OTHERWISE = {
    "a list": ("w", lambda w: w.tolist()),
    "a subclass": ("x", lambda x: np.ma.masked_array(x)),
    "another float type": ("b", lambda b: b.astype("float64")),
    "the other byte order": ("b", lambda b: b.astype(b.dtype.newbyteorder())),
    "integers": ("x", lambda x: x.astype(int)),
    "one sample without its axis": ("x", lambda x: x[0]),
    "two axes of samples": ("x", lambda x: x[None]),
    "a batch of another size": ("dy", lambda dy: dy[:1]),
    "other sizes": ("w", lambda w: w[:, :, :2]),
    "an upstream list": ("dy", lambda dy: dy.tolist()),
    "an upstream gradient of another type": ("dy", lambda dy: dy.astype("float64")),
}


@pytest.mark.parametrize(("name", "change"), OTHERWISE.values(), ids=OTHERWISE)
def test_nothing_else_is_ready(conv, name, change):
    arrays = given(conv)
    arrays[name] = change(arrays[name])
    assert not ready(conv, arrays)


@pytest.mark.parametrize("kind", [int, object, "float16", "complex128", ">f4"])
def test_arrays_that_are_not_ready_give_the_same_numbers(conv, kind):
    arrays = given(conv)
    others = {n: a.astype(kind) for n, a in arrays.items()}
    assert not ready(conv, others)
    found, right = conv.backward(**others), conv.backward(**arrays)
    for one, two in zip(found, right, strict=True):
        assert np.array_equal(one, two)
    del arrays["dy"], others["dy"]
    assert np.array_equal(conv.forward(**others), conv.forward(**arrays))


@pytest.mark.parametrize("lead", [(), (2, 3), (0, 2)])
def test_other_batch_axes_come_back(conv, lead):
    arrays = given(conv)
    for name in ("x", "dy"):
        arrays[name] = np.resize(arrays[name], (*lead, *arrays[name].shape[1:]))
    gradients = conv.backward(**arrays)
    assert gradients.dx.shape == arrays["x"].shape
    del arrays["dy"]
    assert conv.forward(**arrays).shape == (*lead, *conv.SHAPES["y"])


def test_a_tensor_without_axes_is_ready_with_one_axis_only():
    derivation = derivation_of(derive.equation("y = s*x", {"x": (), "s": ()}))
    made = module(kernel(derivation, lower(derivation)), "kernel")
    x, s = np.ones(3, "float32"), np.ones((), "float32")
    assert made._ready(x, s)
    assert not made._ready(x[0, ...], s)
    assert not made._ready(np.ones((3, 1), "float32"), s)


def test_class_indices_are_ready_if_there_are_such_classes():
    derivation = derivation_of(derive.cross_entropy(input=(4,)))
    made = module(kernel(derivation, lower(derivation)), "kernel")
    x, t = np.ones((3, 4), "float32"), np.array([0, 3, 1])
    assert made._ready(x, t)
    for wrong in (t + 1, t - 1, t.astype(float), t[:2], t[:0]):
        assert not made._ready(x[: len(wrong)] if len(wrong) == 0 else x, wrong)
