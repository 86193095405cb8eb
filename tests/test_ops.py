"""Every operation of the derivative table and every public function, against independent truth.

`SAMPLES` holds calls of each: a float array among the arguments is differentiated, all else is
metadata. The reference for values is NumPy's function of the same name, or one in `REFERENCES`.
"""

import ast
import inspect
import math
import operator
import pickle
import sys
from collections import namedtuple

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_lr as tg
import tinygrad_lr.losses
from tinygrad_lr import Tensor
from tinygrad_lr.ops import FUNCTIONS, OPERATIONS, operation

Sample = namedtuple("Sample", "args kwargs")
SMALL = settings(deadline=None, derandomize=True, max_examples=50)


def call(*args, **kwargs):
    return Sample(args, kwargs)


def positives(*shape, seed=0):
    """Distinct numbers from 0.3 to 2.2, none equal to one of another seed and the same shape."""
    numbers = np.linspace(0.3, 2, math.prod(shape)) + 0.03 * seed
    return np.random.default_rng(seed).permutation(numbers).reshape(shape)


def reals(*shape, seed=0):
    """Distinct numbers of both signs, none near 0."""
    numbers = np.linspace(0.3, 2, math.prod(shape)) + 0.03 * seed
    numbers[::2] *= -1
    return np.random.default_rng(seed).permutation(numbers).reshape(shape)


def probabilities(*shape, seed=0):
    return np.asarray(positives(*shape, seed=seed) / 4 + 0.2)


# Samples

X, Y, P, Q = reals(2, 3), reals(2, 3, seed=1), positives(2, 3), positives(2, 3, seed=1)
X3 = reals(2, 3, 4)
LABELS = np.array([[1, 0, 1], [0, 1, 0]], np.int8)

AXES = [
    *({"axis": a} for a in (None, 0, 1, -1, -2, (0, 2), (2, 0), (-1, 1), (0, 1, 2), ())),
    *({"axis": a, "keepdims": True} for a in (None, 1, -1, (0, -1))),
]
REDUCTIONS = [call(reals(3, 1, 2), **axes) for axes in AXES] + [
    call(X3, axis=(0, 2)),
    call(X3, axis=1, keepdims=True),
    call(reals(5), axis=0),
    call(reals()),
]

MATMUL = [
    call(reals(*a), reals(*b, seed=1))
    for a, b in [
        ((3,), (3,)),
        ((3,), (3, 4)),
        ((3,), (5, 3, 2)),
        ((3,), (2, 1, 3, 4)),
        ((2, 3), (3,)),
        ((5, 2, 3), (3,)),
        ((2, 1, 4, 3), (3,)),
        ((2, 3), (3, 4)),
        ((2, 3), (4, 3, 1)),
        ((4, 2, 3), (3, 1)),
        ((4, 2, 3), (4, 3, 1)),
        ((1, 2, 3), (4, 3, 1)),
        ((4, 1, 3), (1, 3, 2)),
        ((2, 1, 2, 3), (4, 3, 1)),
        ((1, 3), (3, 1)),
        ((2, 0), (0, 3)),
        ((0, 3), (3, 2)),
    ]
]

INDICES = [
    1,
    -1,
    np.int64(1),
    (),
    (0, 2),
    (0, 1, 3),
    (1, -2, slice(None)),
    slice(1, None),
    slice(None, None, -1),
    slice(0, 0),
    (slice(None), slice(2, None, -2)),
    (slice(None), slice(None, None, 2), slice(1, 4, 2)),
    (slice(None), 1),
    None,
    (None, 1, None),
    (slice(None), None, 0),
    ...,
    (..., 0),
    (0, ..., slice(1, 3)),
    (..., None),
    True,
    np.array([True, False]),
    [True, False],
    (slice(None), np.array([True, False, True])),
    (np.array([False, True]), np.array([2])),
    X3 > 0.5,
    (X3[:, :, 0] > 0, slice(1, 3)),
    np.array([1, 0, 1, 1]),
    np.array([[0, 1], [1, 1]]),
    np.array(1),
    np.array([], dtype=int),
    [0, 0, 1],
    ((0, 0, 1),),
    (slice(None), (0, 0, 2)),
    [],
    (np.array([0, 1, 1]), np.array([2, 0, 0])),
    (np.array([[0], [1]]), np.array([2, 0, 2])),
    (slice(None), np.array([2, 2, 0])),
    (np.array([0, 0]), slice(None), np.array([1, 1])),
    (slice(None), [0, 0, 2], slice(None, None, -1)),
    (0, slice(None), np.array([3, 3])),
    (None, np.array([1, 1]), ..., 0),
    (np.array([0, 0, 1]), 1),
    np.ix_([0, 1, 1], [2, 0], [3]),
    Tensor([1, 0, 1]),
    (slice(None), Tensor([2, 2])),
    Tensor(1),
    Tensor([True, False]),
]
GETITEM = [call(X3, index) for index in INDICES] + [
    call(reals(), ()),
    call(reals(), None),
    call(reals(), True),
    call(reals(5), np.array([4, 4, 4, -1])),
    call(reals(5), reals(5) > 0),
]

