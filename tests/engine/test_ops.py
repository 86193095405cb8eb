"""Every operation of the derivative table and every public function, against independent truth.

`SAMPLES` holds calls of each: a float array among the arguments is differentiated, all else are
params. The reference for values is NumPy's function of the same name, or one in `REFERENCES`.
"""

import ast
import inspect
import operator
import pickle

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_lr as tg
import tinygrad_lr.losses
from tests.helpers import leaf, numerical_gradient
from tests.samples import (
    CASES,
    DEFINITIONS,
    ELEMENTWISE,
    LABELS,
    REFERENCES,
    SAMPLES,
    Sample,
    X,
    Y,
    arrays_in,
    bound,
    data,
    every_sample,
    function,
    is_float,
    positives,
    probabilities,
    reals,
    reference,
    without_tensors,
)
from tinygrad_lr import Tensor
from tinygrad_lr.ops import FUNCTIONS, MODULES, OPERATIONS, Op, Value, composed, operation
from tinygrad_lr.tensor import as_arrays, gradients

SIGNED = [  # functions written as operators
    operator.add, operator.sub, operator.mul, operator.truediv, operator.gt, operator.ge,
    operator.lt, operator.le, operator.eq, operator.ne,
]  # fmt: skip
SMALL = settings(deadline=None, derandomize=True, max_examples=50)


def projected_gradient(f, xs, v, weights):
    """A number: the gradient of f, for the gradient v of its result, weighted and summed."""
    xs, v = list(map(leaf, xs)), leaf(v)
    y = f(*xs)
    gradients = tg.grad(y, xs, v, create_graph=True)
    total = tg.sum(0 * y)
    for x, dx, w in zip(xs, gradients, weights, strict=True):
        total = total + tg.sum(w * dx) + tg.sum(0 * x)
    return total


def check_derivatives(f, arrays, order=2):
    """The gradients of f agree with finite differences, and so do the gradients of those."""
    rng = np.random.default_rng(order)
    tensors = list(map(leaf, arrays))
    y = f(*tensors)
    v = rng.normal(size=y.shape)
    for i, dx in enumerate(tg.grad(y, tensors, v)):

        def weighted(x, i=i):
            return np.sum(v * data(f(*arrays[:i], x, *arrays[i + 1 :])))

        expected = numerical_gradient(weighted, arrays[i], h=0.003)
        assert dx.shape == expected.shape
        assert_allclose(dx, expected, rtol=1e-7, atol=1e-9)
    if order > 1:
        weights = [rng.normal(size=x.shape) for x in arrays]
        check_derivatives(
            lambda *xs: projected_gradient(f, xs[:-1], xs[-1], weights), [*arrays, v], order - 1
        )


def check_against(f, definition, arrays):
    """f has the values and both derivatives that automatic differentiation of a definition has."""
    rng = np.random.default_rng(0)
    tensors = list(map(leaf, arrays))
    v = leaf(rng.normal(size=f(*tensors).shape))
    weights = [rng.normal(size=x.shape) for x in arrays]
    actual, expected = [], []
    for g, results in ((f, actual), (definition, expected)):
        y = g(*tensors)
        slope = projected_gradient(g, tensors, v, weights)
        results += [y.data, *tg.grad(y, tensors, v), *tg.grad(slope, [*tensors, v])]
    for a, b in zip(actual, expected, strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def assert_same(actual, expected):
    assert np.shape(actual) == np.shape(expected)
    assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


# The table


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() | FUNCTIONS.keys()))
def test_has_a_sample(name):
    assert SAMPLES.get(name), f"{name} has no call in SAMPLES"


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() | REFERENCES.keys() | DEFINITIONS.keys()))
def test_sample_is_of_an_operation(name):
    assert name in OPERATIONS or name in FUNCTIONS


@every_sample
def test_value(name, sample):
    f, arrays = function(name), arrays_in(sample)
    plain = without_tensors(sample)
    expected = bound(reference(name), plain)(*arrays)
    result = bound(f, plain)(*arrays)
    assert isinstance(result, (np.ndarray, np.generic))
    assert_same(result, expected)
    recorded = bound(f, sample)(*map(leaf, arrays))
    assert isinstance(recorded, Tensor)
    assert_same(recorded.data, expected)


