"""The claims on layers of several statements: all of them are looked at, none is left out."""

import ast

import numpy as np
import pytest
import sympy
from several import SEVERAL

import derive
from derive import explicit, pipeline
from derive.certificates import Omitted
from derive.errors import Disproved
from derive.functions import arithmetic
from derive.verify import load, verify
from derive.verify.agreement import agreement
from derive.verify.integer import integer
from derive.verify.magnitudes import order, reach
from derive.verify.numeric import numeric
from derive.verify.running import batch_shape, mixes, products, sample
from derive.verify.selecting import selecting
from derive.verify.symbolic import exactly, meant, same, symbolic

NAMES = sorted(SEVERAL)
STABILISER = "m"
"""Largest entries that are taken off before exp: y does not depend on them, nor L."""


def derivation(text, shapes, **settings):
    return pipeline.derive(derive.equation(text, shapes, **settings))


def kernel(text, shapes, **settings):
    made = derivation(text, shapes, **settings)
    return made, load(pipeline.kernel(made), made)


def changed(source, function, name):
    """The source with another value of ``name`` in the function; None if it assigns none."""
    lines = source.splitlines()
    (body,) = (
        n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == function
    )
    ends = [
        node.end_lineno
        for node in body.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    ]
    for end in reversed(ends):
        lines.insert(end, f"    {name} = 2 * {name} + 1")
    return "\n".join(lines) if ends else None


def mutants():
    """(layer, function, variable) for every intermediate value and gradient in a kernel."""
    for name in NAMES:
        made = pipeline.derive(SEVERAL[name].layer)
        source = pipeline.kernel(made)
        stable = "exp" in SEVERAL[name].text
        inner = [t.name for t in made.equation.inner if not (stable and t.name == STABILISER)]
        for variable in (*inner, *("d" + n for n in inner)):
            for function in ("forward", "backward"):
                if changed(source, function, variable):
                    yield name, function, variable


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_is_certified_by_the_claims_of_its_arithmetic(name):
    row = SEVERAL[name]
    made = pipeline.derive(row.layer)
    source = pipeline.kernel(made)
    forms = tuple(pipeline.kernel(made, form) for form in ("scatter", "gather"))
    certificate = verify(made, source, forms)
    kinds = [claim.kind for claim in certificate.claims if claim.kind != "agreement"]
    assert (kinds, certificate.omitted) == (list(row.claims), ())
    sized = made.equation.at_sizes()
    given = [sized.tensor(t.name).gradient for t in sized.tensors if not t.integer]
    assert {claim.subject for claim in certificate.claims if claim.kind != "agreement"} == {
        ("y", *given)
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_computes_the_closed_form(name):
    row = SEVERAL[name]
    arrays = row.arrays(seed=5, batch=3)
    made = pipeline.derive(row.layer)
    ready = load(pipeline.kernel(made), made)
    given = [arrays[t.name] for t in made.equation.tensors]
    np.testing.assert_allclose(ready.forward(arrays), row.forward(*given), rtol=1e-12, atol=1e-14)
    found = ready.backward(arrays["dy"], arrays)
    expected = row.backward(arrays["dy"], *given)
    assert sorted(found) == sorted(expected)
    for tensor, value in expected.items():
        np.testing.assert_allclose(found[tensor], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "function", "variable"), list(mutants()))
def test_a_wrong_intermediate_is_disproved(name, function, variable):
    made = pipeline.derive(SEVERAL[name].layer)
    with pytest.raises(Disproved):
        verify(made, changed(pipeline.kernel(made), function, variable))


def test_the_arithmetic_is_that_of_all_statements():
    made = derive.equation("h[i] = exp(x[i])\ny[i] = h[i]*w[i]", {"x": 2}).equation
    assert arithmetic(made) == {"polynomial", "smooth"}


# -- class indices ------------------------------------------------------------------------


def test_class_indices_are_drawn_below_the_number_of_classes():
    text = "y = mean[n](sum[c](x[n,c]*delta(c, t[n])))"
    made, ready = kernel(text, {"x": (3,)}, data=("x", "t"))
    drawn = []

    def forward(x, t, original=ready.module.forward):
        drawn.append(np.array(t, dtype=object).astype(int))
        return original(x, t)

    ready.module.forward = forward
    for claim in (selecting, numeric):
        assert claim(made, ready).subject == ("y", "dx")
    assert set(np.concatenate([t.ravel() for t in drawn])) == {0, 1, 2}


