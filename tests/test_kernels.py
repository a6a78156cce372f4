"""What every generated module promises, on the text that is generated."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import (
    FORMS,
    backward,
    conv_layer,
    derivation_of,
    forward,
    integers,
    kernel_of,
    pool_layer,
    run,
    source_of,
)
from reference import (
    Geometry,
    conv_backward,
    conv_forward,
    geometries,
    max_pool_backward,
    max_pool_forward,
    output_sizes,
)

import derive
from derive.verify import verify

ROOT = Path(__file__).parent.parent
EVERY_FORM = pytest.mark.parametrize("form", FORMS)
STRIDED = Geometry(4, 6, 2, (5, 4), (3, 2), (2, 1), ((1, 0), (2, 1)), (1, 2))

LAYERS = {
    "conv": lambda: conv_layer(STRIDED),
    "plain conv": lambda: derive.conv(input=(3, 3), kernel=(2, 2)),
    "conv 3d": lambda: derive.conv(input=(2, 3, 3, 3), kernel=(2, 2, 2), filters=2, padding=1),
    "max pool": lambda: pool_layer((2, 5, 5), (3, 2), stride=2, padding=1),
    "split max pool": lambda: pool_layer((2, 4, 5), (2, 2), ties="split"),
    "average pool": lambda: pool_layer((2, 6), (3,), stride=2, op="mean"),
    "dense": lambda: derive.equation(
        "y[i] = tanh(sum[j](w[i,j]*x[j]) + b[i])", {"x": (4,), "w": (3, 4), "b": (3,)}
    ),
    "softmax": lambda: derive.equation("y[i] = exp(x[i]) / sum[j](exp(x[j]))", {"x": (4,)}),
    "flatten": lambda: derive.equation("y[(c,i,j)] = x[c,i,j]", {"x": (2, 3, 4)}),
    "transpose": lambda: derive.equation("y[j,i] = x[i,j]", {"x": (2, 3)}),
    "identity": lambda: derive.equation("y[i] = x[i]", {"x": (3,)}),
    "erf": lambda: derive.equation("y[i] = x[i]*(1 + erf(x[i]))/2", {"x": (4,)}),
}
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)


def layer_named(name):
    return LAYERS[name]()


# -- exact values ---------------------------------------------------------------------------


@EVERY_FORM
@settings(max_examples=30)
@given(geometry=geometries(), seed=st.integers(0, 99))
def test_a_convolutions_kernel_is_exact_on_integers(form, geometry, seed):
    arrays, kernel = geometry.arrays(seed), kernel_of(conv_layer(geometry), form)
    x, w, b, dy = (arrays[name] for name in ("x", "w", "b", "dy"))
    assert np.array_equal(kernel.forward(x, w, b), conv_forward(x, w, b, **geometry.settings))
    expected = conv_backward(dy, x, w, **geometry.settings)
    for found, wanted in zip(kernel.backward(dy, x, w, b), expected, strict=True):
        assert found.dtype == np.int64
        assert np.array_equal(found, wanted)


@settings(max_examples=40)
@given(
    values=st.lists(st.integers(0, 2), min_size=40, max_size=40),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 1),
    ties=st.sampled_from(["first", "split"]),
)
def test_a_max_pools_kernel_is_exact_on_integers(values, kernel, stride, dilation, padding, ties):
    setting = {"stride": stride, "dilation": dilation, "padding": padding}
    if 1 in kernel or padding == dilation == 1:
        setting["padding"] = padding = 0  # every window needs a valid read
    outputs = output_sizes((5, 4), kernel, **setting)
    if 0 in outputs:
        return
    x = np.array(values).reshape(2, 1, 5, 4)
    layer = pool_layer((1, 5, 4), kernel, **setting, outputs=outputs, ties=ties)
    module = kernel_of(layer)
    assert np.array_equal(module.forward(x), max_pool_forward(x, kernel, **setting))
    dy = np.arange(1, 1 + 2 * np.prod(outputs)).reshape(2, 1, *outputs)
    exact = np.array([Fraction(int(k)) for k in dy.flat], dtype=object).reshape(dy.shape)
    expected = max_pool_backward(dy, x, kernel, **setting, ties=ties)
    assert np.array_equal(module.backward(exact, x).dx, expected)


@EVERY_FORM
def test_a_strided_grouped_convolution_is_exact_on_fractions(form):
    layer = conv_layer(STRIDED)
    arrays = {
        name: np.array([Fraction(int(k), 7) for k in a.flat], dtype=object).reshape(a.shape)
        for name, a in integers(layer).items()
    }
    x, w, b, dy = (arrays[name] for name in ("x", "w", "b", "dy"))
    kernel = kernel_of(layer, form)
    y = kernel.forward(x, w, b)
    assert all(isinstance(entry, Fraction) for entry in y.flat)
    zero = np.zeros((), object)
    assert np.array_equal(y, conv_forward(x + zero, w, b, **STRIDED.settings))
    found = kernel.backward(dy, x, w, b)
    expected = conv_backward(dy, x, w, **STRIDED.settings)
    for one, two in zip(found, expected, strict=True):
        assert np.array_equal(one, two)


# -- dtypes ---------------------------------------------------------------------------------


@EVERY_LAYER
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_points_keep_their_width(name, dtype):
    layer = layer_named(name)
    arrays = {key: a.astype(dtype) for key, a in integers(layer).items()}
    kernel = kernel_of(layer)
    assert forward(kernel, arrays).dtype == dtype
    assert {g.dtype for g in backward(kernel, arrays)} == {np.dtype(dtype)}


@EVERY_LAYER
def test_integers_stay_integers_unless_there_is_a_division_or_a_function(name):
    layer = layer_named(name)
    arrays = {key: a.astype(np.int32) for key, a in integers(layer).items()}
    kernel = kernel_of(layer)
    real = name in ("dense", "softmax", "average pool", "erf")
    shared = name == "split max pool"  # 1/k of dy is a fraction, the maximum is not
    assert forward(kernel, arrays).dtype == (np.float64 if real else np.int32) or shared
    gradients = {g.dtype for g in backward(kernel, arrays)}
    assert gradients == {np.dtype(np.float64 if real or shared else np.int32)}


def test_mixed_dtypes_give_numpys_common_one():
    kernel = kernel_of(derive.conv(input=(3, 3), kernel=(2, 2)))
    y = kernel.forward(np.ones((3, 3), np.float32), np.ones((2, 2), np.int64))
    assert y.dtype == np.result_type(np.float32, np.int64)


# -- batches --------------------------------------------------------------------------------


@EVERY_LAYER
@EVERY_FORM
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,), (2, 0)], ids=str)
def test_any_number_of_leading_axes_is_a_batch(name, form, batch):
    layer = layer_named(name)
    kernel, arrays = kernel_of(layer, form), integers(layer, batch=batch)
    batched = {t.name for t in layer.equation.data} | {"dy"}
    samples = [
        {key: (a[at] if key in batched else a) for key, a in arrays.items()}
        for at in np.ndindex(*batch)
    ]
    y = forward(kernel, arrays)
    assert y.shape == (*batch, *kernel.SHAPES["y"])
    for at, sample in zip(np.ndindex(*batch), samples, strict=True):
        np.testing.assert_allclose(y[at], forward(kernel, sample), rtol=1e-12)
    singles = [backward(kernel, sample) for sample in samples]
    for k, (tensor, found) in enumerate(
        zip(layer.equation.tensors, backward(kernel, arrays), strict=True)
    ):
        assert found.shape == arrays[tensor.name].shape
        if tensor.batched:
            for at, single in zip(np.ndindex(*batch), singles, strict=True):
                np.testing.assert_allclose(found[at], single[k], rtol=1e-12, atol=1e-12)
        else:
            total = sum((single[k] for single in singles), np.zeros(found.shape))
            np.testing.assert_allclose(found, total, rtol=1e-10, atol=1e-12)


# -- memory ---------------------------------------------------------------------------------


@EVERY_LAYER
@EVERY_FORM
def test_inputs_are_read_only_for_the_kernel_and_outputs_are_fresh(name, form):
    layer = layer_named(name)
    kernel, arrays = kernel_of(layer, form), integers(layer)
    before = {key: a.copy() for key, a in arrays.items()}
    for a in arrays.values():
        a.flags.writeable = False
    results = [forward(kernel, arrays), *backward(kernel, arrays)]
    for key, a in arrays.items():
        assert np.array_equal(a, before[key]), key
    for number, result in enumerate(results):
        assert result.flags.writeable
        others = [*arrays.values(), *results[:number]]
        assert not any(np.shares_memory(result, other) for other in others), number


@EVERY_LAYER
def test_strided_views_are_as_good_as_contiguous_arrays(name):
    layer = layer_named(name)
    kernel, arrays = kernel_of(layer), integers(layer)
    views = {}
    for key, a in arrays.items():
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 99)
        wide[..., ::-2] = a
        views[key] = np.asarray(wide[..., ::-2]).T.copy().T
    exact = all(g.dtype.kind == "i" for g in backward(kernel, arrays))
    near = {} if exact else {"rtol": 1e-13, "atol": 1e-13}  # other memory, other order of sums
    for one, two in (
        (forward(kernel, views), forward(kernel, arrays)),
        *zip(backward(kernel, views), backward(kernel, arrays), strict=True),
    ):
        assert np.array_equal(one, two) or (near and np.allclose(one, two, **near))


def test_several_threads_may_call_one_kernel():
    layer = conv_layer(STRIDED)
    kernel = kernel_of(layer)
    draws = [integers(layer, seed) for seed in range(12)]
    alone = [backward(kernel, arrays) for arrays in draws]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda arrays: backward(kernel, arrays), draws * 4))
    for number, gradients in enumerate(together):
        for one, two in zip(gradients, alone[number % 12], strict=True):
            assert np.array_equal(one, two)


# -- wrong input ----------------------------------------------------------------------------

X, W, B, DY = (2, 4, 5, 4), (6, 2, 3, 2), (6,), (2, 6, 2, 5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"x": (2, 4, 5, 3)}, "x: axis 3 has size 3, not 4"),
        ({"x": (4, 6, 4)}, "x: axis 1 has size 6, not 5"),
        ({"x": (4,)}, "x has 1 axes, shape (4,); need (4, 5, 4)"),
        ({"w": (6, 4, 3, 2)}, "w: axis 1 has size 4, not 2"),
        ({"w": (1, 6, 2, 3, 2)}, "w has 5 axes, shape (1, 6, 2, 3, 2); need (6, 2, 3, 2)"),
        ({"b": ()}, "b has 0 axes, shape (); need (6,)"),
        ({"b": (1,)}, "b: axis 0 has size 1, not 6"),
        ({"dy": (2, 6, 2, 4)}, "dy: axis 3 has size 4, not 5"),
        ({"dy": (1, 6, 2, 5)}, "x has batch axes (2,), but dy has (1,)"),
        ({"dy": (6, 2, 5)}, "x has batch axes (2,), but dy has ()"),
    ],
    ids=str,
)
def test_a_wrong_shape_is_refused_by_tensor_axis_and_both_sizes(shapes, message):
    kernel = kernel_of(conv_layer(STRIDED))
    given = {"dy": DY, "x": X, "w": W, "b": B} | shapes
    arrays = [np.zeros(shape) for shape in given.values()]
    whole = f"^{re.escape(message)}$"
    with pytest.raises(ValueError, match=whole):
        kernel.backward(*arrays)
    if "dy" not in shapes:
        with pytest.raises(ValueError, match=whole):
            kernel.forward(*arrays[1:])


@pytest.mark.parametrize("wrong", [np.array(["a"] * 3), np.ones(3, bool)], ids=["text", "bool"])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(TypeError) as caught:
        kernel_of(layer_named("identity")).forward(wrong)
    assert str(caught.value) == f"x has dtype {wrong.dtype}; numbers are needed"


# -- text -----------------------------------------------------------------------------------


def imported(tree: ast.AST) -> set[str]:
    """The top-level names of every module that is imported anywhere."""
    return {
        module.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }


@EVERY_LAYER
@EVERY_FORM
def test_a_kernel_imports_numpy_and_uses_no_einsum(name, form):
    tree = ast.parse(source_of(layer_named(name), form))
    tried = {m for node in ast.walk(tree) if isinstance(node, ast.Try) for m in imported(node)}
    assert tried <= {"threadpoolctl"}  # may be missing
    assert imported(tree) - tried - sys.stdlib_module_names == {"numpy"}
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"einsum", "vectorize", "nditer", "ndindex", "apply_along_axis"}


def loops(source: str) -> list[tuple[str, int]]:
    """(index, extent) of every loop in forward and backward, as the general strategy has them."""
    found = []
    for function in ast.parse(source).body:
        name = function.name.removesuffix("_taps") if isinstance(function, ast.FunctionDef) else ""
        if name in ("forward", "backward", "_forward", "_backward"):
            for node in ast.walk(function):
                assert not isinstance(node, ast.While | ast.comprehension)
                if isinstance(node, ast.For):
                    assert ast.unparse(node.iter.func) == "range"
                    found.append((node.target.id, ast.literal_eval(node.iter.args[0])))
    return found


@EVERY_FORM
@given(geometry=geometries())
def test_loops_run_over_the_shorter_index_of_a_subscript_only(form, geometry):
    layer = conv_layer(geometry)
    sizes = {index: extent.number for index, extent in layer.equation.at_sizes().extents}
    bounds = {}  # index -> the larger of the extents that it stays below or equal to
    for size, read in zip(
        geometry.sizes,
        layer.equation.forward.rhs.args[0].body.args[0].axes[-geometry.rank :],
        strict=True,
    ):
        out, tap = sorted((n for n in read[0].names if n in sizes), key="ijkuvt".index)
        bounds[out] = sizes[tap]  # they share a subscript of x
        # so they do in a gather form, where a tap also shares one of dy with an entry of dx
        bounds[tap] = sizes[out] if form == "scatter" else max(sizes[out], size)
    assert sizes["n"] is None
    for index, extent in loops(source_of(layer, form)):
        if index in bounds:
            assert extent <= bounds[index], index
        else:  # an entry of a gradient
            assert index not in sizes
            assert extent in geometry.sizes
            assert extent <= max(geometry.kernel)


def test_the_batch_and_the_channels_are_never_looped_over():
    layer = derive.conv(input=(2, 9, 9), kernel=(3, 3), filters=2, groups=2)
    assert {index for index, _ in loops(source_of(layer))} == {"u", "v"}


def test_a_kernel_as_large_as_the_input_loops_over_outputs():
    layer = derive.conv(input=(9, 9), kernel=(9, 9))
    assert loops(source_of(layer)) == []
    wide = derive.conv(input=(3, 9), kernel=(3, 8), padding=0)
    assert {(i, n) for i, n in loops(source_of(wide, "scatter"))} == {("j", 2)}


class Names(ast.NodeVisitor):
    """Names that a function reads before it, or its module, has given them a value."""

    def __init__(self, known: set[str]) -> None:
        self.known, self.early = set(known), set()

    def visit_Name(self, node: ast.Name) -> None:
        """A store gives a value; a load before it is early."""
        if isinstance(node.ctx, ast.Store):
            self.known.add(node.id)
        elif node.id not in self.known:
            self.early.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        """The right side comes first."""
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """The target is read too."""
        self.visit(node.value)
        if isinstance(node.target, ast.Name) and node.target.id not in self.known:
            self.early.add(node.target.id)


@EVERY_LAYER
@EVERY_FORM
def test_no_name_is_used_before_it_has_a_value(name, form):
    tree = ast.parse(source_of(layer_named(name), form))
    module = {"np", *dir(__builtins__)} | set(
        __builtins__ if isinstance(__builtins__, dict) else ()
    )
    module |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    module |= {"SHAPES", "_SHAPE_OF", "_INTEGER", "_BATCHED"}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
            parameters = (*function.args.args, *function.args.kwonlyargs)
            checked = Names(module | {a.arg for a in parameters})
            for line in function.body:
                checked.visit(line)
            assert not checked.early, function.name


@EVERY_LAYER
def test_a_kernel_states_its_shapes_and_equations(name):
    layer = layer_named(name)
    kernel, sized = kernel_of(layer), layer.equation.at_sizes()
    assert {
        **{t.name: t.sizes() for t in sized.tensors},
        sized.output.name: sized.output.sizes(),
    } == kernel.SHAPES
    lines = kernel.EQUATIONS.splitlines()
    assert [line.split("[")[0] for line in lines] == ["y", *(t.gradient for t in sized.tensors)]
    assert kernel.Gradients._fields == tuple(t.gradient for t in sized.tensors)


BYTES = """
import hashlib, sys
sys.path[:0] = [{tests!r}, {root!r}]
from test_kernels import FORMS, LAYERS, layer_named, source_of
for name in LAYERS:
    for form in FORMS:
        print(name, form, hashlib.sha256(source_of(layer_named(name), form).encode()).hexdigest())