@every_sample
def test_first_and_second_derivative(name, sample):
    check_derivatives(bound(function(name), sample), arrays_in(sample))


@pytest.mark.parametrize(
    ("name", "sample"), [case for case in CASES if len(arrays_in(case.values[1])) > 1]
)
def test_each_argument_alone_has_the_same_gradient(name, sample):
    f, arrays = bound(function(name), sample), arrays_in(sample)
    tensors = list(map(leaf, arrays))
    y = f(*tensors)
    v = np.random.default_rng(0).normal(size=y.shape)
    for i, expected in enumerate(tg.grad(y, tensors, v)):
        alone = f(*arrays[:i], tensors[i], *arrays[i + 1 :])
        assert_array_equal(tg.grad(alone, tensors[i], v)[0], expected)


@every_sample
def test_input_used_twice(name, sample):
    f, tensors = bound(function(name), sample), list(map(leaf, arrays_in(sample)))
    y = f(*tensors)
    v = np.random.default_rng(0).normal(size=y.shape)
    once = tg.grad(y, tensors, v)
    twice = tg.grad(f(*tensors) + f(*tensors), tensors, v)
    for a, b in zip(once, twice, strict=True):
        assert_allclose(b, 2 * a, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "matmul", "dot", "outer", "tensordot"])
def test_one_input_in_both_places(name):
    f = function(name)
    if name in ("maximum", "minimum"):
        x = leaf(X)
        assert_array_equal(tg.grad(f(x, x), x, Y)[0], Y)
    else:
        numbers = probabilities if name == "bernoulli_loss" else positives
        check_derivatives(lambda x: f(x, x), [numbers(3, 3)])


def test_one_input_in_every_place():
    check_derivatives(lambda x: tg.where(LABELS == 1, x, x * x), [X])
    check_derivatives(lambda x: tg.concatenate([x, x, x * x], axis=1), [X])
    check_derivatives(lambda x: tg.stack([x, x]), [X])
    check_derivatives(lambda x: tg.einsum("ij,jk,ki->ij", x, x, x), [reals(3, 3)])


@every_sample
def test_float32_stays_float32(name, sample):
    single = Sample(
        tuple(
            [x.astype(np.float32) if is_float(x) else x for x in a]
            if isinstance(a, list)
            else a.astype(np.float32)
            if is_float(a)
            else a
            for a in sample.args
        ),
        sample.kwargs,
    )
    arrays = arrays_in(single)
    tensors = list(map(leaf, arrays))
    y = bound(function(name), single)(*tensors)
    wide = ("astype", "weighted_mean")  # a sum of whole numbers is an int64
    dtype = np.float64 if name in wide else np.float32
    assert y.dtype == dtype
    assert bound(function(name), without_tensors(single))(*arrays).dtype == dtype
    v = np.random.default_rng(0).normal(size=y.shape)
    doubles = list(map(leaf, arrays_in(sample)))
    exact = tg.grad(bound(function(name), sample)(*doubles), doubles, v)
    for dx, expected in zip(tg.grad(y, tensors, v), exact, strict=True):
        assert dx.dtype == np.float32
        assert_allclose(dx, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "sample"), [case for case in CASES if case.values[0] not in REFERENCES]
)
def test_numpys_function_reaches_the_operation(name, sample):
    y = bound(getattr(np, name), sample)(*map(leaf, arrays_in(sample)))
    assert isinstance(y, Tensor)
    assert y.requires_grad
    assert_array_equal(y.data, data(bound(function(name), sample)(*map(leaf, arrays_in(sample)))))


@pytest.mark.parametrize(
    ("name", "sample"),
    [case for case in CASES if case.values[0] in DEFINITIONS],
)
def test_against_its_definition(name, sample):
    f, definition = bound(function(name), sample), bound(DEFINITIONS[name], sample)
    arrays = arrays_in(sample)
    if name == "power" and any((x < 0).any() for x in arrays):
        arrays = [np.abs(x) for x in arrays]
    check_against(f, definition, arrays)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_formula(name):
    code = ast.parse(OPERATIONS[name].formula, mode="eval")
    named = {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}
    table = {n: function(n) for n in OPERATIONS.keys() | FUNCTIONS.keys()} | {"σ": tg.sigmoid}
    signature, checked = inspect.signature(function(name)), 0
    for sample in SAMPLES[name]:
        arguments = signature.bind(*sample.args, **sample.kwargs)
        if arguments.arguments.keys() <= named:
            arguments.apply_defaults()
            result = eval(compile(code, name, "eval"), table | arguments.arguments)
            assert_array_equal(data(result), data(function(name)(*sample.args, **sample.kwargs)))
            checked += 1
    assert checked


