"""NumPy's own code runs on Tensors: whole programs, then every function's and method's signature.

A program below is written as its author writes it for ndarrays and knows nothing of this package.
Its reference is itself: on ndarrays for the value, by finite differences for the gradient.
"""

import math
import operator
import re
import warnings

import numpy as np
import pytest
import scipy.special
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_lr as tg
from tests.helpers import leaf, normal, numerical_gradient, positive
from tinygrad_lr import Tensor


def labels(n, classes):
    """Every class at least once, in no order."""
    return np.random.default_rng(n).permutation(np.arange(n) % classes)


def differentiable(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def assert_gradient(result, f, arguments, tensors):
    """The gradients of a result, weighted, are those of f at the arguments of these names."""
    weights = np.asarray(positive(*result.shape, seed=7))
    gradients = tg.grad(result, list(tensors.values()), gradient=weights)
    for name, gradient in zip(tensors, gradients, strict=True):

        def weighted(x, name=name):
            return np.sum(weights * f(**{**arguments, name: x}))

        expected = numerical_gradient(weighted, arguments[name])
        assert type(gradient) is np.ndarray
        assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9, err_msg=name)


def nodes(result):
    """The values of all tensors and arrays that a result was computed from."""
    visited, waiting = {}, [result]
    while waiting:
        x = waiting.pop()
        if id(x) not in visited:
            visited[id(x)] = x
            waiting += x.inputs if isinstance(x, Tensor) else ()
    return [x.data if isinstance(x, Tensor) else x for x in visited.values()]


# Programs

PROGRAMS = {}


def program(**arguments):
    """Enter a function into the table, with what it is called with."""

    def register(function):
        PROGRAMS[function.__name__] = function, arguments
        return function

    return register


@program(x=normal(3, 2))
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@program(pred=np.array([0.1, 0.9, 0.3, 0.6]), y=np.array([0, 1, 0, 1]))
def neg_log_loss(pred, y):
    return -(y * np.log(pred) + (1 - y) * np.log(1 - pred))


@program(W=normal(1), b=np.array(0.3), X=np.arange(-2.0, 6.0), Y=2 * np.arange(-2.0, 6.0) + 1)
def linear_regression(W, b, X, Y):
    def forward(W, b, X):
        return W * X + b

    def loss(Y, yhat):
        m = len(yhat)
        return 1 / m * np.sum((Y - yhat) ** 2)

    return loss(Y, forward(W, b, X))


@program(W=normal(4, 1), b=np.array(0.2), X=normal(4, 7), Y=labels(7, 2))
def titanic_in_columns(W, b, X, Y):
    m = X.shape[1]
    eps = 1e-15
    A = 1 / (1 + np.exp(-(W.T @ X + b)))
    return -1 / m * np.sum(Y * np.log(A + eps) + (1 - Y) * np.log(1 - A + eps))


@program(W=normal(4, 1, seed=1), b=normal(1, 1), X=normal(4, 7), Y=labels(7, 2).reshape(1, 7))
def cost_in_columns_with_dot(W, b, X, Y):
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    return -np.sum(np.multiply(Y, np.log(A)) + np.multiply(1 - Y, np.log(1 - A)))


@program(
    w=normal(2), b=normal(1), xdata=np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), ydata=[0, 0, 0, 1]
)
def and_gate(w, b, xdata, ydata):
    error = 0
    for x, y in zip(xdata, ydata, strict=True):
        out = sigmoid(x.dot(w) + b)
        error += 0.5 * (out - y) ** 2
    return error


@program(W=normal(2, 3), b=normal(1, 3), X_train=normal(7, 2), y_train=labels(7, 3))
def softmax_regression(W, b, X_train, y_train):
    logits = np.dot(X_train, W) + b
    exp_logits = np.exp(logits)
    y_hat = exp_logits / np.sum(exp_logits, axis=1, keepdims=True)
    correct_class_logprobs = -np.log(y_hat[range(len(y_hat)), y_train])
    return np.sum(correct_class_logprobs) / len(y_train)


@program(W=normal(1, 3), B=normal(1), X=normal(3, 7), Y=labels(7, 2).reshape(1, 7))
def log_likelihood_with_matmul(W, B, X, Y):
    z = np.matmul(W, X) + B
    a = sigmoid(z)
    L = Y * np.log(a) + (1 - Y) * np.log(1 - a)
    return -np.mean(L)


@program(w=normal(3), b=np.array(-0.4), X=normal(7, 3), y=labels(7, 2), lam=np.array(0.1))
def logistic_regression_in_rows(w, b, X, y, lam):
    z = X @ w + b
    losses = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
    return losses.mean() + lam * np.sum(w**2)


@program(W=normal(4, 3), X=normal(7, 4), y=labels(7, 3), reg=np.array(0.05))
def cs231n_softmax(W, X, y, reg):
    num_train = X.shape[0]
    scores = X.dot(W)
    scores = scores - np.max(scores, axis=1, keepdims=True)
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1)[:, np.newaxis]
    loss = np.sum(-np.log(probs[np.arange(num_train), y]))
    loss /= num_train
    loss += reg * np.sum(W * W)
    return loss


@program(W=normal(4, 3, seed=1), X=normal(7, 4), y=labels(7, 3), reg=np.array(0.05))
def cs231n_svm(W, X, y, reg):
    num_train = X.shape[0]
    scores = X.dot(W)
    correct_class_scores = scores[np.arange(num_train), y][:, np.newaxis]
    margins = np.maximum(0, scores - correct_class_scores + 1.0)
    mask = np.ones(margins.shape)
    mask[np.arange(num_train), y] = 0
    return np.sum(margins * mask) / num_train + reg * np.sum(W * W)


@program(W=normal(4, 3, seed=2), X=normal(7, 4), y=labels(7, 3))
def svm_with_where(W, X, y):
    scores = X @ W
    margins = scores - scores[np.arange(len(y)), y][:, None] + 1.0
    right_class = np.arange(W.shape[1]) == y[:, None]
    return np.where(right_class | (margins < 0), 0, margins).sum(axis=1).mean()


