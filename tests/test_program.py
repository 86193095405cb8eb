"""Exported programs compute what the graph computes, and read as a person writes them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_ops import CASES, arrays_in, bound, function

import tinygrad_lr as tg
from tinygrad_lr import Tensor, to_numpy

every_sample = pytest.mark.parametrize(("name", "sample"), CASES)
both = pytest.mark.parametrize("simplify", [True, False], ids=["simplified", "as recorded"])


def run(program, **arrays):
    """What the source of a program computes, in a namespace of its own."""
    space = {}
    exec(str(program), space)
    return space["step"](**(program.inputs | arrays))


def assert_same(results, expected, tol=1e-12):
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == len(expected)
    for ours, theirs in zip(results, expected, strict=True):
        theirs = np.asarray(theirs.data if isinstance(theirs, Tensor) else theirs)
        assert np.shape(ours) == theirs.shape
        scale = np.max(np.abs(theirs), initial=0.0)
        assert_allclose(ours, theirs, rtol=tol, atol=tol * max(scale, 1))


def scalar(name, sample, leaves):
    y = bound(function(name), sample)(*leaves)
    v = np.cos(np.arange(y.size)).reshape(y.shape)
    return (v * y).sum()


@both
@every_sample
def test_the_program_of_every_operation_gives_its_value_and_gradients(name, sample, simplify):
    leaves = [Tensor(x, requires_grad=True) for x in arrays_in(sample)]
    L = scalar(name, sample, leaves)
    program = to_numpy(L, leaves, simplify=simplify)
    assert_same(run(program), [L, *tg.grad(L, leaves)])


@both
@every_sample
def test_the_program_of_every_second_derivative(name, sample, simplify):
    leaves = [Tensor(x, requires_grad=True) for x in arrays_in(sample)]
    L = scalar(name, sample, leaves)
    first = tg.grad(L, leaves, create_graph=True)
    total = sum((np.sin(1.0 + np.arange(g.size)).reshape(g.shape) * g).sum() for g in first)
    total = total + 0 * sum((x * x).sum() for x in leaves)
    program = to_numpy(total, leaves, simplify=simplify)
    assert_same(run(program), [total, *tg.grad(total, leaves)], 1e-10)


def data_of(m, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 3))
    return X, rng.integers(0, 2, (m, 1)) * 1.0, rng.integers(0, 4, m)


def parameters(*shapes):
    rng = np.random.default_rng(7)
    return [Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z)
    return e / np.sum(e, axis=1, keepdims=True)


def neg_log(y, a):
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def logistic(X, Y, y, W, b):
    A = sigmoid(np.dot(X, W) + b)
    m = len(X)
    return -1 / m * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def logistic_by_a_function(X, Y, y, W, b):
    return np.mean(neg_log(Y, sigmoid(X @ W + b)))


def logistic_in_columns(X, Y, y, W, b):
    A = sigmoid(np.dot(W.T, X.T) + b)
    return -np.sum(Y.T * np.log(A) + (1 - Y.T) * np.log(1 - A)) / X.shape[0]


def from_logits(X, Y, y, W, b):
    return tg.binary_cross_entropy_with_logits(X @ W + b, Y)


def labels_as_bool(X, Y, y, W, b):
    positive = Y > 0.5
    return np.mean(np.where(positive, 1, 2) * np.square(X @ W + b))


def scaled_data(X, Y, y, W, b):
    return np.mean(neg_log(Y, sigmoid((X - 0.5) / 2 @ W + b)))


def least_squares(X, Y, y, W, b):
    reg = 0.01
    return ((X @ W + b - Y) ** 2).mean() + reg * np.sum(W * W)


def hinge(X, Y, y, W, b):
    return np.mean(np.maximum(0, 1 - (2 * Y - 1) * (X @ W + b)))


def masked(X, Y, y, W, b):
    z = X @ W + b
    return np.sum((z > 0) * z) / len(z)


def chosen(X, Y, y, V, c):
    P = softmax(X @ V + c)
    return -np.mean(np.log(P[range(len(X)), y]))


def chosen_by_arange(X, Y, y, V, c):
    P = softmax(X @ V + c)
    m = X.shape[0]
    return np.sum(-np.log(P[np.arange(m), y])) / m


def one_hot(X, Y, y, V, c):
    P = softmax(X @ V + c)
    T = np.eye(4)[y]
    return -np.sum(T * np.log(P)) / len(T)


def cross_entropy(X, Y, y, V, c):
    return tg.cross_entropy(X @ V + c, y)


def weighted(X, Y, y, V, c):
    return tg.cross_entropy(X @ V + c, y, weight=[1.0, 2.0, 3.0, 4.0])


def multiclass_hinge(X, Y, y, V, c):
    scores = X @ V + c
    right = scores[np.arange(len(X)), y][:, None]
    return np.mean(np.sum(np.maximum(0, scores - right + 1), axis=1)) - 1


TWO = [
    logistic, logistic_by_a_function, logistic_in_columns, from_logits, labels_as_bool,
    scaled_data, least_squares, hinge, masked,
]  # fmt: skip
FOUR = [chosen, chosen_by_arange, one_hot, cross_entropy, weighted, multiclass_hinge]


def recorded(model, m=5, seed=0, simplify=True, **how):
    """A model's program, its loss and its parameters."""
    X, Y, y = data_of(m, seed)
    W, b = parameters((3, 1), (1,)) if model in TWO else parameters((3, 4), (1, 4))
    loss = model(X, Y, y, W, b)
    return to_numpy(loss, [W, b], simplify=simplify, **how), X, Y, y, W, b


@both
@pytest.mark.parametrize("model", TWO + FOUR, ids=lambda model: model.__name__)
@pytest.mark.parametrize("m", [3, 4, 9])
def test_a_program_is_right_for_other_numbers_of_samples(model, m, simplify):
    program, X, Y, y, W, b = recorded(model, simplify=simplify)
    X, Y, y = data_of(m, seed=m)
    loss = model(X, Y, y, W, b)
    new = {"X": X, "Y": Y, "y": y, "T": np.eye(4)[y], "positive": Y > 0.5}
    given = {name: new[name] for name in new.keys() & program.inputs.keys()}
    assert program.inputs.keys() - given.keys() <= {"W", "b", "reg"}, "an argument is not named"
    assert_same(program(**given), [loss, *tg.grad(loss, [W, b])])