# Broadcasting


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((), ()),
        ((), (2, 3)),
        ((2, 3), ()),
        ((3,), (2, 3)),
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((2, 1), (3,)),
        ((2, 1, 3), (4, 1)),
        ((1,), ()),
        ((1, 1), (3,)),
        ((1, 1, 1), (2, 1)),
        ((0,), ()),
        ((0, 3), (3,)),
        ((1, 3), (0, 1)),
        ((2, 0), (2, 1)),
    ],
)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_broadcasting(name, a, b):
    numbers = {"power": positives, "bernoulli_loss": probabilities}.get(name, reals)
    x, y = numbers(*a), numbers(*b, seed=1)
    assert_same(function(name)(x, y), reference(name)(x, y))
    check_derivatives(function(name), [x, y])


@pytest.mark.parametrize(
    ("condition", "a", "b"),
    [
        ((), (), ()),
        ((), (2, 3), (3,)),
        ((2, 3), (), ()),
        ((2, 1), (3,), ()),
        ((3,), (2, 1), (1, 3)),
        ((2, 3), (1, 3), (2, 1)),
        ((4, 1, 1), (2, 1), (3,)),
        ((0, 3), (3,), ()),
        ((1,), (0, 3), (1, 1)),
    ],
)
def test_broadcasting_of_where(condition, a, b):
    chosen, x, y = reals(*condition) > 0, reals(*a), reals(*b, seed=1)
    assert_same(tg.where(chosen, x, y), np.where(chosen, x, y))
    check_derivatives(lambda x, y: tg.where(chosen, x, y), [x, y])


@SMALL
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3))
@pytest.mark.parametrize("name", ["add", "multiply", "divide", "logaddexp"])
def test_broadcasting_of_any_shapes(name, shapes):
    x, y = (positives(*shape, seed=i) for i, shape in enumerate(shapes.input_shapes))
    a, b = leaf(x), leaf(y)
    result = function(name)(a, b)
    assert result.shape == shapes.result_shape
    assert_same(result.data, getattr(np, name)(x, y))
    assert [dx.shape for dx in tg.grad(result, [a, b], np.ones(result.shape))] == [x.shape, y.shape]
    check_derivatives(function(name), [x, y], order=1)


@st.composite
def arrays_and_axes(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1) | hnp.valid_tuple_axes(
        len(shape), min_size=0
    ))  # fmt: skip
    return reals(*shape), axis, draw(st.booleans())


@SMALL
@given(arrays_and_axes())
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "logsumexp", "prod", "var"])
def test_reduction_over_any_axes(name, case):
    x, axis, keepdims = case
    t = leaf(x)
    y = function(name)(t, axis=axis, keepdims=keepdims)
    assert_same(y.data, reference(name)(x, axis=axis, keepdims=keepdims))
    assert tg.grad(y, t, np.ones(y.shape))[0].shape == x.shape
    check_derivatives(lambda x: function(name)(x, axis=axis, keepdims=keepdims), [x], order=1)


@pytest.mark.parametrize("name", ["sum", "prod"])
def test_reduction_of_nothing(name):
    x = leaf(np.empty((0, 3)))
    y = function(name)(x, axis=0)
    assert_array_equal(y.data, getattr(np, name)(x.data, axis=0))
    assert tg.grad(y, x, np.ones(3))[0].shape == (0, 3)


# Exact values at special places