EINSUM = [
    call("ij,jk->ik", reals(2, 3), reals(3, 4, seed=1)),
    call("ij,kj->ki", reals(2, 3), reals(4, 3, seed=1)),
    call("ij->ji", X),
    call("ij->", X),
    call("ij->j", X),
    call("ii->", reals(3, 3)),
    call("ii->i", reals(3, 3)),
    call("iii->i", reals(2, 2, 2)),
    call("iji->j", reals(2, 3, 2)),
    call("ijij->ji", reals(2, 3, 2, 3)),
    call("ij,ij->", X, Y),
    call("ij,ij->i", X, Y),
    call("i,j->ij", reals(2), reals(3, seed=1)),
    call("i,j->", reals(2), reals(3, seed=1)),
    call("ij,kl->il", reals(2, 3), reals(4, 2, seed=1)),
    call("ij,j->", X, reals(3, seed=1)),
    call("ii,ij->j", reals(2, 2), reals(2, 3, seed=1)),
    call("iij,jk->k", reals(2, 2, 3), reals(3, 4, seed=1)),
    call("bij,bjk->bik", reals(4, 2, 3), reals(4, 3, 1, seed=1)),
    call(",i->i", reals(), reals(3, seed=1)),
    call(" i j , j -> i ", X, reals(3, seed=1)),
    call("ij,j,jk->ik", X, reals(3, seed=1), reals(3, 2, seed=2)),
    call("i,ij,j->", reals(2), Y, reals(3, seed=2)),
    call("ij,jk,kl->il", X, reals(3, 4, seed=1), reals(4, 2, seed=2)),
    call("ii,ij,kl->j", reals(2, 2), reals(2, 3, seed=1), reals(2, 4, seed=2)),
    call("ij,ij->ij", X, reals(1, 3, seed=1)),
    call("ij,j->i", reals(2, 1), reals(3, seed=1)),
    call("ij,j->", reals(2, 1), reals(3, seed=1)),
    call("ij,jk->ik", reals(2, 0), reals(0, 3)),
]