"""


def test_the_same_layer_gives_the_same_bytes_under_every_hash_seed():
    code = BYTES.format(tests=str(ROOT / "tests"), root=str(ROOT))
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in "012"
    ]
    outputs = {process.communicate()[0] for process in runs}
    assert {process.returncode for process in runs} == {0}
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == len(LAYERS) * len(FORMS)


ALONE = """
import sys
for blocked in ("sympy", "jinja2", "derive", "mpmath"):
    sys.modules[blocked] = None
import numpy as np
for path in sys.argv[1:]:
    made = {}
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), made)
    shapes = made["SHAPES"]
    given = [np.ones((2, *s) if n == "x" else s) for n, s in shapes.items() if n != "y"]
    assert made["forward"](*given).shape == (2, *shapes["y"]), path
    found = made["backward"](np.ones((2, *shapes["y"])), *given)
    assert [g.shape for g in found] == [a.shape for a in given], path
print("done")
"""


def test_kernels_run_with_numpy_alone_and_without_a_warning(tmp_path):
    paths = []
    for number, name in enumerate(LAYERS):
        paths.append(tmp_path / f"kernel_{number}.py")
        paths[-1].write_text(source_of(layer_named(name)), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", ALONE, *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


# -- the whole language ---------------------------------------------------------------------

EQUATIONS = {
    "y[i] = sum[u](x[i+u]*w[u])": {"x": (5,), "w": (3,)},
    "y[i,j] = max[u,v](x[2*i+u,2*j+v])": {"x": (4, 6), "u": 2, "v": 2},
    "y[i,j] = max[u,v](x[i+u-1,j+v-1])": {"x": (3, 4), "u": 3, "v": 3},
    "y[i] = mean[u](x[2*i+u])": {"x": (7,), "u": 3},
    "y[i] = tanh(sum[j](w[i,j]*x[j]) + b[i])": {"x": (4,), "w": (3, 4), "b": (3,)},
    "y[i] = sigmoid(x[i])*x[i]": {"x": (4,)},
    "y[i] = exp(x[i]) / sum[j](exp(x[j]))": {"x": (4,)},
    "y[i] = log(x[i]) - sin(x[i])*cos(x[i]) + softplus(x[i])": {"x": (4,)},
    "y[i] = x[i]*x[i+1]": {"x": (6,)},
    "y[i] = x[2*i]": {"x": (6,)},
    "y[i] = x[i]": {"x": (6,)},
    "y[(c,i,j)] = x[c,i,j]": {"x": (2, 3, 4)},
    "y[c,i] = x[(c,i)]*w[i]": {"x": (6,), "w": (3,)},
    "y[j,i] = x[i,j]": {"x": (2, 3)},
    "y = sum[i](x[i]**2)/2": {"x": (5,)},
    "y[i] = s*x[i] + t": {"x": (4,), "s": (), "t": ()},
    "y[i] = abs(sum[u](x[i+u]*w[u]))": {"x": (5,), "w": (3,)},
    "y[i] = sum[u](abs(x[i+u]-w[u]))": {"x": (5,), "w": (3,)},
    "y[i] = max[u](x[i+u]+w[u])": {"x": (5,), "w": (3,)},
    "y[i] = relu(x[i]-t[i])": {"x": (5,), "t": (5,)},
    "y[m] = sum[i,u](x[i]*w[u]*delta(2*i+u-1,m))": {"x": (4,), "w": (3,), "y": (7,)},
    "y[i] = sum[u](x[2*i+u-1])/sum[u](inside(x[2*i+u-1]))": {"x": (7,), "u": 3},
    "y[i] = sum[j](where(j<=i, x[j]*w[i,j], 0))": {"x": (4,), "w": (4, 4)},
    "y[i] = x[i,i]": {"x": (3, 3)},
    "y[i,j] = x[i+j]*w[i-j+2]": {"x": (5,), "w": (5,), "y": (3, 3)},
    "y[i] = sum[u](x[i+u]*w[u])**2": {"x": (5,), "w": (3,)},
    "y = max[i](x[i])": {"x": (5,)},
    "y[c] = max[i,j](x[c,i,j])": {"x": (2, 3, 4)},
    "y[i] = min[u](x[i-u])": {"x": (5,), "u": 2, "y": (5,)},
    "y[i] = sum[u](x[4-i+u]*w[2-u])": {"x": (7,), "w": (3,), "y": (5,)},
    "y[i] = erf(x[i]) + sqrt(x[i]**2+1)*0.5": {"x": (5,)},
    "y[i] = w[i]": {"x": (5,), "w": (5,)},
    "y[i] = maximum(x[i], 0.1*x[i]) - minimum(x[i], w[i])": {"x": (5,), "w": (5,)},
    "y[i,j] = sum[k](q[i,k]*r[j,k])": {"q": (3, 4), "r": (2, 4)},
    "y[i] = sum[j,k](x[j]*q[i,k]*B[i,j,k])": {"x": (3,), "q": (2, 3), "B": (2, 3, 3)},
    "y[n,i] = sum[j](x[n,j]*A[i,j]) + sum[j,k](x[n,j]*x[n,k]*B[i,j,k])": {
        "x": (3,),
        "A": (2, 3),
        "B": (2, 3, 3),
    },
}
"""One equation for everything the language can say."""


def layer_of(text: str, ties: str = "first"):
    """Tensors q and r are data where they occur."""
    data = tuple(name for name in ("x", "q", "r") if f"{name}[" in text)
    shapes = {n: s for n, s in EQUATIONS[text].items() if f"{n}[" in text or n != "x"}
    return derive.equation(text, shapes, data=data, ties=ties)


TIED = [text for text in EQUATIONS if "max[" in text or "min[" in text]


@pytest.mark.parametrize(
    ("text", "ties"), [*((t, "first") for t in EQUATIONS), *((t, "split") for t in TIED)]
)
def test_every_equation_of_the_language_has_a_certified_kernel(text, ties):
    layer = layer_of(text, ties)
    derivation = derivation_of(layer)
    forms = tuple(source_of(layer, form) for form in ("scatter", "gather"))
    certificate = verify(derivation, source_of(layer), forms)
    proved = {claim.kind for claim in certificate.claims}
    smooth = any(fn in text for fn in ("tanh", "sigmoid", "exp", "log", "erf", "sqrt"))
    assert proved & {"symbolic", "selecting"} or smooth
    assert proved & {"integer", "numeric"}
    for claim in certificate.claims:
        names = {n.removeprefix("d") for n in claim.subject}
        assert names >= {t.name for t in layer.equation.tensors}


@pytest.mark.parametrize("text", EQUATIONS)
def test_a_kernel_of_any_equation_runs_again_from_its_text(text):
    layer = layer_of(text)
    arrays = {name: a + 10.0 for name, a in integers(layer).items()}  # logarithms are defined
    one, two = run(source_of(layer)), kernel_of(layer, "gather")
    assert forward(one, arrays).tobytes() == forward(two, arrays).tobytes()