@pytest.mark.parametrize(
    ("f", "x", "gradient"),
    [
        (tg.prod, [2.0, 0.0, 3.0, 5.0], [0, 30, 0, 0]),
        (tg.prod, [2.0, 0.0, 3.0, 0.0], [0, 0, 0, 0]),
        (tg.prod, [0.0, 0.0], [0, 0]),
        (tg.prod, [0.0], [1]),
        (lambda x: tg.prod(x, axis=1).sum(), [[2.0, 0, 3], [4, 5, 6]], [[0, 6, 0], [30, 24, 20]]),
        (tg.abs, -0.0, 0),
        (tg.sign, 0.0, 0),
        (tg.relu, 0.0, 0),
        (tg.max, [1.0, 3.0, 3.0, 3.0], [0, 1 / 3, 1 / 3, 1 / 3]),
        (tg.min, [1.0, 1.0, 3.0], [0.5, 0.5, 0]),
        (lambda x: tg.max(x, axis=0).sum(), [[1.0, 5], [1, 2]], [[0.5, 1], [0.5, 0]]),
        (lambda x: tg.maximum(x, [1.0, 2.0]).sum(), [1.0, 3.0], [0.5, 1]),
        (lambda x: tg.minimum(x, [1.0, 2.0]).sum(), [1.0, 3.0], [0.5, 0]),
        (lambda x: tg.clip(x, 0, 1).sum(), [-1.0, 0.0, 0.5, 1.0, 2.0], [0, 1, 1, 1, 0]),
        (lambda x: (x**0).sum(), [0.0, 2.0], [0, 0]),
        (lambda x: (x**1).sum(), [0.0, 2.0], [1, 1]),
        (lambda x: (x**2).sum(), [0.0, -2.0], [0, -4]),
        (lambda p: (np.zeros(3) ** p).sum(), [0.0, 1.0, 2.0], [0, 0, 0]),
        (lambda x: tg.log(tg.where(x > 0, x, 1)).sum(), [-1.0, 0.0, 2.0], [0, 0, 0.5]),
        (lambda x: x[[0, 0, 0, 1]].sum(), [5.0, 7.0, 9.0], [3, 1, 0]),
        (lambda x: tg.cumsum(x)[:3].sum(), [[1.0, 2.0], [3.0, 4.0]], [[3, 2], [1, 0]]),
    ],
)
def test_gradient_is_exactly(f, x, gradient):
    t = leaf(np.array(x))
    assert_array_equal(tg.grad(f(t), t)[0], gradient)


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
def test_prod_with_zeros_has_both_derivatives(x):
    check_derivatives(tg.prod, [np.array(x)])


@pytest.mark.parametrize("f", [tg.sqrt, tg.log])
def test_infinite_slope_at_zero(f):
    x = leaf(np.array([0.0, 4.0]))
    with np.errstate(divide="ignore"):
        assert_array_equal(tg.grad(f(x), x, np.ones(2))[0], [np.inf, 0.25])