@program(
    W1=normal(4, 3), b1=normal(4, 1), W2=normal(1, 4), b2=normal(1, 1),
    X=normal(3, 7), Y=labels(7, 2).reshape(1, 7),
)  # fmt: skip
def two_layers_in_columns(W1, b1, W2, b2, X, Y):
    m = Y.shape[1]
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = 1 / (1 + np.exp(-Z2))
    logprobs = np.multiply(np.log(A2), Y) + np.multiply(1 - Y, np.log(1 - A2))
    cost = -np.sum(logprobs) / m
    return np.squeeze(cost)


@program(
    W1=normal(3, 6), b1=normal(6), W2=normal(6, 4), b2=normal(4), X=normal(7, 3), y=labels(7, 4)
)
def cs231n_two_layers(W1, b1, W2, b2, X, y, reg=0.05):
    N = X.shape[0]
    h1 = np.maximum(X.dot(W1) + b1, 0)
    scores = h1.dot(W2) + b2
    shift_scores = scores - np.max(scores, axis=1).reshape((-1, 1))
    softmax_output = np.exp(shift_scores) / np.sum(np.exp(shift_scores), axis=1).reshape((-1, 1))
    loss = -np.sum(np.log(softmax_output[range(N), list(y)]))
    loss /= N
    loss += 0.5 * reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
    return loss


@program(
    W1=normal(3, 5), b1=normal(5), W2=normal(5, 4), b2=normal(4), W3=normal(4, 2), b3=normal(2),
    x=normal(7, 3),
)  # fmt: skip
def three_layers(W1, b1, W2, b2, W3, b3, x):
    for W, b in [(W1, b1), (W2, b2)]:
        x = np.tanh(x @ W + b)
    x = x @ W3 + b3
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


@program(x=normal(7, 3), gamma=positive(3), beta=normal(3))
def batch_norm(x, gamma, beta, eps=1e-5):
    mu = np.mean(x, axis=0)
    var = np.var(x, axis=0)
    xhat = (x - mu) / np.sqrt(var + eps)
    return gamma * xhat + beta


@program(x=normal(7, 3, seed=1), gamma=positive(3), beta=normal(3))
def batch_norm_by_hand(x, gamma, beta, eps=1e-5):
    N = x.shape[0]
    mu = 1.0 / N * np.sum(x, axis=0)
    xmu = x - mu
    var = 1.0 / N * np.sum(xmu**2, axis=0)
    ivar = 1.0 / np.sqrt(var + eps)
    return gamma * (xmu * ivar) + beta


@program(x=normal(2, 3, 5), gamma=positive(5), beta=normal(5))
def layer_norm(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    std = x.std(axis=-1, keepdims=True)
    return gamma * (x - mean) / (std + eps) + beta


@program(
    Wxh=normal(4, 3), Whh=normal(4, 4), Why=normal(3, 4), bh=normal(4, 1), by=normal(3, 1),
    hprev=normal(4, 1, seed=1), inputs=[0, 2, 1, 1, 2], targets=[2, 1, 1, 2, 0],
)  # fmt: skip
def min_char_rnn(Wxh, Whh, Why, bh, by, hprev, inputs, targets):
    vocab_size = 3
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][targets[t], 0])
    return loss


@program(W=normal(3, 4), U=normal(4, 4), b=normal(4), x=normal(2, 5, 3))
def rnn_with_a_list_of_states(W, U, b, x):
    states = [np.zeros((x.shape[0], U.shape[0]))]
    for t in range(x.shape[1]):
        states.append(np.tanh(np.dot(x[:, t], W) + np.dot(states[-1], U) + b))
    return np.stack(states[1:], axis=1)


@program(W=normal(7, 16), b=normal(16), x=normal(2, 3), h=normal(2, 4), c=normal(2, 4, seed=1))
def lstm_cell(W, b, x, h, c):
    H = h.shape[1]
    a = np.concatenate([x, h], axis=1) @ W + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
    g = np.tanh(a[:, 3 * H :])
    next_c = f * c + i * g
    next_h = o * np.tanh(next_c)
    return np.concatenate((next_h, next_c), axis=1)


@program(q=normal(2, 3, 4), k=normal(2, 5, 4), v=normal(2, 5, 6))
def attention(q, k, v):
    scores = np.matmul(q, np.swapaxes(k, -1, -2)) / np.sqrt(q.shape[-1])
    mask = np.tril(np.ones(scores.shape[-2:]), k=2)
    scores = np.where(mask == 0, -1e9, scores)
    scores = scores - scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores)
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v