SAMPLES = {
    "add": [call(X, Y), call(X, 2.0)],
    "subtract": [call(X, Y), call(2.0, X)],
    "multiply": [call(X, Y), call(X, 3)],
    "divide": [call(X, Y), call(2.0, X)],
    "negative": [call(X), call(reals())],
    "power": [
        call(P, Q),
        *(call(X, p) for p in (0, 1, 2, 3, -1, -2.0)),
        *(call(P, p) for p in (0.0, 0.5, 1.0, -1.5)),
        call(2.0, X),
        call(X, np.array([[2, 3, 0], [-1, 1, 4]], np.int8)),
    ],
    "square": [call(X)],
    "sqrt": [call(P)],
    "exp": [call(X)],
    "expm1": [call(X), call(1e-6 * X)],
    "log": [call(P)],
    "log1p": [call(P), call(-0.4 * P)],
    "logaddexp": [call(X, Y), call(X, 0.0)],
    "sin": [call(X)],
    "cos": [call(X)],
    "abs": [call(X)],
    "sign": [call(X)],
    "floor": [call(0.7 * X)],
    "ceil": [call(0.7 * X)],
    "round": [call(X), call(X, decimals=1)],
    "maximum": [call(X, Y), call(0, X)],
    "minimum": [call(X, Y), call(X, 0)],
    "clip": [
        call(X, -1.0, 1.0),
        call(X, -1.0, None),
        call(X, None, 1.0),
        call(X, a_max=1, a_min=-1),
        call(X, np.array([0, -1, 0], np.int8), None),
    ],
    "where": [
        call(LABELS == 1, X, Y),
        call(np.array([True, False, True]), X, 0.0),
        call(X > 0, 1, Y),
        call(LABELS, X, Y),
    ],
    "tanh": [call(X)],
    "sigmoid": [call(X), call(4 * X)],
    "relu": [call(X)],
    "softplus": [call(X), call(4 * X)],
    "softmax": [call(X), call(X, 0), call(X3, axis=1), call(X3, axis=(0, -1)), call(X, None)],
    "log_softmax": [call(X), call(X, 0), call(X3, axis=1), call(X3, axis=(0, -1)), call(X, None)],
    "sum": REDUCTIONS,
    "mean": REDUCTIONS,
    "max": REDUCTIONS,
    "min": REDUCTIONS,
    "logsumexp": REDUCTIONS,
    "cumsum": [call(X3, axis=a) for a in (None, 0, 1, -1)] + [call(X)],
    "matmul": MATMUL,
    "astype": [call(X, np.float64), call(X, "float64")],
    "reshape": [call(X, (3, 2)), call(X, 6), call(X, -1), call(X, (1, -1, 2)), call(reals(), ())],
    "transpose": [
        call(X),
        call(X3),
        call(X3, (1, 2, 0)),
        call(X3, (2, 0, 1)),
        call(X3, (-1, 0, -2)),
        call(X3, axes=[0, 2, 1]),
    ],
    "broadcast_to": [
        call(reals(), (2, 3)),
        call(reals(3), (2, 3)),
        call(reals(2, 1), (4, 2, 3)),
        call(reals(1, 3), (0, 3)),
        call(reals(1), 4),
    ],
    "flip": [call(X3, a) for a in (None, 0, -1, (0, 2))] + [call(X)],
    "expand_dims": [call(X, a) for a in (0, 1, -1, (0, 3), (-1, 0), (1, 2))],
    "pad": [
        call(X, 1),
        call(X, (1, 2)),
        call(X, ((1, 2),)),
        call(X, ((1, 2), (0, 3))),
        call(X, ((1,), (2,))),
        call(X, [[0, 1], [2, 0]]),
        call(X, np.array([[0, 1], [2, 0]])),
        call(X, {0: (1, 2)}),
        call(X, {-1: 2}),
        call(X, 1, mode="constant", constant_values=5.0),
        call(reals(4), (2, 0)),
        call(X3, 1),
    ],
    "getitem": GETITEM,
    "add_at": [
        call(X, (slice(None), slice(None, None, 2)), (2, 5)),
        call(reals(), 2, (4,)),
        call(X, np.array([1, 1]), (2, 3)),
        call(X, [0, 0], (2, 3)),
        call(reals(3), (np.array([0, 1, 1]), np.array([2, 0, 0])), (2, 3)),
        call(reals(3), np.array([True, False, True, True]), (4,)),
        call(X[0], 1, (2, 3)),
    ],
    "var": REDUCTIONS + [call(X, axis=1, ddof=1)],
    "std": [call(X3, **axes) for axes in AXES if axes["axis"] != ()] + [call(X, ddof=1)],
    "prod": REDUCTIONS + [call(reals(7)), call(reals(2, 5), axis=1), call(reals(0, 3), axis=0)],
    "dot": MATMUL[:2]
    + [
        call(reals(), X),
        call(X, reals()),
        call(X, reals(3, seed=1)),
        call(X, reals(3, 4, seed=1)),
        call(reals(5, 2, 3), reals(3, seed=1)),
        call(reals(3), reals(4, 3, 2, seed=1)),
        call(reals(2, 3), reals(4, 3, 1, seed=1)),
        call(reals(1, 2, 3), reals(4, 3, 2, seed=1)),
    ],
    "outer": [call(reals(2), reals(3, seed=1)), call(X, reals(4, seed=1)), call(reals(), X)],
    "tensordot": [
        call(X, Y),
        call(reals(4, 2, 3), reals(2, 3, 1, seed=1)),
        call(X, reals(3, 4, seed=1), 1),
        call(X, reals(4, seed=1), 0),
        call(X, reals(4, 3, seed=1), (1, 1)),
        call(X, reals(4, 3, seed=1), axes=(-1, -1)),
        call(X, reals(3, 4, seed=1), ([1], [0])),
        call(X, reals(3, 2, seed=1), ((0, 1), (1, 0))),
        call(X3, reals(4, 5, 2, seed=1), [[0, 2], [2, 0]]),
        call(X3, reals(4, 5, 2, seed=1), ((-1, 0), (0, -1))),
        call(X, reals(4, seed=1), ([], [])),
    ],
    "einsum": EINSUM,
    "ravel": [call(X), call(X3), call(reals())],
    "moveaxis": [call(X3, 0, -1), call(X3, (0, 1), (-1, 0)), call(X3, [2, 0], [0, 1])],
    "swapaxes": [call(X3, 0, 2), call(X3, -1, 1), call(X, 0, 0)],
    "squeeze": [
        call(reals(1, 3, 1)),
        call(reals(1, 3, 1), 0),
        call(reals(1, 3, 1), axis=-1),
        call(reals(1, 3, 1), (0, 2)),
        call(X),
    ],
    "concatenate": [
        call([X, reals(4, 3, seed=1)]),
        call([X, reals(2, 1, seed=1), reals(2, 4, seed=2)], 1),
        call([X, reals(2, 2, seed=1)], axis=-1),
        call([X3, reals(2, 1, 4, seed=1)], axis=-2),
        call([X, reals(4, seed=1), reals(seed=2)], axis=None),
        call([X, np.array([[1, 2, 3]], np.int8)]),
        call([reals(0, 3), X]),
        call([X]),
    ],
    "copy": [call(X)],
    "vstack": [call([X, Y]), call([X3[0, 0], X3[0]]), call([reals(2), reals(2, seed=1)])],
    "hstack": [call([X, Y]), call([reals(2), reals(3, seed=1)]), call([reals(), reals(2)])],
    "stack": [call([X, Y, P], axis=a) for a in (0, 1, 2, -1, -2)] + [call([reals(), reals()])],
    "diagonal": [
        call(X),
        call(reals(3, 4), 1),
        call(reals(3, 4), -2),
        call(X3, 0, 1, 2),
        call(X3, offset=1, axis1=-1, axis2=0),
    ],
    "trace": [call(X), call(reals(3, 4), 1), call(X3, 0, 1, 2), call(X3, -1, axis1=2, axis2=0)],
    "bernoulli_loss": [call(probabilities(2, 3), probabilities(2, 3, seed=1))]
    + [call(probabilities(2, 3), LABELS)],
    "logistic_loss": [call(X, probabilities(2, 3)), call(4 * X, LABELS)],
    "categorical_loss": [
        call(X, probabilities(2, 3), np.int8(1)),
        call(X, probabilities(2, 3), np.array([1, 2, 4], np.int8)),
        call(reals(4), probabilities(4, seed=1), np.int8(1)),
        call(X, np.array([[1, 0, 0], [0, 0, 1]], np.int8), np.int8(1)),
        call(X, np.array([2, 0]), np.array([1, 2, 4], np.int8)),
        call(reals(2, 2), np.array([0, 0]), np.array([3, 2], np.int8)),
        call(reals(4), np.array(3), np.int8(2)),
    ],
    "weighted_mean": [
        call(reals(4), np.array([1, 0, 2, 1]), np.array([1, 2, 4], np.int8)),
        call(reals(), np.array(1), np.array([1, 2], np.int8)),
    ],
}