def test_std_of_equal_elements_has_no_derivative():
    x = leaf(np.array([2.0, 2.0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(tg.grad(tg.std(x), x)[0]).all()


def test_astype_casts_the_gradient_back():
    x = Tensor(X, requires_grad=True, dtype=np.float32)
    y = tg.astype(x, np.float64)
    assert y.dtype == np.float64
    (dx,) = tg.grad(y, x, np.full(X.shape, 1 / 3))
    assert dx.dtype == np.float32
    assert_array_equal(dx, np.float32(1 / 3))


# Wrong calls


@pytest.mark.parametrize(
    ("f", "error"),
    [
        (lambda x: tg.exp(), TypeError),
        (lambda x: tg.add(x), TypeError),
        (lambda x: tg.add(x, x, x), TypeError),
        (lambda x: tg.sum(x, 0, axis=0), TypeError),
        (lambda x: tg.sum(x, axes=0), TypeError),
        (lambda x: tg.sum(x, axis=2), ValueError),
        (lambda x: tg.mean(x, axis=(0, 0)), ValueError),
        (lambda x: tg.clip(x, Tensor(0.0, requires_grad=True)), TypeError),
        (lambda x: tg.pad(x, 1, mode="edge"), ValueError),
        (lambda x: tg.squeeze(x, 0), ValueError),
        (lambda x: tg.einsum("ij", x), ValueError),
        (lambda x: tg.einsum("...j->j", x), ValueError),
        (lambda x: x @ x, ValueError),
        (lambda x: x + reals(3, 2), ValueError),
        (lambda x: x[2], IndexError),
        (lambda x: tg.reshape(x, (4, 2)), ValueError),
        (lambda x: tg.astype(x, int), TypeError),
    ],
)
def test_wrong_call_is_refused(f, error):
    with pytest.raises(error):
        f(leaf(X))


def test_an_operation_has_one_home():
    def own(x):
        return x

    own.__name__ = "sin"
    for forward in (np.sin, own):
        with pytest.raises(ValueError, match="ops has a function named sin"):
            operation("sin(x)", lambda g, y, x: g)(forward)
    assert tg.sin(leaf(X)).op.rules[0](1.0, None, 0.0) == 1.0


@pytest.fixture
def tables():
    """The tables, as they were before when the test ends."""
    kept = [(table, table.copy()) for table in (OPERATIONS, MODULES, FUNCTIONS)]
    yield
    for table, before in kept:
        table.clear()
        table.update(before)


def test_names_of_functions_have_one_home_as_well(tables):
    def var(x):
        return 7 * x

    x = leaf(X)
    for publish in (composed, operation("var(x)", lambda g, y, x: 7 * g)):
        with pytest.raises(ValueError, match="composed has a function named var"):
            publish(var)
    assert "var" not in OPERATIONS
    assert_array_equal([np.var(x).item(), x.var().item()], 2 * [X.var()], strict=True)


def test_a_function_can_be_defined_anew_in_its_own_module(tables):
    for factor in (2, 3):

        @composed
        def scaled(x, factor=factor):
            return factor * x

    assert FUNCTIONS["scaled"](1) == 3


def test_a_function_of_numpys_that_was_refused_can_be_added(tables):
    x = leaf([0.25, 0.5])
    with pytest.raises(TypeError, match=r"np\.i0 has no derivative rule"):
        np.i0(x)
    for factor in (1, 2):

        @operation("i0(x)", lambda g, y, x: g * y)
        def i0(x, factor=factor):
            return factor * np.i0(x)

        assert_array_equal(np.i0(x).data, factor * np.i0(x.data))


@pytest.mark.parametrize(
    ("formula", "arity", "sign"),
    [("x", 1, ""), ("a % b", 2, "%"), ("b % a", 2, ""), ("a % b % c", 2, ""), ("a b", 2, "")],
)
def test_the_sign_of_a_formula(formula, arity, sign):
    forwards = {1: lambda x: x, 2: lambda a, b: a}
    assert Op(formula, (None,) * arity, forwards[arity]).sign == sign


def returns(value):
    return lambda g, y, a, b: value


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (returns(2.0), "returned 2.0 for w"),
        (returns(None), "returned None for w"),
        (returns(np.ones(1)), r"returned the shape \(1,\) for w"),
        (returns(np.float64(1)), r"returned the shape \(\) for w"),
        (returns(np.ones((3, 2))), r"returned the shape \(3, 2\) for w"),
        (returns(np.ones(6)), r"returned the shape \(6,\) for w"),
        (returns(np.ones((4, 3, 2))), r"returned the shape \(4, 3, 2\) for w"),
    ],
)
def test_a_rule_that_returns_no_gradient_is_named(temporary, rule, text):
    f = temporary("a - b", lambda g, y, a, b: g, rule, forward=lambda a, b: a - b)
    w = leaf(Y, name="w")
    for backward in (tg.Tensor.backward, lambda loss: tg.grad(loss, w, create_graph=True)):
        with pytest.raises(tg.GradientError, match=f"rule of temporary {text}, which has"):
            backward(f(X, w).sum())


def test_a_rule_may_return_the_broadcast_shape(temporary):
    rule = returns(np.ones((5, 2, 3)))
    f = temporary("a - b", lambda g, y, a, b: g, rule, forward=lambda a, b: a - b)
    w = leaf(np.ones((2, 1)))
    assert_array_equal(tg.grad(f(np.ones((5, 2, 3)), w).sum(), w)[0], [[15.0], [15.0]])


def test_an_argument_without_a_rule_is_named(temporary):
    f = temporary("x + 2 * b", lambda g, y, x, b: g, forward=lambda x, b: x + 2 * b)
    w, b = leaf(X), leaf(Y, name="bias")
    text = "b of temporary has no derivative rule, but bias is a Tensor that requires a gradient"
    with pytest.raises(TypeError, match=text):
        f(w, b)


# Other values


class Boxed(Value):
    """No more than a Value must have."""

    def __init__(self, array):
        self.array = np.asarray(array)
        self.shape, self.dtype = self.array.shape, self.array.dtype

    def apply(self, op, inputs, params):
        inputs = [x.array if isinstance(x, Boxed) else x for x in inputs]
        if isinstance(params.get("index"), Boxed):  # of integers that were an operand
            params = {**params, "index": params["index"].array}
        return Boxed(op.forward(*inputs, **params))


@every_sample
def test_rules_run_on_any_value(name, sample):
    tensors = list(map(leaf, arrays_in(sample)))
    y = bound(function(name), sample)(*tensors)
    v = np.random.default_rng(0).normal(size=y.shape)
    grads = gradients(y, v, interpret=lambda node: map(Boxed, as_arrays(node)))
    for x, expected in zip(tensors, tg.grad(y, tensors, v), strict=True):
        assert isinstance(grads[x], Boxed)
        assert_same(grads[x].array, expected)


@pytest.mark.parametrize("f", [*map(lambda f: lambda a, b: f(b, a), SIGNED), *SIGNED])
def test_a_value_meets_arrays_from_either_side(f):
    result = f(Boxed(X), Y)
    assert isinstance(result, Boxed)
    assert_array_equal(result.array, f(X, Y))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_operations_can_be_pickled_and_tell_their_arguments(name):
    function = FUNCTIONS[name]
    assert pickle.loads(pickle.dumps(function)) is function
    assert "x1" not in inspect.signature(function).parameters


# The checkers themselves


def constant(x):
    """x as a number that rules do not differentiate further."""
    return x.detach() if isinstance(x, Tensor) else x


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, y, x: g * 3 * x,
        lambda g, y, x: g * 2 * x + 1e-5,
        lambda g, y, x: 2 * x + 0 * g,
        lambda g, y, x: -2 * x * g,
        lambda g, y, x: (g * 2 * x)[:1],
        lambda g, y, x: g * 2 * constant(x),
        lambda g, y, x: constant(g) * 2 * x,
    ],
    ids=["factor", "offset", "no g", "sign", "shape", "second in x", "second in g"],
)
def test_check_rejects_a_wrong_rule(temporary, rule):
    right = temporary("x * x", lambda g, y, x: g * 2 * x, forward=lambda x: x * x)
    check_derivatives(right, [X])
    check_against(right, tg.square, [X])
    wrong = temporary("x * x", rule, forward=lambda x: x * x)
    with pytest.raises((AssertionError, ValueError)):
        check_derivatives(wrong, [X])
    with pytest.raises((AssertionError, ValueError)):
        check_against(wrong, tg.square, [X])