@program(x=normal(2, 5, 6), Wq=normal(6, 6), Wk=normal(6, 6, seed=1), Wv=normal(6, 6, seed=2))
def attention_with_two_heads(x, Wq, Wk, Wv):
    n, t, d = x.shape
    q, k, v = ((x @ W).reshape(n, t, 2, d // 2).transpose(0, 2, 1, 3) for W in (Wq, Wk, Wv))
    scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(d // 2)
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    out = e / np.sum(e, axis=-1, keepdims=True) @ v
    return out.transpose(0, 2, 1, 3).reshape(n, t, d)


@program(x=normal(2, 3, 5, 4), w=normal(6, 3, 3, 2), b=normal(6))
def convolution_by_im2col(x, w, b):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    out_h, out_w = H - HH + 1, W - WW + 1
    i0 = np.tile(np.repeat(np.arange(HH), WW), C)
    i1 = np.repeat(np.arange(out_h), out_w)
    j0 = np.tile(np.arange(WW), HH * C)
    j1 = np.tile(np.arange(out_w), out_h)
    i, j = i0.reshape(-1, 1) + i1.reshape(1, -1), j0.reshape(-1, 1) + j1.reshape(1, -1)
    k = np.repeat(np.arange(C), HH * WW).reshape(-1, 1)
    cols = x[:, k, i, j].transpose(1, 2, 0).reshape(HH * WW * C, -1)
    out = w.reshape(F, -1) @ cols + b.reshape(-1, 1)
    return out.reshape(F, out_h, out_w, N).transpose(3, 0, 1, 2)


@program(image=normal(5, 6), kernel=normal(3, 2))
def convolution_by_slices(image, kernel):
    padded = np.pad(image, ((1, 1), (0, 1)), mode="constant")
    out = 0
    for i in range(3):
        for j in range(2):
            out = out + kernel[i, j] * padded[i : i + 5, j : j + 6]
    return out


@program(x=normal(2, 4, 6))
def max_pooling(x):
    n, h, w = x.shape
    return x.reshape(n, h // 2, 2, w // 3, 3).max(axis=(2, 4))


@program(x=normal(7, 2), c=normal(3, 2))
def k_means(x, c):
    distances = ((x[:, None] - c) ** 2).sum(axis=2)
    return np.min(distances, axis=1).mean()


@program(x=normal(7, 2), c=normal(3, 2))
def k_means_by_argmin(x, c):
    distances = np.sum((x[:, np.newaxis, :] - c[np.newaxis]) ** 2, axis=-1)
    nearest = np.argmin(distances, axis=1)
    return np.sum((x - c[nearest]) ** 2) / len(x)


@program(a=normal(5, 3), b=normal(4, 3))
def pairwise_distances(a, b):
    squares = np.sum(a**2, axis=1, keepdims=True) + np.sum(b**2, axis=1) - 2 * np.dot(a, b.T)
    return np.sqrt(np.maximum(squares, 1e-12))


@program(a=normal(5, 3))
def distances_to_each_other(a):
    squares = np.sum(a**2, axis=1, keepdims=True) + np.sum(a**2, axis=1) - 2 * np.dot(a, a.T)
    return np.exp(-squares / 2)


@program(x=normal(7, 2), mu=normal(3, 2), log_sigma=normal(3) / 4, logits=normal(3))
def gaussian_mixture(x, mu, log_sigma, logits):
    log_pi = logits - np.log(np.sum(np.exp(logits)))
    z = (x[:, None, :] - mu[None, :, :]) / np.exp(log_sigma)[:, None]
    log_p = -0.5 * np.sum(z**2, axis=2) - 2 * log_sigma - np.log(2 * np.pi) + log_pi
    m = np.max(log_p, axis=1)
    return np.sum(m + np.log(np.sum(np.exp(log_p - m[:, None]), axis=1)))


@program(x=normal(5, 3), y=normal(4, 3))
def cosine_similarity(x, y):
    x = x / np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    y = y / np.sqrt(np.sum(np.square(y), axis=1, keepdims=True))
    return x @ y.T


@program(x=normal(2, 3, 4), w=normal(4, 5), v=normal(2, 3, 6))
def contractions(x, w, v):
    projected = np.einsum("btd,de->bte", x, w)
    gram = np.einsum("bte, btf -> ef", projected, v)
    return np.tensordot(gram, v, axes=([1], [2])) + np.tensordot(w.T, np.ones((4, 2, 3)), axes=1)


@program(a=normal(2, 3), b=normal(4, 3), c=normal(2, 3, seed=1))
def joined(a, b, c):
    rows = np.concatenate((a, b, np.ones((1, 3))))
    pair = np.stack([a, c * 2], axis=-1)
    bordered = np.pad(pair.reshape(2, 6), ((2, 3), (0, 0)), constant_values=1.5)
    return np.concatenate([rows, bordered], axis=1).ravel() * np.arange(63.0)


@program(coefficients=normal(4), x=np.linspace(-1, 1.5, 9), y=normal(9), delta=np.array(0.7))
def polynomial_regression_with_huber(coefficients, x, y, delta):
    pred = 0
    for power, c in enumerate(coefficients):
        pred = pred + c * x**power
    r = np.abs(pred - y)
    quadratic = np.minimum(r, delta)
    return np.mean(0.5 * quadratic**2 + delta * (r - quadratic)) + np.sum(np.clip(r, 0.1, 1.1))


@program(E=normal(6, 3), O=normal(6, 3, seed=1), center=np.array([0, 2, 2, 5]), near=[1, 3, 0, 5])
def skip_gram(E, O, center, near):  # noqa: E741 - the author's name
    scores = np.sum(E[center] * O[near], axis=1)
    others = E[center] @ O.T
    return -np.mean(scores) + np.log(np.exp(others).sum(axis=1)).mean()


@program(beta=normal(3), X=normal(7, 3), event=labels(7, 2), counts=labels(7, 4))
def survival_and_counts(beta, X, event, counts):
    eta = X @ beta
    risk = np.log(np.cumsum(np.exp(eta[::-1]))[::-1])
    cox = -np.sum((eta - risk)[event == 1])
    poisson = (np.exp(eta) - counts * eta).sum()
    return cox + poisson


@program(state=normal(2), length=np.array(1.3), friction=np.array(0.2))
def pendulum(state, length, friction, dt=0.05):
    angle, speed = state
    for _ in range(20):
        speed = speed + dt * (-9.81 / length * np.sin(angle) - friction * speed)
        angle += dt * speed
    return np.stack([angle, speed])


@program(z=normal(7), y=labels(7, 2), alpha=np.array(0.4))
def focal_loss(z, y, alpha, gamma=2.0):
    log_p = -np.logaddexp(0, -z)
    log_q = -np.logaddexp(0, z)
    p = np.exp(log_p)
    return -(alpha * y * (1 - p) ** gamma * log_p + (1 - alpha) * (1 - y) * p**gamma * log_q).sum()


# `x.dot(w)` of an ndarray with a Tensor cannot reach the Tensor; it is refused, as tested below.
NDARRAY_DOT = {"and_gate", "cs231n_softmax", "cs231n_svm", "cs231n_two_layers"}

ALONE = [
    (name, argument)
    for name, (_, arguments) in PROGRAMS.items()
    for argument, value in arguments.items()
    if differentiable(value) and not (name in NDARRAY_DOT and argument.startswith(("W", "w")))
]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    f, arguments = PROGRAMS[name]
    expected = f(**arguments)
    assert isinstance(expected, (np.ndarray, np.floating))
    tensors = {k: leaf(v) for k, v in arguments.items() if differentiable(v)}
    result = f(**{**arguments, **tensors})
    assert type(result) is Tensor
    assert all(np.asarray(x).dtype.kind in "biuf" for x in nodes(result))
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    assert_allclose(result.data, expected, rtol=1e-12, atol=1e-12)
    assert_gradient(result, f, arguments, tensors)


@pytest.mark.parametrize(("name", "argument"), ALONE)
def test_program_with_one_tensor_among_ndarrays(name, argument):
    f, arguments = PROGRAMS[name]
    x = leaf(arguments[argument])
    result = f(**{**arguments, argument: x})
    assert type(result) is Tensor
    assert_allclose(result.data, f(**arguments), rtol=1e-12, atol=1e-12)
    assert_gradient(result, f, arguments, {argument: x})


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_under_no_grad(name):
    f, arguments = PROGRAMS[name]
    tensors = {k: leaf(v) for k, v in arguments.items() if differentiable(v)}
    with tg.no_grad():
        result = f(**{**arguments, **tensors})
    assert not result.requires_grad
    assert_allclose(result.data, f(**arguments), rtol=1e-12, atol=1e-12)


# Signatures: each line is evaluated with ndarrays and with Tensors

NAMES = {
    "x": normal(2, 3, 4), "z": normal(2, 3, 4, seed=1), "m": normal(3, 4), "s": normal(4, 4),
    "v": normal(4), "u": normal(3), "one": normal(1, 3, 1), "p": positive(3, 4),
}  # fmt: skip

REDUCTIONS = [
    f"np.{name}({arguments})"
    for name in ("sum", "mean", "max", "min", "prod", "var", "std", "amax", "amin")
    for arguments in (
        "x", "x, 0", "x, -1", "x, (0, 2)", "x, (-1, 1)", "x, None", "x, axis=None", "x, axis=1",
        "x, axis=(0, -1)", "x, axis=1, keepdims=True", "x, axis=(2, 0), keepdims=True", "a=x",
        "a=x, axis=-1, keepdims=False", "axis=0, a=x", "x, keepdims=True", "x, axis=np.int64(1)",
        "x, axis=[0, 1][1]", "x, 1, None", "x, axis=1, out=None", "x, axis=()",
    )
    if not (name in ("std", "var") and arguments == "x, axis=()")
]  # fmt: skip

FUNCTION_CALLS = [
    *REDUCTIONS,
    "np.sum(x, 1, None, None, True)", "np.sum(x, axis=1, dtype=None, out=None)",
    "np.sum(x, where=True)", "np.mean(x, 1, None, None, keepdims=True)",
    "np.max(x, 0, None, True)", "np.min(x, 0, None, True)", "np.prod(x, 1, None, None, True)",
    "np.var(x, 1, None, None, 1)", "np.var(x, axis=1, ddof=1)", "np.var(x, ddof=2)",
    "np.var(x, 1, None, None, 1, True)", "np.var(x, (0, 1), ddof=1, keepdims=True)",
    "np.std(x, 1, None, None, 1)", "np.std(x, axis=-1, ddof=1, keepdims=True)",
    "np.cumsum(x)", "np.cumsum(x, 1)", "np.cumsum(x, axis=-1)", "np.cumsum(a=x, axis=0)",
    "np.cumsum(x, 0, None, None)", "np.cumsum(x, axis=None)",
    "np.reshape(x, (6, 4))", "np.reshape(x, -1)", "np.reshape(x, (4, -1))",
    "np.reshape(x, shape=(3, 8))", "np.reshape(x, (3, 8), copy=None)", "np.reshape(x, [8, 3])",
    "np.reshape(x, (6, 4), 'C')", "np.reshape(x, (6, 4), order='C')",
    "np.transpose(x)", "np.transpose(x, (1, 0, 2))", "np.transpose(x, axes=(2, 0, 1))",
    "np.transpose(a=x, axes=[-1, 0, 1])", "np.transpose(x, None)", "np.transpose(v)",
    "np.swapaxes(x, 0, 2)", "np.swapaxes(x, -1, -2)", "np.swapaxes(a=x, axis1=1, axis2=-1)",
    "np.moveaxis(x, 0, -1)", "np.moveaxis(x, (0, 1), (-1, 0))", "np.moveaxis(x, [2], [0])",
    "np.moveaxis(a=x, source=-1, destination=0)",
    "np.expand_dims(x, 0)", "np.expand_dims(x, -1)", "np.expand_dims(x, (0, 2))",
    "np.expand_dims(a=x, axis=1)", "np.expand_dims(x, [1, -1])",
    "np.squeeze(one)", "np.squeeze(one, 0)", "np.squeeze(one, axis=-1)", "np.squeeze(a=one)",
    "np.squeeze(one, axis=(0, 2))", "np.squeeze(x)",
    "np.concatenate((x, z))", "np.concatenate([x, z], 1)", "np.concatenate((x, z), axis=-1)",
    "np.concatenate([x, z, x], axis=None)", "np.concatenate([x, np.zeros((2, 1, 4))], axis=1)",
    "np.concatenate(x)", "np.concatenate([x, z], axis=0, out=None)",
    "np.concatenate(tuple(row for row in x), axis=1)",
    "np.stack((x, z))", "np.stack([x, z], 1)", "np.stack(arrays=[x, z], axis=-1)",
    "np.stack([x, np.ones((2, 3, 4))], axis=2)", "np.stack([u[0], u[2]])", "np.stack(list(m))",
    "np.stack([x, z], axis=0, out=None)",
    "np.clip(x, -0.5, 0.7)", "np.clip(x, None, 0.5)", "np.clip(x, a_min=0, a_max=None)",
    "np.clip(a=x, a_min=-1, a_max=1)", "np.clip(x, -np.arange(4), [0.5, 1, 2, 3])",
    "np.clip(x, min=0, max=1)", "np.clip(x, 0, 1, None)",
    "np.where(x > 0, x, z)", "np.where(x > 0, 0, x)", "np.where(np.eye(3, 4) > 0, m, v)",
    "np.where(True, x, z)", "np.where([True, False, True, True], x, 2.0)",
    "np.dot(m, v)", "np.dot(u, m)", "np.dot(v, v)", "np.dot(m, s)", "np.dot(x, v)",
    "np.dot(x, s)", "np.dot(m, 2.0)", "np.dot(2.0, m)", "np.dot(a=m, b=v)", "np.dot(m, b=s)",
    "np.dot(u, np.ones((5, 3, 2)))", "np.dot(x, np.ones((5, 4, 2)))", "np.dot(m, v, None)",
    "np.dot(m, [1.0, 2.0, 3.0, 4.0])", "np.dot(m, v, out=None)",
    "np.outer(u, v)", "np.outer(m, v)", "np.outer(a=v, b=u)", "np.outer(u, [1, 2])",
    "np.tensordot(x, z, 3)", "np.tensordot(x, s, 1)", "np.tensordot(x, m, axes=2)",
    "np.tensordot(x, z, axes=([0, 1], [0, 1]))", "np.tensordot(x, m, axes=(1, 0))",
    "np.tensordot(u, v, axes=0)", "np.tensordot(a=x, b=z, axes=((-1, 0), (-1, 0)))",
    "np.tensordot(x, m, ((1, 2), (0, 1)))",
    "np.einsum('ij,j->i', m, v)", "np.einsum('ij, jk -> ki', m, s)", "np.einsum('ijk->', x)",
    "np.einsum('ii->i', s)", "np.einsum('ii->', s)", "np.einsum('ijk->kj', x)",
    "np.einsum('i,ij,j->', u, m, v)", "np.einsum('ij,ij->i', m, p, optimize=False)",
    "np.einsum('ij,j->i', m, v, out=None)",
    "np.trace(s)", "np.trace(m, 1)", "np.trace(x, 0, 1, 2)", "np.trace(a=x, axis1=0, axis2=-1)",
    "np.trace(s, offset=-1)", "np.trace(s, 0, 0, 1, None)",
    "np.diagonal(s)", "np.diagonal(m, -1)", "np.diagonal(x, 1, 1, 2)", "np.diagonal(m, offset=2)",
    "np.diagonal(a=x, axis1=-1, axis2=0)",
    "np.pad(m, 1)", "np.pad(m, (1, 2))", "np.pad(m, ((0, 1), (2, 0)))", "np.pad(v, (2, 3))",
    "np.pad(m, ((1, 1), (0, 0)), 'constant')", "np.pad(array=v, pad_width=2, mode='constant')",
    "np.pad(m, 1, constant_values=3.0)", "np.pad(m, [(1, 0), (0, 1)], mode='constant')",
    "np.pad(m, 1, constant_values=((1, 2), (3, 4)))",
    "np.broadcast_to(v, (3, 4))", "np.broadcast_to(array=one, shape=(2, 3, 5))",
    "np.broadcast_to(u[0], 3)", "np.broadcast_to(v, (3, 4), False)",
    "np.ravel(x)", "np.ravel(a=x)", "np.ravel(x, 'C')", "np.ravel(x, order='C')", "np.ravel(m.T)",
    "np.round(x)", "np.round(x, 1)", "np.round(a=x, decimals=1)", "np.around(x, 1)",
    "np.round(x, 1, None)",
    "np.matmul(m, s)", "np.matmul(x, s)", "np.matmul(u, m)", "np.power(p, 2)", "np.power(2, x)",
    "np.add(x, 1)", "np.subtract(1, x)", "np.multiply(x, z)", "np.divide(x, 2)",
    "np.true_divide(x, 2)", "np.add(x, z, out=None)", "np.exp(x, where=True)",
    "np.negative(x)", "np.abs(x)", "np.absolute(x)", "np.fabs(x)", "np.square(x)", "np.sign(x)",
    "np.floor(x)", "np.ceil(x)", "np.exp(x)", "np.expm1(x)", "np.log(p)", "np.log1p(p)",
    "np.sqrt(p)", "np.sin(x)", "np.cos(x)", "np.tanh(x)", "np.maximum(x, 0)", "np.minimum(x, v)",
    "np.logaddexp(x, z)", "np.flip(x)", "np.flip(x, 1)", "np.flip(m=x, axis=(0, -1))",
    "np.copy(x)", "np.concat([x, z], axis=1)", "np.pow(p, 2)", "np.permute_dims(x, (2, 0, 1))",
]  # fmt: skip

METHOD_CALLS = [
    f"x.{name}({arguments})"
    for name in ("sum", "mean", "max", "min", "prod", "var", "std")
    for arguments in ("", "0", "-1", "axis=(0, 2)", "axis=1, keepdims=True", "(-1, 0)", "None")
] + [
    "x.var(axis=1, ddof=1)", "x.std(ddof=1)", "x.cumsum()", "x.cumsum(1)", "x.cumsum(axis=-1)",
    "x.reshape(6, 4)", "x.reshape((6, 4))", "x.reshape(-1)", "x.reshape(4, -1)", "x.reshape([24])",
    "x.transpose()", "x.transpose(2, 0, 1)", "x.transpose((1, 0, 2))", "x.transpose(0, -1, 1)",
    "x.transpose(None)", "x.swapaxes(0, 2)", "x.swapaxes(-1, 1)", "x.T", "x.mT", "m.T", "m.mT",
    "one.squeeze()", "one.squeeze(0)", "one.squeeze(axis=-1)", "x.ravel()", "x.flatten()",
    "x.ravel('C')", "x.flatten(order='C')", "x.copy()",
    "x.clip(-0.5, 0.5)", "x.clip(min=0)", "x.clip(max=0.5)", "x.clip(min=-1, max=1)",
    "m.dot(v)", "m.dot(s)", "v.dot(v)", "m.dot(2.0)", "x.dot(v)", "m.dot([1.0, 2.0, 3.0, 4.0])",
    "s.trace()", "m.trace(1)", "x.trace(0, 1, 2)", "x.trace(offset=0, axis1=1, axis2=2)",
    "m.diagonal()", "m.diagonal(1)", "x.diagonal(axis1=1, axis2=2)", "x.diagonal(0, 0, 2)",
    "x.round()", "x.round(1)", "x.round(decimals=1)",
    "x.astype(float)", "x.astype('f8')", "x.astype(dtype=np.float64)", "abs(x)", "-x",
    "x[0]", "x[-1]", "x[:, 1]", "x[..., 0]", "x[None]", "x[:, np.newaxis, 1:]", "x[0, 1, 2]",
    "x[[0, 1, 1]]", "x[np.array([0, 1]), :, [2, 3]]", "m[m > 0]", "m[:, [True, False, True, True]]",
    "m[np.ix_([0, 2], [1, 3])]", "m[::-1, ::2]", "m[np.argmax(m, axis=0), range(4)]", "v[()]",
    "x + 1", "1 - x", "2 * x", "1 / p", "p ** 3", "p ** -0.5", "2 ** x", "x @ s", "m @ v", "u @ m",
    "x + [1, 2, 3, 4]", "(1, 2, 3, 4) * x", "np.float64(2) * x", "np.array(2.0) * x",
    "np.int32(3) - x", "np.ones((5, 3)) @ m", "np.ones(3) @ m", "np.ones((3, 1)) / p",
    "np.arange(4) + x", "np.float32(2) * x", "sum(x)", "sum(v[i] * i for i in range(4))",
    "min(v)", "max(u)",
]  # fmt: skip


@pytest.mark.parametrize("text", [*FUNCTION_CALLS, *METHOD_CALLS])
def test_call_as_in_numpy(text):
    code = compile(text, text, "eval")
    used = {k: v for k, v in NAMES.items() if re.search(rf"\b{k}\b(?!=)", text)}

    def f(**arrays):
        return eval(code, {"np": np, **arrays})

    tensors = {k: leaf(v) for k, v in used.items()}
    expected, result = f(**used), f(**tensors)
    assert type(result) is Tensor
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    assert_allclose(result.data, expected, rtol=1e-13, atol=1e-13)
    assert_gradient(result, f, used, tensors)


# Arguments that have no meaning here

X = NAMES["x"]
OUT_AND_WHERE = [
    (name, arguments)
    for name in ("sum", "mean", "max", "min", "prod", "var", "std", "cumsum", "exp", "log1p")
    for arguments in ({"out": np.empty((3, 4))}, {"dtype": np.float32}, {"where": X > 0})
    if not ({"dtype", "where"} & arguments.keys() and name in ("max", "min", "cumsum"))
] + [
    ("max", {"where": X > 0, "initial": 0.0}),
    ("cumsum", {"dtype": np.float32}),
    ("sum", {"initial": 2.0}),
    ("prod", {"initial": 2.0}),
    ("max", {"initial": 2.0}),
    ("exp", {"casting": "no"}),
    ("reshape", {"shape": (6, 4), "order": "F"}),
    ("round", {"out": np.empty(X.shape)}),
    ("clip", {"a_min": 0, "a_max": 1, "out": np.empty(X.shape)}),
    ("clip", {"a_min": 0, "a_max": 1, "where": X > 0}),
    ("trace", {"out": np.empty(4)}),
    ("trace", {"dtype": np.float32}),
    ("dot", {"b": np.ones(4), "out": np.empty((2, 3))}),
    ("outer", {"b": np.ones(4), "out": np.empty((24, 4))}),
    ("var", {"mean": X.mean()}),
]


@pytest.mark.parametrize(
    ("name", "arguments"), OUT_AND_WHERE, ids=lambda x: x if isinstance(x, str) else " ".join(x)
)
def test_argument_without_meaning_here_is_refused_by_name(name, arguments):
    with pytest.raises(TypeError) as refusal:
        getattr(np, name)(leaf(X), **arguments)
    meaningless = arguments.keys() - {"shape", "a_min", "a_max", "b"}
    assert any(f"np.{name}({argument}=...)" in str(refusal.value) for argument in meaningless)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("np.concatenate([t, t], out=np.empty((4, 3, 4)))", "out"),
        ("np.concatenate([t, t], dtype=np.float32)", "dtype"),
        ("np.stack([t, t], out=np.empty((2, 2, 3, 4)))", "out"),
        ("np.stack([t, t], dtype=np.float32)", "dtype"),
        ("np.add(t, 1, out=np.empty((2, 3, 4)))", "out"),
        ("np.add(t, 1, np.empty((2, 3, 4)))", "out"),
        ("np.add(np.ones(4), 1, out=t)", "out"),
        ("np.multiply(t, 2, where=t > 0)", "where"),
        ("np.maximum(t, 0, dtype=np.float32)", "dtype"),
        ("np.matmul(t, np.eye(4), out=np.empty((2, 3, 4)))", "out"),
        ("np.einsum('ijk->ij', t, out=np.empty((2, 3)))", "out"),
        ("np.einsum('ijk->ij', t, dtype=np.float32)", "dtype"),
        ("np.sum(t, 0, np.float32)", "dtype"),
        ("np.mean(t, 0, np.float32)", "dtype"),
        ("np.prod(t, 0, np.float32)", "dtype"),
        ("np.var(t, 0, np.float32)", "dtype"),
        ("np.std(t, 0, np.float32)", "dtype"),
        ("np.cumsum(t, 0, np.float32)", "dtype"),
        ("np.sum(t, 0, None, np.empty((3, 4)))", "out"),
        ("np.max(t, 0, np.empty((3, 4)))", "out"),
        ("np.round(t, 1, np.empty((2, 3, 4)))", "out"),
        ("np.pad(t, 1, mode='edge')", "edge"),
        ("np.pad(t, 1, 'reflect')", "reflect"),
        ("np.pad(t, 1, constant_values=t[0, 0, 0])", "constant_values"),
        ("np.clip(t, 0, t**2)", "a_max"),
        ("np.einsum('ijk,kl', t, np.eye(4))", "einsum.*->"),
        ("np.einsum('...k->...', t)", "einsum.*letter"),
        ("np.reshape(t, (6, 4), order='F')", "order"),
        ("np.reshape(t, (6, 4), 'F')", "order"),
        ("np.ravel(t, 'F')", "order"),
        ("np.where(t)", "where"),
    ],
)
def test_argument_without_meaning_here_is_refused_in_any_place(text, word):
    with pytest.raises((TypeError, ValueError), match=word):
        eval(text, {"np": np, "t": leaf(X)})


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "cumsum"])
def test_positional_dtype_of_a_method_is_not_taken_for_something_else(name):
    with pytest.raises(TypeError):
        getattr(leaf(X), name)(0, np.float32)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std", "cumsum"])
