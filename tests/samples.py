"""Calls of every operation and every public function, and independent references for them.

`SAMPLES` holds calls of each: a float array among the arguments is differentiated, all else are
params. The reference for values is NumPy's function of the same name, or one in `REFERENCES`.
"""

import math
import operator
import sys
from collections import namedtuple

import numpy as np
import pytest
import scipy.special

import tinygrad_lr as tg
import tinygrad_lr.losses
from tinygrad_lr import Tensor
from tinygrad_lr.ops import FUNCTIONS, OPERATIONS

Sample = namedtuple("Sample", "args kwargs")


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
    "leaky_relu": [call(X), call(X, 0.2), call(X, negative_slope=0.0)],
    "normal_cdf": [call(X), call(3 * X)],
    "gelu": [call(X), call(3 * X, approximate="none"), call(X, "tanh")],
    "silu": [call(X), call(4 * X)],
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
    "lookup": [
        call(reals(5, 3), np.array([4, 0, 4])),
        call(reals(5, 3), np.array([[1, 2], [2, 2]])),
        call(reals(4), np.array(3)),
    ],
    "huber": [
        call(X, reals(2, 3, seed=1), 1.0),
        call(3 * X, reals(2, 3, seed=2), 0.5),
        call(reals(), reals(seed=1), 2.5),
    ],
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
        call(X, np.array([2, 0]), np.array([1, 2, 4], np.int8), label_smoothing=0.25),
        call(X, probabilities(2, 3), np.int8(1), label_smoothing=0.1),
        call(X, np.array([2, -1]), np.array([1, 2, 4], np.int8), ignore_index=-1),
        call(X, np.array([2, 0]), np.int8(1), label_smoothing=0.1, ignore_index=0),
    ],
    "weighted_mean": [
        call(reals(4), np.array([1, 0, 2, 1]), np.array([1, 2, 4], np.int8)),
        call(reals(), np.array(1), np.array([1, 2], np.int8)),
        call(reals(3), np.array([1, 0, 1]), np.array([1, 2], np.int8), ignore_index=0),
    ],
}


def scatter(x, index, shape):
    places = np.arange(math.prod(shape)).reshape(shape)[index]
    return np.bincount(places.ravel(), x.ravel(), math.prod(shape)).reshape(shape)


def shares(z, t, label_smoothing=0.0, ignore_index=None):
    """The target of every class, smoothed; 0 in rows that are ignored."""
    labels = t.ndim < z.ndim
    rows = np.eye(z.shape[-1])[t] if labels else t
    rows = rows * (1 - label_smoothing) + label_smoothing / z.shape[-1]
    return np.where(t[..., None] == ignore_index, 0, rows) if labels else rows


REFERENCES = {
    "sigmoid": scipy.special.expit,
    "relu": lambda x: np.where(x > 0, x, 0),
    "leaky_relu": lambda x, negative_slope=0.01: np.where(x > 0, x, x * negative_slope),
    "normal_cdf": scipy.special.ndtr,
    "gelu": lambda x, approximate="none": (
        x * scipy.special.ndtr(x)
        if approximate == "none"
        else x * scipy.special.expit(np.sqrt(8 / np.pi) * (x + 0.044715 * x**3))
    ),
    "silu": lambda x: x * scipy.special.expit(x),
    "softplus": lambda x: np.logaddexp(0, x),
    "softmax": lambda x, axis=-1: scipy.special.softmax(x, axis),
    "log_softmax": lambda x, axis=-1: scipy.special.log_softmax(x, axis),
    "logsumexp": scipy.special.logsumexp,
    "getitem": operator.getitem,
    "add_at": scatter,
    "lookup": lambda W, ids: np.take(W, ids, axis=0),
    "huber": lambda p, t, delta: scipy.special.huber(delta, p - t),
    "bernoulli_loss": lambda p, t: -scipy.special.xlogy(t, p) - scipy.special.xlog1py(1 - t, -p),
    "logistic_loss": lambda z, t: -t * scipy.special.log_expit(z)
    - (1 - t) * scipy.special.log_expit(-z),
    "categorical_loss": lambda z, t, w, **params: -(
        w * shares(z, t, **params) * scipy.special.log_softmax(z, -1)
    ).sum(-1),
    "weighted_mean": lambda losses, labels, weight, ignore_index=None: (
        losses.sum() / weight[labels[labels != ignore_index]].sum()
    ),
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
    "leaky_relu": lambda x, negative_slope=0.01: tg.relu(x) - negative_slope * tg.relu(-x),
    "silu": lambda x: x / (1 + tg.exp(-x)),
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
    "lookup": lambda W, ids: W[ids],
    "huber": lambda p, t, delta: tg.where(
        abs(p - t) <= delta, (p - t) ** 2 / 2, delta * (abs(p - t) - delta / 2)
    ),
    "bernoulli_loss": lambda p, t: -t * tg.log(p) - (1 - t) * tg.log(1 - p),
    "logistic_loss": lambda z, t: tg.log(1 + tg.exp(z)) - t * z,
    "categorical_loss": lambda z, t, w, **params: (
        -tg.sum(
            (w * shares(z, t, **params)) * tg.log(tg.exp(z) / tg.sum(tg.exp(z), -1, keepdims=True)),
            -1,
        )
    ),
    "weighted_mean": lambda losses, labels, weight, ignore_index=None: (
        losses @ (0.0 * labels + 1) / weight[labels[labels != ignore_index]].sum()
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