def test_a_wrong_class_is_disproved():
    row = SEVERAL["cross_entropy_of_classes"]
    made = pipeline.derive(row.layer)
    source = pipeline.kernel(made)
    mutant = source.replace("np.arange(4)", "(np.arange(4) + 1)")
    assert mutant != source
    with pytest.raises(Disproved):
        verify(made, mutant)


# -- integer ------------------------------------------------------------------------------

CHAINS = {
    "squares": ("h[i] = x[i]*x[i]\ny[i] = h[i]*h[i] + x[i]", {"x": 2}),
    "sums": (
        "h[j] = sum[i](x[i]*w[j,i])\ny[k] = sum[j](h[j]**2*u[k,j])",
        {"x": 2, "w": (2, 2), "u": (1, 2)},
    ),
    "twice": ("a[i] = x[i] + w[i]\nb[i] = a[i]*w[i]\ny[i] = 3*a[i]*b[i] - b[i]", {"x": 2}),
}


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_the_degree_is_that_of_y_written_out(name):
    made = derive.equation(*CHAINS[name]).equation.at_sizes()
    degrees = [sympy.Poly(entry).total_degree() for entry in explicit.forward(made).flat]
    assert order(made) == max(degrees)


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_no_value_on_the_way_exceeds_the_bound(name):
    made = derivation(*CHAINS[name])
    sized = made.equation.at_sizes()
    ready = load(pipeline.kernel(made), made)
    size, batch = 5, 2
    bound = reach(made, sized, batch, size)
    generator = np.random.default_rng(0)
    largest = 0
    for _ in range(20):
        arrays = {
            t.name: generator.choice([-size, size], batch_shape(sized, t, batch))
            for t in sized.tensors
        }
        y = ready.forward(arrays)
        gradients = ready.backward(generator.choice([-size, size], y.shape), arrays)
        largest = max(largest, *(np.abs(a).max() for a in (y, *gradients.values())))
    assert bound / 20 < largest <= bound


def test_a_gradient_that_grows_on_its_way_back_is_bounded():
    # dh = dy, dx = 100·dh, though y = 100·x + … stays of the size of its terms
    made = derivation("h[i] = 100*x[i]\ny[i] = 100*h[i]", {"x": 1})
    assert reach(made, made.equation.at_sizes(), 1, 7) == 100 * 100 * 7


def test_polynomials_of_too_high_a_degree_are_checked_numerically():
    text = "a[i] = x[i]**4\nb[i] = a[i]**4\ny[i] = b[i]**4*w[i]"
    made, ready = kernel(text, {"x": 2})
    assert integer(made, ready) == Omitted("integer", "too_few_bits")
    assert numeric(made, ready).subject == ("y", "dx", "dw")


def test_indices_used_as_numbers_are_bounded():
    made = derivation("h[i] = i*x[i]\ny[i] = h[i]", {"x": 1000})
    assert reach(made, made.equation.at_sizes(), 1, 1) >= 999


# -- selecting ----------------------------------------------------------------------------


def test_a_tie_between_two_expressions_of_one_value_is_no_difference():
    # relu(0) is x or 0; dw = dy·relu(x) may hold either
    made, ready = kernel("h[i] = relu(x[i])\ny[i] = h[i]*w[i]", {"x": 3})
    assert selecting(made, ready).subject == ("y", "dx", "dw")


def test_a_wrong_share_of_a_tie_in_an_intermediate_is_disproved():
    text, shapes = "h[i] = x[i]*x[i]\ny = max[i](h[i])", {"x": 3}
    first, split = (derivation(text, shapes, ties=ties) for ties in ("first", "split"))
    with pytest.raises(Disproved, match="the selecting claim fails at dx"):
        selecting(first, load(pipeline.kernel(split), first))


def test_a_kink_far_from_0_is_reached():
    made, ready = kernel("h[i] = maximum(x[i], 0)\ny[i] = minimum(h[i], 6)", {"x": 8})
    assert selecting(made, ready).subject == ("y", "dx")
    source = pipeline.kernel(made)
    mutant = source.replace("np.minimum(h, 6)", "np.minimum(h, 7)")
    assert mutant != source
    with pytest.raises(Disproved, match="the selecting claim fails at y"):
        selecting(made, load(mutant, made))


# -- numeric ------------------------------------------------------------------------------


def test_the_branch_below_0_is_taken():
    made, _ = kernel("y[i] = where(x[i] > 0, x[i], exp(x[i]) - 1)", {"x": 4})
    source = pipeline.kernel(made)
    mutant = source.replace("np.exp(x) - 1", "np.exp(x) - 2")
    assert mutant != source
    with pytest.raises(Disproved, match="the numeric claim fails at y"):
        numeric(made, load(mutant, made))