@pytest.mark.parametrize("arguments", [{"out": np.empty((3, 4))}, {"dtype": np.float32}])
def test_method_refuses_arguments_without_meaning_here(name, arguments):
    with pytest.raises(TypeError, match=next(iter(arguments))):
        getattr(leaf(X), name)(0, **arguments)


@pytest.mark.parametrize("name", ["max", "min"])
def test_positional_out_of_a_method_is_not_taken_for_something_else(name):
    with pytest.raises(TypeError):
        getattr(leaf(X), name)(0, np.zeros((3, 4)))
    with pytest.raises(TypeError):
        getattr(leaf(X), name)(None, np.zeros(()))


# What gives no derivative, and plain Python's protocols


@pytest.mark.parametrize(
    "text",
    [
        "x.shape", "x.ndim", "x.size", "x.dtype", "len(x)", "np.shape(x)", "np.ndim(x)",
        "np.size(x)", "np.size(x, 1)", "x.argmax()", "x.argmax(1)", "x.argmax(axis=-1)",
        "x.argmin(axis=0)", "np.argmax(x, axis=1)", "np.argmin(x)", "np.argsort(x, axis=0)",
        "x.tolist()", "v[0].item()", "np.isnan(x).any()", "np.isfinite(x).all()", "np.isinf(x)",
        "np.zeros_like(x)", "np.ones_like(x)", "np.zeros_like(x, int)",
        "np.ones_like(x, shape=(2, 2))", "np.any(x > 0)", "np.all(x > 0, axis=1)", "x > 0",
        "np.nonzero(x > 0)", "np.count_nonzero(x)", "np.allclose(x, x + 1e-12)", "0.5 <= x",
        "np.isclose(x, z)", "np.array_equal(x, x)", "x == z", "x != z", "x < z", "x <= 0", "x >= v",
        "np.zeros(4) < x", "np.greater(x, 0)", "np.less_equal(0, x)", "np.equal(x, z)",
        "np.logical_and(x > 0, z > 0)", "np.logical_or(x, z)", "np.logical_not(x)",
        "(x > 0) & (z > 0)", "np.float64(0.5) > x",
        "float(v.data[0]) in v.data", "v[0] > 0", "v[0] == v[1]",
        "f'{float(x.sum().item()):.3f}'", "f'{v[0]:.3f}'", "f'{v[1]:8.2e}'", "'%.2f' % v[0].item()",
        "bool(v[0] > 0)", "bool(v[0])", "int(100 * v[0])", "np.searchsorted(np.sort(v.data), v)",
        "x.argmax(axis=1, keepdims=True)", "np.argmax(x, axis=1, keepdims=True)",
        "(x > 0).all(axis=0)", "np.argwhere(x > 0)", "np.flatnonzero(x > 0)",
    ],
)  # fmt: skip
def test_answer_without_derivative(text):
    answers = [
        eval(text, {"np": np, **{k: make(v) for k, v in NAMES.items()}})
        for make in (np.array, leaf)
    ]
    assert not isinstance(answers[1], Tensor)
    assert type(answers[1]) is type(answers[0])
    assert_array_equal(answers[1], answers[0])