def scatter(x, index, shape):
    places = np.arange(math.prod(shape)).reshape(shape)[index]
    return np.bincount(places.ravel(), x.ravel(), math.prod(shape)).reshape(shape)


REFERENCES = {
    "sigmoid": scipy.special.expit,
    "relu": lambda x: np.where(x > 0, x, 0),
    "softplus": lambda x: np.logaddexp(0, x),
    "softmax": lambda x, axis=-1: scipy.special.softmax(x, axis),
    "log_softmax": lambda x, axis=-1: scipy.special.log_softmax(x, axis),
    "logsumexp": scipy.special.logsumexp,
    "getitem": operator.getitem,
    "add_at": scatter,
    "bernoulli_loss": lambda p, t: -scipy.special.xlogy(t, p) - scipy.special.xlog1py(1 - t, -p),
    "logistic_loss": lambda z, t: -t * scipy.special.log_expit(z)
    - (1 - t) * scipy.special.log_expit(-z),
    "categorical_loss": lambda z, t, w: -(
        (w * (t if t.ndim == z.ndim else np.eye(z.shape[-1])[t])) * scipy.special.log_softmax(z, -1)
    ).sum(-1),
    "weighted_mean": lambda losses, labels, weight: losses.sum() / weight[labels].sum(),
}  # fmt: skip