@pytest.mark.parametrize("body", ["log(x[i])", "sqrt(1 - x[i]**2)", "log(x[i] - 2)", "1/x[i]"])
def test_points_are_drawn_where_y_is_defined(body):
    made, ready = kernel(f"y[i] = {body}", {"x": 3})
    assert numeric(made, ready).subject == ("y", "dx")


def test_a_layer_that_is_defined_at_no_point_drawn_says_so():
    made, ready = kernel("y[i] = sqrt(x[i]**2 - 1000)", {"x": 3})
    assert numeric(made, ready) == Omitted("numeric", "undefined")


def test_agreement_of_large_polynomials_is_to_rounding_and_says_so():
    text = "h[j] = sum[i](x[i]*w[j,i])\na[j] = h[j]**4\ny[j] = a[j]**4"
    made = derivation(text, {"x": 3, "w": (3, 3)})
    one, two = (load(pipeline.kernel(made, form), made) for form in ("scatter", "gather"))
    assert dict(agreement(made, one, (two,)).checked)["exact"] == "false"


# -- what is affordable -------------------------------------------------------------------


def test_products_are_those_of_each_statement_once():
    made = derive.equation("s = sum[j](x[j]*x[j])\ny[i,k] = x[i]*w[k]*s", {"x": 5, "w": 7})
    assert products(made.equation.at_sizes(), 2) == 2 * 5 + 2 * 5 * 7


def test_all_outputs_are_compared_where_intermediates_are_shared():
    made = derive.equation(
        "h[j] = sum[i](x[i]*w[j,i])\ny[k] = sum[j](h[j]*u[k,j])",
        {"x": 50, "w": (60, 50), "u": (70, 60)},
    ).equation.at_sizes()
    generator = np.random.default_rng(0)
    places = sample(made, np.zeros((2, 70)), generator, most=20_000, least=4)
    assert len(places) == 140


# -- rounded numbers ----------------------------------------------------------------------


def test_a_rounded_quotient_of_whole_numbers_is_that_quotient():
    assert exactly(1 / 3) == sympy.Rational(1, 3)
    assert exactly(sympy.Symbol("g") * (2 / 7)) == sympy.Symbol("g") * sympy.Rational(2, 7)
    assert same(1 / 3 * sympy.Symbol("g"), sympy.Symbol("g") / 3)


def test_a_number_beside_a_quotient_stays_beside_it():
    beside = float(np.nextafter(1 / 3, 1))
    assert meant(beside) != meant(1 / 3)
    assert not same(beside, sympy.Rational(1, 3))


# -- the batch ----------------------------------------------------------------------------


def test_statistics_over_the_batch_are_checked_on_several_samples():
    text = "m[i] = mean[n](x[n,i])\ny[n,i] = x[n,i] - m[i]"
    made, ready = kernel(text, {"x": 2})
    assert mixes(made.equation)
    # 2 samples of 2 entries in each of y and dx; one sample would be its own mean, y = 0
    assert dict(symbolic(made, ready).checked)["entries"] == "8"
    source = pipeline.kernel(made)
    for mutant in ("m = x[0]", "m = x.sum(axis=0)"):
        wrong = source.replace(_line(source, "m = "), mutant, 1)
        assert wrong != source
        with pytest.raises(Disproved):
            symbolic(made, load(wrong, made))


def _line(source, start):
    (*_, found) = (line.strip() for line in source.splitlines() if line.strip().startswith(start))
    return found


def test_batch_norm_of_single_numbers_is_certified_though_two_would_cancel():
    text = (
        "m[i] = mean[n](x[n,i])\nv[i] = mean[n]((x[n,i] - m[i])**2)\n"
        "y[n,i] = (x[n,i] - m[i])/sqrt(v[i] + 1/100000)"
    )
    made = derivation(text, {"x": 3})
    forms = tuple(pipeline.kernel(made, form) for form in ("scatter", "gather"))
    kinds = {claim.kind for claim in verify(made, pipeline.kernel(made), forms).claims}
    assert kinds == {"numeric", "agreement"}


# -- divisions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["y[i] = relu(x[i])/w[i]", "y[i] = max[j](x[i,j])/sum[j](abs(x[i,j]))"]
)
def test_numbers_without_0_are_drawn_where_y_divides(text):
    made, ready = kernel(text, {"x": (2, 3)} if "j" in text else {"x": 4})
    assert selecting(made, ready).subject[:2] == ("y", "dx")