def test_check_of_order_1_passes_a_rule_that_is_wrong_in_the_second(temporary):
    f = temporary("x * x", lambda g, y, x: g * 2 * constant(x), forward=lambda x: x * x)
    check_derivatives(f, [X], order=1)
    with pytest.raises(AssertionError):
        check_derivatives(f, [X], order=2)


def test_check_rejects_a_wrong_rule_of_one_argument(temporary):
    rules = (lambda g, y, a, b: g * b, lambda g, y, a, b: g * b)
    f = temporary("a * b", *rules, forward=lambda a, b: a * b)
    with pytest.raises(AssertionError):
        check_derivatives(f, [X, Y])


@pytest.mark.parametrize(("a", "b"), [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (3,)), ((1,), ())])
def test_check_rejects_a_gradient_that_keeps_the_broadcast_shape(monkeypatch, a, b):
    monkeypatch.setattr(tg.tensor, "unbroadcast", lambda g, x: g)
    with pytest.raises(AssertionError):
        check_derivatives(tg.multiply, [reals(*a), reals(*b, seed=1)])


def test_check_rejects_a_gradient_averaged_over_the_broadcast_axis(monkeypatch):
    monkeypatch.setattr(tg.tensor, "unbroadcast", lambda g, x: tg.mean(g, axis=0))
    with pytest.raises(AssertionError):
        check_derivatives(tg.multiply, [reals(3), reals(2, 3, seed=1)])


@pytest.mark.parametrize("wrong", [X + 1e-9, X[:, :1], X[None], X.tolist() + X.tolist()])
def test_comparison_of_values_rejects(wrong):
    assert_same(X.tolist(), X)
    with pytest.raises(AssertionError):
        assert_same(wrong, X)