DEFINITIONS = {
    "subtract": lambda a, b: a + -1 * b,
    "divide": lambda a, b: a * b**-1,
    "power": lambda x, p: tg.exp(p * tg.log(x)),
    "negative": lambda x: 0 - x,
    "square": lambda x: x * x,
    "sqrt": lambda x: x**0.5,
    "expm1": lambda x: tg.exp(x) - 1,
    "log1p": lambda x: tg.log(1 + x),
    "logaddexp": lambda a, b: tg.log(tg.exp(a) + tg.exp(b)),
    "cos": lambda x: tg.sin(math.pi / 2 - x),
    "abs": lambda x: tg.sqrt(x * x),
    "maximum": lambda a, b: (a + b + tg.abs(a - b)) / 2,
    "minimum": lambda a, b: (a + b - tg.abs(a - b)) / 2,
    "clip": lambda x, a_min=None, a_max=None: tg.minimum(
        tg.maximum(x, -np.inf if a_min is None else a_min), np.inf if a_max is None else a_max
    ),
    "where": lambda condition, a, b: (condition != 0) * a + (condition == 0) * b,
    "tanh": lambda x: (tg.exp(x) - tg.exp(-x)) / (tg.exp(x) + tg.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + tg.exp(-x)),
    "relu": lambda x: tg.where(x > 0, x, 0),
    "softplus": lambda x: tg.log(1 + tg.exp(x)),
    "softmax": lambda x, axis=-1: tg.exp(x) / tg.sum(tg.exp(x), axis, keepdims=True),
    "log_softmax": lambda x, axis=-1: x - tg.log(tg.sum(tg.exp(x), axis, keepdims=True)),
    "logsumexp": lambda x, **axes: tg.log(tg.sum(tg.exp(x), **axes)),
    "mean": lambda x, **axes: tg.sum(x, **axes) / (x.size / tg.sum(x, **axes).size),
    "var": lambda x, axis=None, ddof=0, keepdims=False: (
        (tg.mean(x * x, axis, keepdims=keepdims) - tg.mean(x, axis, keepdims=keepdims) ** 2)
        * (x.size / (x.size - ddof * tg.sum(x, axis).size))
    ),
    "max": lambda x, **axes: -tg.min(-x, **axes),
    "min": lambda x, **axes: -tg.max(-x, **axes),
    "cumsum": lambda x, axis=None: tg.swapaxes(
        tg.swapaxes(tg.ravel(x) if axis is None else x, axis or 0, -1)
        @ np.triu(np.ones(2 * [x.size if axis is None else x.shape[axis]])),
        axis or 0,
        -1,
    ),
    "bernoulli_loss": lambda p, t: -t * tg.log(p) - (1 - t) * tg.log(1 - p),
    "logistic_loss": lambda z, t: tg.log(1 + tg.exp(z)) - t * z,
    "categorical_loss": lambda z, t, w: (
        -tg.sum(
            (w * (t if t.ndim == z.ndim else np.eye(z.shape[-1])[t]))
            * tg.log(tg.exp(z) / tg.sum(tg.exp(z), -1, keepdims=True)),
            -1,
        )
    ),
    "weighted_mean": lambda losses, labels, weight: (
        losses @ (0 * weight[labels] + 1) / weight[labels].sum()
        if losses.ndim
        else losses / weight[labels]
    ),
}

CASES = [
    pytest.param(name, sample, id=f"{name}-{n}")
    for name, samples in SAMPLES.items()
    for n, sample in enumerate(samples)
]
ELEMENTWISE = [
    name
    for name in OPERATIONS
    if isinstance(ufunc := getattr(np, name, None), np.ufunc)
    and ufunc.nin == 2
    and not ufunc.signature
] + ["bernoulli_loss", "logistic_loss"]