def test_iteration_gives_tensors():
    m = leaf(NAMES["m"])
    rows = list(m)
    assert [row.shape for row in rows] == [(4,)] * 3
    (gradient,) = tg.grad(rows[1].sum() + 2 * rows[2][3], [m])
    expected = np.zeros((3, 4))
    expected[1], expected[2, 3] = 1, 2
    assert_array_equal(gradient, expected)
    (first, _), *_ = enumerate(zip(m, m, strict=True))
    assert first == 0


def test_membership():
    v = leaf([1.0, 2.0])
    assert 2.0 in v and v[0] in v and 3.0 not in v


def test_round():
    v = leaf([1.26, 2.51])
    assert type(round(v)) is type(round(v, 1)) is Tensor
    assert round(v).data.tolist() == [1, 3]
    assert round(v, 1).data.tolist() == [1.3, 2.5]


@pytest.mark.parametrize("use", [len, iter, list, lambda t: t[0]])
def test_tensor_without_axes_has_no_elements(use):
    with pytest.raises((TypeError, IndexError)):
        use(leaf(2.0))


@pytest.mark.parametrize("t", [leaf(2.5), leaf(2.5) * 1.0, leaf([[2.5]]).sum()])
def test_number_of_one_element(t):
    with pytest.warns(tg.TensorWarning, match="gradient"):
        assert float(t) == 2.5
    assert int(t) == 2
    assert bool(t)
    assert (f"{t:.2f}", format(t, "6.1f")) == ("2.50", "   2.5")
    with tg.no_grad():
        assert float(t) == 2.5
    assert float(t.detach()) == 2.5
    assert float(t.data) == t.item() == 2.5