every_sample = pytest.mark.parametrize(("name", "sample"), CASES)


# Tools


def function(name):
    """The public function of a name, or the operation where there is none."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    forward = OPERATIONS[name].forward
    return getattr(sys.modules[forward.__module__], forward.__name__)


def reference(name):
    return REFERENCES[name] if name in REFERENCES else getattr(np, name)


def is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def arrays_in(sample):
    parts = [part for a in sample.args for part in (a if isinstance(a, list) else [a])]
    return [x for x in parts if is_float(x)]


def bound(f, sample):
    """f as a function of the float arrays of a sample alone."""

    def call_with(*arrays):
        rest = iter(arrays)

        def put(x):
            return next(rest) if is_float(x) else x

        args = [list(map(put, a)) if isinstance(a, list) else put(a) for a in sample.args]
        return f(*args, **sample.kwargs)

    return call_with


def data(x):
    if isinstance(x, tuple):
        return tuple(map(data, x))
    return x.data if isinstance(x, Tensor) else x


def without_tensors(sample):
    return Sample(tuple(map(data, sample.args)), sample.kwargs)


def leaf(x, dtype=None):
    return x if isinstance(x, Tensor) else Tensor(x, requires_grad=True, dtype=dtype)


def numerical(f, arrays, i, h=0.003):
    """The gradient of a number f with respect to arrays[i]: central differences, extrapolated."""
    gradient = np.empty(arrays[i].shape)
    for place in np.ndindex(gradient.shape):

        def change(step, place=place):
            ends = []
            for sign in (1, -1):
                x = arrays[i].copy()
                x[place] += sign * step
                ends.append(f(*arrays[:i], x, *arrays[i + 1 :]))
            return (ends[0] - ends[1]) / (2 * step)

        gradient[place] = (4 * change(h / 2) - change(h)) / 3
    return gradient


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
        expected = numerical(lambda *xs: np.sum(v * data(f(*xs))), arrays, i)
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
    found, expected = [], []
    for g, results in ((f, found), (definition, expected)):
        y = g(*tensors)
        slope = projected_gradient(g, tensors, v, weights)
        results += [y.data, *tg.grad(y, tensors, v), *tg.grad(slope, [*tensors, v])]
    for a, b in zip(found, expected, strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def assert_same(found, expected):
    assert np.shape(found) == np.shape(expected)
    assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


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
    found = bound(f, plain)(*arrays)
    assert isinstance(found, (np.ndarray, np.generic))
    assert_same(found, expected)
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
            found = eval(compile(code, name, "eval"), table | arguments.arguments)
            assert_array_equal(data(found), data(function(name)(*sample.args, **sample.kwargs)))
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


def test_bernoulli_loss_is_limited_as_in_pytorch():
    p, t = leaf(np.array([0.0, 1.0, 0.0, 1.0, 0.25])), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    losses = tg.binary_cross_entropy(p, t, reduction="none")
    assert_allclose(losses.data, [0, 0, 100, 100, math.log(4)], rtol=1e-15)
    assert_allclose(tg.grad(losses, p, np.ones(5))[0], [0, 0, -1e12, 1e12, -4], rtol=1e-15)


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
    for function in (np.sin, own):
        with pytest.raises(ValueError, match="ops has an operation named sin"):
            operation("sin(x)", lambda g, y, x: g)(function)
    assert tg.sin(leaf(X)).op.rules[0](1.0, None, 0.0) == 1.0


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_operations_can_be_pickled_and_tell_their_arguments(name):
    function = FUNCTIONS[name]
    assert pickle.loads(pickle.dumps(function)) is function
    assert "x1" not in inspect.signature(function).parameters


# The checkers themselves


@pytest.fixture
def temporary():
    """Make an operation that leaves the table when the test ends."""
    made = []

    def make(formula, *rules, forward):
        forward.__name__ = "_temporary"
        made.append(operation(formula, *rules)(forward))
        return made[-1]

    yield make
    assert OPERATIONS.pop("temporary", None) is not None
    assert "_temporary" not in FUNCTIONS


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