@pytest.mark.parametrize("use", [bool, float, int, math.exp, lambda t: f"{t:.2f}", operator.index])
def test_several_elements_are_no_number(use):
    with tg.no_grad(), pytest.raises((TypeError, ValueError)):
        use(leaf([1.0, 2.0]))


@pytest.mark.parametrize(
    "text",
    [
        "math.exp(t)",
        "math.sqrt(t)",
        "np.float64(t)",
        "np.full(3, t)",
        "np.full_like(t, t)",
        "np.full_like(np.ones(2), t)",
        "np.random.default_rng(0).normal(t, 1.0)",
        "np.arange(0.0, t, 0.5)",
        "np.array(t)",
        "np.asarray(t)",
        "np.array([t, t])",
        "np.array([[1.0, t]])",
        "np.sum([t, t])",
        "np.mean((t, t))",
        "np.r_[t, t]",
        "np.c_[t, t]",
        "np.ones(3).dot(np.ones(3) * t)",
        "np.ones((2, 3)).dot(np.ones(3) * t)",
        "np.zeros(3).__setitem__(1, t)",
        "np.zeros(3).__setitem__(slice(None), t)",
        "np.zeros(3).__setitem__(slice(None), np.ones(3) * t)",
        "np.zeros(3, np.float32).__setitem__(1, t)",
        "np.zeros(3).fill(t)",
        "np.put(np.zeros(3), [1], t)",
        "np.copyto(np.zeros(3), t)",
        "np.fromiter([t, t], float)",
        "np.vectorize(lambda x: x * x)(t)",
        "np.ones(3).clip(0, t)",
        "np.float64(3).clip(0, t)",
        "np.average(np.ones(3), weights=np.ones(3) * t)",
        "np.interp(t, [0, 1], [0, 1])",
        "np.einsum('i->', [t, t])",
        "np.clip(np.ones(3), 0, t)",
        "np.linspace(0, t, 3)",
        "np.broadcast_arrays(t, 1.0)",
        "np.meshgrid(t, [1.0])",
        "np.block([t, t])",
        "np.full((2,), fill_value=t)",
        "np.pad(np.ones(2), 1, constant_values=t)",
        "np.array([1.0, 2.0], dtype=object) * t",
    ],
)
def test_gradient_is_never_cut_silently(text):
    t = leaf(2.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            eval(text, {"np": np, "math": math, "t": t})
        except TypeError:
            return
    assert tg.TensorWarning in [w.category for w in caught]


def test_data_of_an_array_with_a_tensor_in_it_are_refused_with_advice():
    t = leaf([1.0, 2.0])
    for use in (
        lambda: np.array([t, t]),
        lambda: np.ones(2).dot(t),
        lambda: np.zeros(2).__setitem__(slice(None), t),
    ):
        with pytest.raises(TypeError, match=r"np\.stack.*np\.dot"):
            use()


def test_ndarray_changed_in_place_by_a_tensor_is_refused_with_advice():
    a = np.ones(2)
    for operate in (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow):
        with pytest.raises(TypeError, match=r"out.*write `x = x"):
            operate(a, leaf([1.0, 2.0]))
    assert_array_equal(a, [1, 1])


def test_tensor_of_rank_0_added_in_place_to_a_numpy_number():
    t, total = leaf(2.0), np.float64(1.0)
    total += t * 3
    assert type(total) is Tensor
    assert_array_equal(tg.grad(total, [t])[0], 3)


UNSUPPORTED = [
    ("inv", np.linalg.inv),
    ("norm", np.linalg.norm),
    ("solve", lambda t: np.linalg.solve(np.eye(4), t)),
    ("sort", np.sort),
    ("log2", np.log2),
    ("log10", np.log10),
    ("exp2", np.exp2),
    ("median", np.median),
    ("average", np.average),
    ("cumprod", np.cumprod),
    ("nansum", np.nansum),
    ("nan_to_num", np.nan_to_num),
    ("unique", np.unique),
    ("gradient", np.gradient),
    ("diff", np.diff),
    ("diag", np.diag),
    ("roll", lambda t: np.roll(t, 1)),
    ("dstack", lambda t: np.dstack([t, t])),
    ("column_stack", lambda t: np.column_stack((t, np.ones((4, 1))))),
    ("repeat", lambda t: np.repeat(t, 2)),
    ("inner", lambda t: np.inner(t, t)),
    ("fft", np.fft.fft),
    ("arctan2", lambda t: np.arctan2(t, t)),
    ("floor_divide", lambda t: np.ones(4) // t),
    ("remainder", lambda t: np.mod(t, 2)),
    ("remainder", lambda t: np.ones(4) % t),
    ("fmod", lambda t: np.fmod(np.ones(4), t)),
    ("add.reduce", np.add.reduce),
    ("add.accumulate", np.add.accumulate),
    ("add.at", lambda t: np.add.at(np.zeros((4, 4)), [0], t)),
    ("multiply.outer", lambda t: np.multiply.outer(t, t)),
    ("multiply.outer", lambda t: np.multiply.outer(np.ones(3), t)),
    ("maximum.reduce", np.maximum.reduce),
    ("exp", np.frompyfunc(math.exp, 1, 1)),
    ("expit", scipy.special.expit),
    ("erf", scipy.special.erf),
]


@pytest.mark.parametrize(("name", "call"), UNSUPPORTED)
def test_unsupported_function_is_refused_by_name(name, call):
    with pytest.raises(TypeError, match=rf"\b{name}\b.* has no derivative rule here"):
        call(leaf(NAMES["s"]))


@pytest.mark.parametrize("name", ["expit", "erf"])
def test_function_of_another_library_is_not_called_numpys(name):
    with pytest.raises(TypeError) as refusal:
        getattr(scipy.special, name)(leaf(1.0))
    assert f"np.{name}" not in str(refusal.value)


@pytest.mark.parametrize("use", ["t // 2", "2 // t", "t % 2", "divmod(t, 2)", "t << 1", "t & 1"])
def test_unsupported_operator_is_refused(use):
    with pytest.raises(TypeError, match="unsupported operand"):
        eval(use, {"t": leaf(1.0)})


@pytest.mark.parametrize("name", ["expit", "logsumexp", "softmax", "log_softmax", "xlogy"])
def test_scipys_functions_are_not_silent(name):
    t, f = leaf([1.0, 2.0]), getattr(scipy.special, name)
    with pytest.raises(TypeError):
        f(t, t) if name == "xlogy" else f(t)


def test_every_method_and_attribute_of_an_ndarray_that_a_tensor_has_is_tested():
    tested = " ".join([*METHOD_CALLS, "x.argmax x.argmin x.item x.tolist x.shape x.ndim x.size"])
    names = {n for n in dir(np.ndarray) if not n.startswith("_") and hasattr(Tensor, n)}
    assert names - {n for n in names if f".{n}" in tested} == {"data", "dtype"}
